"""Learning from partial labels: labels, objectives and their laws, the fit and its resumption."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass, replace
from functools import partial
from math import nan

import pytest
import torch
from torch import nn

import wellposed as wp
import wellposed.learning
from refusals import four_lines
from wellposed.errors import (
    ConfigError,
    FileError,
    PickError,
    RunError,
    ShapeError,
    StepError,
    StructureError,
)
from wellposed.laws import LawError, catalogue, pure
from wellposed.laws import objectives as laws
from wellposed.learning import (
    ColumnDensity,
    CrossEntropy,
    Labels,
    LeastSquares,
    Objective,
    OneCycle,
    SmallWeights,
    SmoothInTime,
    WeightedSum,
    derive_seed,
    fit,
    generator,
)
from wellposed.network.part import seeded

OBJECTIVES = [
    example
    for kind in (CrossEntropy, LeastSquares, ColumnDensity, SmallWeights, SmoothInTime, WeightedSum)
    for example in kind.examples()
]


def randn(*shape, seed=0, dtype=torch.float64):
    return torch.randn(*shape, generator=generator(seed, "test"), dtype=dtype)


# ---- labels


def test_labels_expand_known_and_std_to_the_values():
    labels = Labels(torch.arange(6.0).reshape(2, 3), torch.tensor([True, False, True]), std=2.0)
    assert labels.known.shape == labels.std.shape == labels.values.shape
    assert int(labels.known.sum()) == 4
    part = labels.take(torch.tensor([1]))
    assert len(part) == 1
    assert torch.equal(part.values, labels.values[1:])


def test_labels_refuse_what_does_not_fit():
    values = torch.zeros(2, 3)
    with pytest.raises(ShapeError) as error:
        Labels(values, torch.ones(2, 4, dtype=torch.bool))
    assert "(2, 4)" in four_lines(error)
    assert "(2, 3)" in four_lines(error)
    with pytest.raises(ShapeError):
        Labels(values, std=torch.ones(3, 2))
    with pytest.raises(ShapeError, match="yes or no"):
        Labels(values, torch.ones(2, 3))
    with pytest.raises(PickError) as error:
        Labels(values, std=torch.tensor([1.0, 0.0, 1.0]))
    assert "0.0 at a known place" in four_lines(error)
    with pytest.raises(ConfigError) as error:
        Labels(values).keep(2.0, seed=0)
    assert "share=2.0" in four_lines(error)


def test_std_counts_only_where_something_is_known_and_there():
    values = torch.tensor([1.0, 2.0, torch.nan])
    Labels(values, torch.tensor([True, False, True]), torch.tensor([1.0, -1.0, torch.nan]))


def test_keep_is_seeded_nested_and_never_adds():
    truth = Labels(torch.zeros(4, 50, 50), randn(4, 50, 50) > 0)
    kept, again = truth.keep(0.02, seed=0), truth.keep(0.02, seed=0)
    assert torch.equal(kept.known, again.known)
    assert int(kept.known.sum()) == round(0.02 * int(truth.known.sum()))
    assert not (kept.known & ~truth.known).any()
    assert not (kept.known & ~truth.keep(0.1, seed=0).known).any()
    assert not torch.equal(kept.known, truth.keep(0.02, seed=1).known)
    assert torch.equal(truth.keep(1.0, seed=0).known, truth.known)


def test_seeds_have_a_purpose_and_are_the_same_everywhere():
    assert derive_seed(0, "order", 3) == 47890379392842948
    assert len({derive_seed(0, "order", 3), derive_seed(0, "data", 3), derive_seed(3, "order", 0)}) == 3


# ---- exact answers


def test_cross_entropy_is_a_mean_over_known_places():
    logits = randn(2, 3, 4, 5)
    classes, known = torch.randint(3, (2, 4, 5), generator=generator(0, "c")), randn(2, 4, 5, seed=1) > 0
    value = CrossEntropy().value(nn.Identity(), logits, Labels(classes, known))
    p = torch.softmax(logits, 1)
    by_hand = [
        -p[b, classes[b, i, j], i, j].log()
        for b in range(2)
        for i in range(4)
        for j in range(5)
        if known[b, i, j]
    ]
    assert value == pytest.approx(float(sum(by_hand)) / len(by_hand), rel=1e-14)


def test_balance_gives_each_class_that_occurs_the_same_weight():
    logits = randn(1, 3, 100)
    classes = torch.zeros(1, 100, dtype=torch.long)
    classes[0, :2] = 2
    value = CrossEntropy(balance=True).value(nn.Identity(), logits, Labels(classes))
    each = -torch.log_softmax(logits, 1)[0]
    assert value == pytest.approx(float(each[2, :2].mean() + each[0, 2:].mean()) / 2, rel=1e-14)


def test_least_squares_divides_by_std():
    prediction = torch.tensor([[3.0, 5.0]])
    labels = Labels(torch.tensor([[1.0, 1.0]]), std=torch.tensor([2.0, 4.0]))
    assert LeastSquares().value(nn.Identity(), prediction, labels) == pytest.approx(0.5)


def test_column_density_by_hand():
    logits = randn(1, 4, 8)
    picks = torch.tensor([[2.25, torch.nan, 5.0, 99.0]], dtype=torch.float64)
    labels = Labels(picks, torch.tensor([[True, True, True, False]]), std=1.5)
    p = torch.softmax(logits[0], -1)
    z = torch.arange(7, dtype=torch.float64)

    def likelihood(trace, pick):
        noise = torch.distributions.Normal(z, 1.5).log_prob(torch.tensor(pick)).exp()
        return (p[trace, :7] * noise).sum()

    expected = -(likelihood(0, 2.25).log() + p[1, 7].log() + likelihood(2, 5.0).log()) / 3
    assert ColumnDensity().value(nn.Identity(), logits, labels) == pytest.approx(float(expected), rel=1e-12)


def test_column_density_keeps_its_head_far_from_the_pick():
    logits = torch.zeros(1, 2, 300)
    logits[..., 0] = 200.0
    logits.requires_grad_()
    value = ColumnDensity().value(nn.Identity(), logits, Labels(torch.full((1, 2), 290.0), std=0.5))
    value.backward()
    assert value.isfinite()
    assert logits.grad.isfinite().all()


@pytest.mark.parametrize("example", OBJECTIVES, ids=lambda example: str(example[0]))
def test_nothing_known_is_zero_and_not_nan(example):
    objective, net, inputs, labels = example
    objective = objective.part("prediction")
    nothing = Labels(labels.values, torch.zeros_like(labels.known), labels.std)
    prediction = net(inputs)
    value = objective.value(net, prediction, nothing) + 0 * prediction.sum()
    assert float(value.detach()) == 0.0
    assert not torch.autograd.grad(value, prediction)[0].any()
    assert not objective.curvature(prediction, nothing, torch.ones_like(prediction)).any()


def test_only_known_places_are_worked_on():
    """Few labels on a whole section: no array as large as the prediction but its gradient."""
    prediction = torch.zeros(1, 4, 512, 512, requires_grad=True)
    labels = Labels(torch.zeros(1, 512, 512, dtype=torch.long)).keep(0.01, seed=0)
    saved = []

    def keep(tensor):
        saved.append(tensor.numel() if tensor.is_floating_point() else 0)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        CrossEntropy().value(nn.Identity(), prediction, labels)
    assert max(saved) <= prediction.numel() // 50


# ---- algebra


def test_objectives_add_and_scale():
    (F, net, inputs, labels), (G, *_), *_ = CrossEntropy.examples()
    prediction = net(inputs).detach()
    both = 2 * F + G * 0.5 + 3.0 * (F + G)
    values = [objective.value(net, prediction, labels) for objective in (F, G, both)]
    assert values[2] == pytest.approx(float(5 * values[0] + 3.5 * values[1]), rel=1e-14)
    assert isinstance(both, Objective)
    assert len(both.terms) == 4
    assert both.scope == {"prediction"}
    assert (F + 0.1 * SmoothInTime()).scope == {"prediction", "weights"}
    assert (F + 0.1 * SmoothInTime()).part("weights").terms == ((0.1, SmoothInTime()),)
    with pytest.raises(StructureError) as error:
        F + -1.0 * G
    assert "-1.0 * CrossEntropy" in four_lines(error)
    with pytest.raises(TypeError):
        F + 1.0


def test_coarser_labels_are_what_is_agreed_in_a_cell():
    """A cell holds two places along each axis; the last of an odd axis holds one."""
    values = torch.tensor([[[1, 1, 2, 0, 2], [1, 0, 2, 2, 0]]])
    known = torch.tensor([[[1, 1, 1, 0, 1], [1, 0, 1, 1, 0]]]).bool()
    coarse = CrossEntropy().coarser(Labels(values, known))
    assert coarse.values.tolist() == [[[1, 2, 2]]]
    assert coarse.known.tolist() == [[[True, True, True]]]
    assert len(CrossEntropy().coarser(Labels(values[:0]))) == 0
    torn = CrossEntropy().coarser(Labels(values))
    assert torn.known.tolist() == [[[False, False, False]]]
    whole = Labels(torch.tensor([2, 0]), torch.tensor([True, False]))  # a class an image
    same = CrossEntropy(balance=True).coarser(whole)
    assert same.values.tolist() == [2, 0]
    assert same.known.tolist() == [True, False]


def test_coarser_real_values_are_weighted_means():
    values = torch.tensor([[[1.0, 3.0, nan, 5.0, 7.0]]])
    known = torch.tensor([[[True, True, False, True, True]]])
    coarse = LeastSquares().coarser(Labels(values, known, torch.tensor([[[1.0, 0.5, nan, 2.0, 3.0]]])))
    assert coarse.values[0, 0].tolist() == pytest.approx([(1 + 4 * 3) / 5, 5.0, 7.0])
    assert coarse.std[0, 0].tolist() == pytest.approx([0.2**0.5, 2.0, 3.0])
    plain = LeastSquares().coarser(Labels(values, known))
    assert plain.values[0, 0].tolist() == [2.0, 5.0, 7.0]
    assert plain.std is None
    nothing = LeastSquares().coarser(Labels(values, torch.zeros_like(known)))
    assert not nothing.known.any()
    assert bool(nothing.values.isfinite().all())


def test_coarser_picks_lie_in_cells_of_two_samples():
    """The middle of cell c lies at samples 2 c + 1/2."""
    picks = torch.tensor([[[4.5, 6.5, nan, nan, 10.5, nan, 3.0]] * 2])
    known = torch.tensor([[[True, True, True, True, True, True, False]] * 2])
    coarse = ColumnDensity().coarser(Labels(picks, known, 1.0))
    assert coarse.known.tolist() == [[[True, True, False, False]] * 2]
    assert float(coarse.values[0, 0, 0]) == 2.5
    assert bool(coarse.values[0, 1, 1].isnan())
    assert float(coarse.std[0, 1, 0]) == 0.5
    summed = (2.0 * ColumnDensity() + SmoothInTime()).coarser(Labels(picks, known, 1.0))
    assert torch.equal(summed.known, coarse.known)
    labels = Labels(picks, known, 1.0)
    assert (1.0 * SmoothInTime()).coarser(labels) is labels
    with pytest.raises(StructureError) as error:
        SmoothInTime().coarser(labels)
    assert "no coarser labels" in four_lines(error)


def test_objectives_refuse_labels_that_do_not_fit():
    net = nn.Identity()
    with pytest.raises(ShapeError) as error:
        CrossEntropy().value(net, torch.zeros(1, 3, 4), Labels(torch.zeros(1, 5, dtype=torch.long)))
    assert "(1, 3, 4)" in four_lines(error)
    assert "(1, 5)" in four_lines(error)
    with pytest.raises(ShapeError) as error:
        CrossEntropy().value(net, torch.zeros(1, 3, 4), Labels(torch.full((1, 4), 3)))
    assert "integers from 0 to 2" in four_lines(error)
    with pytest.raises(StructureError, match="no std"):
        CrossEntropy().value(net, torch.zeros(1, 3, 4), Labels(torch.zeros(1, 4, dtype=torch.long), std=1.0))
    with pytest.raises(ShapeError):
        LeastSquares().value(net, torch.zeros(1, 3), Labels(torch.zeros(1, 4)))
    with pytest.raises(ShapeError):
        ColumnDensity().value(net, torch.zeros(1, 3, 9), Labels(torch.zeros(1, 4), std=1.0))
    with pytest.raises(StructureError) as error:
        ColumnDensity().value(net, torch.zeros(1, 4, 9), Labels(torch.zeros(1, 4)))
    assert "without std" in four_lines(error)


def test_smooth_in_time_by_hand():
    """By its formula, and unchanged when nodes are put in between."""
    objective, net, inputs, labels = SmoothInTime.examples()[0]
    theta, t = net.theta.detach(), net.nodes.tolist()
    by_hand = sum(float((theta[j + 1] - theta[j]).square().sum()) / (t[j + 1] - t[j]) for j in range(3))
    assert float(objective.value(net, net(inputs), labels).detach()) == pytest.approx(by_hand, rel=1e-14)
    net.nodes = torch.tensor([0.0, 0.25, 1.0, 1.5, 3.0], dtype=torch.float64)
    between = 0.75 * theta[:1] + 0.25 * theta[1:2]
    net.theta = nn.Parameter(torch.cat([theta[:1], between, theta[1:]]))
    assert float(objective.value(net, net(inputs), labels).detach()) == pytest.approx(by_hand, rel=1e-14)
    with pytest.raises(StructureError) as error:
        objective.value(nn.Linear(2, 2), inputs, labels)
    assert "a Linear without any control" in four_lines(error)


# ---- laws, and twins that break them


def test_the_catalogue_holds_every_objective():
    kinds = {entry.kind for entry in catalogue(Objective, wellposed.learning)}
    assert kinds == {CrossEntropy, LeastSquares, ColumnDensity, SmallWeights, SmoothInTime, WeightedSum}


@pytest.mark.parametrize("example", OBJECTIVES, ids=lambda example: str(example[0]))
@pytest.mark.parametrize("law", [laws.unknown, laws.slope, laws.curvature])
def test_laws_of_objectives(law, example):
    law(*example)


@pytest.mark.parametrize("example", OBJECTIVES, ids=lambda example: str(example[0]))
def test_objectives_are_pure(example):
    objective, net, inputs, labels = example
    v = randn(*net(inputs).shape)

    def value(prediction, values, known, *std):
        return objective.value(net, prediction, Labels(values, known, *std))

    std = [] if labels.std is None else [labels.std]
    pure(value, net(inputs), labels.values.nan_to_num(1.0), labels.known, *std)
    pure(lambda prediction, v: objective.curvature(prediction, labels, v), net(inputs), v)


@dataclass(frozen=True)
class Twin(LeastSquares):
    """Wrong in one way that is asked for."""

    fault: str = ""

    def value(self, net, prediction, labels):
        if self.fault == "unknown is background":
            labels = Labels(labels.values, torch.ones_like(labels.known), labels.std)
        if self.fault == "ignores std":
            labels = Labels(labels.values, labels.known)
        value = super().value(net, prediction, labels)
        if self.fault == "weights not seen":
            weight = next(net.parameters())
            return value + weight.detach().square().sum() + 0 * prediction.sum()
        if self.fault == "prediction not seen":
            return value + prediction.detach().square().sum()
        return value

    def curvature(self, prediction, labels, v):
        product = super().curvature(prediction, labels, v)
        if self.fault == "skew":
            return product + 1e-3 * v.flatten().roll(1).view_as(v)
        if self.fault == "negative":
            return -product
        return product / 2 if self.fault == "below the Hessian" else product


@pytest.mark.parametrize(
    ("law", "fault"),
    [
        (laws.unknown, "unknown is background"),
        (laws.slope, "weights not seen"),
        (laws.slope, "prediction not seen"),
        (laws.curvature, "skew"),
        (laws.curvature, "negative"),
        (laws.curvature, "below the Hessian"),
    ],
)
def test_twins_fail(law, fault):
    _, *context = LeastSquares.examples()[0]
    law(Twin(), *context)
    with pytest.raises(LawError):
        law(Twin(fault), *context)


@pytest.mark.parametrize("example", [ColumnDensity.examples()[0], CrossEntropy.examples()[2]], ids=str)
def test_the_hessian_itself_is_no_curvature_where_labels_are_not_sure(example):
    objective, net, inputs, labels = example

    class Own(type(objective)):
        def curvature(self, prediction, labels, v):
            prediction = prediction.detach().requires_grad_()
            value = objective.value(net, prediction, labels)
            slope = torch.autograd.grad(value, prediction, create_graph=True)[0]
            return torch.autograd.grad(slope, prediction, v)[0]

    with pytest.raises(LawError, match="least eigenvalue of B is -"):
        laws.curvature(Own(**vars(objective)), net, inputs, labels)


def test_a_confusion_finds_the_truth_behind_wrong_labels():
    truth = torch.tensor([0.7, 0.2, 0.1], dtype=torch.float64)
    confusion = torch.tensor([[0.8, 0.2, 0.0], [0.1, 0.7, 0.2], [0.3, 0.1, 0.6]], dtype=torch.float64)
    counts = (1000 * truth @ confusion).round().long()
    labels = torch.arange(3).repeat_interleave(counts)

    def found(objective):
        logits = torch.zeros(1, 3, dtype=torch.float64, requires_grad=True)
        search = torch.optim.LBFGS([logits], max_iter=100, line_search_fn="strong_wolfe")

        def closure():
            search.zero_grad()
            value = objective.value(nn.Identity(), logits.expand(len(labels), 3), Labels(labels))
            value.backward()
            return value

        search.step(closure)
        return torch.softmax(logits[0].detach(), 0)

    assert torch.allclose(found(CrossEntropy(confusion=confusion)), truth, atol=1e-3)
    assert torch.allclose(found(CrossEntropy()), truth @ confusion, atol=1e-3)


def test_without_confusion_labels_are_right():
    objective, net, inputs, labels = CrossEntropy.examples()[0]
    prediction = net(inputs)
    surely = CrossEntropy(confusion=torch.eye(3)).value(net, prediction, labels)
    assert surely.item() == pytest.approx(objective.value(net, prediction, labels).item(), rel=1e-12)
    sure = torch.tensor([[16.0, 0.0, 0.0]])  # in single precision, near one
    values = [
        o.value(net, sure, Labels(torch.zeros(1).long())).item()
        for o in (objective, CrossEntropy(confusion=torch.eye(3)))
    ]
    assert values[1] == pytest.approx(values[0], rel=1e-2)


@pytest.mark.parametrize(
    ("confusion", "wrong"),
    [
        (((0.5, 0.5), (0.2, 0.7)), "no confusion"),
        (((1.2, -0.2), (0.0, 1.0)), "no confusion"),
        (((1.0, 0.0), (0.0, 1.0), (0.0, 1.0)), "no confusion"),
        (((1.0, 0.0), (1.0, 0.0)), "cannot occur"),
        ([], "no confusion"),
        (0.1, "no confusion"),
        ([0.9, 0.1], "no confusion"),
        ("ab", "no confusion"),
    ],
)
def test_what_is_no_confusion_is_refused(confusion, wrong):
    with pytest.raises(ConfigError, match=wrong):
        CrossEntropy(confusion=confusion)


def test_a_confusion_of_other_classes_is_refused():
    _, net, inputs, labels = CrossEntropy.examples()[0]
    with pytest.raises(ShapeError, match="confusion does not fit"):
        CrossEntropy(confusion=torch.eye(4)).value(net, net(inputs), labels)


class Softened(ColumnDensity):
    """The target blurred by std: the twin that counts the noise twice."""

    def value(self, net, prediction, labels):
        z = torch.arange(prediction.shape[-1] - 1, dtype=prediction.dtype)
        target = torch.softmax(-((z - labels.values[..., None]) / labels.std[..., None]).square() / 2, -1)
        return -(target * torch.log_softmax(prediction, -1)[..., :-1]).sum(-1).mean()


def test_told_std_recovers_a_density_narrower_than_the_noise():
    assert laws.told_std(ColumnDensity(), std=3.0) < 0.25
    with pytest.raises(LawError) as error:
        laws.told_std(Softened(), std=3.0)
    assert error.value.miss == pytest.approx(2**0.5, rel=0.03)


def test_told_std_weighs_real_values():
    laws.weighted_by_std(LeastSquares())
    with pytest.raises(LawError):
        laws.weighted_by_std(Twin("ignores std"))


# ---- the fit


def problem(seed=0, dtype=torch.float32):
    """Sections whose class is a function of two channels, a tenth of the places known."""
    inputs = randn(12, 2, 16, 16, seed=seed, dtype=dtype)
    truth = Labels((inputs[:, 0] + 0.5 * inputs[:, 1] > 0).long())
    return inputs, truth.keep(0.1, seed=seed)


def small_net(seed=0):
    net = nn.Sequential(nn.Conv2d(2, 8, 3, padding=1), nn.Tanh(), nn.Conv2d(8, 2, 1))
    draw = generator(seed, "weights")
    for weight in net.parameters():
        nn.init.normal_(weight, std=0.3, generator=draw)
    return net


def flat(net):
    return torch.cat([weight.detach().flatten() for weight in net.parameters()])


def timeless(records):
    return [replace(record, seconds=0.0) for record in records]


def test_fit_yields_a_record_an_epoch_and_learns():
    inputs, labels = problem()
    held_out = problem(seed=1)
    net = small_net()
    rate = OneCycle(0.03, 8)
    run = fit(net, CrossEntropy(), inputs, labels, epochs=8, seed=0, rate=rate, held_out=held_out)
    assert run.stop is None
    seen = []
    for record in run:
        assert run.records[-1] is record
        seen.append(record)
    assert [record.epoch for record in seen] == list(range(8))
    assert run.stop == "8 epochs done"
    assert seen[-1].value < 0.5 * seen[0].value
    assert run.best.record.held_out == min(record.held_out for record in seen)
    assert "held out" in str(seen[0])
    assert seen[0].gradient > 0
    assert seen[0].seconds > 0
    net.load_state_dict(run.best.weights)
    value = CrossEntropy().value(net, net(held_out[0]), held_out[1])
    assert float(value.detach()) == pytest.approx(run.best.record.held_out, rel=1e-6)


def test_a_norm_learns_nothing_from_what_is_held_out():
    inputs, labels = problem()

    def trained(**given):
        with seeded(0):
            net = wp.Network(wp.network.Normed(2, 3), wp.Classify(3, 2))
        records = list(fit(net, CrossEntropy(), inputs[:8], labels.take(slice(8)), epochs=2, seed=0, **given))
        return net, records[-1]

    alone, _ = trained()
    net, record = trained(held_out=(9 * inputs[8:], labels.take(slice(8, None))))
    assert all(torch.equal(a, b) for a, b in zip(alone.buffers(), net.buffers(), strict=True))
    net.eval()
    value = CrossEntropy().value(net, net(9 * inputs[8:]), labels.take(slice(8, None)))
    assert record.held_out == pytest.approx(value.item(), rel=1e-6)


def test_fit_draws_nothing_from_the_global_generator_and_repeats():
    inputs, labels = problem()
    nets = [small_net(), small_net(), small_net()]
    before = torch.get_rng_state()
    runs = [
        list(fit(net, CrossEntropy(), inputs, labels, epochs=2, seed=seed))
        for net, seed in zip(nets, (0, 0, 1), strict=True)
    ]
    assert torch.equal(before, torch.get_rng_state())
    assert timeless(runs[0]) == timeless(runs[1])
    assert torch.equal(flat(nets[0]), flat(nets[1]))
    assert not torch.equal(flat(nets[0]), flat(nets[2]))


def generated(seed):
    return problem(seed=seed % 1000)


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
@pytest.mark.parametrize("source", ["tensor", "sequence", "function"])
def test_ten_epochs_are_five_and_a_resumed_five_bit_for_bit(source, optimizer, tmp_path):
    inputs, labels = problem()
    data = {
        "tensor": (inputs, labels),
        "sequence": ([(inputs[k : k + 2], labels.take(slice(k, k + 2))) for k in range(0, 12, 2)],),
        "function": (generated,),
    }[source]

    def run(net, epochs, **more):
        rate = OneCycle(0.02, 10) if optimizer == "adamw" else 0.02
        settings = {"optimizer": optimizer, "rate": rate, "batch": 5, "held_out": problem(seed=1)}
        return fit(net, CrossEntropy(balance=True), *data, epochs=epochs, seed=4, **settings, **more)

    whole = small_net()
    straight = run(whole, 10)
    list(straight)

    file = tmp_path / "fit.safetensors"
    list(run(small_net(), 5, checkpoint=file))
    broken_off = run(small_net(seed=9), 10, checkpoint=file)
    next(broken_off)
    net = small_net(seed=7)
    resumed = run(net, 10, checkpoint=file)
    assert len(resumed.records) == 6
    assert len(list(resumed)) == 4
    assert torch.equal(flat(whole), flat(net))
    assert timeless(straight.records) == timeless(resumed.records)
    assert straight.best.record.epoch == resumed.best.record.epoch
    for name, weight in straight.best.weights.items():
        assert torch.equal(weight, resumed.best.weights[name])
    assert list(run(small_net(), 10, checkpoint=file)) == []
    assert os.listdir(tmp_path) == [file.name]


def test_sections_of_unequal_size_are_batches_of_their_own():
    inputs, labels = problem()
    sections = [
        (inputs[:1, :, :width], Labels(labels.values[:1, :width], labels.known[:1, :width]))
        for width in (16, 9, 4)
    ]
    assert len(list(fit(small_net(), CrossEntropy(), sections, epochs=2, seed=0))) == 2


def test_a_killed_fit_resumes_from_its_last_epoch(tmp_path):
    """Killed without warning in the middle of an epoch, in a process of its own."""
    file = tmp_path / "fit.safetensors"
    script = f"""
