"""Leapfrog in velocity form: kick, drift, kick."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp
from typing import Self

from torch import Tensor

from wellposed.dynamics import SecondOrder, State
from wellposed.integrators.base import Invertible, Shear, Thetas
from wellposed.integrators.verlet import two_roots


@dataclass(frozen=True)
class Leapfrog(Invertible):
    """Step y'' = g(theta, y) - c y' by shears of features y and velocity v.

        v <- e v + h/2 g(theta(t), y)                   e = exp(-c h / 2), the exact damping of half a step
        y <- y + h v
        v <- e (v + h/2 g(theta(t + h), y))

    Symmetric, so of order two for every theta(t). The last kick of a step and the first of the next have
    the same g: a march merges them, and a step costs one evaluation. Stable for h w <= 2, |g'| = w^2,
    with damping too.

    Shapes:    y, v (batch, channel, *space) -> the same
    Cost:      one evaluation
    Reference: Hairer, Lubich, Wanner, Geometric numerical integration, 2006, I.1.4
    """

    needs = SecondOrder
    order = 2
    nodes = (0.0, 1.0)

    def shears(self, f: SecondOrder, h: float) -> Sequence[Shear]:
        """Kick, drift, kick."""
        e, kick = exp(-f.damping * h / 2), _Kick(f)
        return [
            Shear((0,), 1, kick, r=h / 2, c=e),
            Shear((), 0, _drift, r=h),
            Shear((1,), 1, kick, r=e * h / 2, c=e),
        ]

    def growth(self, z: Tensor) -> Tensor:
        """Larger modulus of the two roots of x^2 - (2 + z^2) x + 1."""
        return two_roots(z)

    @classmethod
    def examples(cls) -> Sequence[Self]:
        """Itself."""
        return [cls()]


@dataclass(frozen=True)
class _Kick:
    """Acceleration of the features: two of the same dynamics are equal, so that shears can be merged."""

    f: SecondOrder

    def __call__(self, thetas: Thetas, others: State) -> Tensor:
        (y,) = others
        return self.f.acceleration(thetas[0], y)


def _drift(thetas: Thetas, others: State) -> Tensor:
    """Velocity, by which the features move."""
    (v,) = others
    return v
