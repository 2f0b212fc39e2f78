"""Dynamics: what moves the features, chosen for the task."""

from wellposed.dynamics.antisymmetric import Antisymmetric
from wellposed.dynamics.base import (
    Dynamics,
    Extent,
    FirstOrder,
    Partitioned,
    SecondOrder,
    SemiLinear,
    State,
    Theta,
)
from wellposed.dynamics.hamiltonian import DoubleHamiltonian, Hamiltonian
from wellposed.dynamics.hyperbolic import Hyperbolic
from wellposed.dynamics.parabolic import Parabolic
from wellposed.dynamics.plain import OuterResidual, Plain
from wellposed.dynamics.reaction import Reaction, SingleReaction, SymmetricReaction
from wellposed.dynamics.residual import Residual, SingleResidual

__all__ = [
    "Antisymmetric",
    "DoubleHamiltonian",
    "Dynamics",
    "Extent",
    "FirstOrder",
    "Hamiltonian",
    "Hyperbolic",
    "OuterResidual",
    "Parabolic",
    "Partitioned",
    "Plain",
    "Reaction",
    "Residual",
    "SecondOrder",
    "SemiLinear",
    "SingleReaction",
    "SingleResidual",
    "State",
    "SymmetricReaction",
    "Theta",
]
