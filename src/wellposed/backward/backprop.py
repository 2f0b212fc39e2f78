"""Autograd keeps every update."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from wellposed.backward.base import BackwardRule, March, Updates
from wellposed.dynamics import State
from wellposed.integrators import advance


@dataclass(frozen=True)
class Backprop(BackwardRule):
    """Let autograd keep every update: exact for all of them.

    Cost:      memory in proportion to the number of steps
    """

    exact = True

    def check(self, updates: Updates) -> None:
        """Take everything."""

    def run(self, march: March, s: State) -> State:
        """Return the state at the end."""
        return advance(march.updates, march.thetas, s)

    @classmethod
    def examples(cls) -> Sequence[Self]:
        """Itself."""
        return [cls()]
