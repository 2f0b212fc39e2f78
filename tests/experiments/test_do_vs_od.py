"""A wrong gradient turns the verdict."""

from dataclasses import dataclass

from wellposed.backward import Backprop, BackwardRule
from wellposed.experiments import Setting, expectations
from wellposed.experiments.do_vs_od import run


@dataclass(frozen=True)
class Uphill(Backprop):
    """The gradient with the wrong sign."""

    def run(self, march, s):
        return tuple(2 * a.detach() - a for a in super().run(march, s))


def judged(tmp_path, **rules: BackwardRule):
    outcome = run(Setting(tmp_path, quick=True), **rules)
    return expectations("do-vs-od").judge(outcome.measures).word


def test_the_wrong_sign_is_no_gradient_of_the_discrete_loss(tmp_path):
    assert judged(tmp_path / "right") == "reproduced"
    assert judged(tmp_path / "wrong", exact=Uphill()) == "refuted"


def test_an_adjoint_that_is_backprop_makes_no_difference(tmp_path):
    assert judged(tmp_path, adjoint=Backprop()) == "not reproduced"
