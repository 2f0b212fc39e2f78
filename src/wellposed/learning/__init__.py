"""Learning from partial, uncertain labels: labels, objectives, and the methods that make them small."""

from wellposed.learning.column_density import ColumnDensity
from wellposed.learning.continuation import Continuation, Levels
from wellposed.learning.cross_entropy import CrossEntropy
from wellposed.learning.fit import Stochastic, fit
from wellposed.learning.gauss_newton import GaussNewton
from wellposed.learning.head_newton import HeadNewton
from wellposed.learning.labels import Labels
from wellposed.learning.lbfgs import LBFGS
from wellposed.learning.least_squares import LeastSquares
from wellposed.learning.method import Method
from wellposed.learning.metrics import Score, score
from wellposed.learning.objective import Objective, WeightedSum
from wellposed.learning.one_cycle import OneCycle
from wellposed.learning.projected import Projected
from wellposed.learning.record import Best, Fit, Record
from wellposed.learning.sample_average import SampleAverage
from wellposed.learning.sampled import Sampled
from wellposed.learning.seeds import derive_seed, generator
from wellposed.learning.small_weights import SmallWeights
from wellposed.learning.smooth_in_time import SmoothInTime

__all__ = [
    "LBFGS",
    "Best",
    "ColumnDensity",
    "Continuation",
    "CrossEntropy",
    "Fit",
    "GaussNewton",
    "HeadNewton",
    "Labels",
    "LeastSquares",
    "Levels",
    "Method",
    "Objective",
    "OneCycle",
    "Projected",
    "Record",
    "SampleAverage",
    "Sampled",
    "Score",
    "SmallWeights",
    "SmoothInTime",
    "Stochastic",
    "WeightedSum",
    "derive_seed",
    "fit",
    "generator",
    "score",
]
