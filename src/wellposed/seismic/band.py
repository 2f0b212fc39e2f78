"""The band of samples that a horizon can reach, about the interpolation of its picks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wellposed.seismic.interpolate import distance_to_picks, interpolate

Floats = NDArray[np.float64]

LEAST, LARGEST = 20, 64  # samples above and below the interpolation that the band holds


@dataclass(frozen=True, eq=False)
class Band:
    """On each trace the samples first .. first + size - 1 about the interpolation of the picks.

    `exists` says which traces are in the survey: a surface has no neighbour across the others.

    Shapes:    prior, distance, first, exists (inline, crossline)
    Units:     prior in samples, distance in traces to the nearest pick
    """

    prior: Floats
    distance: Floats
    first: NDArray[np.int32]
    size: int
    exists: NDArray[np.bool_]

    @property
    def samples(self) -> NDArray[np.int32]:
        """The samples of the volume that the band holds, (inline, crossline, size)."""
        return np.asarray(self.first[:, :, None] + np.arange(self.size), np.int32)

    @property
    def lag(self) -> NDArray[np.float32]:
        """Distance of every sample of the band from the interpolation, in samples."""
        return np.abs(self.samples - self.prior[:, :, None]).astype(np.float32)

    def gather(self, volume: NDArray[np.float32]) -> NDArray[np.float32]:
        """The values of a volume in the band; beyond its first and last sample those are repeated."""
        inside = np.clip(self.samples, 0, volume.shape[2] - 1)
        return np.take_along_axis(volume, inside, 2)


def band_about(
    i: NDArray[np.int64],
    x: NDArray[np.int64],
    sample: Floats,
    exists: NDArray[np.bool_],
    reach: int | None = None,
) -> Band:
    """Band about the interpolation of picks at traces (i, x) and fractional samples.

    Its half width is 10 + 1.8 samples for each trace of distance to the picks (97 % of the traces),
    between 20 and 64, unless `reach` says it.

    Shapes:    i, x, sample (pick,); exists (inline, crossline)
    """
    shape = (exists.shape[0], exists.shape[1])
    prior = np.asarray(interpolate(i, x, sample, shape), np.float64)
    distance = np.asarray(distance_to_picks(i, x, shape), np.float64)
    if reach is None:
        reach = int(np.clip(10 + 1.8 * np.percentile(distance[exists], 97), LEAST, LARGEST))
    first = (np.rint(prior) - reach).astype(np.int32)
    return Band(prior, distance, first, 2 * reach + 1, exists)
