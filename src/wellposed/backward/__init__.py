"""Backward rules: how a march is run so that its derivative can be found."""

from wellposed.backward.backprop import Backprop
from wellposed.backward.base import BackwardRule, March, merge
from wellposed.backward.checkpointed import Checkpointed
from wellposed.backward.reversed import Reversed

__all__ = ["Backprop", "BackwardRule", "Checkpointed", "March", "Reversed", "merge"]
