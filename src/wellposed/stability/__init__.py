"""Stability: instruments that show whether a network is well posed."""

from wellposed.stability.certified import Change, certified_bound, largest_change
from wellposed.stability.field_of_view import FieldOfView, field_of_view
from wellposed.stability.gradients import gradient_norms
from wellposed.stability.growth import Growth, worst_growth
from wellposed.stability.kinematic import kinematic_eigenvalues, kinematic_exponents
from wellposed.stability.spectrum import jacobian_eigenvalues
from wellposed.stability.verdict import StageVerdict, WellPosedness, well_posedness

__all__ = [
    "Change",
    "FieldOfView",
    "Growth",
    "StageVerdict",
    "WellPosedness",
    "certified_bound",
    "field_of_view",
    "gradient_norms",
    "jacobian_eigenvalues",
    "kinematic_eigenvalues",
    "kinematic_exponents",
    "largest_change",
    "well_posedness",
    "worst_growth",
]
