"""A sample that does not grow, or a method that does not descend, turns the verdict."""

import pytest

from wellposed.experiments import Setting, expectations
from wellposed.experiments.sgd_vs_saa import FRESH, run, sample
from wellposed.learning import Labels, Stochastic

pytestmark = pytest.mark.slow


def judged(out, **wrong):
    """Measures and verdict; fresh batches are trained once."""
    measures = run(Setting(out, quick=True), **wrong).measures
    for piece in (out / "work").glob("*.json"):
        if not piece.name.startswith((FRESH, "size")):
            piece.unlink()
    return measures, expectations("sgd-vs-saa").judge(measures).word


def repeated(size, seed):
    """The same eight examples, as often as are asked for."""
    y, labels = sample(8, seed)
    return y.repeat(size // 8, 1), Labels(labels.values.repeat(size // 8))


def test_a_sample_that_does_not_grow_and_a_method_that_stands_still_are_seen(tmp_path):
    right, word = judged(tmp_path)
    assert word != "refuted"
    assert right["slope, best"][0] < -0.4
    _, word = judged(tmp_path, draw=repeated)
    assert word == "refuted"
    still, word = judged(tmp_path, method=Stochastic(rate=0.0, batch=128, optimizer="sgd", decay=0.0))
    assert word == "refuted"
    assert still["least quotient"][0] > 1
