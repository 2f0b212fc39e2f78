"""Picks that are hidden in turn: what a method predicts there is its honest error on this survey."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from wellposed.seismic.horizons import Horizon
    from wellposed.seismic.picks import Picks

MOST_ONE_BY_ONE = 30
BLOCKS = 8


def folds(picks: Picks) -> list[NDArray[np.int64]]:
    """Leave one out up to 30 picks, else eight spatial blocks; nothing where a fold would leave no pick."""
    n = len(picks)
    if n < 2:
        return []
    if n <= MOST_ONE_BY_ONE:
        return [np.array([k]) for k in range(n)]
    from scipy.cluster.vq import kmeans2

    places = np.column_stack([picks.inline, picks.crossline]).astype(float)
    _, group = kmeans2(places, BLOCKS, minit="++", rng=np.random.default_rng(0))
    return [np.flatnonzero(group == b) for b in np.unique(group)]


def held_out(
    picks: Picks, solve: Callable[[Picks, int], Horizon], parts: list[NDArray[np.int64]]
) -> NDArray[np.float64]:
    """Absolute error in ms at every pick of `parts`, predicted from the picks outside its part.

    `solve` gets the picks that are left, and the number of the part that is hidden.
    """
    errors = []
    for n, part in enumerate(parts):
        hidden, rest = picks.take(part), picks.take(np.setdiff1d(np.arange(len(picks)), part))
        horizon = solve(rest, n)
        errors.append(np.abs(horizon.twt_ms[hidden.at(horizon.survey)] - hidden.twt_ms))
    return np.concatenate(errors) if errors else np.zeros(0)
