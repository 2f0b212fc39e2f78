"""A wrong curvature turns the verdict, and so does what never arrives."""

from dataclasses import dataclass
from itertools import product
from math import isnan

import pytest

from wellposed.experiments import Setting, expectations
from wellposed.experiments.gauss_newton import METHODS, PROBLEMS, _measures, run, spent
from wellposed.experiments.normal_matrix import RECURRENCES, spectrum
from wellposed.learning import GaussNewton, Objective

pytestmark = pytest.mark.slow


@dataclass(frozen=True)
class Stiff(Objective):
    """Claims ten thousand times the curvature of another, so that steps are too short."""

    of: Objective

    @property
    def scope(self):
        return self.of.scope

    def value(self, net, prediction, labels):
        return self.of.value(net, prediction, labels)

    def curvature(self, prediction, labels, v):
        return 1e4 * self.of.curvature(prediction, labels, v)

    @classmethod
    def examples(cls):
        return []


class Wrong:
    def __init__(self, **settings):
        self.method = GaussNewton(**settings)

    def fit(self, net, objective, inputs, labels, **given):
        return self.method.fit(net, Stiff(objective.part("prediction")), inputs, labels, **given)


def test_a_wrong_curvature_is_seen(tmp_path):
    def judged(**wrong):
        measures = run(Setting(tmp_path, quick=True), **wrong).measures
        return measures["peaks.work.first"], str(expectations("gauss-newton").judge(measures))

    right, verdict = judged()
    assert right < 1
    assert not verdict.startswith("refuted")
    for piece in (tmp_path / "work").glob("* newton *.json"):
        piece.unlink()
    wrong, verdict = judged(newton=Wrong)
    assert wrong >= 1
    assert verdict.startswith("refuted")


def test_what_never_arrives_has_spent_the_budget():
    path = {"budget": 10.0, "work": [2.0, 4.0], "seconds": [1.0, 2.0], "new": [3.0, 1.0]}
    assert spent(path, 2.0) == {"reached": True, "work": 4.0, "seconds": 2.0}
    assert spent(path, 0.5) == {"reached": False, "work": 10.0, "seconds": 5.0}


@pytest.mark.parametrize("name", RECURRENCES)
def test_gradient_and_step_are_those_of_one_jacobian(name):
    condition, gradient, step = spectrum(name, 4, 0)
    assert condition >= 0
    assert gradient * step >= 1 - 1e-9  # |J'r| |J^+ r| >= r'r on the range, by Cauchy and Schwarz


def test_what_rounding_hides_is_no_number():
    condition, gradient, step = spectrum("residual", 256, 0)
    assert gradient > 1e10
    assert isnan(condition)
    assert isnan(step)
    # Beside it, computed with 150 digits: 10^20.4414 and 0.0173322 at 96 steps.
    condition, _, step = spectrum("residual", 96, 0)
    assert condition == pytest.approx(20.4414, abs=1e-3)
    assert step == pytest.approx(0.0173322, rel=1e-4)


def test_a_seed_that_neither_reaches_says_nothing():
    reached, not_there = ({"reached": r, "work": w, "seconds": w} for r, w in ((True, 2.0), (False, 10.0)))
    found = {}
    for name, method, seed in product(PROBLEMS, METHODS, (0, 1)):
        found[name, method, seed] = reached if not seed and method in ("adam", "newton") else not_there
    measures = _measures(found, dict.fromkeys(PROBLEMS, "newton"), (0, 1))
    assert measures["peaks.work.first"] == 1.0
    assert measures["peaks.work.lbfgs"] == 0.2
    assert isnan(measures["peaks.work.first.each"][1])
