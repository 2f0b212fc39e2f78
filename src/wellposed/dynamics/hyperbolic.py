"""Waves of features: energy is kept, and every step can be undone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Self

from torch import Tensor

from wellposed.dynamics.activation import activate, check_activation
from wellposed.dynamics.base import Extent, SecondOrder, Theta
from wellposed.errors import StructureError
from wellposed.operators import Conv, Dense, Family


@dataclass(frozen=True)
class Hyperbolic(SecondOrder):
    """Accelerate down the gradient of a convex energy, against a damping c.

        y'' = -K' s(K y + b) - c y'

    Shapes:    K of the family, b (out channel,); y (batch, channel, *space) -> the same
    Units:     c in one over the units of the time grid
    Raises:    StructureError when the damping is negative
    Reference: Ruthotto and Haber, Deep neural networks motivated by PDEs, 2018, arXiv:1804.04272
    """

    operator: Family
    activation: str = "relu"
    damping: float = 0.0

    def __post_init__(self) -> None:
        check_activation(self.activation)
        if not (isfinite(self.damping) and self.damping >= 0):
            raise StructureError(
                "a negative damping feeds energy into the features",
                given=f"damping={self.damping}",
                expected="zero or more",
                way_out="choose a damping that is not negative",
            )

    @property
    def channels(self) -> int:
        """Channels of the features."""
        return self.operator.channels

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """K and b."""
        return {"K": self.operator.shape, "b": self.operator.shape[:1]}

    def acceleration(self, theta: Theta, y: Tensor) -> Tensor:
        """-K' s(K y + b)."""
        K = self.operator(theta["K"])
        return -(K.T @ activate(self.activation, K @ y, theta["b"]))

    def extent(self, theta: Theta) -> Extent | None:
        """|K| along the imaginary axis."""
        return Extent(0.0, self.operator(theta["K"]).norm())

    @classmethod
    def examples(cls) -> Sequence[tuple[Self, tuple[int, ...]]]:
        """Over a plane, and with damping."""
        return [(cls(Conv(2), "tanh"), (2, 2, 5, 6)), (cls(Dense(3), "tanh", damping=0.4), (2, 3))]
