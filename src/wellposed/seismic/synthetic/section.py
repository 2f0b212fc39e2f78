"""From the history and the rocks of an earth to its impedance and its horizons, one inline at a time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wellposed.seismic.synthetic.fields import Cube, Section
from wellposed.seismic.synthetic.rocks import Body, Layers, Wedge
from wellposed.seismic.synthetic.structure import Structure

Values = NDArray[np.float32]

BROKEN = 1.0  # samples of level within one fine cell: a fault or the erosion lies between its edges
TORN = 0.25  # of a cell: less level than that lies in it only where a reverse fault repeats the pile
SALT = 2.5  # impedance of the dome, in standard deviations of the layers


@dataclass(frozen=True, eq=False)
class Geology:
    """All that lies in the ground; `salt` is the texture within the dome."""

    structure: Structure
    layers: Layers
    wedge: Wedge | None
    bodies: tuple[Body, ...]
    salt: Cube | None = None

    def levels(self, t: Values, i: int) -> tuple[Section, Section, Section]:
        """Restored times, levels, and levels as if there were no wedge, of the times t on inline i."""
        restored = self.structure.restore(np.broadcast_to(t, (self.structure.erosion.shape[1], t.size)), i)
        level = self.structure.level(restored, i)
        return restored, level, self._closed(level, i, None)

    def impedance(self, t: Values, i: int, levels: tuple[Section, Section, Section]) -> Section:
        """Mean impedance of the cells between the times t of inline i."""
        restored, level, closed = levels
        step = np.float32(t[1] - t[0])
        width, low, high = np.diff(level), closed[:, :-1].copy(), closed[:, 1:]
        broken = (width > BROKEN) | (width < TORN * step)
        width[broken], low[broken] = step, high[broken] - step
        integral = self.layers.integral(closed, self.layers.weights[:, i, :, None])
        impedance = np.diff(integral) / width
        if self.wedge:
            impedance += self.wedge.impedance * (1 - (high - low) / width)
        j, k = np.nonzero(broken)
        impedance[j, k] = self._across(restored, level, i, (j, k), step)
        for body in self.bodies:
            covered = np.minimum(high, body.base[i][:, None]) - np.maximum(low, body.top[i][:, None])
            fill = body.impedance[i][:, None]
            if body.texture is not None:
                fill = fill + _at_cells(body.texture[i], t)
            impedance += np.clip(covered / width, 0, 1) * (fill - impedance)
        if self.structure.dome and self.salt is not None:
            inside = np.clip((t[1:] - self.structure.dome.top[i][:, None]) / step, 0, 1)
            impedance += inside * (SALT + _at_cells(self.salt[i], t) - impedance)
        return impedance

    def _across(
        self, restored: Section, level: Section, i: int, cells: tuple[NDArray[np.intp], ...], step: np.float32
    ) -> Values:
        """Mean impedance of cells that a fault or the erosion cuts, from the rocks on both sides."""
        j, k = cells
        before, after, cut = restored[j, k], restored[j, k + 1], self.structure.erosion[i, j]
        eroded = (before < cut) & (after >= cut)
        share = np.where(eroded, (cut - before) / np.where(eroded, after - before, 1), 0.5)
        upper = self._mean(level[j, k], level[j, k] + step, i, j)
        lower = self._mean(level[j, k + 1] - step, level[j, k + 1], i, j)
        return (share * upper + (1 - share) * lower).astype(np.float32)

    def _mean(self, low: Values, high: Values, i: int, j: NDArray[np.intp]) -> Values:
        """Mean impedance between two levels on the traces j of an inline."""
        a, b = self._closed(low, i, j), self._closed(high, i, j)
        weights = self.layers.weights[:, i, j]
        mean: Values = (self.layers.integral(b, weights) - self.layers.integral(a, weights)) / (high - low)
        if self.wedge:
            mean += self.wedge.impedance * (1 - (b - a) / (high - low))
        return mean

    def _closed(self, level: Values, i: int, j: NDArray[np.intp] | None) -> Values:
        """Levels without the wedge: of whole traces where j is None, else of one point on each trace j."""
        if self.wedge is None:
            return level
        thickness = self.wedge.thickness[i]
        return self.wedge.closed(level, thickness[:, None] if j is None else thickness[j])


def crossing(level: Section, wanted: Values, t: Values) -> NDArray[np.float64]:
    """The time at which each trace first reaches a level; NaN where a fault or the erosion took it.

    Shapes:    level (crossline, time), wanted (crossline,) -> (crossline,)
    """
    k = np.argmax(level >= wanted[:, None], axis=1)
    j = np.arange(len(level))
    before, after = level[j, k - 1].astype(np.float64), level[j, k].astype(np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        time = t[k] - (after - wanted) / (after - before) * float(t[1] - t[0])
    return np.where((k > 0) & (after - before < BROKEN), time, np.nan)


def _at_cells(texture: Section, t: Values) -> Section:
    """A texture given on samples from time 0, linear in between, at the centres of cells."""
    place = np.clip((t[1:] + t[:-1]) / 2, 0, texture.shape[1] - 1.001)
    k = place.astype(int)
    f = place - k
    return texture[:, k] * (1 - f) + texture[:, k + 1] * f
