"""Horizons: a surface on the grid of a survey, how sure it is, and the density it comes from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from wellposed.atomic import written_whole
from wellposed.errors import FileError
from wellposed.seismic.survey import Survey

if TYPE_CHECKING:
    import xarray

Floats = NDArray[np.float64]
Array = NDArray[np.float32]

COLUMNS = "inline,crossline,x,y,twt_ms,twt_std_ms,twt_p10_ms,twt_p90_ms,probability".split(",")
GRIDS = COLUMNS[4:]
DIMS = ("inline", "crossline", "place")
MEANING = "density[i, x, k] is that of first_ms[i, x] + k step_ms, given that the horizon exists"
LEAST_PROBABILITY = 0.5  # of existing on a trace: below it the horizon is said to be absent


@dataclass(frozen=True, eq=False)
class Density:
    """On each trace the density of the horizon's time, in the band it can lie in.

    Shapes:    first_ms (inline, crossline), probability (inline, crossline, D); the place k of a trace is
               at first_ms + k step_ms; sums to one given that the horizon exists
    """

    first_ms: Floats
    step_ms: float
    probability: Array

    def write_zarr(self, path: str | Path, survey: Survey | None = None) -> None:
        """Write as a Zarr group (format 3); it appears under its name only when it is whole.

        xarray opens it as a data set with dimensions inline, crossline, place, and the line numbers of the
        survey where it is given: `xarray.open_zarr(path, consolidated=False)`.

        Raises:    FileError where it cannot be written
        """
        import zarr

        lines, _, size = self.probability.shape
        with written_whole(path) as partial:
            group = zarr.open_group(str(partial), mode="w", zarr_format=3)
            group.attrs.update({"step_ms": self.step_ms, "units": "ms", "positive": "down", "time": MEANING})
            chunks = (min(lines, 64), min(self.probability.shape[1], 64), size)
            density = self.probability.astype(np.float32)
            group.create_array("density", data=density, chunks=chunks, dimension_names=DIMS)
            group.create_array("first_ms", data=self.first_ms, dimension_names=DIMS[:2])
            for name in DIMS[:2] if survey is not None else ():
                group.create_array(name, data=getattr(survey, name), dimension_names=[name])

    @classmethod
    def read_zarr(cls, path: str | Path) -> Density:
        """Read what `write_zarr` wrote.

        Raises:    FileError where there is no such group
        """
        import zarr

        try:
            group = zarr.open_group(str(path), mode="r")
            first, probability = np.asarray(group["first_ms"]), np.asarray(group["density"])
            return cls(first, float(group.attrs["step_ms"]), probability)
        except (OSError, KeyError) as e:
            raise FileError(
                f"{Path(path).name} cannot be read as a density",
                given=f"{path}: {e}",
                expected="a Zarr group with first_ms, density and step_ms",
                way_out="name a folder of a run's folder surfaces/",
            ) from e


@dataclass(frozen=True, eq=False, repr=False)
class Horizon:
    """A horizon on every trace of a survey; not a number where it is absent.

    Standard deviation and quantiles are given that the horizon exists; `probability` is that it does.

    Shapes:    twt_ms, twt_std_ms, twt_p10_ms, twt_p90_ms, probability (inline, crossline)
    Units:     ms, positive down
    """

    name: str
    survey: Survey
    twt_ms: Floats
    twt_std_ms: Floats
    twt_p10_ms: Floats
    twt_p90_ms: Floats
    probability: Floats
    density: Density | None = None

    @property
    def exists(self) -> NDArray[np.bool_]:
        """Traces of the file on which the horizon is at least as likely to exist as not."""
        return self.survey.exists & np.isfinite(self.twt_ms) & (self.probability >= LEAST_PROBABILITY)

    def __repr__(self) -> str:
        traces = f"{int(self.exists.sum())} of {int(self.survey.exists.sum())} traces"
        times = self.twt_ms[self.exists]
        range_ms = f", {times.min():.0f} to {times.max():.0f} ms" if times.size else ""
        return f"<Horizon {self.name} on {traces} of {self.survey.name}{range_ms}>"

    def write_csv(self, path: str | Path) -> None:
        """Write a row for each trace on which the horizon exists.

        Raises:    FileError where it cannot be written
        """
        import pandas as pd

        i, j = np.nonzero(self.exists)
        s = self.survey
        table = pd.DataFrame({"inline": s.inline[i], "crossline": s.crossline[j]})
        for name, grid in (("x", s.x), ("y", s.y)):
            table[name] = np.nan if grid is None else np.round(grid[i, j], 3)
        for name in GRIDS:
            table[name] = np.round(getattr(self, name)[i, j], 4)
        with written_whole(path) as partial:
            table.to_csv(partial, index=False)

    def to_xarray(self) -> xarray.Dataset:
        """The surface and its trust as a labelled set of arrays on (inline, crossline)."""
        import xarray

        dims = ("inline", "crossline")
        ms = {"units": "ms", "positive": "down"}
        grids = {name: (dims, getattr(self, name), {} if name == "probability" else ms) for name in GRIDS}
        s = self.survey
        out = xarray.Dataset(grids, {"inline": s.inline, "crossline": s.crossline}, {"name": self.name})
        if s.x is not None and s.y is not None:
            out = out.assign_coords(cdp_x=(dims, s.x), cdp_y=(dims, s.y))
        return out


def read_horizon_csv(path: str | Path, survey: Survey, density: Density | None = None) -> Horizon:
    """Read what `Horizon.write_csv` wrote.

    Raises:    FileError where the columns are others, or the lines are not the survey's
    """
    import pandas as pd

    path = Path(path)
    try:
        table = pd.read_csv(path)
        given = f"columns {', '.join(map(str, table.columns))}"
        if list(table.columns) == COLUMNS:
            table, given = table.astype(float), ""
    except (OSError, ValueError) as e:
        given = f"{path}: {e}"
    if given:
        raise FileError(
            f"{path.name} is not a surface of this program",
            given=given,
            expected=f"numbers in columns {', '.join(COLUMNS)}",
            way_out="name a file of a run's folder surfaces/",
        )
    i, j = survey.index(table["inline"].to_numpy(), table["crossline"].to_numpy())
    if (i < 0).any() or (j < 0).any():
        raise FileError(
            f"{path.name} belongs to another survey",
            given=f"{int(((i < 0) | (j < 0)).sum())} of {len(table)} rows on lines that the survey has not",
            expected=survey.describe(),
            way_out="name the survey that the surface was made on",
        )
    grids: dict[str, Floats] = {}
    for name in GRIDS:
        grid = np.full(survey.shape[:2], np.nan)
        grid[i, j] = table[name]
        grids[name] = grid
    grids["probability"] = np.nan_to_num(grids["probability"])
    time, std, low, high, probability = (grids[name] for name in GRIDS)
    return Horizon(path.stem, survey, time, std, low, high, probability, density)
