"""Laws: what must hold for every operator, dynamics, integrator ..., public so that users test their own."""

from wellposed.laws.attacks import attacked
from wellposed.laws.backward import convergence, gradient, memory
from wellposed.laws.catalogue import Entry, catalogue
from wellposed.laws.dynamics import moving, spectrum, structure
from wellposed.laws.integrators import inverse, order, step_bound
from wellposed.laws.law import LawError, hold, pure
from wellposed.laws.meshes import same_equation, same_operator
from wellposed.laws.network import passive, refine, taylor
from wellposed.laws.objectives import curvature, slope, told_std, unknown, weighted_by_std
from wellposed.laws.operators import bound, dot, kept, matrix, reach, shifted

__all__ = [
    "Entry",
    "LawError",
    "attacked",
    "bound",
    "catalogue",
    "convergence",
    "curvature",
    "dot",
    "gradient",
    "hold",
    "inverse",
    "kept",
    "matrix",
    "memory",
    "moving",
    "order",
    "passive",
    "pure",
    "reach",
    "refine",
    "same_equation",
    "same_operator",
    "shifted",
    "slope",
    "spectrum",
    "step_bound",
    "structure",
    "taylor",
    "told_std",
    "unknown",
    "weighted_by_std",
]
