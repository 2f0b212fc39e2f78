"""What an earth will hold and where: levels of its horizons, then the rocks around them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wellposed.seismic.synthetic.fields import Map
from wellposed.seismic.synthetic.levels import Room, pick
from wellposed.seismic.synthetic.rocks import (
    Body,
    Boundary,
    Wedge,
    draw_channel,
    draw_chaos,
    draw_layers,
    draw_wedge,
    torn,
)
from wellposed.seismic.synthetic.section import Geology
from wellposed.seismic.synthetic.settings import Setting
from wellposed.seismic.synthetic.structure import Structure

EDGE = 6.0  # samples from the ends of the record that levels keep
APART = 0.4  # periods of the wavelet that keep other layers' echoes from a strong horizon
THINNEST = 0.5  # samples: a thinner unit has no top and base of its own


@dataclass(frozen=True, eq=False)
class Plan:
    """The ground, and what is wanted of it: the level of each horizon on each trace."""

    geology: Geology
    levels: dict[str, Map]
    kind: dict[str, str]
    absent: dict[str, NDArray[np.bool_]]
    within_wedge: frozenset[str]  # horizons whose levels count the wedge in
    blur: float  # traces over which the image suffers at a fault


def draw_plan(
    where: np.random.Generator,
    rocks: np.random.Generator,
    structure: Structure,
    shape: tuple[int, int, int],
    s: Setting,
    *,
    peak: float,
) -> Plan:
    """Choose levels where there is room, then draw the rocks so that they show as they should."""
    grid, nt = shape[:2], shape[2]
    upper, lower = rooms(structure, shape)
    piles = [upper, lower] if where.random() < 0.5 else [lower, upper]
    absent: dict[str, NDArray[np.bool_]] = {}
    full: dict[str, Map] = {}
    bodies: list[Body] = []
    wedge: Wedge | None = None
    if where.random() < s.wedge:
        wedge = draw_wedge(rocks, shape, pick(where, [piles[where.integers(2)]]))
        full["wedge_top"] = np.full(grid, wedge.level, np.float32)
        full["wedge_base"] = wedge.level + wedge.thickness
        absent["wedge_top"] = absent["wedge_base"] = wedge.thickness < THINNEST
        for room in piles:
            room.low = wedge.closed(room.low, wedge.thickness)
            room.high = wedge.closed(room.high, wedge.thickness)
    levels = {"truncated": lower.truncated(where)}
    if where.random() < s.chaos:
        thick = float(where.uniform(0.06, 0.16) * nt)
        chaos = draw_chaos(rocks, shape, pick(where, [lower], thick=thick), thick)
        bodies.append(chaos)
        full["chaos_top"], absent["chaos_top"] = chaos.top, chaos.base - chaos.top < THINNEST
    # A dome must pierce some horizons; without one, all but the truncated are nearly everywhere.
    least = where.uniform(0.6, 1) if structure.dome else 1.0
    levels["strong"] = pick(where, piles, least=least)
    levels["zero_crossing"] = pick(where, piles[::-1], least=least)
    levels["weak"] = pick(where, piles if where.random() < 0.5 else piles[::-1])
    if where.random() < s.channel:
        bodies.append(draw_channel(rocks, shape, pick(where, [upper], thick=0.04 * nt)))
    apart = max(APART / peak, Boundary.clear)
    boundaries = [
        Boundary(levels["strong"], rocks.uniform(2.6, 4), apart),
        Boundary(levels["weak"], rocks.uniform(*s.contrast_weak)),
        Boundary(levels["zero_crossing"], rocks.uniform(1.8, 3), apart),
        Boundary(levels["truncated"], rocks.uniform(1.2, 2.8)),
    ]
    layers = draw_layers(rocks, shape, s, (-structure.gap - nt, 2.0 * nt), boundaries)
    salt = (rocks.uniform(0.1, 0.5) * torn(rocks, shape)).astype(np.float32) if structure.dome else None
    full |= {name: np.full(grid, level, np.float32) for name, level in levels.items()}
    full["unconformity"] = structure.erosion
    kind = {name: KINDS[name] for name in (*full, *(("dome_top",) if structure.dome else ()))}
    geology = Geology(structure, layers, wedge, tuple(bodies), salt)
    return Plan(geology, full, kind, absent, frozenset({"wedge_top", "wedge_base"}), where.uniform(0.8, 3))


KINDS = {
    "strong": "reflector",
    "truncated": "reflector",
    "weak": "weak",
    "zero_crossing": "zero crossing",
    "unconformity": "unconformity",
    "wedge_top": "wedge",
    "wedge_base": "wedge",
    "chaos_top": "chaos top",
    "dome_top": "dome top",
}


def rooms(structure: Structure, shape: tuple[int, int, int]) -> tuple[Room, Room]:
    """Levels that the record holds of the upper and of the lower pile, on each trace."""
    ni, nx, nt = shape
    last = np.full((ni, nx), nt - 1 - EDGE, np.float32)
    if structure.dome:
        last = np.clip(structure.dome.top, EDGE, last)
    low, cut_above, cut_below, high = (np.empty((ni, nx), np.float32) for _ in range(4))
    for i in range(ni):
        ends = np.stack([np.full(nx, EDGE, np.float32), last[i]], axis=1)
        restored = structure.restore(ends, i)
        cut = structure.erosion[i][:, None]
        low[i] = structure.above(restored[:, :1], i)[:, 0]
        cut_above[i] = structure.above(np.minimum(restored[:, 1:], cut), i)[:, 0]
        cut_below[i] = structure.below(cut, i)[:, 0]
        high[i] = structure.below(restored[:, 1:], i)[:, 0]
    return Room(low, cut_above), Room(cut_below, high)
