"""Two gradients: of the network as it is discretised, and of the adjoint equation, discretised by itself.

First y' = -y, where all is known; then the angle between the two on a network, and what training makes of it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from math import exp, prod
from textwrap import fill
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from wellposed.backward import Backprop, BackwardRule, ContinuousAdjoint
from wellposed.control import Control
from wellposed.data import ellipses
from wellposed.dynamics import Antisymmetric, Parabolic
from wellposed.experiments.pictures import COLOURS
from wellposed.experiments.setting import Outcome, Rows, Setting
from wellposed.integrators import RK4, Euler
from wellposed.learning import CrossEntropy, Labels, generator
from wellposed.network import Network, Opening, Readout, Stage
from wellposed.network.part import seeded
from wellposed.operators import Dense

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Steps = Sequence[float]
Rules = Mapping[str, BackwardRule]
GRADED, EVEN = (0.7, 0.1, 0.1, 0.1), (0.25,) * 4
TARGET = 0.2
FINER = 32  # steps of the finer solve to each of the coarse one
SMALL = 1e-3  # step down a gradient, of the distance to the minimum: does the loss fall?

TIME = 4.0
COUNTS = (4, 8, 16, 32, 64, 128)
COARSE = 4  # steps of the network that is trained
RATE = 0.1
LOOK = 10  # updates between two looks at the angle
DO = "discretise, then optimise"
OD = "optimise, then discretise"
SAME = "optimise, then discretise, on the steps of the network"
NAMES = (DO, OD, SAME)


def backward(h: Steps) -> float:
    """Return u(0) / u(T) of u' = u, stepped backward by Euler: u_j = (1 - h_j) u_j+1."""
    return prod(1 - step for step in h)


def forward(h: Steps) -> float:
    """Return the same stepped forward: u_j+1 = (1 + h_j) u_j."""
    return 1 / prod(1 + step for step in h)


MARCHES: Mapping[str, Callable[[Steps], float]] = {
    "backward, same grid": backward,
    "backward, even grid": lambda h: backward((sum(h) / len(h),) * len(h)),
    "forward, same grid": forward,
    "exact": lambda h: exp(-sum(h)),
}


def run(setting: Setting, exact: BackwardRule | None = None, adjoint: BackwardRule | None = None) -> Outcome:
    """Measure gradients: `exact` discretises first, `adjoint` (half as many steps) optimises first."""
    found = exact or Backprop(), adjoint or ContinuousAdjoint(), ContinuousAdjoint(every=1)
    rules = dict(zip(NAMES, found, strict=True))
    shares = setting.piece("shares", partial(_shares, found[0], setting.pick(200, 10)))
    counts = setting.pick(COUNTS, COUNTS[:-1:2])
    angles, trained = [], []
    for seed in setting.seeds:
        angles.append(setting.piece(f"angles {seed}", partial(_angles, seed, rules, counts)))
        updates = setting.pick(400, 20)
        trained.append(setting.piece(f"trained {seed}", partial(_trained, seed, rules, updates)))
    return Outcome(
        {**_numbers(found[0]), **_of_shares(shares), **_of_network(angles, trained)},
        {"scalar": shares, "network": _network_rows(counts, angles, trained)},
        {"scalar": _draw_scalar(shares), "network": _draw_network(counts, angles, trained)},
    )


def scalar(h: Steps, rule: BackwardRule, start: float, target: float) -> tuple[float, float]:
    """Return y(T) by forward Euler, and the derivative of (y(T) - c)^2 / 2 by y(0) as a rule finds it."""
    one = Control.constant({"K": torch.ones(1, 1), "b": torch.zeros(1)}, [0.0])
    decay = Parabolic(Dense(1), "identity")
    stage = Stage(decay, Euler(), time=sum(h), steps=h, control=one, backward=rule, bound="report").double()
    y = torch.full((1, 1), start, dtype=torch.float64, requires_grad=True)
    end = stage(y)
    (slope,) = torch.autograd.grad((end - target).square().sum() / 2, y)
    return float(end.detach()), float(slope)


def _numbers(rule: BackwardRule) -> dict[str, float]:
    """Return the gradients on two grids, each by the library where it has the rule."""
    found: dict[str, float] = {}
    for name, h in {"graded": GRADED, "even": EVEN}.items():
        end, discrete = scalar(h, rule, 1.0, TARGET)
        miss = end - TARGET
        found |= {
            f"{name}.do": discrete,
            f"{name}.backward": scalar(h, ContinuousAdjoint(every=1), 1.0, TARGET)[1],
            f"{name}.forward": miss * MARCHES["forward, same grid"](h),
            f"{name}.own grid": miss * MARCHES["backward, even grid"](h),
            f"{name}.exact": miss * MARCHES["exact"](h),
        }
    return found


