"""What continuation in depth saves: work and seconds to the loss that a deep network reaches by itself."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import product
from math import inf, nan
from statistics import median
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from wellposed.data import peaks
from wellposed.dynamics import Hamiltonian
from wellposed.errors import StepError
from wellposed.experiments.pictures import COLOURS
from wellposed.experiments.setting import Outcome, Rows, Setting
from wellposed.integrators import Verlet
from wellposed.learning import (
    Continuation,
    CrossEntropy,
    GaussNewton,
    Method,
    OneCycle,
    SmallWeights,
    SmoothInTime,
    Stochastic,
)
from wellposed.network import Classify, Network, Opening, Stage
from wellposed.network.part import seeded
from wellposed.operators import Dense

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Make = Callable[..., Network]
Path = Mapping[str, Any]  # lists: value, work and seconds so far, level; a number an epoch
Levels = Sequence[tuple[Method, int]]
Trial = tuple[Any, ...]

WIDTH, TIME, CLASSES, BATCH = 8, 4.0, 5, 128
TUNING = 100  # a seed of its own, on which settings are chosen and on which this experiment was laid out
METHODS = {"adam": "Adam", "gauss_newton": "Gauss-Newton"}
RATES, PRODUCTS = (1e-2, 3e-2, 1e-1), (5, 10, 20)
# As many settings are tried for either way of either method.
DIRECT = {
    "adam": tuple(product(RATES, ("falling", "constant"))),
    "gauss_newton": tuple(product(PRODUCTS, ("line search", "trust region"))),
}
# How many parts of the epochs each level gets, the coarsest first.
SHARES = {"even": (1, 1, 1, 1), "early": (4, 2, 1, 1)}
CONTINUED = {"adam": tuple(product(RATES, SHARES)), "gauss_newton": tuple(product(PRODUCTS, SHARES))}
ENOUGH = 0.9  # of the budget of the direct run, whose loss then is the target
SAVED = (0.4, 0.5)  # published; more than that


class Size(NamedTuple):
    """How much is done: points, steps of the first and last network, epochs of either method."""

    points: int
    steps: tuple[int, int]
    epochs: Mapping[str, int]

    @property
    def levels(self) -> int:
        """Networks of a continuation."""
        return (self.steps[1] // self.steps[0]).bit_length()


FULL = Size(512, (8, 64), {"adam": 400, "gauss_newton": 40})
QUICK = Size(64, (2, 8), {"adam": 60, "gauss_newton": 4})
QUICK_TRIAL = 2  # what is not tuned takes this setting


def run(setting: Setting, network: Make = Network) -> Outcome:
    """Choose settings on one seed; on others let the direct run set the target, and the others reach it."""
    size = setting.pick(FULL, QUICK)
    found, trials = {}, []
    for method in METHODS:
        chosen, tried = _tune(method, size, setting, network)
        trials += tried
        for seed in setting.seeds:
            found[method, seed] = _compared(method, size, seed, chosen, setting, network)
    tables: dict[str, Rows] = {"runs": [_row(*key, value) for key, value in found.items()], "trials": trials}
    pictures = {"paths": _paths(found, setting.seeds[0]), "savings": _savings(found)}
    return Outcome(_measures(found, setting.seeds), tables, pictures)


def direct(method: str, trial: Trial, epochs: int) -> Levels:
    """Return the one level of a fit of the deep network."""
    setting, kind = trial
    if method == "adam":
        rate = OneCycle(setting, epochs) if kind == "falling" else setting
        return [(Stochastic(rate=rate, batch=BATCH, decay=0.0), epochs)]
    return [(GaussNewton(tolerance=0.0, products=setting, globalisation=kind), epochs)]


def continued(method: str, trial: Trial, epochs: int, levels: int) -> Levels:
    """Return the levels of a continuation, of Adam as many epochs in all as the direct run has."""
    setting, kind = trial
    shares = SHARES[kind][:levels]
    counts = [max(1, round(epochs * share / sum(shares))) for share in shares]
    if method == "adam":
        return [(Stochastic(rate=OneCycle(setting, n), batch=BATCH, decay=0.0), n) for n in counts]
    counts[-1] = epochs  # has no schedule, and goes on until the budget is spent
    return [(GaussNewton(tolerance=0.0, products=setting), n) for n in counts]


def _fit(levels: Levels, size: Size, seed: int, network: Make, budget: float = inf) -> Path:
    """Return value, work and seconds so far, and the level, after each epoch; the last network is deep."""
    y, labels = peaks(size.points, seed=seed)
    loss = CrossEntropy() + 1e-4 * SmoothInTime() + 1e-4 * SmallWeights(of="head")
    first = size.steps[1] >> (len(levels) - 1)
    with seeded(seed):
        stage = Stage(Hamiltonian(Dense(WIDTH), "tanh"), Verlet(), time=TIME, steps=first, bound="report")
        net = network(Opening(2, WIDTH), stage, Classify(WIDTH, CLASSES))
    if isinstance(levels[0][0], GaussNewton):
        net, y = net.double(), y.double()
    steps = Continuation(levels).fit(net, loss, y, labels, seed=seed)
    at = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the bound of stability is not asked about here
        try:
            for _ in steps:
                at.append(len(steps.fits))
                if steps.work >= budget:
                    break
        except StepError:
            pass  # lost, or stuck: what it has reached counts
    work, seconds = (
        np.cumsum([getattr(r, what) for r in steps.records]).tolist() for what in ("work", "seconds")
    )
    return {"value": [r.value for r in steps.records], "work": work, "seconds": seconds, "level": at}


def reached(path: Path, target: float, levels: int, budget: float = inf) -> int | None:
    """Return the epoch in which the deep network first has a loss of at most the target, None if never."""
    each = zip(path["value"], path["work"], path["level"], strict=True)
    hits = (
        n for n, (v, work, level) in enumerate(each) if v <= target and level == levels and work <= budget
    )
    return next(hits, None)


def target_of(path: Path) -> float:
    """Return the least loss of a direct run within most of its budget."""
    most = ENOUGH * path["work"][-1]
    within = [value for value, work in zip(path["value"], path["work"], strict=True) if work <= most]
    return min(within, default=path["value"][0])


def _tune(
    method: str, size: Size, setting: Setting, network: Make
) -> tuple[dict[str, Trial], list[dict[str, Any]]]:
    """Return the best setting of either way on the tuning seed, and what each trial came to.

    The direct run is to have the least loss at its end; the continuation is to reach the target of that one
    with the least work, or else to come closest to it.
    """
    epochs, levels = size.epochs[method], size.levels

    def tried(way: str, trial: Trial, plan: Levels, budget: float = inf) -> Path:
        name = " ".join(map(str, ("trial", method, way, *trial)))
        return setting.piece(name, partial(_fit, plan, size, TUNING, network, budget))

    if setting.quick:
        chosen = {"direct": DIRECT[method][QUICK_TRIAL], "continuation": CONTINUED[method][QUICK_TRIAL]}
        return chosen, [_trial(method, way, trial, nan, nan) for way, trial in chosen.items()]
    plain = {t: tried("direct", t, direct(method, t, epochs)) for t in DIRECT[method]}
    best = min(plain, key=lambda t: least(plain[t], 1))
    target, most, ranks = target_of(plain[best]), plain[best]["work"][-1], {}
    plans = {t: continued(method, t, epochs, levels) for t in CONTINUED[method]}
    deep = {t: tried("continuation", t, plan, most) for t, plan in plans.items()}
    rows = []
    for way, paths, last in (("direct", plain, 1), ("continuation", deep, levels)):
        for trial, path in paths.items():
            n = reached(path, target, last, most)
            ranks[way, trial] = (inf if n is None else path["work"][n], least(path, last))
            rows.append(_trial(method, way, trial, *ranks[way, trial]))
    quickest = min(deep, key=lambda t: ranks["continuation", t])
    return {"direct": best, "continuation": quickest}, rows


def least(path: Path, levels: int) -> float:
    """Return the least loss of the deep network."""
    each = zip(path["value"], path["level"], strict=True)
    return min((value for value, level in each if level == levels), default=inf)


def _trial(method: str, way: str, trial: Trial, work: float, value: float) -> dict[str, Any]:
    """Return the row of a trial."""
    row = {"method": METHODS[method], "way": way, "rate or products": trial[0], "kind": trial[1]}
    return {**row, "work to the target": work, "least loss": value}


def _compared(
    method: str, size: Size, seed: int, chosen: Mapping[str, Trial], setting: Setting, network: Make
) -> dict[str, Any]:
    """Return the paths of one seed, and what each has spent when it reaches the target."""
    epochs, paths = size.epochs[method], {}

    def path(way: str, levels: Levels, budget: float = inf) -> Path:
        name = f"{method} {way} seed {seed}"
        return setting.piece(name, partial(_fit, levels, size, seed, network, budget))

    paths["direct"] = path("direct", direct(method, chosen["direct"], epochs))
    levels = continued(method, chosen["continuation"], epochs, size.levels)
    paths["continuation"] = path("continuation", levels, paths["direct"]["work"][-1])
    if method == "adam":  # a direct run with no more work, its rate falling in time
        shorter = max(1, round(epochs * paths["continuation"]["work"][-1] / paths["direct"]["work"][-1]))
        paths["shorter"] = path("shorter", direct(method, chosen["direct"], shorter))
    whole, target = paths["direct"], target_of(paths["direct"])
    found: dict[str, Any] = {"target": target, "paths": paths}
    for way, other in paths.items():
        n = reached(other, target, size.levels if way == "continuation" else 1, whole["work"][-1])
        spent = {what: whole[what][-1] if n is None else other[what][n] for what in ("work", "seconds")}
        found[way] = {"reached": n is not None, **spent}
    return found


def _saving(value: Mapping[str, Any], what: str, way: str = "continuation") -> float:
    """1 - what it took this way / what it took directly."""
    return float(1 - value[way][what] / value["direct"][what]) if way in value else nan


def _measures(found: Mapping[tuple[str, int], Any], seeds: Sequence[int]) -> dict[str, Any]:
    """Return what is saved, in work and in seconds, by the seed, and medians; and by a shorter direct run."""
    measures: dict[str, Any] = {}
    for method in METHODS:
        for what in ("work", "seconds"):
            saved = [_saving(found[method, seed], what) for seed in seeds]
            measures |= {f"{method}.{what}": saved, f"{method}.{what}.median": median(saved)}
            measures[f"{method}.{what}.range"] = max(saved) - min(saved)
        measures[f"{method}.reached"] = sum(found[method, seed]["continuation"]["reached"] for seed in seeds)
    measures["shorter.work.median"] = median(_saving(found["adam", s], "work", "shorter") for s in seeds)
    return measures


def _row(method: str, seed: int, value: Mapping[str, Any]) -> dict[str, Any]:
    """Return the row of one seed."""
    row: dict[str, Any] = {"method": METHODS[method], "seed": seed, "target": value["target"]}
    for way, name in (("direct", "direct"), ("continuation", "continuation"), ("shorter", "shorter direct")):
        here = value.get(way, {"reached": "", "work": nan, "seconds": nan})
        row |= {f"{name}: reached": here["reached"], f"{name}: work": here["work"]}
        row[f"{name}: seconds"] = here["seconds"]
    return row | {f"saved, {what}": _saving(value, what) for what in ("work", "seconds")}


def _paths(found: Mapping[tuple[str, int], Any], seed: int) -> Figure:
    """Draw the loss against work and against seconds, one seed."""
    import matplotlib.pyplot as plt

    names = {"direct": "deep from the start", "continuation": "continuation", "shorter": "cut short"}
    figure, axes = plt.subplots(len(METHODS), 2, figsize=(9.5, 6.4), sharey="row", squeeze=False)
    for row, method in zip(axes, METHODS, strict=True):
        value = found[method, seed]
        for panel, what in zip(row, ("work", "seconds"), strict=True):
            for (way, path), colour in zip(value["paths"].items(), COLOURS, strict=False):
                panel.plot(path[what], path["value"], color=colour, lw=1.3, label=names[way])
                for n in np.flatnonzero(np.diff(path["level"])):
                    panel.plot(path[what][n], path["value"][n], "o", color=colour, ms=4)
            panel.axhline(value["target"], color="0.5", ls="--", lw=0.9, label="target")
            panel.set(yscale="log", title=METHODS[method])
            panel.set_xlabel("work units" if what == "work" else "seconds")
        row[0].set_ylabel("loss")
        row[0].legend(fontsize=8)
    figure.suptitle("Loss on the way; at a dot every step becomes two")
    return figure


def _savings(found: Mapping[tuple[str, int], Any]) -> Figure:
    """Draw what is saved: a dot a seed, a bar at the median."""
    import matplotlib.pyplot as plt

    figure, panel = plt.subplots(figsize=(9.5, 3.6))
    groups = [(m, what) for m in METHODS for what in ("work", "seconds")]
    for at, (method, what) in enumerate(groups):
        saved = [100 * _saving(value, what) for (m, _), value in found.items() if m == method]
        panel.plot([at] * len(saved), saved, "o", color=COLOURS[at // 2], alpha=0.7)
        panel.hlines(median(saved), at - 0.25, at + 0.25, color=COLOURS[at // 2], lw=2.5)
    for share, words in ((0, "nothing"), (100 * SAVED[0], "published")):
        panel.axhline(share, color="0.6", ls="--", lw=0.9)
        panel.annotate(words, (len(groups) - 0.55, share), va="bottom", ha="right", fontsize=8)
    panel.set_xticks(range(len(groups)), [f"{METHODS[m]}\n{what}" for m, what in groups])
    panel.set(ylabel="saved (%)", xlim=(-0.5, len(groups) - 0.5))
    panel.set_title("What continuation saves on the way to the loss of the direct run at 90 % of its budget")
    return figure
