"""What the head reads at every place that a horizon may take: texture above and below, network features."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from wellposed.seismic.condition import workers
from wellposed.seismic.texture import BROAD, DEPTH, HALO, LOCAL, WINDOWS, texture, texture_names

if TYPE_CHECKING:
    from wellposed.seismic.band import Band
    from wellposed.seismic.condition import Conditioned

Array = NDArray[np.float32]
Half = NDArray[np.float16]
Places = NDArray[Any]

LINES = 24  # inlines described at once: bounds the memory of the texture
SIDES = 6  # samples above and below at which network features are read


def candidate_names(features: int) -> list[str]:
    """Name every channel of `candidates`, in order."""
    out = []
    for n, window in enumerate(WINDOWS):
        names = texture_names()[n * len(BROAD) : (n + 1) * len(BROAD)]
        out += [f"{name} {side}" for side in ("above", "below") for name in names]
        out.append(f"dip contrast {window.offset}")
    out += list(LOCAL)
    return out + [f"feature {k} {side}" for side in ("here", "above", "below") for k in range(features)]


def candidate_tiles(
    conditioned: Conditioned, features: Half | None, band: Band, wanted: NDArray[np.bool_] | None = None
) -> Iterator[tuple[slice, Half]]:
    """Texture and features at every place of a band, some inlines at a time; those `wanted` alone if told.

    Shapes:    features (channel, inline, crossline, twt), wanted (inline,)
               -> inlines, (inline, crossline, D, channel) in float16
    Cost:      the texture of each tile and its halo
    """
    ni = band.first.shape[0]
    cuts = [slice(n, min(ni, n + LINES)) for n in range(0, ni, LINES)]
    cuts = [cut for cut in cuts if wanted is None or wanted[cut].any()]
    with ThreadPoolExecutor(workers()) as pool:
        # The next tiles are described while the caller reads this one, as many as there are threads.
        ahead = [pool.submit(_described, conditioned, features, band, cut) for cut in cuts[: workers()]]
        for n, cut in enumerate(cuts):
            read = ahead.pop(0).result()
            if n + workers() < len(cuts):
                ahead.append(pool.submit(_described, conditioned, features, band, cuts[n + workers()]))
            yield cut, read


def _described(c: Conditioned, features: Half | None, band: Band, cut: slice) -> Half:
    """Candidates of some inlines, from the part of the volume that they need: where it is cut is not seen."""
    from scipy.signal import hilbert

    start, stop = cut.start, cut.stop
    low, high = max(0, start - HALO), min(c.shape[0], stop + HALO)
    samples = band.samples[start:stop]
    top = max(0, int(samples.min()) - DEPTH)
    bottom = min(c.shape[2], int(samples.max()) + DEPTH + 1)
    part = np.s_[low:high, :, top:bottom]
    around = replace(
        c,
        strong=c.strong[part],
        light=c.light[part],
        dip_inline=c.dip_inline[part],
        dip_crossline=c.dip_crossline[part],
        live=c.live[low:high],
    )
    analytic = hilbert(c.strong[low:high], axis=2)[:, :, top:bottom]
    maps = texture(around, analytic)[:, start - low : stop - low].astype(np.float16)
    own = None if features is None else features[:, start:stop, :, top:bottom]
    i, x = np.indices((*samples.shape[:2], 1))[:2]
    return read_at(maps, own, i, x, samples - top)


def read_at(maps: NDArray[np.floating], features: Half | None, i: Places, x: Places, t: Places) -> Half:
    """Candidates at samples t of traces (i, x).

    Shapes:    maps (channel, inline, crossline, twt) as `texture` gives them; i, x, t that broadcast to
               (..., D) -> (..., D, channel)
    """

    def at(volumes: NDArray[np.floating], shift: int) -> Half:
        inside = np.clip(t + shift, 0, volumes.shape[3] - 1)
        return np.moveaxis(volumes[:, i, x, inside], 0, -1).astype(np.float16, copy=False)

    columns: list[Half] = []
    for n, window in enumerate(WINDOWS):
        broad = maps[n * len(BROAD) : (n + 1) * len(BROAD)]
        above, below = (at(broad, shift) for shift in (-window.offset, window.offset))
        turned = above[..., :2].astype(np.float32) - below[..., :2]
        columns += [above, below, np.sqrt((turned**2).sum(axis=-1, keepdims=True) + 1e-6).astype(np.float16)]
    columns.append(at(maps[len(WINDOWS) * len(BROAD) :], 0))
    if features is not None:
        columns += [at(features, shift) for shift in (0, -SIDES, SIDES)]
    return np.concatenate(columns, axis=-1)
