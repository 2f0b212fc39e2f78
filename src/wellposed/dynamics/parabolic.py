"""Diffusion of features: every step smooths, distances never grow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from torch import Tensor

from wellposed.dynamics.activation import activate, check_activation
from wellposed.dynamics.base import Extent, FirstOrder, Theta
from wellposed.operators import Conv, Dense, Family


@dataclass(frozen=True)
class Parabolic(FirstOrder):
    """Move down the gradient of a convex energy.

        y' = -K' s(K y + b)

    The derivative -K' diag(s') K is symmetric and non-positive, so the distance of two states never grows.

    Shapes:    K of the family, b (out channel,); y (batch, channel, *space) -> the same
    Reference: Ruthotto and Haber, Deep neural networks motivated by PDEs, 2018, arXiv:1804.04272
    """

    operator: Family
    activation: str = "relu"

    def __post_init__(self) -> None:
        check_activation(self.activation)

    @property
    def channels(self) -> int:
        """Channels of the features."""
        return self.operator.channels

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """K and b."""
        return {"K": self.operator.shape, "b": self.operator.shape[:1]}

    def rate(self, theta: Theta, y: Tensor) -> Tensor:
        """-K' s(K y + b)."""
        K = self.operator(theta["K"])
        return -(K.T @ activate(self.activation, K @ y, theta["b"]))

    def extent(self, theta: Theta) -> Extent | None:
        """|K|^2 along the negative real axis."""
        return Extent(self.operator(theta["K"]).norm() ** 2, 0.0)

    @classmethod
    def examples(cls) -> Sequence[tuple[Self, tuple[int, ...]]]:
        """Over a plane and without space."""
        return [(cls(Conv(2), "tanh"), (2, 2, 5, 6)), (cls(Dense(3), "tanh"), (2, 3))]
