"""What learning costs: Gauss-Newton with continuation beside Adam, to the same validation loss.

    python benchmarks/learning.py [--json FILE] [--problems ...] [--enough 0.5] [--quick]

Three toys, as the experiment on toys lays them out but with one network for all (Hamiltonian, Verlet), and
columns of a horizon. Adam learns the deep network from the start; ours begins with few steps, and each level
has twice as many. Both have the same data, objective, weights at the start (theta(t) is constant there, so
that it is the same at any number of steps) and budget of work.

A work unit is one evaluation of f for one example, a product with the Jacobian or its adjoint two. Seconds
are those of the process on one thread; validation takes neither. Adam runs in single precision, Gauss-Newton
in double.

As many settings are tried for either side on a seed of its own. The mark is the loss that both sides reach
there in a share of the budget: the larger one of their least losses. Settings are those that reach it with
the least work. Then both sides go there on three other seeds, in turn. Ours must do so with the deep network.
What does not get there counts the whole budget, so that its ratio is a bound: it would have taken more.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from functools import partial
from itertools import product
from math import inf, isfinite, nan
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import torch

import wellposed as wp
from wellposed.errors import StepError
from wellposed.experiments.problems import horizon_problem
from wellposed.experiments.toys import TOYS, Toy
from wellposed.learning import ColumnDensity, Objective, Stochastic, continuation
from wellposed.learning.batches import Batch
from wellposed.network.part import seeded

TUNING, SEEDS = 100, (0, 1, 2)
NEW = 2000  # points of the plane that a toy is validated on
PRODUCTS, SHARE = 10, 1 / 4  # of a step of Gauss-Newton; of the examples that its curvature is from
REACH = 0.5  # of the work units of Adam, on two of the three toys
SIDES = ("Adam", "ours")

Trial = tuple[Any, ...]
Course = dict[str, Any]  # lists: work and seconds so far, loss of the deep network, an epoch each; the budget
Spent = dict[str, Any]  # whether the mark was reached; work and seconds to it


class Given(NamedTuple):
    """What is learned: a network of so many steps, from a sample, judged on another one."""

    net: Callable[[int], wp.Network]
    seen: Objective
    sample: Batch
    new: Batch


class Case(NamedTuple):
    """A problem by the seed, steps of the deep network, and what either side gets.

    budget    in passes of the sample through the deep network: about ten seconds of Adam
    batch     of Adam
    """

    make: Callable[[int], Given]
    steps: int
    budget: int
    batch: int
    enough: float = 0.5


def toy(it: Toy, seed: int) -> Given:
    def net(steps: int) -> wp.Network:
        with seeded(seed):
            stage = wp.Stage(
                wp.Hamiltonian(wp.Dense(it.width)), wp.Verlet(), time=it.time, steps=steps, bound="report"
            )
            return wp.Network(wp.Opening(2, it.width), stage, wp.Classify(it.width, it.classes))

    sample, new = it.make(it.points, seed=seed), it.make(NEW, seed=1000 + seed)
    return Given(net, wp.CrossEntropy(), sample, new)


def horizon(seed: int) -> Given:
    def net(steps: int) -> wp.Network:
        return wp.recipes.imex((8,), 1, inputs=2, time=4.0, steps=steps, seed=seed)

    problem = horizon_problem(False, seed)
    return Given(net, ColumnDensity(), problem.sample, problem.new)


CASES = {
    "ellipses": Case(partial(toy, TOYS["ellipses"]), 32, 150, 64),
    "swiss roll": Case(partial(toy, TOYS["swiss roll"]), 32, 400, 64),
    "peaks": Case(partial(toy, TOYS["peaks"]), 32, 200, 64),
    "horizon": Case(horizon, 8, 200, 1),
}
RATES, SCHEDULES = (3e-3, 1e-2, 3e-2), ("constant", "falling")
LEVELS, PARTS = (2, 3, 4), (1 / 4, 1.0)  # of networks, and of the examples that all of them see
COARSE = 6  # steps of Gauss-Newton on each level but the last


def trials(side: str) -> list[Trial]:
    """Return six settings."""
    return list(product(RATES, SCHEDULES) if side == "Adam" else product(LEVELS, PARTS))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", type=Path)
    parser.add_argument("--problems", nargs="*", default=list(CASES), choices=list(CASES))
    parser.add_argument("--enough", type=float, default=0.5, help="share of the budget that sets the mark")
    parser.add_argument("--quick", action="store_true", help="a try of the command: its numbers say nothing")
    given = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")  # the bound of stability is not asked about here
    for side in SIDES:  # what is imported and built at the first call is no cost of learning
        path_of(side, CASES["peaks"], trials(side)[0], TUNING, mark=inf)
    found = {}
    for name in given.problems:
        case = CASES[name]._replace(enough=given.enough)
        if given.quick:
            case = case._replace(steps=4, budget=60)
        size = (1.0, 1, SEEDS[:1]) if given.quick else (given.enough, len(trials(SIDES[0])), SEEDS)
        found[name] = compared(name, case, *size)
        if given.json:
            given.json.write_text(json.dumps(found, indent=1))
    show(found)


def compared(name: str, case: Case, enough: float, tried: int, seeds: Sequence[int]) -> dict[str, Any]:
    """Tune both sides, then let them take turns on the seeds."""
    paths: dict[tuple[str, Trial], Course] = {}
    for side in SIDES:
        for trial in trials(side)[:tried]:
            paths[side, trial] = path = path_of(side, case, trial, TUNING)
            say(f"{name}, {side} {trial}: loss {least(path):.4f} in {sum(path['seconds'][-1:]):.1f} s")
    mark = mark_of(paths, enough)
    chosen = {side: chosen_of(paths, side, mark) for side in SIDES}
    runs = []
    for seed in seeds:
        run: dict[str, Any] = {"seed": seed}
        for side in SIDES:
            run[side] = spent(path_of(side, case, chosen[side], seed, mark), mark)
            say(f"{name}, seed {seed}, {side}: {run[side]}")
        runs.append(run)
    tuning = []
    for (side, trial), path in paths.items():
        known = {**path, "loss": [v if isfinite(v) else None for v in path["loss"]]}
        tuning.append({"side": side, "trial": trial, **spent(path, mark), "path": known})
    return {"mark": mark, "chosen": chosen, "runs": runs, "tuning": tuning}


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def path_of(side: str, case: Case, trial: Trial, seed: int, mark: float = -inf) -> Course:
    """Learn until the budget is spent, or the mark is reached; lost numbers, or no step, are an end."""
    given = case.make(seed)
    fit, (new, truth) = begun(side, case, trial, given, seed), given.new
    levels = 1 if side == "Adam" else trial[0]
    new = new.to(next(fit.net.parameters()).dtype)
    path: Course = {"budget": case.budget * case.steps * len(given.sample[0])}
    path |= {"work": [], "seconds": [], "loss": []}
    seconds, loss = 0.0, inf
    while True:
        began = time.process_time()
        try:
            next(fit)
        except (StepError, StopIteration):
            break
        finally:
            seconds += time.process_time() - began
        if len(fit.fits) == levels:
            with torch.no_grad():
                loss = float(given.seen.value(fit.net, fit.net(new), truth))
        for what, value in (("work", fit.work), ("seconds", seconds), ("loss", loss)):
            path[what].append(value)
        if loss <= mark or fit.work >= path["budget"]:
            break
    return path


def begun(side: str, case: Case, trial: Trial, given: Given, seed: int) -> continuation.Levels:
    """Return the fit, which begins with so few steps that its last level is the deep network."""
    way = plan(side, case, trial)
    y, labels = given.sample
    net = given.net(case.steps >> (len(way.levels) - 1))
    if side == "ours":
        net, y = net.double(), y.double()
    objective = given.seen + 1e-4 * wp.SmoothInTime() + 1e-4 * wp.SmallWeights(of="head")
    return way.fit(net, objective, y, labels, seed=seed)


def plan(side: str, case: Case, trial: Trial) -> wp.Continuation:
    """Return methods and epochs of the levels: of Adam one."""
    if side == "Adam":
        peak, kind = trial
        epochs = case.budget // 3  # an epoch of gradients is three passes
        # A rate that falls has fallen where the mark is set.
        rate = wp.OneCycle(peak, max(1, round(case.enough * epochs))) if kind == "falling" else peak
        return wp.Continuation([(Stochastic(rate=rate, batch=case.batch, decay=0.0), epochs)])
    levels, part = trial
    method = wp.GaussNewton(tolerance=0.0, products=PRODUCTS, share=SHARE / part)
    plan = [(method, COARSE)] * (levels - 1) + [(method, 10**6)]
    return wp.Continuation(plan, shares=(part,) * levels)


def least(path: Course, enough: float = 1.0) -> float:
    """Return the least loss within a share of the budget."""
    each = zip(path["work"], path["loss"], strict=True)
    return min((v for work, v in each if work <= enough * path["budget"] and v == v), default=inf)


def mark_of(paths: dict[tuple[str, Trial], Course], enough: float) -> float:
    """Return the larger one of the least losses of the two sides, each of its best trial.

    Where one side never had the deep network there is no mark, and nothing reaches it.
    """
    mark = max(min(least(path, enough) for (s, _), path in paths.items() if s == side) for side in SIDES)
    return mark if isfinite(mark) else nan


def chosen_of(paths: dict[tuple[str, Trial], Course], side: str, mark: float) -> Trial:
    """Return the trial with the least work to the mark, or the least loss where none reaches it."""
    own = {trial: path for (s, trial), path in paths.items() if s == side}
    return min(own, key=lambda trial: (spent(own[trial], mark)["work"], least(own[trial])))


def spent(path: Course, mark: float) -> Spent:
    """Return work and seconds to the mark; what never gets there has spent the budget."""
    for work, seconds, loss in zip(path["work"], path["seconds"], path["loss"], strict=True):
        if loss <= mark and work <= path["budget"]:
            return {"reached": True, "work": work, "seconds": seconds}
    whole = path["seconds"][-1] * path["budget"] / path["work"][-1] if path["work"] else nan
    return {"reached": False, "work": path["budget"], "seconds": whole}


def ratios(runs: Sequence[dict[str, Any]], what: str) -> list[float]:
    """Return ours over Adam, a seed each; one where neither reaches the mark."""
    either = [run["ours"]["reached"] or run["Adam"]["reached"] for run in runs]
    return [run["ours"][what] / run["Adam"][what] if e else 1.0 for run, e in zip(runs, either, strict=True)]


def show(found: dict[str, Any]) -> None:
    """Print a row a problem: medians over seeds, ratios with their range."""
    print("| problem | mark | work, in thousands: Adam | ours | ratio | seconds: Adam | ours | ratio |")
    print("|---" * 8 + "|")
    for name, of in found.items():
        cells = [name, f"{of['mark']:.4f}"]
        for what, scale in (("work", 1e-3), ("seconds", 1.0)):
            for side in SIDES:
                cells.append(cell([run[side] for run in of["runs"]], what, scale))
            each = ratios(of["runs"], what)
            cells.append(f"{median(each):.2f} ({min(each):.2f} to {max(each):.2f})")
        print(f"| {' | '.join(cells)} |")
    for name, of in found.items():
        print(f"{name}: " + ", ".join(f"{side} {of['chosen'][side]}" for side in SIDES))
    toys = [name for name in found if name in TOYS]
    won = sum(median(ratios(found[name]["runs"], "work")) < REACH for name in toys)
    print(f"fewer than half the work units on {won} of {len(toys)} toys   to reach: 2 of 3")


def cell(runs: Sequence[Spent], what: str, scale: float) -> str:
    """Return the median, and how many seeds did not reach the mark."""
    missed = sum(not run["reached"] for run in runs)
    lost = f", {missed} of {len(runs)} not there" if missed else ""
    return f"{median(run[what] for run in runs) * scale:.2f}{lost}"


if __name__ == "__main__":
    main()
