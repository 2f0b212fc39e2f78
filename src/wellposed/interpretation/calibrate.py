"""Weights of the learned terms, std and existence, by the errors of surfaces on simulated earths."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wellposed.interpretation import horizons as h
from wellposed.interpretation.lessons import Lesson, picks_of
from wellposed.interpretation.shipped import Shipped
from wellposed.interpretation.terms import Terms
from wellposed.interpretation.trust import ABSENCE, COVER, SIGNS, Trust, signs
from wellposed.seismic.tracker import Tracker

Floats = NDArray[np.float64]
Say = Callable[[str], None]

GRID = ((0.0, 0.15), (0.03, 0.3), (0.1, 0.6))  # weights of the head, for reflectors and for other horizons
COSINES = (0.0, 0.5)
SWEEPS = 8  # of the surfaces that terms and trust are judged by
MISSED = 0.001  # share of existing traces that may be called absent
SAMPLE = 150  # traces a surface gives to the trust


def calibrated(shipped: Shipped, lessons: Sequence[Lesson], seed: int, say: Say) -> Shipped:
    """The same with the weights of the terms and the trust that surfaces on these earths ask for."""
    cases = list(_cases(lessons, shipped, seed))
    say(f"{len(cases)} surfaces to judge the terms by")
    terms = _best_terms(shipped, cases)
    say(f"terms {terms}")
    trust = _fitted_trust(replace(shipped, terms=terms), cases)
    say(f"trust {trust}")
    return replace(shipped, terms=terms, trust=trust)


Case = tuple[h.Prepared, h.Described, Any, Floats]


def _cases(lessons: Sequence[Lesson], shipped: Shipped, seed: int) -> Iterator[Case]:
    """Horizons with one kind of picks each, in turn."""
    count = 0
    for some in lessons:
        prepared = h.prepare(some.earth.volume, shipped, some.conditioned)
        for name, truth in some.earth.horizons.items():
            count += 1
            kind = ("two inlines", "scattered")[count % 2]
            picks = picks_of(some.earth, name, kind, seed)
            if picks is not None:
                yield prepared, h.describe(prepared, picks, shipped), picks, truth


def _best_terms(shipped: Shipped, cases: Sequence[Case]) -> Terms:
    """Weights by the geometric mean of errors, reflectors and other horizons apart."""
    from wellposed.seismic.phase import CONSTANT, phase_of_picks
    from wellposed.seismic.tracker import seeds

    waveform = []
    for prepared, _, picks, _ in cases:
        at = seeds(picks, prepared.survey)
        phase = phase_of_picks(prepared.conditioned.strong, at.i, at.x, at.sample)
        waveform.append(phase.resultant >= CONSTANT)
    tried: dict[tuple[float, float, float], Floats] = {}
    for reflector, boundary in GRID:
        for cosine in COSINES if shipped.net else (0.0,):
            terms = Terms(reflector, boundary, cosine, 0.0)
            errors = [_error(case, shipped, terms) for case in cases]
            tried[reflector, boundary, cosine] = np.log(np.array(errors) + 0.2)
    one, other = np.array(waveform), ~np.array(waveform)
    first = min(tried, key=lambda k: tried[k][one].mean())
    second = min(tried, key=lambda k: tried[k][other].mean()) if other.any() else first
    return Terms(first[0], second[1], first[2], 0.0)


def _error(case: Case, shipped: Shipped, terms: Terms) -> float:
    prepared, described, picks, truth = case
    found = h.solve(prepared, described, picks, shipped, terms, sweeps=SWEEPS)
    return float(np.nanmean(np.abs(found.twt_ms - truth)))


def _fitted_trust(shipped: Shipped, cases: Sequence[Case]) -> Trust:
    """Quantile regression of log errors, and logistic regression of existence, on the signs."""
    rows, errors, exist = [], [], []
    rng = np.random.default_rng(0)
    for prepared, described, picks, truth in cases:
        evidence, found = h.surface(
            prepared, described, picks, shipped, shipped.terms, Tracker(sweeps=SWEEPS)
        )
        s = signs(evidence, found, prepared.survey.step_ms).reshape(-1, len(SIGNS))
        z = prepared.survey.twt_ms[0] + prepared.survey.step_ms * found.sample
        error = np.abs(z - truth).ravel()
        some = rng.permutation(len(error))[:SAMPLE]
        rows.append(s[some])
        errors.append(error[some])
        exist.append(np.isfinite(truth).ravel()[some])
    S, e, there = np.concatenate(rows), np.concatenate(errors), np.concatenate(exist)
    known = there & np.isfinite(e)
    std = _quantile_regression(S[known], np.log(np.maximum(e[known], 0.05)))
    return Trust(std, _logistic_regression(S, there.astype(float)))


def _quantile_regression(S: Floats, log_error: Floats) -> tuple[float, ...]:
    """argmin_w mean of the pinball loss at COVER of log |error| - w . signs."""
    from scipy.optimize import linprog

    n, m = S.shape
    cost = np.concatenate([np.zeros(2 * m), np.full(n, COVER), np.full(n, 1 - COVER)])
    equal = np.hstack([S, -S, np.eye(n), -np.eye(n)])
    found = linprog(cost, A_eq=equal, b_eq=log_error, bounds=(0, None), method="highs")
    return tuple(float(v) for v in found.x[:m] - found.x[m : 2 * m])


def _logistic_regression(S: Floats, there: Floats) -> tuple[float, ...]:
    """argmin_w of the cross entropy over the signs of absence, with a little pull to zero.

    Then raised until at most `MISSED` of the traces on which a horizon exists are said to have none: a
    horizon that is wrongly left out costs an interpreter more than one that is shown with a wide std.
    """
    from scipy.optimize import minimize

    used = np.isin(SIGNS[: S.shape[1]], ABSENCE)
    T = S[:, used]

    def loss(w: Floats) -> tuple[float, Floats]:
        a = T @ w
        p = 1 / (1 + np.exp(-a))
        value = float(np.mean(np.logaddexp(0, a) - there * a)) + 1e-3 * float(w @ w)
        return value, T.T @ (p - there) / len(T) + 2e-3 * w

    w = np.zeros(S.shape[1])
    w[used] = minimize(loss, np.zeros(T.shape[1]), jac=True).x
    w[0] += max(0.0, -float(np.quantile((S @ w)[there > 0.5], MISSED)))
    return tuple(float(v) for v in w)
