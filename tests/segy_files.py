"""SEG-Y files byte by byte, as the standard says and not as the package writes them."""

from pathlib import Path

import numpy as np

TYPES = {2: "i4", 3: "i2", 5: "f4", 8: "i1"}
CARDS = "".join(f"C{n:2d} a line of a text header".ljust(80) for n in range(1, 41))
EBCDIC, ASCII, EMPTY = CARDS.encode("cp037"), CARDS.encode("ascii"), bytes(3200)
END_OF_TEXT = "((SEG: EndText))".ljust(3200).encode("cp037")


def ibm(values):
    """Words of IBM floats: sign, exponent of 16 with an excess of 64, six hexadecimal digits."""
    v = np.asarray(values, np.float64)
    fraction, exponent = np.frexp(np.abs(v))
    sixteens = -(-exponent // 4)
    digits = np.rint(np.ldexp(fraction, exponent - 4 * sixteens + 24)).astype(np.int64)
    sixteens, digits = np.where(digits == 1 << 24, [sixteens + 1, digits >> 4], [sixteens, digits])
    words = (np.signbit(v).astype(np.int64) << 31) | ((sixteens + 64) << 24) | digits
    return np.where(v == 0, 0, words).astype(np.uint32)


def random_cube(shape, seed=0):
    """Whole numbers that every sample format holds exactly; no trace is all zero."""
    cube = np.random.default_rng(seed).integers(-100, 101, shape).astype(np.float32)
    cube[..., 0] = 7
    return cube


def grid(inlines, crosslines):
    """Line numbers of all traces, inline by inline."""
    inline, crossline = np.meshgrid(inlines, crosslines, indexing="ij")
    return inline.ravel(), crossline.ravel()


def write_traces(
    path,
    traces,
    words,
    shorts,
    *,
    format=5,
    order=">",
    text=EBCDIC,
    extended=(),
    count_of_extended=None,
    revision=0x0100,
    step_us=4000,
    samples=None,
    code=None,
):
    """Write traces (n, samples); words and shorts hold numbers of four and two bytes by their first byte.

    `samples`, `code` and `count_of_extended` are what the binary header claims, the truth unless told.
    """
    n, size = traces.shape
    binary = np.zeros(400, np.uint8)
    _put(binary, 3217 - 3200, step_us, f"{order}i2")
    _put(binary, 3221 - 3200, size if samples is None else samples, f"{order}u2")
    _put(binary, 3225 - 3200, format if code is None else code, f"{order}i2")
    _put(binary, 3501 - 3200, revision, f"{order}u2")
    claimed = len(extended) if count_of_extended is None else count_of_extended
    _put(binary, 3505 - 3200, claimed, f"{order}i2")

    headers = np.zeros((n, 240), np.uint8)
    for byte, values in {115: size, **shorts}.items():
        _put(headers, byte, values, f"{order}i2")
    for byte, values in words.items():
        _put(headers, byte, values, f"{order}i4")
    body = ibm(traces).astype(f"{order}u4") if format == 1 else traces.astype(f"{order}{TYPES[format]}")
    whole = np.hstack([headers, body.view(np.uint8).reshape(n, -1)])
    Path(path).write_bytes(text + binary.tobytes() + b"".join(extended) + whole.tobytes())
    return Path(path)


def write_cube(path, cube, *, inlines=None, crosslines=None, places=(189, 193), keep=None, **kept):
    """Write a cube (inline, crossline, twt); `keep` picks and orders its traces and their numbers."""
    ni, nx, nt = cube.shape
    inlines = np.arange(100, 100 + ni) if inlines is None else inlines
    crosslines = np.arange(500, 500 + nx) if crosslines is None else crosslines
    keep = np.arange(ni * nx) if keep is None else np.asarray(keep)
    words = dict(zip(places, grid(inlines, crosslines), strict=True)) | kept.pop("words", {})
    words, kept["shorts"] = (
        {byte: np.broadcast_to(v, ni * nx)[keep] for byte, v in some.items()}
        for some in (words, kept.get("shorts", {}))
    )
    return write_traces(path, cube.reshape(-1, nt)[keep], words, **kept)


def _put(raw, byte, values, dtype):
    """Put numbers where their first byte, counted from 1, is `byte`."""
    size = np.dtype(dtype).itemsize
    number = np.asarray(values).astype(dtype)
    raw[..., byte - 1 : byte - 1 + size] = number.reshape(*number.shape, 1).view(np.uint8)
