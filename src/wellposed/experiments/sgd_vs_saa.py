"""Fresh batches against a fixed sample: what is left to optimise, and what a sample says of other examples.

On a fixed sample Gauss-Newton takes the place of stochastic gradients too, at the same work.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import deepcopy
from functools import partial
from math import inf, log
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from wellposed.data import peaks
from wellposed.dynamics import Hamiltonian
from wellposed.errors import StepError
from wellposed.experiments.pictures import COLOURS
from wellposed.experiments.setting import Outcome, Rows, Setting
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

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Draw = Callable[[int, int], Batch]
Found = Mapping[str, Sequence[Mapping[str, Any]]]  # by size, a value a seed

SIZES = (64, 256, 1024)
NAMES = ("small", "middle", "large")
FRESH = "fresh"
WIDTH, TIME, STEPS, CLASSES = 8, 4.0, 4, 5
LOSS = CrossEntropy() + 1e-4 * (SmoothInTime() + SmallWeights())
BATCH, UPDATES = 64, 1000
EACH = 50  # updates of an epoch of fresh batches
RATES = (0.03, 0.1, 0.3)
NEW, VALIDATION = 10_000, 2_000
FLOOR = 1e-4  # of what is drawn: zeros have no logarithm
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
        {"apart": _draw(found, names), "descent": _draw_descent(found, names)},
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


def _best_rate(
    rates: Sequence[float], seed: int, train: Callable[[Network, float], Iterator[Any]]
) -> tuple[float, Network, list[Any]]:
    """Return the rate with the least value at points of validation, its network and records."""
    validation = points(VALIDATION, derive_seed(seed, "validation"))
    found: list[tuple[float, float, Network, list[Any]]] = []
    for rate in rates:
        net = _network(seed)
        records = _run(train(net, rate))
        found.append((_value(net, validation), rate, net, records))
    _, rate, net, records = min(found, key=lambda one: one[0])
    return rate, net, records


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

    rate, net, records = _best_rate(rates, seed, train)
    seen = points(each * BATCH, derive_seed(seed, "data", epochs - 1))
    value, new = _value(net, seen), _value(net, _new(seed))
    return {"rate": rate, "value": value, "new": new, "gap": new - value, "way": _way(records)}


def _fixed(
    rates: Sequence[float], updates: int, many: int, draw: Draw, method: Method, size: int, seed: int
) -> dict[str, Any]:
    """Train on one sample: by batches of it, and by a method of optimisation."""
    whole = draw(size, seed)
    batch = min(BATCH, size)
    epochs = max(1, updates * batch // size)

    def train(net: Network, rate: float) -> Fit:
        given: dict[str, Any] = {"rate": OneCycle(rate, epochs), "epochs": epochs, "seed": seed}
        return fit(net, LOSS, *whole, **given, batch=batch, optimizer="sgd", decay=0.0)

    rate, net, records = _best_rate(rates, seed, train)
    budget = sum(record.work for record in records)
    equal, best, course = _optimised(method, _network(seed), whole, many, budget)
    further = _optimised(method, deepcopy(net), whole, many // 2, inf)[1]
    best = min((best, further, net), key=lambda one: _value(one, whole))
    least, new = _value(best, whole), _new(seed)
    nets = {"SGD": net, "Gauss-Newton": equal, "best": best}
    return {
        "rate": rate,
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
            one["error"]["Gauss-Newton"] / max(one["error"]["SGD"], 1e-12) for one in found[name]
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
    words = {"SGD": "SGD", "Gauss-Newton": "Gauss-Newton, same work", "best": "Gauss-Newton, to the end"}
    for (name, size), (kind, said) in ((n, w) for n in names.items() for w in words.items()):
        for seed, one in enumerate(found[name]):
            row = {"sample": size, "method": said, "seed": seed, "rate": one["rate"] if kind == "SGD" else ""}
            values = {"value on new examples": one["new"][kind], "generalisation gap": one["gap"][kind]}
            rows.append({**row, "optimisation error": one["error"][kind], **values})
    return rows


def _draw(found: Found, names: Mapping[str, int]) -> Figure:
    """Draw optimisation error, gap and value on new examples against the size of the sample."""
    import matplotlib.pyplot as plt

    figure, panels = plt.subplots(1, 3, figsize=(9.5, 4))
    sizes = list(names.values())
    words = {
        "SGD": "SGD on the sample",
        "Gauss-Newton": "Gauss-Newton, same work",
        "best": "least value found",
    }
    for panel, what in zip(panels, ("error", "gap", "new"), strict=True):
        for (kind, said), colour in zip(words.items(), COLOURS, strict=False):
            for seed in range(len(found[FRESH])):
                if (what, kind) != ("error", "best"):
                    values = [max(found[name][seed][what][kind], FLOOR) for name in names]
                    label = said if not seed else None
                    panel.loglog(sizes, values, "o-", color=colour, ms=4, lw=1, label=label)
        panel.set_xscale("log", base=2)
        panel.set_xticks(sizes, [f"{n:,}" for n in sizes])
        panel.set_xlabel("examples of the sample")
    for one in found[FRESH]:
        panels[2].axhline(one["new"], color=COLOURS[3], lw=1, ls="--")
    panels[2].plot([], [], color=COLOURS[3], lw=1, ls="--", label="SGD, fresh batches")
    first = np.exp(np.mean([np.log(max(one["gap"]["best"], 1e-9)) for one in found[NAMES[0]]]))
    for power, style in ((0.5, ":"), (1.0, "--")):
        line = [3 * first * (n / sizes[0]) ** -power for n in sizes]
        panels[1].plot(sizes, line, color="0.6", lw=1, ls=style)
        panels[1].text(sizes[1], line[1], "1 / √n" if power < 1 else "1 / n", color="0.4", va="bottom")
    panels[0].set(
        title="Optimisation error", ylabel="value on the sample above the least found,\nzero drawn at 0.0001"
    )
    panels[1].set(title="Generalisation gap", ylabel="value on 10,000 new examples\nminus on the sample")
    panels[2].set(title="Both together", ylabel="value on 10,000 new examples")
    figure.legend(*panels[2].get_legend_handles_labels(), loc="outside lower center", ncols=4, fontsize=9)
    return figure


def _draw_descent(found: Found, names: Mapping[str, int]) -> Figure:
    """Draw the value by work, on samples of each size (first seed)."""
    import matplotlib.pyplot as plt

    figure, panels = plt.subplots(1, len(names), figsize=(9.5, 3.6), sharey=True)
    for panel, (name, size) in zip(panels, names.items(), strict=True):
        one = found[name][0]
        for way, colour, label in (
            (found[FRESH][0]["way"], COLOURS[3], "SGD, fresh batches"),
            (one["way"], COLOURS[0], "SGD on the sample"),
            (one["course"], COLOURS[1], "Gauss-Newton on the sample"),
        ):
            panel.semilogy(way["work"], way["value"], color=colour, lw=1.2, label=label)
        panel.axhline(one["least"], color="0.6", lw=0.8, ls="--")
        panel.set(title=f"sample of {size:,}", xlabel="work, examples x steps", xscale="log")
    panels[0].set_ylabel("value of the objective in training")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=3, fontsize=9)
    return figure
