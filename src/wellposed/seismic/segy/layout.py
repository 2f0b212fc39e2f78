"""Where the traces of a SEG-Y file are: which header bytes hold the line numbers, and the grid they make."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wellposed.errors import SurveyError
from wellposed.seismic.segy.file import HUGE, SegyFile
from wellposed.seismic.survey import Survey

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

PRESETS = ((189, 193), (9, 21), (5, 21))  # inline and crossline: revision 1, and two that systems write
COORDINATES = ((181, 185), (73, 77))
SPARSEST = 10  # cells a trace: a larger grid means that a key is wrong
LAST_BYTE = 237
SCALARS = (0, 1, 10, 100, 1000, 10000)  # that SEG-Y knows
SHOWN = 6  # places that a message lists


@dataclass(frozen=True, eq=False)
class Layout:
    """The grid of a file, and by how many samples each trace starts later than the first sample.

    Shapes:    late (trace,), in samples
    """

    survey: Survey
    late: Ints
    inline_byte: int
    crossline_byte: int
    notes: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class _Key:
    bytes: tuple[int, int]
    inline: Ints
    crossline: Ints

    @property
    def verdict(self) -> str:
        """Empty where the pair can be the line numbers, else why not."""
        taken = self.taken
        ni, nx = len(np.unique(self.inline)), len(np.unique(self.crossline))
        if len(self.inline) > 1 and ni == nx == 1:
            return f"always {self.inline[0]} and {self.crossline[0]}"
        if ni * nx > SPARSEST * len(self.inline):
            return f"{ni} x {nx} lines for {len(self.inline)} traces"
        if taken.sum() > 0.1 * len(taken):
            return f"{taken.sum()} of {len(taken)} traces at a place already taken: {self.places(taken)}"
        return ""

    @property
    def taken(self) -> NDArray[np.bool_]:
        """Traces whose place an earlier trace of the file has."""
        pairs = np.column_stack([self.inline, self.crossline])
        out = np.ones(len(pairs), bool)
        out[np.unique(pairs, axis=0, return_index=True)[1]] = False
        return out

    def places(self, traces: NDArray[np.bool_]) -> str:
        """The first places of some traces, inline/crossline."""
        places = np.unique(np.column_stack([self.inline, self.crossline])[traces], axis=0)
        more = ", ..." if len(places) > SHOWN else ""
        return ", ".join(f"{a}/{b}" for a, b in places[:SHOWN]) + more


def find_layout(file: SegyFile, inline_byte: int | None = None, crossline_byte: int | None = None) -> Layout:
    """Place every trace on a grid of line numbers, and find what is dead.

    Raises:    SurveyError where no known pair of bytes holds line numbers, the given pair does not, or
               two traces claim one place
    Cost:      one strided pass over the headers and one chunked pass over the samples
    """
    key, told = _choose(file, inline_byte, crossline_byte)
    notes = [
        f"inline at byte {key.bytes[0]}, crossline at byte {key.bytes[1]} ({told})",
        *file.notes,
    ]
    inline, i = np.unique(key.inline, return_inverse=True)
    crossline, j = np.unique(key.crossline, return_inverse=True)
    trace = np.full((len(inline), len(crossline)), -1, np.int64)
    trace[i, j] = np.arange(len(file))
    _refuse_duplicates(key)
    missing = int((trace < 0).sum())
    if missing:
        notes.append(f"{missing} of {trace.size} cells of the grid hold no trace")
    dead_traces, no_numbers = _dead(file)
    if no_numbers:
        notes.append(f"{no_numbers} traces hold samples that are no numbers: treated as dead")
    dead = np.where(trace >= 0, dead_traces[trace], False)
    if dead_traces.sum() > no_numbers:
        notes.append(f"{int(dead_traces.sum()) - no_numbers} traces are all zero")
    notes += [
        text
        for numbers, word in ((inline, "inline"), (crossline, "crossline"))
        for text in _gaps(numbers, word)
    ]
    twt_ms, late, said = _axis(file, ~dead_traces)
    x, y, where = _coordinates(file, trace, key.bytes)
    survey = Survey(file.path.name, inline, crossline, twt_ms, trace, dead, x, y)
    return Layout(survey, late, *key.bytes, (*notes, *said, *where))


def _choose(file: SegyFile, inline_byte: int | None, crossline_byte: int | None) -> tuple[_Key, str]:
    def key(pair: tuple[int, int]) -> _Key:
        return _Key(pair, file.word(pair[0]), file.word(pair[1]))

    if inline_byte is None and crossline_byte is None:
        keys = [key(pair) for pair in PRESETS]
        for k in keys:
            if not k.verdict:
                return k, "found among the known places"
        raise SurveyError(
            "no known header bytes hold the inline and crossline numbers",
            given="; ".join(f"bytes {k.bytes[0]}/{k.bytes[1]}: {k.verdict}" for k in keys),
            expected="a pair of numbers that places every trace once",
            way_out="name the bytes with --inline-byte and --crossline-byte, or remove duplicate traces",
        )
    standard = PRESETS[0]
    given = (
        standard[0] if inline_byte is None else inline_byte,
        standard[1] if crossline_byte is None else crossline_byte,
    )
    if not all(1 <= b <= LAST_BYTE for b in given):
        raise SurveyError(
            "header bytes outside the trace header",
            given=f"inline at byte {given[0]}, crossline at byte {given[1]}",
            expected=f"first bytes of four-byte numbers, 1 to {LAST_BYTE}",
            way_out="mend --inline-byte or --crossline-byte",
        )
    k = key(given)
    if k.verdict:
        raise SurveyError(
            "the header bytes given do not hold inline and crossline numbers",
            given=f"bytes {given[0]}/{given[1]}: {k.verdict}",
            expected="a pair of numbers that places every trace once",
            way_out="leave both flags out to try the known places, or name other bytes",
        )
    return k, "as given"


def _refuse_duplicates(key: _Key) -> None:
    taken = key.taken
    if not taken.any():
        return
    raise SurveyError(
        "several traces claim the same place",
        given=f"{taken.sum()} of {len(taken)} traces at a place already taken: {key.places(taken)}",
        expected="one trace for each inline and crossline",
        way_out="remove the duplicates, or name other bytes with --inline-byte and --crossline-byte",
    )


def _dead(file: SegyFile) -> tuple[NDArray[np.bool_], int]:
    """Traces without amplitudes, and how many of them because samples are no numbers."""
    dead = np.zeros(len(file), bool)
    no_numbers = 0
    for index, samples in file.chunks():
        with np.errstate(invalid="ignore"):
            bad = ~(np.abs(samples) < HUGE).all(axis=1)
        no_numbers += int(bad.sum())
        dead[index] = bad | ~samples.any(axis=1)
    return dead, no_numbers


def _gaps(numbers: Ints, word: str) -> list[str]:
    """What is to be said where lines are missing: their neighbours are taken for neighbours."""
    steps = np.diff(numbers)
    wide = np.flatnonzero(steps > 1.5 * np.median(steps)) if len(steps) > 1 else steps[:0]
    if not len(wide):
        return []
    pairs = ", ".join(f"{numbers[k]} and {numbers[k + 1]}" for k in wide[:3])
    more = f" and {len(wide) - 3} more gaps" if len(wide) > 3 else ""
    return [f"no {word} between {pairs}{more}: taken for neighbours, so look at what crosses there"]


def _axis(file: SegyFile, live: NDArray[np.bool_]) -> tuple[Floats, Ints, list[str]]:
    """Time axis of the survey, the delay of every trace in whole samples, and what is to be said of them.

    What dead traces say of their delay does not count.
    """
    if file.samples < 2:
        raise SurveyError(
            "traces of one sample are no volume",
            given=f"{file.path.name}, one sample a trace",
            expected="traces with a time axis",
            way_out="name the volume; a map goes in as picks",
        )
    step = file.step_us / 1000.0
    said = []
    scalar = file.word(215, 2).astype(float)
    if not np.isin(np.abs(scalar), SCALARS).all():
        scalar = np.zeros_like(scalar)
        said.append("bytes 215-216 hold no power of ten: the delays are taken as ms")
    factor = np.where(scalar > 0, scalar, np.where(scalar < 0, -1.0 / np.minimum(scalar, -1), 1.0))
    delay = file.word(109, 2) * factor
    if live.any():
        delay = np.where(live, delay, delay[live].min())
    late = (delay - delay.min()) / step
    whole = np.rint(late).astype(np.int64)
    if np.abs(late - whole).max() > 0.01:
        raise SurveyError(
            "traces start at times that differ by fractions of a sample",
            given=f"delays (bytes 109-110) from {delay.min():g} to {delay.max():g} ms at {step:g} ms",
            expected="delays that differ by whole samples",
            way_out="resample the survey to one time axis",
        )
    if whole.any():
        said.append(f"traces start between {delay.min():g} and {delay.max():g} ms: shifted to one axis")
    elif delay[0]:
        said.append(f"first sample at {delay[0]:g} ms (delay in bytes 109-110)")
    return delay.min() + step * np.arange(file.samples + int(whole.max())), whole, said


def _coordinates(
    file: SegyFile, trace: Ints, key: tuple[int, int]
) -> tuple[Floats | None, Floats | None, list[str]]:
    """Coordinates on the grid, from the first known places that hold some, and not the line numbers."""
    scalar = file.word(71, 2).astype(float)
    factor = np.where(scalar > 0, scalar, np.where(scalar < 0, -1.0 / np.minimum(scalar, -1), 1.0))
    for bytes_x, bytes_y in COORDINATES:
        if any(abs(own - other) < 4 for own in (bytes_x, bytes_y) for other in key):
            continue
        x, y = (file.word(b) * factor for b in (bytes_x, bytes_y))
        if x.any() and y.any() and (len(x) == 1 or np.ptp(x) + np.ptp(y) > 0):
            on_grid = tuple(np.where(trace >= 0, v[trace], np.nan) for v in (x, y))
            return on_grid[0], on_grid[1], [f"coordinates at bytes {bytes_x}/{bytes_y}"]
    return None, None, ["no coordinates in the headers"]
