"""Dense maps over channels, the same at every place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from wellposed.operators.base import Operator, check_channels
from wellposed.operators.family import Family, check_positive
from wellposed.operators.solve import Direct, Solver


@dataclass(frozen=True, eq=False)
class Matrix(Operator):
    """K y over the channels: z[o] = sum_c K[o, c] y[c].

    Shapes:    kernel (out, in); y (batch, in, *space) -> (batch, out, *space), with any number of axes
    """

    kernel: Tensor

    def apply(self, y: Tensor) -> Tensor:
        """K y."""
        check_channels("a dense operator", y, self.takes)
        return _over_channels(self.kernel, y)

    def apply_adjoint(self, z: Tensor) -> Tensor:
        """K' z."""
        check_channels("the adjoint of a dense operator", z, self.gives)
        return _over_channels(self.kernel.T, z)

    @property
    def takes(self) -> int:
        """Columns."""
        return self.kernel.shape[1]

    @property
    def gives(self) -> int:
        """Rows."""
        return self.kernel.shape[0]

    def norm(self) -> float:
        """Return the largest singular value, exact up to rounding."""
        return float(torch.linalg.matrix_norm(self.kernel.detach().double(), 2))

    def skew_norm(self) -> float:
        """Return the largest singular value of K - K', exact up to rounding."""
        kernel = self.kernel.detach().double()
        return float(torch.linalg.matrix_norm(kernel - kernel.T, 2))

    @property
    def solver(self) -> Solver:
        """Factorise a matrix of channels by channels."""
        return Direct()

    @classmethod
    def examples(cls) -> Sequence[tuple[Self, tuple[int, ...]]]:
        """Square without space, wide over one axis, tall over two."""
        generator = torch.Generator().manual_seed(0)
        shapes = {(4, 4): (3, 4), (2, 5): (2, 5, 7), (5, 2): (1, 2, 3, 4)}
        return [
            (cls(torch.randn(rows, generator=generator, dtype=torch.float64)), shape)
            for rows, shape in shapes.items()
        ]


@dataclass(frozen=True)
class Dense(Family):
    """Name the dense maps over channels: from `channels` to `out`, or to as many."""

    channels: int
    out: int | None = None

    def __post_init__(self) -> None:
        check_positive("Dense", channels=self.channels, out=self.out)

    @property
    def shape(self) -> tuple[int, ...]:
        """(out, in)."""
        return self.out or self.channels, self.channels

    def build(self, kernel: Tensor) -> Matrix:
        """Return the operator."""
        return Matrix(kernel)

    def remesh(self, kernel: Tensor, ratio: float | Sequence[float]) -> Tensor:
        """Return the kernel: it mixes channels and knows no space."""
        return kernel

    @classmethod
    def examples(cls) -> Sequence[tuple[Self, tuple[int, ...]]]:
        """Square and tall."""
        return [(cls(4), (2, 4)), (cls(2, out=3), (2, 2, 5))]


def _over_channels(kernel: Tensor, y: Tensor) -> Tensor:
    if y.ndim == 2:
        return y @ kernel.T
    return (kernel @ y.flatten(2)).reshape(y.shape[0], -1, *y.shape[2:])
