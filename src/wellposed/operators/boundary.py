"""Extension of features beyond their edges, and its adjoint, for each boundary by name.

zero         nothing beyond the edge
periodic     the opposite edge
reflecting   half-sample even extension, c b a | a b c: the edge is repeated
             (PyTorch's `reflect` is another one, c b | a b c)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from wellposed.errors import ShapeError, check_name

BOUNDARIES = ("zero", "periodic", "reflecting")
Widths = Sequence[tuple[int, int]]  # samples before and after each axis of space


def check_boundary(boundary: str) -> None:
    """Raise StructureError unless this is the name of a boundary."""
    check_name("boundary", boundary, BOUNDARIES)


def extend(y: Tensor, widths: Widths, boundary: str) -> Tensor:
    """Return y with `widths` samples more before and after each axis of space.

    Shapes:    y (batch, channel, *space)
    Raises:    ShapeError when an axis is shorter than its extension
    """
    _check_widths(y.shape[2:], widths, boundary)
    return _linear(y, _Extend(tuple(widths), boundary))


def fold(z: Tensor, widths: Widths, boundary: str) -> Tensor:
    """Return the adjoint of `extend`: what lies beyond the edges is added where it came from."""
    return _linear(z, _Fold(tuple(widths), boundary))


class _Extend:
    def __init__(self, widths: tuple[tuple[int, int], ...], boundary: str) -> None:
        self.widths, self.boundary = widths, boundary

    @property
    def adjoint(self) -> _Fold:
        return _Fold(self.widths, self.boundary)

    def __call__(self, y: Tensor) -> Tensor:
        padding = [width for pair in reversed(self.widths) for width in pair]
        if self.boundary == "zero":
            return F.pad(y, padding)
        if self.boundary == "periodic":
            return F.pad(y, padding, mode="circular")
        if max(padding) <= 1:
            # One sample beyond the edge, repeating the edge and reflecting at it are the same.
            return F.pad(y, padding, mode="replicate")
        for axis, (before, after) in enumerate(self.widths, start=2):
            size = y.shape[axis]
            head = y.narrow(axis, 0, before).flip(axis)
            tail = y.narrow(axis, size - after, after).flip(axis)
            y = torch.cat([head, y, tail], dim=axis)
        return y


class _Fold:
    def __init__(self, widths: tuple[tuple[int, int], ...], boundary: str) -> None:
        self.widths, self.boundary = widths, boundary

    @property
    def adjoint(self) -> _Extend:
        return _Extend(self.widths, self.boundary)

    def __call__(self, z: Tensor) -> Tensor:
        return self._fold(z, range(len(self.widths)))

    def _fold(self, z: Tensor, axes: Sequence[int]) -> Tensor:
        """Fold along some axes: what lies inside along all of them is copied once, strips are added to it."""
        inside, rest = z, z
        for axis in axes:
            inside = inside.narrow(axis + 2, self.widths[axis][0], self._size(z, axis))
        inside = inside.clone()
        if self.boundary == "zero":
            return inside
        for place, axis in enumerate(axes):
            size, dim = self._size(z, axis), axis + 2
            for width, beyond, inner, outer in self._strips(axis, size):
                if width:
                    strip = self._fold(rest.narrow(dim, beyond, width), axes[place + 1 :])
                    if self.boundary == "reflecting":
                        inside.narrow(dim, inner, width).add_(strip.flip(dim))
                    else:
                        inside.narrow(dim, outer, width).add_(strip)
            rest = rest.narrow(dim, self.widths[axis][0], size)
        return inside

    def _size(self, z: Tensor, axis: int) -> int:
        return z.shape[axis + 2] - sum(self.widths[axis])

    def _strips(self, axis: int, size: int) -> list[tuple[int, int, int, int]]:
        """Width and place of each strip beyond an edge, and the places at that edge and at the other."""
        before, after = self.widths[axis]
        return [(before, 0, 0, size - before), (after, before + size, size - after, 0)]


class _Linear(torch.autograd.Function):
    """A linear map whose derivative backward is the adjoint that it names: cheaper than taping its parts."""

    generate_vmap_rule = True

    @staticmethod
    def forward(y: Tensor, call: Callable[[Tensor], Tensor]) -> Tensor:
        return call(y)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        ctx.call = inputs[1]

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return _linear(gradients[0], ctx.call.adjoint), None

    @staticmethod
    def jvp(ctx: Any, *tangents: Any) -> Tensor:
        return _linear(tangents[0], ctx.call)


def _linear(y: Tensor, call: _Extend | _Fold) -> Tensor:
    result: Tensor = _Linear.apply(y, call)  # type: ignore[no-untyped-call]
    return result


def _check_widths(space: Sequence[int], widths: Widths, boundary: str) -> None:
    needed = max((max(pair) for pair in widths), default=0)
    if boundary != "zero" and any(max(pair) > size for size, pair in zip(space, widths, strict=True)):
        raise ShapeError(
            f"an axis is too short for a {boundary} boundary",
            given=f"features over {tuple(space)} samples",
            expected=f"at least {needed} samples along each axis, half the width of the kernel",
            way_out="take larger features, a narrower kernel, or boundary='zero'",
        )
