"""Laws of meshes: the same operator, and the same equation, on samples that lie closer.

Each returns how far the object is from its law, and raises LawError naming both sides beyond that.
"""

from __future__ import annotations

from itertools import pairwise
from math import inf, isnan, log2

import torch
from torch import Tensor

from wellposed.dynamics import Dynamics, SemiLinear, Theta
from wellposed.laws.dynamics import moving, rates
from wellposed.laws.law import Shape, distance, draw, hold
from wellposed.operators import Family, Operator
from wellposed.operators.axes import along_axes

SIDE = 5  # samples an axis; the one in the middle sees no edge
KERNELS = ("K", "S")  # what the names of kernels of the operator begin with
CELLS = (16, 32, 64)  # of three meshes on one space


def same_operator(family: Family, shape: Shape, *, seed: int = 0, allowed: float = 1e-12) -> float:
    """K y at a place is the same on a mesh of half the spacing, for y that is quadratic along each axis.

    Central differences are exact for these. And from one mesh to another by a third: the same kernel.

    Shapes:    shape (batch, channel, *space)
    Raises:    LawError; StructureError, ShapeError where the family knows no other mesh
    """
    kernel = draw(family.shape, seed)
    finer = family.remesh(kernel, 0.5)
    apart = _apart_in_the_middle(family(kernel), family(finer), shape, seed + 1)
    sides = "K y in the middle is one thing", "on a mesh of half the spacing another"
    hold("same operator", family, *sides, miss=apart, allowed=allowed)
    by_way = distance(family.remesh(family.remesh(kernel, 3.0), 1 / 6), finer)
    sides = "straight to the finer mesh it is one kernel", "by way of a coarser one another"
    return max(apart, hold("same operator", family, *sides, miss=by_way, allowed=1e3 * allowed))


def same_equation(f: Dynamics, shape: Shape, *, seed: int = 0, allowed: float = 0.4) -> float:
    """Rates of smooth features differ on two meshes by h^2: from one pair to the next they come closer so.

    Away from the edges, where zeros beyond them are no smooth features. Without space they are the same.
    Forgetting second differences looks like h^2 too, so the operators themselves are looked at: that of each
    kernel, and the linear part of a semi-linear rate.

    Shapes:    shape (batch, channel, *space), of which sizes of space are not used
    Raises:    LawError when they come closer by an order less than 2 - allowed
    """
    dims, theta = len(shape) - 2, moving(f, seed=seed, scale=0.1)(0.3)
    if not dims:
        there = f.remesh(theta, 0.5)
        apart_by = max(distance(there[name], value) for name, value in theta.items())
        return hold("same equation", f, "without space", "weights are others", miss=apart_by, allowed=0.0)
    finer = f.remesh(theta, 0.5)
    for coarse, fine in zip(_operators(f, theta), _operators(f, finer), strict=True):
        off = _apart_in_the_middle(coarse, fine, shape, seed)
        sides = "K y in the middle is one thing", "on a mesh of half the spacing another"
        hold("same equation", f, *sides, miss=off, allowed=1e-10)
    found = [_rates(f, theta, shape, dims, cells, seed) for cells in CELLS]
    apart = [max(map(distance, fine, coarse)) for coarse, fine in pairwise(found)]
    order = inf if apart[1] < 1e-12 else log2(apart[0] / apart[1])
    sides = "rates on two meshes differ by h^2", f"they come closer by an order of {order:.3g}"
    miss = 2 - order if order < 2 or isnan(order) else 0.0
    return hold("same equation", f, *sides, miss=miss, allowed=allowed)


def _operators(f: Dynamics, theta: Theta) -> list[Operator]:
    """Return the operators of all kernels, and the linear part."""
    kernels = [value for name, value in theta.items() if name[0] in KERNELS]
    linear = [f.linear(theta)] if isinstance(f, SemiLinear) else []
    return [*(f.operator(kernel) for kernel in kernels), *linear]


def _apart_in_the_middle(coarse: Operator, fine: Operator, shape: Shape, seed: int) -> float:
    """Return by how much two operators differ in the middle of features that are quadratic along each axis.

    The second one acts on a mesh of half the spacing.
    """
    dims = len(shape) - 2
    middle: tuple[slice | int, ...] = (slice(None), slice(None), *(SIDE // 2,) * dims)
    numbers, found = draw((*shape[:2], *(3,) * dims), seed), []
    for K, spacing in ((coarse, 1.0), (fine, 0.5)):
        x = spacing * (torch.arange(SIDE, dtype=torch.float64) - SIDE // 2)
        powers = torch.stack([torch.ones_like(x), x, x**2], 1)
        y = along_axes(numbers.flatten(0, 1), [powers] * dims).reshape(*shape[:2], *(SIDE,) * dims)
        found.append((K @ y)[middle])
    return distance(found[1], found[0])


def _rates(f: Dynamics, theta: Theta, shape: Shape, dims: int, cells: int, seed: int) -> list[Tensor]:
    """Return rates on a mesh, as means over the cells of the coarsest one away from the edges."""
    coarse = CELLS[0]
    x = (torch.arange(cells, dtype=torch.float64) + 0.5) / cells
    # Waves that a reflecting boundary and a periodic one continue smoothly.
    waves = torch.stack([torch.ones_like(x), (2 * torch.pi * x).cos()], 1)
    s = []
    for member in range(f.members):
        numbers = draw((*shape[:2], *(2,) * dims), seed + member).flatten(0, 1)
        s.append(along_axes(numbers, [waves] * dims).reshape(*shape[:2], *(cells,) * dims))
    there = f.remesh(theta, coarse / cells)
    inner = (slice(None), slice(None), *(slice(2, -2),) * dims)
    means = []
    for rate in rates(f, there, tuple(s)):
        cells_in = [part for _ in range(dims) for part in (coarse, cells // coarse)]
        within = rate.reshape(*rate.shape[:2], *cells_in).mean(tuple(range(3, 3 + 2 * dims, 2)))
        means.append(within[inner])
    return means
