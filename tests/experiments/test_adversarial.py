"""Networks that are easy to fool, and networks that hide their gradient, turn the verdict."""

import shutil

import pytest
import torch

from wellposed.experiments import Setting, expectations
from wellposed.experiments.adversarial import KINDS, QUICK, _drawn, network, run
from wellposed.experiments.adversarial_pictures import GRADIENT, gain, hidden, kept

STRUCTURED = [kind for kind in KINDS if kind != "residual"]


def startled(net, inputs, logits):
    """Says another class of everything but the images as they are: any change fools it."""
    if net.training:
        return logits
    return torch.where(torch.isin(inputs[0].sum((1, 2, 3)), KNOWN)[:, None], logits, -logits)


def sure(net, inputs, logits):
    """So sure that rounding leaves nothing of the slope of the loss: its classes are the same."""
    return logits if net.training else 1e6 * logits


KNOWN = torch.cat([images.sum((1, 2, 3)) for images, _ in _drawn(QUICK)])


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run, of which the training serves the others: what is planted does not show in training."""
    out = tmp_path_factory.mktemp("adversarial")
    return out, run(Setting(out, quick=True))


def judged(trained, tmp_path, wrong, kinds):
    """Return the outcome and the verdict where some networks are wrong."""
    shutil.copytree(trained[0], tmp_path, dirs_exist_ok=True)
    for piece in [*tmp_path.glob("work/*attacks.json"), *tmp_path.glob("work/transfer*.json")]:
        piece.unlink()

    def build(size, kind, seed):
        net = network(size, kind, seed)
        if kind in kinds:
            net.register_forward_hook(wrong)
        return net

    outcome = run(Setting(tmp_path, quick=True), build)
    return outcome, expectations("adversarial").judge(outcome.measures)


@pytest.mark.slow
def test_networks_that_are_easy_to_fool_are_seen(trained, tmp_path):
    assert expectations("adversarial").judge(trained[1].measures).word == "not reproduced"
    verdict = judged(trained, tmp_path / "residual", startled, ["residual"])[1]
    assert verdict.word == "reproduced"
    verdict = judged(trained, tmp_path / "parabolic", startled, ["parabolic"])[1]
    assert verdict.word == "refuted"
    assert "the residual network is harder to fool than the parabolic one" in verdict.limit


@pytest.mark.slow
def test_networks_that_hide_their_gradient_are_found_out(trained, tmp_path):
    outcome, verdict = judged(trained, tmp_path, sure, STRUCTURED)
    by_gradient = {
        row["network"]: row["says"]
        for row in outcome.tables["attacks"]
        if (row["attack"], row["radius of 255"]) == (GRADIENT, 8.0)
    }
    assert [by_gradient[kind] for kind in STRUCTURED] == ["better"] * 3  # as it would seem
    assert verdict.word != "reproduced"
    for kind in STRUCTURED:
        assert outcome.measures[f"{kind}.hidden"] == 1
        assert f"the {kind} network hides how it errs" in verdict.limit
        assert f"true of the {kind} network" not in verdict.limit
    assert outcome.measures["residual.hidden"] == 0


def some(clean, **right):
    """What survives, of four images; attacks that are not named spare all that are right when clean."""
    names = [f"{attack} {radius}" for attack in ("FGSM", GRADIENT, "transfer", "square") for radius in (2, 8)]
    return {"right": {"clean": clean, **{name: clean for name in names}, **right}}


def test_of_images_right_on_both_the_worst_of_all_attacks_counts():
    ours = some([True] * 4, **{"square 2": [True, False], "FGSM 2": [False, True, True, True]})
    theirs = some([True, True, True, False], **{"transfer 2": [False, False, True, False]})
    found = {0: {"residual": theirs, "parabolic": ours}}
    assert kept(ours, "FGSM", 2) == 75
    assert kept(ours, "all", 2) == 0  # of the two images that all attacks had
    assert gain(found, "parabolic", "FGSM", 2).mean == pytest.approx(-100 / 3)
    assert gain(found, "parabolic", "transfer", 2).mean == pytest.approx(200 / 3)
    same = gain({0: {"residual": ours, "parabolic": ours}}, "parabolic", "all", 2)
    assert (same.least, same.most, same.word) == (0, 0, "no difference")


def test_a_gradient_hides_where_others_find_more_than_chance():
    assert not hidden(some([True] * 4, **{"square 2": [False, True]}))  # one image is chance
    many = some([True] * 9, **{"square 8": [False] * 9})
    assert hidden(many)
    assert not hidden(some([True] * 9, **{"square 8": [False] * 9, f"{GRADIENT} 8": [False] * 9}))
