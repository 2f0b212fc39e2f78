"""Fresh batches against a fixed sample: what is left to optimise, and what a sample says of other examples.

On a fixed sample Gauss-Newton takes the place of stochastic gradients too, at the same work.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import deepcopy
from functools import partial
from math import inf, log
from typing import Any

import numpy as np
import torch
from torch import nn

from wellposed.data import peaks
from wellposed.dynamics import Hamiltonian
from wellposed.errors import StepError
from wellposed.experiments.setting import Outcome, Rows, Setting
from wellposed.experiments.sgd_vs_saa_pictures import FRESH, NAMES, Found, draw_apart, draw_descent
from wellposed.integrators import Verlet
from wellposed.learning import (
    CrossEntropy,
    Fit,
    GaussNewton,
    Method,
    OneCycle,
    SampleAverage,
    SmallWeights,
    SmoothInTime,
    derive_seed,
    fit,
)
from wellposed.learning.batches import Batch
from wellposed.network import Classify, Network, Opening, Stage
from wellposed.network.part import seeded
from wellposed.operators import Dense

Draw = Callable[[int, int], Batch]

SIZES = (64, 256, 1024)
WIDTH, TIME, STEPS, CLASSES = 8, 4.0, 4, 5
LOSS = CrossEntropy() + 1e-4 * (SmoothInTime() + SmallWeights())
BATCH, UPDATES = 64, 1000
EACH = 50  # updates of an epoch of fresh batches
RATES = (0.01, 0.03, 0.1, 0.3)
NEW, VALIDATION = 10_000, 2_000
MANY = 40  # steps of Gauss-Newton from the start; half as many from where stochastic gradients have ended


def points(count: int, seed: int) -> Batch:
    """Return points of the plane and their classes, as many as one likes."""
    y, labels = peaks(count, seed=seed)
    return y.double(), labels


def sample(size: int, seed: int) -> Batch:
    """Return the fixed sample."""
    return SampleAverage(GaussNewton(), size).draw(partial(points, size), None, seed)


def run(setting: Setting, draw: Draw = sample, method: Method | None = None) -> Outcome:
    """Train by fresh batches, and on samples of three sizes by the same batches and by Gauss-Newton."""
    method = method or GaussNewton(tolerance=1e-6, products=setting.pick(20, 8))
    names = dict(zip(NAMES, setting.pick(SIZES, (8, 32, 128)), strict=True))
    updates, many = setting.pick((UPDATES, MANY), (80, 8))
    rates = setting.pick(RATES, RATES[:1])
    found: dict[str, list[Any]] = {}
    for seed in setting.seeds:
        fresh = partial(_fresh, rates, updates, seed)
        found.setdefault(FRESH, []).append(setting.piece(f"fresh, seed {seed}", fresh))
        for name, size in names.items():
            compute = partial(_fixed, rates, updates, many, draw, method, size, seed)
            found.setdefault(name, []).append(setting.piece(f"{size}, seed {seed}", compute))
    return Outcome(
        _measures(found, names),
        {"samples": _rows(found, names)},
        {"apart": draw_apart(found, names), "descent": draw_descent(found, names)},
    )


def _network(seed: int) -> Network:
    with seeded(seed):
        stage = Stage(Hamiltonian(Dense(WIDTH)), Verlet(), time=TIME, steps=STEPS, bound="report")
        return Network(Opening(2, WIDTH), stage, Classify(WIDTH, CLASSES)).double()


@torch.no_grad()
def _value(net: nn.Module, batch: Batch) -> float:
    return float(LOSS.value(net, net(batch[0]), batch[1]))


def _new(seed: int) -> Batch:
    return points(NEW, derive_seed(seed, "new"))


def _tried(
    rates: Sequence[float], seed: int, train: Callable[[Network, float], Iterator[Any]]
) -> list[tuple[float, Network, list[Any]]]:
    """Return each rate with its network and records."""
    tried = []
    for rate in rates:
        net = _network(seed)
        tried.append((rate, net, _run(train(net, rate))))
    return tried


def _best(tried: Sequence[tuple[float, Network, list[Any]]], by: Batch) -> Any:
    """Return what has the least value on some points."""
    return min(tried, key=lambda one: _value(one[1], by))


def _validation(seed: int) -> Batch:
    return points(VALIDATION, derive_seed(seed, "validation"))


def _run(run: Iterator[Any]) -> list[Any]:
    """Run a fit to its end, or to where no step can be taken."""
    records = []
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "a step is")
        try:
            for record in run:
                records.append(record)
        except StepError:
            pass
    return records


def _fresh(rates: Sequence[float], updates: int, seed: int) -> dict[str, Any]:
    """Train with batches that are never seen again."""
    epochs = max(1, updates // EACH)
    each = updates // epochs

    def train(net: Network, rate: float) -> Fit:
        source = partial(points, each * BATCH)
        given: dict[str, Any] = {"rate": OneCycle(rate, epochs), "epochs": epochs, "seed": seed}
        return fit(net, LOSS, source, **given, batch=BATCH, optimizer="sgd", decay=0.0)

    rate, net, records = _best(_tried(rates, seed, train), _validation(seed))
    seen = points(each * BATCH, derive_seed(seed, "data", epochs - 1))
    value, new = _value(net, seen), _value(net, _new(seed))
    return {"rate": rate, "value": value, "new": new, "gap": new - value, "way": _way(records)}


def _fixed(
    rates: Sequence[float], updates: int, many: int, draw: Draw, method: Method, size: int, seed: int
) -> dict[str, Any]:
    """Train on one sample: by batches of it, and by a method of optimisation.

    The rate of stochastic gradients is that which does best at what is asked: on the sample, or on others.
    """
    whole = draw(size, seed)
    batch = min(BATCH, size)
    epochs = max(1, updates * batch // size)

    def train(net: Network, rate: float) -> Fit:
        given: dict[str, Any] = {"rate": OneCycle(rate, epochs), "epochs": epochs, "seed": seed}
        return fit(net, LOSS, *whole, **given, batch=batch, optimizer="sgd", decay=0.0)

    tried = _tried(rates, seed, train)
    (at, low, records), (rate, net, _) = _best(tried, whole), _best(tried, _validation(seed))
    budget = sum(record.work for record in records)
    equal, best, course = _optimised(method, _network(seed), whole, many, budget)
    further = _optimised(method, deepcopy(low), whole, many // 2, inf)[1]
    best = min((best, further, low), key=lambda one: _value(one, whole))
    least, new = _value(best, whole), _new(seed)
    nets = {"lowest": low, "SGD": net, "Gauss-Newton": equal, "best": best}
    return {
        "rate": rate,
        "rate of the lowest": at,
        "least": least,
        "error": {name: _value(one, whole) - least for name, one in nets.items()},
        "new": {name: _value(one, new) for name, one in nets.items()},
        "gap": {name: _value(one, new) - _value(one, whole) for name, one in nets.items()},
        "way": _way(records),
        "course": course,
    }


def _optimised(
    method: Method, net: Network, whole: Batch, many: int, budget: float
) -> tuple[Network, Network, dict[str, list[float]]]:
    """Return the network where the work of the other was done, the one at the end, and values by work."""
    equal = deepcopy(net)
    under_way = method.fit(net, LOSS, *whole, epochs=many)

    def steps() -> Iterator[Any]:
        for record in under_way:
            if under_way.work <= budget:
                equal.load_state_dict(net.state_dict())
            yield record

    return equal, net, _way(_run(steps()))


def _way(records: Sequence[Any]) -> dict[str, list[float]]:
    """Return work and value, at no more than some hundred records."""
    every = max(1, len(records) // 100)
    work = np.cumsum([record.work for record in records])
    return {"work": work[::every].tolist(), "value": [record.value for record in records][::every]}


def _measures(found: Found, names: Mapping[str, int]) -> dict[str, Any]:
    """Return errors and gaps by size, a value a seed, and the slope of the gap in the size."""
    measures: dict[str, Any] = {"fresh.gap": [one["gap"] for one in found[FRESH]]}
    for name in names:
        measures[f"{name}.gap"] = [one["gap"]["SGD"] for one in found[name]]
        measures[f"{name}.quotient"] = [
            one["error"]["Gauss-Newton"] / max(one["error"]["lowest"], 1e-12) for one in found[name]
        ]
        measures[f"{name}.behind"] = [
            one["new"]["SGD"] - fresh["new"] for one, fresh in zip(found[name], found[FRESH], strict=True)
        ]
    for what in ("quotient", "behind"):
        each = zip(*(measures[f"{name}.{what}"] for name in names), strict=True)
        measures[f"least {what}"] = [min(values) for values in each]
    for kind in ("SGD", "best"):
        gaps = [[max(one["gap"][kind], 1e-9) for one in found[name]] for name in names]
        logs = [log(size) for size in names.values()]
        slopes = [float(np.polyfit(logs, np.log(each), 1)[0]) for each in zip(*gaps, strict=True)]
        measures[f"slope, {kind}"] = slopes
    return measures


def _rows(found: Found, names: Mapping[str, int]) -> Rows:
    """Return a row for each way of learning, size and seed."""
    rows = [
        {"sample": "fresh", "method": "SGD", "seed": seed, "rate": one["rate"], "optimisation error": ""}
        | {"value on new examples": one["new"], "generalisation gap": one["gap"]}
        for seed, one in enumerate(found[FRESH])
    ]
    words = {"lowest": "SGD, best on the sample", "SGD": "SGD, best on others"}
    words |= {"Gauss-Newton": "Gauss-Newton, same work", "best": "Gauss-Newton, to the end"}
    for (name, size), (kind, said) in ((n, w) for n in names.items() for w in words.items()):
        for seed, one in enumerate(found[name]):
            rate = {"SGD": one["rate"], "lowest": one["rate of the lowest"]}.get(kind, "")
            row = {"sample": size, "method": said, "seed": seed, "rate": rate}
            values = {"value on new examples": one["new"][kind], "generalisation gap": one["gap"][kind]}
            rows.append({**row, "optimisation error": one["error"][kind], **values})
    return rows
