"""The adjoint of a dynamics in reversed time: it has the structure of the dynamics, and its integrators.

Beside the weights, theta holds the state at which the derivative is taken.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Protocol

import torch
from torch import Tensor

from wellposed.dynamics import Dynamics, FirstOrder, Partitioned, SecondOrder, SemiLinear, State, Theta
from wellposed.operators import Operator


class Adjoint(Protocol):
    """What a rule needs of an adjoint: its start, its end, and <a, f(theta, y)>."""

    @property
    def names(self) -> tuple[str, ...]:
        """In theta, of the members of the state y."""

    def enter(self, g: State) -> State:
        """Return the members of the adjoint from the gradient by the state at the end."""

    def leave(self, a: State) -> State:
        """Return the gradient by the state at the start from the members of the adjoint."""

    def product(self, theta: Theta, y: State, a: State) -> Tensor:
        """Return <a, f(theta, y)>, the rate as one system of first order."""


def adjoint_of(f: Dynamics) -> Adjoint:
    """Return the adjoint of a dynamics."""
    if isinstance(f, SecondOrder):
        return SecondOrderAdjoint(f)
    if isinstance(f, Partitioned):
        return PartitionedAdjoint(f)
    assert isinstance(f, FirstOrder)  # there is no other structure
    return FirstOrderAdjoint(f)


@dataclass(frozen=True)
class FirstOrderAdjoint:
    """a' = f_y(theta, y)' a, for a SemiLinear f = e - L y as e_y' a - L a."""

    of: FirstOrder

    names: ClassVar[tuple[str, ...]] = ("state y",)

    def rate(self, theta: Theta, a: Tensor) -> Tensor:
        """f_y' a."""
        return _pull(lambda y: self.of.rate(theta, y), theta["state y"], a)

    def explicit(self, theta: Theta, a: Tensor) -> Tensor:
        """e_y' a."""
        of = self._semilinear()
        return _pull(lambda y: of.explicit(theta, y), theta["state y"], a)

    def linear(self, theta: Theta) -> Operator:
        """L, which is its own adjoint."""
        return self._semilinear().linear(theta)

    def enter(self, g: State) -> State:
        """As it is."""
        return g

    def leave(self, a: State) -> State:
        """As it is."""
        return a

    def product(self, theta: Theta, y: State, a: State) -> Tensor:
        """<a, f(theta, y)>."""
        return (a[0] * self.of.rate(theta, y[0])).sum()

    def _semilinear(self) -> SemiLinear:
        assert isinstance(self.of, SemiLinear)  # the integrator saw to it
        return self.of


@dataclass(frozen=True)
class PartitionedAdjoint:
    """p' = b_y' q, q' = a_z' p - damping q, for y' = a(z), z' = b(y) - damping z: by one another again."""

    of: Partitioned

    names: ClassVar[tuple[str, ...]] = ("state y", "state z")

    @property
    def damping(self) -> float:
        """That of the dynamics: in reversed time the adjoint is damped too."""
        return self.of.damping

    def rate_first(self, theta: Theta, z: Tensor) -> Tensor:
        """b_y' z."""
        return _pull(lambda y: self.of.rate_second(theta, y), theta["state y"], z)

    def rate_second(self, theta: Theta, y: Tensor) -> Tensor:
        """a_z' y."""
        return _pull(lambda z: self.of.rate_first(theta, z), theta["state z"], y)

    def enter(self, g: State) -> State:
        """As it is."""
        return g

    def leave(self, a: State) -> State:
        """As it is."""
        return a

    def product(self, theta: Theta, y: State, a: State) -> Tensor:
        """<a_y, a(theta, z)> + <a_z, b(theta, y)>; the damping holds no weights."""
        first = (a[0] * self.of.rate_first(theta, y[1])).sum()
        return first + (a[1] * self.of.rate_second(theta, y[0])).sum()


@dataclass(frozen=True)
class SecondOrderAdjoint:
    """a'' = g_y' a - damping a', for y'' = g(y) - damping y', where a belongs to the velocity.

    The first-order system has the adjoints p of y and a of v = y':  p' = g_y' a,  a' = p - damping a.
    """

    of: SecondOrder

    names: ClassVar[tuple[str, ...]] = ("state y", "state z")

    @property
    def damping(self) -> float:
        """That of the dynamics: in reversed time the adjoint is damped too."""
        return self.of.damping

    def acceleration(self, theta: Theta, a: Tensor) -> Tensor:
        """g_y' a."""
        return _pull(lambda y: self.of.acceleration(theta, y), theta["state y"], a)

    def rate_first(self, theta: Theta, z: Tensor) -> Tensor:
        """Return z: it is the velocity."""
        return z

    def rate_second(self, theta: Theta, y: Tensor) -> Tensor:
        """g_y' a."""
        return self.acceleration(theta, y)

    def enter(self, g: State) -> State:
        """Return a, and its velocity a' = p - damping a."""
        return g[1], g[0] - self.damping * g[1]

    def leave(self, a: State) -> State:
        """Return p and a."""
        return a[1] + self.damping * a[0], a[0]

    def product(self, theta: Theta, y: State, a: State) -> Tensor:
        """<a, g(theta, y)>: nothing else holds weights."""
        return (a[0] * self.of.acceleration(theta, y[0])).sum()


def _pull(f: Callable[[Tensor], Tensor], y: Tensor, a: Tensor) -> Tensor:
    """f_y' a."""
    result: Tensor = torch.func.vjp(f, y)[1](a)[0]
    return result
