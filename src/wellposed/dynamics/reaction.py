"""Diffusion and reaction: a local reaction, and a diffusion that couples the whole section in one step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from wellposed.dynamics.activation import activate, check_activation
from wellposed.dynamics.base import Extent, SemiLinear, Theta, check_family, check_square
from wellposed.dynamics.residual import double, double_shapes
from wellposed.dynamics.symmetric import check_symmetric, symmetric, symmetric_shapes, with_scales
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
        check_family(self.diffusion, "diffusion")

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

    def remesh(self, theta: Theta, ratio: float | Sequence[float]) -> dict[str, Tensor]:
        """Return the weights of the same equation on another mesh: D is an operator of its own."""
        d = torch.asinh(self.diffusion.remesh(torch.sinh(theta["d"]), ratio))
        return {**super().remesh(theta, ratio), "d": d}

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
            (cls(Conv(4), Stencil(4), "tanh"), (1, 4, 5, 4)),
            (cls(Conv(4), Stencil(4, boundary="periodic"), "tanh"), (1, 4, 4, 5)),
            (cls(Conv(4), Conv(4), "tanh"), (1, 4, 5, 4)),
        ]


@dataclass(frozen=True)
class SingleReaction(SemiLinear):
    """One layer reacts, and the operator D that spreads has its kernel for a weight.

        y' = s(S y + b) - D'D y

    Shapes:    S of `operator`, b (channel,), D of `diffusion`; y (batch, channel, *space) -> the same
    Raises:    StructureError when S changes the number of channels
    Reference: Haber, Deep neural nets meets O/PDE's, 2019, the diffusion-reaction network
    """

    operator: Family
    diffusion: Family
    activation: str = "relu"

    def __post_init__(self) -> None:
        check_activation(self.activation)
        check_square(self.operator)
        check_family(self.diffusion, "diffusion")

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """S, b and D."""
        return {"S": self.operator.shape, "b": self.operator.shape[:1], "D": self.diffusion.shape}

    def remesh(self, theta: Theta, ratio: float | Sequence[float]) -> dict[str, Tensor]:
        """Return the weights of the same equation on another mesh: D is an operator of its own."""
        return {**super().remesh(theta, ratio), "D": self.diffusion.remesh(theta["D"], ratio)}

    def explicit(self, theta: Theta, y: Tensor) -> Tensor:
        """Return s(S y + b)."""
        return activate(self.activation, self.operator(theta["S"]) @ y, theta["b"])

    def linear(self, theta: Theta) -> Operator:
        """D'D."""
        D = self.diffusion(theta["D"])
        return D.T @ D

    def extent(self, theta: Theta) -> Extent | None:
        """Claim nothing: the diffusion is stable for every step, the reaction makes no promise."""
        return None

    @classmethod
    def examples(cls) -> Sequence[tuple[Self, tuple[int, ...]]]:
        """Over a plane and over a line."""
        depthwise = Conv(2, boundary="periodic", depthwise=True, dims=1)
        return [
            (cls(Conv(2), Stencil(2), "tanh"), (2, 2, 5, 6)),
            (cls(Conv(2, dims=1), depthwise, "tanh"), (2, 2, 7)),
        ]


@dataclass(frozen=True)
class SymmetricReaction(SemiLinear):
    """A symmetric double layer reacts with the sign that the published code has, and D spreads.

        y' = +K' s(g norm(K y) + b) - D'D y

    The sign is that which expands: the explicit part alone is not stable (`Parabolic` has the other one).

    Shapes:    K of `operator`, b and g (out channel,), D of `diffusion`;
               y (batch, channel, *space) -> the same
    Reference: Haber et al., IMEXnet: a forward stable deep neural network, 2019, and its released code
    """

    operator: Family
    diffusion: Family
    activation: str = "relu"
    norm: str = "channel"

    def __post_init__(self) -> None:
        check_symmetric(self.operator, self.activation, self.norm)
        check_family(self.diffusion, "diffusion")

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """K, b, D, with a norm its scale g."""
        return {**symmetric_shapes(self.operator, self.norm), "D": self.diffusion.shape}

    def start(self, generator: torch.Generator | None = None) -> dict[str, Tensor]:
        """Return small kernels, scales of one, biases of zero."""
        return with_scales(super().start(generator))

    def remesh(self, theta: Theta, ratio: float | Sequence[float]) -> dict[str, Tensor]:
        """Return the weights of the same equation on another mesh: D is an operator of its own."""
        return {**super().remesh(theta, ratio), "D": self.diffusion.remesh(theta["D"], ratio)}

    def explicit(self, theta: Theta, y: Tensor) -> Tensor:
        """K' s(g norm(K y) + b)."""
        return symmetric(self.operator, self.activation, self.norm, theta, y)

    def linear(self, theta: Theta) -> Operator:
        """D'D."""
        D = self.diffusion(theta["D"])
        return D.T @ D

    def extent(self, theta: Theta) -> Extent | None:
        """Claim nothing: the reaction expands."""
        return None

    @classmethod
    def examples(cls) -> Sequence[tuple[Self, tuple[int, ...]]]:
        """Over a plane without a norm, and over a line."""
        depthwise = Conv(2, boundary="periodic", depthwise=True, dims=1)
        return [
            (cls(Conv(2), Stencil(2), "tanh", norm="none"), (2, 2, 5, 6)),
            (cls(Conv(2, dims=1), depthwise, "tanh"), (2, 2, 7)),
        ]
