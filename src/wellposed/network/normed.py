"""What joins the stages of published networks: convolutions with batch norm, and pooling."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import torch
from torch import Tensor, nn

from wellposed.errors import ShapeError
from wellposed.network.part import Part, seeded
from wellposed.operators import Conv, Dense, Family


class Normed(Part):
    """max(0, scale (K y - mean) / sqrt(variance + 1e-5) + bias): a convolution, batch norm, relu.

    Mean and variance of each channel are those of the batch in training, else running averages of them. A
    norm with such a memory has its place between stages, not inside one.

    Shapes:    y (batch, channels, *space) -> (batch, out, *space)
    Reference: Ioffe and Szegedy, Batch normalization, 2015, arXiv:1502.03167
    """

    def __init__(
        self, channels: int, out: int, *, width: int = 1, boundary: str = "zero", dims: int = 2
    ) -> None:
        super().__init__()
        self.takes, self.gives = channels, out
        self._given = {"width": width, "boundary": boundary, "dims": dims}
        wide: Family = Conv(channels, width, boundary, dims=dims, out=out)
        self.family = wide if width > 1 else Dense(channels, out)
        inputs = torch.Size(self.family.shape[1:]).numel()
        self.kernel = nn.Parameter(torch.randn(self.family.shape) * inputs**-0.5)
        self.norm = nn.BatchNorm1d(out)

    def forward(self, y: Tensor) -> Tensor:
        """Return the features."""
        u = self.family(self.kernel) @ y
        normed: Tensor = self.norm(u.flatten(2) if u.ndim > 2 else u)
        return normed.view_as(u).relu()

    def arguments(self) -> dict[str, Any]:
        """Channels, width and boundary."""
        return {"channels": self.takes, "out": self.gives, **self._given}

    @classmethod
    def examples(cls) -> Sequence[tuple[Self, tuple[int, ...]]]:
        """Of planes, lines and points, with the averages of a net that has learned."""
        with seeded(0):
            lines = cls(2, 3, width=3, dims=1).eval()
            return [(cls(2, 3).eval(), (2, 2, 4, 5)), (lines, (2, 2, 6)), (cls(2, 3).eval(), (2, 2))]


class Pool(Part):
    """Means over two samples along each axis, or over the whole space; of an odd axis the last is left out.

    Shapes:    y (batch, channels, *space) -> (batch, channels, *floor(space / 2)), or (batch, channels)
    Raises:    ShapeError when an axis has a single sample
    """

    def __init__(self, channels: int, *, whole: bool = False) -> None:
        super().__init__()
        self.takes = self.gives = channels
        self.whole = whole

    def forward(self, y: Tensor) -> Tensor:
        """Return means."""
        if self.whole:
            return y.flatten(2).mean(2)
        for axis in range(2, y.ndim):
            pairs = y.shape[axis] // 2
            if not pairs:
                raise ShapeError(
                    "there is nothing left to pool",
                    given=f"features over {tuple(y.shape[2:])}",
                    expected="at least two samples along each axis",
                    way_out="begin with a larger space, or pool less often",
                )
            even = y.narrow(axis, 0, 2 * pairs)
            y = even.reshape(*y.shape[:axis], pairs, 2, *y.shape[axis + 1 :]).mean(axis + 1)
        return y

    def arguments(self) -> dict[str, Any]:
        """Channels, and whether over the whole space."""
        return {"channels": self.takes, "whole": self.whole}

    @classmethod
    def examples(cls) -> Sequence[tuple[Self, tuple[int, ...]]]:
        """Over pairs, odd and even, and over the whole."""
        return [(cls(2), (2, 2, 6, 5)), (cls(3, whole=True), (2, 3, 4, 3))]
