"""The adjoint differential equation, discretised by itself: not the derivative of the march."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple, Self

import torch
from torch import Tensor

from wellposed.backward.adjoint import Adjoint, adjoint_of
from wellposed.backward.base import BackwardRule, ByHand, March, Updates, eager, fresh, precision
from wellposed.control import Control, interpolate
from wellposed.dynamics import State, Theta
from wellposed.errors import StructureError
from wellposed.integrators import Discretisation, Isometry, advance


@dataclass(frozen=True)
class ContinuousAdjoint(BackwardRule):
    """Optimise, then discretise: solve the adjoint equation on a grid of its own.

        a(T) = dL/dy(T),    -a' = f_y(theta, y)' a,    dL/dtheta = integral of f_theta(theta, y)' a

    The states y are reconstructed forward, and a is solved in reversed time, by the integrator of the stage
    on a grid with one step for each `every` of its own; between the nodes y is linear, and the integral is
    taken by trapezoids. It is here to show what it gets wrong: it is the derivative of the continuous
    problem, of order two at best on a control whose nodes stay, and with large steps not a direction in which
    the discrete loss falls. The integral is sampled on the nodes of its grid: a control with more nodes than
    those has some that get nothing, so compare gradients by a control on fewer nodes. A derivative of the
    derivative is refused: it would go back through the forward march by the adjoint, and be no Hessian.

    Raises:    StructureError when `every` is less than one, or when what it gives is differentiated again
    Cost:      about half an adjoint at every=2; memory of one state a step of its grid
    Reference: Gholami, Keutzer, Biros, ANODE, 2019, arXiv:1902.10298; Onken and Ruthotto, 2020,
               arXiv:2005.13420
    """

    every: int = 2

    exact = False
    order = 2

    def __post_init__(self) -> None:
        if self.every < 1:
            raise StructureError(
                "the adjoint has a grid",
                given=f"every={self.every}",
                expected="at least one step of the stage to a step of the adjoint",
                way_out="leave `every` away",
            )

    def check(self, updates: Updates) -> None:
        """Take everything."""

    def run(self, march: March, s: State) -> State:
        """Return the state at the end."""
        for problem in march.problems:
            if isinstance(problem, Isometry):  # it takes no time
                s = problem((), s)
                continue
            discrete, control, params = problem
            plan = _Plan(discrete, control, tuple(params), len(s), self.every)
            s = eager(_Continuous.apply, plan, *s, *params.values())
        return s

    @classmethod
    def examples(cls) -> Sequence[Self]:
        """On half as many steps, and on the steps of the stage."""
        return [cls(), cls(every=1)]


class _Plan(NamedTuple):
    """A problem without its weights, which autograd only sees where they are arguments."""

    discrete: Discretisation
    control: Control
    names: tuple[str, ...]
    members: int
    every: int

    def coarse(self) -> Discretisation:
        """Return the grid of the adjoint: even where that of the stage is."""
        f, integrator, spans = self.discrete.dynamics, self.discrete.integrator, self.discrete.spans
        groups = [spans[k : k + self.every] for k in range(0, len(spans), self.every)]
        if max(spans) <= min(spans) * (1 + 1e-9):
            return Discretisation(f, integrator, (sum(spans) / len(groups),) * len(groups))
        return Discretisation(f, integrator, tuple(map(sum, groups)))


class _Continuous(ByHand):
    """A stage as one function of its first state and its weights, with the derivative of another problem."""

    @staticmethod
    def forward(plan: _Plan, *given: Tensor) -> State:
        s, params = given[: plan.members], dict(zip(plan.names, given[plan.members :], strict=True))
        thetas = plan.control.sample(params, plan.discrete.times)
        return fresh(advance(plan.discrete.updates, thetas, s), given)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: State) -> None:
        ctx.plan, *given = inputs
        ctx.save_for_backward(*given)
        ctx.precision = precision(output[0])

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        plan: _Plan = ctx.plan
        # A tensor saved in a torch.func transform that has ended enters a new one only as a view.
        saved = [tensor.view_as(tensor) for tensor in ctx.saved_tensors]
        s, params = tuple(saved[: plan.members]), dict(zip(plan.names, saved[plan.members :], strict=True))
        with ctx.precision():
            grid = plan.coarse()
            states = _reconstruct(plan, grid, params, s)
            adjoint = adjoint_of(grid.dynamics)
            adjoints = _solve_back(plan, grid, adjoint, params, states, gradients)
            by_params = _integral(plan, grid, adjoint, params, states, adjoints)
        begin = adjoint.leave(adjoints[0])
        past = [torch.zeros_like(a) for a in s[len(begin) :]]
        found = (*begin, *past, *(by_params[name] for name in plan.names))
        if torch.is_grad_enabled():
            found = _Last.apply(*found)  # type: ignore[no-untyped-call]
        return None, *found


class _Last(torch.autograd.Function):
    """The identity, whose derivative is refused."""

    generate_vmap_rule = True

    @staticmethod
    def forward(*gradients: Tensor) -> State:
        return tuple(gradient.view_as(gradient) for gradient in gradients)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: State) -> None:
        """Keep nothing."""

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> State:
        raise StructureError(
            "the continuous adjoint has no second derivative",
            given="a derivative of a gradient by ContinuousAdjoint",
            expected="a gradient by an exact rule: this one is not that of the march",
            way_out="use backward=Backprop() or Checkpointed()",
        )


def _reconstruct(plan: _Plan, grid: Discretisation, params: Theta, s: State) -> list[State]:
    """Return the states at the nodes of the grid, without what a method of several steps remembers."""
    thetas = plan.control.sample(params, grid.times)
    return [grid.without_past(state, j) for j, state in enumerate([s, *grid.states(thetas, s)])]


def _solve_back(
    plan: _Plan, grid: Discretisation, adjoint: Adjoint, params: Theta, states: list[State], g: State
) -> list[State]:
    """Return the adjoints at the nodes of the grid, first to last, from those at its end."""
    end, members = grid.nodes[-1], grid.dynamics.members
    back = Discretisation(adjoint, grid.integrator, grid.spans[::-1])
    times = [end - time for time in back.times]
    along = {name: torch.stack([s[k] for s in states]) for k, name in enumerate(adjoint.names[:members])}
    placed = interpolate(along, grid.nodes, times)
    thetas = [
        {**theta, **{name: value[k] for name, value in placed.items()}}
        for k, theta in enumerate(plan.control.sample(params, times))
    ]
    last = adjoint.enter(g[:members])
    begin = (*last, *grid.integrator.open(grid.dynamics, last[0])[members:])
    found = [grid.without_past(s, j) for j, s in enumerate([begin, *back.states(thetas, begin)])]
    return found[::-1]


def _integral(
    plan: _Plan,
    grid: Discretisation,
    adjoint: Adjoint,
    params: dict[str, Tensor],
    states: list[State],
    adjoints: list[State],
) -> dict[str, Tensor]:
    """Return the gradient by the weights of the control: trapezoids of f_theta' a."""
    spans = [0.0, *grid.spans, 0.0]
    shares = [(before + after) / 2 for before, after in pairwise(spans)]
    thetas = plan.control.sample(params, grid.nodes)
    parts: list[dict[str, Tensor]] = []
    for share, theta, y, a in zip(shares, thetas, states, adjoints, strict=True):
        pull = torch.func.vjp(_along(adjoint, y, a), theta)[1]
        parts.append(pull(torch.as_tensor(share).to(y[0]))[0])
    by_nodes = {name: torch.stack([part[name] for part in parts]) for name in plan.names}
    pull = torch.func.vjp(lambda values: plan.control.at(values, grid.nodes), params)[1]
    by_params: dict[str, Tensor] = pull(by_nodes)[0]
    return by_params


def _along(adjoint: Adjoint, y: State, a: State) -> Callable[[Theta], Tensor]:
    return lambda theta: adjoint.product(theta, y, a)
