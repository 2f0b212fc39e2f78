"""Networks: laws over the parts, runs of stages, recipes, archives that come back the same, refusals."""

import json
import zipfile
from copy import deepcopy
from itertools import pairwise

import pytest
import torch

import wellposed as wp
from refusals import four_lines
from wellposed import errors, laws
from wellposed.backward import Backprop, Reversed
from wellposed.errors import ConfigError, FileError, ShapeError, StepError, StructureError
from wellposed.learning import CrossEntropy, Labels, SmoothInTime, fit
from wellposed.network import Part, load, recipes, save

PARTS = laws.catalogue(Part)
RECIPES = ["imex", "residual", "parabolic", "hyperbolic", "unet"]


def random(*shape, seed=0, dtype=torch.float64):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def waves(steps, rule, channels=3, **options):
    f = wp.Hyperbolic(wp.Conv(channels), "tanh")
    return wp.Stage(f, wp.Leapfrog(), time=1.0, steps=steps, backward=rule, **options)


def small_network(rule=None):
    torch.manual_seed(0)
    rule = rule or Reversed()
    parts = [wp.Opening(1, 3, width=3), waves(3, rule), waves([1.0, 2.0], rule), wp.Classify(3, classes=2)]
    return wp.Network(*parts, spacing={"crossline_m": 25.0, "twt_ms": 4.0})


@pytest.mark.parametrize("entry", PARTS, ids=str)
def test_part_laws(entry):
    part, shape = entry.subject.double(), entry.context[0]
    laws.taylor(part, shape)
    laws.pure(part, random(*shape))
    given = part(random(*shape))
    assert given.shape[:2] == (shape[0], part.gives)
    assert shape[1] == part.takes


@pytest.mark.parametrize("name", RECIPES)
def test_recipes(name):
    net = getattr(recipes, name)(channels=(4, 6), classes=3, seed=1)
    again = getattr(recipes, name)(channels=(4, 6), classes=3, seed=1)
    for size in ((9, 12), (16, 7)):
        y = random(2, 1, *size, dtype=torch.float32)
        assert net(y).shape == (2, 3, *size)
        assert torch.equal(net(y), again(y))
    assert net.ratio() is None or net.ratio() <= 1


def test_channels_that_are_none_are_refused():
    for channels in (16, ()):
        with pytest.raises(StructureError, match="at each resolution") as error:
            wp.recipes.parabolic(channels)
        four_lines(error)
    with pytest.raises(ConfigError, match="levels"):
        wp.recipes.fully_hyperbolic(levels=-1)


def test_recipes_leave_the_global_generator_alone():
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    recipes.imex(channels=(4,))
    assert torch.equal(torch.rand(2), expected)


def test_a_recipe_learns():
    y = random(4, 1, 8, 8, dtype=torch.float32)
    labels = Labels((y[:, 0] > 0).long(), known=torch.ones(4, 8, 8, dtype=torch.bool))
    net = recipes.imex(channels=(4, 8), classes=2)
    records = list(fit(net, CrossEntropy() + 1e-4 * SmoothInTime(), y, labels, epochs=30, seed=0, rate=2e-2))
    assert records[-1].value < 0.75 * records[0].value


def test_a_run_keeps_its_velocity():
    # Two stages of waves are the one stage with all of their steps, by both rules.
    y = random(2, 3, 5, 6)
    for rule in (Backprop(), Reversed()):
        first, second = waves(3, rule).double(), waves([0.5, 1.5], rule).double()
        grid = [1 / 3, 1 / 3, 1 / 3, 0.25, 0.75]
        whole = wp.Stage(first.dynamics, wp.Leapfrog(), time=2.0, steps=grid, backward=rule).double()
        for name, value in whole.control.params.items():
            value.data = 0.3 * random(*value.shape)
            first.control.params[name].data, second.control.params[name].data = value[:4].data, value[3:].data
        run = wp.Network(first, second)
        torch.testing.assert_close(run(y), whole(y), rtol=1e-12, atol=1e-12)
        assert not torch.allclose(run(y), second(first(y)), rtol=1e-3)


def test_rules_agree_over_a_run():
    gradients = []
    for rule in (Backprop(), Reversed()):
        net = small_network(rule).double()
        net.parts[-1].map.kernel.data = random(2, 3)
        y = random(2, 1, 5, 6, seed=1).requires_grad_()
        net(y).square().sum().backward()
        gradients.append([y.grad, *(value.grad for value in net.parameters())])
    for a, b in zip(*gradients, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-11, atol=1e-12)


