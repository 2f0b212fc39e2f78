"""The main job: from a survey and a few picks to horizons everywhere, with a measure of trust."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from wellposed.atomic import written_whole
from wellposed.errors import ConfigError, PickError, RunError
from wellposed.interpretation.terms import Terms
from wellposed.project.config import Project, told_project
from wellposed.project.inputs import Say, findings, open_survey, picks_text, project_picks, write_picks
from wellposed.project.plan import plan
from wellposed.project.run import Run, begun, check_folder
from wellposed.project.threads import use_threads
from wellposed.project.track import write_surface
from wellposed.seismic.picks import Picks, different_names, safe_name
from wellposed.seismic.segy import write_segy
from wellposed.seismic.volume import Source, Volume, open_volume

if TYPE_CHECKING:
    from wellposed.interpretation.adapt import Adaptation
    from wellposed.interpretation.horizons import Prepared
    from wellposed.seismic.horizons import Horizon

WORSE = 1.1  # times the interpolation's typical error at hidden picks: beyond it the user is warned
CACHE = "cache"  # what an interrupted run need not compute again; gone when it is finished


def interpret_project(project: Project, out: str | Path, say: Say = print) -> Run:
    """Scan, plan, adapt, predict the whole survey, judge on held-out picks, report.

    The same call on the same folder continues where it was interrupted.

    Raises:    a UserError before anything is written, where survey, picks, plan or folder are refused
    """
    volume = open_survey(project)
    return _interpret(project, volume, project_picks(project, volume.survey), out, say)


def _interpret(
    project: Project,
    volume: Volume,
    horizons: list[Picks],
    out: str | Path,
    say: Say,
    kept: Callable[[], None] = lambda: None,
) -> Run:
    """The job on what is open; `kept` writes what a new run has to keep of it."""
    _enough(horizons)
    check_folder(out, "interpret", project)
    notes = findings(volume, horizons)
    for note in notes:
        say(note)
    expected = plan(project, volume.survey, horizons)
    with begun(out, "interpret", project, kept) as run:
        if run.finished:
            say(f"{out} is finished already: see {run.path('report.html')}")
            return run
        say(f"{volume.survey.describe()}; horizons: {len(horizons)}; {expected}")
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
    use_threads(run.project.run.threads, networks=True)
    learned = shipped()
    prepared, features = _prepared(run, volume, say)
    told = run.record.setdefault("horizons", {})
    for n, picks in enumerate(todo):
        deadline, judged = Deadline(run, len(todo) - n - 1), run.record.setdefault("judged", {})
        parts = folds(picks, volume.survey, run.project.run.seed)
        # The features are opened anew for each horizon: what was read of them leaves memory with them.
        opened = None if features is None else np.load(features, mmap_mode="r")
        seen = replace(prepared, features=opened)
        described = describe(seen, picks, learned, () if picks.name in told else parts)
        del opened, seen
        if picks.name not in told:

            def keep(records: list[dict[str, Any]], name: str = picks.name) -> None:
                run.record["judged"][name] = list(records)
                run.note()

            done = judged.get(picks.name, [])
            adaptation = adapted(prepared, described, picks, learned, deadline, done, keep)
            told[picks.name] = _judged(prepared, picks, adaptation, parts)
            del judged[picks.name]
            run.note()
        described = described.of_all_picks()  # the rest may go
        terms, width = Terms(**told[picks.name]["terms"]), told[picks.name]["width"]
        sure = replace(learned, trust=learned.trust.times(width))
        write_surface(run, solve(prepared, described, picks, sure, terms))
        run.note()
        say(_said(run, picks))


class Deadline:
    """What is left of a run's time for the adaptation of one horizon, or how many epochs it gets.

    The fixed steps of the horizons that are `left` come first, as long as those of this one each; what
    remains is shared evenly, and a share that was given does not grow.
    """

    def __init__(self, run: Run, left: int) -> None:
        self.run, self.left = run, left
        self.began = run.seconds
        self.end: float | None = None

    @property
    def epochs(self) -> int | None:
        """Epochs told, or None where the time decides."""
        epochs = self.run.project.run.epochs
        return None if epochs == "auto" else epochs

    def seconds(self, fixed: float) -> float:
        """Seconds that this horizon may spend beside its surface, which takes `fixed`."""
        now = self.run.seconds
        if self.end is None:
            others = self.left * (now - self.began + fixed)
            spare = 60 * self.run.project.run.minutes - now - fixed - others
            self.end = now + spare / (self.left + 1)
        return self.end - now


def _prepared(run: Run, volume: Volume, say: Say) -> tuple[Prepared, Path | None]:
    """What depends on the survey only, and the file of its features, which is made where it is not there."""
    from wellposed.interpretation.features import network_features
    from wellposed.interpretation.horizons import Prepared
    from wellposed.interpretation.shipped import shipped
    from wellposed.seismic.condition import condition

    conditioned = condition(volume.read(), volume.survey.live)
    net = shipped().net
    prepared = Prepared(volume.survey, conditioned, None)
    if net is None:
        return prepared, None
    file = run.path(CACHE, "features.npy")
    if not file.exists():
        features = network_features(net, conditioned, say)
        with written_whole(file) as partial, partial.open("wb") as f:
            np.save(f, features)
        run.note()
    return prepared, file


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

    Raises:    as interpret_project; ConfigError where volume or horizons are names of files; RunError where
               the folder holds a run of another volume or of other picks
    """
    if not isinstance(volume, Volume) or not all(isinstance(p, Picks) for p in horizons):
        raise ConfigError(
            "interpret takes what is open already",
            given=f"{type(volume).__name__} and {type(horizons).__name__}",
            expected="a Volume and a list of Picks",
            way_out="use open_volume(file) and read_picks(file, survey=volume.survey)",
        )
    for picks in horizons:
        _check_numbers(picks)
    out = Path(out).resolve()
    named = different_names([replace(p, name=safe_name(p.name)) for p in horizons])
    files = {out / "picks" / f"{p.name}.csv": p for p in named}
    source = volume.source or Source(out / "survey.segy", None, None)
    survey = {"file": source.file, "inline_byte": source.inline_byte, "crossline_byte": source.crossline_byte}
    budget = {"minutes": minutes, "epochs": epochs, "seed": seed, "threads": threads}
    project = told_project({"survey": survey, "horizons": [{"picks": f} for f in files], "run": budget})

    def kept() -> None:
        for file, picks in files.items():
            write_picks(picks, file)
        if volume.source is None:
            write_segy(source.file, volume)

    if check_folder(out, "interpret", project):
        _same(out, volume, files)
    return _interpret(project, volume, named, out, say, kept)


