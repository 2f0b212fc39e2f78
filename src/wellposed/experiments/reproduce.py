"""Run an experiment, judge it by its rule, and write down what was seen."""

from __future__ import annotations

import csv
import json
import os
import platform
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import wellposed
from wellposed.atomic import plain, written_whole
from wellposed.errors import ConfigError
from wellposed.experiments.judge import Expectations, Verdict, expectations
from wellposed.experiments.pictures import style
from wellposed.experiments.setting import Outcome, Rows, Setting

FRAMES = 12  # a second
MOVIE_BYTES = 1_000_000


def reproduce(
    name: str,
    out: str | Path,
    *,
    seeds: int | None = None,
    quick: bool = False,
    deep: bool = False,
    data: str | Path | None = None,
    say: Callable[[str], None] = lambda text: None,
) -> Verdict:
    """Run an experiment and return its verdict.

    Writes verdict.json, tables as CSV, pictures as PNG and movies as GIF into `out`. What was done before an
    interruption is not done again.

    Raises:    StructureError for a name that is not known; ConfigError for a flag without effect; RunError
               for a folder with a run of another size, and where an experiment reads data and has none
    """
    expected = expectations(name)
    count = 1 if quick else seeds or expected.seeds
    folder = None if data is None else Path(data)
    experiment = import_module(f"wellposed.experiments.{name.replace('-', '_')}")
    setting = Setting(Path(out), tuple(range(count)), quick, deep, folder, say)
    _check_flags(name, expected, setting, seeds)
    minutes = expected.deep if deep and expected.deep else expected.minutes * count
    if not quick:
        beyond = f", more than its budget of {expected.budget:g}" if minutes > expected.budget else ""
        say(
            f"{name}: about {minutes:.0f} minutes on two cores{beyond}"
            if minutes >= 1
            else f"{name}: less than a minute"
        )
    began = time.perf_counter()
    with style():
        outcome: Outcome = experiment.run(setting)
        verdict = expected.judge(outcome.measures)
        _write(setting.out, outcome)
    facts = _facts(name, expected, setting, time.perf_counter() - began)
    _json(setting.out / "verdict.json", {**facts, **_said(verdict, outcome)})
    return verdict


def screen(name: str, verdict: Verdict, quick: bool = False) -> str:
    """Return what speaks for the claim, what against it, and the verdict on the last line."""
    lines = [
        f"{'yes' if check.holds else 'no':<4} {check}"
        for check in verdict.checks
        if check.speaks_for == "reproduced"
    ]
    against = [f"but  {c}" for c in verdict.checks if c.speaks_for == "refuted" and c.holds]
    small = ["(--quick: small made data and a few steps, to try the command; the word below is no result)"]
    return "\n".join([*lines, *against, *(small if quick else []), f"{name}: {verdict}"])


def _check_flags(name: str, expected: Expectations, setting: Setting, seeds: int | None) -> None:
    """Raise ConfigError for a flag that this experiment would pass over."""
    no_data = "makes its own data for --quick" if expected.data else "reads no data"
    passed_over = (
        ("--data", setting.data is not None and (setting.quick or not expected.data), f"{name} {no_data}"),
        ("--deep", setting.deep and not expected.deep, f"{name} has no long form"),
        ("--seeds", setting.quick and (seeds or 1) > 1, "a quick run has one"),
    )
    for flag, so, why in passed_over:
        if so:
            raise ConfigError(
                "this flag would change nothing",
                given=f"{flag}: {why}",
                expected=f"wellposed reproduce {name} without it",
                way_out=f"leave {flag} away",
            )


def _said(verdict: Verdict, outcome: Outcome) -> dict[str, Any]:
    """Return the verdict, each condition, and every number."""
    checks = [
        {
            "measure": check.condition.measure,
            "measured": check.measured,
            "expected": str(check.condition),
            "holds": check.holds,
            "speaks_for": check.speaks_for,
            "source": check.condition.source,
        }
        for check in verdict.checks
    ]
    return {"verdict": verdict.word, "limit": verdict.limit, "checks": checks, "measures": outcome.measures}


def _facts(name: str, expected: Expectations, setting: Setting, seconds: float) -> dict[str, Any]:
    """Return what was run, and on what; seconds of this call, without what was there before."""
    import torch

    flags = [f"--seeds {len(setting.seeds)}"] + ["--quick"] * setting.quick + ["--deep"] * setting.deep
    flags += ["--data FOLDER"] * (setting.data is not None)
    return {
        "experiment": name,
        "claim": expected.claim,
        "source": expected.source,
        "quick": setting.quick,
        "command": f"wellposed reproduce {name} {' '.join(flags)}",
        "seconds": round(seconds, 1),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, {torch.get_num_threads()} threads",
        "versions": {"wellposed": wellposed.__version__, "torch": torch.__version__.split("+")[0]},
    }


def _write(out: Path, outcome: Outcome) -> None:
    """Write tables, pictures and movies, each whole or not at all."""
    import matplotlib.pyplot as plt

    for name, rows in outcome.tables.items():
        _csv(out / f"{name}.csv", rows)
    for name, figure in outcome.pictures.items():
        with written_whole(out / f"{name}.png") as partial:
            figure.savefig(partial, format="png")
        plt.close(figure)
    for name, movie in outcome.movies.items():
        _gif(out / f"{name}.gif", movie)


def _csv(path: Path, rows: Rows) -> None:
    with written_whole(path) as partial, partial.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(
            {key: f"{v:.6g}" if isinstance(v, float) else v for key, v in row.items()} for row in rows
        )


def _gif(path: Path, movie: Any) -> None:
    import matplotlib.pyplot as plt
    from matplotlib.animation import PillowWriter

    with written_whole(path) as partial:
        named = partial.with_suffix(".gif")  # the writer goes by the ending
        movie.save(named, writer=PillowWriter(fps=FRAMES), dpi=72)
        if named.stat().st_size > MOVIE_BYTES:
            raise ValueError(f"{path.name} has {named.stat().st_size} bytes: fewer frames, or smaller")
        os.replace(named, partial)
    plt.close(movie._fig)


def _json(path: Path, value: Any) -> None:
    with written_whole(path) as partial:
        partial.write_text(json.dumps(plain(value), indent=1, allow_nan=False) + "\n")
