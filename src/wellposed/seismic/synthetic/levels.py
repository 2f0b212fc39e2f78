"""Which levels of a simulated earth become horizons: where there is room for them."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Maps = NDArray[np.float32]

GRID = 0.25  # samples


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

    def pick(
        self, rng: np.random.Generator, *, thick: float = 0.0, clear: float = 7.0, least: float = 0.97
    ) -> float:
        """A level with `thick` samples of room below it, `clear` of what is taken, there on most traces.

        Where there is no such level, the best of those that are less clear.
        """
        level = np.arange(float(self.low.min()), float(self.high.max()), GRID)
        share = np.minimum(self.presence(level), self.presence(level + thick))
        for shrunk in (1.0, 0.6, 0.35):
            free = np.ones(len(level), bool)
            for low, high in self.taken:
                free &= (level + thick + shrunk * clear < low) | (level - shrunk * clear > high)
            for lower in (least, 0.93, 0.85):
                good = np.flatnonzero(free & (share >= lower))
                if len(good):
                    return self.take(float(level[rng.choice(good)]), thick)
        free_or_all = free if free.any() else np.ones_like(free)
        return self.take(float(level[np.argmax(np.where(free_or_all, share, -1))]), thick)

    def truncated(self, rng: np.random.Generator) -> float:
        """A level that the top of the pile cuts off on 14 to 30 % of the traces."""
        return self.take(float(np.quantile(self.low, rng.uniform(0.70, 0.86))), 0.0)

    def take(self, level: float, thick: float) -> float:
        """Keep a level, and what lies `thick` below it, for one thing."""
        self.taken.append((level, level + thick))
        return level
