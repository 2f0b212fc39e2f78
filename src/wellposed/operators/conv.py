"""Convolutions with a named boundary, in one to three dimensions, and their exact adjoint."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Self

import torch
import torch.nn.functional as F
from torch import Tensor

from wellposed.errors import StructureError
from wellposed.operators.axes import along_axes
from wellposed.operators.base import Operator, check_channels
from wellposed.operators.boundary import Widths, check_boundary, extend, fold
from wellposed.operators.family import Family, check_positive, per_axis
from wellposed.operators.mesh import remesh
from wellposed.operators.norms import correlation_norm, skew_norm
from wellposed.operators.solve import ConjugateGradients, Fourier, Solver

CORRELATE: dict[int, Callable[..., Tensor]] = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}
SPREAD: dict[int, Callable[..., Tensor]] = {
    1: F.conv_transpose1d,
    2: F.conv_transpose2d,
    3: F.conv_transpose3d,
}


@dataclass(frozen=True, eq=False)
class Correlation(Operator):
    """Correlate with a kernel, as PyTorch does, after an extension by the boundary.

        z[o, i] = sum_c,j K[o, c, j] y[c, i + j - (width - 1) // 2]

    so [-1, 0, 1] / 2h is +d/dx. The adjoint spreads z by the same kernel and folds what falls beyond the
    edges back to where the extension took it from: exact for every boundary, for odd and even sizes.

    Shapes:    kernel (out, in, *width), depthwise (channel, 1, *width);
               y (batch, in, *space) -> (batch, out, *space)
    Raises:    ShapeError when y does not fit the kernel, or is smaller than half of it
    """

    kernel: Tensor
    boundary: str = "reflecting"
    depthwise: bool = False

    def apply(self, y: Tensor) -> Tensor:
        """K y."""
        check_channels("a convolution", y, self.takes, self.dims)
        padding = self._equal_padding
        if padding is None:
            return self._call(CORRELATE, extend(y, self._widths, self.boundary), 0)
        return self._call(CORRELATE, y, padding)

    def apply_adjoint(self, z: Tensor) -> Tensor:
        """K' z."""
        check_channels("the adjoint of a convolution", z, self.gives, self.dims)
        padding = self._equal_padding
        if padding is None:
            return fold(self._call(SPREAD, z, 0), self._widths, self.boundary)
        return self._call(SPREAD, z, padding)

    @property
    def takes(self) -> int:
        """Channels in; a depthwise kernel has as many as out."""
        return self.kernel.shape[0 if self.depthwise else 1]

    @property
    def gives(self) -> int:
        """Channels out."""
        return self.kernel.shape[0]

    def norm(self) -> float:
        """Return an upper bound for every size; see `norms.correlation_norm` for what is guaranteed."""
        return correlation_norm(self.kernel.detach(), self.boundary, self.depthwise, self._plain)

    def skew_norm(self) -> float:
        """Return an upper bound for every size; see `norms.skew_norm`."""
        return skew_norm(self.kernel.detach(), self.boundary, self.depthwise, self._plain)

    @property
    def dims(self) -> int:
        """Axes of space."""
        return self.kernel.ndim - 2

    @property
    def solver(self) -> Solver:
        """Fourier where channels do not mix and the boundary is periodic, else conjugate gradients."""
        return Fourier() if self.depthwise and self.boundary == "periodic" else ConjugateGradients()

    def gain(self, space: tuple[int, ...]) -> Tensor:
        """|k|^2 at the frequencies of a real Fourier transform, a channel.

        Shapes:    (channel, *frequencies)
        """
        if not isinstance(self.solver, Fourier):
            return super().gain(space)
        widths = self.kernel.shape[2:]
        waves = [_waves(size, width, self.kernel) for size, width in zip(space, widths, strict=True)]
        waves[-1] = waves[-1][: space[-1] // 2 + 1]
        symbol = along_axes(self.kernel[:, 0].to(waves[0].dtype), waves)
        return symbol.real.square() + symbol.imag.square()

    @classmethod
    def examples(cls) -> Sequence[tuple[Self, tuple[int, ...]]]:
        """Every boundary, dense and depthwise, one to three dimensions, odd and even sizes and widths."""
        kinds: list[tuple[tuple[int, ...], str, bool, tuple[int, ...]]] = [
            ((2, 3, 3, 3), "zero", False, (2, 3, 5, 6)),
            ((2, 3, 3, 3), "periodic", False, (2, 3, 6, 5)),
            ((2, 3, 3, 3), "reflecting", False, (2, 3, 5, 4)),
            ((3, 1, 3, 3), "zero", True, (1, 3, 4, 7)),
            ((3, 1, 3, 3), "periodic", True, (2, 3, 7, 6)),
            ((3, 1, 3, 3), "reflecting", True, (2, 3, 6, 7)),
            ((2, 2, 5, 5), "reflecting", False, (1, 2, 6, 5)),
            ((2, 2, 5, 5), "periodic", False, (1, 2, 5, 8)),
            ((2, 1, 4), "reflecting", True, (2, 2, 9)),
            ((2, 2, 2), "zero", False, (2, 2, 6)),
            ((2, 1, 4), "periodic", True, (2, 2, 8)),
            ((2, 2, 3, 3, 3), "reflecting", False, (1, 2, 4, 3, 5)),
            ((2, 1, 3, 3, 3), "periodic", True, (1, 2, 4, 5, 3)),
        ]
        generator = torch.Generator().manual_seed(0)
        return [
            (cls(torch.randn(kernel, generator=generator, dtype=torch.float64), boundary, depthwise), shape)
            for kernel, boundary, depthwise, shape in kinds
        ]

    @property
    def _widths(self) -> Widths:
        return [((width - 1) // 2, width // 2) for width in self.kernel.shape[2:]]

    @property
    def _equal_padding(self) -> tuple[int, ...] | None:
        """Zeros on both sides of each axis, as the convolution itself can add them; None where it cannot."""
        equal = all(before == after for before, after in self._widths)
        return tuple(before for before, _ in self._widths) if self.boundary == "zero" and equal else None

    def _call(self, kind: dict[int, Callable[..., Tensor]], y: Tensor, padding: Any) -> Tensor:
        groups = self.kernel.shape[0] if self.depthwise else 1
        return kind[self.dims](y, self.kernel, padding=padding, groups=groups)

    def _plain(self, kernel: Tensor) -> Operator:
        return Correlation(kernel, self.boundary, self.depthwise)


@dataclass(frozen=True)
class Conv(Family):
    """Name the convolutions of one width under one boundary; `dims` axes of space.

    Depthwise ones keep the channels apart. `Conv(8)` goes from 8 channels to 8, `Conv(1, out=8)` from one.

    Raises:    StructureError when there is no such convolution
    """

    channels: int
    width: int = 3
    boundary: str = "reflecting"
    depthwise: bool = False
    dims: int = 2
    out: int | None = None

    def __post_init__(self) -> None:
        check_positive("Conv", channels=self.channels, width=self.width, out=self.out)
        check_boundary(self.boundary)
        if self.dims not in CORRELATE:
            raise StructureError(
                "no convolution in so many dimensions",
                given=f"dims={self.dims}",
                expected="1, 2 or 3",
                way_out="say how many axes of space the features have",
            )
        if self.depthwise and self.out not in (None, self.channels):
            raise StructureError(
                "a depthwise convolution keeps its channels",
                given=f"channels={self.channels}, out={self.out}",
                expected="no `out`, or the same number",
                way_out="leave `out` away, or take depthwise=False",
            )

    @property
    def shape(self) -> tuple[int, ...]:
        """(out, in, *width), depthwise (channel, 1, *width)."""
        width = (self.width,) * self.dims
        return (self.out or self.channels, 1 if self.depthwise else self.channels, *width)

    def build(self, kernel: Tensor) -> Correlation:
        """Return the operator."""
        return Correlation(kernel, self.boundary, self.depthwise)

    def remesh(self, kernel: Tensor, ratio: float | Sequence[float]) -> Tensor:
        """Return the kernel of the same mass and derivatives; of one tap it stays as it is.

        Raises:    ShapeError where it has another width than one or three taps
        """
        ratios = per_axis("Conv", ratio, self.dims)
        return kernel if self.width == 1 else remesh(kernel, (1.0,) * self.dims, ratios)

    @classmethod
    def examples(cls) -> Sequence[tuple[Self, tuple[int, ...]]]:
        """Dense, depthwise and opening."""
        return [
            (cls(2), (2, 2, 5, 4)),
            (cls(3, boundary="periodic", depthwise=True), (2, 3, 5, 4)),
            (cls(1, width=2, boundary="zero", dims=1, out=3), (2, 1, 6)),
        ]


def _waves(size: int, width: int, like: Tensor) -> Tensor:
    """exp(2 pi i k j / size) for every frequency k and place j of the kernel."""
    frequency = torch.arange(size, dtype=like.dtype, device=like.device) * (2 * torch.pi / size)
    place = torch.arange(width, dtype=like.dtype, device=like.device)
    phase = frequency[:, None] * place
    return torch.complex(phase.cos(), phase.sin())