import os, sys
sys.path.insert(0, {os.path.dirname(__file__)!r})
import torch
torch.set_num_threads(1)
from test_learning import CrossEntropy, fit, problem, small_net
def source(seed, calls=[]):
    calls.append(seed)
    if len(calls) == 4:
        os._exit(9)
    return problem(seed=seed % 1000)
for record in fit(small_net(), CrossEntropy(), source, epochs=6, seed=4, checkpoint={str(file)!r}):
    pass
"""
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 9
    straight, resumed = small_net(), small_net(seed=5)
    list(fit(straight, CrossEntropy(), generated, epochs=6, seed=4))
    run = fit(resumed, CrossEntropy(), generated, epochs=6, seed=4, checkpoint=file)
    assert [record.epoch for record in run] == [3, 4, 5]
    torch.testing.assert_close(flat(straight), flat(resumed), rtol=1e-4, atol=1e-5)


def test_an_interrupted_epoch_leaves_the_weights_of_the_one_before():
    inputs, labels = problem()

    class Interrupted(list):
        def __getitem__(self, index):
            if len(run.records) == 1 and index == 2:
                raise KeyboardInterrupt
            return super().__getitem__(index)

    net = small_net()
    pairs = Interrupted([(inputs[k : k + 1], labels.take(slice(k, k + 1))) for k in range(6)])
    run = fit(net, CrossEntropy(), pairs, epochs=3, seed=0)
    next(run)
    after = flat(net)
    with pytest.raises(KeyboardInterrupt):
        next(run)
    assert torch.equal(flat(net), after)
    assert run.stop == "interrupted in epoch 1"
    assert list(run) == []


def test_not_finite_stops_with_the_epoch_and_keeps_the_last_good_weights(tmp_path):
    file = tmp_path / "fit.safetensors"

    def source(seed):
        inputs, labels = problem()
        return (inputs * torch.nan if len(run.records) == 2 else inputs), labels

    net = small_net()
    run = fit(net, CrossEntropy(), source, epochs=5, seed=0, checkpoint=file)
    next(run), next(run)
    good = flat(net)
    with pytest.raises(StepError) as error:
        next(run)
    text = four_lines(error)
    assert "the value is nan in epoch 2" in text
    assert "end of epoch 1" in text
    assert torch.equal(flat(net), good)
    assert run.stop == "the value is nan in epoch 2"
    assert len(run.records) == 2
    assert len(fit(small_net(), CrossEntropy(), source, epochs=5, seed=0, checkpoint=file).records) == 2


def test_weights_of_a_single_time_are_smooth():
    stage = wellposed.Stage(wellposed.Residual(wellposed.Dense(2)), wellposed.Euler(), time=1.0, steps=1)
    for kind in ("quadratic", "variation"):
        smooth = SmoothInTime(kind)
        assert smooth.value(stage, torch.zeros(()), None).item() == 0.0
        assert all(S.shape == (1, 1) and not S.any() for S in smooth.stiffness(stage).values())


def test_weights_lost_in_the_last_step_of_an_epoch_are_seen_before_the_next():
    inputs, labels = problem()
    net = small_net()
    run = fit(net, CrossEntropy(), inputs, labels, epochs=2, seed=0, rate=1e38, batch=12, optimizer="sgd")
    with pytest.raises(StepError) as error:
        next(run)
    assert "the norm of the weights is" in four_lines(error)
    assert flat(net).isfinite().all()


def test_fit_refuses_what_cannot_be_meant(tmp_path):
    inputs, labels = problem()
    with pytest.raises(ShapeError) as error:
        fit(small_net(), CrossEntropy(), inputs, labels.take(slice(3)), epochs=1, seed=0)
    assert "12 inputs, 3 labels" in four_lines(error)
    with pytest.raises(ShapeError, match="inputs alone"):
        fit(small_net(), CrossEntropy(), inputs, epochs=1, seed=0)
    with pytest.raises(ShapeError, match="bring their own"):
        fit(small_net(), CrossEntropy(), generated, labels, epochs=1, seed=0)
    with pytest.raises(ConfigError, match="write adamw"):
        fit(small_net(), CrossEntropy(), inputs, labels, epochs=1, seed=0, optimizer="adam")
    with pytest.raises(ConfigError, match="batch=0"):
        fit(small_net(), CrossEntropy(), inputs, labels, epochs=1, seed=0, batch=0)
    for wrong in ({"rate": -1.0}, {"rate": nan}, {"rate": "a"}, {"decay": -1e-3}):
        with pytest.raises(ConfigError) as refused:
            fit(small_net(), CrossEntropy(), inputs, labels, epochs=1, seed=0, **wrong)
        assert f"{next(iter(wrong))}=" in four_lines(refused)
    for peak, epochs in ((nan, 3), (-1.0, 3), (1e-3, 0)):
        with pytest.raises(ConfigError) as refused:
            OneCycle(peak, epochs)
        four_lines(refused)
    with pytest.raises(FileError, match="cannot be written"):
        next(
            fit(
                small_net(),
                CrossEntropy(),
                inputs,
                labels,
                epochs=1,
                seed=0,
                checkpoint=tmp_path / "no" / "x",
            )
        )
    assert list(fit(small_net(), CrossEntropy(), inputs, labels, epochs=0, seed=0)) == []


def test_a_checkpoint_of_another_fit_is_refused(tmp_path):
    inputs, labels = problem()
    file = tmp_path / "fit.safetensors"
    list(fit(small_net(), CrossEntropy(), inputs, labels, epochs=1, seed=0, checkpoint=file))
    with pytest.raises(RunError) as error:
        fit(small_net(), CrossEntropy(), inputs, labels, epochs=1, seed=1, checkpoint=file)
    assert "seed = 0" in four_lines(error)
    with pytest.raises(RunError, match="weights"):
        fit(nn.Conv2d(2, 2, 1), CrossEntropy(), inputs, labels, epochs=1, seed=0, checkpoint=file)
    for bad in (b"", b"no checkpoint at all", json.dumps({}).encode()):
        file.write_bytes(bad)
        with pytest.raises(FileError, match="no checkpoint"):
            fit(small_net(), CrossEntropy(), inputs, labels, epochs=1, seed=0, checkpoint=file)


def test_one_cycle_rises_and_falls():
    rate = OneCycle(1.0, 10)
    rates = [rate(k / 10) for k in range(101)]
    assert rates[0] < 0.01
    assert max(rates) == rates[10] == 1.0
    assert rates[-1] < 1e-12
    assert rates[10:] == sorted(rates[10:], reverse=True)


def wild_network(scale):
    torch.manual_seed(0)
    stage = wp.Stage(wp.Parabolic(wp.Dense(2)), wp.Euler(), time=2.0, steps=[1.0, 3.0], bound="report")
    with torch.no_grad():
        stage.control.weights["K"][1] *= scale
        stage.control.weights["b"][1] += 0.5
    return wp.Network(stage, wp.Classify(2, classes=2))


def test_records_say_how_far_steps_are_from_their_bound():
    y, labels = torch.randn(8, 2), Labels(torch.arange(8) % 2)
    (calm,) = fit(wild_network(0.1), CrossEntropy(), y, labels, epochs=1, seed=0)
    assert 0 < calm.ratio < 1
    assert f"step/bound {calm.ratio:.2g}" in str(calm)
    net = wild_network(30.0)
    with pytest.warns(UserWarning, match="times its bound of stability") as warned:
        records = list(fit(net, CrossEntropy(), y, labels, epochs=3, seed=0))
    assert len(warned) == 1  # once, and the fit goes on
    assert all(record.ratio > 1 for record in records)
    (record,) = fit(torch.nn.Linear(2, 2), CrossEntropy(), y, labels, epochs=1, seed=0)
    assert record.ratio is None


def test_norm_control_keeps_the_bound_and_says_from_where():
    y, labels = torch.randn(8, 2), Labels(torch.arange(8) % 2)
    net = wild_network(30.0)
    stage = net.stages()[0]
    kept = {name: value.detach().clone() for name, value in stage.control.params.items()}
    before = net.ratio()
    assert wp.limit_norms(net) == pytest.approx(before)
    assert net.ratio() == pytest.approx(1.0, abs=1e-6)
    K = stage.control.params["K"]
    assert torch.equal(K[0], kept["K"][0])  # it was within the bound
    cosine = torch.nn.functional.cosine_similarity(K[1].flatten(), kept["K"][1].flatten(), dim=0)
    assert float(cosine.detach()) == pytest.approx(1.0)
    assert torch.equal(stage.control.params["b"], kept["b"])
    assert wp.limit_norms(net) <= 1.0  # and nothing is left to do
    (record,) = fit(wild_network(30.0), CrossEntropy(), y, labels, epochs=1, seed=0, bound="keep")
    assert record.ratio > 1
    with pytest.raises(ConfigError, match="what to do about the bound"):
        fit(net, CrossEntropy(), y, labels, epochs=1, seed=0, bound="kep")
    assert wp.limit_norms(torch.nn.Linear(2, 2)) is None
    residual = wp.Network(wp.Stage(wp.Residual(wp.Dense(2)), wp.Euler()))
    assert wp.limit_norms(residual) is None


@pytest.mark.parametrize("kind", [wp.Parabolic, wp.Hamiltonian, partial(wp.Antisymmetric, damping=0.3)])
def test_norm_control_asks_for_few_norms(kind, monkeypatch):
    f, asked = kind(wp.Dense(3)), []
    integrator = wp.integrators.RK4() if isinstance(f, wp.Antisymmetric) else wp.Euler()
    integrator = wp.Verlet() if isinstance(f, wp.Hamiltonian) else integrator
    stage = wp.Stage(f, integrator, time=1.0, steps=1, bound="report")
    stage.control.params["K"].data = 20 * torch.randn(stage.control.params["K"].shape)
    extent = type(f).extent
    monkeypatch.setattr(type(f), "extent", lambda self, theta: (asked.append(1), extent(self, theta))[1])
    assert wp.limit_norms(stage) > 1
    assert len(asked) <= 8 * len(stage.control.nodes)
    assert 1 - 2e-6 <= stage.ratio() <= 1


def test_norm_control_makes_two_kernels_smaller_alike():
    two = wp.dynamics.DoubleHamiltonian(wp.Dense(4), "tanh")
    stage = wp.Stage(two, wp.Verlet(), time=4.0, steps=4, bound="report")
    for name in ("K1", "K2"):
        stage.control.params[name].data *= 3
    before = stage.ratio()
    assert before > 2
    assert wp.limit_norms(stage) == pytest.approx(before)
    assert 1 - 2e-6 <= stage.ratio() <= 1


def test_norm_control_sees_what_lies_between_nodes():
    """K1 is large at one node, K2 at the other: their product is the largest between."""
    eye = torch.eye(2)
    weights = {
        "K1": torch.stack([8 * eye, eye / 4]),
        "b1": torch.zeros(2, 2),
        "K2": torch.stack([eye / 4, 8 * eye]),
        "b2": torch.zeros(2, 2),
    }
    control = wp.Control(weights, [0.0, 4.0])
    two = wp.dynamics.DoubleHamiltonian(wp.Dense(2), "tanh")
    stage = wp.Stage(two, wp.Verlet(), time=4.0, steps=4, control=control, bound="report")
    before = stage.ratio()
    assert before > 5
    assert wp.limit_norms(stage) == pytest.approx(before)
    assert 1 - 2e-6 <= stage.ratio() <= 1
    half = stage.replace(steps=4).bfloat16()
    half.control.params["K1"].data *= 10
    wp.limit_norms(half)


def test_norm_control_refuses_what_operators_of_zero_do_not_mend():
    f = wp.Antisymmetric(wp.Dense(2), damping=3.0)
    net = wp.Network(wp.Stage(f, wp.Euler(), time=2.0, steps=2, bound="report"))
    with pytest.raises(StepError, match="with operators of zero"):
        wp.limit_norms(net)


def test_variation_lets_weights_jump():
    """A jump costs its height however short it is, and the quadratic one the more the shorter it is."""
    nodes = [0.0, 1.0, 1.01, 2.0]
    jump = torch.tensor([0.0, 0.0, 1.0, 1.0], dtype=torch.float64)[:, None]
    ramp = torch.tensor(nodes, dtype=torch.float64)[:, None] / 2
    costs = {}
    for name, theta in (("jump", jump), ("ramp", ramp)):
        control, y = wp.Control({"K": theta}, nodes), torch.zeros(1)
        for kind in ("quadratic", "variation"):
            value = SmoothInTime(kind, tau=1e-8).value(control, y, Labels(y))
            costs[name, kind] = float(value.detach())
    assert costs["jump", "variation"] == pytest.approx(1.0, abs=1e-3)
    assert costs["ramp", "variation"] == pytest.approx(1.0, abs=1e-3)
    assert costs["jump", "quadratic"] == pytest.approx(100.0)
    assert costs["ramp", "quadratic"] == pytest.approx(0.5)
    with pytest.raises(StructureError, match="no such smoothness"):
        SmoothInTime("cubic")
    with pytest.raises(StructureError, match="no such smoothness"):
        SmoothInTime("variation", tau=0.0)
