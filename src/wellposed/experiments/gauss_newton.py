"""Work and seconds of five methods to one validation loss, on three problems; and J'J of deeper networks."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from math import nan
from statistics import median
from typing import TYPE_CHECKING, Any, Literal

import torch

from wellposed.errors import UserError
from wellposed.experiments.normal_matrix import DEPTHS, digits, draw_depths, spectra
from wellposed.experiments.pictures import COLOURS
from wellposed.experiments.problems import PROBLEMS, Make, Problem
from wellposed.experiments.setting import Outcome, Rows, Setting
from wellposed.learning import (
    LBFGS,
    GaussNewton,
    Method,
    SmallWeights,
    SmoothInTime,
    Stochastic,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Newton = Callable[..., Method]
Path = Mapping[str, Any]  # lists: work and seconds so far, validation loss, a number an epoch; and the budget
Found = Mapping[tuple[str, str, int], Mapping[str, Any]]  # by problem, method and seed

TUNING = 100  # a seed of its own, on which settings are chosen
METHODS = {
    "sgd": "SGD",
    "adam": "Adam",
    "lbfgs": "L-BFGS",
    "newton": "Gauss-Newton",
    "varpro": "head projected",
}
KINDS = {"first": ("sgd", "adam"), "lbfgs": ("lbfgs",), "second": ("newton", "varpro")}
# As many settings are tried for each: rates, how much is remembered, products a step.
TRIALS: Mapping[str, Sequence[float]] = {
    "sgd": (1e-2, 4e-2, 1.6e-1),
    "adam": (2e-3, 8e-3, 3.2e-2),
    **dict.fromkeys(("lbfgs", "newton", "varpro"), (5, 10, 20)),
}
SECONDS = 120  # of a run with a projected head, whose solves are no work units but take time
ENOUGH = 0.9  # of the budget of the better first-order method, whose validation loss then is the target


def run(setting: Setting, newton: Newton = GaussNewton) -> Outcome:
    """Tune each method on one seed, and count what it takes on others; then look at J'J."""
    found, rows, chosen = {}, [], {}
    for name, make in PROBLEMS.items():

        def path(method: str, given: float, seed: int, name: str = name, make: Make = make) -> Path:
            fit = partial(_fit, partial(make, setting.quick, seed), newton, method, given, seed)
            return setting.piece(f"{name} {method} {given:g} seed {seed}", fit)

        tuned, ranks = _tune(path, setting)
        rows += [
            {"problem": name, "method": METHODS[method], "rate, memory or products": given, "target": tuned}
            | {"work to it": work, "least validation loss": least}
            for (method, given), (work, least) in ranks.items()
        ]
        chosen[name] = min((key for key in ranks if key[0] in KINDS["second"]), key=ranks.__getitem__)[0]
        best = {
            m: min((k for k in ranks if k[0] == m), key=ranks.__getitem__)[1] for m in methods_of(setting)
        }
        for seed in setting.seeds:
            paths = {method: path(method, given, seed) for method, given in best.items()}
            target = min(_least(paths[method], ENOUGH) for method in KINDS["first"])
            for method, done in paths.items():
                found[name, method, seed] = {"path": done, "target": target, **spent(done, target)}
    J = setting.piece("spectra", partial(spectra, DEPTHS[:2] if setting.quick else DEPTHS))
    measures = {**_measures(found, chosen, setting.seeds), **digits(J)}
    tables: dict[str, Rows] = {"runs": _rows(found), "trials": rows, "depth": J}
    pictures = {"paths": _paths(found, setting.seeds[0]), "depth": draw_depths(J)}
    return Outcome(measures, tables, pictures)


def methods_of(setting: Setting) -> list[str]:
    """Return the methods that are compared; the projected head takes too long for seconds."""
    return [method for method in METHODS if not (setting.quick and method == "varpro")]


def _method(method: str, given: float, problem: Problem, newton: Newton) -> Method:
    """Return a method with the setting that is tried."""
    if method in KINDS["first"]:
        name: Literal["sgd", "adamw"] = "sgd" if method == "sgd" else "adamw"
        return Stochastic(rate=given, batch=problem.batch, optimizer=name, decay=0.0)
    if method == "lbfgs":
        return LBFGS(tolerance=0.0, history=int(given))
    head = method == "varpro"
    return newton(tolerance=0.0, products=int(given), share=problem.share, project_head=head)


