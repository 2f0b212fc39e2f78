"""Dynamics, control, integrators, backward rules: laws over the catalogue, exact answers, twins, refusals."""

import re
from dataclasses import dataclass, replace
from math import inf

import pytest
import torch

import wellposed
from wellposed import laws
from wellposed.backward import Backprop, BackwardRule, Checkpointed, March, Reversed
from wellposed.control import Control
from wellposed.dynamics import (
    Antisymmetric,
    Dynamics,
    Extent,
    Hyperbolic,
    Parabolic,
    Reaction,
    Residual,
    SingleReaction,
)
from wellposed.errors import ShapeError, StepError, StructureError
from wellposed.integrators import (
    IMEX,
    Euler,
    Implicit,
    ImplicitEuler,
    Integrator,
    Invertible,
    Leapfrog,
    Shear,
    Update,
)
from wellposed.integrators.discretisation import merge
from wellposed.laws.dynamics import rates
from wellposed.network import Stage, limit_norms
from wellposed.operators import ConjugateGradients, Conv, Dense, Stencil

DYNAMICS = laws.catalogue(Dynamics)
EXACT = [entry.subject for entry in laws.catalogue(BackwardRule) if entry.subject.exact]
PAIRS = [
    pytest.param(
        method.subject,
        f.subject,
        f.context[0],
        id=f"{method}-{f}",
        marks=[pytest.mark.slow] if isinstance(method.subject, Implicit) and len(f.context[0]) > 3 else [],
    )
    for method in laws.catalogue(Integrator)
    for f in DYNAMICS
    if method.subject.fits(f.subject)
]
WAVES = Hyperbolic(Dense(3), "tanh")
GRADED = [0.2, 0.1, 0.4, 0.3, 0.5]


