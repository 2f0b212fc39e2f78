"""Antisymmetric operators: what an operator is less its adjoint."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from wellposed.operators.base import Operator
from wellposed.operators.boundary import BOUNDARIES
from wellposed.operators.conv import Correlation
from wellposed.operators.dense import Matrix


@dataclass(frozen=True, eq=False)
class Skew(Operator):
    """K - K', whose adjoint is its negative: <y, (K - K') y> = 0."""

    root: Operator

    def apply(self, y: Tensor) -> Tensor:
        """K y - K' y."""
        return self.root.apply(y) - self.root.apply_adjoint(y)

    def apply_adjoint(self, z: Tensor) -> Tensor:
        """K' z - K z."""
        return self.root.apply_adjoint(z) - self.root.apply(z)

    @property
    def takes(self) -> int | None:
        """As K."""
        return self.root.takes

    def norm(self) -> float:
        """Return the bound that K knows."""
        return self.root.skew_norm()

    @classmethod
    def examples(cls) -> Sequence[tuple[Self, tuple[int, ...]]]:
        """Antisymmetric part of a dense map and of a convolution under each boundary."""
        kernel = torch.randn(2, 2, 3, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
        convolutions = [(cls(Correlation(kernel, boundary)), (2, 2, 5, 4)) for boundary in BOUNDARIES]
        return [(cls(Matrix(kernel[0, 0])), (2, 3, 4)), *convolutions]
