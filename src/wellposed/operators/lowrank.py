"""Symmetric maps of low rank over channels: few weights for many channels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from wellposed.errors import StructureError
from wellposed.operators.base import Operator
from wellposed.operators.dense import Matrix
from wellposed.operators.family import Family, check_positive


@dataclass(frozen=True, eq=False)
class SymmetricLowRank(Operator):
    """K = U' S U, S = diag(+1, ..., -1, ...): of rank r, with half of its signs negative.

    Shapes:    factor U (rank, channel); y (batch, channel, *space) -> the same
    """

    factor: Tensor

    def apply(self, y: Tensor) -> Tensor:
        """K y."""
        U = Matrix(self.factor)
        z = U @ y
        return U.T @ (z * self._signs.reshape(-1, *(1,) * (z.ndim - 2)))

    def apply_adjoint(self, z: Tensor) -> Tensor:
        """K z: symmetric."""
        return self.apply(z)

    @property
    def takes(self) -> int:
        """Columns of U."""
        return self.factor.shape[1]

    @property
    def gives(self) -> int:
        """As many."""
        return self.factor.shape[1]

    def norm(self) -> float:
        """Return the largest |eigenvalue|, exact up to rounding: that of S U U'."""
        U = self.factor.detach().double()
        return float(torch.linalg.eigvals(self._signs.double()[:, None] * (U @ U.T)).abs().max())

    @property
    def symmetric(self) -> bool:
        """By construction."""
        return True

    @property
    def _signs(self) -> Tensor:
        rank = self.factor.shape[0]
        signs = torch.ones(rank, dtype=self.factor.dtype, device=self.factor.device)
        signs[(rank + 1) // 2 :] = -1
        return signs

    @classmethod
    def examples(cls) -> Sequence[tuple[Self, tuple[int, ...]]]:
        """Of rank three and one."""
        generator = torch.Generator().manual_seed(0)
        three, one = (torch.randn(r, 5, generator=generator, dtype=torch.float64) for r in (3, 1))
        return [(cls(three), (2, 5)), (cls(one), (1, 5, 4))]


@dataclass(frozen=True)
class LowRank(Family):
    """Name the symmetric maps of one rank: `rank` times `channels` weights.

    Raises:    StructureError when the rank is above the number of channels
    Reference: Peters, Haber and Lensink, Fully hyperbolic networks for large images, 2020: symmetric layers
    """

    channels: int
    rank: int

    def __post_init__(self) -> None:
        check_positive("LowRank", channels=self.channels, rank=self.rank)
        if self.rank > self.channels:
            raise StructureError(
                "a rank is at most the number of channels",
                given=f"rank={self.rank}, channels={self.channels}",
                expected="a smaller rank",
                way_out="take Dense for full rank",
            )

    @property
    def shape(self) -> tuple[int, ...]:
        """(rank, channel)."""
        return self.rank, self.channels

    def build(self, kernel: Tensor) -> SymmetricLowRank:
        """Return the operator."""
        return SymmetricLowRank(kernel)

    def remesh(self, kernel: Tensor, ratio: float | Sequence[float]) -> Tensor:
        """Return the kernel: it mixes channels and knows no space."""
        return kernel

    @classmethod
    def examples(cls) -> Sequence[tuple[Self, tuple[int, ...]]]:
        """Two of four."""
        return [(cls(4, 2), (2, 4, 3))]