def _check_numbers(picks: Picks) -> None:
    if not (np.isfinite(picks.twt_ms).all() and np.isfinite(picks.std_ms).all() and (picks.std_ms > 0).all()):
        raise PickError(
            f"picks of {picks.name} hold times or stds that are no numbers, or a std of zero",
            given=f"{len(picks)} picks",
            expected="a time and a positive std for each",
            way_out="leave those picks out with picks.take",
        )


def _same(out: Path, volume: Volume, files: dict[Path, Picks]) -> None:
    """Raise RunError where a run's own files hold other picks, or another volume, than those in memory."""
    changed = [f.name for f, picks in files.items() if f.read_text("utf-8") != picks_text(picks)]
    if volume.source is None and not np.array_equal(open_volume(out / "survey.segy").read(), volume.read()):
        changed.append("survey.segy")
    if changed:
        raise RunError(
            f"{out} holds a run of other data",
            given=f"what differs from its {', '.join(changed)}",
            expected="the same volume and picks, to continue it",
            way_out="choose another out, or remove the folder",
        )


def _enough(horizons: list[Picks]) -> None:
    for picks in horizons:
        if len(picks) < 2:
            raise PickError(
                f"horizon {picks.name} has one pick only",
                given="1 pick",
                expected="at least two, so that one can be hidden to judge the result",
                way_out="pick it on another trace, or use `wellposed track`, which takes a single pick",
            )


def _judged(
    prepared: Prepared, picks: Picks, adaptation: Adaptation, parts: list[NDArray[np.int64]]
) -> dict[str, Any]:
    """Phase of the picks, what was adapted, and errors at hidden picks beside those of the interpolation."""
    from wellposed.interpretation.hold_out import held_out
    from wellposed.project.evaluate import interpolated
    from wellposed.seismic.phase import phase_of_picks
    from wellposed.seismic.tracker import seeds

    at = seeds(picks, prepared.survey)
    phase = phase_of_picks(prepared.conditioned.strong, at.i, at.x, at.sample)
    rival = held_out(picks, lambda p, n: interpolated(p, prepared.survey), parts)
    return {
        "picks": len(picks),
        "phase": str(phase),
        "notes": _warnings(adaptation.typical, rival.typical),
        "held_out": {"ours": adaptation.error, "interpolation": rival.mean, "folds": len(parts)},
        "typical": {"ours": adaptation.typical, "interpolation": rival.typical},
        "terms": asdict(adaptation.terms),
        "width": adaptation.width,
        "epochs": adaptation.records,
        "adaptation": adaptation.story,
    }


def _warnings(ours: float | None, interpolation: float | None) -> list[str]:
    if ours is None or interpolation is None or ours <= WORSE * interpolation:
        return []
    return [
        f"hidden picks lie nearer to their interpolation (typically {interpolation:.1f} ms) than to this "
        f"surface ({ours:.1f} ms): it may follow another reflector; more picks, or picks on the reflector, "
        "would help"
    ]


def _said(run: Run, picks: Picks) -> str:
    told = run.record["horizons"][picks.name]
    held, typical = told["held_out"], told["typical"]
    ours, rival = (f"{held[k]:.2f} ms, typically {typical[k]:.2f}" for k in ("ours", "interpolation"))
    lines = [
        f"{picks.name}: {told['phase']}; hidden picks missed by {ours} (interpolation {rival}); "
        f"{run.seconds:.0f} s so far"
    ]
    return "\n".join([*lines, *(f"{picks.name}: {note}" for note in told["notes"])])


def _report(run: Run, volume: Volume, horizons: list[Picks], notes: list[str]) -> None:
    from wellposed.project.report import write_report
    from wellposed.seismic.horizons import read_horizon_csv

    surfaces: list[tuple[Picks, Horizon]] = [
        (p, read_horizon_csv(run.path("surfaces", f"{p.name}.csv"), volume.survey)) for p in horizons
    ]
    write_report(run, volume, surfaces, notes)
