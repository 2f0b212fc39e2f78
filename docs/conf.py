"""How the documentation is built: `make docs`."""

import re
import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import get_origin

import wellposed

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

from house_docstrings import modules, packages, public, to_restructured  # noqa: E402

project = "wellposed"
author = "The wellposed developers"
copyright = "The wellposed developers, Apache-2.0"
version = release = wellposed.__version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.viewcode",
    "sphinx_copybutton",
    "sphinx_gallery.gen_gallery",
    "sphinx-mathjax-offline",
]
source_suffix = {".md": "markdown", ".rst": "restructuredtext"}
exclude_patterns = ["_build", "gallery", "results/twins"]
default_role = "code"
smartquotes = False  # K' is an adjoint, not a quotation
nitpicky = False

myst_enable_extensions = ["amsmath", "colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3
suppress_warnings = ["config.cache"]

html_theme = "furo"
html_title = "wellposed"
html_static_path = ["_static"]
html_css_files = ["house.css"]
html_theme_options = {"navigation_with_keys": True}
html_show_sourcelink = False
pygments_style = "friendly"
pygments_dark_style = "native"
highlight_language = "python"
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
# Names of types stay as they are written.
_WRITTEN = "Array ArrayLike Flags Floats Ints Loss Map Path Places Say Shape State Theta Thetas Updates"
autodoc_type_aliases = {name: name for name in _WRITTEN.split()}
autosummary_generate = False
autosummary_imported_members = True
viewcode_line_numbers = True

sphinx_gallery_conf = {
    "examples_dirs": "gallery",
    "gallery_dirs": "examples",
    "filename_pattern": r"plot_",
    "within_subsection_order": "FileNameSortKey",
    "write_computation_times": False,
    "show_memory": False,
    "capture_repr": (),
    "show_signature": False,
    "remove_config_comments": True,
    "download_all_examples": False,
    "min_reported_time": 10**6,
    "image_scrapers": ("matplotlib",),
    "matplotlib_animations": False,
    "reset_modules": ("gallery_style.reset",),
    "abort_on_example_error": False,
    "only_warn_on_example_error": False,
}


def write_api(app):
    """Write one page a package: a table of its public names, then each in full."""
    folder = HERE / "api"
    folder.mkdir(exist_ok=True)
    for package in packages():
        names = public(package)
        lines = _opening(f"wellposed.{package}", "=")
        if not names:  # a package for which the command and `interpret` are the way in
            lines += [line for name in modules(package) for line in _opening(name, "-")]
            _write(folder / f"{package}.rst", "\n".join(lines) + "\n")
            continue
        lines += [f".. currentmodule:: wellposed.{package}", "", ".. autosummary::", "   :nosignatures:", ""]
        lines += [f"   {name}" for name in names if not _is_plain(package, name)]
        for name in names:
            thing = getattr(import_module(f"wellposed.{package}"), name)
            lines += ["", *_entry(package, name, thing)]
        _write(folder / f"{package}.rst", "\n".join(lines) + "\n")
    toc = [f"   {package}" for package in packages()]
    words = [
        "API",
        "===",
        "",
        "Every public name of these packages is a name of ``wellposed`` too: ``wp.Stage``.",
        "Docstrings open with the formula; then follow shapes, units, errors, cost and source.",
        "",
        ".. toctree::",
        "   :maxdepth: 1",
        "",
    ]
    _write(folder / "index.rst", "\n".join(words + toc) + "\n")


def _opening(module, rule):
    """Return the name of a module as a heading, and its docstring."""
    return [module, rule * len(module), "", to_restructured(import_module(module).__doc__ or ""), ""]


def _is_plain(package, name):
    """Whether a name is a value, or another name for a type: it has no docstring of its own."""
    thing = getattr(import_module(f"wellposed.{package}"), name)
    return get_origin(thing) is not None or not (callable(thing) or isinstance(thing, ModuleType))


def _entry(package, name, thing):
    where = f"wellposed.{package}.{name}"
    if _is_plain(package, name):
        meaning = str(thing).replace("torch.", "").replace("collections.abc.", "")
        return [f".. py:data:: {where}", "", f"   ``{meaning}``"]
    if isinstance(thing, type):
        shown = [base for base in thing.__bases__ if base.__module__.startswith("wellposed")]
        return [f".. autoclass:: {where}", "   :members:", *["   :show-inheritance:"][: len(shown)]]
    if isinstance(thing, ModuleType):
        return [f".. automodule:: {thing.__name__}", "   :members:"]
    return [f".. autofunction:: {where}"]


def _write(path, text):
    """Write only what has changed, so that an unchanged page is not built again."""
    if not path.exists() or path.read_text() != text:
        path.write_text(text)


def docstring(app, what, name, thing, options, lines):
    """Turn a docstring of the house into reStructuredText."""
    lines[:] = to_restructured("\n".join(lines)).split("\n")


def skip(app, what, name, thing, skipped, options):
    """Leave out what a reader has no use for: examples, which are for the laws, and fields named already."""
    doc = getattr(thing, "__doc__", None) or ""
    known = name in ("examples", "model_config") or doc.startswith("Alias for field")
    return True if known else None


def signature(app, what, name, thing, options, arguments, returned):
    """Show names of types without the wrapper that Sphinx puts them in."""
    return tuple(
        text and re.sub(r"TypeAliasForwardRef\('(\w+)'\)", r"\1", text) for text in (arguments, returned)
    )


def setup(app):
    """Connect the above."""
    app.connect("builder-inited", write_api)
    app.connect("autodoc-process-docstring", docstring)
    app.connect("autodoc-process-signature", signature)
    app.connect("autodoc-skip-member", skip)
