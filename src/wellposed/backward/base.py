"""A march of updates, and what a rule that finds its derivative promises."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import accumulate
from typing import Any, ClassVar, NamedTuple, Self

import torch
from torch import Tensor

from wellposed.control import Control
from wellposed.dynamics import State, Theta
from wellposed.errors import StructureError
from wellposed.integrators import Discretisation, Isometry, Shear
from wellposed.integrators.discretisation import AnyUpdate, merge

Updates = Sequence[AnyUpdate]


class Problem(NamedTuple):
    """The differential equation behind a march, for a rule that differentiates that and not the march."""

    discrete: Discretisation
    control: Control
    params: Mapping[str, Tensor]


class March(NamedTuple):
    """Updates one after another, and the samples of theta(t) that they take.

    The weights are an argument of every update, never closed over: a rule that differentiates by what it is
    given cannot miss them, not under `torch.func` either. `problems` are what the updates discretise.
    """

    thetas: tuple[Theta, ...]
    updates: Updates
    problems: tuple[Problem | Isometry, ...] = ()

    def then(self, later: March) -> March:
        """Return this march followed by another."""
        place = len(self.thetas)
        moved = [update.taking(tuple(k + place for k in update.samples)) for update in later.updates]
        problems = self.problems + later.problems
        return March(self.thetas + later.thetas, merge([*self.updates, *moved]), problems)

    def seen(self) -> March:
        """Return this march without the last shears of members that the features no longer see."""
        updates = list(self.updates)
        while updates and isinstance(updates[-1], Shear) and updates[-1].member > 0:
            updates.pop()
        return March(self.thetas, updates, self.problems)


class BackwardRule(ABC):
    """How a march is run so that it can be differentiated."""

    exact: ClassVar[bool]  # whether the derivative is that of the discrete march
    order: ClassVar[int] = 0  # of an inexact one: at which it converges to that, if the integrator does

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


class Plan(NamedTuple):
    """A march without its weights, which autograd only sees where they are arguments."""

    names: Sequence[tuple[str, ...]]  # of the weights of each sample
    starts: Sequence[int]  # of each sample, among all weights in a row
    updates: Updates
    members: int

    def places(self, update: AnyUpdate) -> list[int]:
        """Return where the weights of an update stand among all that are given."""
        return [self.starts[k] + j for k in update.samples for j in range(len(self.names[k]))]

    def thetas(self, update: AnyUpdate, values: Sequence[Tensor]) -> list[Theta]:
        """Return the weights of an update from those at its `places`."""
        rest = iter(values)
        return [{name: next(rest) for name in self.names[k]} for k in update.samples]

    def run(self, updates: Updates, s: State, flat: Sequence[Tensor] | Mapping[int, Tensor]) -> State:
        """Return the state after some updates; `flat` gives the weights by their place."""
        for update in updates:
            s = update(self.thetas(update, [flat[k] for k in self.places(update)]), s)
        return s

    def pull(
        self, updates: Updates, s: State, flat: Sequence[Tensor], g: State
    ) -> tuple[State, dict[int, Tensor]]:
        """Return the gradient by the state before some updates, and by the weights that they take."""
        places = sorted({place for update in updates for place in self.places(update)})

        def again(s: State, weights: list[Tensor]) -> State:
            return self.run(updates, s, dict(zip(places, weights, strict=True)))

        before, found = torch.func.vjp(again, s, [flat[k] for k in places])[1](g)
        return before, dict(zip(places, found, strict=True))


def plan_of(march: March, members: int) -> tuple[Plan, list[Tensor]]:
    """Return a march without its weights, and the weights in a row."""
    flat = [value for theta in march.thetas for value in theta.values()]
    names = [tuple(theta) for theta in march.thetas]
    starts = list(accumulate(map(len, names), initial=0))
    return Plan(names, starts, march.updates, members), flat


class ByHand(torch.autograd.Function):
    """A derivative that is written by hand, backwards only: what else is asked of it is refused in words."""

    @staticmethod
    def jvp(ctx: Any, *tangents: Any) -> Any:
        """Raise StructureError."""
        raise _only_backwards("forward differentiation (jvp, jacfwd, hessian)")

    @staticmethod
    def vmap(info: Any, in_dims: Any, *given: Any) -> Any:
        """Raise StructureError."""
        raise _only_backwards("vmap, by itself or within jacrev or hessian,")


def _only_backwards(given: str) -> StructureError:
    return StructureError(
        "this backward rule knows the way back, and nothing else",
        given=f"{given} through a stage with another rule than Backprop",
        expected="a stage with backward=Backprop()",
        way_out="net.replace(backward=Backprop()) shares the weights; or take products by Jacobian",
    )


def eager(call: Callable[..., Any], *given: Any) -> Any:
    """Return call(*given), outside of the graph of torch.compile: that cannot hold a derivative by hand."""
    if torch.compiler.is_compiling():
        call = torch.compiler.disable(call)  # type: ignore[no-untyped-call]
    return call(*given)


def fresh(s: State, given: Sequence[Tensor]) -> State:
    """Return the state, views in place of tensors that were given: a function must not hand those back."""
    return tuple(a.view_as(a) if any(a is b for b in given) else a for a in s)


def precision(like: Tensor) -> Callable[[], Any]:
    """Return a context that restores the autocast of now."""
    device = like.device.type
    enabled, dtype = torch.is_autocast_enabled(device), torch.get_autocast_dtype(device)

    @contextmanager
    def restored() -> Iterator[None]:
        with torch.autocast(device, dtype=dtype, enabled=enabled):
            yield

    return restored
