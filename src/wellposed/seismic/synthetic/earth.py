"""A simulated earth: a volume that looks like a survey, and its horizons, known exactly."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wellposed.errors import ConfigError, ShapeError, close_match
from wellposed.seismic.synthetic.fields import Cube
from wellposed.seismic.synthetic.noise import disturbed
from wellposed.seismic.synthetic.plan import Plan, draw_plan
from wellposed.seismic.synthetic.section import crossing
from wellposed.seismic.synthetic.settings import SETTINGS, Setting
from wellposed.seismic.synthetic.structure import draw_structure
from wellposed.seismic.synthetic.wave import Spectrum, Wavelet, clean_record, draw_wavelet, migrated
from wellposed.seismic.volume import Volume

FINE = 4  # cells a sample: what is left of aliasing lies 25 dB or more below the signal
MARGIN = 16  # samples above and below the record, so that its ends look like its middle
FEWEST = (1, 8, 48)
BIN_M = 25.0
RAREST = 0.02  # share of the traces: what is rarer is no horizon


@dataclass(frozen=True, eq=False)
class Earth:
    """A simulated survey and the truth about it.

    `kind` says what a horizon is: reflector, weak, zero crossing, unconformity, wedge, chaos top, dome top.

    Shapes:    horizons (inline, crossline), NaN where the horizon is absent
    Units:     ms of two-way time, not on the sample grid
    """

    volume: Volume
    horizons: dict[str, NDArray[np.float64]]
    kind: dict[str, str]


def make_earth(
    shape: tuple[int, int, int] = (64, 128, 256),
    *,
    difficulty: str = "middle",
    seed: int = 0,
    step_ms: float = 4.0,
) -> Earth:
    """A folded, faulted, eroded earth and its record, the same for the same arguments.

    Every earth has the horizons strong, weak, zero_crossing, unconformity and truncated (by it, on 14 %
    of the traces or more); all hard and some middle ones a chaos_top, some a dome_top or the wedge_top and
    wedge_base of a lens. A horizon that is all but absent, as in a tiny earth it may be, is left out.

    Shapes:    shape (inline, crossline, twt)
    Raises:    ConfigError for a difficulty that is none of easy, middle, hard; ShapeError for a tiny shape
    Cost:      some seconds and 20 bytes a sample for a volume of 64 x 128 x 256
    """
    return grow(shape, _setting(shape, difficulty), seed, step_ms, difficulty)


def relative_time(
    shape: tuple[int, int, int], *, difficulty: str = "middle", seed: int = 0, step_ms: float = 4.0
) -> NDArray[np.float32]:
    """Return the relative geologic time of the earth that `make_earth` makes of the same arguments.

    The level of each sample in the pile as it was laid down, before folds, faults and lenses: one number
    along a reflector. NaN within a dome.

    Shapes:    (inline, crossline, twt)
    Units:     samples of the pile
    Raises:    as make_earth
    """
    s, t = _setting(shape, difficulty), np.arange(shape[2], dtype=np.float32)
    plan, _ = _planned(_streams(seed, difficulty), shape, s, step_ms)
    levels = np.stack([plan.geology.levels(t, i)[2] for i in range(shape[0])])
    if dome := plan.geology.structure.dome:
        levels[t > dome.top[..., None]] = np.nan
    return levels.astype(np.float32)


def _setting(shape: tuple[int, int, int], difficulty: str) -> Setting:
    """Return the setting of a difficulty, for a shape that can hold it."""
    if difficulty not in SETTINGS:
        raise ConfigError(
            f"there is no difficulty {difficulty!r}",
            given=repr(difficulty),
            expected=", ".join(SETTINGS),
            way_out=f"use {close_match(difficulty, SETTINGS) or 'middle'}",
        )
    if len(shape) != 3 or any(n < least for n, least in zip(shape, FEWEST, strict=True)):
        raise ShapeError(
            "an earth of this shape is too small to hold its horizons",
            given=" x ".join(map(str, shape)),
            expected=f"at least {FEWEST[0]} inline, {FEWEST[1]} crosslines, {FEWEST[2]} samples",
            way_out="ask for a larger one and cut it",
        )
    return SETTINGS[difficulty]


def grow(shape: tuple[int, int, int], s: Setting, seed: int, step_ms: float, name: str) -> Earth:
    """An earth by a setting of one's own."""
    streams = _streams(seed, name)
    plan, wavelet = _planned(streams, shape, s, step_ms)
    spectrum, near, times = _lay_out(plan, shape, size=_padded(shape[2]))
    record = clean_record(spectrum, wavelet, MARGIN, shape[2], _padded(shape[2]), FINE)
    record = disturbed(streams[5], migrated(streams[4], record, near, s), wavelet, s)
    horizons = _horizons(plan, wavelet, times, shape[2])
    volume = _survey(record, streams[6], step_ms, f"{name} earth {seed}")
    return Earth(volume, {n: t * step_ms for n, t in horizons.items()}, {n: plan.kind[n] for n in horizons})


