"""The march is undone on the way back: nothing is kept on the way there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import torch
from torch import Tensor

from wellposed.backward.base import BackwardRule, March, Plan, Updates, fresh, plan_of, precision
from wellposed.dynamics import State
from wellposed.errors import StructureError
from wellposed.integrators import Shear

_FAINT = 1e-3  # a velocity damped to less cannot be brought back from float32


@dataclass(frozen=True)
class Reversed(BackwardRule):
    """Keep the last state only, and undo the shears on the way back.

    One evaluation of u serves both the state before and the derivative. No forward mode: take `Backprop`.

    Raises:    StructureError when an update is no shear, or damps so much that it cannot be undone
    Cost:      4/3 of the time of backprop; memory of one update, whatever the number of steps
    Reference: Gomez et al., The reversible residual network, 2017, arXiv:1707.04585
    """

    exact = True

    def check(self, updates: Updates) -> None:
        """Raise StructureError unless every update is a shear that can be undone in float32."""
        left: dict[int, float] = {}
        for update in updates:
            if not isinstance(update, Shear):
                raise StructureError(
                    "Reversed needs steps that can be undone",
                    given="an integrator whose steps are not shears",
                    expected="an Invertible integrator, such as Leapfrog with a SecondOrder dynamics",
                    way_out="use backward=Backprop(), or another integrator and dynamics",
                )
            left[update.member] = left.get(update.member, 1.0) * update.c
        if min(left.values(), default=1.0) < _FAINT:
            raise StructureError(
                "Reversed cannot bring back what the damping took",
                given=f"a velocity damped to {min(left.values()):.1e} of itself",
                expected=f"at least {_FAINT:g}, so that float32 holds it",
                way_out="use backward=Backprop(), less damping, or less time",
            )

    def run(self, march: March, s: State) -> State:
        """Return the state at the end."""
        plan, flat = plan_of(march, len(s))
        result: State = _Reversed.apply(plan, *s, *flat)  # type: ignore[no-untyped-call]
        return result

    @classmethod
    def examples(cls) -> Sequence[Self]:
        """Itself."""
        return [cls()]


class _Reversed(torch.autograd.Function):
    """A march of shears as one function of its first state and all its weights."""

    @staticmethod
    def forward(plan: Plan, *given: Tensor) -> State:
        s, flat = given[: plan.members], given[plan.members :]
        for shear in plan.updates:
            s = shear(plan.thetas(shear, [flat[k] for k in plan.places(shear)]), s)
        return fresh(s, given)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: State) -> None:
        ctx.plan, *given = inputs
        ctx.save_for_backward(*output, *given[ctx.plan.members :])
        ctx.precision = precision(output[0])

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        plan: Plan = ctx.plan
        # A tensor saved in a torch.func transform that has ended enters a new one only as a view.
        saved = [tensor.view_as(tensor) for tensor in ctx.saved_tensors]
        s, flat = tuple(saved[: plan.members]), saved[plan.members :]

        g: State = gradients
        by_flat: list[Any] = [None] * len(flat)
        with ctx.precision():
            for shear in reversed(plan.updates):
                assert isinstance(shear, Shear)  # `check` saw to it
                places = plan.places(shear)
                s, g, found = _back(plan, shear, s, g, [flat[k] for k in places])
                for k, gradient in zip(places, found, strict=True):
                    by_flat[k] = gradient if by_flat[k] is None else by_flat[k] + gradient
        return None, *g, *by_flat


def _back(
    plan: Plan, shear: Shear, s: State, g: State, weights: list[Tensor]
) -> tuple[State, State, list[Tensor]]:
    """Return state and gradient before a shear, and the gradient by its weights."""

    def u(others: State, weights: list[Tensor]) -> Tensor:
        return shear.u(plan.thetas(shear, weights), others)

    value, pull = torch.func.vjp(u, shear.others(s), weights)[:2]
    by_others, by_weights = pull(g[shear.member])
    others = tuple(
        torch.add(gradient, found, alpha=shear.r)
        for gradient, found in zip(shear.others(g), by_others, strict=True)
    )
    moved = g[shear.member] if shear.c == 1.0 else shear.c * g[shear.member]
    before = (*others[: shear.member], moved, *others[shear.member :])
    return shear.undo(s, value), before, [shear.r * found for found in by_weights]
