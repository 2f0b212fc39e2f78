"""Work and seconds of five methods to one validation loss, on three problems; and J'J of deeper networks."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import product
from math import log10, nan
from statistics import median
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import Tensor

from wellposed.control import Control
from wellposed.dynamics import Dynamics, Extent, FirstOrder, Hamiltonian, Theta
from wellposed.dynamics.activation import activate
from wellposed.errors import UserError
from wellposed.experiments.pictures import COLOURS
from wellposed.experiments.problems import PROBLEMS, Make, Problem
from wellposed.experiments.setting import Outcome, Rows, Setting
from wellposed.integrators import Euler, Integrator, Verlet
from wellposed.learning import (
    LBFGS,
    GaussNewton,
    Method,
    SmallWeights,
    SmoothInTime,
    Stochastic,
    generator,
)
from wellposed.network import Jacobian, Stage
from wellposed.operators import Dense

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
DEPTHS, DRAWS, STEP, WIDTH = (4, 16, 64, 256), 5, 0.25, 4
COLUMNS = ("log10 of the condition of J'J", "gradient", "step of Gauss-Newton")


@dataclass(frozen=True)
class _Untied(FirstOrder):
    """y' = s(K y + b), K any matrix: the plain residual network."""

    operator: Dense

    def shapes(self) -> dict[str, tuple[int, ...]]:
        return {"K": self.operator.shape, "b": self.operator.shape[:1]}

    def rate(self, theta: Theta, y: Tensor) -> Tensor:
        return activate("relu", self.operator(theta["K"]) @ y, theta["b"])

    def extent(self, theta: Theta) -> Extent | None:
        return None

    @classmethod
    def examples(cls) -> list[Any]:
        return []


RECURRENCES: Mapping[str, tuple[Dynamics, Integrator]] = {
    "residual": (_Untied(Dense(WIDTH)), Euler()),
    "hamiltonian": (Hamiltonian(Dense(WIDTH), "tanh"), Verlet()),
}


def run(setting: Setting, newton: Newton = GaussNewton) -> Outcome:
    """Tune each method on one seed, and count what it takes on others; then look at J'J."""
    found, rows, chosen = {}, [], {}
    for name, make in PROBLEMS.items():

        def path(method: str, given: float, seed: int, name: str = name, make: Make = make) -> Path:
            fit = partial(_fit, partial(make, setting.quick, seed), newton, method, given, seed)
            return setting.piece(f"{name} {method} {given:g} seed {seed}", fit)

        target, ranks = _tune(path, setting)
        rows += [
            {"problem": name, "method": METHODS[method], "rate, memory or products": given, "target": target}
            | {"work to it": work, "least validation loss": least}
            for (method, given), (work, least) in ranks.items()
        ]
        for kind, methods in KINDS.items():
            chosen[name, kind] = min((key for key in ranks if key[0] in methods), key=ranks.__getitem__)[0]
        for method in methods_of(setting):
            given = min((key for key in ranks if key[0] == method), key=ranks.__getitem__)[1]
            for seed in setting.seeds:
                done = path(method, given, seed)
                found[name, method, seed] = {"path": done, "target": target, **spent(done, target)}
    spectra = setting.piece("spectra", partial(_spectra, DEPTHS[:2] if setting.quick else DEPTHS))
    measures = {**_measures(found, chosen, setting.seeds), **_digits(spectra)}
    tables: dict[str, Rows] = {"runs": _rows(found), "trials": rows, "depth": spectra}
    pictures = {"paths": _paths(found, setting.seeds[0]), "depth": _depths(spectra)}
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
    found: Found, chosen: Mapping[tuple[str, str], str], seeds: Sequence[int]
) -> dict[str, float | list[float]]:
    """Return what Gauss-Newton takes over what rivals take, medians; on how many problems that is below one.

    Of each kind the method that was better on the tuning seed.
    """
    measures: dict[str, Any] = {}
    for rival in ("first", "lbfgs"):
        for what in ("work", "seconds"):
            for name in PROBLEMS:
                new, old = ([found[name, chosen[name, k], s] for s in seeds] for k in ("second", rival))
                pairs = zip(new, old, strict=True)
                each = [a[what] / b[what] if a["reached"] or b["reached"] else 1.0 for a, b in pairs]
                measures[f"{name}.{what}.{rival}"] = median(each)
                measures[f"{name}.{what}.{rival}.each"] = each
            measures[f"won.{what}.{rival}"] = sum(measures[f"{n}.{what}.{rival}"] < 1 for n in PROBLEMS)
    return measures


def _spectra(depths: Sequence[int]) -> list[dict[str, Any]]:
    """Return a row a network: medians over draws of what J says of the state at the end, by all weights."""
    rows = []
    for name, steps in product(RECURRENCES, depths):
        middle = torch.tensor([_spectrum(name, steps, seed) for seed in range(DRAWS)]).median(0).values
        rows.append({"network": name, "steps": steps, **dict(zip(COLUMNS, middle.tolist(), strict=True))})
    return rows


def _spectrum(name: str, steps: int, seed: int) -> list[float]:
    """Return log10 of the condition of J'J on its range, |J'r| and |J^+ r|, for one r of length one."""
    (f, integrator), draw = RECURRENCES[name], generator(seed, "spectra")

    def random(*shape: int) -> Tensor:
        return torch.randn(shape, generator=draw, dtype=torch.float64)

    y, r = random(2, WIDTH), torch.nn.functional.normalize(random(2 * WIDTH), dim=0)
    theta = {key: random(*shape) / 2 for key, shape in f.shapes().items()}
    control = Control.constant(theta, torch.arange(steps + 1) * STEP)
    stage = Stage(f, integrator, time=STEP * steps, steps=steps, control=control, bound="report")
    pull = Jacobian(stage, y).T
    units = torch.eye(2 * WIDTH, dtype=y.dtype).view(-1, *y.shape)
    J = torch.stack([torch.cat([v.flatten() for v in (pull @ e).values()]) for e in units])
    U, s, _ = torch.linalg.svd(J, full_matrices=False)
    range_ = s > 8 * torch.finfo(s.dtype).eps * s[0]
    s, part = s[range_], (U.T @ r)[range_]
    return [float(2 * (s[0] / s[-1]).log10()), float((s * part).norm()), float((part / s).norm())]


def _digits(spectra: Rows) -> dict[str, float]:
    """Return the digits that J'J loses with depth, and by how many powers of ten gradient and step change."""
    measures = {}
    for name in RECURRENCES:
        first, *_, last = (row for row in spectra if row["network"] == name)
        condition, gradient, step = COLUMNS
        measures[f"{name}.digits"] = last[condition] - first[condition]
        measures[f"{name}.gradient"] = abs(log10(last[gradient] / first[gradient]))
        measures[f"{name}.step"] = abs(log10(last[step] / first[step]))
    return measures


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


def _depths(spectra: Rows) -> Figure:
    """Draw condition, gradient and step against depth."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 3, figsize=(9.5, 3.4))
    for panel, column in zip(axes, COLUMNS, strict=True):
        for name, colour in zip(RECURRENCES, COLOURS, strict=False):
            rows = [row for row in spectra if row["network"] == name]
            panel.plot([r["steps"] for r in rows], [r[column] for r in rows], "o-", color=colour, label=name)
        panel.set(xscale="log", xlabel="steps", title=column)
        panel.set_xticks([r["steps"] for r in rows], [f"{r['steps']}" for r in rows])
        panel.xaxis.set_minor_formatter("")
        if not column.startswith("log10"):
            panel.set_yscale("log")
    axes[0].legend()
    return figure
