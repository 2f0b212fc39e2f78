"""Points of the plane: what Gauss-Newton and continuation make of networks, beside classical rivals."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from math import nan
from pathlib import Path
from statistics import mean, stdev
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from wellposed.data import ellipses, peaks, swiss_roll
from wellposed.dynamics import Antisymmetric, Dynamics, Hamiltonian, SingleResidual
from wellposed.errors import StepError
from wellposed.experiments.setting import Outcome, Setting
from wellposed.experiments.toys_pictures import (
    Found,
    Rivals,
    accuracies,
    chosen,
    movie,
    regions,
    rows,
    values,
)
from wellposed.integrators import RK4, Euler, Integrator, Verlet
from wellposed.learning import (
    Continuation,
    CrossEntropy,
    GaussNewton,
    Labels,
    Objective,
    SmallWeights,
    SmoothInTime,
    score,
)
from wellposed.learning.batches import Batch
from wellposed.network import Classify, Network, Opening, Stage
from wellposed.network.part import seeded
from wellposed.operators import Dense

Networks = Mapping[str, tuple[Callable[[Dense], Dynamics], Integrator]]

NETWORKS: Networks = {
    "residual": (SingleResidual, Euler()),
    "antisymmetric": (Antisymmetric, RK4()),
    "Hamiltonian": (Hamiltonian, Verlet()),
}


class Toy(NamedTuple):
    """Points that are drawn, and the network for them: channels and length of time as published."""

    make: Callable[..., Batch]
    points: int
    classes: int
    width: int
    time: float
    epochs: tuple[int, ...]  # of 16, 32 and 64 steps: long steps that are halved are learned anew
    reach: float  # of the picture
    grid: bool = False  # points are drawn from a grid, so that new ones may have been trained on


Toys = Mapping[str, Toy]
TOYS: Toys = {
    "ellipses": Toy(ellipses, 2000, 2, 4, 20.0, (30, 30, 30), 2.0),
    "swiss roll": Toy(swiss_roll, 512, 2, 4, 20.0, (30, 30, 30), 1.35),
    "peaks": Toy(peaks, 1000, 5, 16, 5.0, (30, 15, 10), 3.0, grid=True),
}


class Size(NamedTuple):
    """How much is done."""

    steps: int = 16  # of the first level; each other level has twice as many
    epochs: tuple[int, ...] = ()  # of the levels; without them those of the toy
    further: tuple[int, ...] = ()  # and of levels beyond
    weights: tuple[float, ...] = (1e-4, 1e-5, 1e-6)  # of the regularisation, of which one is chosen
    trial: int = 20  # epochs of a fold
    folds: int = 2
    products: int = 20  # of a step of Gauss-Newton
    share: float = 1.0  # of the points
    new: int = 10_000  # points that are scored; of a grid as many of each class
    side: int = 80  # of the picture
    shown: int = 300  # points that move


FULL = Size()
DEEP = Size(further=(8, 6, 4, 3))
QUICK = Size(4, (1, 1), weights=(1e-5,), trial=1, products=4, share=0.1, new=500, side=20, shown=60)
SMOOTHING = (0.0, 1e-4, 1e-3, 1e-2, 3e-2, 0.1, 0.3, 1.0, 3.0)  # of the thin plate
PARTS = 5  # folds of the cross-validation of it
DRAWS = 2  # of peaks, beyond the seeds
FRAMES = 32


def run(setting: Setting, networks: Networks = NETWORKS, toys: Toys = TOYS) -> Outcome:
    """Train each network on each toy; choose one a draw by cross-validation, and compare it with rivals."""
    size = DEEP if setting.deep else setting.pick(FULL, QUICK)
    found, rivals = {}, {}
    for toy, it in toys.items():
        for seed in _draws(setting, it):
            name = f"{toy}, rivals, seed {seed}"
            rivals[toy, seed] = setting.piece(name, partial(_rivals, size, it, seed))
            for kind in networks:
                name = f"{toy}, {kind}, seed {seed}"
                learn = partial(_learned, size, networks[kind], it, seed, setting.checkpoint(name))
                found[toy, kind, seed] = setting.piece(name, learn)
    return Outcome(
        _measures(found, rivals),
        {
            "networks": rows(found),
            "rivals": [{"toy": toy, "seed": seed, **value} for (toy, seed), value in rivals.items()],
        },
        {"regions": regions(found), "accuracy": accuracies(found, rivals), "values": values(found)},
        {toy.replace(" ", "_"): movie(toy, found) for toy in toys},
    )


def _draws(setting: Setting, toy: Toy) -> range:
    """Return the seeds of a toy: of a grid two more, since of peaks an interval over draws is asked for."""
    count = 1 if setting.deep else len(setting.seeds)
    return range(count + (0 if setting.deep or not toy.grid else setting.pick(DRAWS, 1)))


def _sample(size: Size, toy: Toy, seed: int) -> Batch:
    y, labels = toy.make(round(size.share * toy.points), seed=seed)
    return y.double(), labels


def _new(size: Size, toy: Toy, seed: int) -> Batch:
    """Return points that are scored, without those that were trained on."""
    y, labels = toy.make(size.new * (9 if toy.grid else 1), seed=1000 + seed)
    if toy.grid:
        seen = {tuple(point) for point in toy.make(round(size.share * toy.points), seed=seed)[0].tolist()}
        fresh = torch.tensor([tuple(point) not in seen for point in y.tolist()])
        each = [(fresh & (labels.values == k)).nonzero()[: size.new, 0] for k in range(toy.classes)]
        kept = torch.cat([places[: min(map(len, each))] for places in each])
        y, labels = y[kept], labels.take(kept)
    return y.double(), labels


def _network(size: Size, f: Callable[[Dense], Dynamics], method: Integrator, toy: Toy, seed: int) -> Network:
    with seeded(seed):
        stage = Stage(f(Dense(toy.width)), method, time=toy.time, steps=size.steps, bound="report")
        return Network(Opening(2, toy.width), stage, Classify(toy.width, toy.classes)).double()


def _loss(weight: float) -> Objective:
    return CrossEntropy() + weight * (SmoothInTime() + SmallWeights())


def _learned(
    size: Size,
    network: tuple[Callable[[Dense], Dynamics], Integrator],
    toy: Toy,
    seed: int,
    checkpoint: Path,
) -> dict[str, Any]:
    """Choose the weight of the regularisation, train, and return what the network says."""
    y, labels = _sample(size, toy, seed)
    fresh = partial(_network, size, *network, toy, seed)
    tried = {weight: _validated(size, fresh, weight, y, labels) for weight in size.weights}
    weight = max(tried, key=lambda weight: tried[weight])
    epochs = (size.epochs or toy.epochs) + size.further
    levels = Continuation([(_method(size), count) for count in epochs])
    run = levels.fit(fresh(), _loss(weight), y, labels, seed=seed, checkpoint=checkpoint)
    ended = _run(run)
    new, truth = _new(size, toy, seed)
    nets = [net for fit in run.fits if isinstance(net := fit.net, Network)]
    return {
        "weight": weight,
        "trial": tried[weight],
        "accuracy": [100 * score(net, new, truth, batch=len(new)).accuracy for net in nets],
        "trained": 100 * score(run.net, y, labels, batch=len(y)).accuracy,
        "values": [[record.value for record in fit.records] for fit in run.fits],
        "ratio": run.net.ratio(),
        "seconds": sum(record.seconds for record in run.records),
        "ended": ended,
        **_seen(size, toy, run.net, y, labels),
    }


def _method(size: Size) -> GaussNewton:
    return GaussNewton(tolerance=1e-5, products=size.products)


def _run(run: Iterator[Any]) -> str:
    """Run a fit to its end; return why it ended where that was too soon."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "a step is")  # the table says it
        try:
            for _ in run:
                pass
        except StepError as error:
            return error.wrong
    return ""


