"""Charisma 3D interpretation lines: one row a trace, nine tokens, traces that are not picked left out.

INLINE :   1120 XLINE :    845    452310.25000   6781200.50000    1834.6200
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from wellposed.atomic import written_whole
from wellposed.errors import FileError
from wellposed.seismic.horizons import Horizon
from wellposed.seismic.picks import Picks
from wellposed.seismic.survey import Survey

TOKENS = 9
DEFAULT_STD_MS = 4.0


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
    rows = (f"INLINE :{a:>7d} XLINE :{b:>7d}{c:>16.5f}{d:>16.5f}{e:>13.4f}\n" for a, b, c, d, e in columns)
    with written_whole(path) as partial, partial.open("w", encoding="ascii") as f:
        f.writelines(rows)


def read_charisma(path: str | Path, survey: Survey) -> Picks:
    """Read such lines as picks of the horizon named like the file.

    Raises:    FileError where a row has not its nine tokens
    """
    path = Path(path)
    rows = [line.split() for line in path.read_text(encoding="latin-1").splitlines() if line.strip()]
    for number, row in enumerate(rows, 1):
        if len(row) != TOKENS or row[0] != "INLINE" or row[3] != "XLINE":
            raise FileError(
                f"{path.name} is not a file of Charisma lines",
                given=f"line {number}: {' '.join(row)[:60]}",
                expected="INLINE : number XLINE : number x y time",
                way_out="name another file",
            )
    table = np.array([[row[2], row[5], row[8]] for row in rows], float).reshape(-1, 3)
    std = np.full(len(table), DEFAULT_STD_MS)
    inline, crossline = table[:, 0].astype(np.int64), table[:, 1].astype(np.int64)
    return Picks(path.stem, inline, crossline, table[:, 2], std)
