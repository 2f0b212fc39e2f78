"""The classical tracker as a product: the same surfaces, from a single pick on."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from wellposed.project.config import Project
from wellposed.project.inputs import Say, findings, open_survey, project_picks
from wellposed.project.run import Run, begun, check_folder
from wellposed.project.threads import use_threads

if TYPE_CHECKING:
    from wellposed.seismic.horizons import Horizon


def track_project(project: Project, out: str | Path, say: Say = print) -> Run:
    """Track every horizon of a project into out/surfaces.

    Raises:    a UserError before anything is written, where survey, picks or folder are refused
    """
    from wellposed.seismic.condition import condition
    from wellposed.seismic.tracker import track

    volume = open_survey(project)
    horizons = project_picks(project, volume.survey)
    check_folder(out, "track", project)
    for note in findings(volume, horizons):
        say(note)
    with begun(out, "track", project) as run:
        if run.finished:
            say(f"{out} is finished already")
            return run
        use_threads(project.run.threads, networks=False)
        prepared = condition(volume.read(), volume.survey.live)
        for picks in horizons:
            if not run.path("surfaces", f"{picks.name}.csv").exists():
                horizon = track(volume, picks, prepared=prepared)
                write_surface(run, horizon)
                say(f"{picks.name}: {int(horizon.exists.sum())} traces")
        run.note(finished=True, names=[p.name for p in horizons])
    return run


def write_surface(run: Run, horizon: Horizon) -> None:
    """Density and surface of a horizon; the CSV comes last, so that it says the horizon is done."""
    if horizon.density is not None:
        horizon.density.write_zarr(run.path("surfaces", f"{horizon.name}.zarr"), horizon.survey)
    horizon.write_csv(run.path("surfaces", f"{horizon.name}.csv"))
