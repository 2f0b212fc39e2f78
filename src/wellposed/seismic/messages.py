"""Compiled messages between neighbouring traces: the inner loops of `surface`.

Traces are visited in the order of the grid, forth and back; on each visit a trace sends to the
neighbours that come later in that order. Its own costs are shared evenly among the chains through it
(`share`: one chain on a line, two on a grid).

One file, long as it is: compiled code that is kept does not notice when a function of another file changes.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from wellposed.seismic.compiled import compiled

Array = NDArray[np.float32]
FAR = np.float32(1e9)  # a cost that no surface pays
TINY = np.float32(1e-25)  # a probability that stays a number in products of messages
ABOVE, BELOW, LEFT, RIGHT = 0, 1, 2, 3  # who sent: inline i - 1, i + 1, crossline x - 1, x + 1


class Graph(NamedTuple):
    """A `surface.Model` as arrays and numbers; slopes are those of the prior, an edge each."""

    unary: Array
    first: NDArray[np.int32]
    exists: NDArray[np.bool_]
    inline: NDArray[np.uint8]
    crossline: NDArray[np.uint8]
    slope_inline: Array
    slope_crossline: Array
    step: np.float32
    slant: np.float32
    quad: np.float32
    cap: np.float32
    growth: np.float32
    share: np.float32


class Tables(NamedTuple):
    """Boltzmann factors at one inverse temperature: of every count of a link, and of jumps."""

    inverse_temperature: np.float32
    link: Array
    jump: np.float32
    growth: np.float32


def tables(g: Graph, inverse_temperature: float) -> Tables:
    """exp(-b cost) for the links' 256 counts, for a jump and for each sample of its throw."""
    b = inverse_temperature
    link = np.exp(-b * float(g.step) * np.arange(256)).astype(np.float32)
    return Tables(np.float32(b), link, np.float32(np.exp(-b * g.cap)), np.float32(np.exp(-b * g.growth)))


@compiled()
def _price(g: Graph, slope: float, k: int) -> np.float32:
    """The price of a step of k samples without its link."""
    away = np.float32(k) - slope
    return g.slant * abs(away) + g.quad * away * away


@compiled()
def _spread_least(h: Array, growth: float, near: Array) -> None:
    """near[c] = min_d h[d] + growth |c - d|."""
    near[0] = h[0]
    for c in range(1, h.size):
        near[c] = min(h[c], near[c - 1] + growth)
    for c in range(h.size - 2, -1, -1):
        near[c] = min(near[c], near[c + 1] + growth)


@compiled(fastmath=True)
def _min_send(
    g: Graph, h: Array, shift: int, link: Array, slope: float, later: bool, near: Array, out: Array
) -> float:
    """Least cost of arriving at each sample: out, with its minimum taken off and returned.

    shift: samples by which the sender's band starts below the receiver's; later: the receiver is the
    trace of the higher number, so that the link's row is the sender's sample.
    """
    size, reach = h.size, link.shape[0] // 2
    _spread_least(h, g.growth, near)
    for d in range(size):
        c = d - shift
        e = min(max(c, 0), size - 1)
        out[d] = g.cap + near[e] + g.growth * abs(c - e)
    for n in range(2 * reach + 1):
        price = np.float32(_price(g, slope, n - reach))
        row = link[n]
        if later:
            move = n - reach + shift
            for d in range(max(0, -move), min(size, size - move)):
                out[d + move] = min(out[d + move], h[d] + g.step * row[d] + price)
        else:
            move = n - reach - shift
            for d in range(max(0, -move), min(size, size - move)):
                out[d] = min(out[d], h[d + move] + g.step * row[d] + price)
    least = out[0]
    for d in range(size):
        least = min(least, out[d])
    for d in range(size):
        out[d] -= least
    return least


@compiled(fastmath=True)
def _gather(g: Graph, i: int, x: int, messages: Array, total: Array) -> np.float32:
    """Own cost and all messages of a trace, with the minimum taken off and returned."""
    least = FAR
    for d in range(total.size):
        total[d] = g.unary[i, x, d] + messages[0, i, x, d] + messages[1, i, x, d]
        total[d] += messages[2, i, x, d] + messages[3, i, x, d]
        least = min(least, total[d])
    for d in range(total.size):
        total[d] -= least
    return least


