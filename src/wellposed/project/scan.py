"""One screen about a SEG-Y file: layout, geometry, samples, dead traces, amplitudes, a small map."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wellposed.seismic.survey import Survey
from wellposed.seismic.volume import Volume, open_volume

TRACES = 2000  # read for the statistics
MAP_ROWS, MAP_COLUMNS = 12, 48
PERCENTILES = (0.5, 50.0, 99.5)


def scan(
    path: str | Path, *, inline_byte: int | None = None, crossline_byte: int | None = None
) -> dict[str, Any]:
    """What is in the file, as plain numbers and sentences.

    Raises:    as open_volume
    """
    volume = open_volume(path, inline_byte=inline_byte, crossline_byte=crossline_byte)
    s = volume.survey
    out: dict[str, Any] = {
        "file": Path(path).name,
        "grid": s.describe(),
        "findings": list(volume.notes),
        "traces": int(s.exists.sum()),
        "missing": int((~s.exists).sum()),
        "dead": int(s.dead.sum()),
        "bin_size": None if np.isnan(s.bin_size) else round(s.bin_size, 3),
        "amplitudes": _statistics(volume),
        "map": _map(s),
    }
    if s.x is not None and s.y is not None:
        out["x"], out["y"] = ([float(np.nanmin(c)), float(np.nanmax(c))] for c in (s.x, s.y))
    return out


def _statistics(volume: Volume) -> dict[str, float]:
    """Of whole lines spread over the survey, zeros of dead traces left out."""
    s = volume.survey
    each = max(1, -(-s.shape[0] * s.shape[1] // TRACES))
    lines = np.unique(np.linspace(0, s.shape[0] - 1, max(1, s.shape[0] // each)).astype(int))
    a = np.concatenate([volume.read(slice(i, i + 1))[s.live[i : i + 1]] for i in lines])
    if not a.size:
        return {}
    low, middle, high = (float(v) for v in np.percentile(a, PERCENTILES))
    return {
        "p0.5": low,
        "median": middle,
        "p99.5": high,
        "rms": float(np.sqrt(np.mean(a.astype(np.float64) ** 2))),
        "zeros": float((a == 0).mean()),
        "frequency_hz": _frequency(a, s.step_ms),
    }


def _frequency(a: NDArray[np.float32], step_ms: float) -> float:
    """Centroid of the amplitude spectrum."""
    spectrum = np.abs(np.fft.rfft(a[:: max(1, len(a) // 500)], axis=1)).mean(axis=0)
    hz = np.fft.rfftfreq(a.shape[1], step_ms / 1000)
    return float((hz * spectrum).sum() / max(spectrum.sum(), 1e-30))


def _map(s: Survey) -> list[str]:
    """`#` live traces, `o` dead ones, `.` none: the commonest of each cell; the first line on top."""
    kind = np.where(s.live, 2, np.where(s.dead & s.exists, 1, 0))
    if s.shape[1] <= 2:  # a line along the inlines is drawn lying
        kind = kind.T
    rows = np.array_split(np.arange(kind.shape[0]), min(MAP_ROWS, kind.shape[0]))
    columns = np.array_split(np.arange(kind.shape[1]), min(MAP_COLUMNS, kind.shape[1]))
    return [
        "".join(".o#"[int(np.bincount(kind[np.ix_(r, c)].ravel(), minlength=3).argmax())] for c in columns)
        for r in rows
    ]


def screen(found: dict[str, Any]) -> str:
    """The same for a reader at a terminal."""
    a = found["amplitudes"]
    lines = [found["file"], f"  {found['grid']}"]
    lines += [f"  {note}" for note in found["findings"]]
    if "x" in found:
        x, y = found["x"], found["y"]
        bins = "" if found["bin_size"] is None else f", bins of {found['bin_size']:g}"
        lines.append(f"  x {x[0]:.1f} to {x[1]:.1f}, y {y[0]:.1f} to {y[1]:.1f}{bins}")
    lines.append(f"  {found['traces']} traces, {found['missing']} missing, {found['dead']} dead")
    if a:
        lines.append(
            f"  amplitudes {a['p0.5']:.4g} to {a['p99.5']:.4g} (99 %), median {a['median']:.4g}, "
            f"rms {a['rms']:.4g}, {100 * a['zeros']:.1f} % zeros, spectrum about {a['frequency_hz']:.0f} Hz"
        )
    lines.append("  map: # live, o dead, . none; first line on top")
    return "\n".join([*lines, *(f"    {row}" for row in found["map"])])
