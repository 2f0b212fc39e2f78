"""Networks as they were published, for those who reproduce results: weight for weight.

Two things differ. Inside a stage the norm is that over the channels of a place, as in the article on the
first three; the released code of IMEXnet has a batch norm there, whose weights it does not train. And
kernels are not projected to mean zero before each use.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Literal

from wellposed.backward import Backprop, Reversed
from wellposed.dynamics import DoubleHamiltonian, Hyperbolic, Parabolic, SymmetricReaction
from wellposed.errors import ConfigError, close_match
from wellposed.integrators import IMEX, Euler, SymplecticEuler
from wellposed.network.heads import Classify
from wellposed.network.network import Network
from wellposed.network.normed import Normed, Pool
from wellposed.network.part import Part, seeded
from wellposed.network.stage import Stage
from wellposed.operators import Conv

__all__ = ["classifier", "imexnet"]

DATA = {  # channels of each stage, those behind the last, classes
    "stl10": ((16, 32, 64, 128, 128), 10),
    "cifar10": ((32, 64, 112, 112), 10),
    "cifar100": ((32, 64, 128, 256), 100),
}
KINDS = ("parabolic", "hamiltonian", "second order")


def classifier(
    kind: Literal["parabolic", "hamiltonian", "second order"] = "parabolic",
    data: Literal["stl10", "cifar10", "cifar100"] = "stl10",
    *,
    steps: int = 3,
    reverse: bool = True,
    seed: int = 0,
) -> Network:
    """Classify images of three colours by stages of a differential equation, each at half the resolution.

    A 3 x 3 opening; for each stage `steps` of length one, a 1 x 1 connector and pooling, the last over the
    whole image; a linear head. Convolutions end in zeros beyond the edge.

    | weights     | stl10   | cifar10 | cifar100 |
    |-------------|---------|---------|----------|
    | parabolic   | 618,554 | 502,570 | 652,484  |
    | hamiltonian | 324,794 | 264,106 | 362,180  |
    | second order| 618,554 | 502,570 | 652,484  |

    Shapes:    y (batch, 3, height, width) -> (batch, classes)
    Raises:    ConfigError for another kind or other data
    Reference: Ruthotto and Haber, Deep neural networks motivated by PDEs, 2018, arXiv:1804.04272, table 1
    """
    _check("kind", kind, KINDS)
    _check("data", data, tuple(DATA))
    channels, classes = DATA[data]
    with seeded(seed):
        parts: list[Part] = [Normed(3, channels[0], width=3)]
        for place, (here, there) in enumerate(pairwise(channels)):
            last = place == len(channels) - 2
            parts += [_stage(kind, here, steps, reverse), Normed(here, there), Pool(there, whole=last)]
        return Network(*parts, Classify(channels[-1], classes))


def imexnet(classes: int = 4, *, inputs: int = 1, seed: int = 0) -> Network:
    """Segment Q-tips by diffusion and reaction, at full resolution throughout.

    Three times a 3 x 3 convolution to more channels, 64, 128 and 256, and three IMEX steps of length one: 21
    convolutions, of which none sees further than 43 samples, and nine solves, each of which sees everything.

    | weights                                | number    |
    |----------------------------------------|-----------|
    | of convolutions                        | 2,691,648 |
    | of the implicit part                   | 12,096    |
    | of the implicit part, as the code said | 9,792     |

    Shapes:    y (batch, inputs, height, width) -> (batch, classes, height, width)
    Reference: Haber et al., IMEXnet: a forward stable deep neural network, 2019, arXiv:1903.02639, and its
               released code, whose own count takes the channels that go into a convolution
    """
    with seeded(seed):
        parts: list[Part] = []
        for before, here in pairwise((inputs, 64, 128, 256)):
            diffusion = Conv(here, boundary="periodic", depthwise=True)
            reaction = SymmetricReaction(Conv(here, boundary="zero"), diffusion)
            parts += [Normed(before, here, width=3), Stage(reaction, IMEX(), time=3.0, steps=3)]
        return Network(*parts, Classify(256, classes))


def _stage(kind: str, channels: int, steps: int, reverse: bool) -> Stage:
    """Return steps of length one; those that can be undone are, where that is asked for."""
    rule = Reversed() if reverse else Backprop()
    if kind == "parabolic":
        diffusion = Parabolic(Conv(channels, boundary="zero"), norm="channel")
        return Stage(diffusion, Euler(), time=float(steps), steps=steps)
    if kind == "hamiltonian":
        turning = DoubleHamiltonian(Conv(channels // 2, boundary="zero"), norm="channel")
        return Stage(turning, SymplecticEuler(), time=float(steps), steps=steps, backward=rule, halves=True)
    waves = Hyperbolic(Conv(channels, boundary="zero"), norm="channel")
    return Stage(waves, SymplecticEuler(), time=float(steps), steps=steps, backward=rule)


def _check(name: str, given: str, known: tuple[str, ...]) -> None:
    if given not in known:
        near = close_match(given, known)
        raise ConfigError(
            f"no published network has this {name}",
            given=f"{name}={given!r}",
            expected=", ".join(known),
            way_out=f"write {near!r}" if near else "choose one of them",
        )
