"""Features on a ragged survey: zero where there is no trace."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from wellposed.errors import ShapeError
from wellposed.operators.base import Operator


@dataclass(frozen=True, eq=False)
class Live(Operator):
    """Keep the features where the survey is live and put zero elsewhere, in place of NaN too.

    A projection: symmetric, of norm at most one. `K @ Live(live)` keeps the adjoint of K and its bound;
    features set to zero by hand between steps would make false edges instead.

    Shapes:    live (*space), an axis of length one stands for all; y (batch, channel, *space) -> the same
    Raises:    ShapeError when live does not fit the space of y
    """

    live: Tensor | NDArray[np.bool_]

    def apply(self, y: Tensor) -> Tensor:
        """Y where live, else zero."""
        live = torch.as_tensor(self.live, device=y.device) != 0
        space = tuple(y.shape[2:])
        if live.ndim != len(space) or any(n not in (1, m) for n, m in zip(live.shape, space, strict=True)):
            raise ShapeError(
                "the live traces do not fit the features",
                given=f"live of shape {tuple(live.shape)} for features over {space}",
                expected=f"shape {space}, or 1 along an axis that does not matter",
                way_out="cut `live` to the same window as the features, or add an axis of length one",
            )
        return torch.where(live, y, 0.0)

    def apply_adjoint(self, z: Tensor) -> Tensor:
        """Z where live, else zero."""
        return self.apply(z)

    def norm(self) -> float:
        """Return one."""
        return 1.0

    @property
    def symmetric(self) -> bool:
        """By construction."""
        return True

    @classmethod
    def examples(cls) -> Sequence[tuple[Self, tuple[int, ...]]]:
        """Ragged plane, and ragged map over a volume."""
        generator = torch.Generator().manual_seed(0)
        plane = torch.rand(5, 6, generator=generator) > 0.3
        chart = torch.rand(3, 4, 1, generator=generator) > 0.3
        return [(cls(plane), (2, 3, 5, 6)), (cls(chart), (1, 2, 3, 4, 5))]
