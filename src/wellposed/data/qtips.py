"""Q-tips: sticks whose class is told by both of their ends, drawn or read."""

from __future__ import annotations

from math import cos, pi, sin
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from wellposed.data.arrays import arrays
from wellposed.errors import ConfigError, FileError, check_count, close_match
from wellposed.learning import Labels, generator

_BACKGROUND, _BODY = 64, 128
_WHITE, _BLACK = 255, 1
_ENDS = {1: (_WHITE, _WHITE), 2: (_WHITE, _BLACK), 3: (_BLACK, _BLACK)}
_SPLITS = ("train", "val")
_LEAST = 32  # from here on sticks are two wide, so that no end falls between the pixels when it is turned


def qtips(n: int, *, seed: int, size: int = 64) -> tuple[Tensor, Labels]:
    """Draw images of one turned stick each, grey with a white or a black square at either end.

        class 0  background      1  both ends white      2  one white, one black      3  both black

    All places of a stick are of its class: in its middle one must know what is at both of its ends. Length
    of U(1/2, 15/16) size, width of U(1/16, 1/8) size, rounded down, any angle, centred. At size 64
    these are the lengths, widths and grey values of the published images. Classes 1 to 3 come in random
    order, each as often as the others or once more; of the pixels 94 % are background.

    Shapes:    images (n, 1, size, size), labels (n, size, size)
    Units:     3 (grey - 64) / 64, over all pixels of mean 0.2 and std 1: background 0, stick 3, ends 9 and -3
    Raises:    ConfigError for fewer than one image, or a size below 32
    Reference: Haber, Lensink, Treister, Ruthotto, IMEXnet, 2019, arXiv:1903.02639
    """
    check_count("n", n)
    if size < _LEAST:
        raise ConfigError(
            "Q-tips of this size lose their ends between the pixels",
            given=f"size={size}",
            expected=f"at least {_LEAST}",
            way_out=f"draw them at size={_LEAST} or above",
        )
    draw = generator(seed, "qtips")
    classes = (1 + torch.arange(n) % 3)[torch.randperm(n, generator=draw)]
    length, width, angle = torch.rand(3, n, generator=draw)
    drawn = [
        _stick(size, k, int(size * (32 + 28 * a) / 64), int(size * (4 + 4 * b) / 64), 2 * pi * c)
        for k, a, b, c in zip(*(part.tolist() for part in (classes, length, width, angle)), strict=True)
    ]
    grey = torch.stack(drawn)
    return _scaled(grey), Labels(torch.where(grey == _BACKGROUND, 0, classes[:, None, None]))


def read_qtips(folder: str | Path, *, split: str = "train") -> tuple[Tensor, Labels]:
    """Read the published images, from `qtips_train.npz` and `qtips_val.npz` in a folder.

    Each file holds `images` and `labels`, whole numbers (n, height, width): grey values from 0 to 255, and
    classes from 0 to 3 as those of `qtips`; 1024 images are there to train with, 64 to judge by. They come
    from the repository HaberGroup/SemiImplicitDNNs, which names no licence: this package holds none of them.

    Shapes:    images (n, 1, height, width), labels (n, height, width)
    Units:     3 (grey - 64) / 64, as `qtips`
    Raises:    ConfigError for another split; FileError when the file is absent or holds something else
    Reference: Haber, Lensink, Treister, Ruthotto, IMEXnet, 2019, arXiv:1903.02639
    """
    if split not in _SPLITS:
        raise ConfigError(
            "the Q-tips have no such split",
            given=f"split={split!r}",
            expected=" or ".join(_SPLITS),
            way_out=f"write {close_match(split, _SPLITS) or 'one of the two'}",
        )
    path = Path(folder) / f"qtips_{split}.npz"
    with arrays(path, _another) as file:
        images, labels = file["images"], file["labels"]
    if images.ndim != 3 or images.shape != labels.shape or not len(images):
        raise _another(path, f"images of shape {images.shape}, labels of shape {labels.shape}")
    for name, array, top in (("images", images, 255), ("labels", labels, 3)):
        if array.dtype.kind not in "iu":
            raise _another(path, f"{name} of {array.dtype}")
        if not 0 <= array.min() <= array.max() <= top:
            raise _another(path, f"{name} of {array.dtype}, from {array.min()} to {array.max()}")
    grey = torch.from_numpy(images.astype(np.int64))
    return _scaled(grey), Labels(torch.from_numpy(labels.astype(np.int64)))


def _stick(size: int, kind: int, length: int, width: int, angle: float) -> Tensor:
    """Return one image: the nearest pixel of an upright stick at every place, turned about the centre."""
    right = torch.arange(size) - (size - 1) / 2
    down = right[:, None]
    along = torch.floor(cos(angle) * right - sin(angle) * down + size / 2) - (size // 2 - length // 2)
    across = torch.floor(sin(angle) * right + cos(angle) * down + size / 2) - (size // 2 - width // 2)
    inside = (along >= 0) & (along < length) & (across >= 0) & (across < width)
    first, last = _ENDS[kind]
    grey = torch.where(along < width, first, torch.where(along >= length - width, last, _BODY))
    return torch.where(inside, grey, _BACKGROUND)


def _scaled(grey: Tensor) -> Tensor:
    """Return images with the background at zero, as a network learns them quickest."""
    return 3 * (grey[:, None].float() - _BACKGROUND) / _BACKGROUND


def _another(path: Path, found: str) -> FileError:
    return FileError(
        "this is no file of Q-tips",
        given=f"{path}: {found}",
        expected="images (n, height, width) from 0 to 255, and labels of the same shape from 0 to 3",
        way_out="name the folder of qtips_train.npz and qtips_val.npz, or draw some by qtips(n, seed=0)",
    )
