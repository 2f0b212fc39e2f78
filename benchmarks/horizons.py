"""How good the job is: real lines, a real volume, generated earths; ours beside interpolation and tracker.

    python benchmarks/horizons.py lines DATA     Penobscot crossline 1155, F3 inline 110 (folders of DATA)
    python benchmarks/horizons.py parihaka DATA  the window of Parihaka, three horizons in a run
    python benchmarks/horizons.py earths [--count 5] [--shape 64 128 256] [--rival FILE]
    python benchmarks/horizons.py ablation [DATA] [--count 7] [--shape 32 64 160]  which term does what
    python benchmarks/horizons.py show --json FILE      the table of records measured before

Prints a table in Markdown, MAE over the traces on which every method has a time; --json FILE keeps the
numbers, and what it holds of earths is not measured again.
A rival tracker is a Python file with prepare(amplitude) and track(prepared, picks, step_ms) -> twt_ms, where
picks are rows of inline index, crossline index, twt_ms.
"""

from __future__ import annotations

import argparse
import json
import resource
import runpy
import sys
import tempfile
import time
from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

LINES = [
    ("Penobscot, 8 picks", "penobscot_line/penobscot_xl1155.sgy", "picks_8", "horizon_B_to_inline_1300"),
    ("Penobscot, 3 picks", "penobscot_line/penobscot_xl1155.sgy", "picks_3", "horizon_B_to_inline_1300"),
    ("F3, 5 picks", "f3_lines/f3_il110_il111.sgy", "picks_il110_5", "horizon_il110"),
    ("F3, every 60th", "f3_lines/f3_il110_il111.sgy", "picks_il110_every60", "horizon_il110"),
    ("F3, to crossline 500", "f3_lines/f3_il110_il111.sgy", "picks_il110_to_500", "horizon_il110"),
]
CREDIT = {
    "f3_": "Amplitudes: F3, dGB open seismic repository / TNO; interpretation: Zenodo 1471548",
    "penobscot": "Penobscot 3D, dGB open seismic repository / Nova Scotia Department of Energy",
}
METHODS = ("interpolation", "tracker", "ours")
NO_WAVEFORM = ("unconformity", "chaos_top", "dome_top")  # the other horizons of an earth are reflectors


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=["lines", "parihaka", "earths", "ablation", "show"])
    parser.add_argument("data", nargs="?", type=Path, help="folder with the real data")
    parser.add_argument("--count", type=int, default=5, help="earths of each difficulty")
    parser.add_argument("--first", type=int, default=0, help="seed of the first earth")
    parser.add_argument("--shape", type=int, nargs=3, default=(64, 128, 256))
    parser.add_argument("--epochs", type=int, default=0, help="of the adaptation on each horizon")
    parser.add_argument("--seed", type=int, default=0, help="of the job on Parihaka")
    parser.add_argument("--rival", type=Path, help="another tracker for the same earths")
    parser.add_argument("--pictures", type=Path, help="folder for a picture of each line")
    parser.add_argument("--weights", type=Path, help="folder of other weights than the shipped ones")
    parser.add_argument("--kinds", nargs="*", default=["two_inlines", "12"], help="picks of Parihaka")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    if given.weights:
        use_weights(given.weights)
    if given.what == "show":
        show(json.loads(given.json.read_text())["records"])
        return
    found: Any
    if given.what == "lines":
        found = lines(given.data, given.epochs, given.pictures)
    elif given.what == "parihaka":
        found = parihaka(given.data, given.epochs, given.seed, given.kinds)
    else:
        found = earths(earth_scores if given.what == "earths" else earth_ablation, given)
    if given.json:
        given.json.write_text(json.dumps(found, indent=1))


def job(
    survey: Path, picks: list[Path], truths: list[str], asked_run: dict[str, int], picture: Path | None = None
) -> tuple[dict[str, Any], float, float]:
    """Result of the job, evaluated; its seconds, and the peak of memory so far in GB.

    A `picture` shows the first horizon of a line with its picks and the first truth.
    """
    from wellposed.project import evaluate_run, interpret_project
    from wellposed.project.config import told_project

    asked = {"survey": {"file": survey}, "horizons": [{"picks": p} for p in picks], "run": asked_run}
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        interpret_project(told_project(asked), Path(folder) / "run", lambda text: None)
        seconds = time.perf_counter() - start
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
        if picture:
            draw(Path(folder) / "run", truths[0], picture)
        return evaluate_run(Path(folder) / "run", truths), seconds, peak


