"""CIFAR-10: photographs of ten things, read from where the user keeps them."""

from __future__ import annotations

import io
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from wellposed.data.arrays import arrays
from wellposed.errors import ConfigError, FileError, check_count, close_match
from wellposed.learning import Labels

_FILES = {"train": [f"data_batch_{k}.bin" for k in range(1, 6)], "test": ["test_batch.bin"]}
_SHAPE = (3, 32, 32)
_RECORD = 1 + 3 * 32 * 32  # a class, then red, green and blue, row by row
_CLASSES = 10
Read = tuple[NDArray[np.uint8], NDArray[Any]]


def read_cifar10(
    folder: str | Path, *, split: str = "train", count: int | None = None
) -> tuple[Tensor, Labels]:
    """Read photographs in the published order, the first `count` of them, or all.

    From `data_batch_1.bin` ... and `test_batch.bin`, the published binary version. Or, where these are not
    there, from packed ones: `cifar10_train_jpeg.npz` holds JPEG files one behind another (`blob`, `offsets`,
    `labels`), which are close to the published photographs and not equal to them; to judge by there are
    `test_images` (n, 32, 32, 3) and `test_labels` without loss in `cifar10_lossless_part.npz`. No licence is
    stated for the photographs: this package holds none of them.

    Shapes:    images (n, 3, 32, 32), labels (n,), classes from 0 to 9
    Units:     images from 0 to 1
    Raises:    ConfigError for another split, or fewer than one image; FileError when files are absent, hold
               something else, or fewer images than asked for
    Reference: Krizhevsky, Learning multiple layers of features from tiny images, 2009
    """
    if not isinstance(split, str) or split not in _FILES:
        raise ConfigError(
            "CIFAR-10 has no such split",
            given=f"split={split!r}",
            expected=" or ".join(_FILES),
            way_out=f"write {close_match(str(split), list(_FILES)) or 'one of the two'}",
        )
    check_count("count", 1 if count is None else count)
    root = Path(folder)
    published = [root / name for name in _FILES[split]]
    read = (
        _binary(published, count) if any(path.exists() for path in published) else _packed(root, split, count)
    )
    images, classes = read
    if min(len(images), len(classes)) < (count or 1):
        raise _another(root, f"{min(len(images), len(classes))} images where {count or 1} are asked for")
    known = classes.dtype.kind in "iu" and 0 <= classes.min() <= classes.max() < _CLASSES
    if (
        images.shape[1:] != _SHAPE
        or images.dtype != np.uint8
        or classes.shape != images.shape[:1]
        or not known
    ):
        said = f"images of {images.dtype}, shape {images.shape}; {len(classes)} classes of {classes.dtype}"
        raise _another(root, f"{said}, from {classes.min()} to {classes.max()}")
    return torch.from_numpy(images).float() / 255, Labels(torch.from_numpy(classes.astype(np.int64)))


def _binary(paths: list[Path], count: int | None) -> Read:
    """Return what the published files hold, no more of them than needed."""
    parts: list[NDArray[np.uint8]] = []
    for path in paths:
        if count is not None and sum(map(len, parts)) >= count:
            break
        try:
            flat = np.fromfile(path, np.uint8)
        except OSError as e:
            raise _another(path, e.strerror or "it cannot be read") from e
        if not len(flat) or len(flat) % _RECORD:
            raise _another(path, f"{len(flat)} bytes, no multiple of {_RECORD}")
        parts.append(flat.reshape(-1, _RECORD))
    whole = np.concatenate(parts)[:count]
    return whole[:, 1:].reshape(-1, *_SHAPE), whole[:, 0]


def _packed(root: Path, split: str, count: int | None) -> Read:
    """Return JPEG files unpacked, to train with, or photographs without loss, to judge by."""
    path = root / ("cifar10_train_jpeg.npz" if split == "train" else "cifar10_lossless_part.npz")
    with arrays(path, _another) as file:
        if split == "train":
            offsets, classes = file["offsets"][: None if count is None else count + 1], file["labels"]
            images = _unpacked(file["blob"], offsets)
            classes = classes[: len(images)]
        else:
            images, classes = file["test_images"][:count], file["test_labels"][:count]
        return np.ascontiguousarray(images.transpose(0, 3, 1, 2)), np.atleast_1d(classes)


def _unpacked(blob: NDArray[np.uint8], offsets: NDArray[np.int64]) -> NDArray[np.uint8]:
    from PIL import Image

    ends = pairwise(offsets.tolist())
    return np.stack([np.asarray(Image.open(io.BytesIO(blob[a:b].tobytes())).convert("RGB")) for a, b in ends])


def _another(path: Path, found: str) -> FileError:
    return FileError(
        "these are no photographs of CIFAR-10",
        given=f"{path}: {found}",
        expected="data_batch_1.bin ... and test_batch.bin, or the packed files",
        way_out="name the folder that holds the files of the published binary version",
    )
