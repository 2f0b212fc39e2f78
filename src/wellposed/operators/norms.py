"""Upper bounds of the 2-norm of convolutions, for every size of the space."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import product
from math import ceil, cos, log, pi, prod, sqrt
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from wellposed.operators.base import Operator

_CHANCE = 1e-6  # of a start so unlucky that the Lanczos bound is too low
_DENSE = 256  # unknowns up to which a matrix is quicker than Lanczos steps
_SLACK = 0.1  # of the largest eigenvalue of K'K that the Lanczos bound adds


def correlation_norm(
    kernel: Tensor, boundary: str, depthwise: bool, build: Callable[[Tensor], Operator]
) -> float:
    """Return an upper bound of |K|, whatever the size of the space.

    Zero, periodic; reflecting with a kernel even or odd along each axis: the largest singular value S of
    the symbol over all frequencies bounds every size. It is sampled, and raised by what a trigonometric
    polynomial can rise between samples: never below the truth, 2 % an axis above S (depthwise 0.1 %).

    Reflecting, other kernels: an edge can amplify, by sqrt(2) an axis at most, so S sqrt(2)^axes is safe.
    It is lowered to the larger of S and of Lanczos bounds on small spaces: one of eight times the reach of
    the kernel, where edges and corners show what they do, and those so narrow that opposite edges meet.
    Each fails with a chance of 1e-6. Other spaces are covered by the 5 % that a Lanczos bound lies above
    the truth: kernels optimised to break this reached 4.8 %, 1 % from 8 samples an axis at three taps.

    Cost:      sampled singular values; about 30 applications of K'K on each small space
    """
    inside = symbol_norm(kernel, depthwise)
    mixed = 0
    if boundary == "reflecting":
        mixed = sum(not _has_parity(kernel, axis) for axis in range(2, kernel.ndim))
    if not mixed or inside == 0.0:
        return inside
    inputs = kernel.shape[0 if depthwise else 1]
    edges = (norm_on(build(kernel), (inputs, *space), kernel) for space in _small_spaces(kernel))
    return min(inside * sqrt(2) ** mixed, max(inside, *edges))


def skew_norm(kernel: Tensor, boundary: str, depthwise: bool, build: Callable[[Tensor], Operator]) -> float:
    """Return an upper bound of |K - K'|, whatever the size of the space; at most 2 |K|.

    Inside K - K' correlates with the kernel less its mirror image: the bound of `symbol_norm`. A periodic
    boundary has no edge, and a zero one cuts a piece out of the endless space. At a reflecting edge it is
    raised to the Lanczos bounds on small spaces, as in `correlation_norm`. A kernel of even width has no
    mirror image about its middle: 2 |K|.
    """
    if any(width % 2 == 0 for width in kernel.shape[2:]):
        return 2 * correlation_norm(kernel, boundary, depthwise, build)
    mirrored = kernel.flip(tuple(range(2, kernel.ndim)))
    bound = symbol_norm(kernel - (mirrored if depthwise else mirrored.transpose(0, 1)), depthwise)
    if boundary == "reflecting":
        K = build(kernel)
        shapes = ((kernel.shape[0], *space) for space in _small_spaces(kernel))
        bound = max(bound, *(norm_on(K - K.T, shape, kernel) for shape in shapes))
    if bound <= 2 * symbol_norm(kernel, depthwise):  # which is never above 2 |K| as it is bounded here
        return bound
    return min(bound, 2 * correlation_norm(kernel, boundary, depthwise, build))


def symbol_norm(kernel: Tensor, depthwise: bool) -> float:
    """Return an upper bound of the symbol's largest singular value over all frequencies.

    Between N samples an axis a polynomial of degree m stays below its largest sample / cos(pi m / N).

    Reference: Szego's inequality; Ehlich and Zeller, Math. Z. 86 (1964) 41-44
    """
    widths = kernel.shape[2:]
    samples = [max((32 if depthwise else 8) * (width - 1), 1) for width in widths]
    rise = prod(1 / cos(pi * (width - 1) / 2 / count) for width, count in zip(widths, samples, strict=True))
    symbol = torch.fft.rfftn(kernel.double(), s=samples, dim=tuple(range(2, kernel.ndim)))
    if depthwise:
        return rise * float(symbol.abs().max())
    matrices = symbol.movedim((0, 1), (-2, -1)).reshape(-1, *kernel.shape[:2])
    return rise * float(torch.linalg.matrix_norm(matrices, 2).max())


def norm_on(K: Operator, shape: tuple[int, ...], like: Tensor) -> float:
    """Return an upper bound of |K| on features of this shape, right but for a chance of one in a million.

    After k steps from a random start the largest Ritz value lies below the largest eigenvalue by more
    than a share e with a chance of at most 1.648 sqrt(n) exp(-sqrt(e) (2 k - 1)). On up to 256 unknowns it
    is |K| by its matrix, raised as far.

    Shapes:    shape (channel, *space)
    Reference: Kuczynski and Wozniakowski, SIAM J. Matrix Anal. Appl. 13 (1992) 1094-1122
    """
    count = prod(shape)
    if count <= _DENSE:
        return _matrix_norm(K, shape, like) / sqrt(1 - _SLACK)
    steps = min(ceil((log(1.648 * sqrt(count) / _CHANCE) / sqrt(_SLACK) + 1) / 2), count)
    start = torch.randn(1, *shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    v = start.to(like) / start.norm()
    before, beta = torch.zeros_like(v), 0.0
    diagonal, beside = [], []
    with torch.no_grad():
        for _ in range(steps):
            w = K.T @ (K @ v) - beta * before
            alpha = float((v * w).sum())
            w = w - alpha * v
            beta = float(w.norm())
            diagonal.append(alpha)
            beside.append(beta)
            if beta <= torch.finfo(like.dtype).eps * max(diagonal):
                break
            before, v = v, w / beta
    tridiagonal = torch.diag(torch.tensor(diagonal, dtype=torch.float64))
    off = torch.diag(torch.tensor(beside[:-1], dtype=torch.float64), 1)
    largest = float(torch.linalg.eigvalsh(tridiagonal + off + off.T)[-1])
    return sqrt(max(largest, 0.0) / (1 - _SLACK))


@torch.no_grad()
def _matrix_norm(K: Operator, shape: tuple[int, ...], like: Tensor) -> float:
    """Return |K| on features of this shape, from its matrix."""
    units = torch.eye(prod(shape), dtype=like.dtype, device=like.device).reshape(-1, *shape)
    columns = (K @ units).flatten(1).double()
    return sqrt(max(float(torch.linalg.eigvalsh(columns @ columns.T)[-1]), 0.0))


def _has_parity(kernel: Tensor, axis: int) -> bool:
    """Whether the kernel is even, or odd, about its centre along this axis."""
    flipped = kernel.flip(axis)
    return kernel.shape[axis] % 2 == 1 and (torch.equal(kernel, flipped) or torch.equal(kernel, -flipped))


def _small_spaces(kernel: Tensor) -> Iterable[tuple[int, ...]]:
    """Spaces where each axis is wide enough for its edges to be alone, or so narrow that they meet."""
    axes = [
        (*range(max(width // 2, 2), width + 2), 8 * (width - 1)) if width > 1 else (1,)
        for width in kernel.shape[2:]
    ]
    return product(*axes)
