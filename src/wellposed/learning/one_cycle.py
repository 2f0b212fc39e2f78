"""A learning rate that rises, and falls to zero."""

from __future__ import annotations

from dataclasses import dataclass
from math import cos, isfinite, pi
from typing import Any

from wellposed.errors import ConfigError


@dataclass(frozen=True)
class OneCycle:
    """Learning rate that rises to its peak over a tenth of the epochs and falls to zero by a cosine."""

    peak: float
    epochs: int

    def __post_init__(self) -> None:
        check_size("peak", self.peak)
        check_size("epochs", self.epochs)
        if self.epochs < 1:
            raise ConfigError(
                "a rate rises and falls over at least one epoch",
                given=f"epochs={self.epochs}",
                expected="at least 1",
                way_out="give the epochs of the fit",
            )

    def __call__(self, epoch: float) -> float:
        """Return the rate at a time, in epochs."""
        rise = self.epochs / 10
        if epoch < rise:
            return self.peak * (epoch / rise + 1e-3) / (1 + 1e-3)
        return self.peak * (1 + cos(pi * min(1.0, (epoch - rise) / (self.epochs - rise)))) / 2


def check_size(name: str, size: Any) -> None:
    """Raise ConfigError unless a rate, or what is like one, is a number that is not negative."""
    if not (isinstance(size, int | float) and isfinite(size) and size >= 0):
        raise ConfigError(
            f"nothing is learned with this {name}",
            given=f"{name}={size}",
            expected="a finite number of at least 0",
            way_out="give another number" + (": 1e-3 is a beginning" if name == "rate" else ""),
        )
