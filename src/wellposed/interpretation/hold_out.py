"""Picks that are hidden in turn: what a method predicts there is its honest error on this survey."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from wellposed.seismic.horizons import Horizon
    from wellposed.seismic.picks import Picks
    from wellposed.seismic.survey import Survey

MOST_ONE_BY_ONE = 30
BLOCKS = 8
MARGIN = 15  # traces


@dataclass(frozen=True, eq=False)
class Hidden:
    """What was predicted at hidden picks: the absolute error, and the std that was said beside it.

    Shapes:    error, std (pick,), part after part; sizes (part,): how many picks were hidden together
    Units:     ms
    """

    error: NDArray[np.float64]
    std: NDArray[np.float64]
    sizes: tuple[int, ...]

    @property
    def parts(self) -> int:
        """Into how many parts the picks were hidden."""
        return len(self.sizes)

    @property
    def logs(self) -> list[float]:
        """Mean of log(1 ms + error) in each part: what weighs a halved small error as a halved large one."""
        each = np.split(np.log1p(self.error), np.cumsum(self.sizes)[:-1])
        return [round(float(e.mean()), 4) for e in each if len(e)]

    @property
    def typical(self) -> float | None:
        """exp(mean of `logs`) - 1 ms: one part that is far off does not rule it, as it does the mean."""
        return round(float(np.expm1(np.mean(self.logs))), 4) if self.logs else None

    @property
    def mean(self) -> float | None:
        """Mean absolute error, None where nothing was hidden."""
        return round(float(self.error.mean()), 4) if len(self.error) else None


def folds(picks: Picks, survey: Survey, seed: int = 0) -> list[NDArray[np.int64]]:
    """Leave one out up to 30 picks, else eight spatial blocks; nothing where a fold would leave no pick.

    `seed` is that of the first centres of the blocks.
    """
    n = len(picks)
    if n < 2:
        return []
    if n <= MOST_ONE_BY_ONE:
        return [np.array([k]) for k in range(n)]
    from scipy.cluster.vq import kmeans2

    places = np.column_stack(picks.at(survey)).astype(float)
    _, group = kmeans2(places, BLOCKS, minit="++", rng=np.random.default_rng(seed))
    return [np.flatnonzero(group == b) for b in np.unique(group)]


def surroundings(picks: Picks, part: NDArray[np.int64], survey: Survey) -> NDArray[np.bool_]:
    """Traces around hidden picks, as far as the picks that are left and half as far again.

    What lies beyond does not reach the hidden picks, and need not be solved to judge them.

    Shapes:    -> (inline, crossline)
    """
    from scipy.spatial import cKDTree

    places = np.column_stack(picks.at(survey)).astype(float)
    hidden, rest = places[part], np.delete(places, part, axis=0)
    reach = 1.5 * cKDTree(rest).query(hidden)[0] + MARGIN
    grid = np.indices(survey.shape[:2]).reshape(2, -1).T
    near = np.zeros(len(grid), bool)
    for place, far in zip(hidden, reach, strict=True):
        near |= np.hypot(*(grid - place).T) <= far
    return near.reshape(survey.shape[:2]) & survey.exists


def held_out(
    picks: Picks, solve: Callable[[Picks, int], Horizon], parts: Sequence[NDArray[np.int64]]
) -> Hidden:
    """What is predicted at every pick of `parts` from the picks outside its part.

    `solve` gets the picks that are left, and the number of the part that is hidden.
    """
    errors, stds = [np.zeros(0)], [np.zeros(0)]
    for n, part in enumerate(parts):
        hidden, rest = picks.take(part), picks.take(np.setdiff1d(np.arange(len(picks)), part))
        horizon = solve(rest, n)
        at = hidden.at(horizon.survey)
        errors.append(np.abs(horizon.twt_ms[at] - hidden.twt_ms))
        stds.append(horizon.twt_std_ms[at])
    return Hidden(np.concatenate(errors), np.concatenate(stds), tuple(len(p) for p in parts))
