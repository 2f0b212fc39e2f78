"""Splittings of two halves that move by one another: every step a list of shears."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp
from typing import Self

import torch
from torch import Tensor

from wellposed.dynamics import Partitioned, State
from wellposed.integrators.base import Invertible, Shear, Thetas


@dataclass(frozen=True)
class Verlet(Invertible):
    """Step y' = a(theta, z), z' = b(theta, y) - c z by kick, drift, kick, each with its own theta.

        z <- e z + h/2 b(theta(t), y)                   e = exp(-c h / 2), the exact damping of half a step
        y <- y + h a(theta(t + h/2), z)
        z <- e (z + h/2 b(theta(t + h), y))

    Symmetric, so of order two for every theta(t); the last kick of a step and the first of the next are
    merged. Stable for h w <= 2, w^2 the largest eigenvalue of -a' b'.

    Shapes:    y, z (batch, channel, *space) -> the same
    Cost:      one evaluation of each half
    Reference: Hairer, Lubich, Wanner, Geometric numerical integration, 2006, I.1.4
    """

    needs = Partitioned
    order = 2
    nodes = (0.0, 0.5, 1.0)

    def shears(self, f: Partitioned, h: float) -> Sequence[Shear]:
        """Kick, drift, kick."""
        e, kick = exp(-f.damping * h / 2), _Kick(f)
        return [
            Shear((0,), 1, kick, r=h / 2, c=e),
            Shear((1,), 0, _Drift(f), r=h),
            Shear((2,), 1, kick, r=e * h / 2, c=e),
        ]

    def growth(self, z: Tensor) -> Tensor:
        """Larger modulus of the two roots of x^2 - (2 + z^2) x + 1."""
        return two_roots(z)

    @classmethod
    def examples(cls) -> Sequence[Self]:
        """Itself."""
        return [cls()]


@dataclass(frozen=True)
class SymplecticEuler(Invertible):
    """Kick, then drift, both with theta at the start: what published Verlet and leapfrog networks do.

        z <- exp(-c h) (z + h b(theta(t), y))
        y <- y + h a(theta(t), z)

    On a `SecondOrder` dynamics at rest it is the published leapfrog,
    Y_(j+1) = 2 Y_j - Y_(j-1) + h^2 g(theta(t_j), Y_j) with Y_(-1) = Y_0. Of order one: `Verlet` and
    `Leapfrog` are of order two for the same cost. Stable for h w <= 2, as they are.

    Shapes:    y, z (batch, channel, *space) -> the same
    Cost:      one evaluation of each half
    Reference: Chang et al., Reversible architectures, 2018, arXiv:1709.03698; Ruthotto and Haber, 2018,
               arXiv:1804.04272
    """

    needs = Partitioned
    order = 1
    nodes = (0.0,)

    def shears(self, f: Partitioned, h: float) -> Sequence[Shear]:
        """Kick, drift."""
        e = exp(-f.damping * h)
        return [Shear((0,), 1, _Kick(f), r=e * h, c=e), Shear((0,), 0, _Drift(f), r=h)]

    def growth(self, z: Tensor) -> Tensor:
        """Larger modulus of the two roots of x^2 - (2 + z^2) x + 1."""
        return two_roots(z)

    @classmethod
    def examples(cls) -> Sequence[Self]:
        """Itself."""
        return [cls()]


def two_roots(z: Tensor) -> Tensor:
    """Return the larger modulus of the two roots of x^2 - (2 + z^2) x + 1: what a splitting multiplies by."""
    m = 1 + z.square() / 2
    root = (m.square() - 1).sqrt()
    return torch.maximum((m + root).abs(), (m - root).abs())


@dataclass(frozen=True)
class _Kick:
    """Rate of the second half: two of the same dynamics are equal, so that shears can be merged."""

    f: Partitioned

    def __call__(self, thetas: Thetas, others: State) -> Tensor:
        (y,) = others
        return self.f.rate_second(thetas[0], y)


@dataclass(frozen=True)
class _Drift:
    """Rate of the first half."""

    f: Partitioned

    def __call__(self, thetas: Thetas, others: State) -> Tensor:
        (z,) = others
        return self.f.rate_first(thetas[0], z)
