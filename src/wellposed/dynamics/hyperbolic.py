"""Waves of features: energy is kept, and every step can be undone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from wellposed.dynamics.base import Extent, SecondOrder, Theta, check_damping
from wellposed.dynamics.symmetric import check_symmetric, symmetric, symmetric_shapes, with_scales
from wellposed.operators import Conv, Dense, Family


@dataclass(frozen=True)
class Hyperbolic(SecondOrder):
    """Accelerate down the gradient of a convex energy, against a damping c.

        y'' = -K' s(K y + b) - c y'

    With norm="channel" the acceleration is -K' s(g norm(K y) + b), as in the published networks, and no
    claim.

    Shapes:    K of the family, b and g (out channel,); y (batch, channel, *space) -> the same
    Units:     c in one over the units of the time grid
    Raises:    StructureError when the damping is negative
    Reference: Ruthotto and Haber, Deep neural networks motivated by PDEs, 2018, arXiv:1804.04272
    """

    operator: Family
    activation: str = "relu"
    damping: float = 0.0
    norm: str = "none"

    def __post_init__(self) -> None:
        check_symmetric(self.operator, self.activation, self.norm)
        check_damping(self.damping)

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """K and b, with a norm its scale g."""
        return symmetric_shapes(self.operator, self.norm)

    def start(self, generator: torch.Generator | None = None) -> dict[str, Tensor]:
        """Return small kernels, scales of one, biases of zero."""
        return with_scales(super().start(generator))

    def acceleration(self, theta: Theta, y: Tensor) -> Tensor:
        """-K' s(K y + b)."""
        return -symmetric(self.operator, self.activation, self.norm, theta, y)

    def extent(self, theta: Theta) -> Extent | None:
        """|K| along the imaginary axis; with a norm no claim."""
        return None if self.norm != "none" else Extent(0.0, self.operator(theta["K"]).norm())

    @classmethod
    def examples(cls) -> Sequence[tuple[Self, tuple[int, ...]]]:
        """Over a plane, with damping, and with a norm."""
        normed = cls(Conv(2, dims=1), "tanh", norm="channel")
        return [
            (cls(Conv(2), "tanh"), (2, 2, 5, 6)),
            (cls(Dense(3), "tanh", damping=0.4), (2, 3)),
            (normed, (2, 2, 5)),
        ]
