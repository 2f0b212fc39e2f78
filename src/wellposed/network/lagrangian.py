"""Training as optimal control: the Lagrangian of a stage, and how well its first-order conditions hold."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.func import functional_call

from wellposed.dynamics import State, Theta
from wellposed.errors import check_kind
from wellposed.integrators import advance
from wellposed.network.stage import Stage

Loss = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class KKTResidual:
    """By how much each condition fails to hold, relative to the size of what it equates."""

    state: float
    adjoint: float
    gradient: float

    def __str__(self) -> str:
        return f"state {self.state:.1e}, adjoint {self.adjoint:.1e}, gradient {self.gradient:.1e}"


def lagrangian(
    stage: Stage, loss: Loss, params: Theta, states: Sequence[State], multipliers: Sequence[State]
) -> Tensor:
    """L(s, p, theta) = loss(y_N) - sum_j <p_(j+1), s_(j+1) - step_j(theta, s_j)>.

    Its derivative by p is the state equation, by s the adjoint equation, by theta the reduced gradient.

    Shapes:    params as those of the control; states s_0 ... s_N; multipliers p_1 ... p_N
    """
    thetas = stage.control.sample(params, stage.discrete.times)
    L = loss(stage.features(states[-1]))
    for j, p in enumerate(multipliers):
        reached = advance(stage.discrete.steps[j], thetas, states[j])
        for a, after, stepped in zip(p, states[j + 1], reached, strict=True):
            L = L - (a * (after - stepped)).sum()
    return L


def kkt_residual(stage: Stage, loss: Loss, y: Tensor) -> KKTResidual:
    """By how much the first-order conditions of the Lagrangian fail at what a stage and its rule compute.

        state       s_(j+1) = step_j(theta, s_j), and the stage ends in the features of s_N
        adjoint     p_j = (d step_j / d s)' p_(j+1) down to p_0, and the derivative of the loss by y is p_0
        gradient    the derivative of the loss by theta is sum_j (d step_j / d theta)' p_(j+1)

    An exact rule fulfils all three to rounding, since backpropagation is the adjoint method of the discrete
    problem; `ContinuousAdjoint` does not in general.

    Shapes:    y (batch, channel, *space); loss takes the features at the end, and gives a number
    Raises:    StructureError for anything but a stage
    Cost:      the derivative twice, and memory of all states
    Reference: Haber and Ruthotto, Stable architectures for deep neural networks, 2017, arXiv:1705.03341
    """
    check_kind("stage", stage, Stage, "ask one of net.stages(), with the features that it is given")
    with torch.enable_grad():
        return _kkt_residual(stage, loss, y)


def _kkt_residual(stage: Stage, loss: Loss, y: Tensor) -> KKTResidual:
    params = {name: value.detach().requires_grad_() for name, value in stage.control.params.items()}
    named = {f"control.weights.{name}": value for name, value in params.items()}
    start = y.detach().requires_grad_()
    end = functional_call(stage, named, (start,))
    by_start, *by_params = _derivative(loss(end), [start, *params.values()])

    states = _states(stage, params, y.detach())
    multipliers = _multipliers(stage, loss, params, states)
    L = lagrangian(stage, loss, params, states, multipliers[1:])
    members = [a for s in states for a in s]
    found = _derivative(L, [*members, *params.values()])
    first = len(states[0])
    # The first state is no variable: what L says there is the derivative by the features that opened it.
    opened = _derivative(_dot(stage.open(start), found[:first]), [start])
    return KKTResidual(
        state=_quotient([stage.features(states[-1]) - end], [end]),
        adjoint=max(
            _quotient(found[first : len(members)], [a for p in multipliers for a in p]),
            _quotient([opened[0] - by_start], [by_start]),
        ),
        gradient=_quotient([a - b for a, b in zip(found[len(members) :], by_params, strict=True)], by_params),
    )


def _states(stage: Stage, params: Theta, y: Tensor) -> list[State]:
    """Return s_0 ... s_N, each a variable of its own."""
    with torch.no_grad():
        thetas = stage.control.sample(params, stage.discrete.times)
        s = stage.open(y)
        states = [s, *stage.discrete.states(thetas, s)]
    return [tuple(a.clone().requires_grad_() for a in s) for s in states]


def _multipliers(stage: Stage, loss: Loss, params: Theta, states: Sequence[State]) -> list[State]:
    """Return p_0 ... p_N by the adjoint equation, the last first."""
    with torch.no_grad():
        thetas = stage.control.sample(params, stage.discrete.times)
    p = _derivative(loss(stage.features(states[-1])), states[-1])
    found = [p]
    for j in reversed(range(len(stage.spans))):
        p = _derivative(_dot(advance(stage.discrete.steps[j], thetas, states[j]), p), states[j])
        found.append(p)
    return found[::-1]


def _derivative(value: Tensor, by: Sequence[Tensor]) -> State:
    return torch.autograd.grad(value, by, allow_unused=True, materialize_grads=True)


def _dot(a: State, b: State) -> Tensor:
    return torch.stack([(x * y).sum() for x, y in zip(a, b, strict=True)]).sum()


def _quotient(left: Sequence[Tensor], of: Sequence[Tensor]) -> float:
    """|left| / |of|."""
    above, below = (torch.stack([a.detach().norm() for a in side]).norm() for side in (left, of))
    return float(above / below.clamp_min(torch.finfo(below.dtype).tiny))