def test_the_house_example():
    net = wp.Network(
        wp.Opening(2, 4),
        wp.Stage(wp.Hyperbolic(wp.Dense(4)), wp.Leapfrog(), time=20.0, steps=64, backward=wp.Reversed()),
        wp.Classify(4, classes=2),
    )
    assert net(torch.randn(7, 2)).shape == (7, 2)


# Archives


@pytest.mark.parametrize("name", RECIPES)
@pytest.mark.parametrize("where", ["net", "net.zip"])
def test_round_trip(tmp_path, name, where):
    net = getattr(recipes, name)(channels=(4, 6), classes=3, seed=1)
    for value in net.parameters():
        value.data *= 1.01
    y = random(2, 1, 9, 12, dtype=torch.float32)
    found = load(save(net, tmp_path / where))
    assert torch.equal(found(y), net(y))
    for (a, value), (b, other) in zip(net.named_parameters(), found.named_parameters(), strict=True):
        assert a == b
        assert torch.equal(value, other)
    save(found, tmp_path / f"again-{where}")
    if where.endswith(".zip"):
        assert (tmp_path / where).read_bytes() == (tmp_path / f"again-{where}").read_bytes()


def test_an_archive_keeps_grid_rule_control_precision_and_spacing(tmp_path):
    control = wp.Control.constant(wp.Parabolic(wp.Conv(2)).start(), [0.0, 0.3, 2.0], "constant")
    stage = wp.Stage(
        wp.Parabolic(wp.Conv(2), "tanh"),
        wp.Euler(),
        time=2.0,
        steps=[1, 2, 5],
        control=control,
        bound="report",
    )
    net = wp.Network(stage, spacing={"twt_ms": 2.0}).double()
    found = load(save(net, tmp_path / "net.zip"))
    again = found.stages()[0]
    assert again.spans == stage.spans
    assert (again.dynamics, again.integrator, again.rule) == (stage.dynamics, stage.integrator, stage.rule)
    assert (again.control.basis, again.control.nodes.tolist()) == ("constant", [0.0, 0.3, 2.0])
    assert (again.bound, found.spacing) == ("report", {"twt_ms": 2.0})
    assert next(found.parameters()).dtype == torch.float64


def test_another_spacing_is_refused(tmp_path):
    path = save(small_network(), tmp_path / "net.zip")
    load(path, spacing={"crossline_m": 25.0, "twt_ms": 4.0})
    for spacing in ({"crossline_m": 12.5, "twt_ms": 4.0}, {"twt_ms": 4.0}):
        with pytest.raises(StructureError, match="spacing"):
            load(path, spacing=spacing)


def test_an_archive_beyond_its_bound_is_refused(tmp_path):
    net = small_network()
    for value in net.parameters():
        value.data *= 30
    with pytest.raises(StepError, match="beyond the bound"):
        load(save(net, tmp_path / "net"))
    for stage in net.stages():
        stage.bound = "report"
    assert load(save(net, tmp_path / "net")).ratio() > 1


def test_weights_that_stand_in_two_places_are_refused(tmp_path):
    stage = waves(3, Backprop())
    with pytest.raises(StructureError, match=r"which is parts\.0\."):
        save(wp.Network(stage, stage), tmp_path / "tied")
    assert not list(tmp_path.iterdir())
    save(wp.Network(stage, deepcopy(stage)), tmp_path / "own")


def test_what_is_no_archive_is_refused(tmp_path):
    folder, file = save(small_network(), tmp_path / "net"), save(small_network(), tmp_path / "net.zip")
    (tmp_path / "words.zip").write_text("no zip")
    (tmp_path / "empty").mkdir()
    (tmp_path / "cut.zip").write_bytes(file.read_bytes()[:-40])
    config = json.loads((folder / "network.json").read_text())
    config["network"]["parts"][0]["kind"] = "os.system"
    with zipfile.ZipFile(tmp_path / "strange.zip", "w") as archive:
        archive.writestr("network.json", json.dumps(config))
        archive.write(folder / "weights.safetensors", "weights.safetensors")
    (folder / "weights.safetensors").write_bytes(b"\0" * 64)
    for name in ("absent", "words.zip", "empty", "cut.zip", "strange.zip", "net"):
        with pytest.raises(FileError) as refused:
            load(tmp_path / name)
        assert len(str(refused.value).splitlines()) == 4


