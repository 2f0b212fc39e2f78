"""What was picked on a horizon, how sure, and how files of picks are read without guessing wrong."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from wellposed.errors import PickError
from wellposed.seismic.formats.charisma import charisma_table, is_charisma
from wellposed.seismic.survey import Survey
from wellposed.seismic.tables import PLACES, Table, read_table, read_text
from wellposed.seismic.times import times_in_ms

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]

DEFAULT_STD_MS = 4.0
SHOWN = 5  # line numbers that a message lists
LONGEST_NAME = 80


@dataclass(frozen=True, eq=False)
class Picks:
    """What was picked on one horizon, and how sure.

    Shapes:    inline, crossline, twt_ms, std_ms (pick,); at most one pick on a trace
    Units:     line numbers, ms positive down, ms
    """

    name: str
    inline: Ints
    crossline: Ints
    twt_ms: Floats
    std_ms: Floats
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.inline)

    def at(self, survey: Survey) -> tuple[Ints, Ints]:
        """Indices of the picked traces."""
        return survey.index(self.inline, self.crossline)

    def take(self, index: ArrayLike) -> Picks:
        """Some of the picks, by index or by a vector of true and false."""
        k = np.asarray(index)
        k = k if k.size else k.astype(int)  # an empty list is a list of floats to NumPy
        parts = (self.inline[k], self.crossline[k], self.twt_ms[k], self.std_ms[k])
        return Picks(self.name, *parts, self.notes)


def read_picks(
    path: str | Path,
    *,
    survey: Survey,
    std_ms: float | None = None,
    unit: str | None = None,
    negative_down: bool = False,
) -> list[Picks]:
    """Picks of every horizon in a file: CSV with header, bare triples or Charisma lines, by content.

    `unit` (ms, s, us, samples) and `negative_down` bind; without them times are ms, positive down, unless
    the header names another unit. `std_ms` is for picks whose file holds none (4 ms unless told).

    Raises:    FileError where there is no text; PickError where its numbers cannot be right
    """
    lines = read_text(path)
    table = charisma_table(path, lines) if is_charisma(lines) else read_table(path, lines)
    notes: list[str] = []
    table = _without_nulls(table, notes)
    inline, crossline = _lines(table, survey, notes)
    there = _on_traces(table, survey, inline, crossline, notes)
    table, inline, crossline = _rows(table, there), inline[there], crossline[there]
    twt, factor = times_in_ms(table, survey, unit, negative_down, notes)
    std = _std(table, factor, std_ms)
    names = table.names or [Path(path).stem] * len(table)
    out = []
    for name in dict.fromkeys(names):
        k = np.flatnonzero(np.array([n == name for n in names]))
        picks = Picks(safe_name(name), inline[k], crossline[k], twt[k], std[k], tuple(notes))
        out.append(_one_per_trace(picks, table, table.lines[k], survey))
    return different_names(out)


def read_all_picks(
    paths: Sequence[str | Path],
    *,
    survey: Survey,
    std_ms: float | None = None,
    unit: str | None = None,
    negative_down: bool = False,
) -> list[Picks]:
    """Picks of all horizons of several files.

    Raises:    as `read_picks`; PickError where two horizons have one name
    """
    kept = {"std_ms": std_ms, "unit": unit, "negative_down": negative_down}
    found = [p for path in paths for p in read_picks(path, survey=survey, **kept)]  # type: ignore[arg-type]
    return different_names(found)


def safe_name(name: str) -> str:
    """A name that is a file name on every system: letters, digits, `_`, `-` and `.` stay."""
    return re.sub(r"[^\w.-]+", "_", name.strip()).strip("._")[:LONGEST_NAME].strip("._") or "horizon"


def different_names(found: list[Picks]) -> list[Picks]:
    """The same horizons, if their names differ even where capitals do not count.

    Raises:    PickError where two have one name
    """
    names = [p.name.casefold() for p in found]
    for name in names:
        if names.count(name) > 1:
            equal = found[names.index(name)].name
            raise PickError(
                f"two horizons are called {equal}",
                given=f"{len(found)} horizons: {', '.join(p.name for p in found)}"[:120],
                expected="a name of its own for each: the file's name, or its column `horizon`",
                way_out="rename one of the files, or of the names inside",
            )
    return found


def _without_nulls(table: Table, notes: list[str]) -> Table:
    """Rows with a time and a place; null values go before any test of range."""
    c = table.columns
    pairs = [pair for pair in (*PLACES, ("first", "second")) if c.keys() >= {*pair}]
    pair = next((p for p in pairs if np.isfinite(c[p[0]] + c[p[1]]).any()), pairs[0])
    table = replace(table, columns={n: v for n, v in c.items() if n in (*pair, "time", "std")})
    needed = [c[name] for name in (*pair, "time")]
    known: Flags = np.logical_and.reduce(np.isfinite(np.array(needed)))
    if not known.any():
        raise PickError(
            f"{table.file} holds no picks",
            given=f"{len(table)} rows, all of them null values",
            expected="at least one row with a place and a time",
            way_out="export the picks again, or name another file",
        )
    if not known.all():
        notes.append(f"{int((~known).sum())} of {len(table)} rows of {table.file} hold null values: left out")
    return _rows(table, known)


def _rows(table: Table, keep: Flags) -> Table:
    names = [n for n, k in zip(table.names, keep, strict=True) if k] if table.names else None
    columns = {name: c[keep] for name, c in table.columns.items()}
    return replace(table, columns=columns, names=names, lines=table.lines[keep])


def _lines(table: Table, survey: Survey, notes: list[str]) -> tuple[Ints, Ints]:
    """Line numbers of the picks, all of them on lines of the survey."""
    c = table.columns
    if "inline" in c:
        pair = c["inline"], c["crossline"]
    elif "x" in c:
        return _by_place(table, survey, c["x"], c["y"])
    else:
        pair = c["first"], c["second"]
        lines, places = _share_on_lines(survey, *pair), _share_near(survey, *pair)
        if lines == 1 == places:
            raise PickError(
                f"{table.file}: the first two columns fit line numbers and coordinates alike",
                given=f"{len(table)} rows without a header",
                expected="a header that says which they are",
                way_out="add a first line: inline,crossline,twt_ms or x,y,twt_ms",
            )
        if places > lines:
            notes.append(f"columns of {table.file} read as x, y, time")
            return _by_place(table, survey, *pair)
        notes.append(f"columns of {table.file} read as inline, crossline, time")
    out: Flags = np.logical_or.reduce(np.array(survey.index(*pair)) < 0)
    if out.any():
        raise _outside(table, survey, out, pair)
    return pair[0].astype(np.int64), pair[1].astype(np.int64)


def _share_on_lines(survey: Survey, a: Floats, b: Floats) -> float:
    return float((np.array(survey.index(a, b)) >= 0).all(axis=0).mean())


def _share_near(survey: Survey, x: Floats, y: Floats) -> float:
    if survey.x is None:
        return 0.0
    return float((survey.nearest(x, y)[2] <= 1).mean())


def _by_place(table: Table, survey: Survey, x: Floats, y: Floats) -> tuple[Ints, Ints]:
    inline, crossline, away = survey.nearest(x, y)
    if (away > 1).any():
        raise _outside(table, survey, away > 1, (x, y))
    return inline, crossline


def _outside(table: Table, survey: Survey, out: Flags, pair: tuple[Floats, Floats]) -> PickError:
    a, b = pair
    swapped = _share_on_lines(survey, b, a) == 1
    numbers = ", ".join(map(str, table.lines[out][:SHOWN].tolist())) + (" ..." if out.sum() > SHOWN else "")
    return PickError(
        f"{table.file}: picks lie outside the survey",
        given=f"{int(out.sum())} of {len(table)} (line {numbers}), the first at {a[out][0]:g}, {b[out][0]:g}",
        expected=_ranges(survey),
        way_out="exchange the two columns"
        if swapped
        else "remove those picks, or name the survey's --inline-byte and --crossline-byte",
    )


def _ranges(survey: Survey) -> str:
    text = f"lines of {survey.describe().split(',')[0]}"
    if survey.x is not None and survey.y is not None and np.isfinite(survey.x).any():
        x, y = survey.x, survey.y
        text += f"; x {np.nanmin(x):.0f} to {np.nanmax(x):.0f}, y {np.nanmin(y):.0f} to {np.nanmax(y):.0f}"
    return text


def _std(table: Table, factor: float, std_ms: float | None) -> Floats:
    default = DEFAULT_STD_MS if std_ms is None else std_ms
    if not default > 0:
        raise PickError(
            "the std of the picks must be above zero",
            given=f"{default:g} ms",
            expected="the standard deviation of a pick, in ms",
            way_out="give another --std-ms",
        )
    if "std" not in table.columns:
        return np.full(len(table), default)
    std = table.columns["std"] * {"ms": 1.0, "s": 1000.0, "us": 0.001}.get(table.std_unit or "", factor)
    wrong = std <= 0
    if wrong.any():
        raise PickError(
            f"{table.file}: a std must be above zero",
            given=f"line {table.lines[wrong][0]}: {std[wrong][0]:g}",
            expected="the standard deviation of the pick",
            way_out="mend that line, or leave the field empty",
        )
    return np.where(np.isfinite(std), std, default)


def _on_traces(table: Table, survey: Survey, inline: Ints, crossline: Ints, notes: list[str]) -> Flags:
    """Leave out picks where the survey's grid has a gap: the trace is missing, not the pick wrong."""
    there = survey.exists[survey.index(inline, crossline)]
    if not there.any():
        raise PickError(
            f"{table.file}: no pick lies on a trace of the survey",
            given=f"{len(table)} picks, all where the file has no trace",
            expected=survey.describe(),
            way_out="pick on lines that the survey has",
        )
    if not there.all():
        notes.append(f"{int((~there).sum())} picks of {table.file} lie on missing traces: left out")
    return there


