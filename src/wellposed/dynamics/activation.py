"""Activations by name: monotone, with a derivative between 0 and 1, so that bounds hold."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from wellposed.errors import StructureError, close_match

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {"relu": torch.relu, "tanh": torch.tanh}


def check_activation(name: str) -> None:
    """Raise StructureError unless this is the name of an activation."""
    if name not in ACTIVATIONS:
        near = close_match(name, ACTIVATIONS)
        raise StructureError(
            "no activation of this name",
            given=f"activation={name!r}",
            expected=", ".join(ACTIVATIONS),
            way_out=f"write {near!r}" if near else "choose one of them",
        )


def activate(name: str, u: Tensor, b: Tensor) -> Tensor:
    """Return s(u + b) for a bias a channel.

    Shapes:    u (batch, channel, *space), b (channel,) -> as u
    """
    return ACTIVATIONS[name](u + b.reshape(-1, *(1,) * (u.ndim - 2)))
