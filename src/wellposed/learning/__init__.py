"""Learning from partial, uncertain labels: labels, objectives, and the stochastic fit."""

from wellposed.learning.column_density import ColumnDensity
from wellposed.learning.cross_entropy import CrossEntropy
from wellposed.learning.fit import fit
from wellposed.learning.labels import Labels
from wellposed.learning.least_squares import LeastSquares
from wellposed.learning.metrics import Score, score
from wellposed.learning.objective import Objective, WeightedSum
from wellposed.learning.one_cycle import OneCycle
from wellposed.learning.record import Best, Fit, Record
from wellposed.learning.seeds import derive_seed, generator
from wellposed.learning.smooth_in_time import SmoothInTime

__all__ = [
    "Best",
    "ColumnDensity",
    "CrossEntropy",
    "Fit",
    "Labels",
    "LeastSquares",
    "Objective",
    "OneCycle",
    "Record",
    "Score",
    "SmoothInTime",
    "WeightedSum",
    "derive_seed",
    "fit",
    "generator",
    "score",
]