def _shares(rule: BackwardRule, count: int) -> list[dict[str, Any]]:
    """Return for each way to lay out the steps, and each march of the adjoint, how often the loss falls."""
    draw = generator(0, "do-vs-od")

    def uniform(low: float, high: float) -> float:
        return low + (high - low) * float(torch.rand((), generator=draw, dtype=torch.float64))

    def split(total: float, pieces: int) -> tuple[float, ...]:
        parts = [uniform(0.05, 1.0) for _ in range(pieces)]
        return tuple(total * part / sum(parts) for part in parts)

    cases: dict[str, Callable[[], Steps]] = {
        "[0, 1], one forward solve": lambda: split(1.0, 4),
        "[0, T], one step longer than 1": lambda: (uniform(1.05, 1.95), *split(uniform(0.2, 0.9), 3)),
        "[0, T], two steps longer than 1": lambda: (*(uniform(1.05, 1.95) for _ in "12"), *split(0.8, 2)),
        "[0, 1], the adjoint from a finer solve": lambda: split(1.0, 4),
    }
    rows = []
    for case, steps in cases.items():
        fell: dict[str, list[bool]] = {name: [] for name in (DO, *MARCHES)}
        for _ in range(count):
            h, start, between = steps(), uniform(0.5, 1.5), uniform(0.02, 0.98)
            P = backward(h)
            finer = start * backward([step / FINER for step in h for _ in range(FINER)])
            inside = case.endswith("finer solve")
            target = start * P + between * (finer - start * P) if inside else uniform(-2, 2)
            begin = (finer if inside else start * P) - target
            gradients = {name: begin * march(h) for name, march in MARCHES.items()}
            gradients[DO] = scalar(h, rule, start, target)[1]
            for name, gradient in gradients.items():
                fell[name].append(_falls(P, start, target, gradient))
        rows.append({"steps": case, **{name: sum(held) / count for name, held in fell.items()}})
    return rows


def _falls(P: float, start: float, target: float, gradient: float) -> bool:
    """Whether (P y - c)^2 falls by a small step from y against a gradient."""
    distance = abs(start - target / P)
    moved = start - SMALL * distance * (1 if gradient > 0 else -1)
    return abs(P * moved - target) < abs(P * start - target)


def _of_shares(rows: list[dict[str, Any]]) -> dict[str, float]:
    slide, long, _, finer = rows
    return {
        "do.downhill": min(row[DO] for row in rows),
        "slide.downhill": min(slide[name] for name in MARCHES),
        "long.uphill": 1 - long["forward, same grid"],
        "finer.uphill": 1 - max(finer[name] for name in MARCHES),
        "uphill": max(1 - row[name] for row in rows for name in MARCHES),
    }


def network(seed: int, steps: int, rule: BackwardRule) -> Network:
    """Return a network whose theta(t) is linear between three nodes, whatever the steps are."""
    f = Antisymmetric(Dense(4))
    with seeded(seed):
        theta = {name: 0.5 * torch.randn(3, *shape) for name, shape in f.shapes().items()}
        control = Control(theta, [0.0, TIME / 2, TIME])
        stage = Stage(f, RK4(), time=TIME, steps=steps, control=control, backward=rule, bound="report")
        return Network(Opening(2, 4), stage, Readout(4, 2)).double()


def _gradient(net: Network, y: Tensor, labels: Labels) -> tuple[float, list[Tensor]]:
    """Return the loss, and its derivative by every weight."""
    value = CrossEntropy().value(net, net(y.double()), labels)
    return float(value.detach()), list(torch.autograd.grad(value, list(net.parameters())))


def _angle(a: Sequence[Tensor], b: Sequence[Tensor]) -> float:
    """Return the angle between two gradients by all weights, in degrees."""
    first, second = (torch.cat([part.flatten() for part in parts]) for parts in (a, b))
    unit = first / first.norm(), second / second.norm()
    halves = torch.atan2((unit[0] - unit[1]).norm(), (unit[0] + unit[1]).norm())  # exact near zero too
    return float(torch.rad2deg(2 * halves))


def _angles(seed: int, rules: Rules, counts: Sequence[int]) -> dict[str, list[float]]:
    """Return for the adjoint on either grid the angle to the gradient of the loss, a number of steps."""
    y, labels = ellipses(256, seed=seed)
    found: dict[str, list[float]] = {OD: [], SAME: []}
    for n in counts:
        slopes = {name: _gradient(network(seed, n, rule), y, labels)[1] for name, rule in rules.items()}
        for name, row in found.items():
            row.append(_angle(slopes[name], slopes[DO]))
    return found


