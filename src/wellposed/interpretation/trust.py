"""How wrong a surface may be: a std that keeps its word, and the probability that there is a horizon at all.

Both are learned on simulated earths from what the surface's own model says. The marginals of the model
rank the traces; how wide they are in milliseconds, and what absence looks like, only truth can say.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from statistics import NormalDist
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from wellposed.seismic.finish import filled
from wellposed.seismic.horizons import Density

if TYPE_CHECKING:
    from wellposed.interpretation.hold_out import Hidden
    from wellposed.seismic.horizons import Horizon
    from wellposed.seismic.tracker import Evidence, Found

Floats = NDArray[np.float64]

SIGNS = ("one", "log std", "log distance", "boundary", "misfit", "roughness")
FARTHEST = 40.0  # traces to the picks that the simulated earths can show: beyond it nothing was learned
ABSENCE = ("one", "boundary", "misfit", "roughness")  # being far from picks, or unsure, is not absence
LEAST_MS = 0.25  # std that nothing on a sampled survey can be below
COVER = 0.68  # of the true times lie within one std
PATIENCE = 10  # hidden picks that outweigh what was learned on simulated earths
WIDEST = 8.0  # times the std of the marginals: beyond it the density would be an invention


@dataclass(frozen=True)
class Trust:
    """log std = std . signs,  logit of existence = existence . signs (see `signs`)."""

    std: tuple[float, ...]
    existence: tuple[float, ...]

    def times(self, width: float) -> Trust:
        """The same trust with every std multiplied by `width`."""
        return replace(self, std=(self.std[0] + float(np.log(width)), *self.std[1:]))

    def applied(self, horizon: Horizon, evidence: Evidence, found: Found) -> Horizon:
        """The horizon with its std, quantiles, density and probability as learned.

        The density keeps its shape and is stretched about the surface until it has the std.
        """
        s = signs(evidence, found, horizon.survey.step_ms)
        exists = horizon.survey.exists
        std = np.maximum(np.exp(s @ np.array(self.std)), LEAST_MS)
        ratio = np.clip(std / horizon.twt_std_ms, 1 / WIDEST, WIDEST)
        z = horizon.twt_ms
        low = z + ratio * (horizon.twt_p10_ms - z)
        high = z + ratio * (horizon.twt_p90_ms - z)
        probability = np.where(exists, 1 / (1 + np.exp(-(s @ np.array(self.existence)))), 0.0)
        return replace(
            horizon,
            twt_std_ms=np.where(exists, std, np.nan),
            twt_p10_ms=np.minimum(low, z - 0.2 * std),
            twt_p90_ms=np.maximum(high, z + 0.2 * std),
            probability=probability,
            density=None if horizon.density is None else stretched(horizon.density, z, ratio),
        )


def width(hidden: Hidden) -> float:
    """What the std must be multiplied by, one or more, so that hidden picks lie within it as they should.

    The quantile at COVER of |error| / std over the hidden picks and PATIENCE draws of a normal
    distribution, which is what was learned on simulated earths. Picks that were hidden together count
    as one: their errors have one cause. Hidden picks never narrow the std: picks are made where the
    horizon is clear, and say nothing good about where it is not.
    """
    if hidden.parts == 0:
        return 1.0
    ideal = [NormalDist().inv_cdf(0.5 + 0.5 * (k + 0.5) / PATIENCE) for k in range(PATIENCE)]
    ratio = np.concatenate([hidden.error / hidden.std, ideal])
    weight = np.concatenate([np.full(len(hidden.error), hidden.parts / len(hidden.error)), np.ones(PATIENCE)])
    order = np.argsort(ratio)
    below = (np.cumsum(weight[order]) - 0.5 * weight[order]) / weight.sum()
    return max(1.0, float(np.interp(COVER, below, ratio[order])))


def signs(evidence: Evidence, found: Found, step_ms: float) -> Floats:
    """What tells errors: see `SIGNS`.

    log of the marginals' std in ms; log(1 + distance to the picks); whether the picks are no waveform;
    1 - correlation with the picks on the surface, smoothed; how far it is from its smooth self in samples.

    Shapes:    -> (inline, crossline, sign)
    """
    from scipy.ndimage import gaussian_filter, median_filter

    band = evidence.band
    place = np.clip(np.rint(found.sample - band.first), 0, band.size - 1).astype(np.int64)
    fit = np.take_along_axis(evidence.score, place[:, :, None], 2)[:, :, 0].astype(np.float64)
    fit, sample = (filled(v, band.exists) for v in (fit, found.sample))
    rough = np.abs(sample - median_filter(sample, 9, mode="nearest"))
    columns = [
        np.ones_like(found.sample),
        np.log(np.maximum(found.std * step_ms, LEAST_MS)),
        np.log1p(np.minimum(band.distance, FARTHEST)),
        np.full_like(found.sample, 1 - evidence.phase.weight),
        gaussian_filter(1 - fit, 2.0),
        np.log1p(gaussian_filter(rough, 2.0)),
    ]
    return np.stack(columns, axis=-1)


def stretched(density: Density, z_ms: Floats, ratio: Floats) -> Density:
    """The density of each trace scaled about its surface: p'(t) = p(z + (t - z) / ratio), summing to one."""
    p = density.probability
    size = p.shape[2]
    place = (z_ms - density.first_ms) / density.step_ms
    k = np.arange(size)
    out = np.empty_like(p)
    for i in range(len(p)):
        at = place[i][:, None] + (k - place[i][:, None]) / ratio[i][:, None]
        at = np.where(np.isfinite(at), at, 0)
        low = np.clip(np.floor(at), 0, size - 2).astype(np.int64)
        share = np.clip(at - low, 0, 1).astype(np.float32)
        inside = (at >= -0.5) & (at <= size - 0.5)
        values = (1 - share) * np.take_along_axis(p[i], low, 1) + share * np.take_along_axis(p[i], low + 1, 1)
        values = np.where(inside, values, 0) + np.float32(1e-12)
        out[i] = values / values.sum(axis=1, keepdims=True)
    return replace(density, probability=out)
