"""A wrong matrix, or a network that forgets the adjoint, turns the verdict; and minima are counted right."""

from dataclasses import dataclass

import numpy as np
import pytest
import torch

from wellposed.dynamics import FirstOrder
from wellposed.dynamics.activation import activate
from wellposed.experiments import Setting, expectations
from wellposed.experiments.landscape import circulant, run, valleys
from wellposed.operators import Dense


def judged(tmp_path, **wrong):
    return expectations("landscape").judge(run(Setting(tmp_path, quick=True), **wrong).measures)


def lopsided(weights):
    """Rows that sum to zero still, but the second one is not the first moved on."""
    K = circulant(weights)
    a, b = weights.T
    K[:, 1] = torch.stack([-a, a + b, -b], -1)
    return K


@dataclass(frozen=True)
class Forgetful(FirstOrder):
    """y' = -s(K y), without K'."""

    operator: Dense
    activation: str

    def shapes(self):
        return {"K": self.operator.shape, "b": self.operator.shape[:1]}

    def rate(self, theta, y):
        return -activate(self.activation, self.operator(theta["K"]) @ y, theta["b"])

    def extent(self, theta):
        return None

    @classmethod
    def examples(cls):
        return []


def test_another_matrix_or_a_forgotten_adjoint_is_seen(tmp_path):
    assert judged(tmp_path / "right").word == "not reproduced"
    assert judged(tmp_path / "matrix", matrix=lopsided).word == "refuted"
    assert judged(tmp_path / "adjoint", dynamics=Forgetful).word == "refuted"


@pytest.mark.parametrize("stride", [1, 2])
def test_minima_are_counted_by_how_deep_they_are(stride):
    x, y = np.meshgrid(np.linspace(-3, 3, 120 * stride + 1), np.linspace(-2, 2, 80 * stride + 1))
    wells = (x**2 - 1) ** 2 + y**2 + 0.2 * x  # two wells; from the higher one climbs 0.81 to the pass
    found = valleys(wells)
    assert sorted(depth > 0.5 for *_, depth, _ in found) == [True, True]
    (shallow,) = (depth for *_, depth, _ in found if np.isfinite(depth))
    x0, x1, x2 = np.sort(np.roots([4, 0, -4, 0.2]).real)
    rise = [(r**2 - 1) ** 2 + 0.2 * r for r in (x1, x2)]
    assert shallow == pytest.approx(rise[0] - rise[1], abs=5e-3)
    assert x0 < x1 < x2


def test_a_valley_is_one_minimum_and_the_rim_is_none():
    x, y = np.meshgrid(np.linspace(-2, 2, 81), np.linspace(-2, 2, 81))
    ring = (x**2 + y**2 - 1) ** 2 + 1e-3 * x
    assert sum(depth > 0.01 for *_, depth, _ in valleys(ring)) == 1
    assert valleys(x + y) == []
