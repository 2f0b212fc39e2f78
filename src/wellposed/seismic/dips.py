"""Local dips of a volume, and averages taken along them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from wellposed.seismic.compiled import compiled

Array = NDArray[np.float32]

STEEPEST = 3.0  # samples a trace; steeper than that a gradient is aliased, not a dip
TRUNCATE = 3.0  # Gaussian filters end at three standard deviations
SMOOTH = (0.8, 0.8, 1.0)  # before differences are taken


def dips(a: Array, lateral: float, vertical: float, steadiness: float) -> tuple[Array, Array]:
    """Dips p = -<a_x a_t> / (<a_t^2> + steadiness): the least-squares slope of constant amplitude.

    < > is a Gaussian average with standard deviations `lateral` (traces) and `vertical` (samples).

    Shapes:    (inline, crossline, twt) -> two of the same, along inlines' and crosslines' number
    Units:     samples a trace, positive where times grow with the number
    Cost:      six separable Gaussian averages
    """
    s = gaussian_filter(a, SMOOTH, truncate=TRUNCATE)
    width = (lateral, lateral, vertical)
    g = _slope(s, 2)
    tt = gaussian_filter(g * g, width, truncate=TRUNCATE) + np.float32(steadiness)

    def dip(axis: int) -> Array:
        if a.shape[axis] == 1:
            return np.zeros_like(a)
        cross = gaussian_filter(_slope(s, axis) * g, width, truncate=TRUNCATE)
        return np.clip(-cross / tt, -STEEPEST, STEEPEST)

    return dip(0), dip(1)


def dips_halo(lateral: float) -> int:
    """Traces beyond a tile that `dips` reaches."""
    return int(TRUNCATE * SMOOTH[0] + 0.5) + 1 + int(TRUNCATE * lateral + 0.5)


def vertical_energy(a: Array) -> float:
    """Mean squared difference in time of every eighth inline: the scale of `steadiness`."""
    return float(np.mean(np.square(_slope(a[:: max(1, min(8, a.shape[0] // 4))], 2))))


def _slope(a: Array, axis: int) -> Array:
    """Central difference a sample or trace, one-sided at both ends."""
    return np.asarray(np.gradient(a, axis=axis), np.float32)


@compiled(fastmath=True)
def steered_mean(a: Array, dip_inline: Array, dip_crossline: Array, radius: int, std: float) -> Array:
    """Gaussian average over (2 radius + 1)^2 traces, each read where the local dip leads to.

        mean(i, x, t) = sum_dx w(d) a(i + di, x + dx, t + di p_i + dx p_x) / sum_d w(d)

    Shapes:    (inline, crossline, twt) -> the same
    Units:     std in traces, dips in samples a trace
    Cost:      (2 radius + 1)^2 linear interpolations a sample
    """
    ni, nx, nt = a.shape
    out = np.zeros_like(a)
    last = np.float32(nt - 1.001)
    for i in range(ni):
        for x in range(nx):
            weights = np.float32(0)
            for ii in range(max(0, i - radius), min(ni, i + radius + 1)):
                for xx in range(max(0, x - radius), min(nx, x + radius + 1)):
                    di, dx = np.float32(ii - i), np.float32(xx - x)
                    w = np.float32(np.exp(-(di * di + dx * dx) / (2 * std * std)))
                    weights += w
                    for t in range(nt):
                        s = np.float32(t) + di * dip_inline[i, x, t] + dx * dip_crossline[i, x, t]
                        s = min(max(s, np.float32(0)), last)
                        k = int(s)
                        f = s - np.float32(k)
                        out[i, x, t] += w * (a[ii, xx, k] * (1 - f) + a[ii, xx, k + 1] * f)
            for t in range(nt):
                out[i, x, t] /= weights
    return out
