"""Is a trained network a differential equation? Evaluated with more and with fewer steps than it learned."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from wellposed.control import Control
from wellposed.data import ellipses, peaks, swiss_roll
from wellposed.dynamics import Antisymmetric, Dynamics, Hamiltonian, Parabolic, Residual
from wellposed.experiments.pictures import COLOURS
from wellposed.experiments.setting import Outcome, Setting
from wellposed.integrators import RK4, Euler, Integrator, Verlet
from wellposed.learning import CrossEntropy, OneCycle, SmoothInTime, fit, generator, score
from wellposed.network import Classify, Network, Opening, Stage
from wellposed.network.part import seeded
from wellposed.operators import Dense

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Found = Mapping[tuple[str, str, str, int], Mapping[str, Any]]  # by toy, dynamics, kind and seed

WIDTH, TIME = 8, 8.0
STEPS = {"drawn": 8, "even": 8, "smooth": 8, "fine": 32}
DYNAMICS: Mapping[str, tuple[Dynamics, Integrator]] = {
    "residual": (Residual(Dense(WIDTH)), Euler()),
    "antisymmetric": (Antisymmetric(Dense(WIDTH)), RK4()),
    "hamiltonian": (Hamiltonian(Dense(WIDTH)), Verlet()),
    "parabolic": (Parabolic(Dense(WIDTH)), Euler()),
}
# How the weights of the steps begin, what the objective asks of them, and how many steps there are.
KINDS = {
    "drawn": "drawn for each step",
    "even": "equal to begin with",
    "smooth": "SmoothInTime",
    "fine": "SmoothInTime, short steps",
}
SMOOTH = 5e-3  # of the objective, where it is asked for
TOYS = {"swiss_roll": (swiss_roll, 2), "peaks": (peaks, 5), "ellipses": (ellipses, 2)}  # and classes
POINTS, BATCH, NEW, RATE = 512, 128, 1000, 3e-2
TIMES = (0.5, 1, 2, 4)  # as many steps as in training
SIDE, FAR = 60, {"swiss_roll": 1.35, "peaks": 3.0, "ellipses": 2.0}  # of the picture of regions
SHOWN = 6  # weights


def run(setting: Setting, refine: Callable[[Network], Network] = Network.refine) -> Outcome:
    """Train each dynamics in each kind, and evaluate it with other numbers of steps."""
    full = (tuple(TOYS)[:2], tuple(DYNAMICS), tuple(KINDS))
    quick = (("ellipses",), ("residual", "hamiltonian"), ("drawn", "smooth", "fine"))
    epochs = setting.pick(90, 14)
    found: dict[tuple[str, str, str, int], Mapping[str, Any]] = {}
    for key in product(*setting.pick(full, quick), setting.seeds):
        name = " ".join(map(str, key))
        train = partial(_train, refine, key, epochs, setting.checkpoint(name))
        found[key] = setting.piece(name, train)
    pictures = {"accuracy": _accuracies(found), "weights": _weights(found), "regions": _regions(found)}
    return Outcome(_measures(found, setting.seeds), {"networks": _rows(found)}, pictures)


def network(toy: str, dynamics: str, kind: str, seed: int) -> Network:
    """Return a network before training."""
    f, integrator = DYNAMICS[dynamics]
    draw = generator(seed, "weights", dynamics)
    with seeded(seed):
        parts = Opening(2, WIDTH), Classify(WIDTH, TOYS[toy][1])
    stage = Stage(f, integrator, time=TIME, steps=STEPS[kind], bound="report")
    nodes = stage.control.nodes
    starts = [f.start(draw) for _ in nodes] if kind == "drawn" else [f.start(draw)] * len(nodes)
    control = Control({name: torch.stack([start[name] for start in starts]) for name in f.shapes()}, nodes)
    return Network(parts[0], stage.replace(control=control), parts[1])


def _train(
    refine: Callable[[Network], Network], key: tuple[str, str, str, int], epochs: int, checkpoint: Path
) -> dict[str, Any]:
    """Train one network; return what it says with each number of steps, and how its weights move."""
    toy, _, kind, seed = key
    y, labels = TOYS[toy][0](POINTS, seed=seed)
    new, truth = TOYS[toy][0](NEW, seed=1000 + seed)
    net = network(*key)
    loss = CrossEntropy() + SMOOTH * SmoothInTime() if kind in ("smooth", "fine") else CrossEntropy()
    train = partial(fit, net, loss, y, labels, epochs=epochs, seed=seed, rate=OneCycle(RATE, epochs))
    for _ in train(batch=BATCH, bound="keep", checkpoint=checkpoint):
        pass
    half = net.replace(steps=STEPS[kind] // 2, bound="report")
    others = dict(zip(TIMES, (half, net, refine(net), refine(refine(net))), strict=True))
    side = torch.linspace(-FAR[toy], FAR[toy], SIDE)
    plane = torch.cartesian_prod(side, side)
    return {
        "accuracy": [score(other, new, truth, batch=NEW).accuracy for other in others.values()],
        "moved": [_moved(net, other, new) for other in others.values()],
        "jump": _jump(net),
        "weights": _path(net)[:, :SHOWN].tolist(),
        "regions": [_classes(others[n], plane) for n in (1, 4)],
    }


@torch.no_grad()
def _moved(net: Network, other: Network, y: Tensor) -> float:
    """|other(y) - net(y)| / |net(y)|."""
    said = net(y)
    return float((other(y) - said).norm() / said.norm())


@torch.no_grad()
def _path(net: Network) -> Tensor:
    """Return all weights that move in time, at the start of each step: (step, weight)."""
    (stage,) = net.stages()
    theta = stage.control.at(stage.control.params, stage.discrete.nodes[:-1])
    return torch.cat([value.flatten(1) for value in theta.values()], 1)


def _jump(net: Network) -> float:
    """Return by how much weights change from one step to the next, relative to their size."""
    path = _path(net)
    return float(path.diff(dim=0).norm(dim=1).mean() / path.norm(dim=1).mean())


@torch.no_grad()
def _classes(net: Network, y: Tensor) -> list[int]:
    return net(y).argmax(1).tolist()


def _measures(found: Found, seeds: tuple[int, ...]) -> dict[str, Any]:
    """Return the least accuracy, and the largest change of it in points, over toys and more steps.

    Of the residual network, of all dynamics, and of those whose integrator is of order two or more.
    """
    names = [name for name in DYNAMICS if any(key[1] == name for key in found)]
    second = [name for name in names if DYNAMICS[name][1].order >= 2]
    measures: dict[str, Any] = {}
    for group, members in (("residual", ["residual"]), ("all", names), ("second", second)):
        for kind in dict.fromkeys(key[2] for key in found):
            nets = [[v for k, v in found.items() if k[1] in members and k[2:] == (kind, i)] for i in seeds]
            measures[f"{group}.{kind}.accuracy"] = [min(v["accuracy"][1] for v in each) for each in nets]
            measures[f"{group}.{kind}.change"] = [max(_change(v) for v in each) for each in nets]
    return measures


def _change(value: Mapping[str, Any]) -> float:
    """Return by how many points the accuracy changes with twice and four times the steps, at most."""
    _, trained, *finer = value["accuracy"]
    return 100 * max(abs(accuracy - trained) for accuracy in finer)


def _rows(found: Found) -> list[dict[str, Any]]:
    """Return a row for each network."""
    return [
        {"toy": toy, "dynamics": dynamics, "weights": KINDS[kind], "seed": seed}
        | {f"accuracy, {n:g} times the steps": a for n, a in zip(TIMES, value["accuracy"], strict=True)}
        | {f"output moved, {n:g} times": m for n, m in zip(TIMES, value["moved"], strict=True) if n != 1}
        | {"weights jump a step": value["jump"]}
        for (toy, dynamics, kind, seed), value in found.items()
    ]


def _accuracies(found: Found) -> Figure:
    """Draw accuracy against the number of steps: a row a toy, a column a dynamics, a line a network."""
    import matplotlib.pyplot as plt

    toys, names = list(dict.fromkeys(key[0] for key in found)), list(dict.fromkeys(key[1] for key in found))
    size, handles = (9.5, 1.6 + 2.2 * len(toys)), {}
    figure, axes = plt.subplots(len(toys), len(names), figsize=size, sharex=True, sharey=True, squeeze=False)
    for (toy, name, kind, _), value in found.items():
        panel, colour = axes[toys.index(toy), names.index(name)], COLOURS[list(KINDS).index(kind)]
        (handles[KINDS[kind]],) = panel.plot(TIMES, value["accuracy"], "o-", ms=3, lw=1.2, color=colour)
    for panel in axes.flat:
        panel.set_xscale("log", base=2)
        panel.set_xticks(TIMES, [f"{n:g}" for n in TIMES])
        panel.axvline(1, color="0.7", lw=0.8, ls="--")
    for panel, name in zip(axes[0], names, strict=True):
        panel.set_title(f"{name}, {type(DYNAMICS[name][1]).__name__}")
    for panel in axes[-1]:
        panel.set_xlabel("times the steps")
    for panel, toy in zip(axes[:, 0], toys, strict=True):
        panel.set_ylabel(f"accuracy, {toy.replace('_', ' ')}")
    figure.legend(handles.values(), handles, loc="outside lower center", ncols=4, title="weights", fontsize=9)
    figure.suptitle("Evaluated with fewer and with more steps than it was trained with")
    return figure


def _weights(found: Found) -> Figure:
    """Draw some weights of the residual and of the Hamiltonian network in time."""
    import matplotlib.pyplot as plt

    toy, kinds = next(iter(found))[0], list(dict.fromkeys(key[2] for key in found))
    figure, axes = plt.subplots(2, len(kinds), figsize=(9.5, 5), sharex=True, sharey="row")
    for row, dynamics in zip(axes, ("residual", "hamiltonian"), strict=True):
        for panel, kind in zip(row, kinds, strict=True):
            value = found[toy, dynamics, kind, 0]
            times = np.arange(STEPS[kind]) * TIME / STEPS[kind]
            panel.plot(times, np.array(value["weights"]), "o-", ms=3, lw=1)
            title = f"{KINDS[kind]}\na step changes them by {value['jump']:.0%}"
            panel.set_title(title, fontsize=9)
        row[0].set_ylabel(f"weights, {dynamics}")
    for panel in axes[-1]:
        panel.set_xlabel("time")
    figure.suptitle(f"{SHOWN} weights as functions of time after training, {toy.replace('_', ' ')}")
    return figure


def _regions(found: Found) -> Figure:
    """Draw the classes that networks see in the plane, with as many steps as trained and with four times.

    One whose weights were drawn for each step, and those with SmoothInTime and short steps.
    """
    import matplotlib.pyplot as plt

    toy, names = next(iter(found))[0], list(dict.fromkeys(key[1] for key in found))
    nets = [("residual", "drawn"), *((name, "fine") for name in names)]
    figure, axes = plt.subplots(2, len(nets), figsize=(9.5, 5), sharex=True, sharey=True)
    for column, (dynamics, kind) in zip(axes.T, nets, strict=True):
        value, far = found[toy, dynamics, kind, 0], FAR[toy]
        for panel, n, number in zip(column, (1, 4), value["regions"], strict=True):
            image = np.array(number).reshape(SIDE, SIDE).T
            panel.imshow(image, origin="lower", extent=(-far, far, -far, far), cmap="RdBu_r", alpha=0.7)
            accuracy = value["accuracy"][TIMES.index(n)]
            weights = "drawn" if kind == "drawn" else "short steps"
            title = f"{dynamics}, {weights}\n{STEPS[kind] * n} steps: {accuracy:.1%}"
            panel.set_title(title, fontsize=8)
    for panel in axes[-1]:
        panel.set_xlabel("first input")
    for panel in axes[:, 0]:
        panel.set_ylabel("second input")
    figure.suptitle("Classes in the plane: above as trained, below with four times the steps")
    return figure
