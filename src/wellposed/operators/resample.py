"""Half the resolution and back: full weighting and linear interpolation on cells."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod, sqrt
from typing import Self

import torch
from torch import Tensor

from wellposed.errors import ShapeError, StructureError
from wellposed.operators.base import Operator
from wellposed.operators.boundary import extend, fold
from wellposed.operators.conv import CORRELATE, SPREAD


@dataclass(frozen=True, eq=False)
class Restrict(Operator):
    """Full weighting to half the resolution: [1, 3, 3, 1] / 8 along each axis, reflecting at the edge.

    A coarse cell covers two fine ones; the last cell of an odd axis covers one. Constants stay as they are,
    and so does an axis of a single cell.

        Prolong(space) = Restrict(space).T times 2 an axis (times 1 on the last cell of an odd axis)

    Shapes:    y (batch, channel, *space) -> (batch, channel, *ceil(space / 2))
    Raises:    ShapeError when y has another space
    """

    space: tuple[int, ...]

    def __post_init__(self) -> None:
        _check_space("Restrict", self.space)

    def apply(self, y: Tensor) -> Tensor:
        """Coarse features of fine ones."""
        _check_shape("Restrict", y, self.space)
        fine = extend(y, _reach(self.space), "reflecting")
        correlate = CORRELATE[len(self.space)]
        return correlate(fine, _kernel(self.space, y), stride=_stride(self.space), groups=y.shape[1])

    def apply_adjoint(self, z: Tensor) -> Tensor:
        """Transpose: each coarse value spread over the fine cells that it was made from."""
        _check_shape("the adjoint of Restrict", z, coarse_space(self.space))
        spread = SPREAD[len(self.space)]
        fine = spread(z, _kernel(self.space, z), stride=_stride(self.space), groups=z.shape[1])
        return fold(fine, _reach(self.space), "reflecting")

    def norm(self) -> float:
        """Return sqrt(1/2) an even axis, sqrt(13/16) an odd one: row sums of R R'."""
        return prod(1.0 if n == 1 else sqrt(13 / 16) if n % 2 else sqrt(1 / 2) for n in self.space)

    @classmethod
    def examples(cls) -> Sequence[tuple[Self, tuple[int, ...]]]:
        """One to three axes, odd and even."""
        return [(cls(space), (2, 2, *space)) for space in _EXAMPLES]


@dataclass(frozen=True, eq=False)
class Prolong(Operator):
    """Linear interpolation from the coarse cells of `Restrict(space)` back to the fine ones.

    Constants stay as they are; beyond the middle of the outermost coarse cell the value is kept.

    Shapes:    y (batch, channel, *ceil(space / 2)) -> (batch, channel, *space)
    Raises:    ShapeError when y is not that of half the resolution
    """

    space: tuple[int, ...]

    def __post_init__(self) -> None:
        _check_space("Prolong", self.space)

    def apply(self, y: Tensor) -> Tensor:
        """Fine features of coarse ones."""
        return Restrict(self.space).apply_adjoint(y * self._cells(y))

    def apply_adjoint(self, z: Tensor) -> Tensor:
        """Transpose."""
        coarse = Restrict(self.space).apply(z)
        return coarse * self._cells(coarse)

    def norm(self) -> float:
        """Return sqrt(2) an axis: row sums of P'P."""
        return prod(1.0 if n == 1 else sqrt(2) for n in self.space)

    @classmethod
    def examples(cls) -> Sequence[tuple[Self, tuple[int, ...]]]:
        """One to three axes, odd and even."""
        return [(cls(space), (2, 2, *coarse_space(space))) for space in _EXAMPLES]

    def _cells(self, like: Tensor) -> Tensor:
        """How many fine cells each coarse one covers."""
        cells = torch.ones((), dtype=like.dtype, device=like.device)
        for n in self.space:
            along = torch.full(((n + 1) // 2,), 2.0, dtype=like.dtype, device=like.device)
            if n % 2:  # also the only cell of an axis that has one
                along[-1] = 1.0
            cells = cells[..., None] * along
        return cells


def coarse_space(space: Sequence[int]) -> tuple[int, ...]:
    """Return the space of half the resolution."""
    return tuple((n + 1) // 2 for n in space)


_EXAMPLES: tuple[tuple[int, ...], ...] = ((6,), (7,), (4, 5), (2, 3), (1, 4), (3, 4, 5))


def _reach(space: tuple[int, ...]) -> list[tuple[int, int]]:
    """Fine cells beyond the edges that the outermost coarse cells ask for."""
    return [(0, 0) if n == 1 else (1, 2 if n % 2 else 1) for n in space]


def _stride(space: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(1 if n == 1 else 2 for n in space)


def _kernel(space: tuple[int, ...], like: Tensor) -> Tensor:
    weights = torch.tensor([1.0, 3.0, 3.0, 1.0], dtype=like.dtype, device=like.device) / 8
    kernel = torch.ones((), dtype=like.dtype, device=like.device)
    for n in space:
        kernel = kernel[..., None] * (weights.sum(0, keepdim=True) if n == 1 else weights)
    return kernel.expand(like.shape[1], 1, *kernel.shape).contiguous()


def _check_space(name: str, space: tuple[int, ...]) -> None:
    if not 1 <= len(space) <= 3 or min(space) < 1:
        raise StructureError(
            f"{name} cannot work on this space",
            given=f"space={space}",
            expected="one to three positive sizes",
            way_out="hand over `y.shape[2:]` of the fine features",
        )


def _check_shape(name: str, y: Tensor, space: tuple[int, ...]) -> None:
    if tuple(y.shape[2:]) != tuple(space):
        raise ShapeError(
            f"{name} cannot act on this array",
            given=f"an array of shape {tuple(y.shape)}",
            expected=f"(batch, channel, {', '.join(map(str, space))})",
            way_out="make the operator for the space of these features",
        )
