"""From places in a band to times: sub-sample refinement, clean-up that keeps steps, bridges, quantiles."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from wellposed.seismic.band import Band
from wellposed.seismic.interpolate import interpolate

Array = NDArray[np.float32]
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

KERNEL = 2  # traces to each side that the clean-up averages over
QUANTILES = (0.1, 0.9)


def refined(score: Array, place: NDArray[np.int64]) -> Floats:
    """Vertex of the parabola through the score at the place and its two neighbours; place, where it has none.

    Shapes:    score (inline, crossline, D), place (inline, crossline)
    """
    b = np.clip(place, 1, score.shape[2] - 2)
    y = [np.take_along_axis(score, (b + k)[:, :, None], 2)[:, :, 0].astype(float) for k in (-1, 0, 1)]
    curve = np.minimum(y[0] - 2 * y[1] + y[2], -1e-4)
    vertex = np.clip(0.5 * (y[0] - y[2]) / curve, -0.8, 0.8)
    bent = y[0] - 2 * y[1] + y[2] < -1e-4
    return np.asarray(place + np.where(bent & (b == place), vertex, 0.0), np.float64)


def filled(values: Floats, exists: Bools) -> Floats:
    """Values of traces that are not in the survey, taken from the nearest one that is.

    What filters over a neighbourhood then sees no invention where there is no trace.
    """
    from scipy.ndimage import distance_transform_edt

    if exists.all() or not exists.any():
        return values
    i, x = distance_transform_edt(~exists, return_distances=False, return_indices=True)
    out: Floats = values[i, x]
    return out


def cleaned(surface: Floats, exists: Bools) -> Floats:
    """Median against spikes of single traces, then an average over 5 x 5 traces of similar times.

        mean_d exp(-|d|^2 / 3) exp(-((z_(s+d) - z_s) / (0.8 + 0.6 |d|))^2 / 2)

    A step at a fault is not similar, so it stays.

    Units:     surface in samples
    """
    from scipy.ndimage import median_filter

    median = median_filter(surface, 3, mode="nearest")
    z = np.where(np.abs(surface - median) > 1.0, median, surface)
    r = KERNEL
    other, there = np.pad(z, r, mode="edge"), np.pad(exists.astype(float), r)
    total, weights = z.copy(), np.ones_like(z)
    for di in range(-r, r + 1):
        for dx in range(-r, r + 1):
            if di == dx == 0:
                continue
            cut = np.s_[r + di : r + di + z.shape[0], r + dx : r + dx + z.shape[1]]
            similar = np.exp(-0.5 * ((other[cut] - z) / (0.8 + 0.6 * np.hypot(di, dx))) ** 2)
            w = there[cut] * np.exp(-(di * di + dx * dx) / 3.0) * similar
            total, weights = total + w * other[cut], weights + w
    out: Floats = total / weights
    return out


def bridged(surface: Floats, sure: Bools, exists: Bools) -> Floats:
    """Interpolate across the traces that are not sure, from the sure traces of the survey around them.

    A surface that is sure nowhere, or on less than a tenth of its traces, stays as it is.
    """
    from scipy.ndimage import binary_dilation

    sure = sure | ~exists
    if sure.all() or (sure & exists).sum() < 0.1 * exists.sum():
        return surface
    rim = sure & exists & binary_dilation(~sure, iterations=3)
    i, x = np.nonzero(rim)
    shape = (surface.shape[0], surface.shape[1])
    return np.where(sure, surface, interpolate(i, x, surface[rim], shape))


def mean_sample(p: Array, band: Band) -> Floats:
    """Mean of the density of every trace, in samples."""
    out: Floats = band.first + (p * np.arange(band.size, dtype=np.float32)).sum(axis=2, dtype=np.float64)
    return out


def spread(p: Array, band: Band, surface: Floats) -> Floats:
    """Root mean square distance of the density from the surface, half of a sample's width included."""
    away = (band.samples - surface[:, :, None]).astype(np.float32)
    out: Floats = np.sqrt((p * away * away).sum(axis=2, dtype=np.float64) + 1 / 12)
    return out


def quantile(p: Array, band: Band, level: float) -> Floats:
    """The fractional sample below which `level` of the density lies; a sample is as wide as its step."""
    c = np.cumsum(p, axis=2, dtype=np.float64)
    k = np.minimum((c < level).sum(axis=2), band.size - 1)[:, :, None]
    here = np.take_along_axis(p, k, 2)[:, :, 0].astype(float)
    before = np.take_along_axis(c, k, 2)[:, :, 0] - here
    out: Floats = band.first + k[:, :, 0] - 0.5 + np.clip((level - before) / np.maximum(here, 1e-12), 0, 1)
    return out
