"""Overlapping windows along an axis, blended so that nobody sees where they meet."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Tile(NamedTuple):
    """Places start .. stop of an axis, and the weight of each in the blend."""

    start: int
    stop: int
    weight: NDArray[np.float32]


def tiles(size: int, width: int, overlap: int) -> Iterator[Tile]:
    """Windows of at most `width` places that overlap by `overlap`; their weights sum to one everywhere.

    The weight rises linearly over an overlap, and falls so over the next; a short axis is one window.
    """
    if size <= width:
        yield Tile(0, size, np.ones(size, np.float32))
        return
    count = int(np.ceil((size - overlap) / (width - overlap)))
    starts = np.unique(np.linspace(0, size - width, count).round().astype(int))
    ramps = [_ramp(starts, n, width) for n in range(len(starts))]
    total = np.zeros(size)
    for start, ramp in zip(starts, ramps, strict=True):
        total[start : start + width] += ramp
    for start, ramp in zip(starts, ramps, strict=True):
        weight = ramp / total[start : start + width]
        yield Tile(int(start), int(start) + width, weight.astype(np.float32))


def _ramp(starts: NDArray[np.int64], n: int, width: int) -> NDArray[np.float64]:
    """Rise from the left neighbour, fall to the right one; ends of the axis stay at one."""
    place = np.arange(width) + 0.5
    out = np.ones(width)
    if n > 0:
        shared = starts[n - 1] + width - starts[n]
        out = np.minimum(out, place / shared)
    if n + 1 < len(starts):
        shared = starts[n] + width - starts[n + 1]
        out = np.minimum(out, (width - place) / shared)
    return np.clip(out, 1e-6, 1)
