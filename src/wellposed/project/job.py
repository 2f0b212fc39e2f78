"""The main job: from a survey and a few picks to horizons everywhere, with a measure of trust."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from wellposed.atomic import written_whole
from wellposed.errors import PickError
from wellposed.interpretation.terms import Terms
from wellposed.project.config import Project, told_project
from wellposed.project.inputs import Say, findings, open_survey, project_picks, write_picks
from wellposed.project.plan import plan
from wellposed.project.run import Run, begun, check_folder
from wellposed.project.track import write_surface
from wellposed.seismic.picks import Picks, different_names
from wellposed.seismic.segy import write_segy
from wellposed.seismic.volume import Source, Volume

if TYPE_CHECKING:
    from wellposed.interpretation.adapt import Adaptation
    from wellposed.interpretation.horizons import Prepared
    from wellposed.seismic.horizons import Horizon

CACHE = "cache"  # what an interrupted run need not compute again; gone when it is finished


def interpret_project(project: Project, out: str | Path, say: Say = print) -> Run:
    """Scan, plan, adapt, predict the whole survey, judge on held-out picks, report.

    The same call on the same folder continues where it was interrupted.

    Raises:    a UserError before anything is written, where survey, picks, plan or folder are refused
    """
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
        _predict(run, volume, horizons, say)
        _report(run, volume, horizons, notes)
        shutil.rmtree(run.path(CACHE), ignore_errors=True)
        run.note(finished=True, names=[p.name for p in horizons])
    say(f"report: {run.path('report.html')}")
    return run


def _predict(run: Run, volume: Volume, horizons: list[Picks], say: Say) -> None:
    """Every horizon that is not finished yet."""
    from wellposed.interpretation.adapt import adapted
    from wellposed.interpretation.hold_out import folds
    from wellposed.interpretation.horizons import describe, solve
    from wellposed.interpretation.shipped import shipped

    todo = [p for p in horizons if not run.path("surfaces", f"{p.name}.csv").exists()]
    if not todo:
        return
    use_threads(run.project.run.threads)
    learned = shipped()
    prepared = _prepared(run, volume, say)
    told = run.record.setdefault("horizons", {})
    for n, picks in enumerate(todo):
        described = describe(prepared, picks, learned, () if picks.name in told else folds(picks))
        if picks.name not in told:
            deadline, judged = Deadline(run, n, len(todo)), run.record.setdefault("judged", {})

            def keep(records: list[dict[str, Any]], name: str = picks.name) -> None:
                run.record["judged"][name] = list(records)
                run.note()

            done = judged.get(picks.name, [])
            adaptation = adapted(prepared, described, picks, learned, deadline, done, keep)
            told[picks.name] = _judged(prepared, picks, adaptation)
            del judged[picks.name]
            run.note()
        described = replace(described, says=described.says[:1].copy())  # hidden picks are judged
        terms, width = Terms(**told[picks.name]["terms"]), told[picks.name]["width"]
        sure = replace(learned, trust=learned.trust.times(width))
        write_surface(run, solve(prepared, described, picks, sure, terms))
        run.note()
        say(_said(run, picks))


@dataclass(frozen=True)
class Deadline:
    """What is left of a run's time for the adaptation of one horizon, or how many epochs it gets.

    The surfaces still to be made, one for each horizon left, come first: `fixed` seconds each.
    """

    run: Run
    done: int
    horizons: int

    @property
    def epochs(self) -> int | None:
        """Epochs told, or None where the time decides."""
        epochs = self.run.project.run.epochs
        return None if epochs == "auto" else epochs

    def seconds(self, fixed: float) -> float:
        """Seconds that this horizon may spend."""
        left = self.horizons - self.done
        return (60 * self.run.project.run.minutes - self.run.seconds) / left - fixed


def _prepared(run: Run, volume: Volume, say: Say) -> Prepared:
    """What depends on the survey only; features that are finished are read again."""
    from wellposed.interpretation.features import network_features
    from wellposed.interpretation.horizons import Prepared
    from wellposed.interpretation.shipped import shipped
    from wellposed.seismic.condition import condition

    conditioned = condition(volume.read(), volume.survey.live)
    net = shipped().net
    if net is None:
        return Prepared(volume.survey, conditioned, None)
    file = run.path(CACHE, "features.npy")
    if not file.exists():
        features = network_features(net, conditioned, say)
        with written_whole(file) as partial, partial.open("wb") as f:
            np.save(f, features)
        run.note()
    return Prepared(volume.survey, conditioned, np.load(file, mmap_mode="r"))


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
    import torch

    numba.set_num_threads(min(threads, numba.config.NUMBA_NUM_THREADS))
    torch.set_num_threads(threads)


def _enough(horizons: list[Picks]) -> None:
    for picks in horizons:
        if len(picks) < 2:
            raise PickError(
                f"horizon {picks.name} has one pick only",
                given="1 pick",
                expected="at least two, so that one can be hidden to judge the result",
                way_out="pick it on another trace, or use `wellposed track`, which takes a single pick",
            )


def _judged(prepared: Prepared, picks: Picks, adaptation: Adaptation) -> dict[str, Any]:
    """Phase of the picks, what was adapted, and errors at hidden picks beside those of the interpolation."""
    from wellposed.interpretation.hold_out import folds, held_out
    from wellposed.project.evaluate import interpolated
    from wellposed.seismic.phase import phase_of_picks
    from wellposed.seismic.tracker import seeds

    at = seeds(picks, prepared.survey)
    phase = phase_of_picks(prepared.conditioned.strong, at.i, at.x, at.sample)
    parts = folds(picks)
    rival = held_out(picks, lambda p, n: interpolated(p, prepared.survey), parts)
    return {
        "picks": len(picks),
        "phase": str(phase),
        "held_out": {"ours": adaptation.error, "interpolation": rival.mean, "folds": len(parts)},
        "terms": asdict(adaptation.terms),
        "width": adaptation.width,
        "epochs": adaptation.records,
        "adaptation": adaptation.story,
    }


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
