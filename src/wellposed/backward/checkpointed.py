"""Some states are kept, and what lies between them is run again on the way back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, sqrt
from typing import Any, Self

import torch
from torch import Tensor

from wellposed.backward.base import (
    BackwardRule,
    ByHand,
    March,
    Plan,
    Updates,
    eager,
    fresh,
    plan_of,
    precision,
)
from wellposed.dynamics import State
from wellposed.errors import StructureError


@dataclass(frozen=True)
class Checkpointed(BackwardRule):
    """Keep a state every so many updates, and run each piece of the march again before its derivative.

    `every` is the number of updates of a piece; None is the square root of all of them, which makes the
    memory least. Exact for every update. No forward mode: take `Backprop`. A derivative of the derivative
    is exact too; what it goes through (create_graph=True, `torch.func`) is one piece, as with `Backprop`.

    Raises:    StructureError when `every` is less than one
    Cost:      about 4/3 of the time of backprop; memory of n / every states and of `every` updates
    Reference: Griewank and Walther, Evaluating derivatives, 2008, chapter 12
    """

    every: int | None = None

    exact = True

    def __post_init__(self) -> None:
        if self.every is not None and self.every < 1:
            raise StructureError(
                "a piece of a march has updates",
                given=f"every={self.every}",
                expected="at least one, or None for the square root of their number",
                way_out="leave `every` away",
            )

    def check(self, updates: Updates) -> None:
        """Take everything."""

    def run(self, march: March, s: State) -> State:
        """Return the state at the end."""
        plan, flat = plan_of(march, len(s))
        every = self.every or max(1, ceil(sqrt(len(march.updates))))
        result: State = eager(_Checkpointed.apply, plan, every, *s, *flat)
        return result[: len(s)]

    @classmethod
    def examples(cls) -> Sequence[Self]:
        """By the square root, and in pieces that do not divide the march."""
        return [cls(), cls(every=3)]


class _Checkpointed(ByHand):
    """A march as one function of its first state and all its weights.

    The states at the starts of the pieces are results too: torch.func lets a function keep no others.
    """

    @staticmethod
    def forward(plan: Plan, every: int, *given: Tensor) -> tuple[Tensor, ...]:
        s, flat = given[: plan.members], given[plan.members :]
        starts: list[Tensor] = []
        for number, piece in enumerate(_pieces(plan, every)):
            starts += s if number else ()
            s = plan.run(piece, s, flat)
        return fresh((*s, *starts), given)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: State) -> None:
        ctx.plan, ctx.every, *given = inputs
        starts = output[ctx.plan.members :]
        ctx.mark_non_differentiable(*starts)
        ctx.save_for_backward(*given, *starts)
        ctx.precision = precision(output[0])

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        plan: Plan = ctx.plan
        # A tensor saved in a torch.func transform that has ended enters a new one only as a view.
        saved = [tensor.view_as(tensor) for tensor in ctx.saved_tensors]
        count = plan.members
        end = count + sum(len(names) for names in plan.names)
        flat = saved[count:end]
        starts = [tuple(part) for part in (saved[:count], *_groups(saved[end:], count))]
        pieces = _pieces(plan, ctx.every)
        if torch.is_grad_enabled():
            # The kept states are numbers: a derivative of the derivative would not see what made them.
            starts, pieces = starts[:1], [plan.updates]
        by_flat: list[Any] = [None] * len(flat)
        g: State = gradients[:count]
        with ctx.precision():
            for piece in reversed(pieces):
                g, found = plan.pull(piece, starts.pop(), flat, g)
                for k, gradient in found.items():
                    by_flat[k] = gradient if by_flat[k] is None else by_flat[k] + gradient
        return None, None, *g, *by_flat


def _pieces(plan: Plan, every: int) -> list[Updates]:
    return [plan.updates[k : k + every] for k in range(0, len(plan.updates), every)]


def _groups(tensors: Sequence[Tensor], count: int) -> list[Sequence[Tensor]]:
    return [tensors[k : k + count] for k in range(0, len(tensors), count)]
