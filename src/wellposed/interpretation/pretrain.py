"""Everything that the package learns before it sees a survey, from simulated earths alone.

features   sections: find the horizon of a pick in other columns (matching)
head       its prior, through Newton's method on picks, judged on other columns
terms      weights of the learned terms, by the error of surfaces
trust      std and existence, by the errors of surfaces
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from wellposed.interpretation import horizons as h
from wellposed.interpretation.features import feature_network, network_features
from wellposed.interpretation.head import Columns, HeadPrior, information, log_density
from wellposed.interpretation.lessons import Lesson, Question, lesson, picks_of, questions, section_batch
from wellposed.interpretation.matching import matching
from wellposed.interpretation.shipped import HEAD, NET, Shipped, write_shipped
from wellposed.interpretation.terms import Terms
from wellposed.interpretation.trust import ABSENCE, COVER, SIGNS, Trust, signs
from wellposed.learning import OneCycle, derive_seed, fit
from wellposed.network import Network
from wellposed.seismic.tracker import Tracker

Floats = NDArray[np.float64]
Say = Callable[[str], None]

EARTHS, EPOCHS, SECTIONS = 70, 50, 96  # of the features; sections of an epoch
HELD_OUT = 8  # earths that features and head are never fitted on
STEPS, BATCH = 400, 6  # of the head's prior; horizons of a step
NO_WAVEFORM = 4  # of the horizons of a step: those whose picks are no waveform teach the head most
KINDS = 4
GRID = ((0.0, 0.15), (0.03, 0.3), (0.1, 0.6))  # weights of the head, for reflectors and for other horizons
COSINES = (0.0, 0.5)
SWEEPS = 8  # of the surfaces that terms and trust are judged by
MISSED = 0.001  # share of existing traces that may be called absent
SAMPLE = 150  # traces a surface gives to the trust


def pretrain(
    out: Path,
    *,
    recipe: str = "imex",
    earths: int = 100,
    seed: int = 0,
    epochs: int = EPOCHS,
    say: Say = print,
) -> Shipped:
    """Learn from `earths` simulated earths, and write weights and manifest into a folder.

    The recipe `texture` has no network: its head reads texture alone.

    Raises:    FileError where it cannot be written
    Cost:      about 25 minutes on two cores with the default numbers; 15 MB an earth
    """
    start = time.monotonic()

    def told(text: str) -> None:
        say(f"{(time.monotonic() - start) / 60:5.1f} min  {text}")

    lessons = [lesson(seed, n) for n in range(earths)]
    told(f"{earths} earths made")
    learned, held_out = lessons[:-HELD_OUT], lessons[-HELD_OUT:]
    net: Network | None = None
    loss: float | None = None
    if recipe != "texture":
        net, loss = features(learned, held_out, recipe, epochs, seed, told)
    prior, scale, gain = head(learned, held_out, net, seed, told)
    blank = Shipped(
        net,
        prior,
        scale,
        Terms(cosine_reflector=max(COSINES) if net else 0.0),
        Trust(tuple(np.eye(len(SIGNS))[1]), (5.0,) + (0.0,) * 5),
    )
    shipped = judged(blank, held_out, seed, told)
    about = {
        "command": f"wellposed pretrain --recipe {recipe} --earths {earths} --epochs {epochs} --seed {seed}",
        "minutes": round((time.monotonic() - start) / 60, 1),
        "matching_loss": None if loss is None else round(loss, 4),
        "nats_a_trace": gain,
    }
    write_shipped(shipped, out, about | versions())
    files = [n for n in (NET, HEAD) if (out / n).exists()]
    write_shipped(shipped, out, about | versions() | {"hash": {n: _hash(out / n) for n in files}})
    told(f"written to {out}")
    return shipped


def features(
    learned: Sequence[Lesson], held_out: Sequence[Lesson], recipe: str, epochs: int, seed: int, say: Say
) -> tuple[Network, float]:
    """Network of the features, and its matching loss on held-out earths."""
    net = feature_network(recipe, seed)
    test = section_batch(held_out, 32, derive_seed(seed, "held out"))

    def sections(epoch_seed: int) -> tuple[Tensor, Any]:
        return section_batch(learned, SECTIONS, epoch_seed)

    run = fit(net, matching(), sections, epochs=epochs, seed=seed, rate=OneCycle(3e-3, epochs), held_out=test)
    for record in run:
        if record.epoch % 5 == 4:
            say(f"features {record}")
    assert run.best is not None
    net.load_state_dict(run.best.weights)
    return net.requires_grad_(False).eval(), float(run.best.record.held_out or 0.0)


def head(
    learned: Sequence[Lesson], held_out: Sequence[Lesson], net: nn.Module | None, seed: int, say: Say
) -> tuple[HeadPrior, tuple[NDArray[np.float32], NDArray[np.float32]], dict[str, float]]:
    """Prior of the head, scale of its channels, and the nats a trace that it gains on held-out earths."""

    def asked(some: Lesson) -> list[Question]:
        found = None if net is None else network_features(net, some.conditioned)
        return questions(some, found, seed)

    train = [q for some in learned for q in asked(some)]
    test = [q for some in held_out for q in asked(some)]
    say(f"{len(train)} questions for the head, {len(test)} held out")
    values = np.concatenate([q.asked[::8, ::5].reshape(-1, q.asked.shape[2]) for q in train]).astype(
        np.float32
    )
    scale = values.mean(axis=0), values.std(axis=0) + np.float32(1e-3)
    prior = HeadPrior(values.shape[1], KINDS, seed=seed)
    width = nn.Parameter(torch.tensor([0.5, 0.5]))
    optimizer = torch.optim.Adam([*prior.parameters(), width], 0.02)
    rng = np.random.default_rng(seed)
    hard = [q for q in train if q.waveform < 0.5]
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # thousands of small Newton steps: threads only wait for one another
    for step in range(STEPS):
        for group in optimizer.param_groups:
            group["lr"] = 0.02 * (1 - 0.95 * step / STEPS)
        optimizer.zero_grad()
        for n in range(BATCH):
            pool = hard if n < NO_WAVEFORM and hard else train
            after, before = _answered(prior, pool[int(rng.integers(len(pool)))], scale, width)
            (-(after + 0.3 * before) / BATCH).backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(prior.parameters(), 1.0)
        optimizer.step()
    torch.set_num_threads(threads)
    prior.requires_grad_(False)
    gain: dict[str, list[float]] = {"waveform": [], "no waveform": []}
    with torch.no_grad():
        for q in test:
            after, before = _answered(prior, q, scale, width)
            gain["waveform" if q.waveform >= 0.5 else "no waveform"].append(float(after - before))
    means = {kind: round(float(np.mean(v)), 3) for kind, v in gain.items() if v}
    say(f"head gains {means} nats a trace over the interpolation")
    return prior, scale, means


def _answered(
    prior: HeadPrior, q: Question, scale: tuple[NDArray[np.float32], NDArray[np.float32]], width: Tensor
) -> tuple[Tensor, Tensor]:
    """Information of the head's density in the asked columns, and of the interpolation alone."""
    read = torch.from_numpy(h.scaled(q.picked, scale))
    place = torch.from_numpy(q.picked_place.astype(np.float32))
    fitted = prior.fit(Columns(read, torch.zeros(read.shape[:2]), place, torch.ones_like(place)))
    near, far = torch.nn.functional.softplus(width)
    spread = near + far * torch.from_numpy(q.distance.astype(np.float32)).sqrt()
    base = -torch.from_numpy(q.lag) / spread[:, None]
    truth = torch.from_numpy(q.asked_place.astype(np.float32))
    columns = Columns(torch.from_numpy(h.scaled(q.asked, scale)), base, truth, torch.ones_like(truth))
    after = information(log_density(*fitted, columns.features, base), columns)
    return after, information(torch.log_softmax(base, dim=1), columns)


def judged(shipped: Shipped, lessons: Sequence[Lesson], seed: int, say: Say) -> Shipped:
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


def versions() -> dict[str, str]:
    """Of this package and of torch."""
    from wellposed import __version__

    return {"wellposed": __version__, "torch": torch.__version__.split("+")[0]}


def _hash(path: Path) -> str:
    return hashlib.blake2b(path.read_bytes(), digest_size=16).hexdigest()
