"""Attributes that tell one kind of rock from another by its texture: what a horizon separates.

A horizon that is no waveform (an unconformity, the top of a chaotic unit) is seen by the difference
of what lies above it and below it. The attributes here are local averages of energy, dip, coherence,
frequency and roughness; whoever reads them looks a few samples above and below a place.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from wellposed.seismic.condition import Conditioned

Array = NDArray[np.float32]

BROAD = ("dip_inline", "dip_crossline", "energy", "coherence", "frequency", "roughness", "dip_spread")
LOCAL = ("envelope", "contrast", "coherence_here")


@dataclass(frozen=True)
class Window:
    """A vertical average of standard deviation `std` samples, read `offset` samples above and below."""

    std: float
    offset: int


WINDOWS = (Window(3.0, 6), Window(5.0, 12))
LATERAL = 2.0  # standard deviation in traces of every average
HALO = 9  # traces beyond a tile that its averages and differences reach
DEPTH = 34  # samples beyond a place that its averages reach, offsets included


def texture_names() -> list[str]:
    """Name every channel of `texture`, in order."""
    return [f"{name}_{w.offset}" for w in WINDOWS for name in BROAD] + list(LOCAL)


def texture(conditioned: Conditioned, analytic: NDArray[np.complexfloating] | None = None) -> Array:
    """Local averages of energy, dip, coherence, frequency, roughness and spread of dips.

    For a window w with energy E = <s^2>: energy-weighted dip <p s^2>/E, log E, log E - log <r^2> with
    r the part that dip-steered smoothing took away, the mean instantaneous frequency, log of the
    squared difference to the neighbouring traces over E, and log of the variance of the dips; then
    the local envelope, its contrast to a longer window and the local coherence.

    Of a volume that was cut in time, give the analytic signal of the whole traces, cut alike: it looks along
    a trace as far as it goes.

    Shapes:    volume (inline, crossline, twt) -> (channel, inline, crossline, twt), 2 x 7 + 3 channels
    Units:     dips in samples a trace; logarithms are natural
    Cost:      about forty separable Gaussian averages of the volume
    """
    out = np.empty((len(texture_names()), *conditioned.shape), np.float32)
    for n, channel in enumerate(_channels(conditioned, analytic)):
        out[n] = channel
    return out


def _channels(conditioned: Conditioned, analytic: NDArray[np.complexfloating] | None) -> Iterator[Array]:
    """The channels in the order of `texture_names`, one after the other, so that few are held at once."""
    from scipy.ndimage import gaussian_filter
    from scipy.signal import hilbert

    s, r = conditioned.strong, conditioned.light - conditioned.strong
    dips = (conditioned.dip_inline, conditioned.dip_crossline)

    def average(v: Array, std: float, lateral: float = LATERAL) -> Array:
        out: Array = gaussian_filter(v, (lateral, lateral, std), mode="nearest")
        return out

    energy, residual = s * s, r * r
    analytic = hilbert(s, axis=2) if analytic is None else analytic
    frequency = np.angle(analytic[:, :, 1:] * np.conj(analytic[:, :, :-1])).astype(np.float32)
    frequency = np.concatenate([frequency[:, :, :1], frequency], axis=2).clip(-0.5, 2.0)
    rough = sum((s - _neighbour(s, axis)) ** 2 for axis in (0, 1))

    for window in WINDOWS:
        e = average(energy, window.std) + 1e-4
        spread = sum(average(p * p, window.std) - average(p, window.std) ** 2 for p in dips)
        yield from (average(p * energy, window.std) / e for p in dips)
        yield np.log(e)
        yield np.log(e) - np.log(average(residual, window.std) + 1e-4)
        yield average(frequency * energy, window.std) / e
        yield np.log(average(np.asarray(rough), window.std) + 1e-4) - np.log(e)
        yield np.log(np.maximum(np.asarray(spread), 0) + 1e-3)
    here = average(energy, 1.0, 1.0) + 1e-3
    yield np.log(average(np.abs(analytic).astype(np.float32), 0.7, 1.0) + 1e-2)
    yield np.log(here) - np.log(average(energy, 6.0, 1.0) + 1e-3)
    yield np.log(here) - np.log(average(residual, 1.5, 1.0) + 1e-4)


def _neighbour(v: Array, axis: int) -> Array:
    """The next trace along `axis`; the last trace is its own neighbour."""
    if v.shape[axis] == 1:
        return v
    order = np.minimum(np.arange(v.shape[axis]) + 1, v.shape[axis] - 1)
    out: Array = np.take(v, order, axis)
    return out
