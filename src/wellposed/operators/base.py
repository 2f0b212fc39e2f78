"""Linear maps between features: an operator is a value, and its adjoint is an operator again."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
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
    One that is its own adjoint says `symmetric`; one whose K'K is easy to invert names a `solver`. One
    that says how many channels it `takes` and `gives` is not composed with what does not fit.

    Shapes:    y (batch, channel, *space)
    Raises:    ShapeError when y does not fit; StructureError when K and L do not
    """

    __array_ufunc__ = None  # so that NumPy does not take an operator for a number

    def __init_subclass__(cls) -> None:
        """Keep the short repr: a dataclass prints whole tensors, unless its class has a repr already."""
        super().__init_subclass__()
        cls.__repr__ = cls.__repr__  # type: ignore[method-assign]

    def __repr__(self) -> str:
        """Return the kind and what it is made of, of tensors their shapes."""
        return f"{type(self).__name__}({', '.join(f'{k}={_shown(v)}' for k, v in vars(self).items())})"

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

    @property
    def takes(self) -> int | None:
        """Channels that it takes; None where any number will do, or where it does not say."""
        return None

    @property
    def gives(self) -> int | None:
        """Channels that it gives: as many as it takes, unless it says otherwise."""
        return self.takes

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
        from wellposed.operators.algebra import Adjoint

        return self if self.symmetric else Adjoint(self)

    @overload
    def __matmul__(self, other: Tensor) -> Tensor: ...
    @overload
    def __matmul__(self, other: Operator) -> Operator: ...
    def __matmul__(self, other: Tensor | Operator) -> Tensor | Operator:
        from wellposed.operators.algebra import Normal, Product

        if isinstance(other, Tensor):
            return self.apply(other)
        if not isinstance(other, Operator):
            raise StructureError(
                "an operator acts on tensors, and on operators",
                given=f"K @ x with x of type {type(other).__name__}",
                expected="x (batch, channel, *space), or an operator",
                way_out="make a tensor of an array by torch.as_tensor",
            )
        if self.T is other or other.T is self:
            return Normal(other)
        _check_fit("applied one after the other", self, other, (self.takes, other.gives))
        return Product(self, other)

    def __add__(self, other: Operator) -> Operator:
        from wellposed.operators.algebra import Sum

        if not isinstance(other, Operator):
            return NotImplemented
        _check_fit("added", self, other, (self.takes, other.takes), (self.gives, other.gives))
        return Sum(self, other)

    def __sub__(self, other: Operator) -> Operator:
        from wellposed.operators.algebra import Adjoint
        from wellposed.operators.skew import Skew

        if not isinstance(other, Operator):
            return NotImplemented
        if not (isinstance(other, Adjoint) and other.of is self):
            return self + -1.0 * other
        _check_fit("subtracted", self, other, (self.takes, self.gives))
        return Skew(self)

    def __mul__(self, factor: float | Tensor) -> Operator:
        from wellposed.operators.algebra import Scaled

        if not (factor.ndim == 0 if isinstance(factor, Tensor) else isinstance(factor, int | float)):
            raise StructureError(
                "an operator is multiplied by a number",
                given=f"a factor {_shown(factor)}",
                expected="a number, or a tensor without axes",
                way_out="K @ x applies it",
            )
        return Scaled(self, factor)

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


def check_channels(name: str, y: Tensor, channels: int, dims: int | None = None) -> None:
    """Raise ShapeError unless y is (batch, channels, *space) with `dims` axes of space."""
    wrong_space = dims is not None and y.ndim != dims + 2
    if y.ndim < 2 or y.shape[1] != channels or wrong_space:
        way_out = "open the features to the channels of the operator, or choose its channels to fit"
        if wrong_space and 3 <= y.ndim <= 5:
            way_out = f"say dims={y.ndim - 2} where it is made, or y[None] for a batch of one"
        raise ShapeError(
            f"{name} cannot act on this array",
            given=f"an array of shape {tuple(y.shape)}",
            expected=f"(batch, {channels} channels, {'*space' if dims is None else f'{dims} axes of space'})",
            way_out=way_out,
        )


def _check_fit(what: str, K: Operator, L: Operator, *pairs: tuple[int | None, int | None]) -> None:
    """Raise StructureError where two numbers of channels are known and differ."""
    apart = [pair for pair in pairs if None not in pair and pair[0] != pair[1]]
    if apart:
        raise StructureError(
            f"these operators cannot be {what}",
            given=f"{K} and {L}",
            expected=f"as many channels, not {apart[0][0]} and {apart[0][1]}",
            way_out="choose the channels of one of them to fit the other",
        )


def _shown(value: object) -> str:
    """Return what a repr says of a part: of arrays their shape alone."""
    shape = getattr(value, "shape", None)
    return repr(value) if shape is None else f"{type(value).__name__}{tuple(shape)}"