def _trained(seed: int, rules: Rules, updates: int) -> dict[str, dict[str, list[float]]]:
    """Return losses of a descent of the same start, rate and length by each rule, and angles on the way."""
    y, labels = ellipses(256, seed=seed)
    found = {}
    for name, rule in rules.items():
        net = network(seed, COARSE, rule)
        true = net.replace(backward=rules[DO])  # the same weights by the other rule
        losses, angles = [], []
        for update in range(updates + 1):
            value, slopes = _gradient(net, y, labels)
            losses.append(value)
            if update % LOOK == 0:
                angles.append(_angle(slopes, _gradient(true, y, labels)[1]))
            with torch.no_grad():
                for weight, slope in zip(net.parameters(), slopes, strict=True):
                    weight.sub_(slope, alpha=RATE)
        found[name] = {"loss": losses, "angle": angles}
    return found


def _of_network(angles: Sequence[Any], trained: Sequence[Any]) -> dict[str, Any]:
    ends = {name: [run[name]["loss"][-1] for run in trained] for name in NAMES}
    worst = [max(*row[OD], *run[OD]["angle"]) for row, run in zip(angles, trained, strict=True)]
    return {
        "angle.coarse": [row[OD][0] for row in angles],
        "angle.fine": [row[OD][-1] for row in angles],
        "angle.worst": worst,
        "loss.do": ends[DO],
        "loss.od": ends[OD],
        "loss.ratio": [od / do for od, do in zip(ends[OD], ends[DO], strict=True)],
        "loss.ratio, same steps": [od / do for od, do in zip(ends[SAME], ends[DO], strict=True)],
    }


def _network_rows(counts: Sequence[int], angles: Sequence[Any], trained: Sequence[Any]) -> Rows:
    return [
        {
            "seed": seed,
            "gradient": name,
            **{
                f"degrees at {n} steps": angle
                for n, angle in zip(counts, row.get(name, [0.0] * len(counts)), strict=True)
            },
            "largest degrees in training": max(run[name]["angle"]),
            f"loss after training, {COARSE} steps": run[name]["loss"][-1],
        }
        for seed, (row, run) in enumerate(zip(angles, trained, strict=True))
        for name in NAMES
    ]


def _draw_scalar(shares: Rows) -> Figure:
    """Draw how often a step against each gradient lowers the loss."""
    import matplotlib.pyplot as plt

    figure, panel = plt.subplots(figsize=(9.5, 3.8))
    columns = [DO, *(f"adjoint: {name}" for name in MARCHES)]
    values = [[row[name] for name in (DO, *MARCHES)] for row in shares]
    panel.imshow(values, vmin=0, vmax=1, cmap="RdYlGn", aspect="auto", alpha=0.6)
    for i, row in enumerate(values):
        for k, value in enumerate(row):
            panel.text(k, i, f"{value:.0%}", ha="center", va="center")
    panel.set_xticks(range(len(columns)), [fill(name, 22) for name in columns], fontsize=9)
    panel.set_yticks(range(len(values)), [fill(row["steps"], 22) for row in shares], fontsize=9)
    panel.spines[:].set_visible(False)
    panel.tick_params(length=0)
    panel.set_title("y' = -y by forward Euler: how often the loss falls by a small step against the gradient")
    return figure


def _draw_network(counts: Sequence[int], angles: Sequence[Any], trained: Sequence[Any]) -> Figure:
    """Draw angles as the grid coarsens, losses of training, and angles on the way."""
    import matplotlib.pyplot as plt

    figure, (start, losses, way) = plt.subplots(1, 3, figsize=(9.5, 4))
    for colour, name in zip(COLOURS, NAMES, strict=False):
        for seed, (row, run) in enumerate(zip(angles, trained, strict=True)):
            look: dict[str, Any] = {"color": colour, "lw": 1.2, "label": None if seed else name}
            losses.semilogy(run[name]["loss"], **look)
            if name in row:
                start.loglog(counts, row[name], "o-", ms=3.5, **look)
                way.plot(range(0, len(run[name]["loss"]), LOOK), run[name]["angle"], **look)
    for panel in (start, way):
        panel.axhline(90, color="0.6", lw=0.8, ls="--")
    start.text(counts[-1], 95, "uphill", ha="right", va="bottom", fontsize=8, color="0.4")
    start.set_xticks(counts, [str(n) for n in counts])
    start.minorticks_off()
    start.set(
        title="At the start", xlabel="steps of the network", ylabel="angle of the two gradients, degrees"
    )
    losses.set(title=f"Training, {COARSE} steps", xlabel="update", ylabel="loss of the network")
    way.set(
        title=f"In training, {COARSE} steps", xlabel="update", ylabel="angle to that of the loss, degrees"
    )
    figure.legend(*losses.get_legend_handles_labels(), loc="outside lower center", ncols=3, fontsize=9)
    return figure
