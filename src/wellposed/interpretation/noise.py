"""How far horizons move when noise of the survey's own spectrum is added to it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from wellposed.interpretation.horizons import describe, prepare, solve
from wellposed.interpretation.terms import Terms
from wellposed.seismic.picks import Picks
from wellposed.seismic.volume import Volume

if TYPE_CHECKING:
    from wellposed.interpretation.shipped import Shipped
    from wellposed.seismic.horizons import Horizon

Floats = NDArray[np.float64]

WIDE = (24, 48)  # traces of a window, along its short and its long side
ABOUT_MS = 300.0  # above and below all horizons
FEWEST = 4  # picks in a window: with less, points of the surface stand in
NET = 3  # of these along each side


@dataclass(frozen=True)
class Moved:
    """How far a surface moved at one strength of noise.

    mean_ms    mean absolute change, of the traces on which it exists with and without noise
    share      of those, how many moved by more than a sample
    lost       share of its traces on which it no longer exists
    """

    ratio_db: float
    mean_ms: float
    share: float
    lost: float


@dataclass(frozen=True, eq=False)
class Asked:
    """A horizon of a run: its picks and surface, and the terms and width of std that it was made with."""

    picks: Picks
    horizon: Horizon
    terms: Terms
    width: float


@dataclass(frozen=True, eq=False)
class Window:
    """A small part of a survey, as a volume of its own, and what was taken, in words."""

    volume: Volume
    inline: slice
    crossline: slice
    words: str


@dataclass(frozen=True)
class InNoise:
    """How far one horizon moved: its curve, its mean std in the run, and which picks led it, in words."""

    curve: list[Moved]
    std_ms: float
    led_by: str


def noise_like(amplitude: NDArray[np.float32], live: NDArray[np.bool_], seed: int = 0) -> NDArray[np.float32]:
    """Random traces with the mean amplitude spectrum and the mean energy of the live ones; others are zero.

    From trace to trace they are independent.

    Shapes:    amplitude (inline, crossline, twt), live (inline, crossline) -> as amplitude
    """
    rng, n = np.random.default_rng(seed), amplitude.shape[2]
    out = np.zeros_like(amplitude)
    traces = amplitude[live].astype(np.float64)
    if not traces.size:
        return out
    spectrum = np.abs(np.fft.rfft(traces, axis=1)).mean(axis=0)
    shaped = np.fft.irfft(spectrum * np.fft.rfft(rng.standard_normal(traces.shape), axis=1), n, axis=1)
    size = np.sqrt((shaped**2).mean()) or 1.0
    out[live] = shaped * (np.sqrt((traces**2).mean()) / size)
    return out


def window_about(volume: Volume, horizons: Sequence[Horizon], picks: Sequence[Picks]) -> Window:
    """The part of a survey with the most picks, of at most 24 x 48 traces, 300 ms about all horizons."""
    s = volume.survey
    ni, nx, _ = s.shape
    wide = WIDE if ni <= nx else WIDE[::-1]
    cells = np.concatenate([np.column_stack(p.at(s)) for p in picks])
    best: tuple[slice, slice] | None = None
    most = -1
    for i, x in cells:
        cut = _about(i, wide[0], ni), _about(x, wide[1], nx)
        inside = [(c >= k.start) & (c < k.stop) for c, k in zip(cells.T, cut, strict=True)]
        if (count := int((inside[0] & inside[1]).sum())) > most:
            best, most = cut, count
    assert best is not None
    times = np.concatenate([h.twt_ms[best][np.isfinite(h.twt_ms[best])] for h in horizons])
    near = np.ones(len(s.twt_ms), bool)
    if times.size:
        near = (s.twt_ms >= times.min() - ABOUT_MS) & (s.twt_ms <= times.max() + ABOUT_MS)
    twt = slice(int(near.argmax()), len(near) - int(near[::-1].argmax()))
    part = Volume.from_array(
        volume.read(*best, twt),
        inline=s.inline[best[0]],
        crossline=s.crossline[best[1]],
        twt_ms=s.twt_ms[twt],
        name=s.name,
    )
    whole = part.survey.shape == s.shape
    words = (
        "the whole survey"
        if whole
        else f"a window with {most} pick{'s' if most != 1 else ''}: {part.survey.describe()}"
    )
    return Window(part, *best, words)


def moved(
    window: Window, asked: Sequence[Asked], shipped: Shipped, ratios_db: Sequence[float], *, seed: int = 0
) -> list[InNoise]:
    """How far the surface of each horizon moves within a window.

    The surface is found anew without noise and with each strength of it, by the same picks; both differ from
    that of the run, which saw the whole survey. The noise is one draw, scaled.

    Units:     ratios in dB: energy of the traces to that of the noise
    Cost:      what depends on the volume alone, and each surface: once, and once for each ratio
    """
    led = [_picks(window, a) for a in asked]
    amplitude, survey = window.volume.read(), window.volume.survey
    noise = noise_like(amplitude, survey.live, seed)

    def found(scale: float) -> list[Horizon]:
        s = survey
        noisy = amplitude + np.float32(scale) * noise
        volume = Volume.from_array(noisy, inline=s.inline, crossline=s.crossline, twt_ms=s.twt_ms)
        prepared = prepare(volume, shipped)
        surfaces = []
        for a, (picks, _) in zip(asked, led, strict=True):
            sure = replace(shipped, trust=shipped.trust.times(a.width))
            surfaces.append(solve(prepared, describe(prepared, picks, shipped), picks, sure, a.terms))
        return surfaces

    still = found(0.0)
    noisy = [found(10 ** (-db / 20)) for db in ratios_db]
    out = []
    for n, (a, (_, words)) in enumerate(zip(asked, led, strict=True)):
        each = zip(ratios_db, noisy, strict=True)
        curve = [_moved(db, still[n], horizons[n], survey.step_ms) for db, horizons in each]
        std = a.horizon.twt_std_ms[window.inline, window.crossline]
        out.append(InNoise(curve, float(np.nanmean(std)) if np.isfinite(std).any() else np.nan, words))
    return out


def _moved(ratio_db: float, still: Horizon, noisy: Horizon, step_ms: float) -> Moved:
    before, both = still.exists, still.exists & noisy.exists
    apart = np.abs(noisy.twt_ms - still.twt_ms)[both]
    mean, share = (float(apart.mean()), float((apart > step_ms).mean())) if apart.size else (np.nan, np.nan)
    return Moved(ratio_db, mean, share, float(1 - both.sum() / max(1, int(before.sum()))))


def _about(place: int, wide: int, n: int) -> slice:
    """Up to `wide` indices about a place, inside 0 to n."""
    first = int(min(max(0, place - wide // 2), max(0, n - wide)))
    return slice(first, min(n, first + wide))


def _picks(window: Window, asked: Asked) -> tuple[Picks, str]:
    """The picks in a window; where they are few, points of the surface that was found stand in for them."""
    s, p = window.volume.survey, asked.picks
    i, x = s.index(p.inline, p.crossline)
    own = p.take(np.flatnonzero((i >= 0) & (x >= 0)))
    if len(own) >= FEWEST:
        return own, f"{len(own)} of its {len(p)} picks"
    h = asked.horizon
    rows, columns = (np.unique(np.linspace(0, n - 1, NET).astype(int)) for n in s.shape[:2])
    cells = [(a + window.inline.start, b + window.crossline.start) for a in rows for b in columns]
    picked = {(int(a), int(b)) for a, b in zip(own.inline, own.crossline, strict=True)}
    lines = h.survey.inline, h.survey.crossline
    points = [
        (int(lines[0][a]), int(lines[1][b]), float(h.twt_ms[a, b]), float(h.twt_std_ms[a, b]))
        for a, b in cells
        if h.exists[a, b] and (int(lines[0][a]), int(lines[1][b])) not in picked
    ]
    added = np.array(points).reshape(-1, 4)
    joined = Picks(
        p.name,
        np.concatenate([own.inline, added[:, 0].astype(np.int64)]),
        np.concatenate([own.crossline, added[:, 1].astype(np.int64)]),
        np.concatenate([own.twt_ms, added[:, 2]]),
        np.concatenate([own.std_ms, np.maximum(added[:, 3], 1.0)]),
    )
    return joined, f"{len(own)} of its {len(p)} picks and {len(points)} points of its surface"
