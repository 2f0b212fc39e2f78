"""Features of a volume: what a network computes on its sections, once for all horizons."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from wellposed.network import Network, Readout, recipes
from wellposed.network.part import Part, seeded
from wellposed.seismic.tiles import tiles

if TYPE_CHECKING:
    from wellposed.seismic.condition import Conditioned

Array = NDArray[np.float32]
Half = NDArray[np.float16]

INPUTS = 3  # channels of a section
FEATURES = 8
STEPS = 3  # of each stage
WIDTH, OVERLAP = 512, 64  # traces of a tile, and of its overlap
AT_ONCE = 400_000  # samples of sections that the network works on at a time
CLIP = 5.0  # times the local root mean square: beyond it amplitudes say nothing more


BODIES: dict[str, Callable[[int, int], Network]] = {
    "imex": lambda seed, steps: recipes.imex((16, 24), FEATURES, inputs=INPUTS, steps=steps, seed=seed),
    "residual": lambda seed, steps: recipes.residual(
        (16, 24), FEATURES, inputs=INPUTS, steps=steps, seed=seed
    ),
    "unet": lambda seed, _: recipes.unet((16, 20, 24), FEATURES, inputs=INPUTS, seed=seed),
}


def feature_network(recipe: str = "imex", seed: int = 0, steps: int = STEPS) -> Network:
    """An untrained network of features: a recipe whose head reads features instead of classes.

    Shapes:    (batch, 3, trace, twt) -> (batch, FEATURES, trace, twt)
    """
    body = BODIES[recipe](seed, steps)
    *parts, last = cast("list[Part]", list(body.parts))
    with seeded(seed + 1):
        return Network(*parts, Readout(last.takes, FEATURES))


def sections(conditioned: Conditioned, axis: int, lines: slice = slice(None)) -> Array:
    """Sections as a network sees them: amplitude, what steering took away, dip along the section.

    Shapes:    axis 1: inlines, (inline, 3, crossline, twt); axis 0: crosslines, (crossline, 3, inline, twt)
    """
    dip = conditioned.dip_crossline if axis == 1 else conditioned.dip_inline
    cut = (lines, slice(None)) if axis == 1 else (slice(None), lines)
    strong, light = conditioned.strong[cut], conditioned.light[cut]
    stacked = np.stack([strong, 2 * (light - strong), dip[cut]], axis=-3 if axis == 1 else 0)
    if axis == 0:
        stacked = stacked.transpose(2, 0, 1, 3)
    return np.clip(stacked, -CLIP, CLIP).astype(np.float32)


def section_axes(shape: tuple[int, int, int]) -> list[int]:
    """Axes along which sections are long enough to be looked at."""
    return [axis for axis in (1, 0) if shape[axis] > 2] or [1]


def network_features(
    net: nn.Module, conditioned: Conditioned, say: Callable[[str], None] | None = None
) -> Half:
    """Unit features of every sample, inline and crossline sections averaged.

    Shapes:    -> (channel, inline, crossline, twt), float16
    Cost:      one pass of the network over all sections of each direction
    """
    axes = section_axes(conditioned.shape)
    out: Half | None = None
    for axis in axes:
        count, length = conditioned.shape[1 - axis], conditioned.shape[axis]
        step = max(1, AT_ONCE // (min(length, WIDTH) * conditioned.shape[2]))
        for start in range(0, count, step):
            lines = slice(start, min(count, start + step))
            found = _tiled(net, sections(conditioned, axis, lines)) / len(axes)
            if out is None:
                out = np.zeros((found.shape[1], *conditioned.shape), np.float16)
            if axis == 1:
                out[:, lines] += found.transpose(1, 0, 2, 3)
            else:
                out[:, :, lines] += found.transpose(1, 2, 0, 3)
        if say:
            say(f"features of {count} {'inlines' if axis == 1 else 'crosslines'} done")
    assert out is not None
    return out


def unit(features: Tensor) -> Tensor:
    """Features of length one at every sample."""
    return features / features.norm(dim=1, keepdim=True).clamp_min(1e-6)


@torch.inference_mode()
def _tiled(net: nn.Module, inputs: Array) -> Array:
    out: Array | None = None
    for tile in tiles(inputs.shape[2], WIDTH, OVERLAP):
        part = unit(net(torch.from_numpy(np.ascontiguousarray(inputs[:, :, tile.start : tile.stop])))).numpy()
        if out is None:
            out = np.zeros((len(inputs), part.shape[1], *inputs.shape[2:]), np.float32)
        out[:, :, tile.start : tile.stop] += part * tile.weight[:, None]
    assert out is not None
    return out
