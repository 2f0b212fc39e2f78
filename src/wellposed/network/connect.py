"""What joins stages: an opening to more channels, half the resolution and back, the long skip."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Self

import torch
from torch import Tensor, nn

from wellposed.errors import StructureError, check_kind
from wellposed.network.part import Part, seeded
from wellposed.operators import Conv, Dense, Family, Prolong, Restrict


class Affine(nn.Module):
    """K y + b with weights that do not move in time.

    Shapes:    y (batch, channel, *space) -> (batch, out channel, *space)
    """

    def __init__(self, family: Family, std: float | None = None) -> None:
        super().__init__()
        inputs = torch.Size(family.shape[1:]).numel()
        self.family = family
        self.kernel = nn.Parameter(torch.randn(family.shape) * (inputs**-0.5 if std is None else std))
        self.bias = nn.Parameter(torch.zeros(family.shape[0]))

    def forward(self, y: Tensor) -> Tensor:
        """K y + b."""
        return self.family(self.kernel) @ y + self.bias.reshape(-1, *(1,) * (y.ndim - 2))


class Opening(Part):
    """Features of the input, linear: a map of its channels, or with a width a convolution.

    Shapes:    y (batch, channels, *space) -> (batch, out, *space)
    """

    def __init__(
        self, channels: int, out: int, *, width: int = 1, boundary: str = "reflecting", dims: int = 2
    ) -> None:
        super().__init__()
        self.takes, self.gives = channels, out
        self._given = {"width": width, "boundary": boundary, "dims": dims}
        wide = Conv(channels, width, boundary, dims=dims, out=out)
        self.map = Affine(wide if width > 1 else Dense(channels, out))

    def forward(self, y: Tensor) -> Tensor:
        """Return the features."""
        return self.map(y)

    def arguments(self) -> dict[str, Any]:
        """Channels, width and boundary."""
        return {"channels": self.takes, "out": self.gives, **self._given}

    @classmethod
    def examples(cls) -> Sequence[tuple[Self, tuple[int, ...]]]:
        """Of points and of sections."""
        with seeded(0):
            return [(cls(2, 4), (3, 2)), (cls(1, 3, width=5), (2, 1, 6, 5))]


class Coarsen(Part):
    """Half the resolution, and a map of the channels: full weighting keeps constants, and makes no aliases.

    Shapes:    y (batch, channels, *space) -> (batch, out, *ceil(space / 2))
    """

    def __init__(self, channels: int, out: int) -> None:
        super().__init__()
        self.takes, self.gives = channels, out
        self.map = Affine(Dense(channels, out))

    def forward(self, y: Tensor) -> Tensor:
        """Return coarser features."""
        return self.map(Restrict(tuple(y.shape[2:])) @ y)

    def arguments(self) -> dict[str, Any]:
        """Channels."""
        return {"channels": self.takes, "out": self.gives}

    @classmethod
    def examples(cls) -> Sequence[tuple[Self, tuple[int, ...]]]:
        """Odd and even."""
        with seeded(0):
            return [(cls(2, 3), (2, 2, 6, 5))]


class Refine(Part):
    """Twice the resolution by linear interpolation, and a map of the channels.

    Shapes:    y (batch, channels, *space) -> (batch, out, *(2 space)), or the finer space that is asked for
    """

    def __init__(self, channels: int, out: int) -> None:
        super().__init__()
        self.takes, self.gives = channels, out
        self.map = Affine(Dense(channels, out))

    def forward(self, y: Tensor, space: Sequence[int] | None = None) -> Tensor:
        """Return finer features."""
        finer = tuple(space) if space is not None else tuple(2 * n for n in y.shape[2:])
        return Prolong(finer) @ self.map(y)

    def arguments(self) -> dict[str, Any]:
        """Channels."""
        return {"channels": self.takes, "out": self.gives}

    @classmethod
    def examples(cls) -> Sequence[tuple[Self, tuple[int, ...]]]:
        """To twice the size."""
        with seeded(0):
            return [(cls(3, 2), (2, 3, 3, 4))]


class Level(Part):
    """What happens at half the resolution, added to what is known at this one: the long skip.

        y + up(inner(down(y)))

    Shapes:    y (batch, channel, *space) -> the same, odd sizes too
    Raises:    StructureError when the channels of the three do not fit
    """

    def __init__(self, down: Coarsen, inner: Part, up: Refine) -> None:
        super().__init__()
        check_chain([down, inner, up, down])
        self.takes = self.gives = down.takes
        self.down, self.inner, self.up = down, inner, up

    def forward(self, y: Tensor) -> Tensor:
        """Return the features of both resolutions."""
        return y + self.up(self.inner(self.down(y)), y.shape[2:])

    def arguments(self) -> dict[str, Any]:
        """Return the three parts."""
        return {"down": self.down, "inner": self.inner, "up": self.up}

    @classmethod
    def examples(cls) -> Sequence[tuple[Self, tuple[int, ...]]]:
        """One level in another, over odd sizes."""
        with seeded(0):
            inner = cls(Coarsen(3, 2), Opening(2, 2), Refine(2, 3))
            return [(cls(Coarsen(2, 3), inner, Refine(3, 2)), (2, 2, 7, 5))]


def check_chain(parts: Sequence[Part]) -> None:
    """Raise StructureError unless all are parts, and each takes the channels that the one before gives."""
    for part in parts:
        check_kind("part", part, Part, "put a module of PyTorch before or behind the Network, or in a Part")
    for first, second in pairwise(parts):
        if first.gives != second.takes:
            before, after = type(first).__name__, type(second).__name__
            raise StructureError(
                f"{after} does not fit behind {before}",
                given=f"{before} gives {first.gives} channels, {after} takes {second.takes}",
                expected="the same number of channels",
                way_out=f"change the channels of one of them, or put an Opening({first.gives}, "
                f"{second.takes}) between",
            )
