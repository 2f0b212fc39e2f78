"""Is a horizon a waveform? The phase of its picks says it."""

from __future__ import annotations

from dataclasses import dataclass
from math import exp

import numpy as np
from numpy.typing import NDArray

CONSTANT = 0.5  # resultant length that reflectors exceed and other boundaries do not reach
LEAD = 0.4  # resultant length from which on the waveform leads more than the neighbourhood
LINE = 0.3  # how much later it leads on a line, or two, where no neighbouring line holds the surface
SOFT = 0.1  # width of the passage between both
NAMES = {0: "peak", 90: "zero crossing", 180: "trough", -90: "zero crossing", -180: "trough"}


@dataclass(frozen=True)
class Phase:
    """Circular mean of the instantaneous phase at the picks, and how far it lets the waveform lead.

        weight = 1 / (1 + exp((LEAD + shift - resultant) / SOFT))

    Units:     degrees in -180..180, 0 at a peak; resultant 0 (any phase) .. 1 (always the same)
    """

    degrees: float
    resultant: float
    shift: float = 0.0

    @property
    def weight(self) -> float:
        """How far the waveform leads: 0 (not at all) .. 1 (alone)."""
        return 1 / (1 + exp((LEAD + self.shift - self.resultant) / SOFT))

    @property
    def name(self) -> str:
        """peak, trough, zero crossing, constant phase, or not constant."""
        if self.resultant < CONSTANT:
            return "not constant"
        nearest = min(NAMES, key=lambda d: abs(d - self.degrees))
        return NAMES[nearest] if abs(nearest - self.degrees) <= 25 else "constant phase"

    def __str__(self) -> str:
        return f"{self.name} (phase {self.degrees:.0f} degrees, resultant {self.resultant:.2f})"


def phase_of_picks(
    a: NDArray[np.float32], i: NDArray[np.int64], x: NDArray[np.int64], sample: NDArray[np.float64]
) -> Phase:
    """Phase of the m = mean of exp(i phase) over the picks.

        resultant^2 = (n |m|^2 - 1) / (n - 1)

    That is |m| without what n random phases have by chance; a single pick is taken for a reflector.

    Shapes:    a (inline, crossline, twt), conditioned; i, x, sample (pick,)
    """
    from scipy.signal import hilbert

    analytic = hilbert(a[i, x], axis=1)
    k = np.clip(np.floor(sample).astype(int), 0, a.shape[2] - 2)
    f, row = np.clip(sample - k, 0, 1), np.arange(len(k))
    z = (1 - f) * analytic[row, k] + f * analytic[row, k + 1]
    n, shift = len(z), LINE if min(a.shape[:2]) <= 2 else 0.0
    m = complex(np.mean(z / (np.abs(z) + 1e-12)))
    if n < 2:
        return Phase(float(np.degrees(np.angle(m))), 1.0, shift)
    r = np.sqrt(max(n * abs(m) ** 2 - 1, 0) / (n - 1))
    return Phase(float(np.degrees(np.angle(m))), float(r), shift)
