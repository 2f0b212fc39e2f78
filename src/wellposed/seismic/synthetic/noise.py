"""What is in a record beside the earth: noise, coherent and not, gain, the footprint of acquisition."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from wellposed.seismic.synthetic.fields import Cube, log_uniform, smooth_curve, smooth_map
from wellposed.seismic.synthetic.settings import Setting
from wellposed.seismic.synthetic.wave import Wavelet, coloured

Curve = NDArray[np.float32]

BALANCE = 30.0  # samples over which loudness is evened out


def disturbed(rng: np.random.Generator, record: Cube, wavelet: Wavelet, s: Setting) -> Cube:
    """The record as it would be delivered, of variance 1."""
    record = balanced(record)
    record += background(rng, record.shape, wavelet) / log_uniform(rng, *s.signal_to_noise)
    record += rng.uniform(*s.dipping) * dipping(rng, record.shape, wavelet.peak)
    record *= gain(rng, record.shape, s)
    if rng.random() < s.dead:
        _mute(rng, record)
    return record / record.std()


def balanced(record: Cube) -> Cube:
    """Variance 1, and most of the difference between loud and quiet depths taken out, as processing does."""
    from scipy.ndimage import gaussian_filter1d

    power = gaussian_filter1d((record**2).mean(axis=(0, 1)), BALANCE, mode="nearest")
    out = record / (power / power.mean() + 0.01) ** 0.35
    return out / out.std()


def background(rng: np.random.Generator, shape: tuple[int, ...], wavelet: Wavelet) -> Cube:
    """Noise in the band of the signal, correlated over a few traces, louder here than there."""
    from scipy.fft import next_fast_len
    from scipy.ndimage import gaussian_filter

    size = next_fast_len(shape[2] + 16, real=True)
    noise = rng.standard_normal((shape[0], shape[1], size), np.float32)
    wide = rng.choice([0.4, 0.8, 1.4, 2.2])
    noise = gaussian_filter(noise, (wide, wide, 0), truncate=3)
    wider = Wavelet(1.1 * wavelet.peak, 1.0, wavelet.loss, wavelet.phase)
    loud = np.exp(0.3 * smooth_map(rng, (shape[0], shape[1]), 25))
    return coloured(noise, wider, shape[2]) * loud[:, :, None]


def dipping(rng: np.random.Generator, shape: tuple[int, ...], peak: float) -> Cube:
    """Straight events across the record, as multiples and shot noise leave behind, of variance near 1."""
    i, x = np.arange(shape[0])[:, None, None], np.arange(shape[1])[None, :, None]
    out = np.zeros(shape, np.float32)
    for _ in range(2):
        slope = rng.uniform(0.15, 1.1) * rng.choice([-1, 1])
        angle = rng.uniform(0, np.pi)
        delay = slope * (np.cos(angle) * i + np.sin(angle) * x)
        size = int(shape[2] + np.ptp(delay)) + 3
        place = np.arange(shape[2]) + (delay - delay.min())
        k = place.astype(np.int32)
        f = (place - k).astype(np.float32)
        series = _band(rng, size, peak)
        patch = np.exp(0.7 * smooth_map(rng, (shape[0], shape[1]), 20) - 0.5)[:, :, None]
        out += patch * (series[k] * (1 - f) + series[k + 1] * f)
    return out


def _band(rng: np.random.Generator, size: int, peak: float) -> Curve:
    f = np.fft.rfftfreq(size) / peak
    spectrum = np.fft.rfft(rng.standard_normal(size)) * f * np.exp(0.5 * (1 - f**2))
    series = np.fft.irfft(spectrum, size)
    return (series / series.std()).astype(np.float32)


def gain(rng: np.random.Generator, shape: tuple[int, ...], s: Setting) -> Cube:
    """Gain that wanders over the map and down the record, and stripes along lines, strongest at the top."""
    grid = shape[0], shape[1]
    over = rng.uniform(0.02, 0.25) * smooth_map(rng, grid, log_uniform(rng, 3, 60))
    down = rng.uniform(0, 0.45) * smooth_curve(rng, shape[2], 35)
    stripes = _stripes(rng, grid[0])[:, None] + 0.5 * _stripes(rng, grid[1])[None, :]
    fading = np.exp(-np.arange(shape[2]) / (0.5 * shape[2])).astype(np.float32)
    trace = 0.04 * rng.standard_normal(grid)
    log_gain = (over + trace)[:, :, None].astype(np.float32) + down
    log_gain += rng.uniform(*s.footprint) * stripes[:, :, None].astype(np.float32) * fading
    return np.exp(log_gain)


def _stripes(rng: np.random.Generator, lines: int) -> NDArray[np.float64]:
    """Every so many lines alike, as a swath of cables leaves them."""
    period = rng.uniform(3, 9)
    return np.sin(2 * np.pi * np.arange(lines) / period + rng.uniform(0, 6)) + 0.4 * rng.standard_normal(
        lines
    )


def _mute(rng: np.random.Generator, record: Cube) -> None:
    """Zero a wedge along one side, wider at the top, where the survey's aperture ends."""
    wide = rng.uniform(0.03, 0.15) * record.shape[1]
    depth = np.arange(record.shape[2]) / record.shape[2]
    edge = wide * (1 - rng.uniform(0, 1) * depth)
    outside = np.arange(record.shape[1])[:, None] < edge[None, :]
    record[:, outside if rng.random() < 0.5 else outside[::-1]] = 0
