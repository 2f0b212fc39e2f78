"""What the command was asked, as a project: flags and files, or a project file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from wellposed.errors import ConfigError
from wellposed.project.config import Project, read_project, told_project


def from_file(path: str, picks: list[str] | None, told: dict[str, Any]) -> Project:
    """The project of a file, which says all of it; what is `told` beside it is refused.

    Raises:    ConfigError
    """
    flags = [flag(key) for key, value in told.items() if value is not None]
    if flags:
        raise ConfigError(
            "a project file says how it is run itself",
            given=f"{path} and {', '.join(flags)}",
            expected="the project file and --out",
            way_out="write these into the project file",
        )
    if picks:
        raise ConfigError(
            "a project file names its picks itself",
            given=f"{path} and {' '.join(picks)}",
            expected="the project file alone",
            way_out="name the picks in [[horizons]]",
        )
    return read_project(path)


def from_flags(
    survey: str,
    picks: list[str] | None,
    inline_byte: int | None,
    crossline_byte: int | None,
    std_ms: float | None,
    unit: str | None,
    negative_down: bool,
    budget: dict[str, Any],
) -> Project:
    """The flags as a project: what is not told keeps its default.

    Raises:    ConfigError
    """
    if not picks:
        raise ConfigError(
            "no picks are given",
            given=survey,
            expected="at least one file of picks after the survey",
            way_out="add the file that holds the picks",
        )
    file = {"file": Path(survey).absolute(), "inline_byte": inline_byte, "crossline_byte": crossline_byte}
    meaning = {"std_ms": std_ms, "unit": unit, "negative_down": negative_down}
    horizons = [{"picks": Path(p).absolute(), **meaning} for p in picks]
    return told_project({"survey": file, "horizons": horizons, "run": budget}, flag)


def flag(key: str) -> str:
    """The flag of a key."""
    return f"--{key.replace('_', '-')}"
