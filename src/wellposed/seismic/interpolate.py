"""Surfaces from picks alone: linear interpolation, and how far away the picks are."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

LEAST_WIDTH = 1e-6  # of the longest extent: picks in a narrower strip lie on one straight line


def interpolate(i: ArrayLike, j: ArrayLike, values: ArrayLike, shape: tuple[int, int]) -> Floats:
    """Linear inside the convex hull of the picks, the nearest pick's value outside it.

    Picks on one straight line (a survey that is one line, picks on one inline) are interpolated along
    that line and carried sideways from it.

    Shapes:    i, j, values (pick,) -> (inline, crossline)
    Units:     those of values; i and j are indices of traces
    """
    return interpolate_at(i, j, values, _grid(shape)).reshape(shape)


def interpolate_at(i: ArrayLike, j: ArrayLike, values: ArrayLike, places: Floats) -> Floats:
    """The same at some traces only.

    Shapes:    i, j, values (pick,); places (trace, 2) -> (trace,)
    """
    from scipy.interpolate import LinearNDInterpolator
    from scipy.spatial import cKDTree

    points = np.column_stack([np.asarray(i, float), np.asarray(j, float)])
    v = np.asarray(values, float)
    centre = points.mean(0)
    extents, axes = np.linalg.svd(points - centre, full_matrices=True)[1:]
    if len(points) < 3 or extents[1] <= LEAST_WIDTH * extents[0]:
        along = (points - centre) @ axes[0]
        order = np.argsort(along)
        line = np.interp((places - centre) @ axes[0], along[order], v[order])
        return np.asarray(line, np.float64)
    inside = LinearNDInterpolator(points, v)(places)
    nearest = v[cKDTree(points).query(places)[1]]
    return np.where(np.isfinite(inside), inside, nearest)


def outside_hull(i: ArrayLike, j: ArrayLike, shape: tuple[int, int]) -> NDArray[np.bool_]:
    """Traces beyond the convex hull of the picks; of picks on one line, those beyond its ends or beside it.

    Shapes:    i, j (pick,) -> (inline, crossline)
    """
    from scipy.spatial import Delaunay

    points = np.column_stack([np.asarray(i, float), np.asarray(j, float)])
    grid, centre = _grid(shape), points.mean(0)
    extents, axes = np.linalg.svd(points - centre, full_matrices=True)[1:]
    if len(points) < 3 or extents[1] <= LEAST_WIDTH * extents[0]:
        along, across = (grid - centre) @ axes[0], (grid - centre) @ axes[1]
        picked = (points - centre) @ axes[0]
        beyond = (along < picked.min() - 0.5) | (along > picked.max() + 0.5) | (np.abs(across) > 0.5)
        return np.asarray(beyond).reshape(shape)
    return np.asarray(Delaunay(points).find_simplex(grid) < 0).reshape(shape)


def distance_to_picks(i: ArrayLike, j: ArrayLike, shape: tuple[int, int]) -> Floats:
    """Distance of every trace to the nearest pick, in traces."""
    from scipy.spatial import cKDTree

    points = np.column_stack([np.asarray(i, float), np.asarray(j, float)])
    distance: Floats = cKDTree(points).query(_grid(shape))[0]
    return distance.reshape(shape)


def _grid(shape: tuple[int, int]) -> Floats:
    """Indices of all traces, (trace, 2)."""
    return np.indices(shape).reshape(2, -1).T.astype(float)
