"""Forward Euler: what a residual network does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from torch import Tensor

from wellposed.dynamics import FirstOrder, State
from wellposed.integrators.base import Integrator, Thetas, Update


@dataclass(frozen=True)
class Euler(Integrator):
    """Step y' = f(theta, y) forward.

        y_next = y + h f(theta(t), y)

    Stable for h |lambda| <= 2 on the negative real axis, for no h on the imaginary one.

    Cost:      one evaluation
    Reference: Haber and Ruthotto, Stable architectures for deep neural networks, 2017, arXiv:1705.03341
    """

    needs = FirstOrder
    order = 1
    nodes = (0.0,)

    def updates(self, f: FirstOrder, h: float) -> Sequence[Update]:
        """Return the one update."""

        def forward(thetas: Thetas, s: State) -> State:
            (y,) = s
            return (y.add(f.rate(thetas[0], y), alpha=h),)

        return [Update((0,), forward)]

    def growth(self, z: Tensor) -> Tensor:
        """|1 + z|."""
        return (1 + z).abs()

    @classmethod
    def examples(cls) -> Sequence[Self]:
        """Itself."""
        return [cls()]
