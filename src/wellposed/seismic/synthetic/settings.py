"""How hard an earth is to interpret: all ranges in one place."""

from __future__ import annotations

from dataclasses import dataclass

Range = tuple[float, float]


@dataclass(frozen=True)
class Setting:
    """Ranges that an earth is drawn from.

    Units:     relief and throw in samples, peak in Hz, phase in radians, the rest shares
    """

    relief: float  # height of the folds
    faults: tuple[int, int]
    throw: Range
    peak: Range  # peak frequency of the wavelet
    phase: float  # how much the phase of the wavelet wanders
    signal_to_noise: Range
    dipping: Range  # coherent noise
    footprint: Range
    lateral: Range  # variation of impedance within a layer
    shadow: Range  # dimming at fault planes
    contrast_weak: Range
    wedge: float  # probabilities from here on
    channel: float
    chaos: float
    dome: float
    dead: float


SETTINGS = {
    "easy": Setting(
        relief=15,
        faults=(1, 3),
        throw=(1.5, 5),
        peak=(24, 50),
        phase=0.1,
        signal_to_noise=(5, 12),
        dipping=(0, 0.04),
        footprint=(0, 0.05),
        lateral=(0.05, 0.3),
        shadow=(0, 0.4),
        contrast_weak=(0.45, 0.9),
        wedge=0.7,
        channel=0.5,
        chaos=0.0,
        dome=0.0,
        dead=0.0,
    ),
    "middle": Setting(
        relief=24,
        faults=(3, 6),
        throw=(2, 11),
        peak=(20, 55),
        phase=0.25,
        signal_to_noise=(2.2, 6),
        dipping=(0, 0.15),
        footprint=(0, 0.15),
        lateral=(0.1, 0.5),
        shadow=(0.1, 0.7),
        contrast_weak=(0.35, 0.7),
        wedge=0.8,
        channel=0.7,
        chaos=0.35,
        dome=0.25,
        dead=0.06,
    ),
    "hard": Setting(
        relief=36,
        faults=(5, 9),
        throw=(4, 24),
        peak=(16, 55),
        phase=0.45,
        signal_to_noise=(1.2, 3.5),
        dipping=(0.05, 0.3),
        footprint=(0.05, 0.3),
        lateral=(0.2, 0.7),
        shadow=(0.3, 0.9),
        contrast_weak=(0.3, 0.6),
        wedge=0.8,
        channel=0.8,
        chaos=1.0,
        dome=0.35,
        dead=0.12,
    ),
}
