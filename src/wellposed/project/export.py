"""The surfaces of a run in the format of another system."""

from __future__ import annotations

from pathlib import Path

from wellposed.project.inputs import open_survey
from wellposed.project.run import open_run
from wellposed.project.surfaces import read_surfaces


def export_run(folder: str | Path, dialect: str, out: str | Path | None = None) -> list[Path]:
    """Write every surface of a run as RUN/export/NAME.dat, or into the folder `out`.

    Raises:    ConfigError where there is no such dialect; RunError where the run is not finished
    """
    run = open_run(folder)
    surfaces = read_surfaces(run, open_survey(run.project).survey)
    target = run.path("export") if out is None else Path(out)
    paths = []
    for name, horizon in surfaces.horizons.items():
        paths += type(surfaces)({name: horizon}).export(target / f"{name}.dat", dialect=dialect)
    return paths
