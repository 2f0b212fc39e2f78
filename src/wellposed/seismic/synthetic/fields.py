"""Random maps and curves: what every part of a simulated earth is drawn from."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Map = NDArray[np.float32]  # (inline, crossline)
Section = NDArray[np.float32]  # (crossline, time) of one inline
Cube = NDArray[np.float32]  # (inline, crossline, twt)

WAVES = 64
SCALES = (4.0, 9.0, 20.0, 45.0)  # traces: wavelengths of a rough surface, from crumbs to swells


def smooth_map(rng: np.random.Generator, shape: tuple[int, int], scale: float) -> Map:
    """Stationary Gaussian field of mean 0 and variance 1, a sum of random plane waves.

        f(p) = sqrt(2 / n) sum_w cos(k_w . p + phase_w),  k_w ~ N(0, 1 / scale^2)

    Its covariance is exp(-|p|^2 / (2 scale^2)) without any boundary, however long the scale.

    Units:     scale in traces
    """
    k = rng.normal(0, 1 / scale, (WAVES, 2))
    phase = rng.uniform(0, 2 * np.pi, WAVES)
    along = np.exp(1j * (np.outer(np.arange(shape[0]), k[:, 0]) + phase))
    across = np.exp(1j * np.outer(k[:, 1], np.arange(shape[1])))
    return (np.sqrt(2 / WAVES) * (along @ across).real).astype(np.float32)


def smooth_curve(rng: np.random.Generator, size: int, scale: float) -> NDArray[np.float32]:
    """The same in one dimension."""
    return smooth_map(rng, (1, size), scale)[0]


def rough_map(rng: np.random.Generator, shape: tuple[int, int], decay: float = 1.0) -> Map:
    """Sum of smooth maps whose height grows with their scale to the power `decay`; variance 1."""
    heights = np.array(SCALES) ** decay
    heights /= np.sqrt((heights**2).sum())
    parts = [h * smooth_map(rng, shape, s) for h, s in zip(heights, SCALES, strict=True)]
    return np.sum(parts, axis=0, dtype=np.float32)


def log_uniform(rng: np.random.Generator, low: float, high: float) -> float:
    """Every ratio equally likely."""
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def places(shape: tuple[int, int]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Index coordinates of all traces, as (inline, 1) and (1, crossline)."""
    return np.arange(float(shape[0]))[:, None], np.arange(float(shape[1]))[None, :]
