"""Scores of a surface: exact answers, and what a missed trace counts as."""

import numpy as np
import pytest

from wellposed.seismic.scores import rank_correlation, score


def test_scores_known_by_hand():
    truth = np.array([100.0, 100, 100, 100, 100])
    twt = np.array([100.0, 104, 108, 120, np.nan])
    std = np.array([4.0, 4, 4, 10, 1])
    s = score(twt, std, twt - 5, twt + 5, truth, step_ms=2.0)
    assert (s.n, s.missed) == (5, 1)
    assert s.mae_ms == pytest.approx(8)
    assert (s.within_4ms, s.within_8ms) == pytest.approx((0.4, 0.6))
    assert (s.within_1, s.within_2) == pytest.approx((0.2, 0.4))
    assert (s.cover_1std, s.cover_2std, s.cover_p10_p90) == pytest.approx((0.5, 1.0, 0.5))
    assert s.rank_std == pytest.approx(0.7746, abs=1e-3)


def test_a_surface_that_is_nowhere_scores_nothing():
    nothing = np.full(3, np.nan)
    s = score(nothing, nothing, nothing, nothing, np.zeros(3), 4.0).as_dict()
    assert s["missed"] == 3
    assert s["within_8ms"] == 0
    assert s["mae_ms"] is None


def test_rank_correlation():
    assert rank_correlation(np.array([1.0, 2, 3, 4]), np.array([1.0, 4, 9, 16])) == pytest.approx(1)
    assert rank_correlation(np.array([1.0, 2, 3, 4]), np.array([4.0, 3, 2, 1])) == pytest.approx(-1)
    assert np.isnan(rank_correlation(np.ones(4), np.arange(4.0)))
