"""Beyond the picks: the surface is carried outward ring by ring, each ring an anchor for the next.

Interpolation knows nothing outside the hull of the picks, and a band about a constant soon loses the horizon.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from wellposed.seismic.band import Band
from wellposed.seismic.interpolate import distance_to_picks, outside_hull
from wellposed.seismic.tracker import Found, Seeds

Flags = NDArray[np.bool_]

RING = 40  # traces by which the surface is carried at a time
LEAN = 60  # traces about a ring that its surface leans on
THIN = 8  # traces from anchor to anchor
LEAST_STD, MOST_STD = 2.0, 4.0  # samples: an anchor is no pick, and what is less sure is no anchor
ROUNDS = 60


def anchored(at: Seeds, exists: Flags, solve: Callable[[Seeds, Flags], tuple[Found, Band]]) -> Seeds:
    """The picks, and anchors on the traces that lie outside their hull and far from it.

    `solve(known, exists)` is the surface on some of the traces from picks and anchors.

    Cost:      one surface a ring, on the ring and what it leans on
    """
    from scipy.ndimage import distance_transform_edt

    shape = (exists.shape[0], exists.shape[1])
    outside = outside_hull(at.i, at.x, shape) & exists
    known = at
    for _ in range(ROUNDS):
        distance = distance_to_picks(known.i, known.x, shape)
        ring = outside & (distance > RING / 2) & (distance <= RING)
        if not (outside & (distance > RING)).any() or not ring.any():
            break
        near = exists & (distance <= RING + THIN) & (distance_transform_edt(~ring) <= LEAN)
        found, _ = solve(known, near)
        rows, columns = np.indices(shape)
        new = ring & ((columns % THIN == 0) | (shape[1] < THIN))
        new &= (rows % THIN == 0) | (shape[0] < THIN)
        new &= found.std <= MOST_STD
        if not new.any():
            break
        i, x = np.nonzero(new)
        std = np.maximum(found.std[i, x], LEAST_STD)
        known = Seeds(
            *(np.concatenate(p) for p in zip(_parts(known), (i, x, found.sample[i, x], std), strict=True))
        )
    return known


def _parts(s: Seeds) -> tuple[NDArray[np.generic], ...]:
    return s.i, s.x, s.sample, s.std