@pytest.mark.parametrize("name", ["net", "net.zip"])
def test_an_archive_takes_the_place_of_nothing_but_an_archive(tmp_path, name):
    net, target = small_network(), tmp_path / name

    def is_refused(path):
        before = sorted(tmp_path.rglob("*"))
        with pytest.raises(FileError, match="something else") as refused:
            save(net, path)
        assert len(str(refused.value).splitlines()) == 4
        assert sorted(tmp_path.rglob("*")) == before

    target.mkdir()
    (target / "thesis.txt").write_text("all of it")
    is_refused(target)
    save(net, tmp_path / "whole")
    (tmp_path / "whole" / "notes.txt").write_text("what it was")
    is_refused(tmp_path / "whole")
    (tmp_path / f"plain-{name}").write_text("a file")
    is_refused(tmp_path / f"plain-{name}")
    with zipfile.ZipFile(tmp_path / "photos.zip", "w") as archive:
        archive.writestr("one.png", b"")
    is_refused(tmp_path / "photos.zip")
    # A link is followed, to what is refused and to what is not.
    (tmp_path / "link").symlink_to(target)
    is_refused(tmp_path / "link")
    kept = save(net, tmp_path / f"kept-{name}")
    (tmp_path / "latest").symlink_to(kept)
    save(net, tmp_path / "latest")
    assert (tmp_path / "latest").is_symlink()
    save(net, kept)
    load(kept)


