"""Backward rules: how a march is run so that its derivative can be found."""

from wellposed.backward.backprop import Backprop
from wellposed.backward.base import BackwardRule, March
from wellposed.backward.checkpointed import Checkpointed
from wellposed.backward.continuous import ContinuousAdjoint
from wellposed.backward.reversed import Reversed, reversal_error

__all__ = [
    "Backprop",
    "BackwardRule",
    "Checkpointed",
    "ContinuousAdjoint",
    "March",
    "Reversed",
    "reversal_error",
]
