"""Surveys, volumes, picks, horizons, and the classical tracker: NumPy and xarray, no network.

A name is looked up on first use: reading picks must not import SEG-Y readers, numba or plotting.
"""

from importlib import import_module
from typing import Any

_PLACES = {
    "Survey": "survey",
    "Volume": "volume",
    "open_volume": "volume",
    "write_segy": "segy",
    "Picks": "picks",
    "read_picks": "picks",
    "Horizon": "horizons",
    "Density": "horizons",
    "read_horizon_csv": "horizons",
    "distance_to_picks": "interpolate",
    "Conditioned": "condition",
    "Tracker": "tracker",
    "track": "tracker",
    "Earth": "synthetic",
    "make_earth": "synthetic",
}
__all__ = list(_PLACES)


def __getattr__(name: str) -> Any:
    if name in _PLACES:
        return getattr(import_module(f"{__name__}.{_PLACES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
