"""Laws: what must hold for every operator, dynamics, integrator ..., public so that users test their own."""

from wellposed.laws.catalogue import Entry, catalogue
from wellposed.laws.law import LawError, hold, pure
from wellposed.laws.objectives import curvature, slope, told_std, unknown, weighted_by_std
from wellposed.laws.operators import bound, dot, kept, matrix, reach, shifted

__all__ = [
    "Entry",
    "LawError",
    "bound",
    "catalogue",
    "curvature",
    "dot",
    "hold",
    "kept",
    "matrix",
    "pure",
    "reach",
    "shifted",
    "slope",
    "told_std",
    "unknown",
    "weighted_by_std",
]
