"""Solvers of (I + h K'K) x = b: by Fourier, by cosines, directly, by conjugate gradients."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import inf
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from wellposed.errors import StepError, StructureError
from wellposed.operators.pattern import tensors_of, with_tensors

if TYPE_CHECKING:
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


def check_shift(h: float | Tensor) -> None:
    """Raise StructureError unless h is a finite number and not negative.

    A tensor whose numbers cannot be seen passes: under `vmap`, traced by torch.compile, on the device meta.
    """
    try:
        if isinstance(h, Tensor):
            fits = torch.compiler.is_compiling() or bool(((h >= 0) & h.isfinite()).all())
        else:
            fits = 0 <= h < inf
    except RuntimeError:
        return
    if not fits:
        raise StructureError(
            "(I + h L) x = b is solved for steps forward",
            given=f"h = {h}",
            expected="a finite number, zero or more",
            way_out="give the length of a step",
        )


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
        if b.stride(1) != 1:
            return _inverse(_forward(b, 2) * response, 2)
        # Convolutions leave channels last in memory: no axis is moved there, and none here.
        response = response.movedim(0, -1).contiguous()
        return _inverse(_forward(b.movedim(1, -1), 1) * response, 1).movedim(-1, 1)


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

    Each example has its own step lengths, so that its answer does not depend on its batch. The derivative
    is that of the exact solution, in b, in h and in the weights of K, to the tolerance, in both modes:

        dx = (I + h K'K)^-1 (db - d(h K'K) x)

    Raises:    StepError when the tolerance is not met within the iterations
    Cost:      two applications of K an iteration, about sqrt(1 + h |K|^2) times the logarithm of the
               tolerance of them; the derivative is one more solve
    """

    tolerance: float | None = None  # of the residual relative to b; None: 1e-12 in float64, 1e-6 in float32
    iterations: int = 500
    name: str = "conjugate gradients"

    def solve(self, K: Operator, h: float | Tensor, b: Tensor) -> Tensor:
        """Return x."""
        step = torch.as_tensor(h, dtype=b.dtype, device=b.device)
        x: Tensor = _Solve.apply(K, self, step, b, *tensors_of(K))  # type: ignore[no-untyped-call]
        return x

    def report(self, K: Operator, h: float | Tensor, b: Tensor) -> Solution:
        """Return x with the iterations used and the residual reached; not differentiable."""
        with torch.no_grad():
            return self._iterate(K, h, b)

    def _iterate(self, K: Operator, h: float | Tensor, b: Tensor) -> Solution:
        """Iterate until the residual of every example is below the tolerance."""
        _check_numbers("the features b", b)
        small = torch.finfo(b.dtype)
        tolerance = self.tolerance if self.tolerance is not None else (1e-12 if small.bits == 64 else 1e-6)
        size = _size(b)
        x, r = torch.zeros_like(b), b
        p, rho = r, _size(r) ** 2
        for done in range(self.iterations + 1):
            reached = rho.sqrt()
            if bool((reached <= tolerance * size).all()):
                return Solution(x, done, float((reached / size.clamp_min(small.tiny)).max()))
            q = p + h * (K.T @ (K @ p))
            # The floor keeps an example that is solved exactly at rest.
            alpha = rho / _inner(p, q).clamp_min(small.tiny)
            x, r = x + alpha * p, r - alpha * q
            rho, before = _size(r) ** 2, rho
            p = r + rho / before.clamp_min(small.tiny) * p
        _check_numbers("K, or its products with the features b,", reached)
        left = float((reached / size.clamp_min(small.tiny)).max())
        raise StepError(
            "conjugate gradients did not converge",
            given=f"relative residual {left:.1e} after {self.iterations} iterations",
            expected=f"at most {tolerance:.1e}",
            way_out="take a smaller step, or an operator that is smaller or whose `solver` asks for less: "
            "ConjugateGradients(tolerance=..., iterations=...)",
        )


def _check_numbers(what: str, values: Tensor) -> None:
    """Raise StepError unless all of them are finite."""
    if not bool(values.isfinite().all()):
        raise StepError(
            f"{what} hold numbers that are not finite",
            given="NaN or infinity in a solve by conjugate gradients",
            expected="finite features and weights",
            way_out="look at the steps before this one, and for weights that were lost in training",
        )


