"""Diffusion and reaction: a local reaction, and a diffusion that couples the whole section in one step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from wellposed.dynamics.activation import check_activation
from wellposed.dynamics.base import Extent, SemiLinear, Theta
from wellposed.dynamics.residual import check_square, double, double_shapes
from wellposed.operators import Conv, Family, Operator, Stencil


@dataclass(frozen=True)
class Reaction(SemiLinear):
    """A double convolution that reacts, and an operator D of its own that spreads.

        y' = K2 s(norm(K1 y) + b) - D'D y,   D of the kernel sinh(d)

    With a `Stencil` D holds second differences along each axis of space, their product and a mass, a weight
    each in every channel. Cosines make D'D diagonal under a reflecting boundary, so that an implicit step
    reaches across the section for less than a convolution. Other families take the solve that they name.
    sinh lets a weight learn its sign near zero and its order of magnitude far from it.

    Shapes:    K1, K2 of `operator`, b (channel,), d of `diffusion`; y (batch, channel, *space) -> the same
    Raises:    StructureError when K changes the number of channels
    Reference: Haber et al., IMEXnet: a forward stable deep neural network, 2019, arXiv:1903.02639
    """

    operator: Family
    diffusion: Family
    activation: str = "relu"

    def __post_init__(self) -> None:
        check_activation(self.activation)
        check_square(self.operator)

    @property
    def channels(self) -> int:
        """Channels of the features."""
        return self.operator.channels

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """K1, K2, b and d."""
        return {**double_shapes(self.operator), "d": self.diffusion.shape}

    def start(self, generator: torch.Generator | None = None) -> dict[str, Tensor]:
        """Let a stencil reach, in a unit of time, from 0.3 samples in the first channel to 10 in the last.

        That is along the first axis of space, and a third of it along the others.
        """
        values = super().start(generator)
        if isinstance(self.diffusion, Stencil):
            reach = torch.logspace(-0.5, 1.0, self.channels)
            values["d"].zero_()
            for axis in range(self.diffusion.dims):
                alone: tuple[slice | int, ...] = (
                    slice(None),
                    *(int(other == axis) for other in range(self.diffusion.dims)),
                )
                share = 1.0 if axis == 0 else 1 / 3
                values["d"][alone] = torch.asinh((share * reach).square())
        return values

    def explicit(self, theta: Theta, y: Tensor) -> Tensor:
        """K2 s(norm(K1 y) + b)."""
        return double(self.operator, self.activation, theta, y)

    def linear(self, theta: Theta) -> Operator:
        """D'D."""
        D = self.diffusion(torch.sinh(theta["d"]))
        return D.T @ D

    def extent(self, theta: Theta) -> Extent | None:
        """Claim nothing: the diffusion is stable for every step, the reaction makes no promise."""
        return None

    @classmethod
    def examples(cls) -> Sequence[tuple[Self, tuple[int, ...]]]:
        """Diffusion by cosines, by Fourier, and by conjugate gradients."""
        return [
            (cls(Conv(2), Stencil(2), "tanh"), (2, 2, 5, 6)),
            (cls(Conv(2), Stencil(2, boundary="periodic"), "tanh"), (2, 2, 6, 5)),
            (cls(Conv(2), Conv(2), "tanh"), (1, 2, 5, 4)),
        ]
