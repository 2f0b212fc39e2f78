"""Half the resolution with nothing lost: a Haar step, which a march can undo."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

from torch import Tensor

from wellposed.backward import March
from wellposed.errors import StructureError
from wellposed.integrators import Isometry
from wellposed.network.part import Part
from wellposed.operators import Haar


class Wavelet(Part):
    """Means and differences of neighbours as channels, or with `back` the pairs from them.

        y -> H y,  with back: y -> H' y,    H'H = H H' = 1

    Orthonormal and without weights. Between stages it moves every member of their state, and all are one
    march: a network of waves and Haar steps by `Reversed` keeps nothing on the way. Then the transform back
    keeps its own velocity too, which it could not from the features alone.

    Shapes:    y (batch, channels, *space) -> (batch, channels 2^dims, *space / 2), or back
    Raises:    ShapeError when an axis of y is odd; StructureError when the channels do not divide
    Reference: Lensink, Peters and Haber, Fully hyperbolic convolutional neural networks, 2019,
               arXiv:1905.10484
    """

    def __init__(self, channels: int, *, dims: int = 2, back: bool = False) -> None:
        super().__init__()
        bands = 2**dims
        if back and (channels % bands or channels < bands):
            raise StructureError(
                "these channels are no bands of a Haar transform",
                given=f"{channels} channels in {dims} dimensions",
                expected=f"a multiple of {bands}",
                way_out="choose channels that divide, or leave `back` away",
            )
        self.haar = Haar(channels // bands if back else channels, dims)
        self.takes, self.gives = channels, self.haar.channels * (1 if back else bands)
        self.isometry = Isometry(self.haar.T if back else self.haar)
        self._given = {"dims": dims, "back": back}

    def forward(self, y: Tensor) -> Tensor:
        """Return features at another resolution."""
        return self.isometry.K @ y

    def march(self) -> March:
        """Return the one update."""
        return March((), [self.isometry], (self.isometry,))

    def arguments(self) -> dict[str, Any]:
        """Channels, and which way."""
        return {"channels": self.takes, **self._given}

    @classmethod
    def examples(cls) -> Sequence[tuple[Self, tuple[int, ...]]]:
        """There and back."""
        return [(cls(2), (2, 2, 4, 6)), (cls(4, dims=1, back=True), (2, 4, 3))]