def random(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def stage_of(dynamics, integrator, *, moving=0.2, seed=0, **options):
    """A stage in float64 whose weights are different at every node."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        stage = Stage(dynamics, integrator, **{"time": 1.5, "steps": GRADED, "bound": "report", **options})
        stage = stage.double()
        for value in stage.parameters():
            value.data += moving * torch.randn_like(value)
    return stage


# Laws over the catalogue


@pytest.mark.parametrize("entry", DYNAMICS, ids=str)
def test_dynamics_laws(entry):
    f, shape = entry.subject, entry.context[0]
    laws.structure(f, shape)
    laws.spectrum(f, shape)
    laws.same_equation(f, shape)
    theta, y = laws.moving(f)(0.3), random(*shape)
    laws.pure(lambda y: torch.cat(rates(f, theta, (y, y)[: f.members])), y)
    assert {name: tuple(value.shape) for name, value in f.start().items()} == f.shapes()


@pytest.mark.parametrize(("method", "f", "shape"), PAIRS)
def test_integrator_laws(method, f, shape):
    laws.order(method, f, shape)
    assert laws.step_bound(method, f, shape) >= 1
    if isinstance(method, Invertible):
        laws.inverse(method, f, shape)


@pytest.mark.parametrize("damping", [0.0, 0.5])
@pytest.mark.parametrize("nodes", [None, [0.0, 0.7, 1.5]])
@pytest.mark.parametrize("rule", EXACT, ids=repr)
def test_rules_agree_on_waves(rule, nodes, damping):
    f = Hyperbolic(Conv(2), "tanh", damping)
    control = None if nodes is None else Control.constant(f.start(), nodes)
    laws.gradient(rule, stage_of(f, Leapfrog(), control=control), (2, 2, 5, 6))


@pytest.mark.parametrize("f", [Parabolic(Conv(2), "tanh"), Residual(Conv(2), "tanh")], ids=repr)
def test_backprop_of_first_order(f):
    laws.gradient(Backprop(), stage_of(f, Euler()), (2, 2, 5, 6))


def test_backprop_through_every_solve():
    for f, shape in Reaction.examples():
        solver = f.diffusion(random(*f.diffusion.shape)).solver
        allowed = 1e-9 if isinstance(solver, ConjugateGradients) else 1e-12
        laws.gradient(Backprop(), stage_of(f, IMEX()), shape, allowed=allowed)


def curved(stage, y, rule):
    """The Hessian of a loss times a direction: by a derivative of the derivative, and by differences."""
    stage = stage.replace(backward=rule)
    names, at = [name for name, _ in stage.named_parameters()], [y, *map(torch.detach, stage.parameters())]
    along = [random(*value.shape, seed=k) for k, value in enumerate(at)]

    def slopes(values, create_graph=False):
        leaves = [value.clone().requires_grad_() for value in values]
        end = torch.func.functional_call(stage, dict(zip(names, leaves[1:], strict=True)), (leaves[0],))
        value = end.square().sum()
        return leaves, torch.autograd.grad(value, leaves, create_graph=create_graph, **unused)

    unused = {"allow_unused": True, "materialize_grads": True}
    leaves, slope = slopes(at, create_graph=True)
    turned = sum((a * b).sum() for a, b in zip(slope, along, strict=True))
    twice = torch.autograd.grad(turned, leaves, **unused)
    sides = [slopes([a + h * b for a, b in zip(at, along, strict=True)])[1] for h in (1e-5, -1e-5)]
    differences = [(a - b) / 2e-5 for a, b in zip(*sides, strict=True)]
    return tuple(torch.cat([value.flatten() for value in found]) for found in (twice, differences))


@pytest.mark.parametrize("rule", [entry.subject for entry in laws.catalogue(BackwardRule)], ids=repr)
@pytest.mark.parametrize(
    ("f", "method"),
    [
        (Hyperbolic(Dense(3), "tanh", 0.5), Leapfrog()),
        (Parabolic(Dense(3), "tanh"), Euler()),
        (Parabolic(Dense(3), "tanh"), ImplicitEuler()),
    ],
    ids=repr,
)
def test_a_derivative_of_the_derivative_is_right_or_refused(f, method, rule):
    stage, y = stage_of(f, method), random(2, 3)
    if isinstance(rule, Reversed) and not isinstance(method, Invertible):
        return
    if not rule.exact:
        with pytest.raises(StructureError, match="no second derivative"):
            curved(stage, y, rule)
        return
    twice, differences = curved(stage, y, rule)
    assert float((twice - differences).norm() / differences.norm()) < 1e-8


def test_differences_see_a_derivative_that_is_no_function_of_its_state():
    class Frozen(Backprop):
        """Right once; what it gives does not depend on the features any more."""

        def run(self, march, s):
            return tuple(_Frozen.apply(march, *s))

    twice, differences = curved(stage_of(WAVES, Leapfrog()), random(2, 3), Frozen())
    assert float((twice - differences).norm() / differences.norm()) > 0.01


class _Frozen(torch.autograd.Function):
    @staticmethod
    def forward(ctx, march, *s):
        with torch.enable_grad():
            ctx.leaves = [a.detach().requires_grad_() for a in s]
            ctx.ends = Backprop().run(march, tuple(ctx.leaves))
        return tuple(a.detach() for a in ctx.ends)

    @staticmethod
    def backward(ctx, *gradients):
        return None, *torch.autograd.grad(ctx.ends, ctx.leaves, gradients, retain_graph=True)


@pytest.mark.parametrize("basis", ["linear", "constant"])
def test_refinement_leaves_the_path(basis):
    control = Control({"K": random(4, 2, 3)}, [0.0, 0.5, 1.5, 2.0], basis)
    laws.refine(control, [0.0, 0.2, 0.5, 0.7, 1.5, 1.9, 2.0, 3.0])


def test_diffusion_is_passive():
    laws.passive(stage_of(Parabolic(Conv(3)), Euler(), steps=12), (2, 3, 6, 5))


@pytest.mark.slow
def test_memory_of_reversed_does_not_grow():
    laws.memory(Reversed())
    with pytest.raises(laws.LawError):
        laws.memory(Backprop())


# Exact answers


def test_euler_on_a_matrix():
    # relu of positive numbers is linear: y <- y - h K'K y
    K, y = torch.eye(2, dtype=torch.float64) * 2, torch.tensor([[1.0, 3.0]], dtype=torch.float64)
    theta = {"K": K, "b": torch.zeros(2, dtype=torch.float64)}
    (found,) = Euler().step(Parabolic(Dense(2)), [theta], 0.1, (y,))
    torch.testing.assert_close(found, 0.6 * y)


def test_leapfrog_on_one_wave():
    # Positive y under relu: y'' = -w^2 y, a step turns (y, v / w) by arccos(1 - (h w)^2 / 2).
    theta = {
        "K": torch.tensor([[1.5]], dtype=torch.float64),
        "b": torch.zeros(1, dtype=torch.float64),
    }
    y = torch.tensor([[1.0]], dtype=torch.float64)
    y1, v1 = Leapfrog().step(Hyperbolic(Dense(1)), [theta, theta], 0.2, (y, 0 * y))
    assert float(y1) == pytest.approx(1 - (0.2 * 1.5) ** 2 / 2)
    assert float(v1) == pytest.approx(-0.1 * 1.5**2 * (1 + float(y1)))


def test_imex_without_reaction_is_the_solve():
    f, y = Reaction(Conv(2), Stencil(2)), random(1, 2, 5, 6)
    theta = {name: torch.zeros(shape, dtype=torch.float64) for name, shape in f.shapes().items()}
    theta["d"] = random(*f.diffusion.shape)
    (found,) = IMEX().step(f, [theta], 0.7, (y,))
    L = f.linear(theta)
    torch.testing.assert_close(found + 0.7 * (L @ found), y)


@pytest.mark.parametrize(
    ("method", "extent", "bound"),
    [
        (Euler(), Extent(4.0, 0.0), 0.5),
        (Euler(), Extent(0.0, 1.0), 0.0),
        (Euler(), Extent(0.0, 0.0), inf),
        (IMEX(), Extent(2.0, 0.0), 1.0),
        (Leapfrog(), Extent(0.0, 4.0), 0.5),
        (Leapfrog(), Extent(1.0, 0.0), 0.0),
    ],
)
def test_bounds(method, extent, bound):
    assert method.bound(extent) == pytest.approx(bound, rel=1e-6)
    assert method.bound(extent) <= bound


def test_neighbouring_kicks_are_one_evaluation():
    stage = stage_of(WAVES, Leapfrog())
    kicks = [update for update in stage.discrete.updates if update.samples]
    assert len(kicks) == len(GRADED) + 1
    # ... and give what the steps give one by one.
    y, h = random(2, 3), [1.5 * part / sum(GRADED) for part in GRADED]
    s = WAVES.open(y)
    thetas = stage.march().thetas
    for place, length in enumerate(h):
        s = Leapfrog().step(WAVES, thetas[place : place + 2], length, s)
    torch.testing.assert_close(stage(y), s[0], rtol=1e-14, atol=1e-14)


def test_the_last_kick_is_not_seen():
    march = stage_of(WAVES, Leapfrog()).march()
    assert len(march.seen().updates) == len(march.updates) - 1


def test_shears_merge_only_where_nothing_lies_between():
    def u(thetas, others):
        return others[0]

    kick, drift = Shear((0,), 1, u, r=2.0, c=0.5), Shear((), 0, u, r=1.0)
    both = merge([kick, replace(kick, r=1.0)])
    assert [(shear.r, shear.c) for shear in both] == [(2.0, 0.25)]
    assert len(merge([kick, drift, kick])) == 3
    assert len(merge([kick, kick.taking((1,))])) == 2


def test_control_is_linear_between_nodes():
    control = Control({"b": torch.tensor([[0.0], [2.0], [2.0]])}, [0.0, 1.0, 3.0])
    found = control.at(control.params, [-1.0, 0.25, 1.0, 2.0, 5.0])["b"][:, 0]
    torch.testing.assert_close(found, torch.tensor([0.0, 0.5, 2.0, 2.0, 2.0]))
    held = Control(control.params, [0.0, 1.0, 3.0], "constant")
    found = held.at({"b": torch.tensor([[0.0], [1.0], [2.0]])}, [0.99, 1.0, 9.0])["b"][:, 0]
    torch.testing.assert_close(found, torch.tensor([0.0, 1.0, 2.0]))


def test_bounded_reaction():
    # The norm bounds the rate, however large the features are.
    f, y = Residual(Conv(3)), random(1, 3, 6, 6)
    theta = {name: value.double() for name, value in f.start().items()}
    far = f.rate(theta, 1e6 * y).norm()
    assert float(far) == pytest.approx(float(f.rate(theta, 1e3 * y).norm()), rel=1e-3)


# Wrong objects, which the laws must reject


def test_structure_bites():
    class Half(Reaction):
        def rate(self, theta, y):
            return 0.5 * super().rate(theta, y)

    class Accelerated(Hyperbolic):
        def rate_second(self, theta, y):
            return self.acceleration(theta, 2 * y)

    for f, shape in ((Half(Conv(2), Stencil(2), "tanh"), (1, 2, 4, 5)), (Accelerated(Dense(3)), (2, 3))):
        with pytest.raises(laws.LawError):
            laws.structure(f, shape)


def test_same_equation_bites():
    class Kept(Parabolic):
        def remesh(self, theta, ratio):
            return dict(theta)

    class Forgetful(SingleReaction):
        def remesh(self, theta, ratio):
            return {**super().remesh(theta, ratio), "D": theta["D"]}

    class Spatial(Parabolic):
        def remesh(self, theta, ratio):
            return {**super().remesh(theta, ratio), "b": 2 * theta["b"]}

    for f, shape in (
        (Kept(Conv(2), "tanh"), (2, 2, 5, 6)),
        (Forgetful(Conv(2), Stencil(2), "tanh"), (2, 2, 5, 6)),
        (Spatial(Dense(3), "tanh"), (2, 3)),
    ):
        with pytest.raises(laws.LawError, match="same equation"):
            laws.same_equation(f, shape)


def test_same_equation_sees_numbers_that_are_lost_and_second_differences():
    class Lost(Parabolic):
        def remesh(self, theta, ratio):
            return {name: value * torch.nan for name, value in theta.items()}

    class Kept(Parabolic):
        def remesh(self, theta, ratio):
            return dict(theta)

    for f in (Lost(Conv(2), "tanh"), Kept(Stencil(2), "tanh")):
        with pytest.raises(laws.LawError):
            laws.same_equation(f, (2, 2, 5, 6))


def test_spectrum_and_bound_bite():
    class Bold(Parabolic):
        def extent(self, theta):
            return Extent(super().extent(theta).real / 2, 0.0)

    class Timid(Parabolic):
        def extent(self, theta):
            return Extent(super().extent(theta).real * 5, 0.0)

    with pytest.raises(laws.LawError):
        laws.spectrum(Bold(Dense(3), "tanh"), (1, 3))
    for f in (Bold(Dense(3), "tanh"), Timid(Dense(3), "tanh")):
        with pytest.raises(laws.LawError):
            laws.step_bound(Euler(), f, (1, 3))


@dataclass(frozen=True)
class Stale(Leapfrog):
    """Both kicks with the weights of the beginning: of order one where they move."""

    def shears(self, f, h):
        first, drift, second = super().shears(f, h)
        return [first, drift, second.taking((0,))]


@dataclass(frozen=True)
class Forgetful(Shear):
    """Undoes without the factor."""

    def undo(self, s, u):
        return replace(self, c=1.0).undo(s, u) if self.c != 1.0 else super().undo(s, u)


@dataclass(frozen=True)
class Lossy(Leapfrog):
    """Damped shears that are not undone as they were done."""

    def shears(self, f, h):
        return [Forgetful(s.samples, s.member, s.u, s.r, s.c) for s in super().shears(f, h)]


def test_order_bites():
    with pytest.raises(laws.LawError):
        laws.order(Stale(), WAVES, (2, 3))


def test_inverse_bites():
    with pytest.raises(laws.LawError):
        laws.inverse(Lossy(), Hyperbolic(Dense(3), "tanh", damping=0.4), (2, 3))


def test_gradient_bites():
    class Deaf(Backprop):
        """Right for the features, silent about the weights."""

        def run(self, march, s):
            thetas = [{name: value.detach() for name, value in theta.items()} for theta in march.thetas]
            return super().run(March(tuple(thetas), march.updates), s)

    stage = stage_of(WAVES, Leapfrog())
    for rule in (Deaf(), _ClosedOver()):
        with pytest.raises(laws.LawError):
            laws.gradient(rule, stage, (2, 3))
    with pytest.raises(laws.LawError):
        laws.gradient(Reversed(), stage_of(Hyperbolic(Dense(3), "tanh", damping=0.4), Lossy()), (2, 3))


class _ClosedOver(BackwardRule):
    """Sees the weights only by closure: what it gives is the derivative by the features alone."""

    exact = True

    def check(self, updates):
        pass

    def run(self, march, s):
        class Closed(torch.autograd.Function):
            @staticmethod
            def forward(*state):
                return Backprop().run(march, state)

            @staticmethod
            def setup_context(ctx, inputs, output):
                ctx.save_for_backward(*inputs)

            @staticmethod
            def backward(ctx, *gradients):
                state = tuple(tensor.view_as(tensor) for tensor in ctx.saved_tensors)
                return torch.func.vjp(lambda *s: Backprop().run(march, s), *state)[1](gradients)

        return Closed.apply(*s)

    @classmethod
    def examples(cls):
        return [cls()]


def test_refine_and_passive_bite():
    class Shifted(Control):
        def refine(self, nodes):
            finer = super().refine(nodes)
            return Control({name: value.roll(1, 0) for name, value in finer.params.items()}, finer.nodes)

    with pytest.raises(laws.LawError):
        laws.refine(Shifted({"K": random(3, 2)}, [0.0, 1.0, 2.0]), [0.0, 0.5, 1.0, 2.0])
    with pytest.raises(laws.LawError):
        laws.passive(stage_of(Parabolic(Conv(3)), Euler(), steps=1, time=30.0), (2, 3, 6, 5))


def test_taylor_bites():
    class Wrong(torch.nn.Module):
        def forward(self, y):
            return y.square().detach() * 1.0 + y

    with pytest.raises(laws.LawError):
        laws.taylor(Wrong(), (2, 3))


# Refusals


def test_integrators_refuse_what_does_not_fit():
    with pytest.raises(StructureError) as refused:
        Stage(Parabolic(Conv(2)), Leapfrog())
    text = str(refused.value)
    assert "Leapfrog" in text
    assert "Parabolic" in text
    assert "Euler" in text.splitlines()[-1]
    assert len(text.splitlines()) == 4
    for f, method in ((WAVES, Euler()), (WAVES, IMEX()), (Residual(Conv(2)), IMEX())):
        with pytest.raises(StructureError):
            method.check(f)


def test_reversed_refuses_what_cannot_be_undone():
    with pytest.raises(StructureError, match="undone"):
        Stage(Parabolic(Conv(2)), Euler(), backward=Reversed())
    with pytest.raises(StructureError, match="damping"):
        Stage(Hyperbolic(Conv(2), damping=3.0), Leapfrog(), backward=Reversed())
    with pytest.raises(StructureError):
        Reversed().check([Update((0,), lambda thetas, s: s)])


def test_a_step_beyond_its_bound_is_refused_with_the_number():
    with pytest.raises(StepError) as refused:
        Stage(Parabolic(Conv(2)), Euler(), time=40.0, steps=4)
    assert "h = 10" in str(refused.value)
    bound, reach, size = map(
        float, re.findall(r"at most (\S+) = (\S+) / (\S+) \(reach", str(refused.value))[0]
    )
    assert reach == pytest.approx(2.0, rel=1e-2)  # Euler on the real axis
    assert bound == pytest.approx(reach / size, rel=2e-3)
    stage = Stage(Parabolic(Conv(2)), Euler(), time=40.0, steps=4, bound="report")
    assert stage.ratio() > 1
    with pytest.raises(StepError):
        stage.check_bound()


def test_where_no_step_is_stable_the_way_out_is_one():
    """Smaller weights would not help: what is named does."""
    with pytest.raises(StepError, match="no step of Euler is stable") as refused:
        Stage(Antisymmetric(Dense(3)), Euler())
    text = str(refused.value)
    assert "smaller weights" not in text
    assert "a damping above zero" in text
    named = [word for word in text.splitlines()[-1].split() if word in dir(wellposed)]
    assert "RK4" in named
    assert "Heun" not in named
    for name in {*named} - {"Antisymmetric"}:
        Stage(Antisymmetric(Dense(3)), getattr(wellposed, name)())
    Stage(Antisymmetric(Dense(3), damping=0.5), Euler(), steps=32)
    with pytest.raises(StepError, match="no step of Euler"):
        limit_norms(Stage(Antisymmetric(Dense(3)), Euler(), bound="report"))


@pytest.mark.parametrize("rule", [Reversed(), Reversed(anchors=2), Checkpointed()], ids=str)
def test_forward_mode_through_a_rule_by_hand_is_refused_in_words(rule):
    stage = Stage(WAVES, Leapfrog(), time=1.0, steps=3, backward=rule)
    y = random(2, 3).to(torch.float32)
    for ask in (
        lambda: torch.func.jvp(stage, (y,), (y,)),
        lambda: torch.func.hessian(lambda y: stage(y).sum())(y),
        lambda: torch.func.vmap(stage)(y[:, None]),
    ):
        with pytest.raises(StructureError, match="knows the way back"):
            ask()


@pytest.mark.parametrize("lost", [float("nan"), float("inf")])
def test_weights_that_are_no_numbers_are_named(lost):
    stage = Stage(Parabolic(Conv(2)), Euler(), time=1.0, steps=4)
    with torch.no_grad():
        stage.control.params["K"][1] = lost
    for ask in (stage.ratio, stage.check_bound, lambda: limit_norms(stage)):
        with pytest.raises(StepError, match="in K"):
            ask()


def test_the_steps_that_are_asked_for_are_enough():
    # An uneven grid: the longest step counts, where the weights are largest.
    stage = stage_of(Parabolic(Dense(3)), Euler(), time=30.0)
    worst = stage.ratio()
    finer = Stage(
        stage.dynamics, Euler(), time=30.0 / worst, steps=GRADED, bound="report", control=stage.control
    )
    assert worst > 1
    assert finer.ratio() < worst


@pytest.mark.parametrize(
    ("build", "error"),
    [
        (lambda: Parabolic(Conv(2), "rellu"), StructureError),
        (lambda: Parabolic(Conv(2), torch.relu), StructureError),
        (lambda: Parabolic(Conv(2), torch.nn.Tanh()), StructureError),
        (lambda: Hyperbolic(3), StructureError),
        (lambda: Hyperbolic(Conv), StructureError),
        (lambda: Residual(torch.nn.Conv2d(2, 2, 3)), StructureError),
        (lambda: Reaction(Conv(2), 3), StructureError),
        (lambda: Stage(Hyperbolic, Leapfrog()), StructureError),
        (lambda: Stage(WAVES, Leapfrog), StructureError),
        (lambda: Stage(WAVES, Leapfrog(), backward=Reversed), StructureError),
        (lambda: Stage(WAVES, Leapfrog(), control={"K": torch.zeros(1, 3, 3)}), StructureError),
        (lambda: Stage(WAVES, Leapfrog(), bound="refused"), StructureError),
        (lambda: Stage(WAVES, Leapfrog(), steps=2.5), StructureError),
        (lambda: Stage(WAVES, Leapfrog(), steps=torch.tensor(4)), StructureError),
        (lambda: Stage(WAVES, Leapfrog(), time="4"), StructureError),
        (lambda: Stage(WAVES, Leapfrog(), halves=True)(torch.zeros(1, 3)), ShapeError),
        (lambda: Stage(Residual(Conv(2)), Euler())(torch.zeros(1, 2, 4)), ShapeError),
        (lambda: Hyperbolic(Conv(2), damping=-1.0), StructureError),
        (lambda: Residual(Conv(2, out=3)), StructureError),
        (lambda: Control({"K": torch.zeros(3, 2)}, [0.0, 1.0]), StructureError),
        (lambda: Control({"K": torch.zeros(2, 2)}, [1.0, 1.0]), StructureError),
        (lambda: Control({"K": torch.zeros(2, 2)}, [0.0, 1.0], "cubic"), StructureError),
        (lambda: Control({"K": torch.zeros(2, 2)}, [0.0, 1.0]).refine([0.0, 2.0]), StructureError),
        (lambda: Stage(Residual(Conv(2)), Euler(), steps=0), StructureError),
        (lambda: Stage(Residual(Conv(2)), Euler(), time=-1.0), StructureError),
        (
            lambda: Stage(Residual(Conv(2)), Euler(), control=Control({"K": torch.zeros(1, 2)}, [0.0])),
            StructureError,
        ),
        (lambda: Stage(Residual(Conv(2)), Euler())(torch.zeros(1, 3, 4, 4)), ShapeError),
    ],
)
def test_refusals(build, error):
    with pytest.raises(error) as refused:
        build()
    assert len(str(refused.value).splitlines()) == 4
