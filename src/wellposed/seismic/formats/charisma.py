"""Charisma 3D interpretation lines: one row a trace, nine tokens, traces that are not picked left out.

INLINE :   1120 XLINE :    845    452310.25000   6781200.50000    1834.6200
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from wellposed.atomic import written_whole
from wellposed.errors import FileError
from wellposed.seismic.horizons import Horizon
from wellposed.seismic.tables import Table, is_null

TOKENS = 9


def write_charisma(path: str | Path, horizon: Horizon) -> None:
    """Write the traces on which the horizon exists, in ms, positive down.

    Where the survey has no coordinates, crossline and inline numbers stand in their columns: every
    reader wants two numbers there, and these plot as the map of the survey's grid.

    Raises:    FileError where it cannot be written
    """
    s = horizon.survey
    i, j = np.nonzero(horizon.exists)
    x = s.crossline[j].astype(float) if s.x is None else s.x[i, j]
    y = s.inline[i].astype(float) if s.y is None else s.y[i, j]
    columns = zip(s.inline[i], s.crossline[j], x, y, horizon.twt_ms[i, j], strict=True)
    rows = (f"INLINE : {a:>6d} XLINE : {b:>6d}{c:>16.5f}{d:>16.5f}{e:>13.4f}\n" for a, b, c, d, e in columns)
    with written_whole(path) as partial, partial.open("w", encoding="ascii") as f:
        f.writelines(rows)


def is_charisma(lines: list[str]) -> bool:
    """Whether the first line with content is such a row."""
    first = next((row for _, row in _rows(lines)), [])
    return len(first) == TOKENS and first[0].upper() == "INLINE" and first[3].upper() == "XLINE"


def _rows(lines: list[str]) -> list[tuple[int, list[str]]]:
    """Number and tokens of every line that is neither empty nor a comment."""
    return [
        (n, line.split()) for n, line in enumerate(lines, 1) if line.strip() and line.lstrip()[0] not in "#!"
    ]


def charisma_table(path: str | Path, lines: list[str]) -> Table:
    """Rows of such a file.

    Raises:    FileError where a row has not its nine tokens
    """
    file = Path(path).name
    rows = _rows(lines)
    columns: dict[str, list[float]] = {"inline": [], "crossline": [], "time": []}
    for n, row in rows:
        try:
            if len(row) != TOKENS:
                raise ValueError
            for name, k in (("inline", 2), ("crossline", 5), ("time", 8)):
                value = float(row[k])
                columns[name].append(float("nan") if is_null(value) else value)
        except ValueError:
            raise FileError(
                f"{file} is not a file of Charisma lines",
                given=f"line {n}: {' '.join(row)[:60]}",
                expected="INLINE : number XLINE : number x y time",
                way_out="mend that line, or name another file",
            ) from None
    numbers = {name: np.array(c) for name, c in columns.items()}
    return Table(file, numbers, None, np.array([n for n, _ in rows]))
