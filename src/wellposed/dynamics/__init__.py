"""Dynamics: what moves the features, chosen for the task."""

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
from wellposed.dynamics.hyperbolic import Hyperbolic
from wellposed.dynamics.parabolic import Parabolic
from wellposed.dynamics.reaction import Reaction
from wellposed.dynamics.residual import Residual

__all__ = [
    "Dynamics",
    "Extent",
    "FirstOrder",
    "Hyperbolic",
    "Parabolic",
    "Partitioned",
    "Reaction",
    "Residual",
    "SecondOrder",
    "SemiLinear",
    "State",
    "Theta",
]
