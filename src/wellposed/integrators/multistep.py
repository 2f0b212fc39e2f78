"""Methods of several steps: the state carries the past along."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import torch
from torch import Tensor

from wellposed.dynamics import Dynamics, FirstOrder, SemiLinear, State
from wellposed.integrators.base import (
    Integrator,
    Invertible,
    Shear,
    Step,
    Thetas,
    Update,
    check_uniform,
    roots_modulus,
)
from wellposed.integrators.runge_kutta import RK4, Heun, RungeKutta


class AdamsBashforth(Integrator):
    """Step y' = f(theta, y) by the rates of the last steps, begun by a method that keeps the order.

        y_next = y + h sum_k weights[k] f(theta(t - k h), y(t - k h))

    The state is (y, the rates one step ago, two steps ago, ...).

    Raises:    StructureError when the steps are not as long as one another
    Cost:      one evaluation a step
    Reference: Hairer, Norsett, Wanner, Solving ordinary differential equations I, 1993, III.1
    """

    needs = FirstOrder
    nodes = (0.0,)
    starter: ClassVar[RungeKutta]

    @property
    @abstractmethod
    def weights(self) -> tuple[float, ...]:
        """Weights of the rates, the newest first."""

    def updates(self, f: FirstOrder, h: float) -> Sequence[Update]:
        """Return the one update of a step whose past is known."""

        def forward(thetas: Thetas, s: State) -> State:
            y, *past = s
            rates = (f.rate(thetas[0], y), *past)
            for weight, rate in zip(self.weights, rates, strict=True):
                y = torch.add(y, rate, alpha=h * weight)
            return (y, *rates[:-1])

        return [Update((0,), forward)]

    def grid(self, f: FirstOrder, spans: Sequence[float]) -> list[Step]:
        """Return as many steps of the starter as there is past, then steps of its own."""
        check_uniform(type(self).__name__, spans)
        h, first = spans[0], min(self.past, len(spans))

        def forward(thetas: Thetas, s: State) -> State:
            y, *past = s
            y, rate = self.starter.combined(f, thetas, h, y)
            return (y, rate, *past[:-1])

        begun = Step(self.starter.nodes, [Update(tuple(range(len(self.starter.nodes))), forward)])
        return [begun] * first + [Step(self.nodes, self.updates(f, h))] * (len(spans) - first)

    def growth(self, z: Tensor) -> Tensor:
        """Largest modulus of the roots of x^n - (1 + w_0 z) x^(n-1) - w_1 z x^(n-2) - ..."""
        return roots_modulus([-(k == 0) - weight * z for k, weight in enumerate(self.weights)])


@dataclass(frozen=True)
class AB2(AdamsBashforth):
    """Adams and Bashforth, order two.

        y_next = y + h/2 (3 f_n - f_(n-1)),    the first step by `Heun`

    Stable for h |lambda| <= 1 on the negative real axis, for no h on the imaginary one.

    Raises:    StructureError when the steps are not as long as one another
    Cost:      one evaluation
    """

    order, past = 2, 1
    starter = Heun()

    @property
    def weights(self) -> tuple[float, ...]:
        """A line through two rates, integrated."""
        return (3 / 2, -1 / 2)

    @classmethod
    def examples(cls) -> Sequence[Self]:
        """Itself."""
        return [cls()]


@dataclass(frozen=True)
class AB3(AdamsBashforth):
    """Adams and Bashforth, order three: with one evaluation a step it holds waves.

        y_next = y + h/12 (23 f_n - 16 f_(n-1) + 5 f_(n-2)),    the first two steps by `RK4`

    Stable for h |lambda| <= 6/11 on the negative real axis, 12 / (5 sqrt 11) = 0.7236 on the imaginary one.

    Raises:    StructureError when the steps are not as long as one another
    Cost:      one evaluation
    """

    order, past = 3, 2
    starter = RK4()

    @property
    def weights(self) -> tuple[float, ...]:
        """A parabola through three rates, integrated."""
        return (23 / 12, -16 / 12, 5 / 12)

    @classmethod
    def examples(cls) -> Sequence[Self]:
        """Itself."""
        return [cls()]


@dataclass(frozen=True)
class Midpoint(Invertible):
    """The two-step midpoint rule, begun by a step of Euler: every step a shear.

        y_1 = y_0 + h f(theta(0), y_0)
        y_(j+1) = y_(j-1) + 2 h f(theta(t_j), y_j)

    The state holds the last two features, in turn: an even number of steps ends in the first member, so an
    odd number begins in the second. Stable for h |lambda| <= 1 on the imaginary axis, and for no damping: a
    dynamics that diffuses is refused.

    Raises:    StructureError when the steps are not as long as one another
    Cost:      one evaluation
    Reference: Hairer, Norsett, Wanner, Solving ordinary differential equations I, 1993, II.9 (Gragg)
    """

    needs = FirstOrder
    order, past = 2, 1
    nodes = (0.0,)

    @classmethod
    def fits(cls, f: Dynamics) -> bool:
        """Whether the dynamics is of first order and has no part that diffuses."""
        return isinstance(f, FirstOrder) and not isinstance(f, SemiLinear)

    def open(self, f: Dynamics, y: Tensor) -> State:
        """Return the features twice."""
        return (*f.open(y), y)

    def shears(self, f: FirstOrder, h: float) -> Sequence[Shear]:
        """Return two steps: after them the members are back in their places. `grid` takes one at a time."""
        return [Shear((0,), member, _Rate(f), r=2 * h) for member in (1, 0)]

    def grid(self, f: FirstOrder, spans: Sequence[float]) -> list[Step]:
        """Return a step of Euler, then steps of the midpoint, the members taking turns."""
        check_uniform("Midpoint", spans)
        h, rate, count = spans[0], _Rate(f), len(spans)
        members = [(count - 1 - j) % 2 for j in range(count)]
        lengths = [h] + [2 * h] * (count - 1)
        return [
            Step(self.nodes, [Shear((0,), member, rate, r=r)], newest=member)
            for member, r in zip(members, lengths, strict=True)
        ]

    def growth(self, z: Tensor) -> Tensor:
        """Largest modulus of the roots of x^2 - 2 z x - 1."""
        return roots_modulus([-2 * z, -torch.ones_like(z)])

    @classmethod
    def examples(cls) -> Sequence[Self]:
        """Itself."""
        return [cls()]


@dataclass(frozen=True)
class _Rate:
    """Rate at the other member: two of the same dynamics are equal, so that shears can be compared."""

    f: Any

    def __call__(self, thetas: Thetas, others: State) -> Tensor:
        (y,) = others
        rate: Tensor = self.f.rate(thetas[0], y)
        return rate
