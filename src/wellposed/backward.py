"""A march of updates, and the rules that find its derivative. Knows no differential equation."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple, Self

import torch
from torch import Tensor

from wellposed.dynamics import State, Theta
from wellposed.errors import StructureError
from wellposed.integrators import Shear, Update

__all__ = ["Backprop", "BackwardRule", "March", "Reversed"]

Updates = Sequence[Update | Shear]
_FAINT = 1e-3  # a velocity damped to less cannot be brought back from float32


class March(NamedTuple):
    """Updates one after another, and the samples of theta(t) that they take.

    The weights are an argument of every update, never closed over: a rule that differentiates by what it is
    given cannot miss them, not under `torch.func` either.
    """

    thetas: tuple[Theta, ...]
    updates: Updates

    def then(self, later: March) -> March:
        """Return this march followed by another."""
        place = len(self.thetas)
        moved = [update.taking(tuple(k + place for k in update.samples)) for update in later.updates]
        return March(self.thetas + later.thetas, merge([*self.updates, *moved]))

    def seen(self) -> March:
        """Return this march without the last shears of members that the features no longer see."""
        updates = list(self.updates)
        while updates and isinstance(updates[-1], Shear) and updates[-1].member > 0:
            updates.pop()
        return March(self.thetas, updates)


def merge(updates: Updates) -> list[Update | Shear]:
    """Return the same march with neighbours that move one member by one u made one shear."""
    merged: list[Update | Shear] = []
    for update in updates:
        last = merged[-1] if merged else None
        both = last.then(update) if isinstance(last, Shear) and isinstance(update, Shear) else None
        if both is None:
            merged.append(update)
        else:
            merged[-1] = both
    return merged


class BackwardRule(ABC):
    """How a march is run so that it can be differentiated."""

    exact: ClassVar[bool]  # whether the derivative is that of the discrete march

    @abstractmethod
    def check(self, updates: Updates) -> None:
        """Raise StructureError where the rule cannot differentiate these updates."""

    @abstractmethod
    def run(self, march: March, s: State) -> State:
        """Return the state at the end of the march."""

    @classmethod
    @abstractmethod
    def examples(cls) -> Sequence[Self]:
        """Rules of this kind."""


@dataclass(frozen=True)
class Backprop(BackwardRule):
    """Let autograd keep every update: exact for all of them.

    Cost:      memory in proportion to the number of steps
    """

    exact = True

    def check(self, updates: Updates) -> None:
        """Take everything."""

    def run(self, march: March, s: State) -> State:
        """Return the state at the end."""
        for update in march.updates:
            s = update([march.thetas[k] for k in update.samples], s)
        return s

    @classmethod
    def examples(cls) -> Sequence[Self]:
        """Itself."""
        return [cls()]


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
        flat = [value for theta in march.thetas for value in theta.values()]
        shears = [update for update in march.updates if isinstance(update, Shear)]  # `check` saw to it
        plan = _Plan([tuple(theta) for theta in march.thetas], shears, len(s))
        result: State = _Reversed.apply(plan, *s, *flat)  # type: ignore[no-untyped-call]
        return result

    @classmethod
    def examples(cls) -> Sequence[Self]:
        """Itself."""
        return [cls()]


class _Plan(NamedTuple):
    """A march without its weights, which autograd only sees where they are arguments."""

    names: Sequence[tuple[str, ...]]  # of the weights of each sample
    shears: Sequence[Shear]
    members: int

    def places(self, shear: Shear) -> list[int]:
        """Return where the weights of a shear stand among all that are given."""
        starts = [0]
        for names in self.names:
            starts.append(starts[-1] + len(names))
        return [place for k in shear.samples for place in range(starts[k], starts[k + 1])]

    def thetas(self, shear: Shear, values: Sequence[Tensor]) -> list[Theta]:
        """Return the weights of a shear from those at its `places`."""
        rest = iter(values)
        return [{name: next(rest) for name in self.names[k]} for k in shear.samples]


class _Reversed(torch.autograd.Function):
    """A march of shears as one function of its first state and all its weights."""

    @staticmethod
    def forward(plan: _Plan, *given: Tensor) -> State:
        s, flat = given[: plan.members], given[plan.members :]
        for shear in plan.shears:
            s = shear(plan.thetas(shear, [flat[k] for k in plan.places(shear)]), s)
        return s

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: State) -> None:
        ctx.plan, *given = inputs
        ctx.save_for_backward(*output, *given[ctx.plan.members :])
        ctx.precision = _precision(output[0])

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        plan: _Plan = ctx.plan
        # A tensor saved in a torch.func transform that has ended enters a new one only as a view.
        saved = [tensor.view_as(tensor) for tensor in ctx.saved_tensors]
        s, flat = tuple(saved[: plan.members]), saved[plan.members :]

        g: State = gradients
        by_flat: list[Any] = [None] * len(flat)
        with ctx.precision():
            for shear in reversed(plan.shears):
                places = plan.places(shear)
                s, g, found = _back(plan, shear, s, g, [flat[k] for k in places])
                for k, gradient in zip(places, found, strict=True):
                    by_flat[k] = gradient if by_flat[k] is None else by_flat[k] + gradient
        return None, *g, *by_flat


def _back(
    plan: _Plan, shear: Shear, s: State, g: State, weights: list[Tensor]
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


def _precision(like: Tensor) -> Callable[[], Any]:
    """Return a context that restores the autocast of now."""
    device = like.device.type
    enabled, dtype = torch.is_autocast_enabled(device), torch.get_autocast_dtype(device)

    @contextmanager
    def restored() -> Iterator[None]:
        with torch.autocast(device, dtype=dtype, enabled=enabled):
            yield

    return restored
