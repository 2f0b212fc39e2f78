"""Which dynamics: the diffusion-reaction network beside its plain twin and a U-Net, three seeds each.

    python benchmarks/twins.py OUT [--data DATA]

All learn from the same simulated earths with the same objective and as many epochs; the diffusion-reaction
network has 46,920 weights, its plain twin 46,440, the U-Net 36,344. Each then gets its own head prior, and
its own weights of the terms, chosen on sections that no other number is taken from. Judged on 200 simulated
sections, three horizons of each with five picks, and on the lines of DATA. `texture` has no network at all.
What OUT holds is not computed again.

The rule, set before the first run: one network is said to be better than another where, on the 200 sections,
its error (geometric mean over horizons) is lower for each of its seeds than for each seed of the other.
Otherwise no difference is claimed, whatever the lines say: five rows are too few.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

NETWORKS = [("texture", 0)] + [(r, seed) for seed in (0, 1, 2) for r in ("imex", "residual", "unet")]
EARTHS, EPOCHS = 24, 10
SECTION = (1, 160, 192)
CHOOSING, JUDGING = 40, 200  # sections
PICKS, HORIZONS = 5, 3
GRID = ((0.0, 0.15), (0.05, 0.3), (0.1, 0.6), (0.2, 1.0))  # head of reflectors, of other horizons
DIFFICULTIES = ("easy", "middle", "hard")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", type=Path)
    parser.add_argument("--data", type=Path, help="folder with the real lines")
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    lessons: list[Any] = []
    for recipe, seed in NETWORKS:
        folder = given.out / f"{recipe}-{seed}"
        if not (folder / "twin.json").exists():
            learn(folder, recipe, seed, lessons)
    print("| network | weights | seconds an epoch | matching loss | nats, waveform | nats, none | ", end="")
    print("sections: geometric mean ms | MAE ms | lines: MAE ms |\n|---|---|---|---|---|---|---|---|---|")
    for recipe, seed in sorted(NETWORKS):
        row(given.out / f"{recipe}-{seed}", given.data)


def learn(folder: Path, recipe: str, seed: int, lessons: list[Any]) -> None:
    """Features, head and terms of one network; `lessons` are made once for all of them."""
    from wellposed.interpretation import pretrain
    from wellposed.interpretation.lessons import lesson
    from wellposed.interpretation.shipped import Shipped, shipped, write_shipped

    def say(text: str) -> None:
        print(f"  {recipe} {seed}: {text}", flush=True)

    if not lessons:
        lessons += [lesson(1000, n) for n in range(EARTHS)]
    learned, held_out = lessons[: -pretrain.HELD_OUT], lessons[-pretrain.HELD_OUT :]
    start, net, loss = time.process_time(), None, None
    if recipe != "texture":
        net, loss = pretrain.features(learned, held_out, recipe, EPOCHS, seed, say)
    seconds = (time.process_time() - start) / EPOCHS
    prior, scale, nats = pretrain.head(learned, held_out, net, seed, say)
    terms = replace(shipped().terms, learned_links=False)
    own = chosen(Shipped(net, prior, scale, terms, shipped().trust))
    say(f"terms {own.terms}")
    count = sum(p.numel() for p in net.parameters()) if net is not None else 0
    folder.mkdir(parents=True, exist_ok=True)
    write_shipped(own, folder, {"recipe": recipe, "seed": seed})
    facts = {"weights": count, "seconds": seconds, "loss": loss, "nats": nats}
    (folder / "twin.json").write_text(json.dumps(facts, indent=1))


def chosen(own: Any) -> Any:
    """The weights of the terms with the least error on sections for choosing, reflectors and others apart."""
    terms = [replace(own.terms, head_reflector=a, head_boundary=b) for a, b in GRID]
    found = errors(own, terms, 500_000, CHOOSING)
    waveform = np.array([r["waveform"] for r in found])
    logs = np.log(np.array([r["mae_ms"] for r in found]) + 0.2)
    reflector, other = (GRID[logs[some].mean(axis=0).argmin()] for some in (waveform, ~waveform))
    return replace(own, terms=replace(own.terms, head_reflector=reflector[0], head_boundary=other[1]))


def errors(own: Any, terms: list[Any], first: int, count: int) -> list[dict[str, Any]]:
    """Mean absolute error under each of `terms`, for three horizons of every simulated section."""
    from wellposed.errors import PickError
    from wellposed.interpretation.horizons import describe, prepare, surface
    from wellposed.seismic.synthetic import make_earth, picks_scattered
    from wellposed.seismic.tracker import Tracker

    out = []
    for seed in range(first, first + count):
        earth = make_earth(SECTION, difficulty=DIFFICULTIES[seed % 3], seed=seed)
        prepared, survey = prepare(earth.volume, own), earth.volume.survey
        names = np.random.default_rng(seed).permutation(sorted(earth.horizons))[:HORIZONS]
        for name in names:
            try:
                picks = picks_scattered(earth, str(name), count=PICKS, noise_ms=1.0, seed=seed)
            except PickError:
                continue
            asked = np.isfinite(earth.horizons[name])
            asked[picks.at(survey)] = False
            if len(picks) < 3 or not asked.any():
                continue
            d, mae = describe(prepared, picks, own), []
            for some in terms:
                evidence, found = surface(prepared, d, picks, own, some, Tracker())
                z = survey.twt_ms[0] + survey.step_ms * found.sample
                mae.append(float(np.abs(z - earth.horizons[name])[asked].mean()))
            out.append({"waveform": bool(evidence.phase.resultant >= 0.5), "mae_ms": mae})
    return out


def row(folder: Path, data: Path | None) -> None:
    """Judge one network, and print its line of the table."""
    from wellposed.interpretation.shipped import read_shipped

    file = folder / "twin.json"
    facts = json.loads(file.read_text())
    own = read_shipped(folder)
    if "sections" not in facts:
        facts["sections"] = [r["mae_ms"][0] for r in errors(own, [own.terms], 600_000, JUDGING)]
        facts["terms"] = asdict(own.terms)
        file.write_text(json.dumps(facts, indent=1))
    if data is not None and "lines" not in facts:
        facts["lines"] = on_lines(folder, data)
        file.write_text(json.dumps(facts, indent=1))
    mae = np.array(facts["sections"])
    nats = [facts["nats"].get(k, float("nan")) for k in ("waveform", "no waveform")]
    loss = "" if facts["loss"] is None else f"{facts['loss']:.3f}"
    print(
        f"| {folder.name} | {facts['weights']} | {facts['seconds']:.0f} | {loss} | {nats[0]:.2f} "
        f"| {nats[1]:.2f} | {np.exp(np.log(mae + 0.2).mean()) - 0.2:.2f} | {mae.mean():.2f}"
        f" | {', '.join(f'{v:.2f}' for v in facts.get('lines', {}).values())} |",
        flush=True,
    )


def on_lines(folder: Path, data: Path) -> dict[str, float]:
    """Mean absolute error on each real line."""
    import horizons as benchmark

    benchmark.use_weights(folder)
    out = {}
    for title, survey, picks, truth in benchmark.LINES:
        place = data / Path(survey).parent
        scores, _, _ = benchmark.job(
            data / survey, [place / f"{picks}.csv"], [str(place / f"{truth}.csv")], 0
        )
        out[title] = next(iter(scores.values()))["ours"]["mae_ms"]
    return out


if __name__ == "__main__":
    main()
