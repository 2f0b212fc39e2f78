"""Stability: instruments that show whether a network is well posed."""

from wellposed.stability.attack import Attack, Ball
from wellposed.stability.attacks import FGSM, ProjectedGradient, SquareAttack, TransferAttack
from wellposed.stability.certificate import Certificate, certificate
from wellposed.stability.certified import Change, certified_bound, largest_change
from wellposed.stability.drift import jacobian_drift
from wellposed.stability.field_of_view import FieldOfView, field_of_view
from wellposed.stability.gradients import gradient_norms
from wellposed.stability.growth import Growth, worst_growth
from wellposed.stability.kinematic import kinematic_eigenvalues, kinematic_exponents
from wellposed.stability.outline import growth_by_step, spectrum_outline
from wellposed.stability.robustness import Robustness, robustness
from wellposed.stability.spectrum import jacobian_eigenvalues
from wellposed.stability.verdict import StageVerdict, WellPosedness, well_posedness

__all__ = [
    "FGSM",
    "Attack",
    "Ball",
    "Certificate",
    "Change",
    "FieldOfView",
    "Growth",
    "ProjectedGradient",
    "Robustness",
    "SquareAttack",
    "StageVerdict",
    "TransferAttack",
    "WellPosedness",
    "certificate",
    "certified_bound",
    "field_of_view",
    "gradient_norms",
    "growth_by_step",
    "jacobian_drift",
    "jacobian_eigenvalues",
    "kinematic_eigenvalues",
    "kinematic_exponents",
    "largest_change",
    "robustness",
    "spectrum_outline",
    "well_posedness",
    "worst_growth",
]
