"""The bytes of a SEG-Y file: order, format, length of its traces, text, and lazy access to both.

segyio refuses a file that was cut short and header words that lie across its fields, so headers and
samples are mapped here; the decoding of IBM floats stays segyio's.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wellposed.errors import FileError, SurveyError

Ints = NDArray[np.int64]
Array = NDArray[np.float32]

HEADER = 240  # bytes of a trace header
START = 3600  # bytes of the text and binary headers
WIDTH = {1: 4, 2: 4, 3: 2, 5: 4, 8: 1}  # bytes a sample, by format code
NAMES = {1: "IBM float", 2: "int32", 3: "int16", 5: "IEEE float", 8: "int8"}
KINDS = {2: "i4", 3: "i2", 5: "f4", 8: "i1"}
HUGE = 1e29  # fills such as 1e30 are no amplitudes
DISTINCT = 1000  # different samples below which the format code is believed as it stands
OCTAVES = 4  # that samples must span before their digits may speak against an IEEE format code
END_OF_TEXT = "((SEG: EndText))"


@dataclass(frozen=True, eq=False)
class SegyFile:
    """One SEG-Y file, mapped, nothing read but what is asked for.

    Shapes:    traces(index) -> (len(index), samples); word(byte) -> (traces,)
    """

    path: Path
    order: str
    format: int
    samples: int
    step_us: int
    text: str
    records: NDArray[Any]
    lost_bytes: int
    notes: list[str] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.records)

    def word(self, byte: int, size: int = 4) -> Ints:
        """The signed integer that starts at `byte` (from 1) of every trace header."""
        raw = np.ascontiguousarray(self.records["header"][:, byte - 1 : byte - 1 + size])
        return raw.view(f"{self.order}i{size}")[:, 0].astype(np.int64)

    def traces(self, index: Ints, format: int | None = None) -> Array:
        """Samples of some traces as float32, decoded by the file's format code or by another."""
        raw = np.ascontiguousarray(self.records["samples"][index])
        return decode(raw, format or self.format, self.order)

    def chunks(self, size: int = 4096) -> Iterator[tuple[Ints, Array]]:
        """All traces in the order of the file, `size` at a time."""
        for start in range(0, len(self), size):
            index = np.arange(start, min(start + size, len(self)))
            yield index, self.traces(index)


def decode(raw: NDArray[np.uint8], format: int, order: str) -> Array:
    """Bytes of traces (n, bytes) to float32 (n, samples)."""
    if format == 1:
        from segyio import _segyio

        native = np.ascontiguousarray(raw).view(f"{order}u4").astype("<u4").view(np.float32)
        # segyio converts in place from big-endian words; its input is a fresh array.
        return np.asarray(_segyio.native(native.byteswap(), 1), np.float32)
    return raw.view(f"{order}{KINDS[format]}").astype(np.float32)


def open_segy(path: str | Path) -> SegyFile:
    """Open a SEG-Y file of revision 0 or 1, whatever its byte order, format and text header.

    Raises:    FileError where the file is absent, empty or no SEG-Y
    """
    path = Path(path)
    size = _size(path)
    try:
        with path.open("rb") as f:
            head = f.read(START)
            order, format, declared = _binary(path, head, size, f.read(HEADER))
            extended, samples = _lengths(f, head, order, format, declared, size)
    except OSError as e:
        raise FileError(
            "the survey cannot be read",
            given=f"{path}: {e.strerror}",
            expected="a SEG-Y file that may be read",
            way_out="check its permissions, or name another file",
        ) from e
    notes: list[str] = []
    if samples != declared:
        notes.append(f"samples a trace: the binary header says {declared}, the file's length {samples}")
    width = HEADER + samples * WIDTH[format]
    start = START + 3200 * extended
    count, lost = divmod(size - start, width)
    if count < 1:
        raise _no_segy(path, f"{size} bytes, too few for one trace of {samples} samples")
    dtype = np.dtype([("header", "u1", HEADER), ("samples", "u1", samples * WIDTH[format])])
    records = np.memmap(path, dtype=dtype, mode="r", offset=start, shape=(count,))
    if lost:
        notes.append(f"the file is cut short: {count} whole traces read, {lost} bytes after them lost")
    said = int(np.frombuffer(head, f"{order}u2", 1, 3216)[0])
    in_trace = int(np.frombuffer(records[0]["header"].tobytes(), f"{order}u2", 1, 116)[0])
    step = said or in_trace
    if said and in_trace and said != in_trace:
        notes.append(
            f"sample interval: {said / 1000:g} ms in the binary header, which is taken, "
            f"{in_trace / 1000:g} ms in the first trace header"
        )
    file = SegyFile(path, order, format, samples, step, _text(head[:3200]), records, lost, notes)
    _refuse_lengths(file)
    if step <= 0:
        raise SurveyError(
            "the file does not say its sample interval",
            given=f"{path.name}: zero in bytes 3217-3218 and in bytes 117-118 of the first trace",
            expected="a sample interval in microseconds",
            way_out="export the survey again with its sample interval",
        )
    return _true_format(file)


