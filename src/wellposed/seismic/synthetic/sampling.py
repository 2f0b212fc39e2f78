"""Picks as an interpreter would have made them on a horizon that is known."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from wellposed.errors import ConfigError, PickError
from wellposed.seismic.picks import Picks
from wellposed.seismic.synthetic.earth import Earth

Indices = NDArray[np.intp]


def picks_on_lines(
    earth: Earth,
    name: str,
    *,
    inlines: int = 2,
    every: int = 1,
    std_ms: float = 4.0,
    noise_ms: float = 0.0,
    seed: int = 0,
) -> Picks:
    """Picks on a few evenly spaced inlines, on each `every`-th trace where the horizon exists.

    The lines lie at the middles of equal parts of the survey: two at a quarter and at three quarters.

    Units:     ms; noise_ms is what is added to the truth, std_ms what the picks say of themselves
    Raises:    ConfigError for a horizon that the earth has not; PickError where it is on none of the lines
    """
    there = _there(earth, name)
    lines = np.floor((np.arange(inlines) + 0.5) / inlines * there.shape[0]).astype(int)
    wanted = np.zeros_like(there)
    wanted[lines, ::every] = True
    return _picks(earth, name, np.nonzero(there & wanted), std_ms, noise_ms, seed)


def picks_scattered(
    earth: Earth,
    name: str,
    *,
    count: int = 12,
    std_ms: float = 4.0,
    noise_ms: float = 0.0,
    seed: int = 0,
) -> Picks:
    """Picks on traces by chance, well apart: each is the farthest from the others of a few candidates.

    Units:     as `picks_on_lines`
    Raises:    ConfigError for a horizon that the earth has not; PickError where it is nowhere
    """
    rng = np.random.default_rng(seed)
    places = np.argwhere(_there(earth, name))
    chosen = places[rng.permutation(len(places))[:1]]
    while 0 < len(chosen) < min(count, len(places)):
        some = places[rng.integers(0, len(places), 8)]
        apart = ((some[:, None] - chosen[None]) ** 2).sum(2).min(1)
        if apart.max() > 0:
            chosen = np.concatenate([chosen, some[[int(apart.argmax())]]])
    order = np.lexsort(chosen.T[::-1])
    return _picks(earth, name, (chosen[order, 0], chosen[order, 1]), std_ms, noise_ms, seed)


def _there(earth: Earth, name: str) -> NDArray[np.bool_]:
    """Live traces on which a horizon exists."""
    if name not in earth.horizons:
        raise ConfigError(
            f"the earth has no horizon {name!r}",
            given=repr(name),
            expected=", ".join(earth.horizons),
            way_out="choose one of these",
        )
    return np.isfinite(earth.horizons[name]) & earth.volume.survey.live


def _picks(
    earth: Earth, name: str, at: tuple[Indices, ...], std_ms: float, noise_ms: float, seed: int
) -> Picks:
    i, j = at
    if len(i) == 0:
        raise PickError(
            f"horizon {name} is absent on all traces to be picked",
            given="0 traces",
            expected="at least one",
            way_out="pick on more lines",
        )
    survey = earth.volume.survey
    noise = noise_ms * np.random.default_rng(seed + 1).standard_normal(len(i))
    twt = np.clip(earth.horizons[name][i, j] + noise, survey.twt_ms[0], survey.twt_ms[-1])
    return Picks(name, survey.inline[i], survey.crossline[j], twt, np.full(len(i), std_ms))