def _fit(make: Callable[[], Problem], newton: Newton, method: str, given: float, seed: int) -> Path:
    """Return validation loss, work and seconds so far, until the budget is spent, or the time.

    First-order methods run in single precision, the others in double. Validation costs neither work nor
    seconds. Lost numbers, no step that helps, no best head, are an end: what was reached counts.
    """
    problem = make()
    net, (y, labels), (new, truth) = problem.net, problem.sample, problem.new
    if method not in KINDS["first"]:
        net, y, new = net.double(), y.double(), new.double()
    objective = problem.seen + 1e-4 * SmoothInTime() + 1e-4 * SmallWeights(of="head")
    passes = sum(len(stage.spans) for stage in net.stages()) * problem.evaluations * len(y)
    path: dict[str, Any] = {"budget": problem.budget * passes, "work": [], "seconds": [], "new": []}
    fit = _method(method, given, problem, newton).fit(net, objective, y, labels, epochs=10**6, seed=seed)
    seconds = 0.0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the bound of stability is not asked about here
        try:
            for record in fit:
                seconds += record.seconds
                with torch.no_grad():
                    loss = float(problem.seen.value(net, net(new), truth))
                path["work"].append(fit.work * problem.evaluations)
                path["seconds"].append(seconds)
                path["new"].append(loss)
                if path["work"][-1] >= path["budget"] or (method == "varpro" and seconds > SECONDS):
                    break
        except UserError:  # of a step, or of a head that has no best weights
            pass
    return path


def spent(path: Path, target: float) -> dict[str, Any]:
    """Return work and seconds to a validation loss; what never gets there has spent the budget."""
    for work, seconds, loss in zip(path["work"], path["seconds"], path["new"], strict=True):
        if loss <= target and work <= path["budget"]:
            return {"reached": True, "work": work, "seconds": seconds}
    whole = path["seconds"][-1] * path["budget"] / path["work"][-1] if path["work"] else nan
    return {"reached": False, "work": path["budget"], "seconds": whole}


def _least(path: Path, share: float = 1.0) -> float:
    """Return the least validation loss within a share of the budget."""
    each = zip(path["new"], path["work"], strict=True)
    return min((loss for loss, work in each if work <= share * path["budget"] and loss == loss), default=1e9)


def _tune(
    path: Callable[[str, float, int], Path], setting: Setting
) -> tuple[float, dict[tuple[str, float], tuple[float, float]]]:
    """Return the target, and of each trial the work to it and the least validation loss."""
    seed, some = (setting.seeds[0], slice(1)) if setting.quick else (TUNING, slice(None))
    paths = {(m, given): path(m, given, seed) for m in methods_of(setting) for given in TRIALS[m][some]}
    target = min(_least(done, ENOUGH) for (m, _), done in paths.items() if m in KINDS["first"])
    return target, {key: (spent(done, target)["work"], _least(done)) for key, done in paths.items()}


def _measures(
    found: Found, chosen: Mapping[str, str], seeds: Sequence[int]
) -> dict[str, float | list[float]]:
    """Return what Gauss-Newton takes over what rivals take, medians; on how many problems that is below one.

    Ours is the one that was better on the tuning seed, the rival the better one on each seed itself. Seeds
    on which neither arrives say nothing.
    """
    measures: dict[str, Any] = {}
    for rival in ("first", "lbfgs"):
        for what in ("work", "seconds"):
            for name in PROBLEMS:
                new = [found[name, chosen[name], s] for s in seeds]
                old = [min((found[name, m, s] for m in KINDS[rival]), key=_cost(what)) for s in seeds]
                pairs = zip(new, old, strict=True)
                each = [a[what] / b[what] if a["reached"] or b["reached"] else nan for a, b in pairs]
                decided = [ratio for ratio in each if ratio == ratio]
                measures[f"{name}.{what}.{rival}"] = median(decided) if decided else nan
                measures[f"{name}.{what}.{rival}.each"] = each
            measures[f"won.{what}.{rival}"] = sum(measures[f"{n}.{what}.{rival}"] < 1 for n in PROBLEMS)
    return measures


def _cost(what: str) -> Callable[[Mapping[str, Any]], tuple[bool, float]]:
    """Return what orders methods by: those that arrive before others, and then by work or seconds."""
    return lambda spent: (not spent["reached"], spent[what])


def _rows(found: Found) -> list[dict[str, Any]]:
    """Return a row for each problem, method and seed."""
    return [
        {"problem": name, "method": METHODS[method], "seed": seed, "target": value["target"]}
        | {what: value[what] for what in ("reached", "work", "seconds")}
        | {"least validation loss": _least(value["path"])}
        for (name, method, seed), value in found.items()
    ]


def _paths(found: Found, seed: int) -> Figure:
    """Draw the validation loss against work and against seconds, one seed."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(2, len(PROBLEMS), figsize=(9.5, 6), sharey="col")
    for row, what in zip(axes, ("work", "seconds"), strict=True):
        for panel, name in zip(row, PROBLEMS, strict=True):
            shown = [method for method in METHODS if (name, method, seed) in found]
            for method, colour in zip(shown, COLOURS, strict=False):
                path = found[name, method, seed]["path"]
                panel.plot(path[what], path["new"], color=colour, lw=1.2, label=METHODS[method])
            panel.axhline(found[name, "adam", seed]["target"], color="0.5", ls="--", lw=0.9, label="target")
            panel.set(xscale="log", yscale="log", xlabel="work units" if what == "work" else what)
            panel.xaxis.set_minor_formatter("")
            panel.set_title(name)
        row[0].set_ylabel("validation loss")
    figure.legend(*panel.get_legend_handles_labels(), loc="outside lower center", ncols=6, fontsize=9)
    figure.suptitle("Five methods on three problems")
    return figure
