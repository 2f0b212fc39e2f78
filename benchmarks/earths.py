"""Simulated earths beside real sections: do they look alike, and do their statistics agree?

    python benchmarks/earths.py DATA_DIR --out docs/results/earths.png

DATA_DIR holds f3_lines/f3_il110_il111.sgy, penobscot_line/penobscot_xl1155.sgy and
parihaka/parihaka_window.sgy. Parihaka, whose licence is not stated, enters the table only.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.stats import kurtosis

from wellposed.seismic import open_volume
from wellposed.seismic.synthetic import Earth, make_earth

Section = NDArray[np.float64]  # (trace, sample)

DIFFICULTIES = ("easy", "middle", "hard")
TRACES, SAMPLES = 128, 256
WINDOW = 48  # samples of a correlation of neighbouring traces
SEEDS = range(100, 112)
SHOWN = {"easy": (102, 103), "middle": (104, 107), "hard": (104, 111)}  # the second with its horizons
CREDIT = (
    "Real sections: F3, dGB open seismic repository / TNO; Penobscot 3D, dGB open seismic repository / "
    "Nova Scotia Department of Energy; both CC BY-SA 3.0, and so is this picture."
)


def statistics(section: Section, step_ms: float = 4.0) -> dict[str, float]:
    """Centre and spread of the spectrum, likeness of neighbours, tails, and the range of loudness."""
    live = section[np.abs(section).max(axis=1) > 0]
    power = (np.abs(np.fft.rfft(live - live.mean(axis=1, keepdims=True), axis=1)) ** 2).mean(axis=0)
    f = np.fft.rfftfreq(live.shape[1], step_ms / 1000)
    centre = float((power * f).sum() / power.sum())
    spread = float(np.sqrt((power * (f - centre) ** 2).sum() / power.sum()))
    windows = [live[:, k : k + WINDOW] for k in range(0, live.shape[1] - WINDOW + 1, WINDOW)]
    likeness = {lag: float(np.median([correlation(w, lag) for w in windows])) for lag in (1, 4)}
    loud = np.array([np.sqrt((w**2).mean()) for w in windows])
    return {
        "centroid Hz": centre,
        "bandwidth Hz": spread,
        "coherence 1": likeness[1],
        "coherence 4": likeness[4],
        "kurtosis": float(kurtosis(live, axis=None)),
        "loudness": float(np.log(loud + 1e-9).std()),
    }


def correlation(window: Section, lag: int) -> float:
    """Median correlation of traces `lag` apart."""
    w = window - window.mean(axis=1, keepdims=True)
    w = w / (np.sqrt((w**2).sum(axis=1, keepdims=True)) + 1e-9)
    return float(np.median((w[lag:] * w[:-lag]).sum(axis=1)))


def real_sections(data: Path) -> dict[str, list[Section]]:
    """Windows of the size of a simulated section; the first of each survey is shown."""
    f3 = open_volume(data / "f3_lines/f3_il110_il111.sgy").read(slice(0, 1))[0].astype(float)
    penobscot = open_volume(data / "penobscot_line/penobscot_xl1155.sgy").read()[:, 0].astype(float)
    parihaka = open_volume(data / "parihaka/parihaka_window.sgy")
    lines = [parihaka.read(slice(k, k + 1))[0].astype(float) for k in (40, 120, 200)]
    return {
        "F3": [cut(f3, x, 180) for x in (660, 100, 400, 800)],
        "Penobscot": [cut(penobscot, x, t) for x, t in ((300, 200), (440, 200), (330, 420), (150, 300))],
        "Parihaka": [cut(line, x, 20) for line in lines for x in (0, 130)],
    }


def cut(section: Section, trace: int, sample: int) -> Section:
    return section[trace : trace + TRACES, sample : sample + SAMPLES]


def middle_section(earth: Earth) -> Section:
    half = earth.volume.survey.shape[0] // 2
    return earth.volume.read(slice(half, half + 1))[0].astype(float)


def table(groups: dict[str, list[Section]]) -> str:
    """Mean and standard deviation of each figure over the sections of a group."""
    lines = []
    for name, sections in groups.items():
        rows = [statistics(s) for s in sections]
        if not lines:
            lines.append(f"{'':12s}" + "".join(f"{k:>18s}" for k in rows[0]))
        values = {k: np.array([r[k] for r in rows]) for k in rows[0]}
        lines.append(f"{name:12s}" + "".join(f"{v.mean():10.2f} ± {v.std():5.2f}" for v in values.values()))
    return "\n".join(lines)


def draw(real: dict[str, list[Section]], earths: dict[tuple[str, int], Earth], out: Path) -> None:
    """Top: real. Below: simulated, each difficulty without and with its horizons."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(2, 4, figsize=(22, 14), layout="constrained")
    panels: list[tuple[str, Section, dict[str, Section]]] = [
        ("F3 inline 110 (real)", real["F3"][0], {}),
        ("Penobscot crossline 1155 (real)", real["Penobscot"][0], {}),
    ]
    for difficulty, seeds in SHOWN.items():
        for seed in seeds:
            earth = earths[difficulty, seed]
            horizons = earth.horizons if seed == seeds[1] else {}
            lines = {name: twt[len(twt) // 2] for name, twt in horizons.items()}
            panels.append((f"simulated, {difficulty}, seed {seed}", middle_section(earth), lines))
    for axis, (title, section, lines) in zip(axes.ravel(), panels, strict=True):
        limit = np.quantile(np.abs(section), 0.985)
        box = (0, len(section), 4.0 * section.shape[1], 0)
        axis.imshow(section.T, cmap="gray", vmin=-limit, vmax=limit, aspect="auto", extent=box)
        axis.set(title=title, xlabel="trace", ylabel="time in the window (ms)")
        for k, (name, twt) in enumerate(lines.items()):
            axis.plot(np.arange(len(twt)) + 0.5, twt, f"C{k}", lw=1.4, label=name)
        if lines:
            axis.legend(fontsize=8, loc="lower right", framealpha=0.8)
    figure.supxlabel(CREDIT, fontsize=9)
    figure.savefig(out, dpi=80)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, metavar="DATA_DIR")
    parser.add_argument("--out", type=Path, default=Path("earths.png"), metavar="PNG")
    given = parser.parse_args()
    real = real_sections(given.data)
    earths = {(d, n): make_earth(difficulty=d, seed=n) for d in DIFFICULTIES for n in SEEDS}
    groups = real | {d: [middle_section(earths[d, n]) for n in SEEDS] for d in DIFFICULTIES}
    print(table(groups))
    draw(real, earths, given.out)


if __name__ == "__main__":
    main()
