"""Docstrings of the house as reStructuredText.

They open with a formula, indented, and close with fields such as `Shapes:`; names stand in single
backticks. A formula becomes a literal block, the fields a list, a public name a link.
"""

import re
from functools import cache
from importlib import import_module
from inspect import cleandoc
from pkgutil import iter_modules

# `Shapes:    y (batch, ...)`, or a column of words and what they mean.
_FIELD = re.compile(r"^(Shapes|Units|Raises|Cost|Reference|\w+(?=  ))(?::\s+|\s{2,})(?=\S)")
_ARXIV = re.compile(r"arXiv:(\d{4}\.\d{4,5})")


def packages():
    """Return the packages of the API, in the order in which they build on one another."""
    return """operators dynamics control integrators backward network learning stability laws
    data seismic interpretation project errors""".split()


def modules(package):
    """Return the names of the modules of a package."""
    path = import_module(f"wellposed.{package}").__path__
    return [f"wellposed.{package}.{found.name}" for found in iter_modules(path)]


@cache
def public(package):
    """Return the public names of a package."""
    module = import_module(f"wellposed.{package}")
    own = [
        name
        for name, thing in vars(module).items()
        if isinstance(thing, type) and thing.__module__ == module.__name__ and not name.startswith("_")
    ]
    return list(getattr(module, "__all__", own))


@cache
def _homes():
    """Return where each public name lives."""
    return {name: package for package in reversed(packages()) for name in public(package)}


def to_restructured(text):
    """Return a docstring as reStructuredText."""
    out, lines = [], cleandoc(text).split("\n")
    place = 0
    while place < len(lines):
        line = lines[place]
        field = _FIELD.match(line)
        if field:
            place, body = _taken(lines, place, field.end())
            if out and out[-1] and not out[-1].startswith(":"):
                out.append("")
            out.append(f":{field[1]}: {_inline(' '.join(body))}")
        elif line.startswith("    "):
            block = place
            while place < len(lines) and (not lines[place] or lines[place].startswith("    ")):
                place += 1
            body = "\n".join(lines[block:place]).rstrip().split("\n")
            out += ["", ".. code-block:: text", "", *body, ""]
        else:
            out.append(_inline(line))
            place += 1
    return "\n".join(out)


def _taken(lines, place, start):
    """Return the place after a field, and its lines: those below it that are indented."""
    body = [lines[place][start:]]
    place += 1
    while place < len(lines) and lines[place].startswith("  "):
        body.append(lines[place].strip())
        place += 1
    return place, body


def _inline(line):
    """Return a line of prose with its names as links or code, and no other markup."""
    parts = re.split(r"(`[^`]+`)", line)
    return "".join(_name(part[1:-1]) if part[:1] == "`" else _plain(part) for part in parts)


def _name(word):
    home = _homes().get(word.removesuffix("()").split(".")[-1].split("(")[0])
    if home and re.fullmatch(r"[\w.]+(\(\))?", word):
        name = word.removesuffix("()").split(".")[-1]
        return rf"\ :py:obj:`{name} <wellposed.{home}.{name}>`\ "
    return f"``{word}``"


def _plain(text):
    text = re.sub(r"([\\*|_])", r"\\\1", text)
    return _ARXIV.sub(r"`arXiv:\1 <https://arxiv.org/abs/\1>`__", text)
