"""Linear maps between features: an operator is a value, and its adjoint is an operator again."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Self, overload

import torch
from torch import Tensor

from wellposed.errors import ShapeError, StructureError
from wellposed.operators.solve import ConjugateGradients, Solver


class Operator(ABC):
    """A linear map y -> K y between features.

        K @ y             applies it
        K.T               its exact adjoint, <K y, z> = <y, K.T z>; K.T.T is K
        K + L, c * K      operators
        K @ L             an operator; K.T @ K is `Normal` and knows `solve_shifted`
        K - K.T           is `Skew`, whose adjoint is its negative

    A subclass says how it and its adjoint act, how large it is at most, and shows small examples.
    One that is its own adjoint says `symmetric`; one whose K'K is easy to invert names a `solver`.

    Shapes:    y (batch, channel, *space)
    Raises:    ShapeError when y does not fit
    """

    @abstractmethod
    def apply(self, y: Tensor) -> Tensor:
        """K y."""

    @abstractmethod
    def apply_adjoint(self, z: Tensor) -> Tensor:
        """K' z."""

    @abstractmethod
    def norm(self) -> float:
        """Return an upper bound of the 2-norm with the boundary as it is, for every size of the space."""

    @classmethod
    @abstractmethod
    def examples(cls) -> Sequence[tuple[Self, tuple[int, ...]]]:
        """Small seeded operators in float64, each with a shape (batch, channel, *space) that it acts on."""

    def skew_norm(self) -> float:
        """Return an upper bound of |K - K'| for every size of the space; a subclass may know a lower one."""
        return 2 * self.norm()

    @property
    def symmetric(self) -> bool:
        """Whether the operator is its own adjoint by construction."""
        return False

    @property
    def solver(self) -> Solver:
        """How (I + h K'K) x = b is solved."""
        return ConjugateGradients()

    def gain(self, space: tuple[int, ...]) -> Tensor:
        """K'K as a multiplication, where the solver of K has a transform that makes it one."""
        raise StructureError(
            "this operator is no multiplication in any transform",
            given=type(self).__name__,
            expected="a depthwise periodic Conv or a Stencil",
            way_out="leave the choice of the solver to the operator",
        )

    def solve_shifted(self, h: float | Tensor, b: Tensor) -> Tensor:
        """Return x with (I + h L) x = b, where L = K'K and so known to be symmetric and non-negative."""
        raise StructureError(
            "(I + h L) x = b is only solved for L = K'K",
            given=f"L of type {type(self).__name__}",
            expected="a product K.T @ K of an operator and its own adjoint",
            way_out="write the implicit part as K.T @ K",
        )

    @property
    def T(self) -> Operator:
        """The exact adjoint."""
        return self if self.symmetric else Adjoint(self)

    @overload
    def __matmul__(self, other: Tensor) -> Tensor: ...
    @overload
    def __matmul__(self, other: Operator) -> Operator: ...
    def __matmul__(self, other: Tensor | Operator) -> Tensor | Operator:
        if isinstance(other, Tensor):
            return self.apply(other)
        if isinstance(other, Operator):
            return Normal(other) if self.T is other or other.T is self else Product(self, other)
        return NotImplemented

    def __add__(self, other: Operator) -> Operator:
        return Sum(self, other) if isinstance(other, Operator) else NotImplemented

    def __sub__(self, other: Operator) -> Operator:
        from wellposed.operators.skew import Skew

        if not isinstance(other, Operator):
            return NotImplemented
        return Skew(self) if isinstance(other, Adjoint) and other.of is self else self + -1.0 * other

    def __mul__(self, factor: float | Tensor) -> Operator:
        return Scaled(self, factor) if isinstance(factor, int | float | Tensor) else NotImplemented

    __rmul__ = __mul__

    def __neg__(self) -> Operator:
        return -1.0 * self

    def as_matrix(self, shape: tuple[int, ...], dtype: torch.dtype = torch.float64) -> Tensor:
        """Return the matrix of K on one example, features flattened; for tests and small sizes.

        Shapes:    shape (channel, *space) -> (rows, prod(shape))
        Cost:      prod(shape) applications
        """
        count = prod(shape)
        columns = self @ torch.eye(count, dtype=dtype).reshape(count, *shape)
        return columns.reshape(count, -1).T


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
        Raises:    StepError when an iterative solver does not converge
        Cost:      two transforms by Fourier and cosine; some applications of K'K by conjugate gradients
        """
        return self.root.solver.solve(self.root, h, b)

    @classmethod
    def examples(cls) -> Sequence[tuple[Self, tuple[int, ...]]]:
        """K'K of a dense map."""
        return [(cls(_small(2, 3)), (2, 3, 4))]


def check_channels(name: str, y: Tensor, channels: int, dims: int | None = None) -> None:
    """Raise ShapeError unless y is (batch, channels, *space) with `dims` axes of space."""
    if y.ndim < 2 or y.shape[1] != channels or (dims is not None and y.ndim != dims + 2):
        space = "*space" if dims is None else f"{dims} axes of space"
        raise ShapeError(
            f"{name} cannot act on this array",
            given=f"an array of shape {tuple(y.shape)}",
            expected=f"(batch, {channels} channels, {space})",
            way_out="open the features to the channels of the operator, or choose its channels to fit",
        )


def _small(rows: int, columns: int, seed: int = 0) -> Operator:
    """Return a dense operator for the examples of the algebra, which need some operator to work on."""
    from wellposed.operators.dense import Matrix

    generator = torch.Generator().manual_seed(seed)
    return Matrix(torch.randn(rows, columns, generator=generator, dtype=torch.float64))
