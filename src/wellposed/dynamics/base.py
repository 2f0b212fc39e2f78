"""What moves the features: a differential equation, without time and without values."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from math import isfinite, prod
from typing import ClassVar, NamedTuple, Self

import torch
from torch import Tensor

from wellposed.errors import StepError, StructureError, check_kind
from wellposed.operators import Family, Operator

Theta = Mapping[str, Tensor]  # the weights at one time
State = tuple[Tensor, ...]  # the features, and what moves along with them


class Extent(NamedTuple):
    """Where the spectrum of the linearised dynamics lies: in [-real, 0] + i [-imaginary, imaginary].

    With `triangle` only in the triangle of 0 and -real +- i imaginary: what turns faster is damped more.

    Units:     one over the units of the time grid
    """

    real: float
    imaginary: float
    triangle: bool = False


class Dynamics(ABC):
    """A differential equation for features: it owns the shapes of its weights, never their values.

    Its structure says which integrators fit: `FirstOrder`, `SemiLinear`, `Partitioned`, `SecondOrder`.

    Shapes:    y (batch, channel, *space) -> the same
    """

    members: ClassVar[int]  # tensors in a state
    operator: Family  # that acts on the features first

    @property
    def channels(self) -> int:
        """Channels of the features that it moves."""
        return self.operator.channels

    @abstractmethod
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape of each weight at one time."""

    @abstractmethod
    def extent(self, theta: Theta) -> Extent | None:
        """Return where the spectrum lies whatever the state, or None where no stability is claimed."""

    @classmethod
    @abstractmethod
    def examples(cls) -> Sequence[tuple[Self, tuple[int, ...]]]:
        """Small smooth dynamics, each with the shape (batch, channel, *space) of features."""

    def open(self, y: Tensor) -> State:
        """Return the state of features at rest."""
        return (y, *(torch.zeros_like(y) for _ in range(self.members - 1)))

    def remesh(self, theta: Theta, ratio: float | Sequence[float]) -> dict[str, Tensor]:
        """Return the weights of the same equation on a mesh whose samples lie `ratio` times as far apart.

        Kernels of the operator keep their mass and derivatives, biases and scales stay.

        Raises:    StructureError, ShapeError for operators that know no other mesh
        """
        shape, f = self.operator.shape, self.operator
        return {name: f.remesh(v, ratio) if tuple(v.shape) == shape else v for name, v in theta.items()}

    def start(self, generator: torch.Generator | None = None) -> dict[str, Tensor]:
        """Return weights to begin with: kernels of variance 1 / (2 inputs), biases zero.

        Over 40 seeds |K| is then 0.8 to 1.5 for `Dense(4)`, 1.1 to 2.5 for `Conv(2)`, 1.6 to 2.0 for
        `Conv(8)`, 1.8 to 2.5 for `Conv(4, out=8)`, 1.1 to 3.0 for `Conv(4, depthwise=True)`, and about 9 for
        `Stencil(4)`; for a `Graph` its points decide. At |K| = 2 steps up to 1/2 lie within the bound of
        `Euler` for `Parabolic`, and of the splittings for all that they fit. So a stage that is built close
        to its bound is refused for some seeds: take more steps, or bound="report" and `limit_norms`.
        """
        values = {name: torch.zeros(shape) for name, shape in self.shapes().items()}
        for value in values.values():
            if value.ndim > 1:
                value.normal_(std=(2 * prod(value.shape[1:])) ** -0.5, generator=generator)
        return values


class FirstOrder(Dynamics):
    """y' = f(theta, y)."""

    members = 1

    @abstractmethod
    def rate(self, theta: Theta, y: Tensor) -> Tensor:
        """Return f(theta, y)."""


class SemiLinear(FirstOrder):
    """y' = e(theta, y) - L(theta) y, with L symmetric and non-negative.

    L is stable for every implicit step, so the extent is that of e alone.
    """

    @abstractmethod
    def explicit(self, theta: Theta, y: Tensor) -> Tensor:
        """Return e(theta, y)."""

    @abstractmethod
    def linear(self, theta: Theta) -> Operator:
        """Return L(theta), which can solve (I + h L) x = b."""

    def rate(self, theta: Theta, y: Tensor) -> Tensor:
        """Return e(theta, y) - L(theta) y."""
        return self.explicit(theta, y) - self.linear(theta) @ y


class Partitioned(Dynamics):
    """y' = a(theta, z), z' = b(theta, y) - c z: each half moves by the other, z against a damping c.

    The extent is that without damping, which a splitting integrates exactly and which only calms.
    """

    members = 2
    damping: float = 0.0

    @abstractmethod
    def rate_first(self, theta: Theta, z: Tensor) -> Tensor:
        """Return a(theta, z)."""

    @abstractmethod
    def rate_second(self, theta: Theta, y: Tensor) -> Tensor:
        """Return b(theta, y)."""


class SecondOrder(Partitioned):
    """y'' = g(theta, y) - c y', with the velocity z = y'."""

    @abstractmethod
    def acceleration(self, theta: Theta, y: Tensor) -> Tensor:
        """Return g(theta, y)."""

    def rate_first(self, theta: Theta, z: Tensor) -> Tensor:
        """Return z: it is the velocity."""
        return z

    def rate_second(self, theta: Theta, y: Tensor) -> Tensor:
        """Return g(theta, y)."""
        return self.acceleration(theta, y)


def check_damping(damping: float) -> None:
    """Raise StructureError unless a damping takes energy away."""
    if not (isfinite(damping) and damping >= 0):
        raise StructureError(
            "a negative damping feeds energy into the features",
            given=f"damping={damping}",
            expected="zero or more",
            way_out="choose a damping that is not negative",
        )


def check_finite(theta: Theta) -> None:
    """Raise StepError where a weight is no finite number: no step is stable for it."""
    lost = [name for name, value in theta.items() if not bool(value.isfinite().all())]
    if lost:
        raise StepError(
            "weights are no finite numbers",
            given=f"NaN or infinity in {', '.join(lost)}",
            expected="finite weights",
            way_out="go back to weights from before they were lost, and train with a smaller rate",
        )


def check_family(operator: Family, word: str = "operator") -> None:
    """Raise StructureError unless this is a family of operators: a dynamics owns no values."""
    check_kind(word, operator, Family, "name a family, such as Conv(8) or Dense(8)")


def check_square(operator: Family) -> None:
    """Raise StructureError unless operators of this family can be applied one after another."""
    check_family(operator)
    if operator.shape[0] != operator.channels:
        raise StructureError(
            "this dynamics keeps its channels",
            given=f"{operator}, which makes {operator.shape[0]} channels of {operator.channels}",
            expected="as many channels out as in",
            way_out="leave `out` away",
        )
