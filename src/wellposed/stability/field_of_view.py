"""Field of view: how far from a place the output depends on the input."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from wellposed.errors import ShapeError
from wellposed.network import Part
from wellposed.network.part import still
from wellposed.stability.march import Map, carry, draw


@dataclass(frozen=True, eq=False)
class FieldOfView:
    """What the output at one place owes to the input at every place: squares of derivatives, of sum one.

    Shapes:    shares (*space), place one index an axis
    """

    shares: Tensor
    place: tuple[int, ...]

    @property
    def radius(self) -> float:
        """Root of the mean square distance, in samples."""
        return float((self.shares * self._distances().square()).sum().sqrt())

    @property
    def reach(self) -> float:
        """Distance of the farthest place that is seen at all, above rounding, in samples."""
        return float((self._distances() * (self.shares > 0)).max())

    def outside(self, window: int) -> float:
        """Return the share of what comes from places more than `window` samples away along an axis."""
        near = torch.ones_like(self.shares)
        for axis, middle in enumerate(self.place):
            along = (torch.arange(near.shape[axis], device=near.device) - middle).abs() <= window
            near = near * along.view(-1, *(1,) * (near.ndim - 1 - axis))
        return float((self.shares * (1 - near)).sum())

    def _distances(self) -> Tensor:
        square = torch.zeros_like(self.shares)
        for axis, middle in enumerate(self.place):
            along = torch.arange(square.shape[axis], device=square.device).to(square) - middle
            square = square + along.square().view(-1, *(1,) * (square.ndim - 1 - axis))
        return square.sqrt()


def field_of_view(
    part: Part, y: Tensor, *, place: Sequence[int] | None = None, probes: int = 4
) -> FieldOfView:
    """Return where in the input the output at a place, the middle one, looks: the impulse response back.

        share(x) ~ sum over probes w and channels of (d <w, out(place)> / d y(x))^2

    Probes are random mixtures of the channels of the output. Where nothing is seen the shares are zero.

    Shapes:    y (batch, channel, *space); only the first example is looked at; place an index an axis
    Raises:    ShapeError for features without space, or a place outside of it
    Cost:      one evaluation and one backward pass of `probes` examples
    """
    with still(part):
        return view_of(partial(carry, part), y, place, probes)


def view_of(features: Map, y: Tensor, place: Sequence[int] | None = None, probes: int = 4) -> FieldOfView:
    """Return the field of view of any map of features that keeps their space."""
    with torch.enable_grad():
        given = y[:1].detach().expand(probes, *y.shape[1:]).clone().requires_grad_()
        out = features(given)
        where = tuple(n // 2 for n in out.shape[2:]) if place is None else tuple(place)
        _check(y, out, where)
        seen = out.flatten(2)[:, :, _flat_place(where, out.shape[2:])]
        value = (draw(*seen.shape, like=seen) * seen).sum()
    (slopes,) = torch.autograd.grad(value, given, materialize_grads=True)
    energy = slopes.detach().double().square().sum((0, 1))
    energy[energy <= torch.finfo(y.dtype).eps ** 2 * energy.max()] = 0  # rounding is not seen
    return FieldOfView(energy / energy.sum().clamp_min(torch.finfo(energy.dtype).tiny), where)


def _flat_place(place: Sequence[int], space: Sequence[int]) -> int:
    """Return the place among all of the space in a row."""
    found = 0
    for k, n in zip(place, space, strict=True):
        found = found * n + k
    return found


def _check(y: Tensor, out: Tensor, place: tuple[int, ...]) -> None:
    space = tuple(y.shape[2:])
    inside = len(place) == len(space) and all(0 <= k < n for k, n in zip(place, space, strict=True))
    if not space or out.shape[2:] != y.shape[2:] or not inside:
        raise ShapeError(
            "a field of view is that of a place in space",
            given=f"place {place} of features of shape {tuple(y.shape)}, which become {tuple(out.shape)}",
            expected="(batch, channel, *space), a space that is kept, and a place inside it",
            way_out="name a place inside the space, or leave it away; points without space have no view",
        )
