"""How near a surface is to a truth, and how honest its std."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

ROUNDING = 1e-6  # ms: times in files are rounded


@dataclass(frozen=True)
class Score:
    """Errors on the traces of a truth; a trace without a surface is missed and lies outside every bound.

    Units:     mae in ms over the traces that are not missed; within_1 and within_2 in samples;
               cover: share of the traces not missed whose truth lies within one std, two, p10 to p90;
               rank_std: Spearman's correlation of the std with the absolute error
    """

    n: int
    missed: int
    mae_ms: float
    within_4ms: float
    within_8ms: float
    within_1: float
    within_2: float
    cover_1std: float
    cover_2std: float
    cover_p10_p90: float
    rank_std: float

    def as_dict(self) -> dict[str, Any]:
        """Plain numbers, rounded to four decimals; what is not a number is None."""
        return {
            k: v if isinstance(v, int) else (round(v, 4) if np.isfinite(v) else None)
            for k, v in asdict(self).items()
        }


def score(twt: Floats, std: Floats, low: Floats, high: Floats, truth: Floats, step_ms: float) -> Score:
    """Score of a surface, its std and its quantiles against a truth, trace by trace.

    Shapes:    all (trace,); a surface that is absent is not a number
    """
    there = np.isfinite(twt)
    error = np.where(there, np.abs(twt - truth), np.inf)
    e, s = error[there], std[there]
    inside = ((truth >= low) & (truth <= high))[there]
    four, eight, one, two = (float((error <= b + ROUNDING).mean()) for b in (4.0, 8.0, step_ms, 2 * step_ms))
    return Score(
        n=len(truth),
        missed=int((~there).sum()),
        mae_ms=_share(e),
        within_4ms=four,
        within_8ms=eight,
        within_1=one,
        within_2=two,
        cover_1std=_share(e <= s),
        cover_2std=_share(e <= 2 * s),
        cover_p10_p90=_share(inside),
        rank_std=rank_correlation(s, e),
    )


def _share(values: NDArray[Any]) -> float:
    return float(values.mean()) if len(values) else float("nan")


def rank_correlation(a: Floats, b: Floats) -> float:
    """Spearman's rank correlation; not a number where one of them does not vary."""
    from scipy.stats import spearmanr

    if len(a) < 3 or np.ptp(a) == 0 or np.ptp(b) == 0:
        return float("nan")
    return float(spearmanr(a, b).statistic)
