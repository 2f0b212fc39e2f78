"""Text files of picks, judged by their content: header or none, comma, semicolon, tab or spaces."""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from wellposed.errors import FileError, PickError

Floats = NDArray[np.float64]

# The names under which a column is known; a unit may follow: twt_s, time [ms], z(us).
ALIASES = {
    "inline": {"inline", "il", "iline", "inline_number", "inline_no", "inline_3d"},
    "crossline": {"crossline", "xl", "xline", "crossline_number", "crossline_no", "crossline_3d"},
    "x": {"x", "cdp_x", "easting", "x_coord", "utm_x"},
    "y": {"y", "cdp_y", "northing", "y_coord", "utm_y"},
    "time": {"twt", "time", "twtt", "z", "t", "two_way_time"},
    "std": {"std", "twt_std"},
    "name": {"horizon", "name", "horizon_name", "surface"},
}
SAMPLES = {"sample", "samples", "sample_number", "sample_no"}
UNITS = {"ms": "ms", "msec": "ms", "s": "s", "sec": "s", "us": "us", "usec": "us"}
PLACES = (("inline", "crossline"), ("x", "y"))  # line numbers win over places
NULLS = (-999.25, -999.0, -9999.0, -9999.25, -99999.0, -999999.0, 9999900.0)
HUGE = 1e29  # 1e30 and the largest float32 stand for nothing in many files
SEPARATORS = (";", ",", "\t")
NULL_WORDS = {"", "nan", "null", "none", "na", "n/a", "-", "--", "*", "undef", "undefined"}


@dataclass(frozen=True, eq=False)
class Table:
    """Rows of a pick file: numbers by column, a horizon's name for each row or none, lines of the file.

    Not a number stands for null values. `unit` and `std_unit` are those that the header names.
    """

    file: str
    columns: dict[str, Floats]
    names: list[str] | None
    lines: NDArray[np.int64]
    unit: str | None = None
    std_unit: str | None = None

    def __len__(self) -> int:
        return len(self.lines)


def read_text(path: str | Path) -> list[str]:
    """Lines of a text file, whatever its encoding.

    Raises:    FileError where there is no such file, or it is no text
    """
    path = Path(path)
    expected, way_out = "a text file of picks", "name the file that holds the picks"
    if path.is_dir():
        raise FileError(
            "a folder stands where picks belong", given=str(path), expected=expected, way_out=way_out
        )
    try:
        raw = path.read_bytes()
    except OSError as e:
        raise FileError(
            "the picks cannot be read", given=f"{path}: {e.strerror}", expected=expected, way_out=way_out
        ) from e
    if b"\0" in raw[:4096]:
        raise FileError(
            f"{path.name} is not a text file", given="bytes of zero in it", expected=expected, way_out=way_out
        )
    for encoding in ("utf-8-sig", "cp1252"):
        try:
            return raw.decode(encoding).splitlines()
        except UnicodeDecodeError:
            continue
    return raw.decode("latin-1").splitlines()


def read_table(path: str | Path, lines: list[str]) -> Table:
    """Rows under a header, or three bare columns `a, b, time` whose meaning the survey decides.

    Raises:    PickError where nothing is in it, or a word stands where a number belongs
    """
    file = Path(path).name
    rows = [(n, text) for n, text in enumerate(lines, 1) if text.strip()]
    header = _header(rows)
    body = [
        (n, text) for n, text in rows if text.lstrip()[0] not in "#!" and (header is None or n > header[0])
    ]
    if not body:
        raise PickError(
            f"{file} holds no picks",
            given=f"{len(lines)} lines, none with numbers",
            expected="rows of inline, crossline and time, or of x, y and time",
            way_out="export the picks again, or name another file",
        )
    if header is None:
        return _bare(file, body)
    titles = [_title(t) for t in _split(_joined(header[1].lstrip("#! ")), header[1])]
    return _under_header(file, body, titles, header[1])


def is_null(value: float) -> bool:
    """Whether a number stands for nothing in the files of the systems around."""
    return not np.isfinite(value) or abs(value) >= HUGE or value in NULLS


def _header(rows: list[tuple[int, str]]) -> tuple[int, str] | None:
    """The first row that names a time and a place, as a comment or not; rows of data come after it."""
    for n, text in rows:
        comment = text.lstrip()[0] in "#!"
        titles = {_title(t)[0] for t in _split(_joined(text.lstrip("#! ")), text)}
        if "time" in titles and (
            any(titles >= {*pair} for pair in PLACES) or (len(titles) > 1 and not comment)
        ):
            return n, text
        if not comment:
            return (n, text) if titles & (ALIASES.keys() - {"name"}) else None
    return None


def _split(text: str, like: str) -> list[str]:
    """Tokens of a row, by the separator that `like` uses."""
    for separator in SEPARATORS:
        if separator in like:
            try:
                return [t.strip() for t in next(csv.reader([text], delimiter=separator), [])]
            except csv.Error:  # a field longer than any that is text
                return [t.strip() for t in text.split(separator)]
    return text.split()


