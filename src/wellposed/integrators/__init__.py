"""Integrators: one step of an initial value problem, and how large it may be."""

from wellposed.integrators.base import Integrator, Invertible, Isometry, Shear, Step, Update, advance
from wellposed.integrators.discretisation import Discretisation
from wellposed.integrators.euler import Euler
from wellposed.integrators.imex import IMEX
from wellposed.integrators.implicit import Implicit, ImplicitEuler, ImplicitMidpoint
from wellposed.integrators.leapfrog import Leapfrog
from wellposed.integrators.multistep import AB2, AB3, AdamsBashforth, Midpoint
from wellposed.integrators.runge_kutta import RK4, Heun, RungeKutta
from wellposed.integrators.verlet import SymplecticEuler, Verlet

__all__ = [
    "AB2",
    "AB3",
    "IMEX",
    "RK4",
    "AdamsBashforth",
    "Discretisation",
    "Euler",
    "Heun",
    "Implicit",
    "ImplicitEuler",
    "ImplicitMidpoint",
    "Integrator",
    "Invertible",
    "Isometry",
    "Leapfrog",
    "Midpoint",
    "RungeKutta",
    "Shear",
    "Step",
    "SymplecticEuler",
    "Update",
    "Verlet",
    "advance",
]