@compiled()
def min_forth(g: Graph, messages: Array) -> None:
    """Every trace sends to the next inline and the next crossline."""
    ni, nx, size = g.unary.shape
    total, h, near = np.empty(size, np.float32), np.empty(size, np.float32), np.empty(size, np.float32)
    for i in range(ni):
        for x in range(nx):
            if not g.exists[i, x]:
                continue
            _gather(g, i, x, messages, total)
            if i + 1 < ni and g.exists[i + 1, x]:
                h[:] = g.share * total - messages[BELOW, i, x]
                shift, slope = g.first[i, x] - g.first[i + 1, x], g.slope_inline[i, x]
                _min_send(g, h, shift, g.inline[i, x], slope, True, near, messages[ABOVE, i + 1, x])
            if x + 1 < nx and g.exists[i, x + 1]:
                h[:] = g.share * total - messages[RIGHT, i, x]
                shift, slope = g.first[i, x] - g.first[i, x + 1], g.slope_crossline[i, x]
                _min_send(g, h, shift, g.crossline[i, x], slope, True, near, messages[LEFT, i, x + 1])


@compiled()
def min_back(g: Graph, messages: Array) -> float:
    """Every trace sends to the previous ones; returns the lower bound of the energy."""
    ni, nx, size = g.unary.shape
    total, h, near = np.empty(size, np.float32), np.empty(size, np.float32), np.empty(size, np.float32)
    bound = 0.0
    for i in range(ni - 1, -1, -1):
        for x in range(nx - 1, -1, -1):
            if not g.exists[i, x]:
                continue
            bound += _gather(g, i, x, messages, total)
            if i > 0 and g.exists[i - 1, x]:
                h[:] = g.share * total - messages[ABOVE, i, x]
                shift, slope = g.first[i, x] - g.first[i - 1, x], g.slope_inline[i - 1, x]
                bound += _min_send(
                    g, h, shift, g.inline[i - 1, x], slope, False, near, messages[BELOW, i - 1, x]
                )
            if x > 0 and g.exists[i, x - 1]:
                h[:] = g.share * total - messages[LEFT, i, x]
                shift, slope = g.first[i, x] - g.first[i, x - 1], g.slope_crossline[i, x - 1]
                bound += _min_send(
                    g, h, shift, g.crossline[i, x - 1], slope, False, near, messages[RIGHT, i, x - 1]
                )
    return bound


@compiled()
def _pair(g: Graph, link: Array, slope: float, d: int, k: int) -> np.float32:
    """Cost of the step of k samples from place d of the trace of the lower number."""
    reach = link.shape[0] // 2
    jump = g.cap + g.growth * abs(k)
    if abs(k) > reach:
        return jump
    return min(jump, g.step * link[k + reach, d] + _price(g, slope, k))


@compiled()
def decode(g: Graph, messages: Array) -> NDArray[np.int64]:
    """The best place of each trace given those already decided before it and the messages after it."""
    ni, nx, size = g.unary.shape
    place = np.zeros((ni, nx), np.int64)
    for i in range(ni):
        for x in range(nx):
            if not g.exists[i, x]:
                continue
            best = np.inf
            for d in range(size):
                t = g.first[i, x] + d
                cost = g.unary[i, x, d] + messages[BELOW, i, x, d] + messages[RIGHT, i, x, d]
                if i > 0 and g.exists[i - 1, x]:
                    p = place[i - 1, x]
                    k = t - g.first[i - 1, x] - p
                    cost += _pair(g, g.inline[i - 1, x], g.slope_inline[i - 1, x], p, k)
                if x > 0 and g.exists[i, x - 1]:
                    p = place[i, x - 1]
                    k = t - g.first[i, x - 1] - p
                    cost += _pair(g, g.crossline[i, x - 1], g.slope_crossline[i, x - 1], p, k)
                if cost < best:
                    best, place[i, x] = cost, d
    return place


@compiled()
def energy(g: Graph, place: NDArray[np.int64]) -> float:
    """The energy of the surface at these places of the band."""
    ni, nx, _ = g.unary.shape
    total = 0.0
    for i in range(ni):
        for x in range(nx):
            if not g.exists[i, x]:
                continue
            p = place[i, x]
            total += g.unary[i, x, p]
            t = g.first[i, x] + p
            if i + 1 < ni and g.exists[i + 1, x]:
                k = g.first[i + 1, x] + place[i + 1, x] - t
                total += _pair(g, g.inline[i, x], g.slope_inline[i, x], p, k)
            if x + 1 < nx and g.exists[i, x + 1]:
                k = g.first[i, x + 1] + place[i, x + 1] - t
                total += _pair(g, g.crossline[i, x], g.slope_crossline[i, x], p, k)
    return total


@compiled(fastmath=True)
def _spread_sum(h: Array, growth: float, near: Array) -> None:
    """near[c] = sum_d h[d] growth^|c - d|."""
    running = np.float32(0)
    for c in range(h.size):
        running = running * growth + h[c]
        near[c] = running
    running = np.float32(0)
    for c in range(h.size - 1, -1, -1):
        near[c] += running
        running = (running + h[c]) * growth


