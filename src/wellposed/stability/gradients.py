"""Gradients by depth: whether what is learned at the end reaches the beginning."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from wellposed.dynamics import State
from wellposed.network import Part
from wellposed.network.part import still
from wellposed.stability.march import Passage, carry, draw, named

Loss = Callable[[Tensor], Tensor]


def gradient_norms(part: Part, y: Tensor, loss: Loss | None = None) -> list[Tensor]:
    """Return the size of the gradient of a loss by the state, before each step and after the last, by stage.

    Without a loss it is the sum of the output times fixed normal numbers: a typical gradient. In a run of
    stages each begins where the one before ends.

    Shapes:    y (batch, channel, *space), loss of the output to one number -> of every stage (step + 1,)
    Raises:    StructureError for stages inside a part that cannot be followed
    Cost:      one evaluation and one backward pass; every state is kept
    """
    seen: list[Passage] = []
    with still(part), torch.enable_grad():
        out = carry(part, y.detach().clone().requires_grad_(), seen)
        value = typical(out) if loss is None else loss(out)
    return [norms_of(value, passage.states) for passage in named(part, seen)]


def norms_of(value: Tensor, states: Sequence[State]) -> Tensor:
    """Return the size of the gradient of a number by each state.

    Shapes:    (state,)
    """
    members = {id(a): a for s in states for a in s}  # two members may be one tensor
    slopes = torch.autograd.grad(value, [*members.values()], retain_graph=True, materialize_grads=True)
    sizes = {key: slope.norm() for key, slope in zip(members, slopes, strict=True)}
    return torch.stack([torch.stack([sizes[key] for key in {id(a) for a in s}]).norm() for s in states])


def typical(out: Tensor) -> Tensor:
    """Return the sum of an output times fixed normal numbers."""
    return (draw(*out.shape, like=out) * out).sum()
