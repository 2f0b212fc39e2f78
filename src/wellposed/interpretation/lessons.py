"""Lessons from simulated earths: sections to match, and columns whose truth the head must find."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from wellposed.errors import PickError
from wellposed.interpretation.candidates import read_at
from wellposed.interpretation.features import sections
from wellposed.learning.labels import Labels
from wellposed.learning.seeds import derive_seed
from wellposed.seismic.band import Band, band_about
from wellposed.seismic.phase import phase_of_picks
from wellposed.seismic.picks import Picks
from wellposed.seismic.synthetic import Earth, make_earth, picks_on_lines, picks_scattered
from wellposed.seismic.texture import texture
from wellposed.seismic.tracker import Seeds, seeds

if TYPE_CHECKING:
    from wellposed.seismic.condition import Conditioned

Half = NDArray[np.float16]
Floats = NDArray[np.float64]

SHAPE = (40, 80, 192)
DIFFICULTIES = ("easy", "middle", "hard", "middle", "hard")
MOST_HORIZONS = 12
NOISE_MS = 1.0  # of the picks that the lessons make
PICKED, ASKED = 120, 160  # columns of a lesson that are picked, and that are asked


@dataclass(frozen=True, eq=False)
class Lesson:
    """A simulated earth, conditioned."""

    earth: Earth
    conditioned: Conditioned


@dataclass(frozen=True, eq=False)
class Question:
    """Columns that were picked, and columns whose truth is asked.

    Shapes:    read (column, D, channel); place (column,) in the band; lag (column, D), distance (column,)
    """

    picked: Half
    picked_place: Floats
    asked: Half
    asked_place: Floats
    lag: NDArray[np.float32]
    distance: Floats
    waveform: float


def lesson(seed: int, number: int) -> Lesson:
    """The earth of this number: every difficulty in turn."""
    from wellposed.seismic.condition import condition

    difficulty = DIFFICULTIES[number % len(DIFFICULTIES)]
    earth = make_earth(SHAPE, difficulty=difficulty, seed=derive_seed(seed, "earth", number) % 2**31)
    return Lesson(earth, condition(earth.volume.read(), earth.volume.survey.live))


def picks_of(earth: Earth, name: str, kind: str, seed: int) -> Picks | None:
    """Two inlines, or twelve scattered picks; None where there are fewer than four."""
    try:
        if kind == "two inlines":
            picks = picks_on_lines(earth, name, inlines=2, noise_ms=NOISE_MS, seed=seed)
        else:
            picks = picks_scattered(earth, name, count=12, noise_ms=NOISE_MS, seed=seed)
    except PickError:
        return None
    return picks if len(picks) >= 4 else None


def section_batch(lessons: Sequence[Lesson], count: int, seed: int) -> tuple[Tensor, Labels]:
    """Sections by chance, all of one direction, mirrored and turned over at times; labels in samples.

    Shapes:    (count, 3, trace, twt), labels (count, horizon, trace)
    """
    rng = np.random.default_rng(seed)
    axis = int(rng.integers(2))
    images, labels = [], []
    for _ in range(count):
        some = lessons[int(rng.integers(len(lessons)))]
        line = int(rng.integers(SHAPE[1 - axis]))
        image = sections(some.conditioned, axis, slice(line, line + 1))[0]
        step = some.earth.volume.survey.step_ms
        known = np.full((MOST_HORIZONS, SHAPE[axis]), np.nan)
        for n, z in enumerate(list(some.earth.horizons.values())[:MOST_HORIZONS]):
            known[n] = (z[line] if axis == 1 else z[:, line]) / step
        if rng.random() < 0.5:
            image, known = image[:, ::-1].copy(), known[:, ::-1]
            image[2] *= -1
        if rng.random() < 0.5:
            image[:2] *= -1
        images.append(image)
        labels.append(known)
    places = torch.from_numpy(np.stack(labels))
    return torch.from_numpy(np.stack(images)), Labels(places, places.isfinite())


def questions(some: Lesson, features: Half | None, seed: int) -> list[Question]:
    """What the head is asked about every horizon of an earth, from both kinds of picks."""
    maps = texture(some.conditioned)
    survey = some.earth.volume.survey
    out = []
    for name, truth in some.earth.horizons.items():
        for kind in ("two inlines", "scattered"):
            picks = picks_of(some.earth, name, kind, seed)
            if picks is not None:
                at = seeds(picks, survey)
                out.append(_question(some, maps, features, at, truth / survey.step_ms, seed))
    return out


def _question(
    some: Lesson, maps: NDArray[np.float32], features: Half | None, at: Seeds, truth: Floats, seed: int
) -> Question:
    rng = np.random.default_rng(seed)
    band = band_about(at.i, at.x, at.sample, some.earth.volume.survey.exists)
    asked = np.isfinite(truth)
    asked[at.i, at.x] = False
    places = np.argwhere(asked)
    i, x = places[rng.permutation(len(places))[:ASKED]].T
    some_picks = rng.permutation(len(at.i))[:PICKED]
    pi, px = at.i[some_picks], at.x[some_picks]

    def read(i: NDArray[np.int64], x: NDArray[np.int64]) -> Half:
        return read_at(maps, features, i[:, None], x[:, None], band.samples[i, x])

    phase = phase_of_picks(some.conditioned.strong, at.i, at.x, at.sample)
    return Question(
        picked=read(pi, px),
        picked_place=at.sample[some_picks] - band.first[pi, px],
        asked=read(i, x),
        asked_place=truth[i, x] - band.first[i, x],
        lag=_lag(band, i, x),
        distance=band.distance[i, x],
        waveform=phase.resultant,
    )


def _lag(band: Band, i: NDArray[np.int64], x: NDArray[np.int64]) -> NDArray[np.float32]:
    return np.abs(band.samples[i, x] - band.prior[i, x][:, None]).astype(np.float32)
