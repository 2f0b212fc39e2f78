"""The main job on a generated earth: written as SEG-Y and picks, interpreted, judged by its truth."""

from __future__ import annotations

import argparse
import shlex
import shutil
import sys
from pathlib import Path

from wellposed.cli import run

SHAPE = (48, 96, 192)
SEED = 1
INLINES = 2
EVERY = 8  # traces from pick to pick on a picked inline
MADE = {"survey.segy", "picks", "truth", "run"}
MINUTES = "2"  # of the job: what is left of it goes into adaptation


def main(arguments: list[str] | None = None) -> int:
    """Make the earth, run the command a user would, say where the report lies and how good it is."""
    from wellposed.project.evaluate import evaluate_run, pooled, screen

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("demo"))
    out: Path = parser.parse_args(arguments).out
    if out.exists() and {p.name for p in out.iterdir()} - MADE:
        print(
            f"error: {out} holds something that the demo did not make: choose another --out", file=sys.stderr
        )
        return 2
    shutil.rmtree(out, ignore_errors=True)
    survey, picks, truths = make_files(out)
    command = ["interpret", str(survey), *map(str, picks), "--out", str(out / "run"), "--minutes", MINUTES]
    print(f"$ wellposed {shlex.join(command)}", file=sys.stderr)
    status = run(command)
    if status:
        return status
    result = evaluate_run(out / "run", [str(t) for t in truths])
    print(screen(result))
    print(f"report: {out / 'run' / 'report.html'}")
    for method, line in pooled(result).items():
        print(f"{method}: {line}")
    return 0


def make_files(out: Path) -> tuple[Path, list[Path], list[Path]]:
    """The earth as a user would have it: SEG-Y, and picks and truth for each horizon."""
    from wellposed.project.inputs import write_picks
    from wellposed.seismic.segy import write_segy
    from wellposed.seismic.synthetic import make_earth, picks_on_lines

    earth = make_earth(SHAPE, difficulty="middle", seed=SEED)
    survey = write_segy(out / "survey.segy", earth.volume)
    picks, truths = [], []
    for name in earth.horizons:
        some = picks_on_lines(earth, name, inlines=INLINES, every=EVERY, seed=SEED)
        picks.append(write_picks(some, out / "picks" / f"{name}.csv"))
        every = picks_on_lines(earth, name, inlines=SHAPE[0], every=1, noise_ms=0.0, seed=SEED)
        truths.append(write_picks(every, out / "truth" / f"{name}.csv"))
    return survey, picks, truths


if __name__ == "__main__":
    sys.exit(main())
