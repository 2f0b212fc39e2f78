"""Beside other libraries: torchdiffeq's rk4 on the same field, memcnn's couplings of the same cost.

Both sides take the same weights, and their answers are compared before they are timed.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn

import wellposed as wp
from pairs import Run, check_alike, features, forward_backward, quotient

# It is no longer maintained, and calls what torch will remove.
warnings.filterwarnings("ignore", module="memcnn")
import memcnn  # noqa: E402
import torchdiffeq  # noqa: E402


def figures(pairs: int) -> dict[str, float]:
    small = rk4_sides(wp.SingleResidual(wp.Dense(4)), 512, 4, steps=16)
    # As wide as the recipes begin; at twice the width convolutions hide more of what a method costs.
    conv, wide = (rk4_sides(wp.SingleResidual(wp.Conv(n)), 8, n, 64, 64, steps=4) for n in (16, 32))
    ours, theirs = reversed_sides(8, 32, 64, 64, steps=4), memcnn_sides(8, 32, 64, 64, steps=4)
    check_alike("reversed_overhead", ours[0](), ours[1](), 1e-2)
    check_alike("memcnn_overhead", theirs[0]()[:1], ours[1]()[:1], 1e-2)
    return {
        "rk4_small_ratio": quotient("rk4_small_ratio", *small, max(pairs, 45)),
        "rk4_conv_ratio": quotient("rk4_conv_ratio", *conv, pairs),
        "rk4_wide_ratio": quotient("rk4_wide_ratio", *wide, pairs),
        "reversed_overhead": quotient("reversed_overhead", *ours, pairs),
        "memcnn_overhead": quotient("memcnn_overhead", *theirs, pairs),
    }


def rk4_sides(f: wp.SingleResidual, *shape: int, steps: int) -> tuple[Run, Run]:
    """RK4 here, and torchdiffeq's, which is the 3/8 rule: four evaluations too.

    Both take theta at the start, the middle and the end of a step from one look at the control a run.
    """
    torch.manual_seed(0)
    h = 1 / 8
    stage = wp.Stage(f, wp.RK4(), time=steps * h, steps=steps)
    ends = torch.tensor([0.0, steps * h])
    places = [k * h / 2 for k in range(2 * steps + 1)]

    def theirs(y: Tensor) -> Tensor:
        thetas = in_order(stage.control.at(stage.control.params, places))
        rate = lambda t, y: f.rate(next(thetas), y)  # noqa: E731
        return torchdiffeq.odeint(rate, y, ends, method="rk4", options={"step_size": h})[-1]

    given = (list(stage.parameters()), features(*shape), features(*shape, seed=2))
    check_alike("rk4", [stage(given[1])], [theirs(given[1])], 1e-3)
    return forward_backward(stage, *given), forward_backward(theirs, *given)


def in_order(sampled: dict[str, Tensor]) -> Iterator[dict[str, Tensor]]:
    """Yield theta for each evaluation: at the start of a step, twice in its middle, at its end."""
    rows = [
        dict(zip(sampled, row, strict=True)) for row in zip(*map(torch.unbind, sampled.values()), strict=True)
    ]
    for start in range(0, len(rows) - 1, 2):
        for k in (0, 1, 1, 2):
            yield rows[start + k]


def coupled(rule: wp.BackwardRule, channels: int, steps: int) -> wp.Stage:
    """Kick and drift by a symmetric double convolution each, with h = 1: a coupling as memcnn has it."""
    torch.manual_seed(0)
    f = wp.DoubleHamiltonian(wp.Conv(channels))
    return wp.Stage(f, wp.SymplecticEuler(), time=float(steps), steps=steps, backward=rule, bound="report")


def reversed_sides(*shape: int, steps: int) -> tuple[Run, Run]:
    """The march undone on the way back, and with its states kept."""
    stages = [coupled(rule, shape[1], steps) for rule in (wp.Reversed(), wp.Backprop())]
    y, downstream = features(*shape), features(*shape, seed=2)
    ours, kept = (forward_backward(stage, stage.parameters(), y, downstream) for stage in stages)
    return ours, kept


def memcnn_sides(*shape: int, steps: int) -> tuple[Run, Run]:
    """memcnn's couplings by the same rates, each undone on the way back, and plain."""
    stage = coupled(wp.Backprop(), shape[1], steps)
    f, params = stage.dynamics, stage.control.params
    couplings = []
    for j in range(steps):
        theta = nn.ParameterDict({name: nn.Parameter(value[j].detach()) for name, value in params.items()})
        couplings.append(memcnn.AdditiveCoupling(Rate(f.rate_second, theta), Rate(f.rate_first, theta)))
    undone = nn.Sequential(*(memcnn.InvertibleModuleWrapper(coupling) for coupling in couplings))
    plain = nn.Sequential(*couplings)

    def run(chain: nn.Module) -> Run:
        def call(y: Tensor) -> Tensor:
            # Partners at rest come first: memcnn moves its first half first.
            return chain(torch.cat([torch.zeros_like(y), y], dim=1)).chunk(2, dim=1)[1]

        return forward_backward(call, chain.parameters(), features(*shape), features(*shape, seed=2))

    return run(undone), run(plain)


class Rate(nn.Module):
    """A rate of ours with its weights, as memcnn takes it."""

    def __init__(self, rate: Callable[[nn.ParameterDict, Tensor], Tensor], theta: nn.ParameterDict) -> None:
        super().__init__()
        self.rate, self.theta = rate, theta

    def forward(self, y: Tensor) -> Tensor:
        return self.rate(self.theta, y)
