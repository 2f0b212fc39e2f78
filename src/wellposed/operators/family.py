"""Families of operators: the shape of the kernel and the boundary, no values."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from math import inf
from typing import Self

from torch import Tensor

from wellposed.errors import ShapeError, StructureError
from wellposed.operators.base import Operator


class Family(ABC):
    """What a set of operators has in common: `family(kernel)` is one of them.

    Raises:    ShapeError when the kernel has not the shape of the family
    """

    channels: int  # of the features that its operators act on

    @property
    @abstractmethod
    def shape(self) -> tuple[int, ...]:
        """Shape of the kernel."""

    @abstractmethod
    def build(self, kernel: Tensor) -> Operator:
        """Return the operator of a kernel that has the right shape."""

    def remesh(self, kernel: Tensor, ratio: float | Sequence[float]) -> Tensor:
        """Return the kernel of the same operator on a mesh whose samples lie `ratio` times as far apart.

        Where space plays no part that is the kernel itself.

        Shapes:    kernel as the family -> the same; ratio one number, or one an axis of space
        Raises:    StructureError for operators that know no other mesh, or a ratio that is not positive
        """
        raise StructureError(
            f"{type(self).__name__} knows no other mesh",
            given=f"{self}, on a mesh {ratio} times as wide",
            expected="a family whose operators can be told on any mesh: Conv of three taps, Stencil, Dense",
            way_out="stay on this mesh, or learn the kernels there anew",
        )

    @classmethod
    @abstractmethod
    def examples(cls) -> Sequence[tuple[Self, tuple[int, ...]]]:
        """Small families, each with a shape (batch, channel, *space) that their operators act on."""

    def __call__(self, kernel: Tensor) -> Operator:
        """Return the operator of this kernel."""
        if tuple(kernel.shape) != self.shape:
            raise ShapeError(
                f"this kernel is not one of {self}",
                given=f"a kernel of shape {tuple(kernel.shape)}",
                expected=f"shape {self.shape}",
                way_out="make the kernel from the `shape` of the family",
            )
        return self.build(kernel)


def per_axis(name: str, ratio: float | Sequence[float], dims: int) -> tuple[float, ...]:
    """Return one ratio of two meshes an axis of space.

    Raises:    StructureError unless there is one an axis, each positive
    """
    try:
        ratios = tuple(float(r) for r in ratio) if isinstance(ratio, Sequence) else (float(ratio),) * dims
    except (TypeError, ValueError):
        ratios = ()
    if len(ratios) != dims or not all(0 < r < inf for r in ratios):
        raise StructureError(
            f"this is no other mesh for the operators of {name}",
            given=f"ratio={ratio}",
            expected=f"a positive number, or one for each of {dims} axes of space",
            way_out="give how far samples lie apart there over how far they do here",
        )
    return ratios


def check_positive(name: str, **numbers: int | None) -> None:
    """Raise StructureError unless every given number is a positive integer."""
    for word, number in numbers.items():
        if number is not None and (not isinstance(number, int) or number < 1):
            raise StructureError(
                f"{name} has no such operators",
                given=f"{word}={number!r}",
                expected="a whole number of at least 1",
                way_out=f"give another {word}",
            )
