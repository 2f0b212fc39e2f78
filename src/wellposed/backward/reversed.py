"""The march is undone on the way back: nothing is kept on the way there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
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
from wellposed.integrators import Isometry, Shear, advance

_FAINT = 1e-3  # a velocity damped to less cannot be brought back from float32


@dataclass(frozen=True)
class Reversed(BackwardRule):
    """Keep the last state only, and undo the shears on the way back.

    One evaluation of u serves both the state before and the derivative. With `anchors` a state is kept every
    so many updates, and what rounding has added on the way back is dropped there: for long marches, or
    damping. `reversal_error` says how much it is. No forward mode: take `Backprop`. A derivative of the
    derivative is exact too; with anchors, what it goes through (create_graph=True, `torch.func`) is kept as
    with `Backprop`.

    Raises:    StructureError when an update is no shear, or damps so much that it cannot be undone
    Cost:      4/3 of the time of backprop; memory of one update, whatever the number of steps, and of the
               anchors
    Reference: Gomez et al., The reversible residual network, 2017, arXiv:1707.04585
    """

    anchors: int | None = None

    exact = True

    def __post_init__(self) -> None:
        if self.anchors is not None and self.anchors < 1:
            raise StructureError(
                "anchors lie some updates apart",
                given=f"anchors={self.anchors}",
                expected="at least one update between them, or None for no anchors",
                way_out="leave `anchors` away",
            )

    def check(self, updates: Updates) -> None:
        """Raise StructureError unless every update can be undone, in float32 from an anchor to the next."""
        piece = self.anchors or max(1, len(updates))
        for k in range(0, len(updates), piece):
            _check_piece(updates[k : k + piece])

    def run(self, march: March, s: State) -> State:
        """Return the state at the end."""
        plan, flat = plan_of(march, len(s))
        result: State = eager(_Reversed.apply, plan, self.anchors, *s, *flat)
        return result[: len(s)]

    @classmethod
    def examples(cls) -> Sequence[Self]:
        """Without anchors, and with some that do not divide the march."""
        return [cls(), cls(anchors=3)]


@torch.no_grad()
def reversal_error(march: March, s: State, anchors: int | None = None) -> float:
    """|s - s'| / |s| of a state and what comes back when a march from it is undone: rounding, and its growth.

    With anchors the largest of the pieces between them.

    Raises:    StructureError when an update cannot be undone
    """
    Reversed(anchors).check(march.updates)
    piece, worst = anchors or max(1, len(march.updates)), 0.0
    for k in range(0, len(march.updates), piece):
        error, s = _undone(march, march.updates[k : k + piece], s)
        worst = max(worst, error)
    return worst


def _undone(march: March, updates: Updates, s: State) -> tuple[float, State]:
    """Return the error of undoing some updates, and the state after them."""
    end = after = advance(updates, march.thetas, s)
    for update in reversed(updates):
        if isinstance(update, Isometry):
            end = update.undo(end)
        elif isinstance(update, Shear):
            thetas = [march.thetas[k] for k in update.samples]
            end = update.undo(end, update.u(thetas, update.others(end)))
    miss = torch.stack([(a - b).norm() for a, b in zip(s, end, strict=True)]).norm()
    size = torch.stack([a.norm() for a in s]).norm()
    return float(miss / size.clamp_min(torch.finfo(size.dtype).tiny)), after


def _check_piece(updates: Updates) -> None:
    left: dict[int, float] = {}
    for update in updates:
        if isinstance(update, Isometry):
            continue
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
            way_out="use backward=Backprop(), anchors, less damping, or less time",
        )


class _Reversed(ByHand):
    """A march as one function of its first state and all its weights.

    The anchors are results too: torch.func lets a function keep no others.
    """

    @staticmethod
    def forward(plan: Plan, every: int | None, *given: Tensor) -> tuple[Tensor, ...]:
        s, flat = given[: plan.members], given[plan.members :]
        anchors: list[Tensor] = []
        for place, update in enumerate(plan.updates):
            if every and place and place % every == 0:
                anchors += s
            s = plan.run([update], s, flat)
        return fresh((*s, *anchors), given)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: State) -> None:
        ctx.plan, ctx.every, *given = inputs
        count = ctx.plan.members
        anchors = output[count:]
        ctx.mark_non_differentiable(*anchors)
        start = given[:count] if ctx.every else []
        ctx.save_for_backward(*output[:count], *given[count:], *start, *anchors)
        ctx.precision = precision(output[0])
        ctx.set_materialize_grads(False)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:
        plan: Plan = ctx.plan
        # A tensor saved in a torch.func transform that has ended enters a new one only as a view.
        saved = [tensor.view_as(tensor) for tensor in ctx.saved_tensors]
        count = plan.members
        end = count + sum(len(names) for names in plan.names)
        s, flat, anchors = tuple(saved[:count]), saved[count:end], saved[end:]
        if ctx.every:
            start, anchors = tuple(anchors[:count]), anchors[count:]

        # Zeros that autograd makes are not laid out in memory as the state is.
        pairs = zip(s, gradients[:count], strict=True)
        g: State = tuple(torch.zeros_like(a) if found is None else found for a, found in pairs)
        by_flat: list[Any] = [None] * len(flat)
        if ctx.every and torch.is_grad_enabled():
            # The anchors are numbers: a derivative of the derivative would not see what made them.
            with ctx.precision():
                g, pulled = plan.pull(plan.updates, start, flat, g)
            return None, None, *g, *(pulled.get(k) for k in range(len(flat)))
        with ctx.precision():
            for place, update in reversed(list(enumerate(plan.updates))):
                if isinstance(update, Isometry):
                    s, g = update.undo(s), update.undo(g)
                else:
                    assert isinstance(update, Shear)  # `check` saw to it
                    places = plan.places(update)
                    s, g, found = _back(plan, update, s, g, [flat[k] for k in places])
                    for k, gradient in zip(places, found, strict=True):
                        by_flat[k] = gradient if by_flat[k] is None else by_flat[k] + gradient
                if ctx.every and place and place % ctx.every == 0:
                    s, anchors = tuple(anchors[-count:]), anchors[:-count]
        return None, None, *g, *by_flat


def _back(
    plan: Plan, shear: Shear, s: State, g: State, weights: list[Tensor]
) -> tuple[State, State, list[Tensor]]:
    """Return state and gradient before a shear, and the gradient by its weights."""

    def u(others: State, weights: list[Tensor]) -> Tensor:
        return shear.u(plan.thetas(shear, weights), others)

    value, by_others, by_weights = _pull(u, shear.others(s), weights, g[shear.member])
    others = tuple(
        torch.add(gradient, found, alpha=shear.r)
        for gradient, found in zip(shear.others(g), by_others, strict=True)
    )
    moved = g[shear.member] if shear.c == 1.0 else shear.c * g[shear.member]
    before = (*others[: shear.member], moved, *others[shear.member :])
    return shear.undo(s, value), before, [shear.r * found for found in by_weights]


def _pull(
    u: Callable[[State, list[Tensor]], Tensor], others: State, weights: list[Tensor], g: Tensor
) -> tuple[Tensor, Sequence[Tensor], Sequence[Tensor]]:
    """Return u, and the gradient by what it takes.

    Where nobody differentiates the derivative again, a tape does it at half the price of `torch.func`.
    """
    if torch.is_grad_enabled():
        value, pull = torch.func.vjp(u, others, weights)[:2]
        return value, *pull(g)
    others = tuple(a.detach().requires_grad_() for a in others)
    weights = [weight.detach().requires_grad_() for weight in weights]
    with torch.enable_grad():
        value = u(others, weights)
    found = torch.autograd.grad(value, [*others, *weights], g, materialize_grads=True)
    return value.detach(), found[: len(others)], found[len(others) :]
