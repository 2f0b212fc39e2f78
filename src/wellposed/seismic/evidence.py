"""Evidence of the picks: how much a sample of any trace looks like the places that were picked."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from wellposed.seismic.compiled import compiled
from wellposed.seismic.condition import workers

if TYPE_CHECKING:
    from wellposed.seismic.band import Band

Array = NDArray[np.float32]
Places = NDArray[np.int64]

NEAR = 1.5  # traces over which waveforms of picks on neighbouring traces are averaged
SILENCE = np.float32(1e-3)  # energy below which a window correlates with nothing
NOBODY = np.float32(1e30)  # squared distance of a pick that is not there; fast arithmetic knows no infinity


def waveforms(a: Array, i: Places, x: Places, sample: NDArray[np.float64], half: int) -> Array:
    """Windows about the picks, of unit energy under a Gaussian taper, averaged over picks close by.

    Shapes:    a (inline, crossline, twt); i, x, sample (pick,) -> (pick, 2 half + 1)
    """
    k = np.floor(sample).astype(int)
    f = (sample - k).astype(np.float32)[:, None]
    t = k[:, None] + np.arange(-half, half + 2)
    inside = (t >= 0) & (t < a.shape[2])
    w = a[i[:, None], x[:, None], np.clip(t, 0, a.shape[2] - 1)] * inside
    w = (w[:, :-1] * (1 - f) + w[:, 1:] * f) * np.sqrt(taper(half))
    places = np.column_stack([i, x]).astype(float)
    close = cKDTree(places).query_ball_point(places, 2.7 * NEAR)
    mean = np.empty_like(w)
    for n, others in enumerate(close):
        square = ((places[others] - places[n]) ** 2).sum(axis=1)
        mean[n] = np.average(w[others], axis=0, weights=np.exp(-square / (2 * NEAR**2)))
    unit: Array = (mean / (np.linalg.norm(mean, axis=1, keepdims=True) + 1e-9)).astype(np.float32)
    return unit


def taper(half: int) -> Array:
    """Gaussian weights of a window; at its ends two standard deviations."""
    return np.exp(-0.5 * (np.arange(-half, half + 1) / (0.5 * half)) ** 2).astype(np.float32)


def carried(
    values: Array, i: Places, x: Places, shape: tuple[int, int], reach: float, each: int = 2
) -> Array:
    """Values of picks carried to every trace: weighted means over the nearest picks in each quadrant.

        sum_n w_n v_n / sum_n w_n,    w_n = 1 / (distance_n + reach)^2

    Quadrants, so that two picked lines are heard on both sides, as scattered picks are.

    Shapes:    values (pick, channel) -> (inline, crossline, channel)
    Units:     reach in traces
    Cost:      traces times picks comparisons
    """
    out = np.empty((*shape, values.shape[1]), np.float32)
    places = np.column_stack([i, x]).astype(np.int64)
    _over_lines(lambda line: _carry_line(values, places, line, np.float32(reach), each, out[line]), shape[0])
    return out


def correlation(a: Array, band: Band, template: Array) -> Array:
    """Correlation of the tapered window about each sample of the band with the trace's own template.

    Shapes:    a (inline, crossline, twt), template (inline, crossline, 2 half + 1) -> (inline, crossline, D)
    Cost:      2 (2 half + 1) multiplications a sample
    """
    out = np.empty((*band.first.shape, band.size), np.float32)
    w = taper(template.shape[2] // 2)
    _over_lines(lambda i: _correlate_line(a[i], band.first[i], template[i], w, out[i]), a.shape[0])
    return out


def _over_lines(work: Callable[[int], None], lines: int) -> None:
    with ThreadPoolExecutor(workers()) as pool:
        list(pool.map(work, range(lines)))


@compiled(fastmath=True)
def _carry_line(values: Array, places: Places, i: int, reach: float, each: int, out: Array) -> None:
    nearest, which = np.empty((4, each), np.float32), np.empty((4, each), np.int64)
    for x in range(out.shape[0]):
        nearest[:] = NOBODY
        for n in range(places.shape[0]):
            di, dx = places[n, 0] - i, places[n, 1] - x
            # a quadrant holds one of its two edges, so that each arm of a crossing has its own
            if di >= 0:
                q = 0 if dx > 0 else (1 if di > 0 or dx == 0 else 2)
            else:
                q = 2 if dx < 0 else 3
            square = np.float32(di * di + dx * dx)
            if square < nearest[q, each - 1]:
                m = each - 1
                while m > 0 and nearest[q, m - 1] > square:
                    nearest[q, m], which[q, m] = nearest[q, m - 1], which[q, m - 1]
                    m -= 1
                nearest[q, m], which[q, m] = square, n
        out[x] = 0
        total = np.float32(0)
        for q in range(4):
            for m in range(each):
                if nearest[q, m] < NOBODY:
                    w = np.float32(1) / (np.sqrt(nearest[q, m]) + reach) ** 2
                    total += w
                    for c in range(values.shape[1]):
                        out[x, c] += w * values[which[q, m], c]
        out[x] /= total


@compiled(fastmath=True)
def _correlate_line(a: Array, first: NDArray[np.int32], template: Array, taper: Array, out: Array) -> None:
    count, size = out.shape
    window = taper.size
    cut, energy = np.empty(size + window - 1, np.float32), np.empty(size, np.float32)
    for x in range(count):
        for n in range(cut.size):
            k = first[x] - window // 2 + n
            cut[n] = a[x, k] if 0 <= k < a.shape[1] else np.float32(0)
        out[x] = 0
        energy[:] = 0
        for w in range(window):
            v = template[x, w] * np.sqrt(taper[w])
            for d in range(size):
                out[x, d] += v * cut[w + d]
                energy[d] += taper[w] * cut[w + d] * cut[w + d]
        for d in range(size):
            out[x, d] /= np.sqrt(energy[d]) + SILENCE
