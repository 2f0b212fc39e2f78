"""Features that a network is looked at on: of a file, of a survey, or at random."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, is_dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from wellposed.errors import FileError, ShapeError, UserError
from wellposed.network import Level, Network, Stage, Wavelet
from wellposed.operators import Conv, Stencil

if TYPE_CHECKING:
    from wellposed.interpretation.noise import Window
    from wellposed.seismic.horizons import Horizon

POINTS = 16
SPACE = {1: (64,), 2: (32, 32), 3: (12, 12, 12)}  # of random features, by the axes of space
SEED = 0


def network_input(net: Network, file: str | None) -> tuple[Tensor, str]:
    """Features for a network, of a file or at random, and what they are, in words.

    Raises:    FileError where the file cannot be read; ShapeError where the network cannot take them
    """
    like = next((p for p in net.parameters()), torch.zeros(()))
    if file is not None:
        y, words = read_input(file)
        y = y.to(like)
    else:
        shape = _shape(net)
        y = torch.randn(shape, generator=torch.Generator().manual_seed(SEED)).to(like)
        words = f"random features of shape {tuple(shape)}"
    _check(net, y, words)
    return y, words


def read_input(file: str) -> tuple[Tensor, str]:
    """Features of a file (.npy).

    Shapes:    (batch, channel, *space)
    Raises:    FileError
    """
    try:
        values = np.load(file, allow_pickle=False)
        if np.iscomplexobj(values):
            raise ValueError("its numbers are complex")
        with np.errstate(over="ignore"):
            single = np.asarray(values, np.float32)
        if not np.isfinite(single).all():
            raise ValueError(f"{np.count_nonzero(~np.isfinite(single))} values are no finite float32")
        return torch.from_numpy(single), f"{file} of shape {values.shape}"
    except (OSError, ValueError, TypeError, EOFError) as e:
        raise FileError(
            "the input cannot be read",
            given=f"{file}: {e}".splitlines()[0],
            expected="finite numbers of shape (batch, channel, *space), written by numpy.save",
            way_out="name another file, or leave --input away",
        ) from e


def section_of(window: Window, horizons: Sequence[Horizon], most: int) -> tuple[Tensor, str]:
    """A section through the middle of a window, about its horizons, as a network of features sees it.

    Shapes:    (1, channel, trace, twt), at most `most` traces and samples
    """
    from wellposed.interpretation.features import section_axes, sections
    from wellposed.seismic.condition import condition

    s = window.volume.survey
    c = condition(window.volume.read(), s.live)
    axis = max(section_axes(c.shape), key=lambda axis: c.shape[axis])
    line = c.shape[1 - axis] // 2
    found = sections(c, axis, slice(line, line + 1))
    times = np.concatenate([h.twt_ms[window.inline, window.crossline].ravel() for h in horizons])
    known = times[np.isfinite(times)]
    middle = float(np.median(known)) if known.size else float(s.twt_ms[len(s.twt_ms) // 2])
    k = int(np.abs(s.twt_ms - middle).argmin())
    first = max(0, min(k - most // 2, len(s.twt_ms) - most))
    cut = np.ascontiguousarray(found[:, :, :most, first : first + most])
    label = f"inline {s.inline[line]}" if axis == 1 else f"crossline {s.crossline[line]}"
    words = f"{label} of its survey, {cut.shape[2]} traces x {cut.shape[3]} samples"
    return torch.from_numpy(cut), words


def _shape(net: Network) -> tuple[int, ...]:
    """A shape that suits the operators: points without space, else a small space of its axes."""
    dims = {dims for module in net.modules() for dims in _dims(module)}
    spatial = any(isinstance(module, Level | Wavelet) for module in net.modules())
    if not dims and not spatial:
        return POINTS, net.takes
    return 1, net.takes, *SPACE[max(dims, default=2)]


def _dims(module: Any) -> list[int]:
    """Axes of space that the operators of a module say."""
    if isinstance(module, Stage):
        f = module.dynamics
        values = [getattr(f, field.name) for field in fields(f)] if is_dataclass(f) else []
    else:
        values = [getattr(getattr(module, "map", None), "family", None)]
    return [v.dims for v in values if isinstance(v, Conv | Stencil)]


def _check(net: Network, y: Tensor, words: str) -> None:
    """Raise ShapeError where a network cannot take these features."""
    try:
        with torch.no_grad():
            net(y)
    except (UserError, RuntimeError, ValueError, IndexError) as e:
        said = e.wrong if isinstance(e, UserError) else str(e).splitlines()[0]
        raise ShapeError(
            "the network cannot take this input",
            given=f"{words}: {said}",
            expected=f"(batch, {net.takes}, *space), a space that suits its operators",
            way_out="give an input that it was made for: --input FILE.npy",
        ) from e
