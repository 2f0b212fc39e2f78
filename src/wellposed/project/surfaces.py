"""The horizons of a finished run, together."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from wellposed.errors import ConfigError, close_match
from wellposed.project.run import Run
from wellposed.seismic.horizons import Density, Horizon, read_horizon_csv

if TYPE_CHECKING:
    import xarray

    from wellposed.seismic.survey import Survey


@dataclass(frozen=True)
class Surfaces:
    """Horizons by name, in the order in which they were asked for."""

    horizons: dict[str, Horizon]

    def __getitem__(self, name: str) -> Horizon:
        return self.horizons[name]

    def __iter__(self) -> Iterator[Horizon]:
        return iter(self.horizons.values())

    def __repr__(self) -> str:
        return f"<Surfaces {', '.join(self.horizons)}>"

    def __len__(self) -> int:
        return len(self.horizons)

    def to_xarray(self) -> xarray.Dataset:
        """One data set with dims horizon, inline, crossline."""
        import pandas as pd
        import xarray

        names = pd.Index(list(self.horizons), name="horizon")
        return xarray.concat([h.to_xarray().drop_attrs() for h in self], names)

    def export(self, path: str | Path, *, dialect: str) -> list[Path]:
        """Write every horizon for another system; several go to PATH with their names in between.

        Raises:    ConfigError where there is no such dialect; FileError where it cannot be written
        """
        from wellposed.seismic.formats import WRITERS

        if dialect not in WRITERS:
            near = close_match(dialect, WRITERS)
            raise ConfigError(
                "no such dialect",
                given=dialect,
                expected=f"one of {', '.join(WRITERS)}",
                way_out=f"did you mean {near}?" if near else "name one of these",
            )
        path = Path(path)
        places = [path] if len(self) == 1 else [path.with_stem(f"{path.stem}_{n}") for n in self.horizons]
        for place, horizon in zip(places, self, strict=True):
            WRITERS[dialect](place, horizon)
        return places


def read_surfaces(run: Run, survey: Survey) -> Surfaces:
    """The surfaces of a finished run with their densities.

    Raises:    RunError where the run is not finished; FileError where the survey is another one
    """
    run.require_finished()
    found = {}
    for name in run.record["names"]:
        density = Density.read_zarr(run.path("surfaces", f"{name}.zarr"))
        found[name] = read_horizon_csv(run.path("surfaces", f"{name}.csv"), survey, density)
    return Surfaces(found)
