"""Horizons from few picks: the tracker's evidence and what simulated earths teach, in one surface.

    E(z) = tracker's terms (waveform, continuity, picks)
           + links (max_k cos f(s, z_s) f(t, z_s + k) - cos f(s, z_s) f(t, z_t))   how learned features go on
           + head  min(-log p_head(z), cap)                                        texture on both sides

The phase of the picks says which leads: a reflector follows its waveform, another boundary its texture.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from wellposed.interpretation.candidates import LINES, candidate_tiles
from wellposed.interpretation.head import Columns, HeadPrior, log_density
from wellposed.interpretation.terms import Terms
from wellposed.seismic import tracker as t
from wellposed.seismic.band import Band, band_about
from wellposed.seismic.interpolate import interpolate_at
from wellposed.seismic.outward import anchored

if TYPE_CHECKING:
    from wellposed.interpretation.shipped import Shipped
    from wellposed.seismic.condition import Conditioned
    from wellposed.seismic.horizons import Horizon
    from wellposed.seismic.links import Links
    from wellposed.seismic.picks import Picks
    from wellposed.seismic.survey import Survey
    from wellposed.seismic.volume import Volume

Array = NDArray[np.float32]
Half = NDArray[np.float16]
Bytes = NDArray[np.uint8]
Flags = NDArray[np.bool_]

MOST_PICKS = 400  # that the head is fitted on: more of them on a line say the same
MOST_SAID = 16.0  # nats that a head can say against a place
LEAST_STD = 0.5  # samples: a pick is not better than that
WIDEST = 32  # samples by which hidden picks may widen a band: more would cost memory for picks that are lost
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

    `anchors` carry the surface beyond the hull of all picks. `says[0]` is what the head fitted on all
    picks says against each place of the band, in counts of `MOST_SAID / 255`; says[1 + n] what it says
    when the picks of part n of `parts` are hidden. `links` are those that the terms ask for.

    The window is `margin` samples wider above and below than the band of all picks: so far off are some
    hidden picks from the interpolation of the others, whose band must not be known from them.

    Shapes:    says (head, inline, crossline, D)
    """

    anchors: t.Seeds
    window: Band
    margin: int
    parts: Sequence[NDArray[np.int64]]
    says: Bytes
    links: Links

    def of_all_picks(self) -> Described:
        """The same without what was kept for hidden picks: the band of all picks, and their head alone."""
        if self.margin == 0 and len(self.says) == 1:
            return self
        window = _wider(self.window, -self.margin)
        cut = slice(self.margin, self.margin + window.size)
        said = self.says[:1, :, :, cut].copy()
        return Described(self.anchors, window, 0, (), said, self.links.cut(cut))


def prepare(volume: Volume, shipped: Shipped, conditioned: Conditioned | None = None) -> Prepared:
    """Condition the volume, and run the shipped network over its sections."""
    from wellposed.interpretation.features import network_features
    from wellposed.seismic.condition import condition

    c = conditioned or condition(volume.read(), volume.survey.live)
    features = None if shipped.net is None else network_features(shipped.net, c)
    return Prepared(volume.survey, c, features)


def describe(
    prepared: Prepared, picks: Picks, shipped: Shipped, parts: Sequence[NDArray[np.int64]] = ()
) -> Described:
    """The band of a horizon, and what its head says there; also with some parts of the picks hidden."""
    survey, c = prepared.survey, prepared.conditioned
    at = t.seeds(picks, survey)
    settings = t.Tracker()
    ring = t.surfaces(c, at, replace(settings, sweeps=t.RING_SWEEPS))
    known, n = anchored(at, survey.exists, ring), len(at.i)
    margin = margin_of(at, parts)
    window = _wider(band_about(known.i, known.x, known.sample, survey.exists), margin)
    anchors = t.Seeds(known.i[n:], known.x[n:], known.sample[n:], known.std[n:])
    said = _said(prepared, window, margin, at, shipped, parts)
    return Described(
        anchors, window, margin, parts, said, links_of(prepared, window, shipped.terms, settings)
    )


def links_of(prepared: Prepared, window: Band, terms: Terms, settings: t.Tracker) -> Links:
    """Links of learned features where the terms ask for them and a network is there, else by correlation."""
    from wellposed.seismic.links import correlation_links, feature_links

    if terms.learned_links and prepared.features is not None:
        return feature_links(prepared.features, window, settings.reach)
    return correlation_links(prepared.conditioned.strong, window, settings.reach, settings.link_std)


def solve(
    prepared: Prepared,
    described: Described,
    picks: Picks,
    shipped: Shipped,
    terms: Terms | None = None,
    sweeps: int = 20,
    hidden: int | None = None,
    where: Flags | None = None,
) -> Horizon:
    """The surface through the picks, with its density, on every trace of the survey, or some of them.

    Where part `hidden` of the picks is hidden, all anchors are too: they were carried from all picks.
    """
    survey = prepared.survey
    terms, settings = terms or shipped.terms, t.Tracker(sweeps=sweeps)
    evidence, found = surface(prepared, described, picks, shipped, terms, settings, hidden, where)
    return shipped.trust.applied(t.as_horizon(found, evidence.band, survey, picks.name), evidence, found)


