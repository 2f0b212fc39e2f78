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

from wellposed.errors import ShapeError, StructureError, close_match

BOUNDARIES = ("zero", "periodic", "reflecting")
Widths = Sequence[tuple[int, int]]  # samples before and after each axis of space


def check_boundary(boundary: str) -> None:
    """Raise StructureError unless this is the name of a boundary."""
    if boundary not in BOUNDARIES:
        near = close_match(boundary, BOUNDARIES)
        raise StructureError(
            "no boundary of this name",
            given=f"boundary={boundary!r}",
            expected=", ".join(BOUNDARIES),
            way_out=f"write {near!r}" if near else "choose one of them",
        )


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
        for axis, (before, after) in enumerate(self.widths, start=2):
            size = z.shape[axis] - before - after
            inside = z.narrow(axis, before, size)
            if self.boundary != "zero" and before + after:
                inside = inside.clone()
                head, tail = z.narrow(axis, 0, before), z.narrow(axis, before + size, after)
                if self.boundary == "reflecting":
                    inside.narrow(axis, 0, before).add_(head.flip(axis))
                    inside.narrow(axis, size - after, after).add_(tail.flip(axis))
                else:
                    inside.narrow(axis, size - before, before).add_(head)
                    inside.narrow(axis, 0, after).add_(tail)
            z = inside
        return z.contiguous()


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
