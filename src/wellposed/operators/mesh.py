"""Kernels of three taps an axis as mass and derivatives, and the same operator on another mesh."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from wellposed.errors import ShapeError, StructureError, check_name
from wellposed.operators.axes import along_axes

MASSES = {"point": (0.0, 1.0, 0.0), "mean": (0.25, 0.5, 0.25)}


@dataclass(frozen=True)
class StencilBasis:
    """A kernel of three taps along each axis is a sum of products of

        mass [0, 1, 0],    first derivative [-1, 0, 1] / 2h,    second derivative [1, -2, 1] / h^2

    so s1 y + s2 y' + s3 y'' of a smooth y is met to second order in h, with 3, 9 or 27 numbers s in one, two
    or three dimensions. With mass="mean" the mass is [1, 2, 1] / 4, as in the paper, whose second derivative
    has the other sign. The map between kernels and numbers is linear, and invertible for every h.

    Shapes:    spacing h, one an axis of space; kernels (out, in, 3, ...), numbers s of the same shape
    Units:     spacing as those of the axes; s of a derivative along an axis in units of that axis
    Raises:    StructureError for a spacing that is not positive; ShapeError for other kernels
    Reference: Ruthotto and Haber, Deep neural networks motivated by PDEs, 2018, arXiv:1804.04272, section 2
    """

    spacing: tuple[float, ...]
    mass: str = "point"

    def __post_init__(self) -> None:
        object.__setattr__(self, "spacing", tuple(float(h) for h in self.spacing))
        if not 1 <= len(self.spacing) <= 3 or not all(0 < h < float("inf") for h in self.spacing):
            raise StructureError(
                "no stencils on this mesh",
                given=f"spacing={self.spacing}",
                expected="one to three positive numbers, one an axis of space",
                way_out="give how far samples lie apart along each axis",
            )
        check_name("mass", self.mass, MASSES)

    def kernel(self, numbers: Tensor) -> Tensor:
        """Return the kernel of mass and derivatives: numbers[..., a, b] is that of d^a/dx^a d^b/dy^b."""
        return self._mapped(numbers, [self._matrix(h, numbers) for h in self.spacing])

    def numbers(self, kernel: Tensor) -> Tensor:
        """Return mass and derivatives of a kernel: the inverse of `kernel`."""
        return self._mapped(kernel, [torch.linalg.inv(self._matrix(h, kernel)) for h in self.spacing])

    def _matrix(self, h: float, like: Tensor) -> Tensor:
        first, second = (-0.5 / h, 0.0, 0.5 / h), (1 / h**2, -2 / h**2, 1 / h**2)
        return torch.tensor([MASSES[self.mass], first, second], dtype=like.dtype, device=like.device).T

    def _mapped(self, values: Tensor, factors: Sequence[Tensor]) -> Tensor:
        dims = len(self.spacing)
        if values.ndim < dims or tuple(values.shape[values.ndim - dims :]) != (3,) * dims:
            raise ShapeError(
                "only kernels of three taps an axis are mass and derivatives",
                given=f"an array of shape {tuple(values.shape)}",
                expected=f"(..., {', '.join('3' * dims)})",
                way_out="take width=3, and one spacing an axis of space",
            )
        front = values.shape[: values.ndim - dims]
        return along_axes(values.reshape(-1, *(3,) * dims), factors).reshape(*front, *(3,) * dims)


def remesh(kernel: Tensor, spacing: Sequence[float], to: Sequence[float], mass: str = "point") -> Tensor:
    """Return the kernel that has the same mass and derivatives on a mesh of another width.

    Shapes:    kernel (out, in, 3, ...) -> the same
    Units:     spacing and to as those of the axes
    Raises:    StructureError for a spacing that is not positive; ShapeError for other kernels
    """
    return StencilBasis(tuple(to), mass).kernel(StencilBasis(tuple(spacing), mass).numbers(kernel))


def galerkin(kernel: Tensor) -> Tensor:
    """Return R K P: the kernel on a mesh twice as wide, with linear interpolation P and R = P' / 2 an axis.

    P = [1, 2, 1] / 2 about every second sample. A kernel of three taps stays one, and its second derivative
    keeps its size (piecewise constant interpolation would double it).

    Shapes:    kernel (out, in, 3, ...) -> the same
    Raises:    ShapeError for other kernels
    Reference: Haber, Ruthotto, Holtham and Jun, Learning across scales, 2017, arXiv:1703.02009
    """
    dims = kernel.ndim - 2
    if not 1 <= dims <= 3 or tuple(kernel.shape[2:]) != (3,) * dims:
        raise ShapeError(
            "only kernels of three taps an axis have three on the coarser mesh",
            given=f"a kernel of shape {tuple(kernel.shape)}",
            expected="(out, in, 3, ...)",
            way_out="take width=3",
        )
    # Entry [c, f]: what tap f of the fine kernel gives to tap c of the coarse one, R * K * P at every second.
    interpolate = [0.5, 1.0, 0.5]
    matrix = torch.zeros(3, 3, dtype=kernel.dtype, device=kernel.device)
    for c in range(3):
        for f in range(3):
            shift = 2 * (c - 1) - (f - 1)
            matrix[c, f] = sum(
                interpolate[a] / 2 * interpolate[b] for a in range(3) for b in range(3) if a + b - 2 == shift
            )
    return along_axes(kernel.reshape(-1, *(3,) * dims), [matrix] * dims).reshape(kernel.shape)
