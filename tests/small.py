"""A small survey with two reflectors, as a user would have it: files of SEG-Y, picks and truth."""

from pathlib import Path

import numpy as np

from wellposed.seismic.segy import write_segy
from wellposed.seismic.volume import Volume

INLINES, CROSSLINES, SAMPLES, STEP = 12, 16, 64, 4.0


def times(name="top", shape=(INLINES, CROSSLINES)):
    """Time of a reflector in ms, on a gentle fold."""
    i, j = np.indices(shape)
    fold = 8 * np.sin(2 * np.pi * i / 30) + 6 * np.cos(2 * np.pi * j / 24)
    return {"top": 88.0, "base": 168.0}[name] + fold


def small_volume(shape=(INLINES, CROSSLINES), seed=0):
    """Ricker wavelets on both reflectors and on weak ones between, with a little noise."""
    rng = np.random.default_rng(seed)
    t = STEP * np.arange(SAMPLES)
    a = 0.05 * rng.standard_normal((*shape, SAMPLES))
    events = [(times("top", shape), 1.0), (times("base", shape), -0.8)]
    events += [
        (times("top", shape) + d, 0.3 * s) for d, s in ((-44, 1), (-24, -1), (30, -1), (52, 1), (112, 1))
    ]
    for centre, strength in events:
        u = (np.pi * 30 * (t - centre[..., None]) / 1000) ** 2
        a += strength * (1 - 2 * u) * np.exp(-u)
    labels = {"inline": 100 + 2 * np.arange(shape[0]), "crossline": 500 + np.arange(shape[1])}
    i, j = np.indices(shape) * 25.0
    return Volume.from_array(a, **labels, twt_ms=t, x=450000 + i, y=6780000 + j, name="small")


def write_rows(path: Path, volume: Volume, name="top", cells=None, shift=0.0):
    """A CSV of picks at cells (i, j), all of them unless told."""
    s = volume.survey
    twt = times(name, s.shape[:2])
    cells = list(np.ndindex(*s.shape[:2])) if cells is None else cells
    rows = [f"{s.inline[i]},{s.crossline[j]},{twt[i, j] + shift:.3f}" for i, j in cells]
    path.write_text("inline,crossline,twt_ms\n" + "\n".join(rows) + "\n")
    return path


PICKED = [(2, 1), (2, 8), (2, 14), (9, 3), (9, 12), (5, 5)]


def small_files(folder: Path, shape=(INLINES, CROSSLINES), picked=PICKED):
    """survey.segy, top.csv, base.csv, truth_top.csv, truth_base.csv in a folder; their paths by stem."""
    volume = small_volume(shape)
    paths = {"survey": write_segy(folder / "survey.segy", volume)}
    for name in ("top", "base"):
        paths[name] = write_rows(folder / f"{name}.csv", volume, name, picked)
        paths[f"truth_{name}"] = write_rows(folder / f"truth_{name}.csv", volume, name)
    return paths