def _validated(
    size: Size, fresh: Callable[[], Network], weight: float, y: Tensor, labels: Labels
) -> list[float]:
    """Return accuracy and minus the loss at points that were left out, over folds; with the first steps."""
    found = []
    for k in range(size.folds):
        out = torch.arange(len(y)) % size.folds == k
        net = fresh()
        run = _method(size).fit(net, _loss(weight), y[~out], labels.take(~out), epochs=size.trial)
        _run(run)
        with torch.no_grad():
            loss = CrossEntropy().value(net, net(y[out]), labels.take(out))
        right = score(net, y[out], labels.take(out), batch=len(y)).accuracy
        found.append([100 * right, -float(loss)])
    return np.mean(found, 0).tolist()


@torch.no_grad()
def _seen(size: Size, toy: Toy, net: Network, y: Tensor, labels: Labels) -> dict[str, Any]:
    """Return classes in the plane, and points on their way: the directions that the head tells apart by."""
    side = torch.linspace(-toy.reach, toy.reach, size.side, dtype=torch.float64)
    y, classes = y[: size.shown], labels.values[: size.shown]
    ways = net.trajectory(y)[1:-1]  # from the opening to the end of the stage
    W = next(net.parts[-1].parameters()).squeeze()
    across = torch.linalg.svd(W - W.mean(0))[2][: min(2, len(W) - 1)]
    rest = ways[-1] - ways[-1].mean(0)
    rest = rest - rest @ across.T @ across
    plane = torch.cat([torch.linalg.svd(rest)[2][:1], across])[-2:]
    every = max(1, (len(ways) - 1) // FRAMES)
    return {
        "regions": net(torch.cartesian_prod(side, side)).argmax(1).tolist(),
        "reach": toy.reach,
        "time": toy.time,
        "points": y.tolist(),
        "classes": classes.tolist(),
        "ways": [[[round(x, 3) for x in point] for point in (s @ plane.T).tolist()] for s in ways[::every]],
    }


def _rivals(size: Size, toy: Toy, seed: int) -> dict[str, float]:
    """Return accuracies of the nearest neighbour, and of a thin plate with cross-validated smoothing."""
    from scipy.interpolate import RBFInterpolator
    from scipy.spatial import cKDTree

    def plate(y: Any, classes: Any, at: Any, smoothing: float) -> Any:
        first = np.unique(y, axis=0, return_index=True)[1]  # peaks are drawn with replacement
        ones = np.eye(toy.classes)[classes[first]]
        by = RBFInterpolator(y[first], ones, smoothing=smoothing, kernel="thin_plate_spline")
        return by(at).argmax(1)

    y, labels = (part.numpy() for part in _numbers(_sample(size, toy, seed)))
    new, truth = (part.numpy() for part in _numbers(_new(size, toy, seed)))
    tried = {}
    for smoothing in SMOOTHING:
        outs = [np.arange(len(y)) % PARTS == k for k in range(PARTS)]
        said = [(plate(y[~out], labels[~out], y[out], smoothing) == labels[out]).mean() for out in outs]
        tried[smoothing] = float(np.mean(said))
    chosen = max(SMOOTHING, key=lambda smoothing: tried[smoothing])
    near = labels[cKDTree(y).query(new)[1]]
    return {
        "thin plate": 100 * float((plate(y, labels, new, chosen) == truth).mean()),
        "nearest neighbour": 100 * float((near == truth).mean()),
        "smoothing": chosen,
    }


def _numbers(batch: Batch) -> tuple[Tensor, Tensor]:
    return batch[0], batch[1].values


def _measures(found: Found, rivals: Rivals) -> dict[str, Any]:
    """Return accuracies at new points, in percent, a value a draw, and the gain on the thin plate."""
    from scipy.special import stdtrit

    measures: dict[str, Any] = {}
    for toy, kind, _ in found:
        draws = [value for (t, k, _), value in found.items() if (t, k) == (toy, kind)]
        measures[f"{toy}.{kind}"] = [value["accuracy"][-1] for value in draws]
    for toy in dict.fromkeys(toy for toy, *_ in found):
        best = chosen(found, toy).items()
        measures[f"{toy}.chosen"] = [found[toy, kind, seed]["accuracy"][-1] for seed, kind in best]
        for rival in ("thin plate", "nearest neighbour"):
            measures[f"{toy}.{rival}"] = [value[rival] for (t, _), value in rivals.items() if t == toy]
    plate = measures["peaks.thin plate"]
    for name in ("chosen", *dict.fromkeys(kind for _, kind, _ in found)):
        gains = [ours - theirs for ours, theirs in zip(measures[f"peaks.{name}"], plate, strict=True)]
        n = len(gains)
        half = float(stdtrit(n - 1, 0.975)) * stdev(gains) / n**0.5 if n > 1 else nan
        measures |= {f"gain.{name}, least": mean(gains) - half, f"gain.{name}, most": mean(gains) + half}
    return measures
