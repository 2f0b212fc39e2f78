"""The surface of least cost through a grid of traces, and the marginals of the same model.

    E(z) = sum_s unary_s(z_s) + sum_(s,t) min(link_st(z_s, k) + slant |k - g| + quad (k - g)^2,
                                              cap + growth |k|),        k = z_t - z_s

with g the slope of the prior surface. Beyond the reach of the links only the second price is left: a
surface may jump, at a price that may grow with the throw. Both solvers pass tree-reweighted messages in
the sequential order of Kolmogorov (2006). On a single line they are Viterbi's algorithm and the
forward-backward algorithm, exactly; on a grid the first has a lower bound that grows with every sweep,
and the second belongs to a convex bound of the partition function (Wainwright et al. 2005).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from wellposed.errors import ShapeError
from wellposed.seismic import messages as m
from wellposed.seismic.links import Links

Array = NDArray[np.float32]
Ints = NDArray[np.int32]

SETTLED = 1e-4  # growth of the bound, or change of a probability, a trace: below it a sweep changes nothing


@dataclass(frozen=True)
class Prices:
    """What a step of k samples costs beside its link, where the prior surface has the slope g.

    slant |k - g| + quad (k - g)^2 for a step along the reflector, cap + growth |k| for a jump.
    """

    slant: float = 0.03
    quad: float = 0.0
    cap: float = 3.0
    growth: float = 0.0


@dataclass(frozen=True, eq=False)
class Model:
    """A cost for every surface on a grid of traces.

    Shapes:    unary (inline, crossline, D), in the band that starts at sample first (inline, crossline);
               links of that band; prior (inline, crossline), whose slope is free of charge, or None;
               exists (inline, crossline): the other traces have no neighbours
    Units:     first and prior in samples
    Raises:    ShapeError where these do not fit one another
    """

    unary: Array
    first: Ints
    links: Links
    exists: NDArray[np.bool_]
    prices: Prices = Prices()
    prior: NDArray[np.float64] | None = None

    def __post_init__(self) -> None:
        ni, nx, size = self.unary.shape
        wide = 2 * self.links.reach + 1
        expected = ((ni - 1, nx, wide, size), (ni, nx - 1, wide, size), (ni, nx), (ni, nx))
        given = (self.links.inline, self.links.crossline, self.first, self.exists)
        if tuple(a.shape for a in given) != expected:
            raise ShapeError(
                "links, band and unary costs do not fit one another",
                given=f"unary {self.unary.shape} with {[a.shape for a in given]}",
                expected=f"{list(expected)}",
                way_out="compute all of them in the same Band",
            )

    def where_it_exists(self) -> tuple[Model, tuple[slice, slice]]:
        """The model on the smallest rectangle of traces that holds all existing ones, and that rectangle."""
        rows, columns = (np.flatnonzero(self.exists.any(axis=k)) for k in (1, 0))
        if not len(rows):
            rows, columns = (np.arange(n) for n in self.exists.shape)
        i, x = slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)
        inner = replace(
            self,
            unary=self.unary[i, x],
            first=self.first[i, x],
            links=self.links.within(i, x),
            exists=self.exists[i, x],
            prior=None if self.prior is None else self.prior[i, x],
        )
        return inner, (i, x)

    def graph(self) -> m.Graph:
        """The model as the compiled code reads it."""
        p = self.prices
        flat = np.zeros(self.first.shape) if self.prior is None else self.prior
        down, across = (np.ascontiguousarray(np.diff(flat, axis=k), np.float32) for k in (0, 1))
        share = 1.0 if min(self.first.shape) == 1 else 0.5
        numbers = (np.float32(v) for v in (self.links.step, p.slant, p.quad, p.cap, p.growth, share))
        whole = np.ascontiguousarray
        unary, first, exists = whole(self.unary, np.float32), whole(self.first, np.int32), whole(self.exists)
        links = whole(self.links.inline), whole(self.links.crossline)
        return m.Graph(unary, first, exists, *links, down, across, *numbers)


@dataclass(frozen=True, eq=False)
class Surface:
    """The surface found, its energy, and what no surface can go below.

    Shapes:    place in the band (inline, crossline)
    """

    place: NDArray[np.int64]
    energy: float
    bound: float
    sweeps: int


def minimum_surface(model: Model, sweeps: int = 20) -> Surface:
    """argmin_z E(z) by tree-reweighted min-sum, at most `sweeps` times forth and back.

    On a single line the surface is the exact minimum and the bound equals its energy.

    Cost:      8 (2 reach + 1) D operations a trace and sweep; 16 D bytes a trace for the messages
    Reference: Kolmogorov, Convergent tree-reweighted message passing, 2006
    """
    inner, rectangle = model.where_it_exists()
    g = inner.graph()
    messages = np.zeros((4, *g.unary.shape), np.float32)
    bound, done = -np.inf, 0
    while done < sweeps:
        m.min_forth(g, messages)
        last, bound = bound, float(m.min_back(g, messages))
        done += 1
        if bound - last < SETTLED * g.first.size:
            break
    found = m.decode(g, messages)
    place = np.zeros(model.first.shape, np.int64)
    place[rectangle] = found
    return Surface(place, float(m.energy(g, found)), bound, done)


def energy_of(model: Model, place: NDArray[np.int64]) -> float:
    """E of the surface at these places in the band; traces outside the survey are left out."""
    return float(m.energy(model.graph(), np.asarray(place, np.int64)))


def marginals(model: Model, inverse_temperature: float, sweeps: int = 20) -> Array:
    """p_s(z_s) of the density proportional to exp(-inverse_temperature E(z)), by tree-reweighted sum-product.

    Exact on a single line. On a grid every edge belongs to half of the trees, so that messages are
    passed at twice the inverse temperature; the result leans to the wide side.

    Shapes:    (inline, crossline, D), sums to one on every trace; uniform where no trace exists
    Cost:      as minimum_surface
    Reference: Wainwright, Jaakkola, Willsky, A new class of upper bounds on the log partition function, 2005
    """
    inner, rectangle = model.where_it_exists()
    g = inner.graph()
    weight = np.exp(-inverse_temperature * (g.unary - g.unary.min(axis=2, keepdims=True)))
    weight = np.maximum(weight, m.TINY, dtype=np.float32)
    table = m.tables(g, inverse_temperature / float(g.share))
    messages = np.ones((4, *g.unary.shape), np.float32)
    p = m.belief(g, weight, messages)
    for _ in range(sweeps):
        m.sum_forth(g, weight, table, messages)
        m.sum_back(g, weight, table, messages)
        last, p = p, m.belief(g, weight, messages)
        if float(np.abs(p - last).max(axis=2).mean()) < SETTLED:
            break
    p[~inner.exists] = 1.0 / p.shape[2]
    if p.shape == model.unary.shape:
        return p
    everywhere = np.full(model.unary.shape, 1.0 / p.shape[2], np.float32)
    everywhere[rectangle] = p
    return everywhere
