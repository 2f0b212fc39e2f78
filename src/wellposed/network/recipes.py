"""Networks that are known to work: an opening, stages at one or several resolutions, a head.

All take `channels` of each resolution, finest first, and a seed; none seeds anything global.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from wellposed.backward import Backprop, Reversed
from wellposed.dynamics import Hyperbolic, Parabolic, Reaction, Residual
from wellposed.errors import StructureError, check_count
from wellposed.integrators import IMEX, Euler, Leapfrog
from wellposed.network.connect import Coarsen, Level, Opening, Refine
from wellposed.network.heads import Classify
from wellposed.network.network import Network
from wellposed.network.part import Part, seeded
from wellposed.network.stage import Stage
from wellposed.network.wavelet import Wavelet
from wellposed.operators import Conv, Stencil

__all__ = ["fully_hyperbolic", "hyperbolic", "imex", "parabolic", "residual", "unet"]


def imex(
    channels: Sequence[int] = (16, 32),
    classes: int = 2,
    *,
    inputs: int = 1,
    time: float = 4.0,
    steps: int = 4,
    seed: int = 0,
) -> Network:
    """Diffusion and reaction: every step reaches across the section.

    Shapes:    y (batch, inputs, *space) -> (batch, classes, *space)
    Reference: Haber et al., IMEXnet: a forward stable deep neural network, 2019, arXiv:1903.02639
    """

    def stage(channels: int) -> Stage:
        return Stage(Reaction(Conv(channels), Stencil(channels)), IMEX(), time=time, steps=steps)

    with seeded(seed):
        return _levels(channels, classes, inputs, stage)


def residual(
    channels: Sequence[int] = (16, 32),
    classes: int = 2,
    *,
    inputs: int = 1,
    time: float = 4.0,
    steps: int = 4,
    seed: int = 0,
) -> Network:
    """The plain twin of `imex`: the same reaction, no diffusion.

    Shapes:    y (batch, inputs, *space) -> (batch, classes, *space)
    Reference: He et al., Deep residual learning, 2016, arXiv:1512.03385
    """

    def stage(channels: int) -> Stage:
        return Stage(Residual(Conv(channels)), Euler(), time=time, steps=steps)

    with seeded(seed):
        return _levels(channels, classes, inputs, stage)


def parabolic(
    channels: Sequence[int] = (16, 32),
    classes: int = 2,
    *,
    inputs: int = 1,
    time: float = 4.0,
    steps: int = 16,
    seed: int = 0,
) -> Network:
    """Diffusion down the gradient of a convex energy: distances never grow within a stage.

    Shapes:    y (batch, inputs, *space) -> (batch, classes, *space)
    Reference: Ruthotto and Haber, Deep neural networks motivated by PDEs, 2018, arXiv:1804.04272
    """

    def stage(channels: int) -> Stage:
        return Stage(Parabolic(Conv(channels)), Euler(), time=time, steps=steps)

    with seeded(seed):
        return _levels(channels, classes, inputs, stage)


def hyperbolic(
    channels: Sequence[int] = (16, 32),
    classes: int = 2,
    *,
    inputs: int = 1,
    time: float = 4.0,
    steps: int = 8,
    damping: float = 0.0,
    reverse: bool = True,
    seed: int = 0,
) -> Network:
    """Waves of features, differentiated in reverse: memory does not grow with the number of steps.

    Shapes:    y (batch, inputs, *space) -> (batch, classes, *space)
    Reference: Ruthotto and Haber, Deep neural networks motivated by PDEs, 2018, arXiv:1804.04272
    """
    rule = Reversed() if reverse else Backprop()

    def stage(channels: int) -> Stage:
        waves = Hyperbolic(Conv(channels), damping=damping)
        return Stage(waves, Leapfrog(), time=time, steps=steps, backward=rule)

    with seeded(seed):
        return _levels(channels, classes, inputs, stage)


def fully_hyperbolic(
    channels: int = 8,
    classes: int = 2,
    *,
    levels: int = 1,
    inputs: int = 1,
    time: float = 4.0,
    steps: int = 8,
    rank: int = 8,
    seed: int = 0,
) -> Network:
    """Waves at several resolutions with Haar steps between: of all that, one state is kept in memory.

    Each level has four times the channels at half the resolution, as the transform makes them; operators
    there are of low rank, K' K with K from all channels to `rank`. Sizes must divide by 2^levels.

    Shapes:    y (batch, inputs, height, width) -> (batch, classes, height, width)
    Reference: Lensink, Peters and Haber, Fully hyperbolic convolutional neural networks, 2019,
               arXiv:1905.10484
    """

    def stage(channels: int) -> Stage:
        waves = Hyperbolic(Conv(channels, out=min(rank, channels)))
        return Stage(waves, Leapfrog(), time=time, steps=steps, backward=Reversed())

    check_count("levels", levels, least=0)
    with seeded(seed):
        widths = [channels * 4**level for level in range(levels + 1)]
        down = [part for width in widths[:-1] for part in (stage(width), Wavelet(width))]
        up = [part for width in widths[:0:-1] for part in (Wavelet(width, back=True), stage(width // 4))]
        parts = [Opening(inputs, channels, width=3), *down, stage(widths[-1]), *up]
        return Network(*parts, Classify(channels, classes))


def unet(
    channels: Sequence[int] = (16, 32, 64),
    classes: int = 2,
    *,
    inputs: int = 1,
    seed: int = 0,
) -> Network:
    """What everybody compares with: one double convolution on the way down and one on the way up.

    Shapes:    y (batch, inputs, *space) -> (batch, classes, *space)
    Reference: Ronneberger et al., U-Net, 2015, arXiv:1505.04597, with residual double convolutions
    """

    def stage(channels: int) -> Stage:
        return Stage(Residual(Conv(channels)), Euler(), time=1.0, steps=1)

    with seeded(seed):
        return _levels(channels, classes, inputs, stage, after=stage)


def _levels(
    channels: Sequence[int],
    classes: int,
    inputs: int,
    stage: Callable[[int], Stage],
    after: Callable[[int], Stage] | None = None,
) -> Network:
    """Return opening, stages with each coarser resolution inside the finer one, and head."""
    if not isinstance(channels, Sequence) or not channels:
        raise StructureError(
            "a recipe has channels at each resolution, finest first",
            given=f"channels={channels!r}",
            expected="a sequence of at least one number",
            way_out="write (16,) for one resolution, (16, 32) for two",
        )
    inner: list[Part] = []
    for place in reversed(range(len(channels))):
        here = channels[place]
        parts: list[Part] = [stage(here)]
        if inner:
            coarser = channels[place + 1]
            parts.append(Level(Coarsen(here, coarser), Network(*inner), Refine(coarser, here)))
            if after is not None:
                parts.append(after(here))
        inner = parts
    return Network(Opening(inputs, channels[0], width=3), *inner, Classify(channels[0], classes))
