"""Orthonormal Haar transform of one level: half the resolution, nothing lost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Self

import torch
from torch import Tensor

from wellposed.errors import ShapeError, StructureError
from wellposed.operators.base import Operator, check_channels


@dataclass(frozen=True, eq=False)
class Haar(Operator):
    """Means and differences of neighbouring pairs along each axis, as channels.

        (a, b) -> ((a + b) / sqrt 2, (a - b) / sqrt 2)    along one axis after the other

    Orthonormal: the adjoint is the inverse. In two dimensions (a b; c d) becomes 1/2 (a+b+c+d, a-b+c-d,
    a+b-c-d, a-b-c+d). The channels of each band stand together, the means first.

    Shapes:    y (batch, channels, *space) -> (batch, channels 2^dims, *space / 2)
    Raises:    StructureError in more than three dimensions; ShapeError when an axis of y is odd
    Reference: Lensink, Peters and Haber, Fully hyperbolic convolutional neural networks, 2019,
               arXiv:1905.10484
    """

    channels: int
    dims: int = 2

    def __post_init__(self) -> None:
        if self.dims not in (1, 2, 3):
            raise StructureError(
                "no Haar transform in so many dimensions",
                given=f"dims={self.dims}",
                expected="1, 2 or 3",
                way_out="say how many axes of space the features have",
            )

    def apply(self, y: Tensor) -> Tensor:
        """Means and differences."""
        check_channels("the Haar transform", y, self.channels, self.dims)
        if any(size % 2 for size in y.shape[2:]):
            raise ShapeError(
                "the Haar transform takes pairs",
                given=f"features over {tuple(y.shape[2:])}",
                expected="an even number of samples along each axis",
                way_out="pad or cut the features to even sizes",
            )
        for axis in reversed(range(2, 2 + self.dims)):  # the last axis changes fastest among the bands
            a, b = y.reshape(*y.shape[:axis], -1, 2, *y.shape[axis + 1 :]).unbind(axis + 1)
            y = torch.cat([a + b, a - b], dim=1) / sqrt(2)
        return y

    def apply_adjoint(self, z: Tensor) -> Tensor:
        """Pairs from their means and differences."""
        check_channels("the inverse Haar transform", z, self.gives, self.dims)
        for axis in range(2, 2 + self.dims):
            mean, difference = z.chunk(2, dim=1)
            z = torch.stack([mean + difference, mean - difference], dim=axis + 1).flatten(axis, axis + 1)
            z = z / sqrt(2)
        return z

    @property
    def takes(self) -> int:
        """Channels of the features."""
        return self.channels

    @property
    def gives(self) -> int:
        """A channel a band."""
        return self.channels * 2**self.dims

    def norm(self) -> float:
        """Return one."""
        return 1.0

    @classmethod
    def examples(cls) -> Sequence[tuple[Self, tuple[int, ...]]]:
        """One to three dimensions."""
        return [(cls(2, 1), (2, 2, 6)), (cls(2), (2, 2, 4, 6)), (cls(1, 3), (1, 1, 2, 4, 2))]
