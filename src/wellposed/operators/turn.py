"""The antisymmetric block form: two halves of the channels turn about one another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from wellposed.errors import ShapeError
from wellposed.operators.base import Operator
from wellposed.operators.dense import Matrix


@dataclass(frozen=True, eq=False)
class Turn(Operator):
    """[[0, K], [-K', 0]] on features whose channels are (a, b): (K b, -K' a).

    Antisymmetric whatever K is, with the norm of K, and one application of K and one of its adjoint.

    Shapes:    K from `second` channels to `first`; y (batch, first + second, *space) -> the same
    Raises:    ShapeError when y has fewer channels
    """

    root: Operator
    first: int

    def apply(self, y: Tensor) -> Tensor:
        """(K b, -K' a)."""
        a, b = self._halves(y)
        return torch.cat([self.root.apply(b), -self.root.apply_adjoint(a)], dim=1)

    def apply_adjoint(self, z: Tensor) -> Tensor:
        """(-K b, K' a)."""
        return -self.apply(z)

    @property
    def takes(self) -> int | None:
        """Both groups."""
        return self.root.takes and self.first + self.root.takes

    def norm(self) -> float:
        """Return the bound of K."""
        return self.root.norm()

    @classmethod
    def examples(cls) -> Sequence[tuple[Self, tuple[int, ...]]]:
        """Two channels and three."""
        kernel = torch.randn(2, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
        return [(cls(Matrix(kernel), 2), (2, 5, 4))]

    def _halves(self, y: Tensor) -> tuple[Tensor, Tensor]:
        if y.ndim < 2 or y.shape[1] <= self.first:
            raise ShapeError(
                "the block form acts on two groups of channels",
                given=f"an array of shape {tuple(y.shape)}",
                expected=f"(batch, more than {self.first} channels, *space)",
                way_out="open the features to more channels, or make `first` smaller",
            )
        return y[:, : self.first], y[:, self.first :]
