"""Operators: linear maps between features, their exact adjoints, their bounds and solves."""

from wellposed.operators.algebra import Adjoint, Normal, Product, Scaled, Sum
from wellposed.operators.base import Operator
from wellposed.operators.boundary import BOUNDARIES
from wellposed.operators.conv import Conv, Correlation
from wellposed.operators.dense import Dense, Matrix
from wellposed.operators.family import Family
from wellposed.operators.graph import Graph, GraphGradient, MixedGradient
from wellposed.operators.haar import Haar
from wellposed.operators.live import Live
from wellposed.operators.lowrank import LowRank, SymmetricLowRank
from wellposed.operators.mesh import StencilBasis, galerkin, remesh
from wellposed.operators.resample import Prolong, Restrict
from wellposed.operators.skew import Skew
from wellposed.operators.solve import ConjugateGradients, Cosine, Direct, Fourier, Solution, Solver
from wellposed.operators.stencil import Stencil, SymmetricStencil
from wellposed.operators.turn import Turn

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
    "Graph",
    "GraphGradient",
    "Haar",
    "Live",
    "LowRank",
    "Matrix",
    "MixedGradient",
    "Normal",
    "Operator",
    "Product",
    "Prolong",
    "Restrict",
    "Scaled",
    "Skew",
    "Solution",
    "Solver",
    "Stencil",
    "StencilBasis",
    "Sum",
    "SymmetricLowRank",
    "SymmetricStencil",
    "Turn",
    "galerkin",
    "remesh",
]
