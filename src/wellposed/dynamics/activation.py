"""Activations by name: monotone, with a derivative between 0 and 1, so that bounds hold."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from wellposed.errors import check_name

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "identity": lambda u: u,
    "relu": torch.relu,
    "tanh": torch.tanh,
}


def check_activation(name: str) -> None:
    """Raise StructureError unless this is the name of an activation."""
    check_name("activation", name, ACTIVATIONS)


def activate(name: str, u: Tensor, b: Tensor) -> Tensor:
    """Return s(u + b) for a bias a channel.

    Shapes:    u (batch, channel, *space), b (channel,) -> as u
    """
    return ACTIVATIONS[name](u + b.reshape(-1, *(1,) * (u.ndim - 2)))
