"""Where the traces of a survey are, and when their samples."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from wellposed.errors import SurveyError

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, eq=False, repr=False)
class Survey:
    """The grid of a survey: labels of its lines, place of its traces in the file, time axis.

    Line numbers are labels, never indices. A cell of the grid may hold no trace (`trace` is -1), and a
    trace may be dead (all zero, or with samples that are no numbers).

    Shapes:    inline (i,), crossline (j,), twt_ms (k,); trace, dead, x, y (i, j)
    Units:     twt_ms in ms, positive down; x and y as in the file after its scalar, NaN without a trace
    """

    name: str
    inline: Ints
    crossline: Ints
    twt_ms: Floats
    trace: Ints
    dead: Flags
    x: Floats | None = None
    y: Floats | None = None

    @property
    def shape(self) -> tuple[int, int, int]:
        """Numbers of inlines, crosslines and samples."""
        return len(self.inline), len(self.crossline), len(self.twt_ms)

    @property
    def step_ms(self) -> float:
        """Sample interval."""
        return float(self.twt_ms[1] - self.twt_ms[0])

    @property
    def exists(self) -> Flags:
        """Cells that hold a trace."""
        return self.trace >= 0

    @property
    def live(self) -> Flags:
        """Cells that hold a trace with amplitudes."""
        return self.exists & ~self.dead

    @property
    def is_line(self) -> bool:
        """Whether the survey is one line or two: its map is a profile then."""
        return min(self.shape[:2]) <= 2

    def index(self, inline: ArrayLike, crossline: ArrayLike) -> tuple[Ints, Ints]:
        """Indices of cells from line numbers; -1 where the survey has no such line."""
        return _place(self.inline, inline), _place(self.crossline, crossline)

    def nearest(self, x: ArrayLike, y: ArrayLike) -> tuple[Ints, Ints, Floats]:
        """Line numbers of the trace nearest to each place, and its distance in bins.

        Raises:    SurveyError where the survey has no coordinates
        """
        from scipy.spatial import cKDTree

        if self.x is None or self.y is None:
            raise SurveyError(
                "the survey has no coordinates to look places up in",
                given=f"{self.name}, whose headers hold no x and y",
                expected="a survey with coordinates, or picks with inline and crossline",
                way_out="give the picks by inline and crossline number",
            )
        i, j = np.nonzero(self.exists & np.isfinite(self.x) & np.isfinite(self.y))
        tree = cKDTree(np.column_stack([self.x[i, j], self.y[i, j]]))
        places = np.column_stack([np.asarray(x, float), np.asarray(y, float)])
        found = tree.query(places)[1]
        away = self._in_bins(places - tree.data[found])
        return self.inline[i[found]], self.crossline[j[found]], away

    def _in_bins(self, vectors: Floats) -> Floats:
        """Length of vectors in bins: the larger of their shares along inline and along crossline."""
        places = [np.asarray(v, np.float64) for v in (self.x, self.y)]
        steps = [np.array([np.diff(v, axis=k).ravel() for v in places]) for k in (0, 1)]
        known = [np.median(s[:, np.isfinite(s).all(axis=0)], axis=1) for s in steps if np.isfinite(s).any()]
        if len(known) == 2 and abs(np.linalg.det(known)) > 1e-6 * np.prod(np.linalg.norm(known, axis=1)):
            return np.asarray(np.abs(np.linalg.solve(np.transpose(known), vectors.T)).max(axis=0), np.float64)
        return np.asarray(np.hypot(*vectors.T) / self.bin_size, np.float64)

    @property
    def bin_size(self) -> float:
        """Median distance of neighbouring traces, in the units of x and y; NaN without coordinates."""
        if self.x is None or self.y is None:
            return float("nan")
        steps = [np.hypot(np.diff(self.x, axis=k), np.diff(self.y, axis=k)).ravel() for k in (0, 1)]
        known = [s[np.isfinite(s) & (s > 0)] for s in steps]
        sizes = [float(np.median(s)) for s in known if s.size]
        return min(sizes) if sizes else float("nan")

    def __repr__(self) -> str:
        return f"<Survey {self.name}: {self.describe()}>"

    def describe(self) -> str:
        """One line about the grid and the time axis."""
        ni, nx, nt = self.shape
        return (
            f"{_run('inline', self.inline)} x {_run('crossline', self.crossline)}, "
            f"{int(self.exists.sum())} of {ni * nx} traces, "
            f"{nt} samples {self.twt_ms[0]:g} to {self.twt_ms[-1]:g} ms by {self.step_ms:g} ms"
        )


def _place(labels: Ints, wanted: ArrayLike) -> Ints:
    w = np.asarray(wanted)
    k = np.clip(np.searchsorted(labels, w), 0, len(labels) - 1)
    return np.where(labels[k] == w, k, -1).astype(np.int64)


def _run(word: str, labels: Ints) -> str:
    if len(labels) == 1:
        return f"{word} {labels[0]}"
    steps = np.diff(labels)
    by = f" by {steps[0]}" if (steps == steps[0]).all() and steps[0] > 1 else ""
    return f"{word} {labels[0]} to {labels[-1]}{by}"
