"""The plain residual network: what everybody uses, and what makes no promise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from torch import Tensor

from wellposed.dynamics.activation import activate, check_activation
from wellposed.dynamics.base import Extent, FirstOrder, Theta, check_square
from wellposed.dynamics.normalise import channel_norm
from wellposed.operators import Conv, Dense, Family


@dataclass(frozen=True)
class Residual(FirstOrder):
    """Move by two convolutions with an activation between them.

        y' = K2 s(norm(K1 y) + b)

    Claims no stability: nothing ties K2 to K1. The norm, over the channels of each place, keeps the rate
    bounded: |y'| <= |K2| (sqrt(channels) + |b|) at each place, however large y.

    Shapes:    K1 and K2 of the family, b (channel,); y (batch, channel, *space) -> the same
    Raises:    StructureError when K changes the number of channels
    Reference: He et al., Deep residual learning, 2016, arXiv:1512.03385
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
        """K2 s(norm(K1 y) + b)."""
        return double(self.operator, self.activation, theta, y)

    def extent(self, theta: Theta) -> Extent | None:
        """Claim nothing."""
        return None

    @classmethod
    def examples(cls) -> Sequence[tuple[Self, tuple[int, ...]]]:
        """Over a plane and without space."""
        return [(cls(Conv(4), "tanh"), (1, 4, 5, 4)), (cls(Dense(4), "tanh"), (2, 4))]


@dataclass(frozen=True)
class SingleResidual(FirstOrder):
    """Move by one layer.

        y' = s(K y + b)

    Claims no stability: the eigenvalues of K may lie anywhere.

    Shapes:    K of the family, b (channel,); y (batch, channel, *space) -> the same
    Raises:    StructureError when K changes the number of channels
    Reference: Haber and Ruthotto, Stable architectures for deep neural networks, 2017, arXiv:1705.03341, 2.1
    """

    operator: Family
    activation: str = "tanh"

    def __post_init__(self) -> None:
        check_activation(self.activation)
        check_square(self.operator)

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """K and b."""
        return {"K": self.operator.shape, "b": self.operator.shape[:1]}

    def rate(self, theta: Theta, y: Tensor) -> Tensor:
        """Return s(K y + b)."""
        return activate(self.activation, self.operator(theta["K"]) @ y, theta["b"])

    def extent(self, theta: Theta) -> Extent | None:
        """Claim nothing."""
        return None

    @classmethod
    def examples(cls) -> Sequence[tuple[Self, tuple[int, ...]]]:
        """Over a plane and without space."""
        return [(cls(Conv(2)), (2, 2, 5, 6)), (cls(Dense(3)), (2, 3))]


def double_shapes(operator: Family) -> dict[str, tuple[int, ...]]:
    """Return the shapes of K1, K2 and b."""
    return {"K1": operator.shape, "K2": operator.shape, "b": operator.shape[:1]}


def double(operator: Family, activation: str, theta: Theta, y: Tensor) -> Tensor:
    """K2 s(norm(K1 y) + b)."""
    K1, K2 = operator(theta["K1"]), operator(theta["K2"])
    return K2 @ activate(activation, channel_norm(K1 @ y), theta["b"])
