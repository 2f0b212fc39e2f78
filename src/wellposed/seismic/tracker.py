"""The classical tracker: one surface of least cost through the picks, led by correlation.

Links between neighbouring traces say how the reflector goes on, correlation with the picks' waveforms
which reflector it is, the interpolation of the picks where to look. The phase of the picks decides how
far the waveform leads: where it is not constant there is no waveform to follow, and smoothness about the
interpolation takes over. Every part is public, because the learned method adds its own links and costs
to these.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from wellposed.errors import PickError
from wellposed.seismic.condition import Conditioned, condition, workers

if TYPE_CHECKING:
    from wellposed.seismic.band import Band
    from wellposed.seismic.horizons import Horizon
    from wellposed.seismic.links import Links
    from wellposed.seismic.phase import Phase
    from wellposed.seismic.picks import Picks
    from wellposed.seismic.surface import Model
    from wellposed.seismic.survey import Survey
    from wellposed.seismic.volume import Volume

Array = NDArray[np.float32]
Floats = NDArray[np.float64]
Places = NDArray[np.int64]

RING_SWEEPS = 6  # of a surface from which only anchors are taken


@dataclass(frozen=True)
class Costs:
    """Weights of the terms of a surface's cost; slopes are relative to the interpolation of the picks.

    evidence (1 - correlation with the picks) (floor + (1 - floor) exp(-distance / 12 traces))
    + links (link) + slant |k - g| + quad (k - g)^2, or a jump for cap + growth |k|, + pull |lag|
    """

    evidence: float = 1.0
    floor: float = 0.5
    links: float = 1.0
    pull: float = 0.012
    slant: float = 0.03
    quad: float = 0.0
    cap: float = 3.0
    growth: float = 0.0

    def blend(self, other: Costs, weight: float) -> Costs:
        """Weight of these costs and 1 - weight of the other ones."""
        pairs = {f.name: (getattr(self, f.name), getattr(other, f.name)) for f in fields(self)}
        return Costs(**{name: weight * a + (1 - weight) * b for name, (a, b) in pairs.items()})


@dataclass(frozen=True)
class Tracker:
    """Settings of the classical tracker; one set for lines and volumes, few picks and many.

    `half_window` and `link_std` are in samples, `carry` in traces (picks that far away count a quarter
    of those on the spot), `inverse_temperature` divides the costs before they become a density.
    """

    reflector: Costs = Costs()
    boundary: Costs = Costs(evidence=0.7, floor=1.0, links=0.3, pull=0.03, slant=0.03, quad=0.1, cap=5.0)
    reach: int = 6
    link_std: float = 4.0
    half_window: int = 16
    carry: float = 20.0
    sweeps: int = 20
    inverse_temperature: float = 2.0
    bridge: float = 0.2


@dataclass(frozen=True, eq=False)
class Seeds:
    """Picks of one horizon on the grid: traces (i, x), fractional samples, std in samples."""

    i: Places
    x: Places
    sample: Floats
    std: Floats


@dataclass(frozen=True, eq=False)
class Evidence:
    """What the volume says about one horizon, in its band.

    Shapes:    score (inline, crossline, D), correlation with the picks' waveforms
    """

    band: Band
    phase: Phase
    score: Array
    links: Links


@dataclass(frozen=True, eq=False)
class Found:
    """A surface in samples, how far to trust it, and the density it comes from.

    Shapes:    sample, std, low, high (inline, crossline); density (inline, crossline, D)
    """

    sample: Floats
    std: Floats
    low: Floats
    high: Floats
    density: Array


def seeds(picks: Picks, survey: Survey) -> Seeds:
    """The picks as traces and samples of the survey.

    Raises:    PickError where there is none, or where one lies on a line that the survey has not
    """
    if len(picks) == 0:
        raise PickError(
            f"horizon {picks.name} has no picks",
            given="no pick",
            expected="at least one pick to start from",
            way_out="add a pick of this horizon",
        )
    i, x = picks.at(survey)
    outside = (i < 0) | (x < 0)
    if outside.any():
        inline, crossline = picks.inline[outside][0], picks.crossline[outside][0]
        raise PickError(
            f"picks of {picks.name} lie outside the survey",
            given=f"{int(outside.sum())} of {len(picks)}, the first at {inline}/{crossline}",
            expected=survey.describe(),
            way_out="remove those picks, or exchange inline and crossline",
        )
    sample = (picks.twt_ms - survey.twt_ms[0]) / survey.step_ms
    return Seeds(i, x, sample, picks.std_ms / survey.step_ms)


def gather(
    prepared: Conditioned,
    at: Seeds,
    exists: NDArray[np.bool_],
    settings: Tracker,
    picks: Seeds | None = None,
    window: Band | None = None,
    links: Links | None = None,
) -> Evidence:
    """Band, phase, correlation and links of one horizon.

    `at` may hold anchors beside the picks; then half of every template is that of the picks alone, and
    they alone say what the phase is. With a `window` the samples of its band are taken; `links` that
    are known there are not computed again.
    """
    from wellposed.seismic.band import band_about
    from wellposed.seismic.evidence import carried, correlation, waveforms
    from wellposed.seismic.links import correlation_links
    from wellposed.seismic.phase import phase_of_picks

    band = band_about(at.i, at.x, at.sample, exists)
    if window is not None:
        band = replace(band, first=window.first, size=window.size)
    shape = (exists.shape[0], exists.shape[1])

    def template(s: Seeds) -> Array:
        w = waveforms(prepared.strong, s.i, s.x, s.sample, settings.half_window)
        return carried(w, s.i, s.x, shape, settings.carry)

    own = at if picks is None or len(picks.i) == len(at.i) else picks
    phase = phase_of_picks(prepared.strong, own.i, own.x, own.sample)
    mean = template(at) if own is at else 0.5 * (template(at) + template(own))
    score = correlation(prepared.strong, band, mean)
    if links is None:
        links = correlation_links(prepared.strong, band, settings.reach, settings.link_std)
    return Evidence(band, phase, score, links)


def costs_of(phase: Phase, settings: Tracker) -> Costs:
    """Between a reflector's costs and a boundary's, as the phase of the picks says."""
    return settings.reflector.blend(settings.boundary, phase.weight)


def unary_costs(evidence: Evidence, at: Seeds, live: NDArray[np.bool_], samples: int, costs: Costs) -> Array:
    """Cost of every sample of the band, picks included; a trace without amplitudes says nothing.

    Shapes:    (inline, crossline, D)
    """
    band = evidence.band
    trust = costs.floor + (1 - costs.floor) * np.exp(-band.distance / 12)
    weight = (costs.evidence * trust * live).astype(np.float32)
    out: Array = weight[:, :, None] * (1 - evidence.score)
    lag = band.lag
    allowed = (5 + 1.8 * band.distance).astype(np.float32)[:, :, None]
    out += np.float32(costs.pull) * np.minimum(lag, 40) + np.float32(0.3) * np.maximum(lag - allowed, 0)
    out[(band.samples < 2) | (band.samples > samples - 3)] += 5
    away = np.abs(band.samples[at.i, at.x] - at.sample[:, None]) / np.maximum(at.std, 0.5)[:, None]
    out[at.i, at.x] += np.minimum(1.5 * np.maximum(away - 0.5, 0), 15).astype(np.float32)
    return out


def model_of(evidence: Evidence, unary: Array, costs: Costs) -> Model:
    """The surface's cost from its parts."""
    from wellposed.seismic.surface import Model, Prices

    band = evidence.band
    prices = Prices(costs.slant, costs.quad, costs.cap, costs.growth)
    links = evidence.links.times(costs.links)
    return Model(unary, band.first, links, band.exists, prices, band.prior)


