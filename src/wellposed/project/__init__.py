"""The main job, one file a verb. Names are looked up on first use: a verb imports only what it needs."""

from importlib import import_module
from typing import Any

_PLACES = {
    "Project": "config",
    "read_project": "config",
    "Run": "run",
    "open_run": "run",
    "Surfaces": "surfaces",
    "interpret": "job",
    "interpret_project": "job",
    "track_project": "track",
    "evaluate_run": "evaluate",
    "export_run": "export",
}
__all__ = list(_PLACES)


def __getattr__(name: str) -> Any:
    if name in _PLACES:
        return getattr(import_module(f"{__name__}.{_PLACES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