def _one_per_trace(picks: Picks, table: Table, lines: Ints, survey: Survey) -> Picks:
    """Picks on one trace become their mean, if they agree within half a sample."""
    i, x = picks.at(survey)
    key = i * survey.shape[1] + x
    _, first, group, count = np.unique(key, return_index=True, return_inverse=True, return_counts=True)
    if len(first) == len(picks):
        return picks
    low, high = np.full(len(first), np.inf), np.full(len(first), -np.inf)
    np.minimum.at(low, group, picks.twt_ms)
    np.maximum.at(high, group, picks.twt_ms)
    apart = high - low > survey.step_ms / 2
    if apart.any():
        k = int(np.argmax(high - low))
        where = lines[group == k][:SHOWN].tolist()
        raise PickError(
            f"{table.file}: picks of {picks.name} on one trace disagree",
            given=f"lines {', '.join(map(str, where))}: {low[k]:g} and {high[k]:g} ms on inline "
            f"{picks.inline[first[k]]}, crossline {picks.crossline[first[k]]}; {int(apart.sum())} traces so",
            expected="one time for each trace and horizon",
            way_out="remove one of them, or name horizons in a column `horizon`",
        )
    order = np.sort(first)
    mean = np.bincount(group, picks.twt_ms) / count
    note = f"{len(picks) - len(first)} picks of {picks.name} stand twice and agree: taken once"
    kept = picks.take(order)
    return replace(kept, twt_ms=mean[group[order]], notes=(*picks.notes, note))