def test_an_archive_does_not_replace_the_folder_one_is_in(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in (".", tmp_path, ".."):
        with pytest.raises(FileError, match="something else"):
            save(small_network(), name)
    (tmp_path / "empty").mkdir()
    save(small_network(), "empty")
    (tmp_path / "empty.old").mkdir()
    (tmp_path / "empty.old" / "thesis.txt").write_text("all of it")
    with pytest.raises(FileError, match="something else"):
        save(small_network(), "empty")
    assert (tmp_path / "empty.old" / "thesis.txt").exists()


def test_what_is_no_network_is_refused(tmp_path):
    for thing in (waves(2, Backprop()), torch.nn.Linear(2, 2), wp.Network):
        with pytest.raises(StructureError) as refused:
            save(thing, tmp_path / "net")
        assert len(str(refused.value).splitlines()) == 4
    assert not list(tmp_path.iterdir())


def test_what_is_absent_or_of_unknown_classes_is_named(tmp_path):
    with pytest.raises(FileError, match="is not there"):
        load(tmp_path / "net.zip")
    config = tmp_path / "net" / "network.json"
    save(small_network(), tmp_path / "net")
    said = json.loads(config.read_text())
    config.write_text(json.dumps(said).replace("Leapfrog", "Leapfroggy"))
    with pytest.raises(FileError, match="Leapfroggy") as refused:
        load(tmp_path / "net")
    assert "import the module that defines Leapfroggy" in str(refused.value)
    config.write_text(json.dumps({**said, "network": said["network"]["parts"][1]}))
    with pytest.raises(FileError, match="no network") as refused:
        load(tmp_path / "net")
    assert "a Stage" in str(refused.value)


# Refusals


def test_every_error_is_a_name_of_the_package():
    kinds = {
        name for name, thing in vars(errors).items() if isinstance(thing, type) and name.endswith("Error")
    }
    assert kinds == set(errors.__all__)
    assert all(getattr(wp, name) is getattr(errors, name) for name in kinds)


def test_modules_that_are_no_parts_are_refused():
    other = torch.nn.Conv2d(3, 3, 1)
    for parts in ((other, waves(2, Backprop())), (other,), (wp.Opening,)):
        with pytest.raises(StructureError, match="has to be a Part"):
            wp.Network(*parts)


def test_channels_that_do_not_fit_are_refused():
    with pytest.raises(StructureError) as refused:
        wp.Network(wp.Opening(1, 4), waves(2, Backprop(), channels=3))
    assert "gives 4" in str(refused.value)
    assert "takes 3" in str(refused.value)
    with pytest.raises(StructureError):
        wp.Level(wp.Coarsen(2, 3), wp.Opening(3, 3), wp.Refine(3, 4))
    with pytest.raises(StructureError):
        wp.Network()


def test_a_run_that_damps_too_much_is_refused():
    f = wp.Hyperbolic(wp.Dense(2), damping=1.0)
    stages = [wp.Stage(f, wp.Leapfrog(), time=5.0, backward=wp.Reversed()) for _ in range(2)]
    with pytest.raises(StructureError, match="damping"):
        wp.Network(*stages)


def two_levels():
    torch.manual_seed(0)
    inner = wp.Network(waves(2, Backprop(), channels=4, bound="report"))
    level = wp.Level(wp.Coarsen(3, 4), inner, wp.Refine(4, 3))
    parts = [
        wp.Opening(1, 3, width=3),
        waves(3, Reversed(), bound="report"),
        level,
        waves([1.0, 2.0], Reversed(), bound="report"),
    ]
    return wp.Network(*parts, wp.Readout(3, 2)).double()


def test_a_trajectory_ends_where_the_network_does():
    net, y = small_network().double(), random(2, 1, 6, 5)
    found = net.trajectory(y)
    assert [tuple(a.shape[1:2]) for a in found] == [(1,), *[(3,)] * 6, (2,)]
    assert torch.allclose(found[-1], net(y), atol=1e-12)
    stage = wp.Stage(wp.Antisymmetric(wp.Dense(3)), wp.Midpoint(), time=1.0, steps=3).double()
    y = random(2, 3)
    path = stage.trajectory(y)
    assert len(path) == 4
    assert torch.equal(path[-1], stage(y))
    # The members of its state take turns, and still the features move a step at a time.
    moves = [float((b - a).detach().norm()) for a, b in pairwise(path)]
    assert max(moves) < float(y.norm())


@pytest.mark.parametrize("by", ["weights", "features"])
def test_jacobian_is_the_derivative_and_its_adjoint_fits(by):
    net, y = two_levels(), random(2, 1, 6, 5)
    J = net.jacobian(y, by)
    w = random(2, 2, 6, 5, seed=1)
    if by == "features":
        v = random(*y.shape, seed=2)
        moved = lambda h: net(y + h * v)  # noqa: E731
        right = (v * (J.T @ w)).sum()
    else:
        v = {name: random(*p.shape, seed=k) for k, (name, p) in enumerate(net.named_parameters())}

        def moved(h):
            weights = {name: p.detach() + h * v[name] for name, p in net.named_parameters()}
            return torch.func.functional_call(net, weights, (y,))

        pulled = J.T @ w
        right = sum((v[name] * pulled[name]).sum() for name in v)
    left = ((J @ v) * w).sum()
    assert float(abs(left - right) / abs(left)) < 1e-12
    with torch.no_grad():
        slope = (moved(1e-5) - moved(-1e-5)) / 2e-5
    assert float((slope - J @ v).norm() / slope.norm()) < 1e-8
    assert J.T.T is J


def test_replace_shares_the_weights_and_changes_the_rest():
    net, y = two_levels(), random(2, 1, 6, 5)
    other = net.replace(backward=Backprop())
    assert all(p is q for p, q in zip(net.parameters(), other.parameters(), strict=True))
    assert all(isinstance(stage.rule, Backprop) for stage in other.stages())
    assert isinstance(net.stages()[0].rule, Reversed)
    assert torch.allclose(net(y), other(y), atol=1e-12)
    other.register_forward_hook(lambda *_: pytest.fail("a hook of the other network"))
    net(y)
    with pytest.raises(StructureError, match="Euler needs a FirstOrder dynamics"):
        net.replace(integrator=wp.Euler())
    with pytest.raises(StepError):
        net.replace(time=1000.0, bound="refuse")


def test_refine_keeps_theta_and_nears_the_solution():
    net, y = two_levels(), random(2, 1, 6, 5)
    for stage in net.stages():
        for value in stage.parameters():
            value.data += 0.1 * random(*value.shape, seed=4)
    once, twice = net.refine(), net.refine().refine()
    coarse = [len(stage.spans) for stage in net.stages()]
    assert [len(stage.spans) for stage in once.stages()] == [2 * n for n in coarse]
    assert not any(p is q for p in net.parameters() for q in once.parameters())
    times = torch.linspace(0, 1, 41, dtype=torch.float64)
    for old, new in zip(net.stages(), once.stages(), strict=True):
        before, after = (s.control.at(s.control.params, times) for s in (old, new))
        assert all(torch.allclose(before[name], after[name], atol=1e-13) for name in before)
        assert len(new.control.nodes) > len(old.control.nodes)
    with torch.no_grad():
        exact = twice.refine().refine()(y)
        errors = [float((other(y) - exact).norm()) for other in (net, once, twice)]
    assert errors[0] > 3 * errors[1] > 9 * errors[2]  # leapfrog is of order two
    # A control with nodes of its own gets one between its nodes, not one for every sample.
    f = wp.Parabolic(wp.Dense(3))
    stage = wp.Stage(f, wp.Euler(), time=1.0, steps=8, control=wp.Control.constant(f.start(), [0.0, 1.0]))
    assert stage.refine().control.nodes.tolist() == [0.0, 0.5, 1.0]


def haar_network(rule, dtype=torch.float64):
    net = recipes.fully_hyperbolic(channels=2, classes=3, levels=2, steps=2, time=1.0, rank=4)
    net.parts[-1].map.kernel.data = random(3, 2, dtype=torch.float32)
    return net.replace(backward=rule).to(dtype)


def test_waves_and_haar_steps_are_one_march(monkeypatch):
    calls = []
    run = Reversed.run

    def counted(self, march, s):
        calls.append(len(march.updates))
        return run(self, march, s)

    monkeypatch.setattr(Reversed, "run", counted)
    y = random(2, 1, 8, 12)
    gradients = []
    for rule in (Reversed(), Reversed(anchors=4), Backprop(), wp.Checkpointed()):
        net = haar_network(rule)
        net(y).square().sum().backward()
        gradients.append(torch.cat([p.grad.flatten() for p in net.parameters()]))
    assert len(calls) == 2  # one march for five stages and four Haar steps, for each of the two rules
    for gradient in gradients[:2]:
        assert float((gradient - gradients[2]).norm() / gradients[2].norm()) < 1e-12
    path = haar_network(Reversed()).trajectory(y)
    assert [tuple(a.shape[1:]) for a in path][3:6] == [(2, 8, 12), (8, 4, 6), (8, 4, 6)]
    assert torch.allclose(path[-1], haar_network(Backprop())(y), atol=1e-12)


def test_a_haar_step_carries_the_velocity_on():
    """There and straight back it changes nothing, though the features alone would lose the velocity."""
    torch.manual_seed(0)
    first, second = waves(2, Reversed()).double(), waves(2, Reversed()).double()
    plain = wp.Network(first, second)
    turned = wp.Network(first, wp.Wavelet(3), wp.Wavelet(12, back=True), second)
    y = random(2, 3, 6, 4)
    assert torch.allclose(plain(y), turned(y), atol=1e-13)
    assert not torch.allclose(plain(y), second(first(y)))
    # Before any stage, and between features in halves, it is a part as any other.
    halves = [
        wp.Stage(wp.DoubleHamiltonian(wp.Conv(c)), wp.Verlet(), time=1.0, steps=2, halves=True).double()
        for c in (2, 8)
    ]
    net = wp.Network(wp.Wavelet(1), halves[0], wp.Wavelet(4), halves[1])
    y = random(2, 1, 8, 8)
    assert torch.allclose(net(y), halves[1](wp.Wavelet(4)(halves[0](wp.Wavelet(1)(y)))), atol=1e-13)


def test_fully_hyperbolic_loads_again(tmp_path):
    net = recipes.fully_hyperbolic(channels=2, levels=1, steps=2, time=1.0)
    y = random(1, 1, 4, 6, dtype=torch.float32)
    assert torch.equal(load(save(net, tmp_path / "net.zip"))(y), net(y))


def test_reversal_error_is_rounding_and_grows_with_damping():
    found = {}
    for damping in (0.0, 2.0):
        f = wp.Hyperbolic(wp.Dense(3), "tanh", damping=damping)
        stage = wp.Stage(f, wp.Leapfrog(), time=3.0, steps=12, bound="report")
        y = random(4, 3, dtype=torch.float32)
        found[damping] = wp.reversal_error(stage.march(), stage.open(y))
    f = wp.Hyperbolic(wp.Dense(3), "tanh", damping=4.0)
    stage = wp.Stage(f, wp.Leapfrog(), time=3.0, steps=12, bound="report")
    with pytest.raises(StructureError, match="what the damping took"):
        wp.reversal_error(stage.march(), stage.open(y))
    assert wp.reversal_error(stage.march(), stage.open(y), anchors=4) < found[2.0] * 10
    assert wp.reversal_error(stage.march(), stage.open(torch.zeros(2, 3)), anchors=4) == 0
    assert 0 < found[0.0] < 1e-5 < found[2.0] * 100
    assert found[2.0] > 3 * found[0.0]
    euler = wp.Stage(wp.Parabolic(wp.Dense(3)), wp.Euler(), time=1.0)
    with pytest.raises(StructureError, match="steps that can be undone"):
        wp.reversal_error(euler.march(), euler.open(random(4, 3, dtype=torch.float32)))


def test_anchors_let_damped_waves_be_reversed():
    """A velocity damped to a millionth cannot be brought back from its end, but from the next anchor."""
    torch.manual_seed(0)
    f = wp.Hyperbolic(wp.Dense(3), "tanh", damping=4.0)
    options = {"time": 4.0, "steps": 32, "bound": "report"}
    with pytest.raises(StructureError, match="what the damping took"):
        wp.Stage(f, wp.Leapfrog(), backward=Reversed(), **options)
    stage = wp.Stage(f, wp.Leapfrog(), backward=Reversed(anchors=8), **options)
    found = []
    for rule, dtype in ((Backprop(), torch.float64), (stage.rule, torch.float32)):
        start = random(4, 3, dtype=torch.float32).to(dtype).requires_grad_()
        stage.to(dtype).replace(backward=rule)(start).square().sum().backward()
        found.append(start.grad.double())
    assert float((found[1] - found[0]).norm() / found[0].norm()) < 1e-5
    with pytest.raises(StructureError, match="anchors lie some updates apart"):
        Reversed(anchors=0)


@pytest.mark.parametrize("steps", [3, 7, 10, 12])
@pytest.mark.parametrize("basis", ["linear", "constant"])
def test_refined_nodes_are_the_times_of_the_steps(steps, basis):
    """Times that are sums of steps meet a node but for rounding: no node beside a node, none missed."""
    f = wp.Antisymmetric(wp.Dense(2))
    times = wp.Stage(f, wp.RK4(), time=3.0, steps=steps, bound="report").discrete.times
    values = {name: random(len(times), *shape) for name, shape in f.shapes().items()}
    control = wp.Control(values, times, basis)
    stage = wp.Stage(f, wp.RK4(), time=3.0, steps=steps, control=control, bound="report").double()
    y = random(2, 2)
    assert torch.allclose(stage.replace()(y), stage(y), atol=1e-12)
    finer = stage
    for _ in range(2):
        finer = finer.refine()
        assert len(finer.control.nodes) == len(finer.discrete.times)
        at = finer.control.at(finer.control.params, times)
        assert all(torch.allclose(at[name], values[name], atol=1e-8) for name in values)


def test_refine_gives_weights_of_its_own_that_learn_as_before():
    f = wp.Parabolic(wp.Dense(2))
    stage = wp.Stage(f, wp.Euler(), time=1.0, steps=4, control=wp.Control.constant(f.start(), [0.0]))
    stage.control.weights["b"].requires_grad_(False)
    finer = stage.refine()
    assert all(
        finer.control.weights[name].data_ptr() != value.data_ptr()
        for name, value in stage.control.weights.items()
    )
    assert not finer.control.weights["b"].requires_grad
    assert finer.control.weights["K"].requires_grad


def test_a_stage_in_two_places_stays_one():
    torch.manual_seed(0)
    twice = waves(2, Backprop(), bound="report").double()
    net = wp.Network(twice, twice)
    other = net.replace(backward=Reversed())
    assert len(other.parts) == 2
    assert other.parts[0] is other.parts[1]
    y = random(2, 3, 4, 4)
    assert torch.allclose(net(y), other(y), atol=1e-12)
    J, v, w = net.jacobian(y, "features"), random(2, 3, 4, 4, seed=1), random(2, 3, 4, 4, seed=2)
    assert float(((J @ v) * w).sum()) == pytest.approx(float((v * (J.T @ w)).sum()))


def test_instruments_leave_running_averages_alone():
    net = wp.published.classifier("parabolic", "cifar10", steps=1).train()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    y = random(2, 3, 8, 8, dtype=torch.float32)
    wp.worst_growth(net, y, products=3)
    wp.gradient_norms(net, y)
    wp.largest_change(net, y, 0.1, ascents=2)
    net.jacobian(y) @ {name: torch.ones_like(p) for name, p in net.named_parameters()}
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    assert all(module.training for module in net.modules())


def test_what_does_not_divide_is_refused():
    for channels in (2, 5):
        with pytest.raises(StructureError, match="no bands"):
            wp.Wavelet(channels, back=True)
    with pytest.raises(ShapeError, match="nothing left to pool"):
        wp.Pool(2)(torch.zeros(1, 2, 1, 4))
