"""What operators make of one another: adjoints, multiples, sums, products, and K'K."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from wellposed.operators.base import Operator, check_channels
from wellposed.operators.dense import Matrix
from wellposed.operators.solve import check_shift


@dataclass(frozen=True, eq=False)
class Adjoint(Operator):
    """K', where K has no shorter name for it."""

    of: Operator

    def apply(self, y: Tensor) -> Tensor:
        """K' y."""
        return self.of.apply_adjoint(y)

    def apply_adjoint(self, z: Tensor) -> Tensor:
        """K z."""
        return self.of.apply(z)

    @property
    def takes(self) -> int | None:
        """Channels that K gives."""
        return self.of.gives

    @property
    def gives(self) -> int | None:
        """Channels that K takes."""
        return self.of.takes

    def norm(self) -> float:
        """Return the bound of K."""
        return self.of.norm()

    @property
    def T(self) -> Operator:
        """K itself."""
        return self.of

    @classmethod
    def examples(cls) -> Sequence[tuple[Self, tuple[int, ...]]]:
        """Adjoint of a dense map from three channels to two."""
        return [(cls(_small(2, 3)), (2, 2, 4))]


@dataclass(frozen=True, eq=False)
class Scaled(Operator):
    """c K."""

    of: Operator
    factor: float | Tensor

    def apply(self, y: Tensor) -> Tensor:
        """Return c K y."""
        return self.factor * self.of.apply(y)

    def apply_adjoint(self, z: Tensor) -> Tensor:
        """Return c K' z."""
        return self.factor * self.of.apply_adjoint(z)

    @property
    def takes(self) -> int | None:
        """As K."""
        return self.of.takes

    @property
    def gives(self) -> int | None:
        """As K."""
        return self.of.gives

    def norm(self) -> float:
        """|c| times the bound of K."""
        return abs(float(self.factor)) * self.of.norm()

    @property
    def symmetric(self) -> bool:
        """As K."""
        return self.of.symmetric

    @classmethod
    def examples(cls) -> Sequence[tuple[Self, tuple[int, ...]]]:
        """Scaled dense map."""
        return [(cls(_small(2, 3), -0.7), (2, 3, 4))]


@dataclass(frozen=True, eq=False)
class Sum(Operator):
    """K + L."""

    first: Operator
    second: Operator

    def apply(self, y: Tensor) -> Tensor:
        """K y + L y."""
        return self.first.apply(y) + self.second.apply(y)

    def apply_adjoint(self, z: Tensor) -> Tensor:
        """K' z + L' z."""
        return self.first.apply_adjoint(z) + self.second.apply_adjoint(z)

    @property
    def takes(self) -> int | None:
        """As K."""
        return self.first.takes

    @property
    def gives(self) -> int | None:
        """As K."""
        return self.first.gives

    def norm(self) -> float:
        """Sum of the bounds."""
        return self.first.norm() + self.second.norm()

    @property
    def symmetric(self) -> bool:
        """Where both are."""
        return self.first.symmetric and self.second.symmetric

    @classmethod
    def examples(cls) -> Sequence[tuple[Self, tuple[int, ...]]]:
        """Sum of two dense maps."""
        return [(cls(_small(2, 3), _small(2, 3, seed=1)), (2, 3, 4))]


@dataclass(frozen=True, eq=False)
class Product(Operator):
    """K L, first L."""

    outer: Operator
    inner: Operator

    def apply(self, y: Tensor) -> Tensor:
        """K (L y)."""
        return self.outer.apply(self.inner.apply(y))

    def apply_adjoint(self, z: Tensor) -> Tensor:
        """L' (K' z)."""
        return self.inner.apply_adjoint(self.outer.apply_adjoint(z))

    @property
    def takes(self) -> int | None:
        """As L."""
        return self.inner.takes

    @property
    def gives(self) -> int | None:
        """As K."""
        return self.outer.gives

    def norm(self) -> float:
        """Product of the bounds."""
        return self.outer.norm() * self.inner.norm()

    @classmethod
    def examples(cls) -> Sequence[tuple[Self, tuple[int, ...]]]:
        """Product of two dense maps."""
        return [(cls(_small(4, 2), _small(2, 3, seed=1)), (2, 3, 4))]


@dataclass(frozen=True, eq=False)
class Normal(Operator):
    """K'K, symmetric and non-negative; (I + h K'K) is inverted by the solver that K names."""

    root: Operator

    def apply(self, y: Tensor) -> Tensor:
        """K' (K y)."""
        return self.root.apply_adjoint(self.root.apply(y))

    def apply_adjoint(self, z: Tensor) -> Tensor:
        """K' (K z)."""
        return self.apply(z)

    @property
    def takes(self) -> int | None:
        """As K."""
        return self.root.takes

    def norm(self) -> float:
        """Square of the bound of K."""
        return self.root.norm() ** 2

    @property
    def symmetric(self) -> bool:
        """By construction."""
        return True

    def solve_shifted(self, h: float | Tensor, b: Tensor) -> Tensor:
        """Return x with (I + h K'K) x = b.

        Shapes:    b as y
        Units:     h in the units of the time grid, not negative
        Raises:    StructureError when h is negative or no finite number; ShapeError when b does not fit;
                   StepError when an iterative solver does not converge
        Cost:      two transforms by Fourier and cosine; some applications of K'K by conjugate gradients
        """
        check_shift(h)
        if self.takes is not None:
            check_channels("a solve", b, self.takes)
        return self.root.solver.solve(self.root, h, b)

    @classmethod
    def examples(cls) -> Sequence[tuple[Self, tuple[int, ...]]]:
        """K'K of a dense map."""
        return [(cls(_small(2, 3)), (2, 3, 4))]


def _small(rows: int, columns: int, seed: int = 0) -> Operator:
    """Return a dense operator, for examples."""
    generator = torch.Generator().manual_seed(seed)
    return Matrix(torch.randn(rows, columns, generator=generator, dtype=torch.float64))
