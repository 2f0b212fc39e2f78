"""Which levels of a simulated earth become horizons: where there is room for them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Maps = NDArray[np.float32]

GRID = 0.25  # samples
# Samples kept between horizons, and share of the traces that have the level: what is asked for, in turn.
CLEAR_AND_PRESENT = ((7, 0.97), (4, 0.97), (6, 0.9), (3, 0.9), (5, 0.8), (2.5, 0.8), (2.5, 0.6))


@dataclass
class Room:
    """The levels of one pile that lie within the record, trace by trace, and what is taken of them."""

    low: Maps
    high: Maps
    taken: list[tuple[float, float]] = field(default_factory=list)

    def presence(self, level: NDArray[np.float64]) -> NDArray[np.float64]:
        """Share of the traces on which a level is there."""
        high = np.maximum(self.low, self.high)
        begun = np.searchsorted(np.sort(self.low, axis=None), level)
        ended = np.searchsorted(np.sort(high, axis=None), level)
        return (begun - ended) / self.low.size

    def levels(self) -> NDArray[np.float64]:
        """All levels that are somewhere within the record."""
        return np.arange(float(self.low.min()), float(self.high.max()), GRID)

    def free(self, thick: float, clear: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Levels with room of `thick` below and `clear` around, and the share of traces that have them."""
        level = self.levels()
        open_ = np.ones(len(level), bool)
        for low, high in self.taken:
            open_ &= (level + thick + clear < low) | (level - clear > high)
        level = level[open_]
        return level, np.minimum(self.presence(level), self.presence(level + thick))

    def truncated(self, rng: np.random.Generator) -> float:
        """The highest level that is there on 70 to 86 % of the traces: the top of the pile cuts it off."""
        level = self.levels()
        share = self.presence(level)
        wanted = min(rng.uniform(0.70, 0.86), float(share.max()))
        return self.take(float(level[np.argmax(share >= wanted)]), 0.0)

    def take(self, level: float, thick: float) -> float:
        """Keep a level, and what lies `thick` below it, for one thing."""
        self.taken.append((level, level + thick))
        return level


def pick(rng: np.random.Generator, rooms: Sequence[Room], *, thick: float = 0.0, least: float = 1.0) -> float:
    """Take a level in the first room that has one on nearly all traces and clear of the others.

    Where none has, what is asked for is lowered step by step; at last it is the most present level of all.
    `least` is the share of traces that is enough from the start.
    """
    for clear, present in CLEAR_AND_PRESENT:
        for room in rooms:
            level, share = room.free(thick, clear)
            good = np.flatnonzero(share >= min(present, least))
            if len(good):
                return room.take(float(level[rng.choice(good)]), thick)
    best = max(rooms, key=lambda room: room.free(thick, 0)[1].max(initial=-1))
    level, share = best.free(thick, 0)
    middle = float((best.low.mean() + best.high.mean()) / 2)
    return best.take(float(level[np.argmax(share)]) if len(level) else middle, thick)
