"""How features lie in memory: the identity, that a compiler and autograd see through."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


class _ChannelsLast(torch.autograd.Function):
    """The identity; features on the way there, and their gradient on the way back, lie channels last."""

    generate_vmap_rule = True

    @staticmethod
    def forward(y: Tensor) -> Tensor:
        last = y.to(memory_format=torch.channels_last)
        return last.view_as(last)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        """Keep nothing."""

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        return channels_last(gradients[0])

    @staticmethod
    def jvp(ctx: Any, *tangents: Any) -> Tensor:
        return channels_last(tangents[0])


def channels_last(y: Tensor) -> Tensor:
    """Return the same features, in memory as convolutions take them: up to twice as quick on a CPU.

    So is the gradient that comes back to them: one laid out otherwise slows every update before it.
    """
    if y.ndim != 4:
        return y
    if torch.compiler.is_compiling():  # a compiler lays things out itself, and takes no function by hand
        return y.to(memory_format=torch.channels_last)
    result: Tensor = _ChannelsLast.apply(y)  # type: ignore[no-untyped-call]
    return result