def draw(run_folder: Path, truth_file: str, picture: Path) -> None:
    """Section of a line with surface, band, picks, and the truth as a green curve below them."""
    from wellposed.project import open_run
    from wellposed.project.figures import section
    from wellposed.project.inputs import open_survey, project_picks
    from wellposed.seismic.picks import read_picks

    run = open_run(run_folder)
    volume = open_survey(run.project)
    survey, picks = volume.survey, project_picks(run.project, volume.survey)[0]
    (truth,) = read_picks(truth_file, survey=survey)
    lengthwise = survey.shape[1] > survey.shape[0]
    fig = section(
        volume,
        run.predict(volume)[picks.name],
        picks,
        inline=0 if lengthwise else None,
        crossline=None if lengthwise else 0,
    )
    x = truth.crossline if lengthwise else truth.inline
    fig.axes[0].plot(x, truth.twt_ms, color="#40c057", lw=3, zorder=1.5, label="interpretation")
    fig.axes[0].legend(loc="upper right", fontsize=8)
    credit = next(text for name, text in CREDIT.items() if name in str(run.project.survey.file))
    word = fig.axes[0].get_xlabel()
    fig.axes[0].set_xlabel(f"{word}\n{credit}; CC BY-SA 3.0, and so is this picture", fontsize=7)
    fig.savefig(picture, dpi=85)


def lines(data: Path, epochs: int, pictures: Path | None) -> dict[str, Any]:
    print(
        "| line | "
        + " | ".join(f"{m}: MAE ms, within 8 ms" for m in METHODS)
        + " | one std | missed | seconds |"
    )
    print("|---|" + "---|" * (len(METHODS) + 3))
    out = {}
    for title, survey, picks, truth in LINES:
        folder = data / Path(survey).parent
        picture = pictures / f"{title.replace(',', '').replace(' ', '_')}.png" if pictures else None
        result, seconds, _ = job(
            data / survey,
            [folder / f"{picks}.csv"],
            [str(folder / f"{truth}.csv")],
            {"epochs": epochs},
            picture,
        )
        scores = next(iter(result.values()))
        cells = [f"{scores[m]['mae_common_ms']:.2f}, {100 * scores[m]['within_8ms']:.1f} %" for m in METHODS]
        cover, missed = scores["ours"]["cover_1std"], 100 * scores["ours"]["missed"] / scores["ours"]["n"]
        print(f"| {title} | {' | '.join(cells)} | {cover:.2f} | {missed:.1f} % | {seconds:.0f} |", flush=True)
        out[title] = scores
    return out


def use_weights(folder: Path) -> None:
    """Let the job take the weights of a folder that `wellposed pretrain` wrote."""
    from wellposed.interpretation import shipped

    shipped.FOLDER = folder
    shipped.shipped.cache_clear()


def parihaka(data: Path, epochs: int, seed: int, kinds: list[str]) -> dict[str, Any]:
    folder, out = data / "parihaka", {}
    print(
        "| picks | horizon | "
        + " | ".join(f"{m}: within one sample, MAE ms" for m in METHODS)
        + " | one std |"
    )
    print("|---|---|" + "---|" * (len(METHODS) + 1))
    for kind in kinds:
        picks = [folder / f"picks_{h}_{kind}.csv" for h in "KBG"]
        truths = [f"picks_{h}_{kind}={folder / f'reference_{h}.csv'}" for h in "KG"]
        result, seconds, peak = job(
            folder / "parihaka_window.sgy", picks, truths, {"epochs": epochs, "seed": seed}
        )
        for name, s in result.items():
            cells = [f"{100 * s[m]['within_1']:.1f} %, {s[m]['mae_common_ms']:.2f}" for m in METHODS]
            missed = 100 * s["ours"]["missed"] / s["ours"]["n"]
            cover = f"{s['ours']['cover_1std']:.2f}"
            print(f"| {kind} | {name.split('_')[1]} | {' | '.join(cells)} | {cover}, missed {missed:.1f} % |")
        print(f"\n{kind}: three horizons in {seconds:.0f} s, peak {peak:.1f} GB\n", flush=True)
        out[kind] = result | {"seconds": seconds}
    return out


