"""What continuation saves in the training of the features: matching loss and seconds, each way.

    python benchmarks/pretraining.py [--json FILE] [--earths 24] [--epochs 10] [--seeds 3]

The network of features learns from simulated earths as `wellposed pretrain` lets it: straight on, or the
first half of the epochs with half the steps ("time"), on sections of half the resolution ("space"), or with
both. Judged by the matching loss on eight earths that none has seen; seconds are those of the process.

The rule, set before the first run: a way is said to help where in each seed its loss is at most that of
the straight way, for fewer seconds in each; and to hurt where its loss is above in each. Otherwise no
difference is claimed. What helps becomes the default of `pretrain`.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

import torch

EARTHS_SEED = 1000


def main() -> None:
    from wellposed.interpretation import pretrain
    from wellposed.interpretation.lessons import lesson

    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", type=Path)
    parser.add_argument("--earths", type=int, default=24)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--seeds", type=int, default=3)
    given = parser.parse_args()
    torch.set_num_threads(1)
    lessons = [lesson(EARTHS_SEED, n) for n in range(given.earths)]
    learned, held_out = lessons[: -pretrain.HELD_OUT], lessons[-pretrain.HELD_OUT :]
    found: dict[str, list[dict[str, Any]]] = {way: [] for way in pretrain.CONTINUATIONS}
    for seed in range(given.seeds):
        for way, runs in found.items():

            def say(text: str, way: str = way, seed: int = seed) -> None:
                print(f"{way}, seed {seed}: {text}", file=sys.stderr, flush=True)

            start = time.process_time()
            _, loss = pretrain.features(learned, held_out, "imex", given.epochs, seed, say, way)
            runs.append({"seed": seed, "loss": loss, "seconds": time.process_time() - start})
            say(str(runs[-1]))
            if given.json:
                given.json.write_text(json.dumps(found, indent=1))
    show(found)


def show(found: dict[str, list[dict[str, Any]]]) -> None:
    """Print a row a way, and what the rule says of it."""
    straight = found["none"]
    print("| continuation | matching loss, each seed | seconds, each seed | by the rule |\n|---|---|---|---|")
    for way, runs in found.items():
        losses, seconds = ([run[what] for run in runs] for what in ("loss", "seconds"))
        pairs = list(zip(runs, straight, strict=True))
        better = all(a["loss"] <= b["loss"] and a["seconds"] < b["seconds"] for a, b in pairs)
        worse = all(a["loss"] > b["loss"] for a, b in pairs)
        said = "" if way == "none" else "helps" if better else "hurts" if worse else "no difference"
        cells = (" ".join(f"{v:.3f}" for v in losses), " ".join(f"{v:.0f}" for v in seconds))
        print(f"| {way} | {' | '.join(cells)} | {said} |")


if __name__ == "__main__":
    main()
