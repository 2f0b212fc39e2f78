"""Operators: linear maps between features, their exact adjoints, their bounds and solves."""

from wellposed.operators.base import Adjoint, Normal, Operator, Product, Scaled, Sum
from wellposed.operators.boundary import BOUNDARIES
from wellposed.operators.conv import Conv, Correlation
from wellposed.operators.dense import Dense, Matrix
from wellposed.operators.family import Family
from wellposed.operators.live import Live
from wellposed.operators.resample import Prolong, Restrict
from wellposed.operators.solve import ConjugateGradients, Cosine, Direct, Fourier, Solution, Solver
from wellposed.operators.stencil import Stencil, SymmetricStencil

__all__ = [
    "BOUNDARIES",
    "Adjoint",
    "ConjugateGradients",
    "Conv",
    "Correlation",
    "Cosine",
    "Dense",
    "Direct",
    "Family",
    "Fourier",
    "Live",
    "Matrix",
    "Normal",
    "Operator",
    "Product",
    "Prolong",
    "Restrict",
    "Scaled",
    "Solution",
    "Solver",
    "Stencil",
    "Sum",
    "SymmetricStencil",
]
