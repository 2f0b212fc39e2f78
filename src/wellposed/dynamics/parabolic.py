"""Diffusion of features: every step smooths, distances never grow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from wellposed.dynamics.base import Extent, FirstOrder, Theta
from wellposed.dynamics.symmetric import check_symmetric, symmetric, symmetric_shapes, with_scales
from wellposed.operators import Conv, Dense, Family


@dataclass(frozen=True)
class Parabolic(FirstOrder):
    """Move down the gradient of a convex energy.

        y' = -K' s(K y + b)

    The derivative -K' diag(s') K is symmetric and non-positive, so the distance of two states never grows.
    With norm="channel" it is y' = -K' s(g norm(K y) + b), as in the published networks, and no claim.

    Shapes:    K of the family, b and g (out channel,); y (batch, channel, *space) -> the same
    Reference: Ruthotto and Haber, Deep neural networks motivated by PDEs, 2018, arXiv:1804.04272
    """

    operator: Family
    activation: str = "relu"
    norm: str = "none"

    def __post_init__(self) -> None:
        check_symmetric(self.operator, self.activation, self.norm)

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """K and b, with a norm its scale g."""
        return symmetric_shapes(self.operator, self.norm)

    def start(self, generator: torch.Generator | None = None) -> dict[str, Tensor]:
        """Return small kernels, scales of one, biases of zero."""
        return with_scales(super().start(generator))

    def rate(self, theta: Theta, y: Tensor) -> Tensor:
        """-K' s(K y + b)."""
        return -symmetric(self.operator, self.activation, self.norm, theta, y)

    def extent(self, theta: Theta) -> Extent | None:
        """|K|^2 along the negative real axis; with a norm no claim."""
        return None if self.norm != "none" else Extent(self.operator(theta["K"]).norm() ** 2, 0.0)

    @classmethod
    def examples(cls) -> Sequence[tuple[Self, tuple[int, ...]]]:
        """Over a plane, without space, and with a norm."""
        normed = cls(Conv(2, dims=1), "tanh", norm="channel")
        return [(cls(Conv(2), "tanh"), (2, 2, 5, 6)), (cls(Dense(3), "tanh"), (2, 3)), (normed, (2, 2, 5))]
