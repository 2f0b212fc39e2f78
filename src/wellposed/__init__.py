"""Deep networks as discretised differential equations, and seismic interpretation from few labels.

Every public name of the packages below is here too (`wellposed.Stage`, `wellposed.open_volume`).
They are looked up on first use, so that a command which needs no network never imports torch.
"""

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

# The order in which a name is looked for: what is cheap to import comes first.
_HOMES = """
errors seismic project operators control dynamics integrators backward network learning data stability
laws interpretation
""".split()


def __dir__() -> list[str]:
    homes = [import_module(f"{__name__}.{home}") for home in _HOMES]
    return sorted({*_HOMES, "__version__", *(name for m in homes for name in getattr(m, "__all__", ()))})


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return import_module(f"{__name__}.{name}")
    if not name.startswith("_"):
        for home in _HOMES:
            module = import_module(f"{__name__}.{home}")
            if name in getattr(module, "__all__", ()):
                return getattr(module, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
