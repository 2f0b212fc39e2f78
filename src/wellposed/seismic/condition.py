"""A volume made ready for tracking: dead traces filled, gain levelled, smoothed along its dips.

Everything here depends on the volume only and is computed once for all horizons.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wellposed.errors import ShapeError

Array = NDArray[np.float32]

FEWEST = 8  # samples of a trace
TILE = 32  # inlines conditioned at once: bounds the memory of the temporaries
GAIN = (3.0, 3.0, 20.0)  # standard deviations of the window of the gain: traces, traces, samples
REACH_OF_FILL = 24  # traces to which a dead trace is filled from its neighbours


@dataclass(frozen=True, eq=False)
class Conditioned:
    """What tracking needs of a volume, computed once for all its horizons.

    `strong` is smoothed along dip over 5 x 5 traces, `light` over 3 x 3: their difference is noise
    and texture. Amplitudes are levelled to a local root mean square of one.

    Shapes:    strong, light, dip_inline, dip_crossline (inline, crossline, twt); live (inline, crossline)
    Units:     dips in samples a trace
    """

    strong: Array
    light: Array
    dip_inline: Array
    dip_crossline: Array
    live: NDArray[np.bool_]

    @property
    def shape(self) -> tuple[int, int, int]:
        """Numbers of inlines, crosslines and samples."""
        ni, nx, nt = self.strong.shape
        return ni, nx, nt


def condition(amplitude: NDArray[np.floating], live: NDArray[np.bool_] | None = None) -> Conditioned:
    """Fill dead traces, level the gain, find dips, smooth along them, find dips again, smooth again.

    Works in tiles of inlines, so that beside the four volumes it returns two more and the
    temporaries of the tiles in work exist at a time. Single lines and pairs of lines are volumes.

    Shapes:    amplitude (inline, crossline, twt); live (inline, crossline), default: not all zero
    Raises:    ShapeError where the volume has not three axes or fewer than eight samples
    Cost:      about 1 microsecond a sample and thread; 24 bytes a sample at its peak
    """
    from wellposed.seismic import dips as d

    if amplitude.ndim != 3 or amplitude.shape[2] < FEWEST:
        raise ShapeError(
            "a volume of this shape cannot be conditioned",
            given=f"an array of shape {amplitude.shape}",
            expected="three axes (inline, crossline, twt), at least eight samples",
            way_out="give a line the shape (1, crossline, twt)",
        )
    if live is None:
        live = np.asarray(np.any(amplitude != 0, axis=2))
    a = _fill(np.asarray(amplitude, np.float32), live)
    silence = np.float32(1e-6 * np.abs(a).max() + 1e-30)
    a = _tiled(lambda v: (_level(v, silence),), [a], int(3 * GAIN[0]), 1)[0]
    steady = 0.02 * d.vertical_energy(a) + 1e-30  # silence has no dip, and no quotient of zeros

    p = _tiled(lambda v: d.dips(v, 3.0, 4.0, steady), [a], d.dips_halo(3.0), 2)
    s = _tiled(lambda v, i, x: (d.steered_mean(v, i, x, 2, 1.1),), [a, *p], 2, 1)[0]
    p = _tiled(lambda v: d.dips(v, 2.0, 3.0, steady), [s], d.dips_halo(2.0), 2)
    del s
    light = _tiled(lambda v, i, x: (d.steered_mean(v, i, x, 1, 0.8),), [a, *p], 1, 1)[0]
    strong = _tiled(lambda v, i, x: (d.steered_mean(v, i, x, 2, 1.3),), [a, *p], 2, 1)[0]
    return Conditioned(strong, light, p[0], p[1], live)


def workers() -> int:
    """Threads that a tiled computation uses: what numba was told to use (NUMBA_NUM_THREADS)."""
    import numba

    return int(numba.get_num_threads())


def _tiled(f: Callable[..., tuple[Array, ...]], given: list[Array], halo: int, results: int) -> list[Array]:
    """Apply f to overlapping tiles of inlines; the kept parts are those of f on the whole volume."""
    ni = given[0].shape[0]
    out = [np.empty_like(given[0]) for _ in range(results)]

    def work(start: int) -> None:
        stop = min(ni, start + TILE)
        low = max(0, start - halo)
        for whole, part in zip(out, f(*(v[low : stop + halo] for v in given)), strict=True):
            whole[start:stop] = part[start - low : stop - low]

    with ThreadPoolExecutor(workers()) as pool:
        list(pool.map(work, range(0, ni, TILE)))
    return out


def _level(a: Array, silence: np.float32) -> Array:
    """Divide by the local root mean square; silence stays silence."""
    from scipy.ndimage import gaussian_filter

    out: Array = a / (np.sqrt(gaussian_filter(a * a, GAIN, truncate=3.0)) + silence)
    return out


def _fill(a: Array, live: NDArray[np.bool_]) -> Array:
    """Traces that are not live become Gaussian averages of the live ones near them.

    The width is a third of the distance that has to be bridged, at least 0.7 traces; beyond
    `REACH_OF_FILL` traces there is nothing to average and zeros stay.
    """
    from scipy.ndimage import distance_transform_edt

    a = np.where(live[:, :, None], a, np.float32(0))
    if live.all() or not live.any():
        return a
    away = distance_transform_edt(~live)
    for i, x in np.argwhere((away > 0) & (away <= REACH_OF_FILL)):
        std = max(0.7, away[i, x] / 3)
        r = int(np.ceil(away[i, x] + 2 * std))
        rows, columns = slice(max(0, i - r), i + r + 1), slice(max(0, x - r), x + r + 1)
        gi, gx = np.mgrid[rows.start : min(i + r + 1, a.shape[0]), columns.start : min(x + r + 1, a.shape[1])]
        square = (gi - i) ** 2 + (gx - x) ** 2
        w = live[rows, columns] * np.exp(-(square - away[i, x] ** 2) / (2 * std**2))
        a[i, x] = (
            np.tensordot(w.astype(np.float32), a[rows, columns] * live[rows, columns][..., None], 2) / w.sum()
        )
    return a
