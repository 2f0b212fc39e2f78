"""Explicit Runge-Kutta methods, each by its tableau."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Self

import torch
from torch import Tensor

from wellposed.dynamics import FirstOrder, State
from wellposed.integrators.base import Integrator, Thetas, Update


class Tableau(NamedTuple):
    """Where in a step the rate is asked for, what moves the features there, and the mean at the end."""

    places: tuple[float, ...]
    rows: tuple[tuple[float, ...], ...]
    weights: tuple[float, ...]


class RungeKutta(Integrator):
    """Step y' = f(theta, y) by a tableau of places, rows and weights.

        k_i = f(theta(t + places[i] h), y + h sum_j<i rows[i][j] k_j)
        y_next = y + h sum_i weights[i] k_i

    Cost:      an evaluation a row
    Reference: Hairer, Norsett, Wanner, Solving ordinary differential equations I, 1993, II.1
    """

    needs = FirstOrder

    @property
    @abstractmethod
    def tableau(self) -> Tableau:
        """Coefficients of the method."""

    def updates(self, f: FirstOrder, h: float) -> Sequence[Update]:
        """Return the one update."""

        def forward(thetas: Thetas, s: State) -> State:
            (y,) = s
            return (self.combined(f, thetas, h, y)[0],)

        return [Update(tuple(range(len(self.nodes))), forward)]

    def combined(self, f: FirstOrder, thetas: Thetas, h: float, y: Tensor) -> tuple[Tensor, Tensor]:
        """Return the features after a step, and the rate at its start."""
        rates: list[Tensor] = []
        for place, row in zip(self.tableau.places, self.tableau.rows, strict=True):
            rates.append(f.rate(thetas[self.nodes.index(place)], _moved(y, h, row, rates)))
        return _moved(y, h, self.tableau.weights, rates), rates[0]

    def growth(self, z: Tensor) -> Tensor:
        """|1 + z sum_i weights[i] k_i(z)|: the polynomial of stability."""
        one = torch.ones_like(z)
        rates: list[Tensor] = []
        for row in self.tableau.rows:
            rates.append(z * _moved(one, 1.0, row, rates))
        return _moved(one, 1.0, self.tableau.weights, rates).abs()


def _moved(y: Tensor, h: float, row: Sequence[float], rates: Sequence[Tensor]) -> Tensor:
    """Y + h sum_j row[j] rates[j]."""
    for a, rate in zip(row, rates, strict=True):
        if a:
            y = torch.add(y, rate, alpha=h * a)
    return y


@dataclass(frozen=True)
class Heun(RungeKutta):
    """Step forward, and again with the mean of the rates at both ends.

        k1 = f(theta(t), y),    k2 = f(theta(t + h), y + h k1)
        y_next = y + h/2 (k1 + k2)

    Stable for h |lambda| <= 2 on the negative real axis, for no h on the imaginary one.

    Cost:      two evaluations
    """

    order = 2
    nodes = (0.0, 1.0)

    @property
    def tableau(self) -> Tableau:
        """Mean of the rates at both ends."""
        return Tableau((0.0, 1.0), ((), (1.0,)), (0.5, 0.5))

    @classmethod
    def examples(cls) -> Sequence[Self]:
        """Itself."""
        return [cls()]


@dataclass(frozen=True)
class RK4(RungeKutta):
    """The classical method of order four.

        k1 = f(theta(t), y),                  k2 = f(theta(t + h/2), y + h/2 k1)
        k3 = f(theta(t + h/2), y + h/2 k2),   k4 = f(theta(t + h), y + h k3)
        y_next = y + h/6 (k1 + 2 k2 + 2 k3 + k4)

    Stable for h |lambda| <= 2.785 on the negative real axis, 2.828 on the imaginary one. A kink of theta(t)
    inside a step breaks the order: put the nodes of the control on those of the steps.

    Cost:      four evaluations
    """

    order = 4
    nodes = (0.0, 0.5, 1.0)

    @property
    def tableau(self) -> Tableau:
        """Simpson's weights."""
        rows = ((), (0.5,), (0.0, 0.5), (0.0, 0.0, 1.0))
        return Tableau((0.0, 0.5, 0.5, 1.0), rows, (1 / 6, 1 / 3, 1 / 3, 1 / 6))

    @classmethod
    def examples(cls) -> Sequence[Self]:
        """Itself."""
        return [cls()]
