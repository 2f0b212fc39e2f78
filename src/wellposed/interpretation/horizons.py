"""Horizons from few picks: the tracker's evidence and what simulated earths teach, in one surface.

    E(z) = tracker's terms (links by correlation, waveform, continuity, picks)
           + weight_head  min(-log p_head(z), cap)          which texture is on both sides
           + weight_links (1 - cos f(s, z_s) f(t, z_t))     how the learned features go on

The phase of the picks says which leads: a reflector follows its waveform, another boundary its texture.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from wellposed.interpretation.candidates import candidates
from wellposed.interpretation.head import Columns, HeadPrior, log_density
from wellposed.interpretation.terms import Terms
from wellposed.seismic import tracker as t
from wellposed.seismic.band import Band, band_about
from wellposed.seismic.outward import anchored

if TYPE_CHECKING:
    from wellposed.interpretation.shipped import Shipped
    from wellposed.seismic.condition import Conditioned
    from wellposed.seismic.horizons import Horizon
    from wellposed.seismic.picks import Picks
    from wellposed.seismic.survey import Survey
    from wellposed.seismic.volume import Volume

Array = NDArray[np.float32]
Half = NDArray[np.float16]
Flags = NDArray[np.bool_]

MOST_PICKS = 400  # that the head is fitted on: more of them on a line say the same
CLIP = 4.0  # standard deviations beyond which a channel says nothing more


@dataclass(frozen=True, eq=False)
class Prepared:
    """What depends on the survey only, computed once for all its horizons.

    Shapes:    features (channel, inline, crossline, twt), of unit length, or None
    """

    survey: Survey
    conditioned: Conditioned
    features: Half | None


@dataclass(frozen=True, eq=False)
class Described:
    """What depends on the picks of a horizon through their band only, so that hidden picks cost little.

    `anchors` carry the surface beyond the hull of all picks.
    """

    anchors: t.Seeds
    window: Band
    candidates: Half


def prepare(volume: Volume, shipped: Shipped, conditioned: Conditioned | None = None) -> Prepared:
    """Condition the volume, and run the shipped network over its sections."""
    from wellposed.interpretation.features import network_features
    from wellposed.seismic.condition import condition

    c = conditioned or condition(volume.read(), volume.survey.live)
    features = None if shipped.net is None else network_features(shipped.net, c)
    return Prepared(volume.survey, c, features)


def describe(prepared: Prepared, picks: Picks, file: Path | None = None) -> Described:
    """The band of a horizon, and what its head may read there."""
    survey, c = prepared.survey, prepared.conditioned
    at = t.seeds(picks, survey)
    settings = t.Tracker()

    def surface(known: t.Seeds, exists: Flags) -> tuple[t.Found, Band]:
        evidence = t.gather(c, known, exists, settings, at)
        costs = t.costs_of(evidence.phase, settings)
        unary = t.unary_costs(evidence, known, c.live, c.shape[2], costs)
        return t.solve(t.model_of(evidence, unary, costs), evidence, known, settings), evidence.band

    known, n = anchored(at, survey.exists, surface), len(at.i)
    window = band_about(known.i, known.x, known.sample, survey.exists)
    anchors = t.Seeds(known.i[n:], known.x[n:], known.sample[n:], known.std[n:])
    return Described(anchors, window, candidates(c, prepared.features, window, file))


def solve(
    prepared: Prepared,
    described: Described,
    picks: Picks,
    shipped: Shipped,
    terms: Terms | None = None,
    sweeps: int = 20,
    hidden: bool = False,
) -> Horizon:
    """The surface through the picks, with its density, on every trace of the survey.

    Where some picks are `hidden`, anchors are too: they were carried from all picks.
    """
    survey = prepared.survey
    terms, settings = terms or shipped.terms, t.Tracker(sweeps=sweeps)
    evidence, found = surface(prepared, described, picks, shipped, terms, settings, hidden)
    return shipped.trust.applied(t.as_horizon(found, evidence.band, survey, picks.name), evidence, found)


def surface(
    prepared: Prepared,
    described: Described,
    picks: Picks,
    shipped: Shipped,
    terms: Terms,
    settings: t.Tracker,
    hidden: bool = False,
) -> tuple[t.Evidence, t.Found]:
    """The surface in samples with the evidence it stands on, before trust is applied."""
    survey, c = prepared.survey, prepared.conditioned
    at = t.seeds(picks, survey)
    known = at if hidden else _joined(at, described.anchors)
    evidence = t.gather(c, known, survey.exists, settings, at, described.window)
    costs = t.costs_of(evidence.phase, settings)
    unary = t.unary_costs(evidence, known, c.live, c.shape[2], costs)
    head, cosine = terms.at(evidence.phase.weight)
    band = evidence.band
    if head > 0 and len(at.i) > 1:
        cost = head_cost(described.candidates, band, at, shipped.prior, shipped.scale, terms.cap)
        unary += (head * c.live)[:, :, None].astype(np.float32) * cost
    if cosine > 0 and prepared.features is not None:
        from wellposed.seismic.links import feature_links

        learned = feature_links(prepared.features, band, settings.reach)
        evidence = replace(evidence, links=evidence.links + learned.times(cosine))
    return evidence, t.solve(t.model_of(evidence, unary, costs), evidence, known, settings)


def head_cost(
    described: Half, band: Band, at: t.Seeds, prior: HeadPrior, scale: tuple[Array, Array], cap: float
) -> Array:
    """-log p of the head fitted on the picks, at most `cap` above its least, at every place of the band.

    Shapes:    described (inline, crossline, D, channel) -> (inline, crossline, D)
    """
    chosen = np.unique(np.linspace(0, len(at.i) - 1, min(len(at.i), MOST_PICKS)).round().astype(int))
    i, x = at.i[chosen], at.x[chosen]
    place = torch.from_numpy((at.sample[chosen] - band.first[i, x]).astype(np.float32))
    std = torch.from_numpy(np.maximum(at.std[chosen], 0.5).astype(np.float32))
    read = torch.from_numpy(scaled(described[i, x], scale))
    with torch.no_grad():
        heads, share = prior.fit(Columns(read, torch.zeros(read.shape[:2]), place, std))
        out = np.empty((*band.first.shape, band.size), np.float32)
        for line in range(len(out)):
            features = torch.from_numpy(scaled(described[line], scale))
            out[line] = -log_density(heads, share, features, torch.zeros(features.shape[:2])).numpy()
    out -= out.min(axis=2, keepdims=True)
    return np.minimum(out, np.float32(cap))


def scaled(described: Half, scale: tuple[Array, Array]) -> Array:
    """Channels of mean zero and variance one over simulated earths, clipped."""
    mean, std = scale
    return np.clip((described.astype(np.float32) - mean) / std, -CLIP, CLIP)


def _joined(a: t.Seeds, b: t.Seeds) -> t.Seeds:
    pairs = ((a.i, b.i), (a.x, b.x), (a.sample, b.sample), (a.std, b.std))
    return t.Seeds(*(np.concatenate(pair) for pair in pairs))  # type: ignore[arg-type]
