"""Methods of learning: laws over all of them, exact answers of Gauss-Newton and its parts, refusals."""

from dataclasses import dataclass, replace

import pytest
import torch
from torch import nn

import wellposed as wp
from refusals import four_lines
from wellposed import laws
from wellposed.errors import ConfigError, ShapeError, StepError, StructureError, UserError
from wellposed.learning import (
    LBFGS,
    ColumnDensity,
    Continuation,
    CrossEntropy,
    GaussNewton,
    HeadNewton,
    Labels,
    LeastSquares,
    Method,
    Projected,
    SampleAverage,
    Sampled,
    SmallWeights,
    SmoothInTime,
    Stochastic,
)
from wellposed.learning.head import HeadProblem, LinearHead
from wellposed.learning.krylov import conjugate_gradients
from wellposed.network.part import seeded

METHODS = [entry.subject for entry in laws.catalogue(Method)]


CONFUSION = 0.6 * torch.eye(5) + 0.08 * torch.ones(5, 5)


def random(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def small_net(classes=3, rule=None, head=None, steps=4):
    """Three channels of features, two steps, weights that are not those of a start."""
    with seeded(3):
        stage = wp.Stage(
            wp.Hamiltonian(wp.Dense(3), "tanh"),
            wp.Verlet(),
            time=2.0,
            steps=4,
            backward=rule or wp.Reversed(),
        )
        net = wp.Network(wp.Opening(2, 3), stage, head or wp.Classify(3, classes)).double()
        for weight in net.parameters():
            weight.data += 0.3 * torch.randn_like(weight)
    return net


def problem(count=12, classes=3):
    inputs = random(count, 2)
    angle = torch.atan2(inputs[:, 1], inputs[:, 0])
    values = ((angle + torch.pi) / (2 * torch.pi) * classes).long().clamp(max=classes - 1)
    return inputs, Labels(values, torch.arange(count) % 5 != 3)


LOSS = CrossEntropy() + 1e-3 * SmoothInTime() + 1e-2 * SmallWeights()


def value_of(objective, net, inputs, labels):
    return objective.value(net, net(inputs), labels).item()


def flat(net):
    return torch.cat([weight.detach().flatten() for weight in net.parameters()])


@pytest.mark.parametrize("method", METHODS, ids=str)
def test_every_method_lowers_the_objective_and_says_what_it_did(method):
    inputs, labels = problem()
    net, before = small_net(), torch.get_rng_state()
    first = value_of(LOSS, net, inputs, labels)
    run = method.fit(net, LOSS, inputs, labels, epochs=6, seed=1, held_out=(inputs, labels))
    records = list(run)
    assert 0 < len(records) <= 6
    assert run.records == records
    last = value_of(LOSS, net, inputs, labels)
    assert last < first
    assert run.work == sum(record.work for record in records) > 0
    assert records[-1].held_out == pytest.approx(value_of(CrossEntropy(), net, inputs, labels), rel=1e-9)
    assert run.best.record.held_out == min(record.held_out for record in records)
    assert run.stop
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("method", METHODS, ids=str)
def test_every_method_resumes_bit_for_bit(method, tmp_path):
    inputs, labels = problem()

    def fit(net, epochs, file):
        return method.fit(net, LOSS, inputs, labels, epochs=epochs, seed=1, checkpoint=tmp_path / file)

    whole = small_net()
    records = list(fit(whole, 5, "whole"))
    list(fit(small_net(), 2, "parts"))
    resumed = small_net()
    run = fit(resumed, 5, "parts")
    list(run)
    assert torch.equal(flat(resumed), flat(whole))
    assert [(r.value, r.gradient) for r in run.records] == [(r.value, r.gradient) for r in records]


@pytest.mark.parametrize("method", METHODS, ids=str)
def test_every_method_stops_at_numbers_that_are_lost_and_keeps_the_last_good_weights(method):
    inputs, labels = problem()
    net = small_net()
    run = method.fit(net, LOSS, torch.full_like(inputs, torch.nan), labels, epochs=3, seed=0)
    good = flat(net)
    with pytest.raises(StepError) as error:
        next(run)
    assert "the weights now are those from before the fit" in str(error.value)
    assert torch.equal(flat(net), good)
    assert run.stop
    with pytest.raises(StopIteration):
        next(run)


@pytest.mark.parametrize("method", METHODS, ids=str)
def test_every_method_refuses_what_it_cannot_learn_from(method):
    inputs, labels = problem()
    wrong = [
        (LOSS, inputs, labels.values, "Labels"),
        (nn.CrossEntropyLoss(), inputs, labels, "objective"),
        (LOSS, inputs[:-1], labels, "same examples"),
    ]
    for objective, given, told, words in wrong:
        with pytest.raises(UserError, match=words):
            method.fit(small_net(), objective, given, told, epochs=1, seed=0)
    with pytest.raises(ConfigError, match="a whole number"):
        method.fit(small_net(), LOSS, inputs, labels, epochs=-1)
    outside = Labels(labels.values + 7, labels.known)
    with pytest.raises(ShapeError, match="no class of the prediction"):
        list(method.fit(small_net(), LOSS, inputs, outside, epochs=1, seed=0))


# The curvature, against matrices.


def objectives():
    draw = random(4, 5, seed=8)
    columns = Labels(2 + draw[:, 0], torch.tensor([True, True, False, True]), 0.7)
    columns = Labels(torch.where(torch.arange(4) == 1, torch.nan, columns.values), columns.known, columns.std)
    return {
        "cross entropy": (CrossEntropy(), Labels(torch.tensor([0, 2, 1, 4]), columns.known)),
        "balanced": (CrossEntropy(balance=True), Labels(torch.tensor([0, 2, 1, 2]), columns.known)),
        "confused": (CrossEntropy(confusion=CONFUSION), Labels(torch.tensor([0, 2, 1, 4]), columns.known)),
        "least squares": (LeastSquares(), Labels(draw, draw > -1, 0.5 + draw.abs())),
        "column density": (ColumnDensity(), columns),
    }


def close(found, exact, absolute):
    """Not torch.allclose, which lets a relative error of 1e-5 pass unless told."""
    assert float((found - exact).detach().abs().max()) <= absolute


def dense(product, size):
    return torch.stack([product(e) for e in torch.eye(size, dtype=torch.float64)], 1)


def jacobian(net, inputs, names):
    """d net(inputs) / d weights by reverse mode alone, one output at a time."""
    weights = [dict(net.named_parameters())[name] for name in names]
    outputs = net(inputs).flatten()
    given = {"retain_graph": True, "materialize_grads": True, "allow_unused": True}
    rows = [torch.autograd.grad(out, weights, **given) for out in outputs]
    return torch.stack([torch.cat([gradient.flatten() for gradient in row]) for row in rows])


@pytest.mark.parametrize("rule", [wp.Backprop(), wp.Checkpointed(), wp.Reversed()], ids=str)
@pytest.mark.parametrize("name", objectives())
def test_the_operator_of_gauss_newton_is_the_dense_one(name, rule):
    seen, labels = objectives()[name]
    net, inputs = small_net(5, rule, steps=2), random(4, 2, seed=2)
    objective = 0.5 * seen + 1e-2 * SmoothInTime() + 0.1 * SmallWeights()
    sample = Sampled(net, objective, inputs, labels)
    theta = sample.theta()
    H = dense(sample.curvature(), len(theta))
    J, prediction = jacobian(net, inputs, sample.weights), net(inputs).detach()

    def bent(v):
        return 0.5 * seen.curvature(prediction, labels, v.view_as(prediction)).flatten()

    oracle = J.T @ dense(bent, prediction.numel()) @ J
    held = 1e-2 * SmoothInTime() + 0.1 * SmallWeights()
    own = torch.autograd.functional.hessian(lambda w: weights_only(net, held, sample, w), theta)
    close(H, oracle + own, 1e-10)
    close(H, H.T, 1e-11)
    unheld = dense(Sampled(net, seen, inputs, labels).curvature(), len(theta))
    assert float(torch.linalg.eigvalsh(unheld)[0]) > -1e-12
    assert float(torch.linalg.eigvalsh(H)[0]) > 0
    slope = sample.slope(theta)
    value = objective.value(net, net(inputs), labels)
    value.backward()
    gradient = torch.cat([weight.grad.flatten() for weight in net.parameters()])
    assert slope.value == pytest.approx(value.item(), rel=1e-12)
    close(slope.gradient, gradient, 1e-12)
    assert sample.value(theta) == pytest.approx(value.item(), rel=1e-12)


def weights_only(net, held, sample, theta):
    class Whole(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = net

        def forward(self, like):
            return held.value(self.net, like, Labels(torch.zeros(1)))

    named = {f"net.{name}": part for name, part in sample.split(theta).items()}
    return torch.func.functional_call(Whole(), named, (theta,))


@pytest.mark.parametrize("name", ["cross entropy", "least squares", "column density"])
def test_the_projected_operator_is_that_of_the_reduced_model(name):
    # A = d prediction / d theta while the head follows: by differences of the solved problem itself.
    seen, labels = objectives()[name]
    net, inputs = small_net(5, steps=1), random(4, 2, seed=2)
    objective = seen + 0.05 * SmallWeights()
    sample = Projected(net, objective, inputs, labels)
    theta = sample.theta()
    sample.slope(theta)
    W, prediction = sample.head.matrix(), net(inputs).detach()
    H = dense(sample.curvature(), len(theta))
    step, columns, moves = 1e-5, [], []
    for e in torch.eye(len(theta), dtype=torch.float64):
        sides = []
        for sign in (1, -1):
            sample.value(theta + sign * step * e)
            sides.append((net(inputs).detach(), sample.head.matrix()))
        columns.append(((sides[0][0] - sides[1][0]) / (2 * step)).flatten())
        moves.append(((sides[0][1] - sides[1][1]) / (2 * step)).flatten())
    sample.put(theta)
    sample.head.put(W)
    A, moved = torch.stack(columns, 1), torch.stack(moves, 1)
    B = dense(
        lambda v: seen.curvature(prediction, labels, v.view_as(prediction)).flatten(), prediction.numel()
    )
    oracle = A.T @ B @ A + 0.05 * moved.T @ moved + 0.05 * torch.eye(len(theta), dtype=torch.float64)
    close(H, H.T, 1e-10)
    assert float(torch.linalg.eigvalsh(H)[0]) > 0
    if name == "column density":  # its head follows by the Hessian, which the majoriser lies above
        assert 0.01 < float((H - oracle).norm() / oracle.norm()) < 0.7
    else:
        close(H, oracle, 1e-6 * float(oracle.norm()))


def test_the_gradient_of_the_projected_problem_passes_taylor():
    seen, labels = objectives()["cross entropy"]
    sample = Projected(small_net(5), seen + 0.05 * SmallWeights(), random(4, 2, seed=2), labels)
    theta = sample.theta()
    slope, v = sample.slope(theta), random(len(theta), seed=5)
    misses = [
        abs(sample.value(theta + h * v) - slope.value - h * float(slope.gradient @ v)) for h in (1e-2, 1e-3)
    ]
    assert misses[0] / misses[1] == pytest.approx(100, rel=0.2)


def test_a_full_step_solves_linear_least_squares():
    inputs, values = random(40, 3), random(40, 2, seed=1)
    net = wp.Network(wp.Readout(3, 2)).double()
    method = GaussNewton(tolerance=1e-12, products=50, forcing=1e-14)
    run = method.fit(net, LeastSquares() + 1e-3 * SmallWeights(), inputs, Labels(values), epochs=1)
    list(run)
    X = torch.cat([inputs, torch.ones(40, 1, dtype=torch.float64)], 1)
    exact = torch.linalg.solve(X.T @ X / 80 + 1e-3 * torch.eye(4, dtype=torch.float64), X.T @ values / 80).T
    found = torch.cat([net.parts[0].map.kernel, net.parts[0].map.bias[:, None]], 1)
    close(found, exact, 1e-10)


def test_newton_for_the_head_finds_what_no_other_weights_of_it_better():
    inputs, labels = problem()
    net = small_net()
    body = flat(wp.Network(*net.parts[:-1]))
    run = HeadNewton().fit(net, LOSS, inputs, labels, epochs=30)
    list(run)
    assert "the gradient has fallen" in run.stop
    assert torch.equal(flat(wp.Network(*net.parts[:-1])), body)
    value = LOSS.value(net, net(inputs), labels)
    for gradient in torch.autograd.grad(value, list(net.parts[-1].parameters())):
        assert float(gradient.norm()) < 1e-7
    assert len(run.records) < 12


def test_conjugate_gradients_solve_precondition_and_stay_within_their_region():
    A = random(8, 8)
    H, b = A @ A.T + 0.1 * torch.eye(8, dtype=torch.float64), random(8, seed=1)
    exact = torch.linalg.solve(H, b)
    M = torch.diag(H.diagonal())
    for precondition in (lambda r: r, lambda r: r / H.diagonal()):
        found = conjugate_gradients(lambda v: H @ v, b, precondition, tolerance=1e-12, products=60)
        close(found.step, exact, 1e-8)
        assert found.decrease == pytest.approx(float(b @ exact) / 2, rel=1e-9)
        assert found.ended == "tolerance"
    for radius in (0.1, 0.7):
        found = conjugate_gradients(
            lambda v: H @ v, b, lambda r: r / H.diagonal(), tolerance=1e-12, products=60, radius=radius
        )
        assert found.ended == "radius"
        assert float(found.step @ M @ found.step) ** 0.5 == pytest.approx(radius)
        assert found.size == pytest.approx(radius)
        model = float(b @ found.step - found.step @ H @ found.step / 2)
        assert found.decrease == pytest.approx(model)
    flat_one = conjugate_gradients(lambda v: 0 * v, b, lambda r: r, tolerance=0.1, products=5)
    assert flat_one.ended == "flat"
    assert float(b @ flat_one.step) > 0


def test_the_preconditioner_saves_products_where_theta_moves_in_time():
    with seeded(0):
        stage = wp.Stage(wp.Antisymmetric(wp.Dense(3), "tanh"), wp.RK4(), time=2.0, steps=16)
        net = wp.Network(wp.Opening(2, 3), stage, wp.Readout(3, 3)).double()
    inputs, labels = problem(40)
    sample = Sampled(net, CrossEntropy() + 10.0 * SmoothInTime() + 1e-2 * SmallWeights(), inputs, labels)
    slope = sample.slope(sample.theta())
    product = sample.curvature()
    given = {"tolerance": 0.1, "products": 200}
    plain = conjugate_gradients(product, -slope.gradient, lambda r: r, **given)
    with_it = conjugate_gradients(product, -slope.gradient, sample.preconditioner(product), **given)
    assert with_it.products < 0.5 * plain.products


def test_work_counts_passes_of_examples_through_steps():
    inputs, labels = problem()
    net = small_net()
    unit = len(inputs) * 4
    sample = Sampled(net, LOSS, inputs, labels, share=0.5)
    theta = sample.theta()
    sample.value(theta)
    assert sample.work == unit
    sample.slope(theta)
    assert sample.work == 4 * unit
    sample.curvature()(theta)
    assert sample.work == 6 * unit  # four passes of half the examples
    record = next(Stochastic(batch=4).fit(net, LOSS, inputs, labels, epochs=1))
    assert record.work == 3 * unit


def test_fixed_weights_stay_where_they_are():
    inputs, labels = problem()
    for method in (GaussNewton(), GaussNewton(project_head=True), LBFGS()):
        net = small_net()
        net.parts[0].requires_grad_(False)
        before = flat(net.parts[0])
        list(method.fit(net, LOSS, inputs, labels, epochs=2))
        assert torch.equal(flat(net.parts[0]), before)
    net.requires_grad_(False)
    with pytest.raises(StructureError, match="nothing to learn"):
        GaussNewton().fit(net, LOSS, inputs, labels, epochs=1)


def test_a_continuation_keeps_theta_from_level_to_level_and_resumes(tmp_path):
    inputs, labels = problem()
    method = GaussNewton(tolerance=0.0)
    levels = [(method, 2), (method, 3), (Stochastic(), 1)]
    net = small_net()
    run = Continuation(levels).fit(net, LOSS, inputs, labels, checkpoint=tmp_path / "c")
    seen = []
    for record in run:
        seen.append((record.epoch, len(run.net.stages()[0].spans)))
    assert seen == [(0, 4), (1, 4), (2, 8), (3, 8), (4, 8), (5, 16)]
    assert run.stop == "1 epochs done"
    start = net.refine()
    values = [value_of(LOSS, n, inputs, labels) for n in (net, start)]
    assert values[1] == pytest.approx(values[0], rel=0.3)
    assert run.records[2].value < values[1]
    again = Continuation(levels).fit(small_net(), LOSS, inputs, labels, checkpoint=tmp_path / "c")
    rest = list(again)
    assert [r.value for r in again.records] == [r.value for r in run.records]
    assert rest == []
    assert torch.equal(flat(again.net), flat(run.net))
    with pytest.raises(StructureError, match="levels"):
        Continuation([])


def images_net(dynamics=None, steps=4):
    """Sections of two classes; as it stands the dynamics claims no stability, which is quick."""
    with seeded(0):
        moving = dynamics or wp.dynamics.SingleResidual(wp.Conv(3), "tanh")
        stage = wp.Stage(moving, wp.integrators.Euler(), time=0.5, steps=steps)
        spacing = {"x_m": 4.0, "z_m": 2.0}
        net = wp.Network(wp.Opening(1, 3, width=3), stage, wp.Classify(3, 2), spacing=spacing).double()
    for seed, weight in enumerate(net.parameters()):
        weight.data = 0.1 * random(*weight.shape, seed=seed)
    return net


def waves(cells, count=1):
    x = (torch.arange(cells, dtype=torch.float64) + 0.5) / cells
    parts = [(2 * torch.pi * k * x).cos() for k in range(1, count + 1)]
    return torch.stack([(a[:, None] + a / 2)[None] for a in parts])


def test_a_network_on_a_finer_mesh_predicts_the_same_to_second_order():
    net = images_net()
    coarse = net(waves(16)).detach()
    apart = []
    for _ in range(2):
        net = net.remesh(0.5)
        fine = net(waves(2 * coarse.shape[-1])).detach()
        means = wp.operators.Restrict(tuple(fine.shape[2:])) @ fine
        # Away from edges, where a derivative that has been added is no smooth wave any more.
        inner = (..., *(slice(coarse.shape[-1] // 4, -coarse.shape[-1] // 4),) * 2)
        apart.append(float((means - coarse)[inner].abs().max()))
        coarse = fine
    assert apart[0] > 3 * apart[1]
    assert net.spacing == {"x_m": 1.0, "z_m": 0.5}
    assert images_net().remesh((0.5, 1.0)).spacing == {"x_m": 2.0, "z_m": 2.0}


def test_another_mesh_needs_no_spacing_and_reaches_networks_inside():
    net = wp.Network(wp.Opening(1, 3, width=3), wp.Classify(3, 2)).double()
    assert net.remesh([0.5, 0.5]).spacing == {}
    inner = images_net()
    outer = wp.Network(inner, wp.Readout(2, 1), spacing={"x_m": 8.0, "z_m": 8.0})
    finer = outer.remesh([0.5, 1.0])
    assert finer.spacing == {"x_m": 4.0, "z_m": 8.0}
    assert finer.parts[0].spacing == {"x_m": 2.0, "z_m": 2.0}
    assert inner.spacing == {"x_m": 4.0, "z_m": 2.0}
    waves = wp.Network(wp.Opening(1, 2), wp.network.Wavelet(2))
    with pytest.raises(StructureError, match="knows no other mesh"):
        waves.remesh(0.5)


def test_what_cannot_be_refined_is_said_before_anything_is_learned():
    inputs, labels = section(32)
    net = images_net(wp.Parabolic(wp.Conv(3), "tanh"))
    for weight in net.parameters():
        weight.data *= 3
    net = net.replace(bound="report").replace(steps=200, bound="refuse")
    with pytest.raises(StepError):
        Continuation([(GaussNewton(), 1)] * 4, "space").fit(net, CrossEntropy(), inputs, labels)


def test_batches_of_lines_are_refined_as_one_tensor_of_them():
    inputs, labels = section(32)
    inputs, labels = inputs[:, :, :1], Labels(labels.values[:, :1])
    levels = [(Stochastic(rate=0.0, decay=0.0), 1)] * 2
    runs = []
    for source in ((inputs, labels), ([(inputs, labels)],)):
        run = Continuation(levels, "space").fit(images_net(), CrossEntropy(), *source)
        list(run)
        runs.append(flat(run.net))
    assert torch.equal(*runs)


def test_a_level_that_has_ended_is_not_asked_for_one_more_step(tmp_path):
    inputs, labels = problem()
    levels = [(GaussNewton(tolerance=0.1), 30)] * 2

    def begin():
        return Continuation(levels).fit(small_net(), LOSS, inputs, labels, checkpoint=tmp_path / "c")

    run = begin()
    records = list(run)
    assert len(records) < 60
    again = begin()
    assert list(again) == []
    assert again.records == run.records
    assert torch.equal(flat(again.net), flat(run.net))
    assert again.stop == run.stop


@pytest.mark.parametrize(
    "given",
    [
        {"inputs": "y", "labels": "values"},
        {"inputs": "y", "labels": "few"},
        {"inputs": "bare", "labels": None},
        {"inputs": "y", "labels": "labels", "held_out": "y"},
        {"inputs": "y", "labels": "labels", "held_out": "batches"},
        {"inputs": "y", "labels": None},
    ],
    ids=str,
)
@pytest.mark.parametrize("plan", [{"refine": "space"}, {"shares": (0.5, 1)}], ids=str)
def test_a_sample_that_no_fit_could_take_is_refused_in_words(given, plan):
    y, labels = section(32)
    known = {"y": y, "labels": labels, "values": labels.values, "few": labels.take(slice(1)), None: None}
    known |= {"bare": [y, y], "batches": [(y, labels)]}
    told = {name: known[value] for name, value in given.items()}
    way = Continuation([(Stochastic(), 1)] * 2, **plan)
    with pytest.raises(UserError) as error:
        way.fit(images_net(), CrossEntropy(), told.pop("inputs"), told.pop("labels"), **told)
    four_lines(error)


def test_a_finer_mesh_asks_for_shorter_steps_and_leaves_the_network_as_it_was():
    net = images_net(wp.Parabolic(wp.Conv(3), "tanh"))
    before = flat(net)
    frozen = images_net().requires_grad_(False).remesh(0.5)
    assert not any(weight.requires_grad for weight in frozen.parameters())
    with pytest.raises(StepError, match="take at least"):
        net.remesh(0.2)
    assert torch.equal(flat(net), before)

    class Own(wp.Opening):
        def __init__(self):
            super().__init__(1, 3)
            self.more = nn.Parameter(torch.zeros(3))

    with pytest.raises(StructureError) as error:
        wp.Network(Own(), *images_net().parts[1:]).remesh(0.5)
    assert "Own knows no other mesh" in four_lines(error)
    tied = images_net()
    other = wp.Opening(1, 3, width=3).double()
    other.map.kernel = tied.parts[0].map.kernel
    tied.parts.insert(0, wp.Network(other, wp.Readout(3, 1)).double())
    once = images_net().remesh(0.5)
    assert torch.equal(tied.remesh(0.5).parts[1].map.kernel, once.parts[0].map.kernel)


def section(cells):
    y = waves(cells, 3)
    return y, Labels((y[:, 0] > 0.1).long())


@pytest.mark.parametrize(("refine", "steps"), [("space", [4, 4, 4]), (("time", "both"), [4, 8, 16])])
def test_a_continuation_goes_from_coarse_meshes_to_fine_ones(refine, steps, tmp_path):
    inputs, labels = section(32)
    levels = [(GaussNewton(tolerance=0.0), 4), (GaussNewton(tolerance=0.0), 2), (LBFGS(), 2)]
    plan, loss = Continuation(levels, refine), CrossEntropy() + 1e-3 * SmallWeights()
    held_out = section(32)

    def begin(name="c"):
        return plan.fit(images_net(), loss, inputs, labels, held_out=held_out, checkpoint=tmp_path / name)

    run, seen = begin(), []
    for _ in run:
        seen.append((len(run.fits), len(run.net.stages()[0].spans)))
    assert [dict(seen)[level] for level in (1, 2, 3)] == steps
    # What was learned on coarser meshes is a better start than none, and is made better.
    first = value_of(CrossEntropy(), images_net(), inputs, labels)
    coarse, middle, fine = run.records[3].held_out, run.records[4].held_out, run.records[6].held_out
    assert max(middle, fine) < 0.2 * first
    assert middle < coarse
    assert run.records[7].held_out < fine
    again = begin()
    assert list(again) == []
    assert torch.equal(flat(again.net), flat(run.net))


def test_a_continuation_sees_more_of_the_sample_from_level_to_level():
    inputs, labels = problem(count=40)
    levels = [(Stochastic(), 1), (Stochastic(), 1), (Stochastic(), 1)]
    seen = []

    class Watched(wp.Network):
        def forward(self, y):
            seen.append({tuple(row) for row in y.tolist()})
            return super().forward(y)

    net = Watched(*small_net().parts).double()
    run = Continuation(levels, shares=(0.25, 0.5, 1)).fit(net, CrossEntropy(), inputs, labels, seed=1)
    sets = []
    for _ in run:
        sets.append(set().union(*seen))
        seen.clear()
    assert [len(found) for found in sets] == [10, 20, 40]
    assert sets[0] < sets[1] < sets[2]
    batches = [(inputs[k : k + 4], labels.take(slice(k, k + 4))) for k in range(0, 40, 4)]
    by_batch = Continuation(levels, shares=(0.1, 0.5, 1)).fit(small_net(), CrossEntropy(), batches, seed=1)
    works = [record.work for record in by_batch]
    assert works[1] == 10 * works[0]
    assert works[2] == 4 * works[1]
    for wrong in ((0.5, 1), (0.0, 0.5, 1), (0.5, 1, 2), 0.5, ("a", 0.5, 1)):
        with pytest.raises(StructureError) as error:
            Continuation(levels, shares=wrong)
        four_lines(error)
    made = Continuation(levels, shares=(0.5, 0.5, 1))
    with pytest.raises(StructureError, match="no sample"):
        made.fit(small_net(), CrossEntropy(), lambda seed: (inputs, labels))


def test_a_continuation_refuses_words_it_does_not_know():
    levels = [(GaussNewton(), 1), (GaussNewton(), 1)]
    with pytest.raises(StructureError, match="a method and its epochs"):
        Continuation([3, 4])
    for refine in ("depth", ("time", "space"), (), None):
        with pytest.raises(StructureError) as error:
            Continuation(levels, refine)
        four_lines(error)


class Squared(torch.autograd.Function):
    """Written by a user, with a derivative backward alone."""

    @staticmethod
    def forward(ctx, y):
        ctx.save_for_backward(y)
        return y * y

    @staticmethod
    def backward(ctx, g):
        return 2 * ctx.saved_tensors[0] * g


def test_a_part_without_a_forward_derivative_is_said_and_the_weights_stay():
    class Square(wp.Readout):
        def forward(self, y):
            return super().forward(Squared.apply(y))

    inputs, labels = problem()
    net = wp.Network(*small_net().parts[:-1], Square(3, 3), wp.Classify(3, 3)).double()
    before = flat(net)
    for method in (GaussNewton(), GaussNewton(project_head=True)):
        with pytest.raises(StructureError) as error:
            list(method.fit(net, LOSS, inputs, labels, epochs=1))
        assert "no derivative forward" in four_lines(error)
        assert torch.equal(flat(net), before)
    assert len(list(LBFGS().fit(net, LOSS, inputs, labels, epochs=1))) == 1


def test_a_sample_is_drawn_once_by_its_seed():
    def source(seed):
        inputs = random(5, 2, seed=seed % 1000)
        return inputs, Labels((inputs[:, 0] > 0).long())

    average = SampleAverage(GaussNewton(), 12)
    inputs, labels = average.draw(source, None, 3)
    again, other = average.draw(source, None, 3), average.draw(source, None, 4)
    assert len(inputs) == len(labels) == 12
    assert torch.equal(inputs, again[0])
    assert not torch.equal(inputs, other[0])
    assert torch.equal(labels.values, (inputs[:, 0] > 0).long())
    whole, told = problem(20)
    part, kept = average.draw(whole, told, 0)
    places = [int((whole == row).all(1).nonzero()) for row in part]
    assert len(set(places)) == 12
    assert torch.equal(kept.values, told.values[places])
    with pytest.raises(ShapeError, match="fewer examples"):
        average.fit(small_net(), LOSS, *problem(8), epochs=1)
    run = average.fit(small_net(2), LOSS, source, epochs=2, seed=3)
    assert len(list(run)) == 2


class Wavering(LeastSquares):
    """An objective that rises from call to call: no search can lower it."""

    calls = 0

    def value(self, net, prediction, labels):
        Wavering.calls += 1
        return super().value(net, prediction, labels) + 10.0 * Wavering.calls


@pytest.mark.parametrize("globalisation", ["line search", "trust region"])
def test_a_search_that_fails_says_what_was_seen_and_keeps_the_weights(globalisation):
    net = small_net(head=wp.Readout(3, 1))
    inputs = random(6, 2)
    run = GaussNewton(globalisation=globalisation).fit(
        net, Wavering(), inputs, Labels(random(6, 1, seed=3)), epochs=2
    )
    good = flat(net)
    with pytest.raises(StepError, match="no step along the direction") as error:
        next(run)
    assert "value" in error.value.given
    assert torch.equal(flat(net), good)
    assert "no step along the direction" in run.stop


class Turned(torch.autograd.Function):
    """The same, with a derivative of the wrong sign."""

    @staticmethod
    def forward(y):
        return y.clone()

    @staticmethod
    def setup_context(ctx, inputs, output):
        pass

    @staticmethod
    def backward(ctx, g):
        return -g


class Uphill(CrossEntropy):
    """Says that uphill is downhill."""

    def value(self, net, prediction, labels):
        return super().value(net, Turned.apply(prediction), labels)


def followed(run, weights):
    for _ in run:
        weights.append(flat(run.net))


@pytest.mark.parametrize("objective", [Uphill(), Wavering()], ids=["wrong gradient", "other each time"])
@pytest.mark.parametrize("method", [GaussNewton(), GaussNewton(project_head=True), HeadNewton(), LBFGS()])
def test_what_no_step_lowers_is_no_end_but_an_error(method, objective):
    inputs, labels = problem()
    net = small_net(head=wp.Readout(3, 1) if isinstance(objective, Wavering) else None)
    if isinstance(objective, Wavering):
        labels = Labels(random(12, 1, seed=3))
    run = method.fit(net, objective + 1e-5 * SmallWeights(), inputs, labels, epochs=3)
    good = [flat(net)]
    with pytest.raises(StepError, match="no step along the direction") as error:
        followed(run, good)
    four_lines(error)
    assert torch.equal(flat(net), good[-1])


@pytest.mark.parametrize("head", [False, True])
def test_rules_that_do_not_differentiate_the_march_are_refused(head):
    net = small_net(rule=wp.backward.ContinuousAdjoint())
    inputs, labels = problem()
    good = flat(net)
    with pytest.raises(StructureError, match="as it is computed") as error:
        next(GaussNewton(project_head=head).fit(net, LOSS, inputs, labels, epochs=1))
    four_lines(error)
    assert torch.equal(flat(net), good)
    next(LBFGS().fit(net, LOSS, inputs, labels, epochs=1))


class Cubed(torch.autograd.Function):
    """Written by a user; its derivative may be taken once."""

    @staticmethod
    def forward(ctx, y):
        ctx.save_for_backward(y)
        return y.abs() ** 3

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, g):
        (y,) = ctx.saved_tensors
        return 3 * y * y.abs() * g


@dataclass(frozen=True)
class Once(SmallWeights):
    """Of the weights, without a second derivative: its gradient has no tape, or one that torch cannot go."""

    by: str = "user"

    def value(self, net, prediction, labels):
        if self.by == "torch":
            each = (torch.cdist(w.reshape(1, -1), w.new_ones(2, w.numel()), p=3.0) for w in net.parameters())
        else:
            each = (Cubed.apply(weight) for weight in net.parameters())
        return sum(part.sum() for part in each)


@pytest.mark.parametrize("by", ["user", "torch"])
@pytest.mark.parametrize("method", [GaussNewton(), GaussNewton(project_head=True), HeadNewton()], ids=str)
def test_a_term_without_a_second_derivative_is_refused(method, by):
    inputs, labels = problem()
    net = small_net()
    good = flat(net)
    with pytest.raises(StructureError, match="differentiated twice") as error:
        next(method.fit(net, LOSS + Once(by=by), inputs, labels, epochs=1))
    four_lines(error)
    assert torch.equal(flat(net), good)
    next(LBFGS().fit(net, LOSS + Once(by=by), inputs, labels, epochs=1))


def test_a_term_that_is_linear_has_no_curvature():
    class Sum(SmallWeights):
        def value(self, net, prediction, labels):
            return sum(weight.sum() for weight in net.parameters())

    inputs, labels = problem()
    samples = [Sampled(small_net(), LOSS + more, inputs, labels) for more in (Sum(), 0 * SmallWeights())]
    v = random(len(samples[0].theta()), seed=1)
    close(samples[0].curvature()(v), samples[1].curvature()(v), 1e-14)


@pytest.mark.parametrize("scale", [1.0, 1e3])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("method", [GaussNewton(tolerance=0.0), HeadNewton(0.0), LBFGS(tolerance=0.0)])
def test_an_exact_fit_is_no_error(method, dtype, scale):
    inputs = random(40, 3).to(dtype)
    values = scale * inputs @ random(3, 2, seed=1).to(dtype)
    net = wp.Network(wp.Readout(3, 2)).to(dtype)
    records = list(method.fit(net, LeastSquares(), inputs, Labels(values), epochs=60))
    assert records[-1].value < 1e-9 * scale**2


def test_a_wrong_gradient_is_no_rounding_in_single_precision_either():
    class Rising(LeastSquares):
        def value(self, net, prediction, labels):
            return super().value(net, Turned.apply(prediction), labels)

    inputs, values = random(40, 3).float(), 1.0 + random(40, 2, seed=1).float()
    net = wp.Network(wp.Readout(3, 2))
    with pytest.raises(StepError, match="L-BFGS"):
        list(LBFGS().fit(net, Rising(), inputs, Labels(values), epochs=3))


def test_a_head_that_is_fixed_is_not_moved():
    inputs, labels = problem()
    net = small_net()
    net.parts[-1].requires_grad_(False)
    for method in (HeadNewton(), GaussNewton(project_head=True)):
        with pytest.raises(StructureError, match="is fixed"):
            list(method.fit(net, LOSS, inputs, labels, epochs=1))


def test_a_continuation_that_is_interrupted_does_not_go_to_the_next_level(tmp_path, monkeypatch):
    inputs, labels = problem()
    levels = [(GaussNewton(tolerance=0.0), 3), (GaussNewton(tolerance=0.0), 2)]

    def begun():
        return Continuation(levels).fit(small_net(), LOSS, inputs, labels, checkpoint=tmp_path / "c")

    whole = [record.value for record in Continuation(levels).fit(small_net(), LOSS, inputs, labels)]
    run = begun()
    next(run)

    def interrupted(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Sampled, "curvature", interrupted)
        with pytest.raises(KeyboardInterrupt):
            next(run)
    assert not list(run)
    assert len(run.fits) == 1
    assert not (tmp_path / "c.1").exists()
    again = begun()
    list(again)
    assert [record.value for record in again.records] == whole


def test_checkpoints_of_any_later_level_are_seen_before_anything_is_learned(tmp_path):
    inputs, labels = problem()
    method = GaussNewton(tolerance=0.0)

    def fit(*epochs):
        levels = [(method, count) for count in epochs]
        return Continuation(levels).fit(small_net(), LOSS, inputs, labels, checkpoint=tmp_path / "c")

    list(fit(1, 1, 1))
    (tmp_path / "c.1").unlink()
    (tmp_path / "c.0").unlink()
    with pytest.raises(UserError, match=r"other weights"):
        fit(1, 1, 1)


def test_near_the_end_rounding_is_no_failure():
    inputs, values = random(40, 3), random(40, 2, seed=1)
    net = wp.Network(wp.Readout(3, 2)).double()
    list(
        HeadNewton(tolerance=0.0).fit(net, LeastSquares() + SmallWeights(), inputs, Labels(values), epochs=50)
    )
    list(LBFGS(tolerance=0.0).fit(net, LeastSquares() + SmallWeights(), inputs, Labels(values), epochs=90))
    net = wp.Network(wp.Readout(3, 2)).double()
    for globalisation in ("line search", "trust region"):
        method = GaussNewton(tolerance=0.0, products=50, forcing=1e-3, globalisation=globalisation)
        run = method.fit(net, LeastSquares() + SmallWeights(), inputs, Labels(values), epochs=50)
        records = list(run)
        assert "rounding" in run.stop
        assert records[-1].gradient < 1e-7
        assert len(records) < 30


def test_heads_without_best_weights_are_refused():
    inputs, labels = problem()
    with pytest.raises(StructureError, match="no best weights") as error:
        list(GaussNewton(project_head=True).fit(small_net(), CrossEntropy(), inputs, labels, epochs=1))
    assert "SmallWeights" in error.value.way_out
    with pytest.raises(StructureError, match="no best weights"):
        list(HeadNewton().fit(small_net(), CrossEntropy(), inputs, labels, epochs=1))
    with pytest.raises(StructureError, match="no linear map"):
        GaussNewton(project_head=True).fit(
            wp.Network(*small_net().parts[:-1]), LOSS, inputs, labels, epochs=1
        )
    with pytest.raises(StructureError, match="no weights beside"):
        GaussNewton(project_head=True).fit(
            wp.Network(wp.Classify(2, 3)).double(), LOSS, inputs, labels, epochs=1
        )


@pytest.mark.parametrize("method", [GaussNewton(), LBFGS(), HeadNewton()], ids=str)
def test_methods_of_one_sample_refuse_batches_that_are_made(method):
    with pytest.raises(ShapeError, match="one sample at once") as error:
        method.fit(small_net(), LOSS, lambda seed: problem(), epochs=1)
    assert "SampleAverage" in error.value.way_out


@pytest.mark.parametrize(
    "settings",
    [
        {"tolerance": -1.0},
        {"forcing": 0.0},
        {"share": 0.0},
        {"products": 0},
        {"products": 2.5},
        {"share": 1.5},
    ],
)
def test_settings_out_of_range_are_refused(settings):
    with pytest.raises(ConfigError, match=r"these settings|a whole number"):
        GaussNewton(**settings)


def test_settings_of_other_methods_are_checked_too():
    for wrong in ({"history": 0}, {"rate": -1.0}, {"tolerance": -1.0}, {"tolerance": torch.nan}):
        with pytest.raises(ConfigError):
            LBFGS(**wrong)
    with pytest.raises(ConfigError, match="size"):
        SampleAverage(LBFGS(), -5)
    with pytest.raises(StructureError, match="method"):
        SampleAverage("lbfgs", 5)
    with pytest.raises(StructureError, match="through levels"):
        Continuation(3)
    inputs, labels = problem()
    with pytest.raises(StructureError, match="Network"):
        Continuation([(LBFGS(), 1)]).fit(nn.Sequential(small_net()), LOSS, inputs, labels)
    with pytest.raises(ConfigError, match="epochs"):
        LBFGS().fit(small_net(), LOSS, inputs, labels, epochs=1.5)
    with pytest.raises(ShapeError, match="by its number"):
        wp.fit(small_net(), LOSS, iter([]), epochs=1, seed=0)
    with pytest.raises(ShapeError, match="tensor, or made"):
        SampleAverage(LBFGS(), 5).fit(small_net(), LOSS, [problem()], epochs=1)


@pytest.mark.parametrize("method", METHODS, ids=str)
def test_precision_and_fixed_weights_are_said_before_anything_is_learned(method):
    inputs, labels = problem()
    net = small_net()
    good = flat(net)
    for given in ({"inputs": inputs.float()}, {"inputs": inputs, "held_out": (inputs.float(), labels)}):
        with pytest.raises(ShapeError, match="different precision") as error:
            list(method.fit(net, LOSS, labels=labels, epochs=1, **given))
        four_lines(error)
        assert torch.equal(flat(net), good)
    net = small_net().requires_grad_(False)
    with pytest.raises(StructureError, match="nothing to learn"):
        method.fit(net, LOSS, inputs, labels, epochs=1)


class Signs(nn.Module):
    """Has weights, and says nothing that moves with them."""

    def __init__(self):
        super().__init__()
        self.map = nn.Linear(2, 3).double()

    def forward(self, y):
        return (self.map(y) > 0).double()


@pytest.mark.parametrize("method", [GaussNewton(), GaussNewton(globalisation="trust region"), LBFGS()])
def test_where_nothing_moves_a_search_ends(method):
    inputs, labels = problem()
    run = method.fit(Signs(), CrossEntropy(), inputs, labels, epochs=3)
    assert len(list(run)) == 1
    assert "no slope" in run.stop
    unknown = Labels(labels.values, torch.zeros_like(labels.known))
    run = method.fit(small_net(), CrossEntropy(), inputs, unknown, epochs=3)
    assert len(list(run)) == 1
    assert "no slope" in run.stop


def test_a_continuation_does_not_take_a_later_level_that_began_elsewhere(tmp_path):
    inputs, labels = problem()
    method = GaussNewton(tolerance=0.0)

    def fit(*epochs):
        levels = [(method, count) for count in epochs]
        run = Continuation(levels).fit(small_net(), LOSS, inputs, labels, checkpoint=tmp_path / "c")
        return run, list(run)

    fit(1, 2)
    run, again = fit(1, 3)  # the last one may go on
    assert len(again) == 1
    assert len(run.records) == 4
    assert run.best.record.epoch == min(range(1, 4), key=lambda k: run.records[k].value)
    with pytest.raises(UserError, match="learned from other weights") as error:
        fit(2, 3)
    assert "c.1" in four_lines(error)
    (tmp_path / "c.1").unlink()
    assert len(fit(2, 3)[0].records) == 5


def test_names_are_checked():
    with pytest.raises(StructureError, match="globalisation"):
        GaussNewton(globalisation="line-search")
    with pytest.raises(StructureError, match="head"):
        SmallWeights(of="heads")
    with pytest.raises(StructureError, match="no head that is known"):
        SmallWeights(of="head").value(nn.Linear(2, 2), torch.zeros(1), Labels(torch.zeros(1)))


def test_a_wrong_curvature_is_seen():
    # The twin of the dense oracle: an objective that forgets a minus is caught by the law of its curvature.
    class Wrong(CrossEntropy):
        def curvature(self, prediction, labels, v):
            return 0.5 * super().curvature(prediction, labels, v)

    objective, net, inputs, labels = CrossEntropy.examples()[0]
    laws.curvature(objective, net, inputs, labels)
    with pytest.raises(laws.LawError):
        laws.curvature(Wrong(), net, inputs, labels)


def test_the_head_problem_is_the_objective_of_the_network():
    inputs, labels = problem()
    net = small_net()
    features = wp.Network(*net.parts[:-1])(inputs).detach()
    head = LinearHead.of(net)
    posed = HeadProblem(net, head, LOSS, features, labels)
    assert posed.value(head.matrix()).item() == pytest.approx(value_of(LOSS, net, inputs, labels))
    H = posed.curvature(head.matrix())
    exact = torch.autograd.functional.hessian(posed.value, head.matrix()).reshape(len(H), len(H))
    close(H, exact, 1e-10)


def test_objectives_that_do_not_see_weights_have_no_stiffness():
    net = small_net()
    assert CrossEntropy().stiffness(net) == {}
    total = (2.0 * SmoothInTime() + 3.0 * SmallWeights()).stiffness(net)
    name = "parts.1.control.weights.K"
    S, control = total[name], net.parts[1].control
    theta = control.params["K"].detach()
    # Quadratic in K, so that the value is half of K' S K, summed over the entries, and what does not see K.
    bent = torch.einsum("iab,ij,jab->", theta, S, theta).item() / 2
    whole, nothing = 2.0 * SmoothInTime() + 3.0 * SmallWeights(), torch.zeros((), dtype=torch.float64)
    value = whole.value(net, nothing, None).item()
    control.params["K"].data.zero_()
    assert value - whole.value(net, nothing, None).item() == pytest.approx(bent, rel=1e-10)


def test_settings_are_part_of_the_checkpoint(tmp_path):
    inputs, labels = problem()
    method = GaussNewton()
    list(method.fit(small_net(), LOSS, inputs, labels, epochs=1, checkpoint=tmp_path / "c"))
    with pytest.raises(UserError, match="another fit"):
        replace(method, products=3).fit(
            small_net(), LOSS, inputs, labels, epochs=1, checkpoint=tmp_path / "c"
        )
