"""Simulated earths with known horizons: for training, for benchmarks, for the demonstration."""

from wellposed.seismic.synthetic.earth import Earth, make_earth, relative_time
from wellposed.seismic.synthetic.sampling import picks_on_lines, picks_scattered

__all__ = ["Earth", "make_earth", "picks_on_lines", "picks_scattered", "relative_time"]
