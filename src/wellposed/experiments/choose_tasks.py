"""Five tasks, six networks that are alike in all but the equation, and a U-Net.

The equations are those of the lecture: one operator at each time, tanh, no norm. Networks have the same
opening and head, the same time, and an operator on each of the same nodes.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import one_hot

from wellposed.control import Control
from wellposed.data import ellipses, qtips, read_cifar10
from wellposed.dynamics import (
    Antisymmetric,
    Dynamics,
    Hamiltonian,
    Hyperbolic,
    Parabolic,
    Reaction,
    SingleReaction,
    SingleResidual,
)
from wellposed.integrators import IMEX, RK4, Euler, Integrator, Leapfrog, Verlet
from wellposed.learning import ColumnDensity, CrossEntropy, Labels, Objective, derive_seed, generator, score
from wellposed.learning.batches import Batch
from wellposed.network import Classify, Network, Opening, Part, Pool, Stage, recipes
from wellposed.network.part import seeded, still
from wellposed.operators import Conv, Dense, Family, Stencil
from wellposed.seismic.synthetic import Earth, make_earth, picks_on_lines, relative_time

Equation = Callable[[Family, Family], Dynamics]  # of an operator, and of one for a diffusion of its own
Nets = Mapping[str, tuple[Equation, Integrator, int]]  # and how many nodes a step has

UNET = "U-Net"
# Four evaluations of RK4 may take a step as long as twice that of the others.
NETS: Nets = {
    "residual": (lambda K, _: SingleResidual(K), Euler(), 1),
    "antisymmetric": (lambda K, _: Antisymmetric(K), RK4(), 2),
    "Hamiltonian": (lambda K, _: Hamiltonian(K), Verlet(), 1),
    "parabolic": (lambda K, _: Parabolic(K, "tanh"), Euler(), 1),
    "hyperbolic": (lambda K, _: Hyperbolic(K, "tanh"), Leapfrog(), 1),
    "diffusion-reaction": (lambda K, D: SingleReaction(K, D, "tanh"), IMEX(), 1),
}
NODE = 0.5  # of time from one node to the next
GAP = torch.pi / 6  # to either side, of the turn about the ellipses, that has no points to learn from
HORIZON, UNITS, EASY, HARD = "strong", 5, "easy", "hard"  # earths of the horizon and of the units
SECTION, SECTIONS = (96, 96), 3  # crosslines and samples, and how many a seed
STEP_MS = 4.0
BESIDE, APART = 16, 4  # lines to either side of the picked one, and every which of them is judged
TUNING = 100  # a seed of its own, on which rates are chosen


class Trial(NamedTuple):
    """What one network learns from, what it is judged on, and what is predicted without one."""

    sample: Batch
    new: Batch
    simple: Tensor


class Task(NamedTuple):
    """Where trials come from, what is asked, the size of networks, and how long they learn.

    A seed has several trials where each is one section. `score` is the larger the better.
    """

    trials: Callable[[int, bool, Path | None], Sequence[Trial]]
    objective: Objective
    score: Callable[[nn.Module, Batch], float]
    unit: str
    takes: int
    gives: int
    width: int
    nodes: int  # of a stage
    batch: int
    passes: int
    margin: float  # of the score, that nobody would choose for
    space: str = "plane"  # or "points", or "image" where there is one answer for all of it


def network(task: Task, nets: Nets, name: str, seed: int) -> Network:
    """Return a network as wide as makes its number of weights nearest to that of the residual one."""
    with seeded(derive_seed(seed, "weights")):
        return _build(task, nets, name, _width(task, nets, name))


def weights_of(net: nn.Module) -> int:
    """Return how many weights a network has."""
    return sum(weight.numel() for weight in net.parameters())


def _width(task: Task, nets: Nets, name: str) -> float:
    """Return the width, which of a U-Net is a number in tenths."""

    def weights(width: float) -> int:
        return weights_of(_build(task, nets, name, width))

    near = task.width
    tried = [w / 10 for w in range(10, 15 * near)] if name == UNET else range(near // 2, near + 1)
    with seeded(0):
        wanted = weights_of(_build(task, NETS, "residual", near))
        place = bisect_left(tried, wanted, hi=len(tried) - 1, key=weights)
        return min(tried[max(place - 1, 0) : place + 1], key=lambda w: abs(weights(w) - wanted))


def _build(task: Task, nets: Nets, name: str, width: float) -> Network:
    """Return a network of a width; of images it is the mean over all places that is told apart."""
    if name == UNET:
        channels = [round(share * width) for share in (1, 1.5, 2)]
        unet = recipes.unet(channels, task.gives, inputs=task.takes)
        if task.space != "image":
            return unet
        opening, *parts = cast("list[Part]", list(unet.parts))
        return Network(opening, Pool(channels[0]), *parts, Pool(task.gives, whole=True))
    c = int(width)
    if task.space == "points":
        stage = _stage(task, nets[name], Dense(c), Dense(c))
        return Network(Opening(task.takes, c), stage, Classify(c, task.gives))
    opening = Opening(task.takes, c, width=3, boundary="zero")
    stage = _stage(task, nets[name], Conv(c, boundary="zero"), Stencil(c))
    if task.space == "plane":
        return Network(opening, stage, Classify(c, task.gives))
    coarse = _stage(task, nets[name], Conv(2 * c, boundary="zero"), Stencil(2 * c))
    down, head = (Opening(c, 2 * c), Pool(2 * c)), Classify(2 * c, task.gives)
    return Network(opening, Pool(c), stage, *down, coarse, Pool(2 * c, whole=True), head)


def _stage(task: Task, net: tuple[Equation, Integrator, int], K: Family, D: Family) -> Stage:
    """Return a stage with weights at each node; a stencil reaches as far as that of `Reaction` does."""
    equation, integrator, nodes = net
    f = equation(K, D)
    theta = f.start()
    if "D" in theta and isinstance(D, Stencil):
        theta["D"] = Reaction(K, D).start()["d"].sinh()
    control = Control.constant(theta, [NODE * node for node in range(task.nodes)])
    time, steps = NODE * task.nodes, task.nodes // nodes
    return Stage(f, integrator, time=time, steps=steps, control=control, bound="report")


def _known(sample: Batch, new: Batch, classes: int) -> Trial:
    """Return a trial of which all is labelled; without a network the nearest example is taken."""
    nearest = torch.cdist(new[0].flatten(1), sample[0].flatten(1)).argmin(1)
    simple = one_hot(sample[1].values[nearest], classes).movedim(-1, 1)
    return Trial(sample, new, simple)


def _ellipses(seed: int, quick: bool, folder: Path | None) -> list[Trial]:
    """Points of two classes; half of the new ones lie where there were none to learn from.

    To choose a rate by, there are none in the gap either.
    """
    (y, labels), _ = _parted(seed, 60 if quick else 200)
    (new, truth), (within, its) = _parted(1000 + seed, 200 if quick else 5000)
    if seed != TUNING:
        new, truth = torch.cat([new, within]), Labels(torch.cat([truth.values, its.values]))
    return [_known((y, labels), (new, truth), 2)]


def _parted(seed: int, count: int) -> tuple[Batch, Batch]:
    """Return as many points outside of the gap as within it."""
    y, labels = ellipses(20 * count, seed=seed)
    gap = torch.atan2(y[:, 1] / 0.4, y[:, 0]).abs() < GAP
    out, within = (here.nonzero()[:count, 0] for here in (~gap, gap))
    return (y[out], labels.take(out)), (y[within], labels.take(within))


def _qtips(seed: int, quick: bool, folder: Path | None) -> list[Trial]:
    """Sticks, whose class is told by both of their ends."""
    count, new = (4, 4) if quick else (64, 128)
    return [_known(qtips(count, seed=seed, size=32), qtips(new, seed=1000 + seed, size=32), 4)]


def _photos(seed: int, quick: bool, folder: Path | None) -> list[Trial]:
    """1,000 labelled photographs; the next 1,000 choose a rate. In small: noise about an image a class."""
    if quick or folder is None:
        draw, kinds = generator(seed, "photographs"), torch.arange(60) % 10
        means = torch.rand(10, 3, 32, 32, generator=generator(0, "photographs"))
        y = means[kinds] + torch.rand(60, 3, 32, 32, generator=draw)
        return [_known((y[:30] - 1, Labels(kinds[:30])), (y[30:] - 1, Labels(kinds[30:])), 10)]
    both, classes = read_cifar10(folder, count=2000)
    (y, labels), (new, truth) = ((both[p], classes.take(p)) for p in (slice(1000), slice(1000, 2000)))
    if seed != TUNING:
        new, truth = read_cifar10(folder, split="test", count=1000)
    mean, std = (f(y, (0, 2, 3), keepdim=True) for f in (torch.mean, torch.std))
    return [_known(((y - mean) / std, labels), ((new - mean) / std, truth), 10)]


def _horizon(seed: int, quick: bool, folder: Path | None) -> list[Trial]:
    """A horizon that is picked on every fourth trace of one line; lines beside it are asked for.

    The one channel of the prediction stands for an axis of traces, so that its last sample means "absent".
    Without a network the horizon is on each line as it is on the picked one, straight from pick to pick.
    """
    trials, beside = [], APART if quick else BESIDE
    for own, earth, y in _earths(seed, quick, EASY, beside):
        picks = picks_on_lines(earth, HORIZON, inlines=1, every=4, noise_ms=STEP_MS / 2, seed=own)
        at, place = picks.at(earth.volume.survey), torch.from_numpy(earth.horizons[HORIZON] / STEP_MS).float()
        picked = torch.full_like(place, torch.nan)
        picked[at] = torch.from_numpy(picks.twt_ms / STEP_MS).float()
        line = torch.from_numpy(np.interp(np.arange(y.shape[2]), at[1], picked[at])).round().long()
        here = torch.arange(len(y)) == beside
        asked = (torch.arange(len(y)) % APART == 0) & ~here
        told, truth = (Labels(z[:, None], z[:, None].isfinite(), 1.0) for z in (picked[here], place[asked]))
        simple = 100.0 * one_hot(line, y.shape[3]).expand(len(truth), 1, -1, -1)
        trials.append(Trial((y[here], told), (y[asked], truth), simple))
    return trials


def _units(seed: int, quick: bool, folder: Path | None) -> list[Trial]:
    """Equal parts of the relative geologic time of a section, told on two of its columns.

    Without a network each column is as the nearer of the two.
    """
    trials = []
    for own, _, y in _earths(seed, quick, HARD, 0):
        nx, shape = y.shape[2], (1, y.shape[2], y.shape[3])
        levels = torch.from_numpy(relative_time(shape, difficulty=HARD, seed=own, step_ms=STEP_MS))
        there = levels.isfinite()
        edges = levels.flatten().nanquantile(torch.arange(1, UNITS) / UNITS)
        classes, told = torch.bucketize(levels, edges), torch.zeros_like(levels, dtype=torch.bool)
        told[:, [nx // 4, 3 * nx // 4]] = True
        near = torch.where(torch.arange(nx) < nx // 2, nx // 4, 3 * nx // 4)
        simple = one_hot(classes[:, near], UNITS).movedim(-1, 1)
        sample, new = (y, Labels(classes, told & there)), (y, Labels(classes, ~told & there))
        trials.append(Trial(sample, new, simple))
    return trials


def _earths(seed: int, quick: bool, difficulty: str, beside: int) -> Iterator[tuple[int, Earth, Tensor]]:
    """Yield seeds, earths of a line and so many to either side, amplitudes with how deep they lie."""
    nx, nt = (20, 48) if quick else SECTION
    for number in range(1 if quick else SECTIONS):
        own, shape = derive_seed(seed, "section", number), (1 + 2 * beside, nx, nt)
        earth = make_earth(shape, difficulty=difficulty, seed=own, step_ms=STEP_MS)
        amplitudes = torch.from_numpy(earth.volume.read()).float()
        depth = torch.linspace(-1, 1, nt).expand(shape)
        yield own, earth, torch.stack([amplitudes / amplitudes.std(), depth], 1)


def _right(net: nn.Module, new: Batch) -> float:
    """Return the share of places whose class is right, in percent."""
    return 100 * score(net, *new).accuracy


def _overlap(net: nn.Module, new: Batch) -> float:
    """Return the mean intersection over union of the classes, in percent."""
    return 100 * score(net, *new).mean_iou


@torch.no_grad()
def _off(net: nn.Module, new: Batch) -> float:
    """Return minus the mean distance from the truth of the median of the density, the best guess for it."""
    y, truth = new
    with still(net):
        found = (net(y)[..., :-1].softmax(-1).cumsum(-1) < 0.5).sum(-1)
    return -float((found - truth.values)[truth.known].abs().mean())


RIGHT, OVERLAP = "accuracy, %", "mean IoU, %"
OFF = "minus the mean error, samples"
Tasks = Mapping[str, Task]
TASKS: Tasks = {
    "ellipses with a gap": Task(
        _ellipses, CrossEntropy(), _right, RIGHT, 2, 2, 17, 8, 50, 200, 1.0, "points"
    ),
    "Q-tips": Task(_qtips, CrossEntropy(balance=True), _overlap, OVERLAP, 1, 4, 8, 8, 8, 60, 1.0),
    "CIFAR-10, 1,000 labels": Task(
        _photos, CrossEntropy(), _right, RIGHT, 3, 10, 16, 4, 50, 20, 1.0, "image"
    ),
    "horizon on a line": Task(_horizon, ColumnDensity(), _off, OFF, 2, 1, 8, 8, 1, 200, 0.1),
    "units of a section": Task(_units, CrossEntropy(), _overlap, OVERLAP, 2, UNITS, 8, 8, 1, 200, 1.0),
}
