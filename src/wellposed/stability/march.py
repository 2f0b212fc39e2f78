"""Marching step by step: states on the way, and products with derivatives forward and back.

Updates are called one by one, with weights that stand still, whatever the backward rule of the stage: a rule
without forward mode does not stand in the way. Examples of a batch do not see one another, so directions
travel as more examples.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from math import prod
from typing import NamedTuple, cast

import torch
from torch import Tensor
from torch.autograd import forward_ad

from wellposed.dynamics import State
from wellposed.errors import StructureError, check_kind
from wellposed.integrators import advance
from wellposed.network import Level, Network, Part, Stage, Wavelet
from wellposed.network.run import ends

Map = Callable[[Tensor], Tensor]
Move = Callable[[State], State]


class Passage(NamedTuple):
    """A stage in a network, and the states that it goes through: one before each step, and the last."""

    name: str
    stage: Stage
    states: list[State]

    @property
    def start(self) -> State:
        """State at the start."""
        return self.states[0]

    def features(self, y: Tensor) -> Tensor:
        """Return the features at the end from others at the start, what moves along with them as it was."""
        opened = self.stage.integrator.past > 0 or self.stage.halves
        s = state_of(self.stage, y) if opened else (y, *(a.expand_as(y) for a in self.start[1:]))
        return self.stage.features(march(self.stage, s)[-1])

    def only(self, place: int) -> Passage:
        """Return the passage of one example alone."""
        return self._replace(states=[tuple(a[place : place + 1] for a in s) for s in self.states])


def state_of(stage: Stage, y: Tensor | State) -> State:
    """Return the state of features at rest; a state is one already."""
    check_kind("stage", stage, Stage, "ask one of net.stages(), with the features that it is given")
    return stage.open(y) if isinstance(y, Tensor) else y


def moves(stage: Stage) -> list[Move]:
    """Return the map of each step: a pure function of the state."""
    thetas = [{name: value.detach() for name, value in theta.items()} for theta in stage.march().thetas]
    return [partial(advance, updates, thetas) for updates in stage.discrete.steps]


def march(stage: Stage, y: Tensor | State) -> list[State]:
    """Return the state before each step, and the last."""
    states = [state_of(stage, y)]
    for move in moves(stage):
        states.append(move(states[-1]))
    return states


def carry(part: Part, y: Tensor, seen: list[Passage] | None = None) -> Tensor:
    """Return what a part makes of features, as it does itself but by plain steps; `seen` gathers stages."""
    if isinstance(part, Stage):
        return _flow([part], y, seen)
    if isinstance(part, Level):
        inner = carry(part.inner, carry(part.down, y, seen), seen)
        return y + cast("Tensor", part.up(inner, y.shape[2:]))
    if not isinstance(part, Network):
        return cast("Tensor", part(y))
    for run in part.runs():
        y = _flow(run, y, seen) if isinstance(run, list) else carry(run, y, seen)
    return y


def passages(part: Part, y: Tensor) -> list[Passage]:
    """Return the stages of a part with their states, in the order in which features pass them.

    Raises:    StructureError for stages inside a part that cannot be followed
    """
    seen: list[Passage] = []
    with torch.no_grad():
        carry(part, y, seen)
    return named(part, seen)


def named(part: Part, seen: list[Passage]) -> list[Passage]:
    """Return passages with the names of their stages, which must be all that the part has.

    Raises:    StructureError for stages that were not passed
    """
    names = {id(module): name for name, module in part.named_modules() if isinstance(module, Stage)}
    missed = names.keys() - {id(passage.stage) for passage in seen}
    if missed:
        raise StructureError(
            "stages inside a part of your own cannot be followed",
            given=f"{type(part).__name__} with a Stage at {', '.join(sorted(names[key] for key in missed))}",
            expected="stages in a Network, or in a Level",
            way_out="ask each of these stages by itself",
        )
    return [passage._replace(name=names[id(passage.stage)] or "stage") for passage in seen]


def push(move: Move, s: State, direction: State) -> tuple[State, State]:
    """Return the next state, and the derivative of the move times a direction: forward mode."""
    with torch.no_grad(), forward_ad.dual_level():
        dual = tuple(forward_ad.make_dual(a, d) for a, d in zip(s, direction, strict=True))  # type: ignore[no-untyped-call]
        pairs = [forward_ad.unpack_dual(a) for a in move(dual)]  # type: ignore[no-untyped-call]
    after = tuple(pair.primal for pair in pairs)
    moved = (torch.zeros_like(p.primal) if p.tangent is None else p.tangent for p in pairs)
    return after, tuple(moved)


def push_columns(move: Move, s: State, columns: Tensor) -> tuple[State, Tensor]:
    """Return the next state, and the derivative of the move times some columns, of every example.

    Shapes:    columns (batch, unknown, k) -> (batch, unknown after, k)
    """
    batch, _, k = columns.shape
    rows = columns.transpose(1, 2).reshape(batch * k, -1)
    wide = tuple(a.repeat_interleave(k, 0) for a in s)
    after, moved = push(move, wide, split(rows, wide))
    return tuple(a[::k] for a in after), flat(moved).reshape(batch, k, -1).transpose(1, 2)


def jacobian(move: Move, s: State) -> tuple[State, Tensor]:
    """Return the next state, as large as this one, and the whole derivative of the move: reverse mode.

    Shapes:    -> (batch, unknown, unknown)
    """
    batch, unknowns = flat(s).shape
    with torch.enable_grad():
        wide = tuple(a.detach().repeat_interleave(unknowns, 0).requires_grad_() for a in s)
        after = move(wide)
        value = flat(after).view(batch, unknowns, unknowns).diagonal(dim1=1, dim2=2).sum()
    rows = torch.autograd.grad(value, wide, materialize_grads=True)
    return tuple(a.detach()[::unknowns] for a in after), flat(rows).view(batch, unknowns, unknowns)


def flat(s: State) -> Tensor:
    """Return the unknowns of every example in a row.

    Shapes:    (batch, unknown)
    """
    return torch.cat([a.flatten(1) for a in s], 1)


def split(rows: Tensor, like: State) -> State:
    """Return rows of unknowns as a state of these shapes."""
    parts = torch.split(rows, [prod(a.shape[1:]) for a in like], 1)
    return tuple(part.reshape(a.shape) for part, a in zip(parts, like, strict=True))


def draw(*shape: int, like: Tensor, seed: int = 0) -> Tensor:
    """Return normal numbers, the same at every call."""
    values = torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return values.to(like)


def _flow(run: Sequence[Stage | Wavelet], y: Tensor, seen: list[Passage] | None) -> Tensor:
    """Return the features after parts that carry one state."""
    first, last = ends(list(run))
    s = first.open(y)
    if seen is not None and torch.is_grad_enabled():  # members at rest have a gradient too
        s = tuple(a if a.requires_grad else a.requires_grad_() for a in s)
    for part in run:
        if isinstance(part, Wavelet):
            s = part.isometry((), s)
            continue
        states = march(part, s)
        s = states[-1]
        if seen is not None:
            seen.append(Passage("", part, states))
    return last.features(s)