def earths(measure: Any, given: argparse.Namespace) -> dict[str, Any]:
    """A record of every horizon of every earth from both kinds of picks; a file of records is continued."""
    from wellposed.interpretation import shipped
    from wellposed.project.run import file_hash

    asked = {k: str(getattr(given, k)) for k in ("what", "shape", "weights", "rival")}
    asked["manifest"] = file_hash(shipped.FOLDER / shipped.MANIFEST)
    if given.rival:
        asked["rival"] = file_hash(given.rival)
    kept = json.loads(given.json.read_text()) if given.json and given.json.exists() else {"asked": asked}
    if kept["asked"] != asked:
        sys.exit(f"{given.json} holds records of {kept['asked']}, not of {asked}: name another file")
    records = kept.setdefault("records", [])
    done = {(r["difficulty"], r["seed"]) for r in records}
    for seed in range(given.first, given.first + given.count):
        for difficulty in ("easy", "middle", "hard"):
            if (difficulty, seed) in done:
                continue
            start = time.perf_counter()
            for name, kind, scores in measure(difficulty, seed, tuple(given.shape), given.rival):
                records.append(
                    {"difficulty": difficulty, "seed": seed, "picks": kind, "horizon": name, **scores}
                )
            seconds = time.perf_counter() - start
            print(f"{difficulty} earth {seed}: {seconds:.0f} s", file=sys.stderr, flush=True)
            if given.json:
                given.json.write_text(json.dumps(kept, indent=1))
    if given.what == "ablation" and given.data and not any(r["difficulty"] == "line" for r in records):
        for title, scores in line_ablation(given.data):
            records.append(
                {"difficulty": "line", "seed": title, "picks": "its own", "horizon": title, **scores}
            )
    show(records)
    return kept


def show(records: list[dict[str, Any]]) -> None:
    """Print means by difficulty and kind of horizon, then by picks, then of all; and what passes a bound."""
    about = ("difficulty", "seed", "picks", "horizon")
    keys = [k for k in records[0] if k not in about]
    rows = defaultdict(list)
    for r in records:
        kind = r["horizon"] if r["horizon"] in NO_WAVEFORM or r["difficulty"] == "line" else "reflectors"
        rows[f"{r['difficulty']}: {kind}"].append(r)
        rows[f"~ picks: {r['picks']}"].append(r)
        rows["~~ all"].append(r)
    print(f"| horizons | n | {' | '.join(keys)} |\n|---|---|{'---|' * len(keys)}")
    for name, some in sorted(rows.items()):
        values = [[r[k] for k in keys] for r in some]
        mean, std = np.nanmean(values, axis=0), np.nanstd(values, axis=0)
        cells = " | ".join(f"{m:.2f} ± {d:.2f}" for m, d in zip(mean, std, strict=True))
        print(f"| {name.lstrip('~ ')} | {len(some)} | {cells} |")
    if "ours" in records[0]:
        judge(records)


def judge(records: list[dict[str, Any]]) -> None:
    """Which horizons of generated earths pass the bounds that are asked."""
    trackers = [k for k in ("tracker", "rival") if k in records[0]]
    others = ["tracker", "interpolation"]
    bounds = (
        ("reflectors 10 % and 0.1 ms behind the better tracker", "reflector", trackers, 0.1, 0.1),
        ("unconformities behind tracker or interpolation", "unconformity", others, 0.0, 0.0),
        ("chaotic tops 10 % behind the better of both", "chaos_top", others, 0.1, 0.0),
    )
    print()
    for about, kind, rivals, share, least in bounds:
        some = [r for r in records if (r["horizon"] if r["horizon"] in NO_WAVEFORM else "reflector") == kind]
        best = [min(r[k] for k in rivals) for r in some]
        bad = [r for r, b in zip(some, best, strict=True) if r["ours"] > b + max(share * b, least)]
        named(f"{about}, {len(bad)} of {len(some)}", bad)
    named("more than 10 % of the traces missed", [r for r in records if r["missed"] > 0.1])


def named(about: str, some: list[dict[str, Any]]) -> None:
    names = (f"{r['difficulty']} {r['seed']} {r['horizon']} from {r['picks']}" for r in some)
    print(f"* {about}: {'; '.join(names) or 'none'}")


def cases(difficulty: str, seed: int, shape: tuple[int, int, int], hidden: bool = False) -> Any:
    """Everything that is needed to solve each horizon of an earth, with its picks hidden in turn if asked."""
    from wellposed.errors import PickError
    from wellposed.interpretation.hold_out import folds
    from wellposed.interpretation.horizons import describe, prepare
    from wellposed.interpretation.shipped import shipped
    from wellposed.seismic.synthetic import make_earth, picks_on_lines, picks_scattered

    earth = make_earth(shape, difficulty=difficulty, seed=90_000 + seed)
    prepared = prepare(earth.volume, shipped())
    for name, truth in earth.horizons.items():
        for kind in ("two inlines", "12 scattered"):
            try:
                if kind == "two inlines":
                    picks = picks_on_lines(earth, name, inlines=2, noise_ms=1.0, seed=seed)
                else:
                    picks = picks_scattered(earth, name, count=12, noise_ms=1.0, seed=seed)
            except PickError:
                continue
            if len(picks) >= 4:
                described = describe(
                    prepared, picks, shipped(), folds(picks, prepared.survey) if hidden else ()
                )
                yield earth, prepared, name, kind, picks, truth, described


class NoEpochs:
    """The job with `--epochs 0`: shipped weights, judged at hidden picks."""

    epochs = 0

    def seconds(self, fixed: float) -> float:
        """Return what nobody asks for."""
        return 0.0