class _Solve(torch.autograd.Function):
    """Conjugate gradients as one differentiable map of h, b and the tensors of K.

    K comes as a pattern and its tensors apart: autograd sees, and torch.func unwraps, arguments only.
    """

    @staticmethod
    def forward(K: Operator, solver: ConjugateGradients, h: Tensor, b: Tensor, *values: Tensor) -> Tensor:
        return solver._iterate(with_tensors(K, values), h, b).x

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        ctx.pattern, ctx.solver, h, _, *values = inputs
        ctx.save_for_backward(output, h, *values)
        ctx.save_for_forward(output, h, *values)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        x, h, *values = _awake(ctx.saved_tensors)
        a = ctx.solver.solve(with_tensors(ctx.pattern, values), h, gradients[0])
        by_h, *by_values = _pull(ctx.pattern, x, h, values, a)
        return None, None, by_h, a, *by_values

    @staticmethod
    def jvp(ctx: Any, *tangents: Tensor | None) -> Tensor:
        x, h, *values = _awake(ctx.saved_tensors)
        _, _, dh, db, *dvalues = tangents
        change = torch.zeros_like(x) if db is None else db
        inputs = [(h, dh), *zip(values, dvalues, strict=True)]
        moved = tuple(torch.zeros_like(v) if dv is None else dv for v, dv in inputs)
        # Forward mode inside forward mode is not to be had: the pull is linear, so its own pull is the push.
        pushed = torch.func.vjp(lambda w: _pull(ctx.pattern, x, h, values, w), torch.zeros_like(x))[1](moved)
        x_dot: Tensor = ctx.solver.solve(with_tensors(ctx.pattern, values), h, change + pushed[0])
        return x_dot


def _pull(pattern: Operator, x: Tensor, h: Tensor, values: Sequence[Tensor], w: Tensor) -> tuple[Tensor, ...]:
    """Derivative of -<h K'K x, w> by h and by the tensors of K."""

    def moved(h: Tensor, *values: Tensor) -> Tensor:
        K = with_tensors(pattern, values)
        return -h * (K.T @ (K @ x))

    pulled: tuple[Tensor, ...] = torch.func.vjp(moved, h, *values)[1](w)
    return pulled


def _awake(saved: Sequence[Tensor]) -> list[Tensor]:
    """Return views: a tensor saved in a torch.func transform that has ended enters a new one only so."""
    return [tensor.view_as(tensor) for tensor in saved]


def cosine_transform(y: Tensor) -> Tensor:
    """Orthonormal cosine transform of type II along every axis of space, by matrix products.

    Shapes:    y (batch, channel, *space) -> the same
    Cost:      sum of the sizes of the axes a sample; up to a few hundred samples an axis this beats an FFT
    """
    return _forward(y, 2)


def inverse_cosine_transform(y: Tensor) -> Tensor:
    """Return the inverse, which is the transpose, of `cosine_transform`."""
    return _inverse(y, 2)


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


def _forward(y: Tensor, first: int) -> Tensor:
    """Transform the axes of space, which begin at `first`; channels come before or after them."""
    for axis in range(first, first + y.ndim - 2):
        y = _along(y, axis, cosine_matrix(y.shape[axis], y.dtype, y.device))
    return y


def _inverse(y: Tensor, first: int) -> Tensor:
    """Undo `_forward`."""
    for axis in range(first, first + y.ndim - 2):
        y = _along(y, axis, cosine_matrix(y.shape[axis], y.dtype, y.device).T)
    return y


def _along(y: Tensor, axis: int, matrix: Tensor) -> Tensor:
    """Multiply by a matrix along one axis, without moving it in memory."""
    if axis == y.ndim - 1:
        return y @ matrix.T
    return (matrix @ y.flatten(axis + 1)).reshape(y.shape)


def _inner(a: Tensor, b: Tensor) -> Tensor:
    return (a * b).sum(dim=tuple(range(1, a.ndim)), keepdim=True)


def _size(a: Tensor) -> Tensor:
    return _inner(a, a).sqrt()
