"""What is asked of a run: the project file, read with line numbers in its errors, written whole."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from wellposed.atomic import written_whole
from wellposed.errors import ConfigError, close_match

Auto = Literal["auto"]
HEAD = "# Every setting of this run. `wellposed interpret project.toml --out RUN` runs it again.\n\n"


class Part(BaseModel):
    """A table of the project file: keys that it does not know are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class SurveyFile(Part):
    """Where the amplitudes are; header bytes count from 1."""

    file: Path
    inline_byte: int | Auto = "auto"
    crossline_byte: int | Auto = "auto"


class PickFile(Part):
    """Where picks are and what their numbers mean; `auto` follows the header, else ms, positive down."""

    picks: Path
    std_ms: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 4.0
    unit: Literal["auto", "ms", "s", "us", "samples"] = "auto"
    negative_down: bool = False


class Budget(Part):
    """How long, and what makes the run repeat: with `epochs` a number, bit for bit at equal threads."""

    minutes: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 5.0
    epochs: Annotated[int, Field(ge=0)] | Auto = "auto"
    seed: Annotated[int, Field(ge=0)] = 0
    threads: Annotated[int, Field(ge=1, le=1024)] = os.cpu_count() or 1


class Project(Part):
    """A whole run: `[survey] file` and one `[[horizons]] picks` are enough."""

    survey: SurveyFile
    horizons: Annotated[tuple[PickFile, ...], Field(min_length=1)]
    run: Budget = Budget()


TABLES = (Project, SurveyFile, PickFile, Budget)


def read_project(path: str | Path) -> Project:
    """Read a project file; its paths are relative to the file.

    Raises:    ConfigError with the line number, and a close match for a key that is not known
    """
    path = Path(path)
    text = _text(path)
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as e:
        raise ConfigError(
            f"{path.name} is not a TOML file",
            given=str(e),
            expected="tables such as [survey] with lines such as file = 'survey.segy'",
            way_out="mend that line",
        ) from e
    project = validated(tables, lambda place: _where(path.name, text, place))
    return with_paths(project, lambda p: (path.parent / p).resolve())


def validated(
    tables: Mapping[str, Any], where: Any = None, name: Callable[[str], str] | None = None
) -> Project:
    """A project from plain tables; `name` says what the user calls a key, `where` where it stands.

    Raises:    ConfigError that names the key, and where it stands
    """
    try:
        return Project.model_validate(tables)
    except ValidationError as e:
        # A mistyped key makes its right name missing too: the mistake itself comes first.
        first = min(e.errors(), key=lambda error: error["type"] != "extra_forbidden")
        place = tuple(first["loc"])
        key = next((str(p) for p in reversed(place) if any(p in t.model_fields for t in TABLES)), "")
        called = name(key) if name else ""
        raise _config_error(
            first, place, where(place) if where else called or _dotted(place), called
        ) from None


def told_project(tables: Mapping[str, Any], name: Callable[[str], str] = str) -> Project:
    """A project from tables in which None means that nothing was told, so that the default holds.

    `name` turns a key into what the user calls it.

    Raises:    as validated
    """

    def told(value: Any) -> Any:
        if isinstance(value, Mapping):
            return {k: told(v) for k, v in value.items() if v is not None}
        return [told(v) for v in value] if isinstance(value, list) else value

    return with_paths(validated(told(tables), None, name), lambda p: Path(p).resolve())


def write_project(project: Project, path: str | Path) -> None:
    """Write every setting, paths relative to the file.

    Raises:    FileError where it cannot be written
    """
    import tomlkit

    path = Path(path).resolve()
    relative = with_paths(project, lambda p: Path(os.path.relpath(p.resolve(), path.parent)))
    with written_whole(path) as partial:
        partial.write_text(HEAD + tomlkit.dumps(relative.model_dump(mode="json")), encoding="utf-8")


def settings(project: Project) -> dict[str, Any]:
    """Every setting by a name that a user knows it by."""
    tables = project.model_dump(mode="json")
    survey = {"survey" if key == "file" else key: value for key, value in tables["survey"].items()}
    horizons = {
        f"{'picks' if key == 'picks' else key + ' of picks'} {n}": value
        for n, table in enumerate(tables["horizons"], 1)
        for key, value in table.items()
    }
    return {**survey, **horizons, **tables["run"]}


def with_paths(project: Project, change: Any) -> Project:
    """The same project with `change` applied to its paths."""
    survey = project.survey.model_copy(update={"file": change(project.survey.file)})
    horizons = tuple(h.model_copy(update={"picks": change(h.picks)}) for h in project.horizons)
    return project.model_copy(update={"survey": survey, "horizons": horizons})


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as e:
        raise ConfigError(
            "the project file cannot be read",
            given=f"{path}: {getattr(e, 'strerror', None) or 'not UTF-8'}",
            expected="a TOML file with [survey] and [[horizons]]",
            way_out="name the project file",
        ) from e


def _config_error(error: Any, place: tuple[int | str, ...], where: str, called: str) -> ConfigError:
    key = str(place[-1])
    if error["type"] == "extra_forbidden":
        known = _keys(place[:-1])
        near = close_match(key, known)
        return ConfigError(
            f"unknown key {key!r}",
            given=where,
            expected=f"one of {', '.join(known)}",
            way_out=f"did you mean {near!r}?" if near else "remove it",
        )
    if error["type"] == "missing":
        return ConfigError(
            f"{_dotted(place)} is missing",
            given=where,
            expected="at least [survey] file and [[horizons]] picks",
            way_out=f"add {key}",
        )
    value = str(error.get("input"))[:40]
    return ConfigError(
        f"{called or _dotted([p for p in place if p not in ('int', 'literal')])} has a value it cannot have",
        given=value if called else f"{value!r}, {where}",
        expected=error["msg"].removeprefix("Input should be "),
        way_out="give another value",
    )


def _keys(place: tuple[int | str, ...]) -> list[str]:
    """Keys that the table at `place` knows."""
    parts: dict[str, type[Part]] = {"survey": SurveyFile, "horizons": PickFile, "run": Budget}
    table = parts.get(str(place[0])) if place else Project
    return list((table or Project).model_fields)


def _dotted(place: Any) -> str:
    return ".".join(str(p) for p in place if not isinstance(p, int)) or "the project"


def _where(name: str, text: str, place: tuple[int | str, ...]) -> str:
    """Line of the file on which the key at `place` stands, or of its table."""
    table, found, counts = "", 0, {"": 0}
    wanted = str(place[0]) if place else ""
    number = next((p for p in place if isinstance(p, int)), 0)
    for n, line in enumerate(text.splitlines(), 1):
        stripped = line.strip()
        if stripped.startswith("["):
            table = stripped.strip("[] \t").split("]")[0]
            counts[table] = counts.get(table, -1) + 1
            if table == wanted and counts[table] == number:
                found = n
        key = stripped.split("=")[0].strip().strip("\"'")
        inside = (len(place) == 1 and table == "") or (table == wanted and counts.get(table) == number)
        if place and "=" in stripped and inside and key in map(str, place[-2:]):
            return f"line {n} of {name}: {stripped[:60]}"
    return f"line {found} of {name}: [{wanted}]" if found else f"{name}"
