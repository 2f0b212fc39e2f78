"""A matrix for each axis of space."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def along_axes(values: Tensor, factors: Sequence[Tensor]) -> Tensor:
    """Multiply each axis of space of (channel, *space) by its own matrix.

    Shapes:    values (channel, *old), factors (new, old) an axis -> (channel, *new)
    """
    for factor in factors:
        # The contracted axis leaves the front and comes back at the end: after all of them the order stands.
        values = torch.tensordot(values, factor, dims=([1], [1]))
    return values