@compiled(fastmath=True)
def _sum_send(
    g: Graph,
    table: Tables,
    h: Array,
    shift: int,
    link: Array,
    slope: float,
    later: bool,
    near: Array,
    out: Array,
) -> None:
    """Probability of arriving at each sample, its largest value one; arguments as in `_min_send`.

    min(step, jump) in the energy is max(exp step, exp jump): every jump first, then what exceeds it.
    """
    size, reach = h.size, link.shape[0] // 2
    _spread_sum(h, table.growth, near)
    for d in range(size):
        c = d - shift
        e = min(max(c, 0), size - 1)
        out[d] = table.jump * near[e] * (table.growth ** abs(c - e) if c != e else np.float32(1))
    for n in range(2 * reach + 1):
        price = np.float32(np.exp(-table.inverse_temperature * _price(g, slope, n - reach)))
        jump = np.float32(table.jump * table.growth ** abs(n - reach))
        row = link[n]
        if later:
            move = n - reach + shift
            for d in range(max(0, -move), min(size, size - move)):
                out[d + move] += h[d] * max(table.link[row[d]] * price - jump, np.float32(0))
        else:
            move = n - reach - shift
            for d in range(max(0, -move), min(size, size - move)):
                out[d] += h[d + move] * max(table.link[row[d]] * price - jump, np.float32(0))
    most = TINY
    for d in range(size):
        most = max(most, out[d])
    for d in range(size):
        out[d] = max(out[d] / most, TINY)


@compiled(fastmath=True)
def _product(g: Graph, weight: Array, i: int, x: int, messages: Array, total: Array) -> None:
    """Weight (product of the messages)^share, its largest value one."""
    most = TINY
    for d in range(total.size):
        a = messages[0, i, x, d] * messages[1, i, x, d]
        b = messages[2, i, x, d] * messages[3, i, x, d]
        if g.share != 1:
            a, b = np.sqrt(a), np.sqrt(b)
        total[d] = weight[i, x, d] * max(a * b, TINY)
        most = max(most, total[d])
    for d in range(total.size):
        total[d] = max(total[d] / most, TINY)


@compiled()
def sum_forth(g: Graph, weight: Array, table: Tables, messages: Array) -> None:
    """Every trace sends to the next inline and the next crossline."""
    ni, nx, size = weight.shape
    total, h, near = np.empty(size, np.float32), np.empty(size, np.float32), np.empty(size, np.float32)
    for i in range(ni):
        for x in range(nx):
            if not g.exists[i, x]:
                continue
            _product(g, weight, i, x, messages, total)
            if i + 1 < ni and g.exists[i + 1, x]:
                h[:] = total / messages[BELOW, i, x]
                shift, slope = g.first[i, x] - g.first[i + 1, x], g.slope_inline[i, x]
                _sum_send(g, table, h, shift, g.inline[i, x], slope, True, near, messages[ABOVE, i + 1, x])
            if x + 1 < nx and g.exists[i, x + 1]:
                h[:] = total / messages[RIGHT, i, x]
                shift, slope = g.first[i, x] - g.first[i, x + 1], g.slope_crossline[i, x]
                _sum_send(g, table, h, shift, g.crossline[i, x], slope, True, near, messages[LEFT, i, x + 1])


@compiled()
def sum_back(g: Graph, weight: Array, table: Tables, messages: Array) -> None:
    """Every trace sends to the previous inline and the previous crossline."""
    ni, nx, size = weight.shape
    total, h, near = np.empty(size, np.float32), np.empty(size, np.float32), np.empty(size, np.float32)
    for i in range(ni - 1, -1, -1):
        for x in range(nx - 1, -1, -1):
            if not g.exists[i, x]:
                continue
            _product(g, weight, i, x, messages, total)
            if i > 0 and g.exists[i - 1, x]:
                h[:] = total / messages[ABOVE, i, x]
                shift, slope = g.first[i, x] - g.first[i - 1, x], g.slope_inline[i - 1, x]
                _sum_send(
                    g, table, h, shift, g.inline[i - 1, x], slope, False, near, messages[BELOW, i - 1, x]
                )
            if x > 0 and g.exists[i, x - 1]:
                h[:] = total / messages[LEFT, i, x]
                shift, slope = g.first[i, x] - g.first[i, x - 1], g.slope_crossline[i, x - 1]
                _sum_send(
                    g, table, h, shift, g.crossline[i, x - 1], slope, False, near, messages[RIGHT, i, x - 1]
                )


@compiled()
def belief(g: Graph, weight: Array, messages: Array) -> Array:
    """Weight (product of the messages)^share, normalised on every trace."""
    out = np.empty_like(weight)
    for i in range(weight.shape[0]):
        for x in range(weight.shape[1]):
            _product(g, weight, i, x, messages, out[i, x])
            out[i, x] /= out[i, x].sum()
    return out
