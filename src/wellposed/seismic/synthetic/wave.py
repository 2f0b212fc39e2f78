"""From reflectivity to a clean record: wavelet, phase, loss with depth, the image near faults."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wellposed.seismic.synthetic.fields import Cube, Map, log_uniform, smooth_map
from wellposed.seismic.synthetic.settings import Setting

Spectrum = NDArray[np.complex64]  # (inline, crossline, frequency)
Axis = NDArray[np.floating]

HIGHEST_PEAK = 0.3  # cycles a sample: at large sample intervals the wavelet must still fit the axis


@dataclass(frozen=True, eq=False)
class Wavelet:
    """Amplitude spectrum (f / peak)^n exp(n/2 (1 - (f / peak)^2)), n = 2 for Ricker's, and a phase a trace.

    The peak falls with depth from peak to (1 - loss) peak.

    Units:     peak in cycles a sample, phase in radians
    """

    peak: float
    order: float
    loss: float
    phase: Map

    def spectrum(self, frequency: Axis, deep: bool) -> Axis:
        """Amplitude at the top, or at the bottom, of the record."""
        g = frequency / (self.peak * (1 - self.loss * deep))
        return g**self.order * np.exp(self.order / 2 * (1 - g**2))

    def delay(self, turn: float, depth: NDArray[np.float64]) -> NDArray[np.float64]:
        """Samples after a boundary at which the wavelet's phase is `turn`, nearest of all whole half turns.

        The branch is chosen once for all traces, so that the delay is as smooth as the phase.

        Shapes:    depth (inline, crossline), share of the record from 0 to 1 -> the same
        """
        f = np.fft.rfftfreq(4096, 1 / 64)
        amplitude = f**self.order * np.exp(-self.order / 2 * f**2)
        ahead = np.arange(-64, 65)  # 1/64 of a period
        wave = np.exp(2j * np.pi * np.outer(ahead / 64, f)) @ amplitude
        angle = np.unwrap(np.angle(wave))
        angle -= angle[64]
        wanted = turn - self.phase.astype(np.float64)
        wanted -= np.pi * np.round(wanted.mean() / np.pi)
        peak = self.peak * (1 - self.loss * np.clip(depth, 0, 1))
        return np.interp(wanted, angle, ahead / 64) / peak


def draw_wavelet(rng: np.random.Generator, grid: tuple[int, int], s: Setting, step_ms: float) -> Wavelet:
    """Zero phase of either polarity in half of the earths, any constant phase in the others; it wanders."""
    mean = rng.choice([0, np.pi]) if rng.random() < 0.5 else rng.uniform(-np.pi, np.pi)
    wander = rng.uniform(0, s.phase) * smooth_map(rng, grid, log_uniform(rng, 20, 80))
    peak = min(log_uniform(rng, *s.peak) * step_ms / 1000, HIGHEST_PEAK)
    return Wavelet(peak, rng.uniform(1, 2.2), rng.uniform(0.05, 0.35), (mean + wander).astype(np.float32))


def clean_record(
    reflectivity: Spectrum, wavelet: Wavelet, margin: int, nt: int, size: int, fine: int
) -> Cube:
    """The record without noise; `reflectivity` holds the frequencies of the sampled axis only.

    Its cells were means over 1 / `fine` sample, which the wavelet makes good.
    """
    f = np.fft.rfftfreq(size)
    box = np.sinc(f / fine)
    turned = reflectivity * np.exp(1j * wavelet.phase)[:, :, None].astype(np.complex64)
    return _deepening(turned / box.astype(np.float32), wavelet, margin, nt, size)


def coloured(noise: Cube, wavelet: Wavelet, nt: int) -> Cube:
    """Noise in the band of the signal, of variance 1."""
    from scipy.fft import rfft

    out = _deepening(rfft(noise, axis=2), wavelet, 0, nt, noise.shape[2])
    return out / out.std()


def _deepening(spectrum: Spectrum, wavelet: Wavelet, margin: int, nt: int, size: int) -> Cube:
    """Both ends' wavelets applied, and blended over the record."""
    from scipy.fft import irfft

    f = np.fft.rfftfreq(size)
    deep = np.linspace(0, 1, nt, dtype=np.float32)
    out = np.zeros((*spectrum.shape[:2], nt), np.float32)
    for weight, end in ((1 - deep, False), (deep, True)):
        amplitude = wavelet.spectrum(f, end).astype(np.float32)
        out += weight * irfft(spectrum * amplitude, size, axis=2)[:, :, margin : margin + nt]
    return out


def migrated(rng: np.random.Generator, record: Cube, near: Cube, s: Setting) -> Cube:
    """The image: of finite lateral resolution, and blurred and dim along fault planes."""
    from scipy.ndimage import gaussian_filter

    sharp = rng.uniform(0.35, 0.8)
    record = gaussian_filter(record, (sharp, sharp, 0), truncate=3)
    blurred = gaussian_filter(record, (1.5, 1.5, 0), truncate=2)
    record += near * (blurred - record)
    record *= 1 - rng.uniform(*s.shadow) * near
    return record