def _refuse_lengths(file: SegyFile) -> None:
    """Raise SurveyError where trace headers name other numbers of samples than the first."""
    said = file.word(115, 2) & 0xFFFF
    other = (said > 0) & (said != said[0])
    if said[0] > 0 and other.any():
        raise SurveyError(
            "the traces have different lengths",
            given=f"{file.path.name}: {said[0]} samples in the first trace header, {said[other][0]} in "
            f"{int(other.sum())} others (bytes 115-116)",
            expected="as many samples in every trace",
            way_out="export the survey with traces of one length",
        )


def _size(path: Path) -> int:
    if path.is_dir():
        wrong, given = "a folder is no survey", f"the folder {path.name}"
    elif not path.exists():
        wrong, given = "the survey file does not exist", f"{path}"
    elif path.stat().st_size == 0:
        wrong, given = "the survey file is empty", f"{path.name}, 0 bytes"
    else:
        return path.stat().st_size
    raise FileError(
        wrong, given=given, expected="a SEG-Y file", way_out="check the path, or name another file"
    )


def _no_segy(path: Path, why: str) -> FileError:
    return FileError(
        "this is not a SEG-Y file",
        given=f"{path.name}: {why}",
        expected="3600 bytes of headers with a format code of 1, 2, 3, 5 or 8, then traces",
        way_out="name another file, or export the survey as SEG-Y revision 1",
    )


def _binary(path: Path, head: bytes, size: int, trace: bytes) -> tuple[str, int, int]:
    """Byte order, format code and samples a trace: in the wrong order no format code is one."""
    if len(head) < START or len(trace) < HEADER:
        raise _no_segy(path, f"only {size} bytes")
    for order in (">", "<"):
        samples, format = (int(np.frombuffer(head, f"{order}u2", 1, k)[0]) for k in (3220, 3224))
        in_trace = int(np.frombuffer(trace, f"{order}u2", 1, 114)[0])
        if format not in WIDTH or not (samples or in_trace):
            continue
        return order, format, samples or in_trace
    code = int(np.frombuffer(head, ">u2", 1, 3224)[0])
    raise _no_segy(path, f"format code {code} in bytes 3225-3226")


def _lengths(f: Any, head: bytes, order: str, format: int, declared: int, size: int) -> tuple[int, int]:
    """Number of extended text headers, and samples a trace, that agree with the file's length."""
    said = int(np.frombuffer(head, f"{order}i2", 1, 3504)[0])
    if said == -1:
        said = _until_end_of_text(f)
    said = said if 0 <= said <= 100 else 0
    for extended in (said, *range(9)):
        # Where both headers agree a trace begins; the length of a file that was cut must not overrule them.
        if _samples_of_first_trace(f, extended, order) == declared:
            return extended, declared
    for samples in (declared, _samples_of_first_trace(f, said, order)):
        for extended in (said, 0):
            rest = size - START - 3200 * extended
            if samples and rest > 0 and rest % (HEADER + samples * WIDTH[format]) == 0:
                return extended, samples
    # No length fits: the file was cut short, and what the headers say is believed.
    return said, declared


def _samples_of_first_trace(f: Any, extended: int, order: str) -> int:
    """What the trace header after so many extended text headers says, zero where there is none."""
    f.seek(START + 3200 * extended)
    header = f.read(HEADER)
    return int(np.frombuffer(header, f"{order}u2", 1, 114)[0]) if len(header) == HEADER else 0


def _until_end_of_text(f: Any) -> int:
    f.seek(START)
    for count in range(1, 101):
        if END_OF_TEXT.lower() in _text(f.read(3200)).lower():
            return count
    return 0


def _text(raw: bytes) -> str:
    """EBCDIC or ASCII, whichever has more letters, digits and blanks in it."""

    def readable(text: str) -> int:
        return sum(c.isascii() and (c.isalnum() or c == " ") for c in text)

    return max((raw.decode(code, "replace") for code in ("cp037", "latin-1")), key=readable)


def _true_format(file: SegyFile) -> SegyFile:
    """Believe the samples where they contradict the format code: IBM and IEEE floats are often confused.

    Read by the wrong rule, floats stay finite and look plausible. But an IBM float is normalised to a
    first hexadecimal digit that is not zero, while one IEEE float in about twelve has a zero there. IEEE
    floats of a narrow range may have none: only amplitudes of many octaves can speak against their code.
    """
    if file.format not in (1, 5):
        return file
    index = np.unique(np.linspace(0, len(file) - 1, 200).astype(np.int64))
    words = np.unique(np.ascontiguousarray(file.records["samples"][index]).view(f"{file.order}u4"))
    words = words[words & 0x00FFFFFF != 0]
    if words.size < DISTINCT:
        return file
    share = float((words & 0x00F00000 == 0).mean())
    octaves = int((np.bincount((words >> 23) & 0xFF) > 0.02 * words.size).sum())
    true = 5 if share > 0.04 else 1
    if true == file.format or (true == 1 and octaves < OCTAVES):
        return file
    note = (
        f"the samples are {NAMES[true]} though the format code says {NAMES[file.format]}: "
        f"{100 * share:.1f} % of their first hexadecimal digits are zero, "
        "none would be in IBM floats and about 8 % in IEEE floats"
    )
    return replace(file, format=true, notes=[*file.notes, note])
