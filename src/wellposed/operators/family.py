"""Families of operators: the shape of the kernel and the boundary, no values."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
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
