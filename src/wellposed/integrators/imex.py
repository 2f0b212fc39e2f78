"""Implicit and explicit: the linear part by a solve, the rest by an evaluation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from torch import Tensor

from wellposed.dynamics import SemiLinear, State
from wellposed.integrators.base import Integrator, Thetas, Update


@dataclass(frozen=True)
class IMEX(Integrator):
    """Step y' = e(y) - L y with L implicit and e explicit.

        y_half = y + h e(theta(t), y)
        y_next = (I + h L(theta(t)))^-1 y_half

    Stable for any h when e = 0; one step couples the whole grid.

    Raises:    StepError when an iterative solve does not converge
    Cost:      one explicit evaluation, one shifted solve
    Reference: Haber et al., IMEXnet: a forward stable deep neural network, 2019, arXiv:1903.02639
    """

    needs = SemiLinear
    order = 1
    nodes = (0.0,)

    def updates(self, f: SemiLinear, h: float) -> Sequence[Update]:
        """Return the one update."""

        def forward(thetas: Thetas, s: State) -> State:
            (y,) = s
            half = y.add(f.explicit(thetas[0], y), alpha=h)
            return (f.linear(thetas[0]).solve_shifted(h, half),)

        return [Update((0,), forward)]

    def growth(self, z: Tensor) -> Tensor:
        """|1 + z|, of the explicit part: the implicit one only makes it less."""
        return (1 + z).abs()

    @classmethod
    def examples(cls) -> Sequence[Self]:
        """Itself."""
        return [cls()]
