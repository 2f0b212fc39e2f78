"""Amplitudes on a survey, read when they are asked for."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from wellposed.errors import ShapeError
from wellposed.seismic.survey import Survey

if TYPE_CHECKING:
    import xarray

    from wellposed.seismic.segy.file import SegyFile
    from wellposed.seismic.segy.layout import Layout

Array = NDArray[np.float32]
Ints = NDArray[np.int64]

AT_ONCE = 4096  # traces decoded at a time: bounds the memory of a read beside its result


class Source(NamedTuple):
    """The file of a volume, and the header bytes that were told."""

    file: Path
    inline_byte: int | None
    crossline_byte: int | None


class Traces(Protocol):
    """Where amplitudes come from: traces by their place in the file."""

    def __call__(self, index: Ints, /) -> Array:
        """Samples of the traces `index`, (len(index), samples)."""
        ...


class Volume:
    """Amplitudes on a survey, lazy: only the traces asked for are read.

    `notes` are the findings of opening it, to be said aloud; `source` is its file, if it has one.
    """

    def __init__(
        self, survey: Survey, traces: Traces, notes: tuple[str, ...] = (), source: Source | None = None
    ) -> None:
        self.survey, self._traces, self.notes, self.source = survey, traces, notes, source

    def __repr__(self) -> str:
        return f"<Volume {self.survey.name}: {self.survey.describe()}>"

    def read(
        self,
        inline: slice = slice(None),
        crossline: slice = slice(None),
        twt: slice = slice(None),
    ) -> Array:
        """Amplitudes by slices of indices; zero where there is no trace and where it is dead.

        Shapes:    -> (inline, crossline, twt), float32
        """
        place = np.where(self.survey.live, self.survey.trace, -1)[inline, crossline]
        out = np.zeros((*place.shape, len(self.survey.twt_ms[twt])), np.float32)
        i, j = np.nonzero(place >= 0)
        order = np.argsort(place[i, j], kind="stable")
        for start in range(0, len(order), AT_ONCE):
            some = order[start : start + AT_ONCE]
            out[i[some], j[some]] = self._traces(place[i[some], j[some]])[:, twt]
        return out

    def to_xarray(self) -> xarray.DataArray:
        """All amplitudes as a labelled array with dims inline, crossline, twt."""
        import xarray

        s = self.survey
        coords = {"inline": s.inline, "crossline": s.crossline, "twt": ("twt", s.twt_ms, {"units": "ms"})}
        out = xarray.DataArray(self.read(), coords, ("inline", "crossline", "twt"), "amplitude")
        if s.x is not None and s.y is not None:
            grid = ("inline", "crossline")
            out = out.assign_coords(cdp_x=(grid, s.x), cdp_y=(grid, s.y))
        return out

    @classmethod
    def from_array(
        cls,
        amplitude: NDArray[np.floating],
        *,
        inline: ArrayLike | None = None,
        crossline: ArrayLike | None = None,
        twt_ms: ArrayLike | None = None,
        x: ArrayLike | None = None,
        y: ArrayLike | None = None,
        name: str = "volume",
    ) -> Volume:
        """A volume that lies in memory; lines count from 1 and samples by 4 ms from 0 unless told.

        Shapes:    amplitude (inline, crossline, twt); x, y (inline, crossline)
        Units:     twt_ms in even steps, positive down; line numbers grow
        Raises:    ShapeError where labels, coordinates and amplitudes do not fit one another
        """
        a = np.asarray(amplitude, np.float32)
        if a.ndim != 3:
            raise ShapeError(
                "a volume has three axes",
                given=f"amplitudes of shape {a.shape}",
                expected="inline, crossline and twt",
                way_out="give a line the shape (1, crossline, twt)",
            )
        labels = (
            np.arange(1, a.shape[0] + 1) if inline is None else np.asarray(inline),
            np.arange(1, a.shape[1] + 1) if crossline is None else np.asarray(crossline),
            4.0 * np.arange(a.shape[2]) if twt_ms is None else np.asarray(twt_ms, np.float64),
        )
        places = {name: np.asarray(v, float) for name, v in (("x", x), ("y", y)) if v is not None}
        _check_labels(a, labels, places)
        flat = a.reshape(-1, a.shape[2])
        no_numbers = ~np.isfinite(flat).all(axis=1)
        dead = np.asarray(no_numbers | ~flat.any(axis=1)).reshape(a.shape[:2])
        notes = (f"{int(no_numbers.sum())} traces hold NaN: treated as dead",) if no_numbers.any() else ()
        survey = Survey(
            name,
            labels[0].astype(np.int64),
            labels[1].astype(np.int64),
            np.asarray(labels[2], np.float64),
            np.arange(len(flat)).reshape(a.shape[:2]),
            dead,
            places.get("x"),
            places.get("y"),
        )
        return cls(survey, lambda index: flat[index], notes)


def open_volume(
    path: str | Path, *, inline_byte: int | None = None, crossline_byte: int | None = None
) -> Volume:
    """Open a SEG-Y file; inline and crossline are found at the known bytes, or at those given.

    Raises:    FileError where it is no SEG-Y; SurveyError where the traces cannot be placed
    Cost:      one pass over the headers, and one over the samples to find dead traces
    """
    from wellposed.seismic.segy import find_layout, open_segy

    file = open_segy(path)
    layout = find_layout(file, inline_byte, crossline_byte)
    source = Source(Path(path).absolute(), inline_byte, crossline_byte)
    return Volume(layout.survey, _on_one_axis(file, layout), layout.notes, source)


def _check_labels(a: Array, labels: tuple[NDArray[Any], ...], places: dict[str, NDArray[np.float64]]) -> None:
    """Refuse labels that are not one for each place, in growing order, and a time axis of uneven steps."""
    lengths = tuple(len(v) for v in labels)
    if a.shape != lengths or lengths[2] < 2 or any(v.shape != a.shape[:2] for v in places.values()):
        raise ShapeError(
            "amplitudes and the labels of their axes do not fit one another",
            given=f"amplitudes {a.shape}, labels {lengths}, coordinates {[v.shape for v in places.values()]}",
            expected="a label for each inline, crossline and sample (two or more), coordinates for each",
            way_out="give amplitudes as (inline, crossline, twt)",
        )
    steps = [np.diff(v) for v in labels]
    if any((s <= 0).any() for s in steps) or not np.allclose(steps[2], steps[2][:1]):
        raise ShapeError(
            "the labels of an axis do not grow",
            given="inlines, crosslines or times that fall, repeat, or times in uneven steps",
            expected="line numbers that grow, times that grow by one sample interval",
            way_out="sort the amplitudes by line number and time, with their labels",
        )


def _on_one_axis(file: SegyFile, layout: Layout) -> Traces:
    """Traces of a file, each moved to where its delay puts it."""
    late = layout.late
    if not late.any():
        return file.traces

    def traces(index: Ints, /) -> Array:
        out = np.zeros((len(index), len(layout.survey.twt_ms)), np.float32)
        columns = late[index][:, None] + np.arange(file.samples)
        np.put_along_axis(out, columns, file.traces(index), axis=1)
        return out

    return traces
