"""Attacks: the exact worst case of linear classifiers, laws of all, and networks that hide their gradient."""

from dataclasses import dataclass

import pytest
import torch
from torch import nn

import wellposed as wp
from refusals import four_lines
from wellposed import laws
from wellposed.errors import ConfigError, ShapeError, StepError, StructureError
from wellposed.stability import (
    FGSM,
    Attack,
    Ball,
    ProjectedGradient,
    SquareAttack,
    TransferAttack,
    robustness,
)

ATTACKS = laws.catalogue(Attack)
RADIUS = 0.2
ZEROS = torch.zeros(3, dtype=torch.long)


def normal(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


class Linear(nn.Module):
    """Two classes by the sign of <w, y>, on points or sections."""

    def __init__(self, shape):
        super().__init__()
        self.w = nn.Parameter(normal(*shape, seed=5))

    def forward(self, y):
        half = (y * self.w).flatten(1).sum(1) / 2
        return torch.stack([-half, half], 1)


def attacks(net, **kept):
    """One of each kind; the transfer is from a network of nearly the same weights."""
    twin = Linear(net.w.shape)
    twin.w.data = net.w.data * (1 + 0.01 * normal(*net.w.shape, seed=9))
    return {
        "fgsm": FGSM(RADIUS, **kept),
        "pgd": ProjectedGradient(RADIUS, steps=10, restarts=1, **kept),
        "square": SquareAttack(RADIUS, queries=800, **kept),
        "transfer": TransferAttack(FGSM(RADIUS, **kept), twin),
    }


# ---- the law


@pytest.mark.parametrize("entry", ATTACKS, ids=str)
def test_attacks_obey_their_law(entry):
    assert laws.attacked(entry.subject, *entry.context) <= 1e-12


def test_every_kind_is_in_the_catalogue():
    assert {entry.kind for entry in ATTACKS} >= {FGSM, ProjectedGradient, SquareAttack, TransferAttack}


@dataclass(frozen=True)
class Wrong(Attack):
    """What an attack must not do."""

    fault: str
    sees = "gradient"

    @property
    def ball(self):
        return Ball(0.1)

    def losses(self, net, labels):
        return FGSM(0.1).losses(net, labels)

    def find(self, losses, y, draw):
        x = y.clone().requires_grad_()
        (slope,) = torch.autograd.grad(losses(x).sum(), x)
        if self.fault == "helps":
            return y - 0.1 * slope.sign()
        return y + 0.1 * torch.rand(y.shape).to(y)  # from the global generator

    @classmethod
    def examples(cls):
        return [(cls("helps"), *FGSM.examples()[0][1:])]


class TooFar(FGSM):
    """Beyond its ball."""

    def __call__(self, net, y, labels, *, seed=0):
        return y + 2 * (super().__call__(net, y, labels, seed=seed) - y)


@pytest.mark.parametrize("attack", [Wrong("helps"), Wrong("forgets its seed"), TooFar(0.1)], ids=str)
def test_wrong_attacks_are_rejected(attack):
    with pytest.raises(laws.LawError):
        laws.attacked(attack, *FGSM.examples()[0][1:])


# ---- exact answers


@pytest.mark.parametrize("shape", [(6,), (2, 7), (1, 6, 6)], ids=str)
def test_all_reach_the_worst_case_of_a_linear_classifier(shape):
    # The margin <w, y> of the true class can be brought down by radius |w|_1, and no further.
    net, y = Linear(shape), normal(8, *shape)
    classes = (net(y)[:, 1] > 0).long()
    margin = 2 * net(y)[:, 1].abs().detach()
    worst = RADIUS * float(net.w.detach().abs().sum())
    for name, attack in attacks(net).items():
        x = attack(net, y, classes)
        left = torch.where(classes == 1, 1, -1) * 2 * net(x)[:, 1].detach()
        share = (margin - left) / worst
        assert bool((share <= 1 + 1e-9).all()), name
        least = 1 - 1e-9 if name in ("fgsm", "pgd") else 0.95
        assert bool((share >= least).all()), (name, share)


def test_accuracy_under_attack_is_that_of_the_margins():
    net, y = Linear((6,)), normal(200, 6)
    classes = (net(y)[:, 1] > 0).long()
    worst = RADIUS * float(net.w.detach().abs().sum())
    safe = float((2 * net(y)[:, 1].abs() > worst).double().mean())
    assert 0.3 < safe < 0.9
    found = robustness(net, y, classes, {k: a for k, a in attacks(net).items() if k != "transfer"}, batch=64)
    assert found.accuracy["clean"] == 1
    assert found.accuracy["fgsm"] == found.accuracy["pgd"] == safe
    assert found.accuracy["square"] == pytest.approx(safe, abs=0.02)
    assert found.kept["fgsm"] == safe
    assert found.warnings == ()
    assert "kept" in str(found)


def test_limits_cut_the_ball():
    net, y = Linear((6,)), normal(5, 6).sigmoid()
    for attack in attacks(net, limits=(0.0, 1.0)).values():
        x = attack(net, y, torch.ones(5).long())
        assert 0 <= float(x.min()) <= float(x.max()) <= 1
    # FGSM is exact there too: every sample goes where its weight sends it, as far as it may.
    x = FGSM(RADIUS, (0.0, 1.0))(net, y, torch.ones(5).long())
    best = (y - RADIUS * net.w.detach().sign()).clamp(0, 1)
    torch.testing.assert_close(x, best)


def test_more_steps_and_restarts_find_more():
    net, y, labels = ProjectedGradient.examples()[0][1:]
    losses = FGSM(1.0).losses(net, labels)
    found = [
        losses(a(net, y, labels)).detach()
        for a in (FGSM(1.0), ProjectedGradient(1.0), SquareAttack(1.0, queries=300))
    ]
    assert bool((found[1] >= found[0] - 1e-3).all())
    assert float(found[1].mean()) > float(found[0].mean())
    # The gradient-free one is no weaker than a tenth below the gradient on an honest network.
    assert float(found[2].mean()) > 0.9 * float(found[1].mean())


def test_unknown_places_count_for_nothing():
    _, net, y, labels = FGSM.examples()[1]
    junk = torch.where(labels.known, labels.values, 99)
    for attack in (FGSM(0.1), SquareAttack(0.1, queries=10)):
        x = attack(net, y, labels)
        torch.testing.assert_close(attack(net, y, wp.Labels(junk, labels.known)), x, rtol=0, atol=0)
    every = robustness(net, y, labels, {"fgsm": FGSM(0.1)})
    assert len(every.right["clean"]) == int(labels.known.sum())


# ---- gradients that hide


class Flat(nn.Module):
    """The same values, and no gradient: a network that only seems safe."""

    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, y):
        return self.net(y.detach())


