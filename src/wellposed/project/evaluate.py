"""A run against a truth: its surfaces, the interpolation of the same picks, and the classical tracker."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from wellposed.errors import RunError
from wellposed.project.inputs import open_survey, project_picks
from wellposed.project.run import Run, open_run
from wellposed.seismic.picks import Picks, read_picks
from wellposed.seismic.scores import rank_correlation, score

if TYPE_CHECKING:
    from wellposed.seismic.condition import Conditioned
    from wellposed.seismic.horizons import Horizon
    from wellposed.seismic.survey import Survey
    from wellposed.seismic.volume import Volume

Floats = NDArray[np.float64]
Result = dict[str, dict[str, dict[str, Any]]]


def evaluate_run(
    folder: str | Path, truths: Sequence[str], *, unit: str | None = None, negative_down: bool = False
) -> Result:
    """Scores by horizon: ours, interpolation, tracker; the traces given as picks are left out.

    Each of `truths` is a file, or NAME=file; `unit` and `negative_down` say what its times are, as in
    `read_picks`. The std of the interpolation only knows the distance to the nearest pick: the yardstick
    for ours. `mae_common_ms` is over the traces on which all three have a time.

    Raises:    RunError where the folder is no finished run, its survey or picks have changed since, or a
               truth's horizon is not clear; FileError, PickError where a truth cannot be read
    """
    from wellposed.seismic.condition import condition

    run = open_run(folder)
    run.require_finished()
    volume = open_survey(run.project)
    picks = {p.name: p for p in project_picks(run.project, volume.survey)}
    run.require_inputs()
    read = partial(read_picks, survey=volume.survey, unit=unit, negative_down=negative_down)
    found = [pair for truth in truths for pair in _truths(truth, run, read)]
    _once([name for name, _ in found])
    prepared = condition(volume.read(), volume.survey.live)
    return {name: _scores(run, volume, prepared, picks[name], truth) for name, truth in found}


def pooled(result: Result) -> dict[str, str]:
    """One line for each method: means over the horizons, each weighted by its traces."""
    out = {}
    for method in ("ours", "interpolation", "tracker"):
        scores = [horizon[method] for horizon in result.values()]
        n = np.array([s["n"] for s in scores], float)
        known = np.array([s["n"] - s["missed"] for s in scores], float)
        mae = sum(s["mae_ms"] * k for s, k in zip(scores, known, strict=True) if k) / known.sum()
        within, cover = (
            sum(s[key] * w for s, w in zip(scores, weights, strict=True) if w) / weights.sum()
            for key, weights in (("within_8ms", n), ("cover_1std", known))
        )
        out[method] = (
            f"mae {mae:.2f} ms, within 8 ms {100 * within:.1f} %, within one std {100 * cover:.0f} %, "
            f"missed {100 * (1 - known.sum() / n.sum()):.1f} %"
        )
    return out


def interpolated(picks: Picks, survey: Survey) -> Horizon:
    """Linear interpolation of picks, with a std that grows with the distance to the nearest one."""
    from wellposed.seismic.horizons import Horizon
    from wellposed.seismic.interpolate import distance_to_picks, interpolate

    i, j = picks.at(survey)
    shape = (survey.shape[0], survey.shape[1])
    twt = interpolate(i, j, picks.twt_ms, shape)
    std = distance_std(distance_to_picks(i, j, shape), float(np.median(picks.std_ms)), survey.step_ms)
    normal = 1.2816 * std
    return Horizon(picks.name, survey, twt, std, twt - normal, twt + normal, survey.exists.astype(np.float64))


def distance_std(distance: Floats, std_ms: float, step_ms: float) -> Floats:
    """sqrt(std^2 + (0.4 sqrt(d) step)^2), d in traces: errors of interpolation grow like a random walk."""
    return np.sqrt(std_ms**2 + 0.16 * distance * step_ms**2)


def _truths(given: str, run: Run, read: Callable[[str], list[Picks]]) -> list[tuple[str, Picks]]:
    """Pairs of a horizon of the run and its truth that one argument names."""
    names = list(run.record["names"])
    name, _, file = given.rpartition("=")
    if Path(given).exists():
        name, file = "", given
    horizons = read(file)
    if name:
        _known(name, names, given)
        return [(name, _pooled(horizons, name))]
    if len(names) == 1:
        return [(names[0], _pooled([p for p in horizons if p.name in names] or horizons, names[0]))]
    matched = [(p.name, p) for p in horizons if p.name in names]
    if not matched:
        matched = [(n, p) for p in horizons for n in names if len(horizons) == 1 and _speaks_of(p.name, n)]
    if len({n for n, _ in matched}) != len(matched) or not matched or (len(horizons) == 1 < len(matched)):
        raise RunError(
            "it is not clear whose truth this is",
            given=f"{given}, with the horizon {', '.join(p.name for p in horizons)}",
            expected=f"a horizon of the run: {', '.join(names)}",
            way_out=f"say which: --truth {names[0]}={Path(file).name}",
        )
    return matched


def _once(names: list[str]) -> None:
    for name in names:
        if names.count(name) > 1:
            raise RunError(
                f"horizon {name} has two truths",
                given=f"--truth for {', '.join(names)}",
                expected="one truth for each horizon",
                way_out="evaluate them one after the other, or put them into one file",
            )


def _speaks_of(file: str, name: str) -> bool:
    """Whether the file's name holds the horizon's name as a word."""
    return name.casefold() in file.casefold().replace("-", "_").split("_")


def _known(name: str, names: list[str], given: str) -> None:
    if name not in names:
        raise RunError(
            f"the run has no horizon {name}",
            given=f"--truth {given}",
            expected=f"one of {', '.join(names)}",
            way_out="name one of these",
        )


def _pooled(horizons: list[Picks], name: str) -> Picks:
    if len(horizons) == 1:
        return horizons[0]
    raise RunError(
        f"the truth of {name} holds several horizons",
        given=", ".join(p.name for p in horizons),
        expected="one horizon, or one of the run's name",
        way_out="give a file with that horizon alone",
    )


def _scores(
    run: Run, volume: Volume, prepared: Conditioned, picks: Picks, truth: Picks
) -> dict[str, dict[str, Any]]:
    from wellposed.seismic.horizons import read_horizon_csv
    from wellposed.seismic.interpolate import distance_to_picks
    from wellposed.seismic.tracker import track

    survey = volume.survey
    given = np.zeros(survey.shape[:2], bool)
    given[picks.at(survey)] = True
    i, j = truth.at(survey)
    keep = ~given[i, j]
    i, j, twt = i[keep], j[keep], truth.twt_ms[keep]
    if not len(twt):
        raise RunError(
            f"nothing is left of the truth of {picks.name}",
            given=f"{len(truth)} traces, all of them given as picks",
            expected="traces that were not picked",
            way_out="give a truth on other traces",
        )
    rivals = {
        "ours": read_horizon_csv(run.path("surfaces", f"{picks.name}.csv"), survey),
        "interpolation": interpolated(picks, survey),
        "tracker": track(volume, picks, prepared=prepared),
    }
    distance = distance_to_picks(*picks.at(survey), (survey.shape[0], survey.shape[1]))[i, j]
    out = {}
    common = np.logical_and.reduce([np.isfinite(h.twt_ms[i, j]) for h in rivals.values()])
    for name, h in rivals.items():
        ours, std, low, high = (g[i, j] for g in (h.twt_ms, h.twt_std_ms, h.twt_p10_ms, h.twt_p90_ms))
        found = score(ours, std, low, high, twt, survey.step_ms).as_dict()
        error = np.abs(ours - twt)
        there = np.isfinite(error)
        rank = rank_correlation(distance[there], error[there])
        out[name] = found | {
            "rank_distance": round(rank, 4) if np.isfinite(rank) else None,
            "mae_common_ms": round(float(error[common].mean()), 4) if common.any() else None,
        }
    return out


def screen(result: Result) -> str:
    """One line a method, the names of the columns on top."""
    lines = []
    for name, methods in result.items():
        columns = list(next(iter(methods.values())))
        wide = {c: max(len(c), 7) + 2 for c in columns}
        lines.append(f"{name:<14}" + "".join(f"{c:>{wide[c]}}" for c in columns))
        for method, values in methods.items():
            lines.append(f"{method:<14}" + "".join(f"{_cell(values[c]):>{wide[c]}}" for c in columns))
    return "\n".join(lines)


def _cell(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}" if isinstance(value, float) else str(value)
