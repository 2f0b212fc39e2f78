"""Weights of the learned terms, std and existence, by the errors of surfaces on simulated earths."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from wellposed.interpretation import horizons as h
from wellposed.interpretation.lessons import Lesson, picks_of
from wellposed.interpretation.shipped import Shipped
from wellposed.interpretation.terms import Terms
from wellposed.interpretation.trust import ABSENCE, COVER, SIGNS, Trust, signs
from wellposed.seismic.links import Links
from wellposed.seismic.phase import CONSTANT, phase_of_picks
from wellposed.seismic.picks import Picks
from wellposed.seismic.tracker import Evidence, Found, Tracker, seeds

Floats = NDArray[np.float64]
Say = Callable[[str], None]

GRID = ((0.0, 0.15), (0.03, 0.3), (0.1, 0.6))  # weights of the head, for reflectors and for other horizons
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


@dataclass(frozen=True, eq=False)
class Case:
    """A horizon with its picks, described once; `links` by correlation (False) and learned (True)."""

    prepared: h.Prepared
    described: h.Described
    links: dict[bool, Links]
    picks: Picks
    truth: Floats

    def surface(self, shipped: Shipped, terms: Terms) -> tuple[Evidence, Found]:
        """What the job would find with these terms."""
        described = replace(self.described, links=self.links[terms.learned_links])
        settings = Tracker(sweeps=SWEEPS)
        return h.surface(self.prepared, described, self.picks, shipped, terms, settings)

    def error_ms(self, found: Found) -> Floats:
        """|z - truth| on every trace, NaN where the horizon does not exist."""
        survey = self.prepared.survey
        error: Floats = np.abs(survey.twt_ms[0] + survey.step_ms * found.sample - self.truth)
        return error


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
                described = h.describe(prepared, picks, shipped)
                links = {
                    learned: h.links_of(prepared, described.window, Terms(learned_links=learned), Tracker())
                    for learned in _kinds_of_links(shipped)
                }
                yield Case(prepared, described, links, picks, truth)


def _kinds_of_links(shipped: Shipped) -> tuple[bool, ...]:
    return (False, True) if shipped.net else (False,)


def _best_terms(shipped: Shipped, cases: Sequence[Case]) -> Terms:
    """Weights by the geometric mean of errors: of the head for each kind of horizon, links for all."""
    waveform = []
    for case in cases:
        at = seeds(case.picks, case.prepared.survey)
        phase = phase_of_picks(case.prepared.conditioned.strong, at.i, at.x, at.sample)
        waveform.append(phase.resultant >= CONSTANT)
    one = np.array(waveform)

    def best(learned: bool) -> tuple[float, Terms]:
        logs = np.array(
            [[_log_error(case, shipped, Terms(*heads, learned)) for case in cases] for heads in GRID]
        )
        first = int(logs[:, one].sum(axis=1).argmin())
        second = int(logs[:, ~one].sum(axis=1).argmin())
        total = float(logs[first, one].sum() + logs[second, ~one].sum())
        return total, Terms(GRID[first][0], GRID[second][1], learned)

    found = [best(learned) for learned in _kinds_of_links(shipped)]
    return min(found, key=lambda pair: pair[0])[1]


def _log_error(case: Case, shipped: Shipped, terms: Terms) -> float:
    error = case.error_ms(case.surface(shipped, terms)[1])
    return float(np.log(np.nanmean(error) + 0.2))


def _fitted_trust(shipped: Shipped, cases: Sequence[Case]) -> Trust:
    """Quantile regression of log errors, and logistic regression of existence, on the signs."""
    rows, errors, exist = [], [], []
    rng = np.random.default_rng(0)
    for case in cases:
        evidence, found = case.surface(shipped, shipped.terms)
        s = signs(evidence, found, case.prepared.survey.step_ms).reshape(-1, len(SIGNS))
        error, truth = case.error_ms(found).ravel(), case.truth
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
