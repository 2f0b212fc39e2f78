"""What the layers of a simulated earth are made of: impedance as a function of level, without aliasing.

A cell of the fine time axis gets the *mean* impedance over it, from the integral of impedance over
level; so a boundary between two samples keeps its place to a small fraction of the sample.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wellposed.seismic.synthetic.fields import Cube, Map, log_uniform, rough_map, smooth_curve, smooth_map
from wellposed.seismic.synthetic.settings import Setting

Floats = NDArray[np.float64]
Values = NDArray[np.float32]

TABLE_STEP = 0.125  # samples: the integral is piecewise linear, so a coarse table moves no boundary
VARIATIONS = 2
PACKAGE = 28.0  # samples: quiet and loud packages of layers alternate at about this scale


@dataclass(frozen=True)
class Boundary:
    """A boundary of layers that is a horizon: its level, its step of impedance, the room around it."""

    level: float
    step: float
    clear: float = 2.5


@dataclass(frozen=True, eq=False)
class Layers:
    """impedance = v_0(level) + sum_m w_m(trace) v_m(level), kept as integrals over level."""

    first: float
    integrals: Values  # (variation, table)
    weights: Values  # (variation, inline, crossline)

    def integral(self, level: Values, weights: Values) -> Values:
        """Integral of impedance from the top of the table to each level; weights broadcast to it."""
        place = (level - np.float32(self.first)) * np.float32(1 / TABLE_STEP)
        k = place.astype(np.int32)
        f = place - k
        total = np.zeros_like(level)
        for table, weight in zip(self.integrals, weights, strict=True):
            low = table[k]
            total += weight * (low + f * (table[k + 1] - low))
        return total


@dataclass(frozen=True, eq=False)
class Wedge:
    """A lens laid between two layers: the pile below it is pushed down by its thickness."""

    level: float
    thickness: Map
    impedance: float

    def closed(self, level: Values, thickness: Values) -> Values:
        """Levels as if the lens, of that thickness there, were not in the pile."""
        return level - np.clip(level - np.float32(self.level), 0, thickness)


@dataclass(frozen=True, eq=False)
class Body:
    """A unit that replaces the layers between two surfaces of level: a channel's fill, a slump."""

    top: Map
    base: Map
    impedance: Map
    texture: Cube | None = None


def draw_layers(
    rng: np.random.Generator,
    shape: tuple[int, int, int],
    s: Setting,
    span: tuple[float, float],
    horizons: Sequence[Boundary],
) -> Layers:
    """Layers of exponential thickness over a span of levels, the horizons among their boundaries."""
    thickness = 0.4 + rng.exponential(log_uniform(rng, 1.3, 4.5), int(np.ptp(span) / 1.2))
    edges = np.cumsum(thickness) + span[0]
    edges = _with_horizons(edges[edges < span[1]], horizons)
    values = _values(rng, edges)
    for h in sorted(horizons, key=lambda h: h.level):
        k = int(np.searchsorted(edges, h.level))
        values[:, k + 1] = values[:, k]
        values[0, k + 1] -= np.copysign(h.step, values[0, k])
        values[1, k + 1] += 0.3 * h.step * rng.normal()
    strength = rng.uniform(*s.lateral, VARIATIONS)
    maps = [a * smooth_map(rng, shape[:2], log_uniform(rng, 5, 80)) for a in strength]
    weights = np.stack([np.ones(shape[:2], np.float32), *maps])
    table = np.arange(span[0], span[1] + TABLE_STEP, TABLE_STEP)
    return Layers(span[0], _integrals(table, edges, values), weights.astype(np.float32))


def _with_horizons(edges: Floats, horizons: Sequence[Boundary]) -> Floats:
    for h in horizons:
        edges = edges[np.abs(edges - h.level) > h.clear]
    levels = np.array([h.level for h in horizons])
    return np.unique(np.concatenate([edges, levels]))


def _values(rng: np.random.Generator, edges: Floats) -> Floats:
    """Impedance of each layer: loud and quiet packages, now and then a much harder or softer layer."""
    size = len(edges) + 1
    values = rng.standard_normal((1 + VARIATIONS, size))
    values[0] *= np.where(rng.random(size) < 0.1, rng.uniform(1.5, 2.8, size), 1)
    middle = np.append(edges, edges[-1])
    loud = smooth_curve(rng, int(np.ptp(middle)) + 2, PACKAGE)
    return values * np.exp(0.35 * loud[(middle - middle[0]).astype(int)])


