"""Writing SEG-Y revision 1."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from wellposed.atomic import written_whole
from wellposed.errors import ConfigError
from wellposed.seismic.survey import Survey
from wellposed.seismic.volume import Volume

Places = NDArray[np.int64]

TYPES = {1: np.float32, 2: np.int32, 3: np.int16, 5: np.float32, 8: np.int8}
SCALAR = -100  # coordinates are written in hundredths
SCALARS = {1: 1.0, -10: 10.0, -100: 100.0, 10: 0.1, 100: 0.01}  # of the delay, with their factors
LARGEST = 32767  # in the two bytes of a header


class Times(NamedTuple):
    """The time axis as the headers hold it."""

    step_us: int
    delay: int
    scalar: int


def write_segy(path: str | Path, volume: Volume, *, format: int = 5) -> Path:
    """Write a volume as SEG-Y: inline at byte 189, crossline at 193, coordinates at 73/77 and 181/185.

    `format` is the code of the samples: 1 IBM float, 2 int32, 3 int16, 5 IEEE float, 8 int8; integers are
    rounded. Cells without a trace are left out. The file appears under its name only when it is whole.

    Units:     the first sample's time goes into the delay (bytes 109-110) with its scalar (215-216)
    Raises:    FileError where the file cannot be written; ConfigError where there is no such format, its
               integers do not reach as far as the amplitudes, or the headers cannot hold the time axis
    """
    if format not in TYPES:
        raise ConfigError(
            "no such format of samples",
            given=f"format code {format}",
            expected=f"one of {', '.join(map(str, TYPES))}",
            way_out="write IEEE floats, code 5",
        )
    i, j = np.nonzero(volume.survey.exists)
    times = _times(volume.survey)
    with written_whole(path) as partial:
        _write(partial, volume, i, j, format, times)
    return Path(path)


def _write(path: Path, volume: Volume, i: Places, j: Places, format: int, times: Times) -> None:
    import segyio

    survey = volume.survey
    spec = segyio.spec()
    spec.format, spec.tracecount, spec.samples = format, len(i), survey.twt_ms
    with segyio.create(str(path), spec) as f:
        f.text[0] = segyio.tools.create_text_header({1: "WRITTEN BY WELLPOSED", 2: survey.name[:70]})
        f.bin.update(hdt=times.step_us, hns=len(survey.twt_ms), rev=1)
        for n, (row, column) in enumerate(zip(i.tolist(), j.tolist(), strict=True)):
            f.header[n] = _header(survey, times, n, row, column)
        for row in range(len(survey.inline)):
            places = np.flatnonzero(i == row)
            samples = _converted(volume.read(slice(row, row + 1))[0, j[places]], format)
            for n, trace in zip(places.tolist(), samples, strict=True):
                f.trace[n] = trace


def _converted(samples: NDArray[np.float32], format: int) -> NDArray[Any]:
    """A copy in the type of the format: segyio turns the array it is given into IBM floats in place."""
    kind = np.dtype(TYPES[format])
    if kind.kind == "f":
        return samples.astype(kind, copy=True)
    whole, limits = np.rint(samples.astype(np.float64)), np.iinfo(kind.name)
    if whole.min(initial=0) < limits.min or whole.max(initial=0) > limits.max:
        raise ConfigError(
            f"amplitudes do not fit {kind.name}",
            given=f"amplitudes from {whole.min():g} to {whole.max():g}",
            expected=f"{limits.min} to {limits.max}",
            way_out="write floats (code 5), or scale the amplitudes",
        )
    return whole.astype(kind)


def _times(survey: Survey) -> Times:
    """Interval and delay as the two-byte numbers of the headers, exactly."""
    start, step_us = float(survey.twt_ms[0]), 1000 * survey.step_ms
    for scalar, factor in SCALARS.items():
        delay = start * factor
        exact = np.allclose([delay, step_us], np.rint([delay, step_us]), rtol=0, atol=1e-6)
        if exact and abs(delay) <= LARGEST and step_us <= LARGEST:
            return Times(round(step_us), round(delay), scalar)
    raise ConfigError(
        "the headers of SEG-Y cannot hold this time axis",
        given=f"first sample at {start:.9g} ms, one every {step_us:.9g} microseconds",
        expected=f"at most {LARGEST} whole microseconds, and a start in whole hundredths of a ms",
        way_out="resample the volume to such an axis",
    )


def _header(survey: Survey, times: Times, n: int, row: int, column: int) -> dict[int, int]:
    from segyio import TraceField as F

    head = {
        F.INLINE_3D: int(survey.inline[row]),
        F.CROSSLINE_3D: int(survey.crossline[column]),
        F.TRACE_SEQUENCE_FILE: n + 1,
        F.TRACE_SAMPLE_COUNT: len(survey.twt_ms),
        F.TRACE_SAMPLE_INTERVAL: times.step_us,
        F.DelayRecordingTime: times.delay,
        F.ScalarTraceHeader: times.scalar,
        F.SourceGroupScalar: SCALAR,
    }
    if survey.x is not None and survey.y is not None:
        x, y = (round(-SCALAR * v[row, column]) for v in (survey.x, survey.y))
        head |= {F.CDP_X: x, F.CDP_Y: y, F.SourceX: x, F.SourceY: y}
    return head