def _joined(header: str) -> str:
    """The header with a unit that stands apart, as in `twt (ms)`, joined to its title."""
    if any(separator in header for separator in SEPARATORS):
        return header
    return re.sub(r"\s+(?=[(\[]\w+[)\]])", "_", header)


def _title(text: str) -> tuple[str, str | None]:
    """Column and unit that a title means: `TWT [s]` is ("time", "s"), a title unknown is itself."""
    words = re.sub(r"[^a-z0-9]+", "_", text.strip().strip('"').lower()).strip("_")
    if words in SAMPLES:
        return "time", "samples"
    for column, names in ALIASES.items():
        if words in names:
            return column, None
        stem, _, unit = words.rpartition("_")
        if stem in names and unit in UNITS:
            return column, UNITS[unit]
    return words, None


def _bare(file: str, body: list[tuple[int, str]]) -> Table:
    rows = [_split(text, text) for _, text in body]
    wrong = next((k for k, row in enumerate(rows) if len(row) != 3), None)
    if wrong is not None:
        raise PickError(
            f"{file} has no header, and not three columns",
            given=f"line {body[wrong][0]}: {body[wrong][1].strip()[:60]!r}",
            expected="three columns (inline crossline time, or x y time), or a header that names them",
            way_out="add a header such as inline,crossline,twt_ms",
        )
    columns = {
        name: np.array([_number(file, n, row[k], name) for (n, _), row in zip(body, rows, strict=True)])
        for k, name in enumerate(("first", "second", "time"))
    }
    return Table(file, columns, None, np.array([n for n, _ in body]))


def _under_header(
    file: str, body: list[tuple[int, str]], titles: list[tuple[str, str | None]], header: str
) -> Table:
    place = {column: k for k, (column, _) in reversed(list(enumerate(titles)))}
    times = [k for k, (column, _) in enumerate(titles) if column == "time"]
    # Of several columns that mean time, one that names its unit is meant: `z` may be a depth.
    if times:
        place["time"] = next((k for k in times if titles[k][1] in UNITS.values()), times[0])
    if not times or not any(place.keys() >= {*pair} for pair in PLACES):
        raise PickError(
            f"{file}: the header does not say where and when the picks are",
            given=f"columns {header.strip()[:80]}",
            expected="inline, crossline (or x, y) and twt_ms (or twt); std_ms and horizon may follow",
            way_out="name the columns so in the first line",
        )
    rows = [_split(text, header if _same_separator(text, header) else text) for _, text in body]
    _refuse_slipped(file, body, rows, titles)
    columns: dict[str, Floats] = {}
    for column in ("inline", "crossline", "x", "y", "time", "std"):
        if column in place:
            k = place[column]
            tokens = [row[k] if k < len(row) else "" for row in rows]
            columns[column] = np.array(
                [_number(file, n, t, column, ";" in header) for (n, _), t in zip(body, tokens, strict=True)]
            )
    names = None
    if "name" in place:
        names = [row[place["name"]] if place["name"] < len(row) else "" for row in rows]
    units = {column: titles[k][1] for column, k in place.items()}
    lines = np.array([n for n, _ in body])
    return Table(file, columns, names, lines, units["time"], units.get("std"))


def _refuse_slipped(
    file: str, body: list[tuple[int, str]], rows: list[list[str]], titles: list[tuple[str, str | None]]
) -> None:
    """Raise PickError where a row has not the columns of the header: its numbers would slip.

    Fields that are missing, or empty, at the end of a separated row are null values.
    """
    for (n, text), row in zip(body, rows, strict=True):
        separated = any(separator in text for separator in SEPARATORS)
        if (len(row) < len(titles) and not separated) or any(row[len(titles) :]):
            raise PickError(
                f"{file}: a row has not as many columns as the header",
                given=f"line {n}: {len(row)} columns, {text.strip()[:60]!r}",
                expected=f"{len(titles)} columns",
                way_out="quote names that hold blanks, or separate the columns by commas",
            )


def _same_separator(text: str, header: str) -> bool:
    return any(separator in header and separator in text for separator in SEPARATORS) or not any(
        separator in header for separator in SEPARATORS
    )


def _number(file: str, line: int, token: str, column: str, decimal_comma: bool = False) -> float:
    word = token.strip().strip('"').lower()
    if word in NULL_WORDS:
        return float("nan")
    try:
        value = float(word.replace(",", ".") if decimal_comma else word)
    except ValueError:
        raise PickError(
            f"{file}: a word stands where a number belongs",
            given=f"line {line}: {token!r}" + ("" if column in ("first", "second") else f" as {column}"),
            expected="numbers; an empty field or -999.25 where nothing was picked",
            way_out=f"mend line {line}",
        ) from None
    return float("nan") if is_null(value) else value
