"""Links: what it costs a surface to go from a sample of one trace to a sample of the next.

They are the evidence for continuity, and in three dimensions the strongest evidence there is. They are
kept only in the band of samples that a horizon can reach, one byte a link.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from wellposed.errors import ShapeError
from wellposed.seismic.compiled import compiled
from wellposed.seismic.condition import workers

if TYPE_CHECKING:
    from wellposed.seismic.band import Band

Array = NDArray[np.float32]
Bytes = NDArray[np.uint8]

MOST = 2.0  # 1 - correlation is at most two: 255 counts


@dataclass(frozen=True, eq=False)
class Links:
    """Costs of the shifts -reach..reach between neighbouring traces, in the band of a horizon.

    `inline[i, x, reach + k, d]` is the cost, in counts of `step`, of going from sample first[i, x] + d
    of trace (i, x) to the sample k below it on trace (i + 1, x); `crossline` the same to (i, x + 1).

    Shapes:    inline (ni - 1, nx, 2 reach + 1, D), crossline (ni, nx - 1, 2 reach + 1, D)
    Cost:      2 (2 reach + 1) D bytes a trace: 3.4 kB at reach 6 and D = 129
    """

    inline: Bytes
    crossline: Bytes
    step: float

    @property
    def reach(self) -> int:
        """The largest shift between neighbouring traces."""
        return (self.crossline.shape[2] - 1) // 2

    def times(self, weight: float) -> Links:
        """The same links at `weight` times the cost."""
        return Links(self.inline, self.crossline, self.step * weight)

    def cut(self, places: slice) -> Links:
        """The links of some of the places of the band."""
        return Links(self.inline[..., places].copy(), self.crossline[..., places].copy(), self.step)

    def within(self, i: slice, x: slice) -> Links:
        """The links between the traces of a rectangle; views of the same memory."""
        return Links(self.inline[i.start : i.stop - 1, x], self.crossline[i, x.start : x.stop - 1], self.step)

    def __add__(self, other: Links) -> Links:
        """Add costs, where both are kept in the same band with the same reach."""
        if self.crossline.shape != other.crossline.shape or self.inline.shape != other.inline.shape:
            raise ShapeError(
                "links of different bands cannot be added",
                given=f"links of shapes {self.crossline.shape} and {other.crossline.shape}",
                expected="the same band and the same reach",
                way_out="compute both in one Band with one reach",
            )
        step = self.step + other.step
        pairs = ((self.inline, other.inline), (self.crossline, other.crossline))
        inline, crossline = (_mixed(a, b, self.step / step, other.step / step) for a, b in pairs)
        return Links(inline, crossline, step)


def link_memory(traces: int, samples: int, reach: int = 6) -> int:
    """Bytes that the links of a horizon take."""
    return 2 * traces * samples * (2 * reach + 1)


def correlation_links(a: Array, band: Band, reach: int = 6, std: float = 4.0) -> Links:
    """1 - correlation of neighbouring traces, relative to the best shift.

        c(t, k) = <a(s, t) a(s+1, t+k)> / sqrt(<a(s)^2> <a(s+1)^2>),    cost = max_k c - c

    < > is a Gaussian window with standard deviation `std` samples. Relative to the best shift,
    because following the dip must be free on strong and on weak events alike.

    Shapes:    a (inline, crossline, twt)
    Units:     reach and std in samples
    Cost:      (2 reach + 1) (6 std + 1) multiplications a sample of the band and direction
    """
    window = gaussian_window(std)
    step = MOST / 255

    def fill(out: Bytes, i: int, axis: int) -> None:
        _link_line(a, band.first, i, axis, reach, window, np.float32(1 / step), out)

    return filled_links(band, reach, step, fill)


def feature_links(features: NDArray[np.float16], band: Band, reach: int = 6) -> Links:
    """1 - cosine of the features of neighbouring traces, relative to the best shift.

    Shapes:    features (channel, inline, crossline, twt), of unit length
    Cost:      (2 reach + 1) channels multiplications a sample of the band and direction
    """
    step = MOST / 255
    last = features.shape[3] - 1

    def fill(out: Bytes, i: int, axis: int) -> None:
        count, _, size = out.shape
        t = band.first[i, :count, None] + np.arange(-reach, size + reach)
        there = np.clip(t, 0, last)
        other = features[:, i + 1, :count] if axis == 0 else features[:, i, 1 : count + 1]
        f = np.take_along_axis(features[:, i, :count], there[None, :, reach : size + reach], 2)
        g = np.take_along_axis(other, there[None], 2).astype(np.float32)
        here = f.astype(np.float32)
        c = np.stack([(here * g[:, :, k : k + size]).sum(axis=0) for k in range(2 * reach + 1)], axis=1)
        cost = (c.max(axis=1, keepdims=True) - c) / step
        out[:] = np.minimum(cost + 0.5, 255).astype(np.uint8)

    return filled_links(band, reach, step, fill)


def filled_links(band: Band, reach: int, step: float, fill: Callable[[Bytes, int, int], None]) -> Links:
    """Links whose line i towards `axis` is filled by fill(out, i, axis): the seam for learned links."""
    ni, nx = band.first.shape
    shape = (2 * reach + 1, band.size)
    arrays = (np.zeros((ni - 1, nx, *shape), np.uint8), np.zeros((ni, nx - 1, *shape), np.uint8))
    jobs = [(axis, i) for axis in (0, 1) for i in range(arrays[axis].shape[0])]
    with ThreadPoolExecutor(workers()) as pool:
        list(pool.map(lambda job: fill(arrays[job[0]][job[1]], job[1], job[0]), jobs))
    return Links(*arrays, step)


def gaussian_window(std: float) -> Array:
    """Weights that sum to one, out to three standard deviations."""
    n = int(np.ceil(3 * std))
    w = np.exp(-0.5 * (np.arange(-n, n + 1) / std) ** 2)
    return np.asarray(w / w.sum(), np.float32)


@compiled(fastmath=True)
def _mixed(a: Bytes, b: Bytes, wa: float, wb: float) -> Bytes:
    out = np.empty_like(a)
    fa, fb, fo = a.ravel(), b.ravel(), out.ravel()
    for n in range(fa.size):
        fo[n] = np.uint8(wa * fa[n] + wb * fb[n] + 0.5)
    return out


@compiled(fastmath=True)
def _excerpt(trace: Array, start: int, out: Array) -> None:
    """out[n] = trace[start + n], zero outside the trace."""
    for n in range(out.size):
        k = start + n
        out[n] = trace[k] if 0 <= k < trace.size else np.float32(0)


@compiled(fastmath=True)
def _average(v: Array, window: Array, out: Array) -> None:
    """out[n] = sum_w window[w] v[n + w]."""
    out[:] = 0
    for w in range(window.size):
        for n in range(out.size):
            out[n] += window[w] * v[n + w]


@compiled(fastmath=True)
def _link_line(
    a: Array, first: NDArray[np.int32], i: int, axis: int, reach: int, window: Array, scale: float, out: Bytes
) -> None:
    """Costs of the links of line i towards `axis`, in counts, into out (traces, 2 reach + 1, D)."""
    count, shifts, size = out.shape
    margin = window.size // 2
    here, there = np.empty(size + 2 * margin, np.float32), np.empty(size + 2 * (margin + reach), np.float32)
    product = np.empty_like(here)
    energy_here, energy_there = np.empty(size, np.float32), np.empty(size + 2 * reach, np.float32)
    c, best = np.empty((shifts, size), np.float32), np.empty(size, np.float32)
    for x in range(count):
        neighbour = a[i + 1, x] if axis == 0 else a[i, x + 1]
        _excerpt(a[i, x], first[i, x] - margin, here)
        _excerpt(neighbour, first[i, x] - margin - reach, there)
        _average(here * here, window, energy_here)
        _average(there * there, window, energy_there)
        best[:] = -1
        for k in range(shifts):
            for n in range(product.size):
                product[n] = here[n] * there[n + k]
            _average(product, window, c[k])
            for d in range(size):
                c[k, d] /= np.sqrt(energy_here[d] * energy_there[d + k] + np.float32(1e-4))
                best[d] = max(best[d], c[k, d])
        for k in range(shifts):
            for d in range(size):
                out[x, k, d] = np.uint8(min(scale * (best[d] - c[k, d]) + 0.5, 255.0))
