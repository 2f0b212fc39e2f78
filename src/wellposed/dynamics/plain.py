"""The networks that everybody began with, as differential equations: baselines without a promise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from torch import Tensor

from wellposed.dynamics.activation import ACTIVATIONS, activate, check_activation
from wellposed.dynamics.base import Extent, FirstOrder, Theta, check_square
from wellposed.dynamics.residual import double, double_shapes
from wellposed.operators import Conv, Dense, Family


@dataclass(frozen=True)
class Plain(FirstOrder):
    """Features relax to what a layer makes of them.

        y' = s(K y + b) - y

    A step of `Euler` with h = 1 is the plain network y_next = s(K y + b). Claims no stability.

    Shapes:    K of the family, b (channel,); y (batch, channel, *space) -> the same
    Raises:    StructureError when K changes the number of channels
    """

    operator: Family
    activation: str = "relu"

    def __post_init__(self) -> None:
        check_activation(self.activation)
        check_square(self.operator)

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """K and b."""
        return {"K": self.operator.shape, "b": self.operator.shape[:1]}

    def rate(self, theta: Theta, y: Tensor) -> Tensor:
        """Return s(K y + b) - y."""
        return activate(self.activation, self.operator(theta["K"]) @ y, theta["b"]) - y

    def extent(self, theta: Theta) -> Extent | None:
        """Claim nothing."""
        return None

    @classmethod
    def examples(cls) -> Sequence[tuple[Self, tuple[int, ...]]]:
        """Over a plane and without space."""
        return [(cls(Conv(2), "tanh"), (2, 2, 5, 6)), (cls(Dense(3), "tanh"), (2, 3))]


@dataclass(frozen=True)
class OuterResidual(FirstOrder):
    """The residual network as first published: the activation comes after the sum.

        y' = s(y + K2 s(norm(K1 y) + b)) - y

    A step of `Euler` with h = 1 is y_next = s(y + K2 s(...)). Claims no stability.

    Shapes:    K1 and K2 of the family, b (channel,); y (batch, channel, *space) -> the same
    Raises:    StructureError when K changes the number of channels
    Reference: He et al., Deep residual learning, 2016, arXiv:1512.03385, eq. 1
    """

    operator: Family
    activation: str = "relu"

    def __post_init__(self) -> None:
        check_activation(self.activation)
        check_square(self.operator)

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """K1, K2 and b."""
        return double_shapes(self.operator)

    def rate(self, theta: Theta, y: Tensor) -> Tensor:
        """Return s(y + K2 s(norm(K1 y) + b)) - y."""
        return ACTIVATIONS[self.activation](y + double(self.operator, self.activation, theta, y)) - y

    def extent(self, theta: Theta) -> Extent | None:
        """Claim nothing."""
        return None

    @classmethod
    def examples(cls) -> Sequence[tuple[Self, tuple[int, ...]]]:
        """Over a plane and without space."""
        return [(cls(Conv(4), "tanh"), (1, 4, 5, 4)), (cls(Dense(4), "tanh"), (2, 4))]