def surface(
    prepared: Prepared,
    described: Described,
    picks: Picks,
    shipped: Shipped,
    terms: Terms,
    settings: t.Tracker,
    hidden: int | None = None,
    where: Flags | None = None,
) -> tuple[t.Evidence, t.Found]:
    """The surface in samples with the evidence it stands on, before trust is applied."""
    survey, c = prepared.survey, prepared.conditioned
    terms = terms.on_line() if survey.is_line else terms
    at = t.seeds(picks, survey)
    known = _joined(at, described.anchors) if hidden is None else at
    exists = survey.exists if where is None else where
    if hidden is None:
        described = described.of_all_picks()
    evidence = t.gather(c, known, exists, settings, at, described.window, described.links)
    phase = replace(evidence.phase, shift=evidence.phase.shift + terms.lead)
    evidence = replace(evidence, phase=phase)
    costs = t.costs_of(phase, settings)
    unary = t.unary_costs(evidence, known, c.live, c.shape[2], costs)
    head = terms.head(phase.weight)
    if head > 0:
        said = described.says[0 if hidden is None else 1 + hidden].astype(np.float32) * (MOST_SAID / 255)
        unary += (head * c.live)[:, :, None].astype(np.float32) * np.minimum(said, np.float32(terms.cap))
    return evidence, t.solve(t.model_of(evidence, unary, costs), evidence, known, settings)


def margin_of(at: t.Seeds, parts: Sequence[NDArray[np.int64]]) -> int:
    """How far hidden picks lie from the interpolation of the others, in samples, the farthest of them."""
    farthest, places = 0.0, np.column_stack([at.i, at.x]).astype(float)
    for part in parts:
        rest = np.setdiff1d(np.arange(len(at.i)), part)
        prior = interpolate_at(at.i[rest], at.x[rest], at.sample[rest], places[part])
        farthest = max(farthest, float(np.abs(prior - at.sample[part]).max()))
    return int(np.ceil(min(farthest, WIDEST)))


def _wider(band: Band, margin: int) -> Band:
    return replace(band, first=band.first - margin, size=band.size + 2 * margin)


def _said(
    prepared: Prepared,
    window: Band,
    margin: int,
    at: t.Seeds,
    shipped: Shipped,
    parts: Sequence[NDArray[np.int64]],
) -> Bytes:
    """What the heads say, all of them in one pass over the volume: see `Described`.

    The head of all picks sees their band alone, and its products have one shape: it says the same, to the
    bit, whether picks are hidden beside it or not.
    """
    c, n = prepared.conditioned, len(at.i)
    out = np.zeros((1 + len(parts), *window.first.shape, window.size), np.uint8)
    if n < 2:
        return out
    lines = np.bincount(at.i, minlength=len(window.first)) > 0
    picked = np.empty((n, window.size, len(shipped.scale[0])), np.float32)
    tiles = candidate_tiles(c, prepared.features, window, lines)
    once = list(tiles) if len(lines) <= LINES else None  # a survey of one tile is described once
    for tile, read in once or tiles:
        inside = (at.i >= tile.start) & (at.i < tile.stop)
        picked[inside] = scaled(read[at.i[inside] - tile.start, at.x[inside]], shipped.scale)
    inner, whole = slice(margin, window.size - margin), slice(None)
    everything = np.arange(n)
    with torch.no_grad():
        own = _fitted(picked[:, inner], _wider(window, -margin), at, everything, shipped.prior)
        groups: list[tuple[slice, slice, torch.Tensor, torch.Tensor]]
        groups = [(slice(0, 1), inner, own[0][None], own[1][None])]
        if parts:
            kept = [np.setdiff1d(everything, part) for part in parts]
            fitted = [_fitted(picked, window, at, some, shipped.prior) for some in kept]
            heads, shares = (torch.stack(values) for values in zip(*fitted, strict=True))
            groups.append((slice(1, None), whole, heads, shares))
        for tile, read in once or candidate_tiles(c, prepared.features, window):
            for i, line in enumerate(read, tile.start):
                features = torch.from_numpy(scaled(line, shipped.scale))
                for group, places, heads, share in groups:
                    seen = features[:, places].contiguous()
                    cost = -log_density(heads, share, seen, torch.zeros(seen.shape[:2]))
                    cost -= cost.amin(dim=-1, keepdim=True)
                    counts = (cost * (255 / MOST_SAID) + 0.5).clamp(0, 255)
                    out[group, i, :, places] = counts.to(torch.uint8).numpy()
    return out


def _fitted(
    picked: Array, window: Band, at: t.Seeds, some: NDArray[np.int64], prior: HeadPrior
) -> tuple[torch.Tensor, torch.Tensor]:
    """The heads of all kinds, fitted on some of the picks."""
    thinned = some[np.unique(np.linspace(0, len(some) - 1, min(len(some), MOST_PICKS)).round().astype(int))]
    place = at.sample[thinned] - window.first[at.i[thinned], at.x[thinned]]
    std = np.maximum(at.std[thinned], LEAST_STD)
    read = torch.from_numpy(picked[thinned])
    place_, std_ = (torch.from_numpy(v.astype(np.float32)) for v in (place, std))
    return prior.fit(Columns(read, torch.zeros(read.shape[:2]), place_, std_))


def scaled(described: Half, scale: tuple[Array, Array]) -> Array:
    """Channels of mean zero and variance one over simulated earths, clipped."""
    mean, std = scale
    out: Array = described.astype(np.float32)
    out -= mean
    out /= std
    return np.clip(out, -CLIP, CLIP, out=out)


def _joined(a: t.Seeds, b: t.Seeds) -> t.Seeds:
    pairs = ((a.i, b.i), (a.x, b.x), (a.sample, b.sample), (a.std, b.std))
    return t.Seeds(*(np.concatenate(pair) for pair in pairs))  # type: ignore[arg-type]
