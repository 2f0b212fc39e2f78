"""Is a horizon a waveform? The phase of its picks says it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

CONSTANT = 0.5  # resultant length that reflectors exceed and other boundaries do not reach
SOFT = 0.06  # width of the passage between both
NAMES = {0: "peak", 90: "zero crossing", 180: "trough", -90: "zero crossing", -180: "trough"}


@dataclass(frozen=True)
class Phase:
    """Circular mean of the instantaneous phase at the picks.

    Units:     degrees in -180..180, 0 at a peak; resultant 0 (any phase) .. 1 (always the same)
    """

    degrees: float
    resultant: float
    weight: float

    @property
    def name(self) -> str:
        """peak, trough, zero crossing, constant phase, or not constant."""
        if self.weight < 0.5:
            return "not constant"
        nearest = min(NAMES, key=lambda d: abs(d - self.degrees))
        return NAMES[nearest] if abs(nearest - self.degrees) <= 25 else "constant phase"

    def __str__(self) -> str:
        return f"{self.name} (phase {self.degrees:.0f} degrees, resultant {self.resultant:.2f})"


def phase_of_picks(
    a: NDArray[np.float32], i: NDArray[np.int64], x: NDArray[np.int64], sample: NDArray[np.float64]
) -> Phase:
    """M = mean of exp(i phase) over the picks; `weight` is the probability of a reflector.

        weight = 1 / (1 + exp((CONSTANT - r) / SOFT)),    r^2 = (n |m|^2 - 1) / (n - 1)

    r is |m| without what n random phases have by chance; a single pick is taken for a reflector.

    Shapes:    a (inline, crossline, twt), conditioned; i, x, sample (pick,)
    """
    from scipy.signal import hilbert

    analytic = hilbert(a[i, x], axis=1)
    k = np.clip(np.floor(sample).astype(int), 0, a.shape[2] - 2)
    f, row = np.clip(sample - k, 0, 1), np.arange(len(k))
    z = (1 - f) * analytic[row, k] + f * analytic[row, k + 1]
    n = len(z)
    m = complex(np.mean(z / (np.abs(z) + 1e-12)))
    if n < 2:
        return Phase(float(np.degrees(np.angle(m))), 1.0, 1.0)
    r = np.sqrt(max(n * abs(m) ** 2 - 1, 0) / (n - 1))
    weight = 1 / (1 + np.exp((CONSTANT - r) / SOFT))
    return Phase(float(np.degrees(np.angle(m))), float(r), float(weight))
