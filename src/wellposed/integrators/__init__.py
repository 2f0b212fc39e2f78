"""Integrators: one step of an initial value problem, and how large it may be."""

from wellposed.integrators.base import Integrator, Invertible, Shear, Update
from wellposed.integrators.euler import Euler
from wellposed.integrators.imex import IMEX
from wellposed.integrators.leapfrog import Leapfrog

__all__ = ["IMEX", "Euler", "Integrator", "Invertible", "Leapfrog", "Shear", "Update"]
