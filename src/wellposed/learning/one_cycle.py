"""A learning rate that rises, and falls to zero."""

from __future__ import annotations

from dataclasses import dataclass
from math import cos, pi


@dataclass(frozen=True)
class OneCycle:
    """Learning rate that rises to its peak over a tenth of the epochs and falls to zero by a cosine."""

    peak: float
    epochs: int

    def __call__(self, epoch: float) -> float:
        """Return the rate at a time, in epochs."""
        rise = self.epochs / 10
        if epoch < rise:
            return self.peak * (epoch / rise + 1e-3) / (1 + 1e-3)
        return self.peak * (1 + cos(pi * min(1.0, (epoch - rise) / (self.epochs - rise)))) / 2
