"""Features and their partners turn about one another: energy is kept, and every step can be undone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from wellposed.dynamics.activation import activate, check_activation
from wellposed.dynamics.base import Extent, Partitioned, Theta, check_damping, check_square
from wellposed.dynamics.symmetric import check_symmetric, symmetric, symmetric_shapes, with_scales
from wellposed.operators import Conv, Dense, Family


@dataclass(frozen=True)
class Hamiltonian(Partitioned):
    """One layer: features y and partners z turn by an operator and its adjoint, z against a damping c.

        y' = s(K z + b),    z' = -s(K' y + b) - c z

    For constant weights and c = 0 the sum of S(K z + b) + S(K' y + b) is conserved, S' = s.

    Shapes:    K of the family, b (channel,); y and z (batch, channel, *space) -> the same
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

    def rate_first(self, theta: Theta, z: Tensor) -> Tensor:
        """Return s(K z + b)."""
        return activate(self.activation, self.operator(theta["K"]) @ z, theta["b"])

    def rate_second(self, theta: Theta, y: Tensor) -> Tensor:
        """-s(K' y + b)."""
        return -activate(self.activation, self.operator(theta["K"]).T @ y, theta["b"])

    def extent(self, theta: Theta) -> Extent | None:
        """|K| along the imaginary axis."""
        return Extent(0.0, self.operator(theta["K"]).norm())

    @classmethod
    def examples(cls) -> Sequence[tuple[Self, tuple[int, ...]]]:
        """Over a plane, and without space with damping."""
        return [(cls(Conv(2)), (2, 2, 5, 6)), (cls(Dense(3), damping=0.4), (2, 3))]


@dataclass(frozen=True)
class DoubleHamiltonian(Partitioned):
    """Two layers: features y and partners z each move along the gradient of a convex energy of the other.

        y' = K1' s(K1 z + b1),    z' = -K2' s(K2 y + b2) - c z

    With norm="channel" each is K' s(g norm(K y) + b), as in the published networks, and no claim. Those
    halve the channels of the features between y and z.

    Shapes:    K1 and K2 of the family, b1, b2, g1, g2 (out channel,);
               y and z (batch, channel, *space) -> the same
    Units:     c in one over the units of the time grid
    Raises:    StructureError when the damping is negative
    Reference: Chang et al., Reversible architectures, 2018, arXiv:1709.03698
    """

    operator: Family
    activation: str = "relu"
    damping: float = 0.0
    norm: str = "none"

    def __post_init__(self) -> None:
        check_symmetric(self.operator, self.activation, self.norm)
        check_damping(self.damping)

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """K1, b1, K2, b2, with a norm the scales g1 and g2."""
        first, second = (symmetric_shapes(self.operator, self.norm, number) for number in "12")
        return {**first, **second}

    def start(self, generator: torch.Generator | None = None) -> dict[str, Tensor]:
        """Return small kernels, scales of one, biases of zero."""
        return with_scales(super().start(generator))

    def rate_first(self, theta: Theta, z: Tensor) -> Tensor:
        """K1' s(K1 z + b1)."""
        return symmetric(self.operator, self.activation, self.norm, theta, z, "1")

    def rate_second(self, theta: Theta, y: Tensor) -> Tensor:
        """-K2' s(K2 y + b2)."""
        return -symmetric(self.operator, self.activation, self.norm, theta, y, "2")

    def extent(self, theta: Theta) -> Extent | None:
        """|K1| |K2| along the imaginary axis; with a norm no claim."""
        if self.norm != "none":
            return None
        first, second = (self.operator(theta[f"K{number}"]).norm() for number in "12")
        return Extent(0.0, first * second)

    @classmethod
    def examples(cls) -> Sequence[tuple[Self, tuple[int, ...]]]:
        """Over a plane, and over a line with damping and a norm."""
        normed = cls(Conv(2, dims=1), "tanh", damping=0.4, norm="channel")
        return [(cls(Conv(2), "tanh"), (2, 2, 5, 6)), (normed, (2, 2, 5))]
