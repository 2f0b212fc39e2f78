"""Writing SEG-Y revision 1."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from wellposed.errors import FileError
from wellposed.seismic.volume import Volume

TYPES = {1: np.float32, 2: np.int32, 3: np.int16, 5: np.float32, 8: np.int8}
SCALAR = -100  # coordinates are written in hundredths


def write_segy(path: str | Path, volume: Volume, *, format: int = 5) -> Path:
    """Write a volume as SEG-Y: inline at byte 189, crossline at 193, coordinates at 73/77 and 181/185.

    Cells without a trace are left out. The file appears under its name only when it is whole.

    Units:     the first sample's time goes into the delay (bytes 109-110), in whole ms
    Raises:    FileError where the file cannot be written
    """
    import segyio
    from segyio import TraceField as F

    path = Path(path)
    partial = path.with_name(path.name + ".partial")
    survey = volume.survey
    i, j = np.nonzero(survey.exists)
    spec = segyio.spec()
    spec.format, spec.tracecount = format, len(i)
    spec.samples = survey.twt_ms
    try:
        with segyio.create(str(partial), spec) as f:
            f.text[0] = segyio.tools.create_text_header({1: "WRITTEN BY WELLPOSED", 2: survey.name[:70]})
            f.bin.update(hdt=round(1000 * survey.step_ms), hns=len(survey.twt_ms), rev=1)
            for n, (row, column) in enumerate(zip(i, j, strict=True)):
                head = {
                    F.INLINE_3D: int(survey.inline[row]),
                    F.CROSSLINE_3D: int(survey.crossline[column]),
                    F.TRACE_SEQUENCE_FILE: n + 1,
                    F.TRACE_SAMPLE_COUNT: len(survey.twt_ms),
                    F.TRACE_SAMPLE_INTERVAL: round(1000 * survey.step_ms),
                    F.DelayRecordingTime: round(survey.twt_ms[0]),
                    F.SourceGroupScalar: SCALAR,
                }
                if survey.x is not None and survey.y is not None:
                    x, y = (round(-SCALAR * v[row, column]) for v in (survey.x, survey.y))
                    head |= {F.CDP_X: x, F.CDP_Y: y, F.SourceX: x, F.SourceY: y}
                f.header[n] = head
            for start in range(len(survey.inline)):
                rows = np.flatnonzero(i == start)
                # A copy of its own: segyio turns the array it is given into IBM floats in place.
                samples = volume.read(slice(start, start + 1))[0, j[rows]].astype(TYPES[format], copy=True)
                for place, trace in zip(rows.tolist(), samples, strict=True):
                    f.trace[place] = trace
        partial.replace(path)
    except OSError as e:
        partial.unlink(missing_ok=True)
        raise FileError(
            "the SEG-Y file cannot be written",
            given=f"{path.name}: {e.strerror or e}",
            expected="a folder that can be written and has room",
            way_out="free some space, or choose another place",
        ) from e
    return path
