"""The survey and the picks of a project, opened, checked, and what was found said."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wellposed.errors import FileError, SurveyError
from wellposed.project.config import PickFile, Project
from wellposed.seismic.picks import Picks, different_names, read_picks

if TYPE_CHECKING:
    from wellposed.seismic.survey import Survey
    from wellposed.seismic.volume import Volume

Say = Callable[[str], None]


def open_survey(project: Project) -> Volume:
    """The survey's amplitudes, at the header bytes that the project names.

    Raises:    as open_volume; SurveyError where the traces are too short to be worked on
    """
    from wellposed.seismic.condition import FEWEST
    from wellposed.seismic.volume import open_volume

    s = project.survey
    inline = None if s.inline_byte == "auto" else s.inline_byte
    crossline = None if s.crossline_byte == "auto" else s.crossline_byte
    if not s.file.exists():
        raise FileError(
            "the survey file does not exist",
            given=str(s.file),
            expected="the SEG-Y file of this project",
            way_out="check the path; of a run that was moved, mend [survey] file in its project.toml",
        )
    volume = open_volume(s.file, inline_byte=inline, crossline_byte=crossline)
    if volume.survey.shape[2] < FEWEST:
        raise SurveyError(
            "the traces are too short for a horizon",
            given=f"{volume.survey.name}: {volume.survey.shape[2]} samples a trace",
            expected=f"at least {FEWEST}",
            way_out="export the survey with a longer window of time",
        )
    return volume


def project_picks(project: Project, survey: Survey) -> list[Picks]:
    """The picks of all horizons of a project.

    Raises:    as read_picks; PickError where two horizons have one name
    """
    return different_names([p for h in project.horizons for p in picks_of(h, survey)])


def picks_of(file: PickFile, survey: Survey) -> list[Picks]:
    """The picks of one file of a project."""
    unit = None if file.unit == "auto" else file.unit
    return read_picks(
        file.picks, survey=survey, std_ms=file.std_ms, unit=unit, negative_down=file.negative_down
    )


def write_picks(picks: Picks, path: Path) -> Path:
    """Write picks as CSV that `read_picks` reads back.

    Raises:    FileError where it cannot be written
    """
    from wellposed.atomic import written_whole

    with written_whole(path) as partial:
        partial.write_text(picks_text(picks), encoding="utf-8")
    return path


def picks_text(picks: Picks) -> str:
    """What `write_picks` writes."""
    import pandas as pd

    columns: dict[str, Any] = {"inline": picks.inline, "crossline": picks.crossline}
    columns |= {"twt_ms": picks.twt_ms.round(4), "std_ms": picks.std_ms, "horizon": picks.name}
    text: str = pd.DataFrame(columns).to_csv(index=False)
    return text


def findings(volume: Volume, horizons: list[Picks]) -> list[str]:
    """What was found on opening, each thing once."""
    notes = [*volume.notes, *(note for p in horizons for note in p.notes)]
    return list(dict.fromkeys(notes))