class Sure(nn.Module):
    """Logits so large that the gradient of the cross entropy is lost in rounding."""

    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, y):
        return 1e5 * self.net(y)


@pytest.mark.parametrize("hide", [Flat, Sure])
def test_a_hidden_gradient_is_found_out(hide):
    net, y = Linear((6,)), normal(100, 6)
    classes = (net(y)[:, 1] > 0).long()
    honest = robustness(net, y, classes, attacks(net))
    hidden = robustness(hide(net), y, classes, attacks(net))
    assert honest.warnings == ()
    assert hidden.accuracy["pgd"] > honest.accuracy["pgd"] + 0.2
    assert hidden.accuracy["square"] == pytest.approx(honest.accuracy["square"], abs=0.05)
    said = "\n".join(hidden.warnings)
    assert "square, which sees no gradient" in said
    assert "transfer, which sees no gradient" in said
    assert "hides how the network errs" in str(hidden)


def test_the_margin_sees_what_the_cross_entropy_does_not():
    net, y = Linear((6,)), normal(100, 6)
    classes = (net(y)[:, 1] > 0).long()
    found = robustness(Sure(net), y, classes, {"margin": FGSM(RADIUS, loss="margin")})
    assert found.accuracy == robustness(net, y, classes, {"margin": FGSM(RADIUS)}).accuracy


def test_one_more_by_chance_is_no_warning():
    net, y = Linear((6,)), normal(3, 6)
    classes = (net(y)[:, 1] > 0).long()
    assert (
        robustness(Flat(net), y, classes, {"fgsm": FGSM(RADIUS), "square": SquareAttack(9.0)}).warnings == ()
    )


def test_weights_and_modes_are_left_alone():
    net = wp.Network(wp.Opening(4, 4), wp.Classify(4, 3)).double().train()
    before = {k: v.clone() for k, v in net.state_dict().items()}
    y, classes = normal(5, 4), torch.tensor([0, 1, 2, 0, 1])
    robustness(
        net, y, classes, {"pgd": ProjectedGradient(0.1, steps=2), "square": SquareAttack(0.1, queries=5)}
    )
    assert net.training
    assert all(torch.equal(v, before[k]) for k, v in net.state_dict().items())
    assert all(p.grad is None for p in net.parameters())


# ---- refusals


@pytest.mark.parametrize(
    ("wrong", "clue"),
    [
        (lambda: FGSM(-0.1), "radius=-0.1"),
        (lambda: FGSM(0.1, (1.0, 0.0)), "limits=(1.0, 0.0)"),
        (lambda: ProjectedGradient(0.1, steps=0), "steps=0"),
        (lambda: ProjectedGradient(0.1, restarts=0), "restarts=0"),
        (lambda: SquareAttack(0.1, queries=0), "queries=0"),
        (
            lambda: FGSM(0.1, (0.0, 1.0))(Linear((2,)), normal(3, 2), ZEROS),
            "beyond the limits",
        ),
        (lambda: robustness(Linear((2,)), normal(3, 2), ZEROS, {"clean": FGSM(1)}), "clean"),
    ],
)
def test_what_cannot_be_an_attack_is_refused(wrong, clue):
    with pytest.raises(ConfigError) as error:
        wrong()
    assert clue in four_lines(error)


def test_labels_and_predictions_that_cannot_be_are_refused():
    net, y = Linear((2,)), normal(3, 2)
    with pytest.raises(StructureError, match="no loss of this name"):
        FGSM(0.1, loss="margins")
    with pytest.raises(StructureError, match="has to be an Attack"):
        robustness(net, y, ZEROS, {"fgsm": FGSM})
    for labels in (torch.tensor([0, 1, 2]), torch.zeros(3, 4).long()):
        with pytest.raises(ShapeError) as error:
            FGSM(0.1)(net, y, labels)
        four_lines(error)
    net.w.data[0] = torch.nan
    with pytest.raises(StepError) as error:
        FGSM(0.1)(net, y, ZEROS)
    assert "cross entropy of nan" in four_lines(error)
