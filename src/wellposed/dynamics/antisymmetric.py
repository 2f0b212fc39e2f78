"""Rotation of features: an antisymmetric derivative neither amplifies nor damps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from wellposed.dynamics.activation import activate, check_activation
from wellposed.dynamics.base import Extent, FirstOrder, Theta, check_damping, check_square
from wellposed.operators import Conv, Dense, Family


@dataclass(frozen=True)
class Antisymmetric(FirstOrder):
    """Turn about an antisymmetric operator, against a damping c.

        y' = s((K - K') y + b - c y)

    Its derivative D (K - K' - c), D = diag(s') between 0 and 1, has the eigenvalues of
    D^1/2 (K - K' - c) D^1/2: r (-c + i w) with r from 0 to 1, |w| <= |K - K'|. They do not bound
    perturbations where D varies in time: measure kinematic eigenvalues. For constant weights and c = 0 the
    sum of S((K - K') y + b) is conserved, S' = s.

    Shapes:    K of the family, b (channel,); y (batch, channel, *space) -> the same
    Units:     c in one over the units of the time grid
    Raises:    StructureError when K changes the number of channels, or the damping is negative
    Reference: Haber and Ruthotto, Stable architectures for deep neural networks, 2017, arXiv:1705.03341
    """

    operator: Family
    activation: str = "tanh"
    damping: float = 0.0

    def __post_init__(self) -> None:
        check_activation(self.activation)
        check_square(self.operator)
        check_damping(self.damping)

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """K and b."""
        return {"K": self.operator.shape, "b": self.operator.shape[:1]}

    def start(self, generator: torch.Generator | None = None) -> dict[str, Tensor]:
        """Return kernels half as large as others: K - K' is up to twice K."""
        return {name: value / 2 for name, value in super().start(generator).items()}

    def rate(self, theta: Theta, y: Tensor) -> Tensor:
        """Return s((K - K') y + b - c y)."""
        K = self.operator(theta["K"])
        turned = (K - K.T) @ y
        u = torch.sub(turned, y, alpha=self.damping) if self.damping else turned
        return activate(self.activation, u, theta["b"])

    def extent(self, theta: Theta) -> Extent | None:
        """|K - K'| along the imaginary axis; with damping the triangle of 0 and -c +- i |K - K'|."""
        K = self.operator(theta["K"])
        return Extent(self.damping, (K - K.T).norm(), triangle=self.damping > 0)

    @classmethod
    def examples(cls) -> Sequence[tuple[Self, tuple[int, ...]]]:
        """Over a plane, and without space with damping."""
        return [(cls(Conv(2)), (2, 2, 5, 6)), (cls(Dense(3), damping=0.2), (2, 3))]