def earth_scores(difficulty: str, seed: int, shape: tuple[int, int, int], rival: Path | None) -> Any:
    from wellposed.interpretation.adapt import adapted
    from wellposed.interpretation.horizons import solve
    from wellposed.interpretation.shipped import shipped
    from wellposed.project.evaluate import interpolated
    from wellposed.seismic.scores import rank_correlation
    from wellposed.seismic.tracker import track

    other = runpy.run_path(str(rival)) if rival else None
    ready: Any = None
    for earth, prepared, name, kind, picks, truth, described in cases(difficulty, seed, shape, True):
        asked = np.isfinite(truth)
        at = picks.at(prepared.survey)
        asked[at] = False
        found = {}
        if other is not None:
            ready = other["prepare"](earth.volume.read()) if ready is None else ready
            rows = np.column_stack([*at, picks.twt_ms])
            z = other["track"](ready, rows, prepared.survey.step_ms) + prepared.survey.twt_ms[0]
            found["rival"] = float(np.abs(z - truth)[asked].mean())
        adaptation = adapted(prepared, described, picks, shipped(), NoEpochs())
        sure = replace(shipped(), trust=shipped().trust.times(adaptation.width))
        ours = solve(prepared, described, picks, sure, adaptation.terms)
        error = np.abs(ours.twt_ms - truth)[asked]
        straight = interpolated(picks, prepared.survey)
        tracked = track(earth.volume, picks, prepared=prepared.conditioned)
        std, far = ours.twt_std_ms[asked], straight.twt_std_ms[asked]
        yield (
            name,
            kind,
            {
                "interpolation": float(np.abs(straight.twt_ms - truth)[asked].mean()),
                "tracker": float(np.abs(tracked.twt_ms - truth)[asked].mean()),
                "ours": float(error.mean()),
                "within one sample": float((error <= 4).mean()),
                "missed": float((~ours.exists)[asked].mean()),
                "one std": float((error <= std).mean()),
                "rank of std": rank_correlation(std, error),
                "rank of distance": rank_correlation(far, error),
            }
            | found,
        )


def earth_ablation(difficulty: str, seed: int, shape: tuple[int, int, int], rival: Path | None) -> Any:
    for _, prepared, name, kind, picks, truth, described in cases(difficulty, seed, shape):
        yield name, kind, variants(prepared, described, picks, truth)


def line_ablation(data: Path) -> Any:
    from wellposed.interpretation.horizons import describe, prepare
    from wellposed.interpretation.shipped import shipped
    from wellposed.seismic.picks import read_picks
    from wellposed.seismic.volume import open_volume

    for title, survey, picks_file, truth_file in LINES:
        volume, folder = open_volume(data / survey), data / Path(survey).parent
        (picks,), (known,) = (
            read_picks(folder / f"{f}.csv", survey=volume.survey) for f in (picks_file, truth_file)
        )
        truth = np.full(volume.survey.shape[:2], np.nan)
        truth[known.at(volume.survey)] = known.twt_ms
        prepared = prepare(volume, shipped())
        yield title, variants(prepared, describe(prepared, picks, shipped()), picks, truth)


def variants(prepared: Any, described: Any, picks: Any, truth: Any) -> dict[str, float]:
    """Error with the job's links, others, none; without the head; each also without the pull."""
    from wellposed.interpretation.horizons import links_of, surface
    from wellposed.interpretation.shipped import shipped
    from wellposed.seismic.tracker import Tracker

    own, with_pull = shipped(), Tracker()
    flat = (replace(c, pull=0.0) for c in (with_pull.reflector, with_pull.boundary))
    without = replace(with_pull, **dict(zip(("reflector", "boundary"), flat, strict=True)))
    mute = replace(own.terms, head_reflector=0.0, head_boundary=0.0)
    correlation, learned = (
        links_of(prepared, described.window, replace(own.terms, learned_links=kind), with_pull)
        for kind in (False, True)
    )
    tried = {
        "no links": (correlation.times(0.0), own.terms),
        "correlation": (correlation, own.terms),
        "learned": (learned, own.terms),
        "both": (correlation + learned.times(0.5), own.terms),
        "no head": (described.links, mute),
    }
    asked = np.isfinite(truth)
    asked[picks.at(prepared.survey)] = False
    found = {}
    for settings, ending in ((with_pull, ""), (without, ", no pull")):
        for variant, (links, terms) in tried.items():
            seen = replace(described, links=links)
            z = surface(prepared, seen, picks, own, terms, settings)[1].sample
            error = prepared.survey.twt_ms[0] + prepared.survey.step_ms * z - truth
            found[variant + ending] = float(np.abs(error[asked]).mean())
    return found


if __name__ == "__main__":
    main()
