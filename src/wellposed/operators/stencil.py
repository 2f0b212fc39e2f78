"""Symmetric stencils: the implicit operators that a cosine transform inverts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Self

import torch
from torch import Tensor

from wellposed.errors import StructureError
from wellposed.operators.axes import along_axes
from wellposed.operators.base import Operator
from wellposed.operators.boundary import check_boundary
from wellposed.operators.conv import Correlation
from wellposed.operators.family import Family, check_positive, per_axis
from wellposed.operators.solve import ConjugateGradients, Cosine, Fourier, Solver


@dataclass(frozen=True, eq=False)
class SymmetricStencil(Operator):
    """Sum of products of second differences, each channel with its own weights.

        K = sum_a w[a] D_1^a1 D_2^a2 ..., a in {0, 1}^dims, D = [-1, 2, -1] along one axis

    In two dimensions w holds the mass, the difference along each axis and their product: 4 numbers a
    channel, 8 in three. Weights of one sign make K itself of that sign; w[0, 0] = 0 keeps the mean.
    The cosine transform makes K a multiplication under a reflecting boundary, Fourier under a periodic one.

    Shapes:    weights (channel, 2, ..., 2), w[c, a1, a2, ...]; y (batch, channel, *space) -> the same
    """

    weights: Tensor
    boundary: str = "reflecting"

    def apply(self, y: Tensor) -> Tensor:
        """K y."""
        return self._correlation.apply(y)

    def apply_adjoint(self, z: Tensor) -> Tensor:
        """K z: symmetric."""
        return self._correlation.apply(z)

    @property
    def takes(self) -> int:
        """A channel a set of weights."""
        return self.weights.shape[0]

    def norm(self) -> float:
        """Return the largest value of the symbol: linear in each D from 0 to 4, so found at a corner."""
        corners = product((0.0, 4.0), repeat=self.weights.ndim - 1)
        powers = [[_tensor([[1.0, value]], self.weights) for value in corner] for corner in corners]
        return max(float(along_axes(self.weights.detach(), factors).abs().max()) for factors in powers)

    @property
    def symmetric(self) -> bool:
        """By construction."""
        return True

    @property
    def solver(self) -> Solver:
        """Cosine under a reflecting boundary, Fourier under a periodic one."""
        solvers: dict[str, Solver] = {"reflecting": Cosine(), "periodic": Fourier()}
        return solvers.get(self.boundary, ConjugateGradients())

    def gain(self, space: tuple[int, ...]) -> Tensor:
        """k^2 at the frequencies of the transform of the solver, a channel.

        Shapes:    (channel, *frequencies)
        """
        turn = {"reflecting": 1, "periodic": 2}.get(self.boundary)
        if turn is None:
            return super().gain(space)
        counts = list(space)
        if turn == 2:
            counts[-1] = space[-1] // 2 + 1
        factors = []
        for size, count in zip(space, counts, strict=True):
            frequency = torch.arange(count, dtype=self.weights.dtype, device=self.weights.device)
            difference = 2 - 2 * (frequency * (torch.pi * turn / size)).cos()
            factors.append(torch.stack([torch.ones_like(difference), difference], dim=1))
        return along_axes(self.weights, factors).square()

    @classmethod
    def examples(cls) -> Sequence[tuple[Self, tuple[int, ...]]]:
        """Every boundary, one to three dimensions, odd and even sizes."""
        kinds: list[tuple[str, tuple[int, ...]]] = [
            ("reflecting", (2, 3, 5, 6)),
            ("periodic", (2, 3, 6, 5)),
            ("zero", (1, 2, 4, 5)),
        ]
        kinds += [("reflecting", (2, 2, 7)), ("reflecting", (1, 2, 4, 3, 5))]
        generator = torch.Generator().manual_seed(0)
        examples = []
        for boundary, shape in kinds:
            weights = (shape[1],) + (2,) * (len(shape) - 2)
            values = torch.randn(weights, generator=generator, dtype=torch.float64)
            examples.append((cls(values, boundary), shape))
        return examples

    @property
    def _correlation(self) -> Correlation:
        basis = _tensor([[0.0, -1.0], [1.0, 2.0], [0.0, -1.0]], self.weights)
        kernel = along_axes(self.weights, [basis] * (self.weights.ndim - 1))
        return Correlation(kernel[:, None], self.boundary, depthwise=True)


@dataclass(frozen=True)
class Stencil(Family):
    """Name the symmetric stencils: `2 ** dims` weights a channel, in products of second differences.

    Raises:    StructureError when there is no such stencil
    """

    channels: int
    boundary: str = "reflecting"
    dims: int = 2

    def __post_init__(self) -> None:
        check_positive("Stencil", channels=self.channels)
        check_boundary(self.boundary)
        if self.dims not in (1, 2, 3):
            raise StructureError(
                "no stencil in so many dimensions",
                given=f"dims={self.dims}",
                expected="1, 2 or 3",
                way_out="say how many axes of space the features have",
            )

    @property
    def shape(self) -> tuple[int, ...]:
        """(channel, 2, ..., 2)."""
        return self.channels, *(2,) * self.dims

    def build(self, kernel: Tensor) -> SymmetricStencil:
        """Return the operator."""
        return SymmetricStencil(kernel, self.boundary)

    def remesh(self, kernel: Tensor, ratio: float | Sequence[float]) -> Tensor:
        """Return weights of the same derivatives: each second difference goes with the square of the mesh."""
        ratios = per_axis("Stencil", ratio, self.dims)
        factors = [_tensor([[1.0, 0.0], [0.0, r**-2]], kernel) for r in ratios]
        return along_axes(kernel, factors)

    @classmethod
    def examples(cls) -> Sequence[tuple[Self, tuple[int, ...]]]:
        """Over a line and over a plane."""
        return [(cls(2, dims=1), (2, 2, 5)), (cls(3, boundary="periodic"), (2, 3, 4, 5))]


def _tensor(rows: list[list[float]], like: Tensor) -> Tensor:
    return torch.tensor(rows, dtype=like.dtype, device=like.device)
