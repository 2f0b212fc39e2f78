"""How perturbations grow with depth, and whether states stay bounded: plain networks beside stable ones."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from math import exp, log, log10
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor

from wellposed.control import Control
from wellposed.dynamics import Antisymmetric, Dynamics, Hamiltonian, SingleResidual, Theta
from wellposed.experiments.pictures import COLOURS
from wellposed.experiments.setting import Outcome, Setting
from wellposed.integrators import AB3, RK4, Euler, Integrator, Verlet
from wellposed.network import Stage
from wellposed.operators import Dense
from wellposed.stability import kinematic_eigenvalues, worst_growth

if TYPE_CHECKING:
    from matplotlib.animation import FuncAnimation
    from matplotlib.figure import Figure

Make = Callable[[Dense, str], Dynamics]
Networks = Mapping[str, tuple[Make, Integrator]]

NETWORKS: Networks = {
    "plain Euler": (SingleResidual, Euler()),
    "antisymmetric Euler": (Antisymmetric, Euler()),
    "antisymmetric AB3": (Antisymmetric, AB3()),
    "antisymmetric RK4": (Antisymmetric, RK4()),
    "Hamiltonian Verlet": (Hamiltonian, Verlet()),
}
# Haber and Ruthotto, example 1: eigenvalues 2, -2 and +-i. There features are rows, so K is turned here.
PLANE = {
    "spread": [[2.0, 0.0], [-2.0, 2.0]],
    "collapse": [[-2.0, 2.0], [0.0, -2.0]],
    "turn": [[0.0, 1.0], [-1.0, 0.0]],
}
STARTS = torch.tensor([[0.1, 0.1], [-0.1, -0.1], [0.0, 0.5]], dtype=torch.float64)
SIZE = 2.0  # |A| of y' = s(A y + b)
EVERY = 100.0  # a curve has as many points
UNSTABLE = ("plain Euler", "antisymmetric Euler")
STABLE = ("antisymmetric AB3", "antisymmetric RK4", "Hamiltonian Verlet")
BETWEEN = 2  # steps from one frame of a movie to the next


class Case(NamedTuple):
    """What is asked of every network: activation, unknowns, and whether weights move."""

    activation: str
    unknowns: int
    moving: bool = False

    def __str__(self) -> str:
        return f"{self.activation} {self.unknowns}{' moving' if self.moving else ''}"


CASES = (Case("tanh", 16), Case("tanh", 2), Case("relu", 16), Case("tanh", 16, moving=True))


def run(setting: Setting, networks: Networks = NETWORKS) -> Outcome:
    """Follow perturbations through deep networks of equal size, and points through the plane."""
    found = {
        (name, case): [_piece(setting, networks, name, case, seed) for seed in setting.seeds]
        for name in networks
        for case in CASES
        if not setting.quick or case in CASES[:2] or (name, case) == ("plain Euler", CASES[2])
    }
    measures: dict[str, Any] = {
        f"{name}.{case}.{what}": [one[what] for one in seeds]
        for (name, case), seeds in found.items()
        for what in ("growth", "exponent", "energy")
    }
    plane = {name: _plane(K) for name, K in PLANE.items()}
    apart = {f"{name}.apart": _apart(ways) / _apart(ways[:1]) for name, (_, ways) in plane.items()}
    turn, zero = plane["turn"][0], torch.zeros(1, 2, dtype=torch.float64)
    measures |= {**apart, "turn.growth": float(worst_growth(turn, zero).factor)}
    frames = setting.pick(60, 2)
    return Outcome(
        measures,
        {"growth": [_row(name, case, seeds) for (name, case), seeds in found.items()]},
        {
            "growth": _curves(found),
            "plane": _plane_picture({name: ways for name, (_, ways) in plane.items()}),
        },
        {
            "unstable": _movie(networks, UNSTABLE, frames),
            "stable": _movie(networks, STABLE, frames),
        },
    )


def _piece(setting: Setting, networks: Networks, name: str, case: Case, seed: int) -> dict[str, Any]:
    compute = partial(follow, *networks[name], case, seed, setting.quick)
    return setting.piece(f"{name}, {case}, seed {seed}", compute)


def follow(make: Make, method: Integrator, case: Case, seed: int, quick: bool) -> dict[str, Any]:
    """Return growth and energy along the march of one network with random weights.

    growth     of a perturbation in one of the features, the one that grows most: mean of its logarithm
    exponent   slope of that over the second half, over |A|
    energy     sum of S(A y + b), S' = s, over that at the start: conserved if A' = -A
    """
    steps, h, points = (200, 0.2, 4) if quick else (2000, 0.1, 16)
    draw = torch.Generator().manual_seed(seed)
    stage = network(make, method, case, steps, h, draw)
    y = torch.randn(points, case.unknowns, generator=draw, dtype=torch.float64)
    logs = h * kinematic_eigenvalues(stage, y)[..., 0].mean(0)
    with torch.no_grad():
        thetas = stage.control.sample(stage.control.params, stage.discrete.nodes)
        ways = zip(thetas, stage.trajectory(y), strict=True)
        energy = torch.stack([_energy(stage.dynamics, theta, state).mean() for theta, state in ways])
    grown, kept = logs.cumsum(0), energy / energy[0]
    chosen = [round(k * (steps - 1) / EVERY) for k in range(int(EVERY) + 1)]
    return {
        "growth": exp(min(float(grown[-1]), 700.0)),
        "early": exp(float(grown[min(100, steps) - 1])),
        "exponent": float(logs[steps // 2 :].mean()) / (h * SIZE),
        "energy": float(kept.max()),
        "steps": [j + 1 for j in chosen],
        "logs": grown[chosen].tolist(),
        "energies": kept[1:][chosen].tolist(),
    }


def network(make: Make, method: Integrator, case: Case, steps: int, h: float, draw: torch.Generator) -> Stage:
    """Return a stage with random weights of |A| = 2; moving ones are drawn anew every 10 units of time."""
    f = _dynamics(make, case.unknowns, case.activation)
    nodes = [10.0 * k for k in range(round(steps * h / 10) + 1)] if case.moving else [0.0]
    drawn = [_theta(f, draw) for _ in nodes]
    control = Control({name: torch.stack([theta[name] for theta in drawn]) for name in drawn[0]}, nodes)
    return _stage(f, method, control, steps, h)


def _dynamics(make: Make, unknowns: int, activation: str) -> Dynamics:
    """Return a dynamics with so many unknowns: of two members half as many each."""
    f = make(Dense(unknowns), activation)
    return f if f.members == 1 else make(Dense(unknowns // 2), activation)


def _stage(f: Dynamics, method: Integrator, control: Control, steps: int, h: float) -> Stage:
    halves = f.members == 2
    return Stage(f, method, time=steps * h, steps=steps, control=control, bound="report", halves=halves)


def _theta(f: Dynamics, draw: torch.Generator) -> dict[str, Tensor]:
    """Return normal weights, K scaled so that |A| is the same for every structure."""
    theta = {
        name: torch.randn(shape, generator=draw, dtype=torch.float64) for name, shape in f.shapes().items()
    }
    extent = f.extent(theta)
    size = f.operator(theta["K"]).norm() if extent is None else extent.imaginary
    return {"K": theta["K"] * (SIZE / size), "b": 0.3 * theta["b"]}


def _energy(f: Any, theta: Theta, y: Tensor) -> Tensor:
    """Return the sum of S(A y + b) of every example."""
    K, b = f.operator(theta["K"]), theta["b"]
    if f.members == 2:
        first, second = y.chunk(2, 1)
        u = torch.cat([K @ second + b, K.T @ first + b], 1)
    else:
        u = ((K - K.T) if isinstance(f, Antisymmetric) else K) @ y + b
    S = u.relu().square() / 2 if f.activation == "relu" else u.abs() + (-2 * u.abs()).exp().log1p() - log(2)
    return S.sum(1)


def _plane(K: list[list[float]]) -> tuple[Stage, Tensor]:
    """Return a network of example 1, and the ways of its three points: (step, point, channel)."""
    stage = _stage(SingleResidual(Dense(2), "tanh"), Euler(), _still(torch.tensor(K)), 10, 0.1)
    with torch.no_grad():
        return stage, torch.stack(stage.trajectory(STARTS))


def _still(K: Tensor) -> Control:
    """Return weights that stand still, without a bias."""
    return Control.constant({"K": K.double(), "b": torch.zeros(len(K), dtype=torch.float64)}, [0.0])


def _apart(ways: Tensor) -> float:
    """Return the distance of the first two points at the end of their ways."""
    return float((ways[-1, 0] - ways[-1, 1]).norm())


def _row(name: str, case: Case, seeds: list[dict[str, Any]]) -> dict[str, Any]:
    """Return what the seeds gave together: geometric means of growth, the range of the others."""
    exponents, energies = [one["exponent"] for one in seeds], [one["energy"] for one in seeds]
    return {
        "network": name,
        "activation": case.activation,
        "unknowns": case.unknowns,
        "weights": "moving" if case.moving else "still",
        "steps": seeds[0]["steps"][-1],
        "growth after 100 steps": _mean([one["early"] for one in seeds]),
        "growth after all": _mean([one["growth"] for one in seeds]),
        "exponent over |A|, least": min(exponents),
        "exponent over |A|, largest": max(exponents),
        "largest energy over the first": max(energies),
    }


def _mean(values: list[float]) -> float:
    return exp(sum(log(value) for value in values) / len(values))


def _curves(found: Mapping[tuple[str, Case], list[dict[str, Any]]]) -> Figure:
    """Draw growth and energy by step, a line for every seed."""
    import matplotlib.pyplot as plt

    figure, panels = plt.subplots(1, 3, figsize=(9.5, 3.7))
    shown = ((CASES[0], "logs", "growth"), (CASES[2], "logs", "growth"), (CASES[0], "energies", "energy"))
    for panel, (case, what, title) in zip(panels, shown, strict=True):
        for colour, name in zip(COLOURS, dict.fromkeys(name for name, _ in found), strict=False):
            for k, one in enumerate(found.get((name, case), [])):
                curve = torch.tensor(one[what]) / (log(10) if what == "logs" else 1)
                style = "--" if name.endswith("AB3") else "-"  # it lies on another
                panel.plot(one["steps"], curve, style, color=colour, lw=1.1, label="" if k else name)
        panel.set(title=f"{title}, {case.activation}, {case.unknowns} unknowns", xlabel="step")
    for panel in panels[:2]:
        panel.set(ylabel="growth of a perturbation, powers of ten", ylim=(-0.3, 7))
    powers = log10(min(one["growth"] for one in found["plain Euler", CASES[2]]))
    words = f"plain: at least {powers:.0f}\nin the end"
    panels[1].text(0.3, 0.88, words, transform=panels[1].transAxes, color=COLOURS[0])
    panels[2].set(ylabel="energy over that at the start", yscale="log")
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=5, fontsize=8.5)
    return figure


def _plane_picture(ways: Mapping[str, Tensor]) -> Figure:
    """Draw the three points of example 1 on their way."""
    import matplotlib.pyplot as plt

    titles = {"spread": "2, 2: spread", "collapse": "-2, -2: collapse", "turn": "i, -i: turn"}
    figure, panels = plt.subplots(1, len(ways), figsize=(9.5, 3.4))
    for panel, (name, way) in zip(panels, ways.items(), strict=True):
        for k in range(way.shape[1]):
            panel.plot(*way[:, k].T, "-", color=COLOURS[k], lw=1)
            panel.plot(*way[1:, k].T, "o", color=COLOURS[k], ms=4)
            panel.plot(*way[0, k], "o", mfc="white", color=COLOURS[k], ms=6)
        panel.set(title=f"eigenvalues {titles[name]}", xlabel="first feature")
        panel.set(aspect="equal", adjustable="datalim")
    panels[0].set_ylabel("second feature")
    figure.suptitle("Ten steps of Euler, h = 0.1; open circles: where three points begin", fontsize=11)
    return figure


def _movie(networks: Networks, names: tuple[str, ...], frames: int) -> FuncAnimation:
    """Return points of two classes on their way through networks of two features."""
    import matplotlib.pyplot as plt
    from matplotlib.animation import FuncAnimation

    figure, panels = plt.subplots(1, len(names), figsize=(3.0 * len(names), 3.5), squeeze=False)
    shown = []
    for panel, name in zip(panels[0], names, strict=True):
        plain = name.startswith("plain")
        ways = _swarm(*networks[name], plain, frames * BETWEEN)
        dots = [panel.plot(*ways[0, k].T, "o", ms=2.5, color=COLOURS[k])[0] for k in range(2)]
        reach = 13 if plain else 1.8
        panel.set(title=name, xlim=(-reach, reach), ylim=(-reach, reach), aspect="equal")
        panel.set(xlabel="first feature", ylabel="its partner" if "Hamilton" in name else "second feature")
        shown.append((ways, dots))
    title = figure.suptitle("step 000", fontsize=10)
    figure.canvas.draw()
    figure.set_layout_engine("none")  # laid out once, not for every frame

    def draw(frame: int) -> list[Any]:
        title.set_text(f"step {frame * BETWEEN}")
        for ways, dots in shown:
            for k, dot in enumerate(dots):
                dot.set_data(*ways[frame * BETWEEN, k].T)
        return [title, *(dot for _, dots in shown for dot in dots)]

    return FuncAnimation(figure, draw, frames=frames)


def _swarm(make: Make, method: Integrator, plain: bool, steps: int) -> Tensor:
    """Return the ways of the upper and of the lower half of a disk: (step, class, point, channel)."""
    f = _dynamics(make, 2, "tanh")
    K = torch.tensor(PLANE["spread" if plain else "turn"])
    stage = _stage(f, method, _still(K if f.channels == 2 else 2 * K[:1, 1:]), steps, 0.1)
    angle = (torch.arange(40, dtype=torch.float64) + 0.5) * (2 * torch.pi / 40)
    ring = torch.stack([angle.cos(), angle.sin()], 1)
    disk = torch.cat([r * half for half in (ring[:20], ring[20:]) for r in (0.2, 0.4, 0.6, 0.8)])
    with torch.no_grad():
        ways = torch.stack(stage.trajectory(disk))
    return ways.view(steps + 1, 2, -1, 2)
