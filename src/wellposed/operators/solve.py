"""Solvers of (I + h K'K) x = b: by Fourier, by cosines, directly, by conjugate gradients."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields, is_dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from wellposed.errors import StepError

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    from wellposed.operators.base import Operator


class Solver(Protocol):
    """How (I + h K'K) x = b is solved for one kind of K."""

    @property
    def name(self) -> str:
        """The word for reports."""
        ...

    def solve(self, K: Operator, h: float | Tensor, b: Tensor) -> Tensor:
        """Return x."""
        ...


@dataclass(frozen=True)
class Fourier:
    """Divide by 1 + h |k|^2 in Fourier space: a depthwise convolution under a periodic boundary."""

    name: str = "Fourier"

    def solve(self, K: Operator, h: float | Tensor, b: Tensor) -> Tensor:
        """Return x; exact up to rounding."""
        space = tuple(b.shape[2:])
        axes = tuple(range(2, b.ndim))
        # One response a kernel, not one an example.
        response = torch.reciprocal(1 + h * K.gain(space))
        x: Tensor = torch.fft.irfftn(torch.fft.rfftn(b, dim=axes) * response, s=space, dim=axes)
        return x


@dataclass(frozen=True)
class Cosine:
    """Divide by 1 + h k^2 in cosine space: a symmetric stencil under a reflecting boundary."""

    name: str = "cosine"

    def solve(self, K: Operator, h: float | Tensor, b: Tensor) -> Tensor:
        """Return x; exact up to rounding."""
        response = torch.reciprocal(1 + h * K.gain(tuple(b.shape[2:])))
        return inverse_cosine_transform(cosine_transform(b) * response)


@dataclass(frozen=True)
class Direct:
    """Factorise I + h K'K: a matrix over channels."""

    name: str = "direct"

    def solve(self, K: Operator, h: float | Tensor, b: Tensor) -> Tensor:
        """Return x; exact up to rounding."""
        channels = b.shape[1]
        unit = torch.eye(channels, dtype=b.dtype, device=b.device)
        shifted = unit + h * (K.T @ (K @ unit))
        columns = b.reshape(b.shape[0], channels, -1)
        x: Tensor = torch.linalg.solve(shifted, columns)
        return x.reshape(b.shape)


class Solution(NamedTuple):
    """What conjugate gradients found, and at what price."""

    x: Tensor
    iterations: int
    residual: float  # |b - (I + h K'K) x| / |b|, the worst example


@dataclass(frozen=True)
class ConjugateGradients:
    """Conjugate gradients on I + h K'K: any K, any boundary.

    Each example has its own step lengths, so that its answer does not depend on its batch.

        x = x0 + (I + h K'K)^-1 (b - (I + h K'K) x0)

    with x0 found first: the second term is below the tolerance, and carries every derivative.
    So both modes of differentiation hold to the tolerance, in b, in h and in the weights of K.

    Raises:    StepError when the tolerance is not met within the iterations
    Cost:      two applications of K and one of its adjoint more than the iterations, which are about
               sqrt(1 + h |K|^2) times the logarithm of the tolerance
    """

    tolerance: float | None = None  # of the residual relative to b; None: 1e-12 in float64, 1e-6 in float32
    iterations: int = 500
    name: str = "conjugate gradients"

    def solve(self, K: Operator, h: float | Tensor, b: Tensor) -> Tensor:
        """Return x, differentiable once."""
        step = torch.as_tensor(h, dtype=b.dtype, device=b.device)
        frozen = (step.detach(), *(value.detach() for value in tensors_of(K)))
        x = _inverse(b.detach(), None, K, self, *frozen)
        residual = b - x - step * (K.T @ (K @ x))
        return x + _inverse(residual, _size(b.detach()), K, self, *frozen)

    def report(self, K: Operator, h: float | Tensor, b: Tensor) -> Solution:
        """Return x with the iterations used and the residual reached; not differentiable."""
        with torch.no_grad():
            return self._iterate(K, h, b, _size(b))

    def _iterate(self, K: Operator, h: float | Tensor, b: Tensor, size: Tensor) -> Solution:
        """Iterate until the residual of every example is below tolerance times size."""
        small = torch.finfo(b.dtype)
        tolerance = self.tolerance if self.tolerance is not None else (1e-12 if small.bits == 64 else 1e-6)
        goal = tolerance * size
        x, r = torch.zeros_like(b), b
        p, rho = r, _size(r) ** 2
        for done in range(self.iterations + 1):
            reached = rho.sqrt()
            if bool((reached <= goal).all()):
                return Solution(x, done, float((reached / size.clamp_min(small.tiny)).max()))
            q = p + h * (K.T @ (K @ p))
            # The floor keeps an example that is solved exactly at rest.
            alpha = rho / _inner(p, q).clamp_min(small.tiny)
            x, r = x + alpha * p, r - alpha * q
            rho, before = _size(r) ** 2, rho
            p = r + rho / before.clamp_min(small.tiny) * p
        raise StepError(
            "conjugate gradients did not converge",
            given=f"relative residual {float((reached / size).max()):.1e} after {self.iterations} iterations",
            expected=f"at most {tolerance:.1e}",
            way_out="take a smaller step, a smaller operator, or allow a larger tolerance",
        )


class _Inverse(torch.autograd.Function):
    """b -> (I + h K'K)^-1 b with h and K held fixed: linear in b and its own adjoint.

    K comes as a pattern and its tensors apart, because inside torch.func only the arguments are unwrapped.
    """

    @staticmethod
    def forward(
        b: Tensor,
        size: Tensor | None,
        pattern: Operator,
        solver: ConjugateGradients,
        h: Tensor,
        *values: Tensor,
    ) -> Tensor:
        K = with_tensors(pattern, values)
        return solver._iterate(K, h, b, _size(b) if size is None else size).x

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        ctx.pattern, ctx.solver = inputs[2:4]
        ctx.save_for_backward(*inputs[4:])
        ctx.save_for_forward(*inputs[4:])

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        frozen = ctx.saved_tensors
        gradient = _inverse(gradients[0], None, ctx.pattern, ctx.solver, *frozen)
        return gradient, *(None for _ in range(3 + len(frozen)))

    @staticmethod
    def jvp(ctx: Any, *tangents: Tensor) -> Tensor:
        return _inverse(tangents[0], None, ctx.pattern, ctx.solver, *ctx.saved_tensors)


def _inverse(
    b: Tensor, size: Tensor | None, pattern: Operator, solver: ConjugateGradients, *frozen: Tensor
) -> Tensor:
    result: Tensor = _Inverse.apply(b, size, pattern, solver, *frozen)  # type: ignore[no-untyped-call]
    return result


def tensors_of(K: Operator) -> list[Tensor]:
    """Return the tensors that an operator is made of, in the order of its fields."""
    found: list[Tensor] = []
    for field in fields(cast("DataclassInstance", K)):
        value = getattr(K, field.name)
        if isinstance(value, Tensor):
            found.append(value)
        elif is_dataclass(value):
            found.extend(tensors_of(cast("Operator", value)))
    return found


def with_tensors(K: Operator, values: Iterable[Tensor]) -> Operator:
    """Return K with its tensors replaced, in the order of `tensors_of`."""
    rest = iter(values)

    def replaced(part: Any) -> Any:
        if isinstance(part, Tensor):
            return next(rest)
        if is_dataclass(part) and not isinstance(part, type):
            return replace(
                part, **{field.name: replaced(getattr(part, field.name)) for field in fields(part)}
            )
        return part

    return cast("Operator", replaced(K))


def cosine_transform(y: Tensor) -> Tensor:
    """Orthonormal cosine transform of type II along every axis of space, by matrix products.

    Shapes:    y (batch, channel, *space) -> the same
    Cost:      sum of the sizes of the axes a sample; up to a few hundred samples an axis this beats an FFT
    """
    for axis in range(2, y.ndim):
        y = _along(y, axis, cosine_matrix(y.shape[axis], y.dtype, y.device))
    return y


def inverse_cosine_transform(y: Tensor) -> Tensor:
    """Return the inverse, which is the transpose, of `cosine_transform`."""
    for axis in range(2, y.ndim):
        y = _along(y, axis, cosine_matrix(y.shape[axis], y.dtype, y.device).T)
    return y


def cosine_matrix(size: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Return the orthonormal matrix C[k, i] = c_k cos(pi k (i + 1/2) / size)."""
    # The tensor is made anew around kept memory: one made inside torch.func and kept would outlive its level.
    kept = torch.from_numpy(_cosine_array(size, "float32" if dtype == torch.float32 else "float64"))
    return kept.to(dtype=dtype, device=device)


@lru_cache(maxsize=64)
def _cosine_array(size: int, dtype: str) -> NDArray[np.floating]:
    k, i = np.meshgrid(np.arange(size), np.arange(size), indexing="ij")
    matrix = np.sqrt(2 / size) * np.cos(np.pi * k * (i + 0.5) / size)
    matrix[0] = np.sqrt(1 / size)
    kept: NDArray[np.floating] = matrix.astype(dtype)
    return kept


def _along(y: Tensor, axis: int, matrix: Tensor) -> Tensor:
    """Multiply by a matrix along one axis, without moving it in memory."""
    if axis == y.ndim - 1:
        return y @ matrix.T
    return (matrix @ y.flatten(axis + 1)).reshape(y.shape)


def _inner(a: Tensor, b: Tensor) -> Tensor:
    return (a * b).sum(dim=tuple(range(1, a.ndim)), keepdim=True)


def _size(a: Tensor) -> Tensor:
    return _inner(a, a).sqrt()