def _integrals(table: Floats, edges: Floats, values: Floats) -> Values:
    """Exact integrals of the piecewise constant values at the places of a table."""
    nodes = np.concatenate([table[:1], edges, table[-1:]])
    out = []
    for v in values - values.mean(axis=1, keepdims=True):
        heights = np.concatenate([[0], np.cumsum(v * np.diff(nodes))])
        out.append(np.interp(table, nodes, heights))
    return np.array(out, np.float32)


def draw_wedge(rng: np.random.Generator, shape: tuple[int, int, int], level: float) -> Wedge:
    """A lens that pinches out; it is there on 60 to 88 % of the traces."""
    grid, nt = shape[:2], shape[2]
    angle = rng.uniform(0, 2 * np.pi)
    i, x = np.arange(grid[0])[:, None] - grid[0] / 2, np.arange(grid[1])[None] - grid[1] / 2
    field = 2.6 * (np.cos(angle) * i + np.sin(angle) * x) / max(grid) + 0.35 * rough_map(rng, grid)
    field = field - np.quantile(field, rng.uniform(0.12, 0.4))
    most = rng.uniform(0.04, 0.09) * nt
    thickness = np.maximum(most * field / np.quantile(field, 0.95), 0)
    return Wedge(level, thickness.astype(np.float32), float(rng.choice([-1, 1]) * rng.uniform(1.2, 2.5)))


def draw_channel(rng: np.random.Generator, shape: tuple[int, int, int], level: float) -> Body:
    """A meandering channel cut into the layers, its fill unlike them."""
    grid, nt = shape[:2], shape[2]
    depth, wide = rng.uniform(0.015, 0.04) * nt, rng.uniform(2.5, 6)
    swing, pace = rng.uniform(0.06, 0.16) * max(grid), rng.uniform(18, 45)
    s = np.arange(-max(grid), 2 * max(grid), 0.5)
    bend = swing * (np.sin(s / pace + rng.uniform(0, 6)) + 0.6 * smooth_curve(rng, len(s), 40))
    angle = rng.uniform(0, 2 * np.pi)
    lines = grid[0] / 2, grid[1] / 2 + rng.uniform(-0.25, 0.25) * grid[1]
    along = s - s.mean()
    path = np.stack(
        [
            lines[0] + np.cos(angle) * along - np.sin(angle) * bend,
            lines[1] + np.sin(angle) * along + np.cos(angle) * bend,
        ],
        axis=1,
    )
    from scipy.spatial import cKDTree

    distance = cKDTree(path).query(np.indices(grid).reshape(2, -1).T)[0].reshape(grid)
    base = level + depth * np.maximum(1 - (distance / wide) ** 2, 0)
    fill = np.full(grid, rng.choice([-1, 1]) * rng.uniform(1, 2.5))
    top = np.full(grid, level)
    return Body(top.astype(np.float32), base.astype(np.float32), fill.astype(np.float32))


def draw_chaos(rng: np.random.Generator, shape: tuple[int, int, int], level: float, thick: float) -> Body:
    """A slump: its top is rough, its inside torn; sometimes it ends within the survey."""
    grid = shape[:2]
    roughness = np.minimum(rng.uniform(0.5, 3), 0.15 * thick) * rough_map(rng, grid, rng.uniform(0, 0.8))
    top = level + roughness
    swell = rng.uniform(0.1, 0.6) * smooth_map(rng, grid, 0.3 * max(grid))
    base = level + thick * np.maximum(1 + swell, 0)
    texture = rng.uniform(0.7, 1.9) * torn(rng, shape)
    mean = rng.normal(0, 1) * (1 + 0.3 * smooth_map(rng, grid, 15))
    return Body(top.astype(np.float32), base.astype(np.float32), mean.astype(np.float32), texture)


def torn(rng: np.random.Generator, shape: tuple[int, int, int]) -> Cube:
    """Random texture without layers, of variance 1."""
    from scipy.ndimage import gaussian_filter

    wide = log_uniform(rng, 0.6, 3)
    noise = rng.standard_normal(shape, np.float32)
    out = gaussian_filter(noise, (wide, wide, rng.uniform(0.8, 2.2)), truncate=3)
    return out / out.std()
