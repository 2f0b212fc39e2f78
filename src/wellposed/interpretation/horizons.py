"""Horizons from few picks: prepared once for a survey, then one surface for each horizon."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from wellposed.seismic.tracker import Tracker, track

if TYPE_CHECKING:
    from wellposed.seismic.condition import Conditioned
    from wellposed.seismic.horizons import Horizon
    from wellposed.seismic.picks import Picks
    from wellposed.seismic.volume import Volume


@dataclass(frozen=True, eq=False)
class Prepared:
    """What depends on the survey only, computed once for all its horizons."""

    volume: Volume
    conditioned: Conditioned


def prepare(volume: Volume) -> Prepared:
    """Condition the volume."""
    from wellposed.seismic.condition import condition

    return Prepared(volume, condition(volume.read(), volume.survey.live))


def solve(prepared: Prepared, picks: Picks, sweeps: int = 20) -> Horizon:
    """The surface through the picks, with its density, on every trace of the survey."""
    return track(prepared.volume, picks, Tracker(sweeps=sweeps), prepared.conditioned)
