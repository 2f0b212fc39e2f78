"""Where the layers of a simulated earth lie: folds, erosion, faults, a dome, undone one after another.

A point of the section today is carried back through its history, youngest event first, to its place
in the pile of layers: its *level*. All events move points vertically, so a level is a function of
time on each trace, continuous but for faults and for the erosion surface.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wellposed.seismic.synthetic.fields import Map, Section, log_uniform, places, rough_map, smooth_map
from wellposed.seismic.synthetic.settings import Setting

STEEPEST = 0.4  # share by which a fold may stretch or squeeze the pile over the whole record
FLANK = 6.0  # samples a trace: a steeper side of a dome is not picked
BESIDE = 10.0  # samples from a flank within which the image fails


@dataclass(frozen=True, eq=False)
class Fold:
    """level = t - relief (1 + growth (t - middle) / depth): parallel folds that grow with depth."""

    relief: Map
    growth: float
    depth: int

    def level(self, t: Section, i: int) -> Section:
        """Levels of the times of one inline."""
        swell = 1 + self.growth * (t / self.depth - 0.5)
        return t - self.relief[i][:, None] * swell


@dataclass(frozen=True, eq=False)
class Fault:
    """A plane with throw: the hanging wall slid down, most at the centre of the plane.

    `away` is the signed distance of each trace from the plane at its centre's depth, `taper` the share
    of the throw that is left along strike. The throw also ends up and down the plane, and dies out
    within the hanging wall.
    """

    away: Map
    taper: Map
    dip: float  # traces by which the plane recedes per sample of depth
    depth: float
    height: float
    reach: float
    throw: float  # samples; below zero for a reverse fault

    def distance(self, t: Section, i: int) -> Section:
        """Distance from the plane in traces, above zero in the hanging wall."""
        return self.away[i][:, None] - self.dip * (t - self.depth)

    def slip(self, t: Section, i: int) -> Section:
        """Throw on the plane, before it dies out away from it."""
        up_and_down = np.maximum(1 - ((t - self.depth) / self.height) ** 2, 0)
        return self.throw * self.taper[i][:, None] * up_and_down

    def undo(self, t: Section, i: int) -> Section:
        """Times before the fault moved."""
        if not self.taper[i].any():
            return t
        hanging = self.distance(t, i)
        moved = self.slip(t, i) * np.exp(-np.maximum(hanging, 0) / self.reach)
        return t - np.where(hanging > 0, moved, 0).astype(np.float32)


@dataclass(frozen=True, eq=False)
class Dome:
    """A body that rises through everything and drags its neighbours up; its steep flanks are not imaged."""

    top: Map
    flank: NDArray[np.bool_]
    lift: Map
    depth: int

    def undo(self, t: Section, i: int) -> Section:
        """Times before the dome rose."""
        return t + self.lift[i][:, None] * np.maximum(t / self.depth, 0).astype(np.float32)


@dataclass(frozen=True, eq=False)
class Structure:
    """The history of an earth: lower pile, old faults, erosion, upper pile, young faults, dome."""

    lower: Fold
    old: tuple[Fault, ...]
    erosion: Map
    upper: Fold
    young: tuple[Fault, ...]
    dome: Dome | None
    gap: float  # levels of the upper pile lie this far above their times: the two piles never share one

    def restore(self, t: Section, i: int) -> Section:
        """Times before the young faults and the dome."""
        t = self.dome.undo(t, i) if self.dome else t
        for fault in reversed(self.young):
            t = fault.undo(t, i)
        return t

    def below(self, restored: Section, i: int) -> Section:
        """Levels in the lower pile."""
        for fault in reversed(self.old):
            restored = fault.undo(restored, i)
        return self.lower.level(restored, i)

    def above(self, restored: Section, i: int) -> Section:
        """Levels in the upper pile."""
        return self.upper.level(restored, i) - np.float32(self.gap)

    def level(self, restored: Section, i: int) -> Section:
        """Levels of restored times, in the pile that they belong to."""
        eroded = restored < self.erosion[i][:, None]
        return np.where(eroded, self.above(restored, i), self.below(restored, i))

    def ill_imaged(self, t: Section, i: int, width: float) -> Section:
        """1 on planes that moved, falling off over `width` traces, and on the flanks of a dome."""
        near = np.zeros_like(t)
        if self.dome:
            beside = np.exp(-(((t - self.dome.top[i][:, None]) / BESIDE) ** 2))
            near, t = self.dome.flank[i][:, None] * beside, self.dome.undo(t, i)
        for fault in reversed(self.young):
            near, t = np.maximum(near, _nearness(fault, t, i, width)), fault.undo(t, i)
        buried = t >= self.erosion[i][:, None]
        for fault in reversed(self.old):
            near = np.maximum(near, buried * _nearness(fault, t, i, width))
            t = fault.undo(t, i)
        return near


def _nearness(fault: Fault, t: Section, i: int, width: float) -> Section:
    share = np.minimum(np.abs(fault.slip(t, i)) / 3, 1)
    return (share * np.exp(-((fault.distance(t, i) / width) ** 2))).astype(np.float32)


def draw_structure(rng: np.random.Generator, shape: tuple[int, int, int], s: Setting) -> Structure:
    """A history by chance, as rough as the setting says."""
    grid, nt = shape[:2], shape[2]
    tall = min(nt / 192, 1.0)  # shallow records hold small structures
    erosion = (nt * rng.uniform(0.36, 0.56) + tall * _relief(rng, grid, 0.8 * s.relief)).astype(np.float32)
    lower = tall * _relief(rng, grid, s.relief)
    lower = _discordant(rng, lower, erosion, rng.uniform(0.07, 0.16) * nt)
    onlap = rng.uniform(0, 0.75) * (erosion - erosion.mean())
    upper = (onlap + tall * _relief(rng, grid, 0.3 * s.relief)).astype(np.float32)
    faults = _faults(rng, shape, s)
    cut = int(rng.integers(0, len(faults) + 1))
    return Structure(
        lower=_fold(rng, lower, nt),
        old=tuple(faults[:cut]),
        erosion=erosion,
        upper=_fold(rng, upper, nt),
        young=tuple(faults[cut:]),
        dome=_dome(rng, shape) if rng.random() < s.dome else None,
        gap=3.0 * nt,
    )


def _relief(rng: np.random.Generator, grid: tuple[int, int], size: float) -> Map:
    """A regional dip, a few long ridges, and a rough remainder; about `size` samples high."""
    i, x = places(grid)
    out = size * (0.012 * rng.normal() * (i - grid[0] / 2) + 0.009 * rng.normal() * (x - grid[1] / 2))
    for _ in range(rng.integers(1, 5)):
        angle, wide = rng.uniform(0, np.pi), log_uniform(rng, 9, 60)
        di, dx = i - rng.uniform(-10, grid[0] + 10), x - rng.uniform(-10, grid[1] + 10)
        across = (np.cos(angle) * di + np.sin(angle) * dx) / wide
        along = (np.cos(angle) * dx - np.sin(angle) * di) / (wide * rng.uniform(1.2, 4))
        height = rng.normal(0, min(size, 0.3 * wide))
        out = out + height * np.exp(-0.5 * (across**2 + along**2))
    out = out + 0.25 * size * rough_map(rng, grid, rng.uniform(0.8, 1.4))
    return (out + rng.uniform(0.05, 0.35) * smooth_map(rng, grid, rng.uniform(2, 5))).astype(np.float32)


def _discordant(rng: np.random.Generator, lower: Map, erosion: Map, least: float) -> Map:
    """The lower relief, tilted if need be until the erosion cuts through `least` samples of it."""
    cut = float(np.ptp(np.quantile(erosion - lower, (0.05, 0.95))))
    if cut >= least:
        return lower
    i, x = places(lower.shape)
    angle = rng.uniform(0, 2 * np.pi)
    plane = np.cos(angle) * i / lower.shape[1] + np.sin(angle) * x / lower.shape[1]
    plane /= np.ptp(plane)
    return (lower + 1.3 * (least + cut) * plane).astype(np.float32)


def _fold(rng: np.random.Generator, relief: Map, nt: int) -> Fold:
    relief = (relief - relief.mean()).astype(np.float32)
    limit = STEEPEST * nt / (float(np.abs(relief).max()) + 1e-6)
    return Fold(relief, float(np.clip(rng.uniform(-0.8, 0.8), -limit, limit)), nt)


def _faults(rng: np.random.Generator, shape: tuple[int, int, int], s: Setting) -> list[Fault]:
    """Planes in a few sets; those of a set strike alike."""
    strikes = rng.uniform(0, 2 * np.pi, rng.integers(1, 4))
    count = int(rng.integers(s.faults[0], s.faults[1] + 1))
    return [_fault(rng, shape, float(rng.choice(strikes) + rng.normal(0, 0.14)), s) for _ in range(count)]


def _fault(rng: np.random.Generator, shape: tuple[int, int, int], strike: float, s: Setting) -> Fault:
    grid, nt = shape[:2], shape[2]
    i, x = places(grid)
    di, dx = i - rng.uniform(0, grid[0]), x - rng.uniform(0, grid[1])
    # Sets strike alike but may dip either way.
    side = rng.choice([-1, 1])
    across = side * (np.cos(strike) * di + np.sin(strike) * dx)
    along = np.cos(strike) * dx - np.sin(strike) * di
    throw = min(log_uniform(rng, *s.throw), 0.12 * nt)
    dip = log_uniform(rng, 0.06, 0.45)
    half_length = log_uniform(rng, 3, 12) * max(throw, 3) + 0.25 * max(grid)
    return Fault(
        away=(across + rng.uniform(0.3, 2) * smooth_map(rng, grid, 18)).astype(np.float32),
        taper=np.maximum(1 - (along / half_length) ** 2, 0).astype(np.float32),
        dip=dip,
        depth=rng.uniform(0.25, 0.85) * nt,
        height=max(log_uniform(rng, 0.6, 2) * nt, 6 * throw),
        reach=max(log_uniform(rng, 20, 500), 2.5 * dip * throw),
        throw=throw * (-1 if rng.random() < 0.12 else 1),
    )


def _dome(rng: np.random.Generator, shape: tuple[int, int, int]) -> Dome:
    """A stock or a wall of salt; its flanks leave through the bottom of the record."""
    grid, nt = shape[:2], shape[2]
    i, x = places(grid)
    angle, wide = rng.uniform(0, np.pi), rng.uniform(0.15, 0.3) * max(grid)
    di, dx = i - rng.uniform(0.25, 0.75) * grid[0], x - rng.uniform(0.25, 0.75) * grid[1]
    across = (np.cos(angle) * di + np.sin(angle) * dx) / wide
    along = (np.cos(angle) * dx - np.sin(angle) * di) / (wide * rng.uniform(1, 2.5))
    radius = np.sqrt(across**2 + along**2)
    radius *= np.exp(0.2 * rough_map(rng, grid, 0.5))
    crest = rng.uniform(0.35, 0.7) * nt
    drop = (1.15 * nt - crest) * np.minimum((radius / 1.6) ** rng.uniform(1.3, 3), 1.5)
    flank = (
        np.hypot(*np.gradient(drop)) > FLANK if min(grid) > 1 else np.abs(np.gradient(drop, axis=1)) > FLANK
    )
    top = crest + drop + rng.uniform(0.6, 2.2) * rough_map(rng, grid, 0.2)
    lift = rng.uniform(0.06, 0.18) * nt * np.exp(-0.5 * (radius / 1.5) ** 2)
    return Dome(top.astype(np.float32), flank, lift.astype(np.float32), nt)
