"""What is read from the features at the end."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

from torch import Tensor

from wellposed.network.connect import Affine
from wellposed.network.part import Part, seeded
from wellposed.operators import Dense


class Classify(Part):
    """Logits of classes, W y + b, equal for all of them to begin with.

    Shapes:    y (batch, channels, *space) -> (batch, classes, *space)
    """

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        self.takes, self.gives = channels, classes
        self.map = Affine(Dense(channels, classes), std=0.0)

    def forward(self, y: Tensor) -> Tensor:
        """Return the logits."""
        return self.map(y)

    def arguments(self) -> dict[str, Any]:
        """Channels and classes."""
        return {"channels": self.takes, "classes": self.gives}

    @classmethod
    def examples(cls) -> Sequence[tuple[Self, tuple[int, ...]]]:
        """Of points and of sections."""
        with seeded(0):
            return [(cls(4, 2), (3, 4)), (cls(3, classes=5), (2, 3, 4, 5))]


class Readout(Part):
    """Numbers to regress, or features to compare: W y + b, with random W to begin with.

    Shapes:    y (batch, channels, *space) -> (batch, out, *space)
    """

    def __init__(self, channels: int, out: int) -> None:
        super().__init__()
        self.takes, self.gives = channels, out
        self.map = Affine(Dense(channels, out))

    def forward(self, y: Tensor) -> Tensor:
        """Return what is read."""
        return self.map(y)

    def arguments(self) -> dict[str, Any]:
        """Channels."""
        return {"channels": self.takes, "out": self.gives}

    @classmethod
    def examples(cls) -> Sequence[tuple[Self, tuple[int, ...]]]:
        """Of sections."""
        with seeded(0):
            return [(cls(3, 2), (2, 3, 4, 5))]
