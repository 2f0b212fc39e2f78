"""The main job: from a survey and a few picks to horizons everywhere, with a measure of trust."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from wellposed.errors import PickError
from wellposed.project.config import Project, told_project
from wellposed.project.inputs import Say, findings, open_survey, project_picks, write_picks
from wellposed.project.plan import plan
from wellposed.project.run import Run, begun, check_folder
from wellposed.project.track import write_surface
from wellposed.seismic.picks import Picks, different_names
from wellposed.seismic.segy import write_segy
from wellposed.seismic.volume import Source, Volume

if TYPE_CHECKING:
    from wellposed.interpretation.horizons import Prepared
    from wellposed.seismic.horizons import Horizon

QUICK = 3  # sweeps of a surface that only has to be compared with hidden picks


def interpret_project(project: Project, out: str | Path, say: Say = print) -> Run:
    """Scan, plan, adapt, predict the whole survey, judge on held-out picks, report.

    The same call on the same folder continues where it was interrupted.

    Raises:    a UserError before anything is written, where survey, picks, plan or folder are refused
    """
    from wellposed.interpretation.horizons import prepare, solve

    volume = open_survey(project)
    horizons = project_picks(project, volume.survey)
    _enough(horizons)
    check_folder(out, "interpret", project)
    notes = findings(volume, horizons)
    for note in notes:
        say(note)
    expected = plan(project, volume.survey, horizons)
    with begun(out, "interpret", project) as run:
        if run.finished:
            say(f"{out} is finished already: see {run.path('report.html')}")
            return run
        say(f"{volume.survey.describe()}; {len(horizons)} horizons; {expected}")
        use_threads(project.run.threads)
        prepared = prepare(volume)
        for picks in horizons:
            if picks.name not in run.record.setdefault("horizons", {}):
                run.record["horizons"][picks.name] = _judged(prepared, picks)
                run.note()
            if not run.path("surfaces", f"{picks.name}.csv").exists():
                write_surface(run, solve(prepared, picks))
                run.note()
            say(_said(run, picks))
        _report(run, volume, horizons, notes)
        run.note(finished=True, names=[p.name for p in horizons])
    say(f"report: {run.path('report.html')}")
    return run


def interpret(
    volume: Volume,
    horizons: Sequence[Picks],
    out: str | Path,
    *,
    minutes: float | None = None,
    epochs: int | None = None,
    seed: int = 0,
    threads: int | None = None,
    say: Say = print,
) -> Run:
    """The same job for a volume and picks that are in memory: both are kept in the run folder.

    A volume that came from a file is read from there; another one is written to out/survey.segy.

    Raises:    as interpret_project
    """
    _enough(list(horizons))
    out = Path(out)
    check_folder(out, "interpret")
    files = [write_picks(p, out / "picks" / f"{p.name}.csv") for p in different_names(list(horizons))]
    if volume.source is None:
        place = out / "survey.segy"
        source = Source(place if place.exists() else write_segy(place, volume), None, None)
    else:
        source = volume.source
    survey = {"file": source.file, "inline_byte": source.inline_byte, "crossline_byte": source.crossline_byte}
    budget = {"minutes": minutes, "epochs": epochs, "seed": seed, "threads": threads}
    asked = {"survey": survey, "horizons": [{"picks": f} for f in files], "run": budget}
    return interpret_project(told_project(asked), out, say)


def use_threads(threads: int) -> None:
    """Tell the compiled code and torch how many threads to use."""
    import numba

    numba.set_num_threads(min(threads, numba.config.NUMBA_NUM_THREADS))


def _enough(horizons: list[Picks]) -> None:
    for picks in horizons:
        if len(picks) < 2:
            raise PickError(
                f"horizon {picks.name} has one pick only",
                given="1 pick",
                expected="at least two, so that one can be hidden to judge the result",
                way_out="pick it on another trace, or use `wellposed track`, which takes a single pick",
            )


def _judged(prepared: Prepared, picks: Picks) -> dict[str, Any]:
    """Phase of the picks, and errors at hidden picks beside those of the interpolation."""
    from wellposed.interpretation.hold_out import folds, held_out
    from wellposed.interpretation.horizons import solve
    from wellposed.project.evaluate import interpolated
    from wellposed.seismic.phase import phase_of_picks
    from wellposed.seismic.tracker import seeds

    at = seeds(picks, prepared.volume.survey)
    phase = phase_of_picks(prepared.conditioned.strong, at.i, at.x, at.sample)
    parts = folds(picks)
    ours = held_out(picks, lambda p: solve(prepared, p, sweeps=QUICK), parts)
    rival = held_out(picks, lambda p: interpolated(p, prepared.volume), parts)
    return {
        "picks": len(picks),
        "phase": str(phase),
        "held_out": {"ours": _mean(ours), "interpolation": _mean(rival), "folds": len(parts)},
    }


def _mean(errors: np.ndarray[Any, Any]) -> float | None:
    return round(float(errors.mean()), 4) if len(errors) else None


def _said(run: Run, picks: Picks) -> str:
    told = run.record["horizons"][picks.name]
    held = told["held_out"]
    return (
        f"{picks.name}: {told['phase']}; hidden picks missed by {held['ours']} ms "
        f"(interpolation {held['interpolation']} ms); {run.seconds:.0f} s so far"
    )


def _report(run: Run, volume: Volume, horizons: list[Picks], notes: list[str]) -> None:
    from wellposed.project.report import write_report
    from wellposed.seismic.horizons import read_horizon_csv

    surfaces: list[tuple[Picks, Horizon]] = [
        (p, read_horizon_csv(run.path("surfaces", f"{p.name}.csv"), volume.survey)) for p in horizons
    ]
    write_report(run, volume, surfaces, notes)