def _streams(seed: int, name: str) -> list[np.random.Generator]:
    """Return a stream of random numbers for each part, which keeps them independent."""
    return np.random.default_rng([seed, *name.encode()]).spawn(7)


def _planned(
    streams: list[np.random.Generator], shape: tuple[int, int, int], s: Setting, step_ms: float
) -> tuple[Plan, Wavelet]:
    structure = draw_structure(streams[0], shape, s)
    wavelet = draw_wavelet(streams[3], shape[:2], s, step_ms)
    return draw_plan(streams[1], streams[2], structure, shape, s, peak=wavelet.peak), wavelet


def _padded(nt: int) -> int:
    from scipy.fft import next_fast_len

    return int(next_fast_len(nt + 2 * MARGIN, real=True))


def _lay_out(
    plan: Plan, shape: tuple[int, int, int], size: int
) -> tuple[Spectrum, Cube, dict[str, NDArray[np.float64]]]:
    """Spectrum of the reflectivity, nearness to faults, and times of the levels wanted, in samples."""
    from scipy.fft import rfft

    ni, nx, nt = shape
    t = (np.arange((nt + 2 * MARGIN) * FINE + 1) / FINE - MARGIN).astype(np.float32)
    inside = np.arange(nt, dtype=np.float32)
    spectrum = np.empty((ni, nx, size // 2 + 1), np.complex64)
    near = np.empty(shape, np.float32)
    times = {name: np.empty((ni, nx)) for name in plan.levels}
    for i in range(ni):
        levels = plan.geology.levels(t, i)
        impedance = plan.geology.impedance(t, i, levels)
        reflectivity = np.diff(impedance, axis=1, prepend=impedance[:, :1])
        spectrum[i] = rfft(reflectivity, size * FINE, axis=1)[:, : size // 2 + 1]
        near[i] = plan.geology.structure.ill_imaged(np.broadcast_to(inside, (nx, nt)), i, plan.blur)
        for name, wanted in plan.levels.items():
            times[name][i] = crossing(levels[1 if name in plan.within_wedge else 2], wanted[i], t)
        times["unconformity"][i] = crossing(levels[0], plan.geology.structure.erosion[i], t)
    return spectrum, near, times


def _horizons(
    plan: Plan, wavelet: Wavelet, times: dict[str, NDArray[np.float64]], nt: int
) -> dict[str, NDArray[np.float64]]:
    """Times in samples, absent where the dome, a pinch-out or the end of the record takes them."""
    out = {}
    for name, t in times.items():
        time = t + wavelet.delay(np.pi / 2, np.nan_to_num(t) / nt) if name == "zero_crossing" else t
        gone = plan.absent.get(name, False) | ~((time >= 0) & (time <= nt - 1))
        if plan.geology.structure.dome:
            gone = gone | (time > plan.geology.structure.dome.top)
        out[name] = np.where(gone, np.nan, time)
    if plan.geology.structure.dome:
        top = plan.geology.structure.dome.top.astype(np.float64)
        seen = (top <= nt - 1) & ~plan.geology.structure.dome.flank
        out["dome_top"] = np.where(seen, top, np.nan)
    return {name: time for name, time in out.items() if np.isfinite(time).mean() >= RAREST}


def _survey(record: Cube, rng: np.random.Generator, step_ms: float, name: str) -> Volume:
    """Labels that are no indices, and a grid that is turned on the map."""
    ni, nx, nt = record.shape
    angle = rng.uniform(-0.5, 0.5)
    i, x = BIN_M * np.arange(ni)[:, None], BIN_M * np.arange(nx)[None]
    return Volume.from_array(
        record,
        inline=1001 + np.arange(ni),
        crossline=2001 + np.arange(nx),
        twt_ms=step_ms * np.arange(nt),
        x=500_000 + np.cos(angle) * x - np.sin(angle) * i,
        y=6_000_000 + np.sin(angle) * x + np.cos(angle) * i,
        name=name,
    )
