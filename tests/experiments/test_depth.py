"""A refinement that is none, or one that loses theta(t), turns the verdict."""

from copy import deepcopy

from wellposed.experiments import Setting, expectations
from wellposed.experiments.depth import run
from wellposed.network import Network


def judged(out, **wrong):
    """The verdict, and the largest change of accuracy of fine networks, which are trained once."""
    for piece in (out / "work").glob("ellipses*.json"):
        piece.unlink()
    measures = run(Setting(out, quick=True), **wrong).measures
    return str(expectations("depth").judge(measures)), measures["all.fine.change"][0]


def backward(net):
    """Refine, but run through the weights from the end to the start."""
    finer = Network.refine(net)
    for weight in finer.stages()[0].control.weights.values():
        weight.data = weight.data.flip(0)
    return finer


def test_a_wrong_refinement_is_seen(tmp_path):
    verdict, change = judged(tmp_path)
    assert verdict.startswith("refuted")
    assert judged(tmp_path, refine=deepcopy)[0].startswith("reproduced")
    assert judged(tmp_path, refine=backward)[1] > 5 + change
