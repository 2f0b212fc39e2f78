"""Choose the PDE based on the task: six dynamics and a U-Net on five tasks, at equal weights and passes.

Rates are chosen on validation, for each network. What counts is the difference of two networks on the same
draws: it lies beyond the spread where its mean over the seeds is more than twice its standard deviation.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from functools import partial
from itertools import product
from pathlib import Path
from statistics import mean, stdev
from typing import TYPE_CHECKING, Any

from torch.nn import Identity

from wellposed.data import read_cifar10
from wellposed.errors import StepError
from wellposed.experiments.choose_tasks import (
    NETS,
    TASKS,
    TUNING,
    UNET,
    Nets,
    Task,
    Tasks,
    Trial,
    network,
    weights_of,
)
from wellposed.experiments.pictures import COLOURS
from wellposed.experiments.setting import Outcome, Rows, Setting
from wellposed.learning import OneCycle, derive_seed, fit
from wellposed.learning.batches import Batch

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Scores = Mapping[str, Mapping[str, Sequence[float]]]  # by task and network, a number a seed
Row = dict[str, Any]

RATES, QUICK_RATES = (2e-3, 8e-3, 3.2e-2), (1.6e-2,)
EPOCHS = 10  # after each of them operators are kept within the bound of the step
TWICE = 2.0
NONE = "no network"  # the nearest example, or column, or a straight line from pick to pick
DATA = "the folder of CIFAR-10: data_batch_1.bin ... and test_batch.bin, or the packed files"


def run(setting: Setting, nets: Nets = NETS, tasks: Tasks = TASKS) -> Outcome:
    """Choose the rate of each network for each task, train it on the seeds, and compare."""
    folder = None if setting.quick else setting.needs_data(DATA)
    if folder is not None:  # a wrong folder is said at once, and not after hours
        for split in ("train", "test"):
            read_cifar10(folder, split=split, count=1)
    networks: list[Row] = []
    rates: list[Row] = []
    for name, task in tasks.items():
        for net in [*nets] if task.space == "points" else [*nets, UNET]:

            def learned(rate: float, seed: int, name: str = name, task: Task = task, net: str = net) -> Row:
                learn = partial(_learn, task, nets, net, rate, seed, setting.quick, folder)
                found: Row = setting.piece(f"{name} {net} rate {rate:g} seed {seed}", learn)
                return found

            rate, tried = _chosen(setting, learned)
            of = {"task": name, "score": task.unit, "network": net}
            rates += [{**of, "rate": r, "on validation": value} for r, value in tried.items()]
            found = [learned(rate, seed) for seed in setting.seeds]
            networks.append({"task": name, "network": net, "rate": rate, "found": found})
        simple = [_simple(task, seed, setting.quick, folder) for seed in setting.seeds]
        networks.append({"task": name, "network": NONE, "rate": "", "found": simple})
    scores: dict[str, dict[str, list[float]]] = {}
    for row in networks:
        scores.setdefault(row["task"], {})[row["network"]] = [each["score"] for each in row["found"]]
    tables: dict[str, Rows] = {"networks": _rows(networks, scores, tasks), "best": _best_rows(scores)}
    if rates:
        tables["rates"] = rates
    margins = {name: task.margin for name, task in tasks.items()}
    return Outcome(_measures(scores, margins), tables, {"scores": _draw(scores, tasks)})


def _chosen(setting: Setting, learned: Any) -> tuple[float, dict[float, float]]:
    """Return the rate that is best on validation, and what each has there; in small there is but one."""
    if setting.quick:
        return QUICK_RATES[0], {}
    tried = {rate: float(learned(rate, TUNING)["score"]) for rate in RATES}
    return max(tried, key=lambda rate: tried[rate]), tried


def _learn(
    task: Task, nets: Nets, name: str, rate: float, seed: int, quick: bool, folder: Path | None
) -> Row:
    """Train a network on each trial of a seed; return the mean of their scores, and what it took."""
    if quick:
        task = task._replace(nodes=2, passes=task.passes // 20)
    began, scores, ratios, lost = time.perf_counter(), [], [], 0
    for number, trial in enumerate(task.trials(seed, quick, folder)):
        net = network(task, nets, name, derive_seed(seed, number))
        lost += not _fitted(task, net, trial, rate, seed)
        scores.append(task.score(net, trial.new))
        ratios.append(net.ratio() or 0.0)
    return {
        "score": mean(scores),
        "scores": scores,
        "weights": weights_of(net),
        "seconds": time.perf_counter() - began,
        "ratio": max(ratios),
        "lost": lost,
    }


def _simple(task: Task, seed: int, quick: bool, folder: Path | None) -> Row:
    """Return the score of what is said without a network."""
    began, trials = time.perf_counter(), task.trials(seed, quick, folder)
    score = mean(task.score(Identity(), (trial.simple, trial.new[1])) for trial in trials)
    seconds = time.perf_counter() - began
    return {"score": score, "weights": 0, "seconds": seconds, "ratio": 0.0, "lost": 0}


def _fitted(task: Task, net: Any, trial: Trial, rate: float, seed: int) -> bool:
    """Train; say whether numbers stayed finite. Where they did not, it stays as it was an epoch before."""
    inputs, labels = trial.sample
    parts = [slice(at, at + task.batch) for at in range(0, len(inputs), task.batch)]
    epochs = min(EPOCHS, task.passes)
    batches: list[Batch] = [(inputs[part], labels.take(part)) for part in parts]
    batches *= task.passes // epochs
    cycle = OneCycle(rate, epochs)
    run = fit(net, task.objective, batches, epochs=epochs, seed=seed, rate=cycle, bound="keep")
    try:
        for _ in run:
            pass
    except StepError:
        return False
    return True


def beyond(first: Sequence[float], second: Sequence[float]) -> bool:
    """Return whether the first is ahead by more than twice the spread of the difference over the seeds."""
    apart = [a - b for a, b in zip(first, second, strict=True)]
    return mean(apart) > (TWICE * stdev(apart) if len(apart) > 1 else 0.0)


def level(first: Sequence[float], second: Sequence[float], margin: float) -> bool:
    """Return whether the second is shown to be behind by less than a margin, with twice the spread."""
    apart = [a - b for a, b in zip(first, second, strict=True)]
    return mean(apart) + (TWICE * stdev(apart) if len(apart) > 1 else 0.0) < margin


def dynamics_of(of: Mapping[str, Sequence[float]]) -> list[str]:
    """Return the names of the dynamics among those that have a score."""
    return [name for name in of if name not in (UNET, NONE)]


def best(of: Mapping[str, Sequence[float]]) -> str:
    """Return the dynamics whose mean is best."""
    return max(dynamics_of(of), key=lambda name: mean(of[name]))


def _measures(scores: Scores, margins: Mapping[str, float]) -> dict[str, float]:
    """Return how many pairs of tasks have bests that beat one another, how many dynamics are good for all.

    Not to be shown behind ("behind nowhere") is less than to be shown level with the best ("level
    everywhere"): with few seeds the first may be chance.
    """
    winners = {task: best(of) for task, of in scores.items()}
    behind = {task: {n for n in of if beyond(of[winners[task]], of[n])} for task, of in scores.items()}
    dynamics = dynamics_of(next(iter(scores.values())))
    crossed = [
        t != u and winners[u] in behind[t] and winners[t] in behind[u] for t, u in product(scores, scores)
    ]
    images = {task: of for task, of in scores.items() if UNET in of}
    return {
        "crossings": sum(crossed) // 2,
        "behind nowhere": sum(not any(name in behind[t] for t in scores) for name in dynamics),
        "level everywhere": sum(
            all(level(of[winners[t]], of[name], margins[t]) for t, of in scores.items()) for name in dynamics
        ),
        "alone": sum(len(behind[t] & set(dynamics)) == len(dynamics) - 1 for t in scores),
        "residual among the best": sum("residual" not in behind[t] for t in scores),
        "ahead of no network": sum(NONE in behind[t] for t in scores),
        "U-Net ahead": sum(beyond(of[UNET], of[winners[t]]) for t, of in images.items()),
        "U-Net behind": sum(UNET in behind[t] for t in images),
    }


def _rows(networks: Sequence[Row], scores: Scores, tasks: Tasks) -> list[Row]:
    """Return a row for each network on each task."""
    rows = []
    for row in networks:
        of, found = scores[row["task"]], row["found"]
        values, top = of[row["network"]], of[best(of)]
        rows.append(
            {"task": row["task"], "score": tasks[row["task"]].unit, "network": row["network"]}
            | {"weights": found[0]["weights"], "rate": row["rate"]}
            | {f"seed {seed}": value for seed, value in enumerate(values)}
            | {"mean": mean(values), "spread": stdev(values) if len(values) > 1 else 0.0}
            | {"behind the best dynamics": mean(top) - mean(values)}
            | {"beyond the spread": "yes" if beyond(top, values) else ""}
            | {"seconds a seed": mean(each["seconds"] for each in found)}
            | {"step over bound": max(each["ratio"] for each in found) or ""}
            | {"numbers lost": sum(each["lost"] for each in found)}
        )
    return rows


def _best_rows(scores: Scores) -> list[Row]:
    """Return for each task the best dynamics, those within the spread of it, and where the U-Net is."""
    rows = []
    for task, of in scores.items():
        top = best(of)
        near = [name for name in dynamics_of(of) if name != top and not beyond(of[top], of[name])]
        against = ""
        if UNET in of:
            against = "behind" if beyond(of[top], of[UNET]) else "within the spread"
            against = "ahead" if beyond(of[UNET], of[top]) else against
        rows.append(
            {"task": task, "best": top, "within the spread": ", ".join(near) or "none", UNET: against}
        )
    return rows


def _draw(scores: Scores, tasks: Tasks) -> Figure:
    """Draw a panel for each task and a line for each network: a dot a seed."""
    import matplotlib.pyplot as plt

    names = [*dynamics_of(next(iter(scores.values()))), UNET, NONE]
    colours = {UNET: COLOURS[1], NONE: "0.5"}
    figure, panels = plt.subplots(1, len(scores), figsize=(9.5, 4.2), sharey=True)
    for panel, (task, of) in zip(panels, scores.items(), strict=True):
        top = of[best(of)]
        for name, values in of.items():
            place, colour = names.index(name), colours.get(name, COLOURS[0])
            face = "white" if beyond(top, values) else colour
            panel.plot(values, [place] * len(values), "o", ms=6, mec=colour, mfc=face, alpha=0.8)
            panel.plot(mean(values), place, "|", ms=14, color=colour)
        panel.set_title(task.replace(", ", ",\n"), fontsize=10)
        panel.set_xlabel(tasks[task].unit.replace("minus the ", "minus the\n"), fontsize=9)
        panel.locator_params(axis="x", nbins=3)
        panel.margins(x=0.12)
        panel.grid(axis="y", lw=0.4)
    panels[0].set_yticks(range(len(names)), names)
    panels[0].invert_yaxis()
    figure.suptitle(
        "A dot a seed, further right is better; hollow: behind the best dynamics beyond the spread"
    )
    return figure
