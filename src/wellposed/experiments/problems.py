"""Three problems on which methods of learning are compared: points, images, and columns of an earth."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from wellposed.data import peaks, qtips
from wellposed.dynamics import Antisymmetric
from wellposed.integrators import RK4
from wellposed.learning import ColumnDensity, CrossEntropy, Labels, Objective
from wellposed.network import Classify, Network, Opening, Stage, recipes
from wellposed.network.part import seeded
from wellposed.operators import Dense
from wellposed.seismic.synthetic import make_earth, picks_on_lines


class Problem(NamedTuple):
    """A network, what it learns from, and what it is judged on; how often a step evaluates f.

    Units:     budget in passes of the sample
    """

    net: Network
    seen: Objective
    sample: tuple[Tensor, Labels]
    new: tuple[Tensor, Labels]
    batch: int
    evaluations: int
    share: float
    budget: int


def peaks_problem(quick: bool, seed: int) -> Problem:
    """Points of a plane in five classes; RK4 evaluates f four times a step."""
    points, steps = (60, 2) if quick else (1000, 8)
    with seeded(seed):
        stage = Stage(Antisymmetric(Dense(16), "tanh"), RK4(), time=5.0, steps=steps, bound="report")
        net = Network(Opening(2, 16), stage, Classify(16, 5))
    sample, new = (peaks(points, seed=s) for s in (seed, 1000 + seed))
    return Problem(net, CrossEntropy(), sample, new, 50, 4, 1.0, 40 if quick else 400)


def qtips_problem(quick: bool, seed: int) -> Problem:
    """Turned sticks, whose class is told by both of their ends; a step is f once, and a linear solve."""
    images = 4 if quick else 64
    net = recipes.imex((8,), 4, time=4.0, steps=2 if quick else 4, seed=seed)
    sample, new = (qtips(images, seed=s, size=32) for s in (seed, 1000 + seed))
    return Problem(net, CrossEntropy(balance=True), sample, new, 8, 1, 0.25, 14 if quick else 300)


def horizon_problem(quick: bool, seed: int) -> Problem:
    """Columns of three picked lines of a simulated earth, judged by the truth on the other lines.

    Told are the amplitudes and how deep they lie. The one channel of the prediction stands for an axis of
    traces, so that its last sample means "absent".
    """
    shape, steps = ((4, 12, 48), 2) if quick else ((12, 48, 64), 4)
    earth = make_earth(shape, difficulty="easy", seed=seed)
    survey, amplitudes = earth.volume.survey, torch.from_numpy(earth.volume.read()).float()
    picks = picks_on_lines(earth, "strong", inlines=3, every=4, noise_ms=survey.step_ms, seed=seed)
    i, x = (torch.from_numpy(at) for at in picks.at(survey))
    inputs = torch.stack([amplitudes / amplitudes.std(), torch.linspace(-1, 1, shape[2]).expand(shape)], 1)
    truth = torch.from_numpy(earth.horizons["strong"] / survey.step_ms).float()[:, None]
    place, picked = torch.full_like(truth, torch.nan), torch.zeros(shape[0], dtype=torch.bool)
    place[i, 0, x], picked[i] = torch.from_numpy(picks.twt_ms / survey.step_ms).float(), True
    sides = ((inputs[here], p[here]) for here, p in ((picked, place), (~picked, truth)))
    sample, new = ((y, Labels(p, p.isfinite(), 1.0)) for y, p in sides)
    net = recipes.imex((8,), 1, inputs=2, time=4.0, steps=steps, seed=seed)
    return Problem(net, ColumnDensity(), sample, new, 1, 1, 1.0, 20 if quick else 600)


Make = Callable[[bool, int], Problem]
PROBLEMS: Mapping[str, Make] = {
    "peaks": peaks_problem,
    "qtips": qtips_problem,
    "horizon": horizon_problem,
}
