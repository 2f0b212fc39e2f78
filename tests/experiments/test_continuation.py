"""A refinement that loses theta(t) turns the verdict; and work is counted to where the target is reached."""

import pytest
import torch

from wellposed.experiments import Setting, expectations
from wellposed.experiments.continuation import reached, run, target_of
from wellposed.network import Network

pytestmark = pytest.mark.slow


class Forgetful(Network):
    """Refined, but runs backwards through weights of the other sign."""

    def refine(self):
        finer = Network.refine(self)
        with torch.no_grad():
            for weight in finer.stages()[0].control.weights.values():
                weight.copy_(-weight.flip(0))
        return finer


def test_a_refinement_that_forgets_is_seen(tmp_path):
    def judged(name, **wrong):
        return expectations("continuation").judge(run(Setting(tmp_path / name, quick=True), **wrong).measures)

    assert judged("right").word == "reproduced"
    assert judged("wrong", network=Forgetful).word == "refuted"


def test_only_the_deep_network_reaches_the_target_within_the_budget():
    path = {"value": [3.0, 1.0, 2.0, 0.9], "work": [1.0, 2.0, 4.0, 6.0], "level": [1, 1, 2, 2]}
    assert reached(path, 1.0, 2) == 3
    assert reached(path, 1.0, 2, budget=5.0) is None
    assert reached(path, 2.0, 2, budget=5.0) == 2
    assert reached(path, 0.5, 2) is None
    assert target_of(path) == pytest.approx(1.0)  # what comes after nine tenths of the work is none