def solve(model: Model, evidence: Evidence, at: Seeds, settings: Tracker) -> Found:
    """The surface of least cost, refined and cleaned, and its density.

    A reflector is refined on the correlation; the further a horizon is from a waveform, the more the
    mean of the density is taken instead.
    """
    from scipy.ndimage import gaussian_filter

    from wellposed.seismic import finish
    from wellposed.seismic.surface import marginals, minimum_surface

    band, weight = evidence.band, evidence.phase.weight
    with ThreadPoolExecutor(workers()) as pool:
        least = pool.submit(minimum_surface, model, settings.sweeps)
        wide = pool.submit(marginals, model, settings.inverse_temperature, settings.sweeps)
    place, density = least.result().place, wide.result()
    sharp = band.first + finish.refined(evidence.score, place)
    raw = weight * sharp + (1 - weight) * finish.mean_sample(density, band)
    surface = finish.cleaned(finish.filled(raw, band.exists), band.exists)
    fit = np.take_along_axis(evidence.score, place[:, :, None], 2)[:, :, 0].astype(np.float64)
    sure = gaussian_filter(finish.filled(fit, band.exists), 1.0) > settings.bridge
    sure[at.i, at.x] = True
    surface = finish.bridged(surface, sure, band.exists)
    low, high = (finish.quantile(density, band, q) for q in finish.QUANTILES)
    return Found(surface, finish.spread(density, band, surface), low, high, density)


def track(
    volume: Volume, picks: Picks, settings: Tracker | None = None, prepared: Conditioned | None = None
) -> Horizon:
    """The surface through the picks with the least cost of links, correlation and distance.

    `prepared` is `condition(volume.read(), volume.survey.live)`; hand it over to track several horizons.

    Units:     ms
    Raises:    PickError where there is no pick
    Cost:      conditioning, once a volume; then links, (4 sweeps) messages and 8 D bytes a trace and term
    """
    from wellposed.seismic.outward import anchored

    survey = volume.survey
    settings = settings or Tracker()
    at = seeds(picks, survey)
    if prepared is None:
        prepared = condition(volume.read(), survey.live)
    ring = surfaces(prepared, at, replace(settings, sweeps=min(settings.sweeps, RING_SWEEPS)))
    found, band = surfaces(prepared, at, settings)(anchored(at, survey.exists, ring), survey.exists)
    return as_horizon(found, band, survey, picks.name)


def surfaces(
    prepared: Conditioned, at: Seeds, settings: Tracker
) -> Callable[[Seeds, NDArray[np.bool_]], tuple[Found, Band]]:
    """The tracker's surface as a function of what is known (the picks `at`, perhaps anchors) and where."""

    def surface(known: Seeds, exists: NDArray[np.bool_]) -> tuple[Found, Band]:
        evidence = gather(prepared, known, exists, settings, at)
        costs = costs_of(evidence.phase, settings)
        unary = unary_costs(evidence, known, prepared.live, prepared.shape[2], costs)
        return solve(model_of(evidence, unary, costs), evidence, known, settings), evidence.band

    return surface


def as_horizon(found: Found, band: Band, survey: Survey, name: str) -> Horizon:
    """Samples become milliseconds; what is not in the survey is absent."""
    from wellposed.seismic.horizons import Density, Horizon

    start, step = float(survey.twt_ms[0]), float(survey.step_ms)

    def time(sample: Floats) -> Floats:
        return np.where(survey.exists, start + step * sample, np.nan)

    return Horizon(
        name=name,
        survey=survey,
        twt_ms=time(found.sample),
        twt_std_ms=np.where(survey.exists, step * found.std, np.nan),
        twt_p10_ms=time(found.low),
        twt_p90_ms=time(found.high),
        probability=survey.exists.astype(np.float64),
        density=Density(start + step * band.first.astype(np.float64), step, found.density),
    )
