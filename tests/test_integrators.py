"""Integrators and what they march: exact limits, conserved sums, published forms, derivatives, refusals."""

from math import inf, sqrt

import pytest
import torch
from torch.func import functional_call

from wellposed import laws
from wellposed.backward import Backprop, Checkpointed, Reversed
from wellposed.dynamics import (
    Antisymmetric,
    DoubleHamiltonian,
    Extent,
    Hamiltonian,
    Hyperbolic,
    OuterResidual,
    Parabolic,
    Plain,
    Reaction,
    SingleResidual,
    SymmetricReaction,
)
from wellposed.errors import StepError, StructureError
from wellposed.integrators import (
    AB2,
    AB3,
    IMEX,
    RK4,
    Euler,
    Heun,
    ImplicitEuler,
    ImplicitMidpoint,
    Leapfrog,
    Midpoint,
    SymplecticEuler,
    Verlet,
)
from wellposed.integrators.newton import NewtonKrylov, gmres
from wellposed.network import Classify, Network, Opening, Stage, load, save
from wellposed.operators import Conv, Dense, Skew, Stencil


def random(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def stage_of(dynamics, integrator, *, moving=0.2, **options):
    """A stage in float64 whose weights are different at every node."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        stage = Stage(
            dynamics, integrator, **{"time": 1.5, "steps": 5, "bound": "report", **options}
        ).double()
        for value in stage.parameters():
            value.data += moving * torch.randn_like(value)
    return stage


# Limits of stability, known exactly


@pytest.mark.parametrize(
    ("method", "real", "imaginary"),
    [
        (Euler(), 2.0, 0.0),
        (Heun(), 2.0, 0.0),
        (RK4(), 2.785294, 2 * sqrt(2)),
        (AB2(), 1.0, 0.0),
        (AB3(), 6 / 11, 12 / (5 * sqrt(11))),
        (Midpoint(), 0.0, 1.0),
        (Leapfrog(), 0.0, 2.0),
        (Verlet(), 0.0, 2.0),
        (SymplecticEuler(), 0.0, 2.0),
        (ImplicitEuler(), inf, inf),
        (ImplicitMidpoint(), inf, inf),
    ],
)
def test_limits_on_both_axes(method, real, imaginary):
    for extent, limit in ((Extent(1.0, 0.0), real), (Extent(0.0, 1.0), imaginary)):
        assert method.bound(extent) == pytest.approx(limit, rel=1e-5)
        assert method.bound(Extent(*(2 * e for e in extent[:2]))) == pytest.approx(limit / 2, rel=1e-5)


def test_on_a_rectangle_the_limit_is_less_than_on_either_axis():
    assert RK4().bound(Extent(1.0, 1.0)) == pytest.approx(0.68 * 2.7853, rel=0.1)


@pytest.mark.parametrize(("g", "w"), [(0.1, 1.0), (0.5, 2.0), (2.0, 0.3)])
def test_euler_with_damping_is_stable_up_to_its_triangle(g, w):
    assert Euler().bound(Extent(g, w, triangle=True)) == pytest.approx(2 * g / (g**2 + w**2), rel=1e-5)
    assert Euler().bound(Extent(g, w)) == 0.0


# What is conserved, and what the published forms are


def test_an_antisymmetric_network_keeps_its_sum():
    f, y = Antisymmetric(Dense(4)), random(3, 4)
    theta = {"K": random(4, 4, seed=1), "b": random(4, seed=2)}
    A = theta["K"] - theta["K"].T

    def energy(y):
        return (y @ A.T + theta["b"]).cosh().log().sum(1)

    s, drift = (y,), []
    for h in (0.02, 0.01):
        s = (y,)
        for _ in range(round(4 / h)):
            s = RK4().step(f, [theta] * 3, h, s)
        drift.append(float((energy(s[0]) - energy(y)).abs().max()))
    assert drift[0] < 1e-6
    assert drift[1] < drift[0] / 8


def test_a_hamiltonian_network_keeps_its_sum_to_second_order():
    f = Hamiltonian(Dense(3))
    theta = {"K": random(3, 3, seed=1), "b": random(3, seed=2)}
    y, z = random(2, 3), random(2, 3, seed=3)

    def energy(y, z):
        K, b = theta["K"], theta["b"]
        return ((z @ K.T + b).cosh().log() + (y @ K + b).cosh().log()).sum(1)

    drift = []
    for h in (0.1, 0.05):
        s, worst = (y, z), 0.0
        for _ in range(round(10 / h)):
            s = Verlet().step(f, [theta] * 3, h, s)
            worst = max(worst, float((energy(*s) - energy(y, z)).abs().max()))
        drift.append(worst)
    assert drift[0] < 0.02
    assert drift[0] / drift[1] == pytest.approx(4.0, rel=0.2)


def test_symplectic_euler_is_the_published_leapfrog_and_verlet():
    f, h, y = Hyperbolic(Dense(3), "tanh"), 0.3, random(2, 3)
    thetas = [{"K": random(3, 3, seed=k), "b": random(3, seed=k + 9)} for k in range(4)]
    s, before, now = f.open(y), y, y
    for theta in thetas:
        s = SymplecticEuler().step(f, [theta], h, s)
        before, now = now, 2 * now - before + h**2 * f.acceleration(theta, now)
        torch.testing.assert_close(s[0], now)
    one, z = Hamiltonian(Dense(3)), random(2, 3, seed=7)
    K, b = thetas[0]["K"], thetas[0]["b"]
    found = SymplecticEuler().step(one, [thetas[0]], h, (y, z))
    late = z - h * torch.tanh(y @ K + b)
    torch.testing.assert_close(found[1], late)
    torch.testing.assert_close(found[0], y + h * torch.tanh(late @ K.T + b))


def test_adams_bashforth_by_hand():
    f, h, y = SingleResidual(Dense(2)), 0.1, random(1, 2)
    theta = {"K": random(2, 2), "b": random(2)}
    s = AB3().open(f, y)
    for step in AB3().grid(f, [h] * 4):
        for update in step.updates:
            s = update([theta] * len(step.nodes), s)
    path, rates = [y], []
    for _ in range(2):
        rates.append(f.rate(theta, path[-1]))
        path.append(RK4().step(f, [theta] * 3, h, (path[-1],))[0])
    for _ in range(2):
        rates.append(f.rate(theta, path[-1]))
        path.append(path[-1] + h / 12 * (23 * rates[-1] - 16 * rates[-2] + 5 * rates[-3]))
    torch.testing.assert_close(s[0], path[-1])


def test_baselines_are_networks_at_a_step_of_one():
    y, theta = random(2, 3), {"K": random(3, 3, seed=1), "b": random(3, seed=2)}
    (found,) = Euler().step(Plain(Dense(3)), [theta], 1.0, (y,))
    torch.testing.assert_close(found, torch.relu(y @ theta["K"].T + theta["b"]))
    f = OuterResidual(Dense(3))
    double = {"K1": theta["K"], "K2": random(3, 3, seed=4), "b": theta["b"]}
    (found,) = Euler().step(f, [double], 1.0, (y,))
    u = y @ theta["K"].T
    u = u / (u.square().mean(1, keepdim=True) + 1e-3).sqrt()
    torch.testing.assert_close(found, torch.relu(y + torch.relu(u + theta["b"]) @ double["K2"].T))


def test_the_published_reaction_expands():
    f = SymmetricReaction(Conv(2), Stencil(2), norm="none")
    theta = {name: value.double() for name, value in f.start(torch.Generator().manual_seed(0)).items()}
    y = random(1, 2, 6, 6)
    assert float((y * f.explicit(theta, y)).sum()) > 0


def test_implicit_steps_solve_their_equation():
    f, y, h = Parabolic(Conv(2), "tanh"), random(3, 2, 5, 6), 2.0
    theta = laws.moving(f)(0.3)
    (x,) = ImplicitEuler().step(f, [theta], h, (y,))
    torch.testing.assert_close(x, y + h * f.rate(theta, x), rtol=1e-10, atol=1e-10)
    (x,) = ImplicitMidpoint().step(f, [theta], h, (y,))
    torch.testing.assert_close(x, y + h * f.rate(theta, (x + y) / 2), rtol=1e-10, atol=1e-10)
    # Each example is solved for itself.
    (alone,) = ImplicitMidpoint().step(f, [theta], h, (y[:1],))
    torch.testing.assert_close(alone, x[:1], rtol=1e-10, atol=1e-10)


def test_gmres_solves_every_example():
    A, b = random(3, 5, 5) + 4 * torch.eye(5, dtype=torch.float64), random(3, 5)
    x = gmres(lambda v: torch.einsum("bij,bj->bi", A, v), b, 1e-12, krylov=3)
    torch.testing.assert_close(torch.einsum("bij,bj->bi", A, x), b)


# Derivatives

MARCHES = [
    (Antisymmetric(Dense(3), damping=0.1), RK4()),
    (Antisymmetric(Conv(2, dims=1)), AB3()),
    (SingleResidual(Dense(3)), AB2()),
    (Parabolic(Dense(3), "tanh"), Heun()),
    (Antisymmetric(Dense(3)), Midpoint()),
    (Hamiltonian(Dense(3)), Verlet()),
    (DoubleHamiltonian(Conv(2, dims=1), "tanh", damping=0.2), SymplecticEuler()),
    (Parabolic(Dense(3), "tanh"), ImplicitEuler()),
    (Antisymmetric(Dense(3)), ImplicitMidpoint()),
]


def shape_of(f):
    return (2, f.channels) if isinstance(f.operator, Dense) else (2, f.channels, 5)


@pytest.mark.parametrize(("f", "method"), MARCHES, ids=str)
def test_derivatives_of_every_march(f, method):
    stage = stage_of(f, method)
    exact = not isinstance(method, ImplicitEuler | ImplicitMidpoint)
    laws.taylor(stage, shape_of(f))
    laws.gradient(Backprop(), stage, shape_of(f), allowed=1e-12 if exact else 1e-10)


@pytest.mark.parametrize(("f", "method"), MARCHES, ids=str)
@pytest.mark.parametrize("rule", [Checkpointed(), Checkpointed(every=2)], ids=str)
def test_checkpoints_agree_on_every_march(rule, f, method):
    exact = not isinstance(method, ImplicitEuler | ImplicitMidpoint)
    laws.gradient(rule, stage_of(f, method, steps=7), shape_of(f), allowed=1e-12 if exact else 1e-10)


@pytest.mark.parametrize("steps", [1, 4, 5])
@pytest.mark.parametrize(
    "pair", [pair for pair in MARCHES if isinstance(pair[1], Midpoint | Verlet | SymplecticEuler)], ids=str
)
def test_reversed_agrees_on_every_list_of_shears(pair, steps):
    laws.gradient(Reversed(), stage_of(*pair, steps=steps), shape_of(pair[0]), allowed=1e-11)


@pytest.mark.parametrize(("f", "method"), MARCHES, ids=str)
def test_forward_mode_is_the_transpose_of_backward(f, method):
    stage, y = stage_of(f, method), random(*shape_of(f))
    values = {name: value.detach() for name, value in stage.named_parameters()}
    along = {name: random(*value.shape, seed=5) for name, value in values.items()}

    def run(values, y):
        return functional_call(stage, values, (y,))

    v = random(*y.shape, seed=6)
    end, pushed = torch.func.jvp(run, (values, y), (along, v))
    w = random(*end.shape, seed=7)
    by_values, by_y = torch.func.vjp(run, values, y)[1](w)
    pulled = (by_y * v).sum() + sum((by_values[name] * along[name]).sum() for name in values)
    torch.testing.assert_close((pushed * w).sum(), pulled, rtol=1e-9, atol=1e-9)


# In a network


def test_stages_with_a_past_stand_alone_and_survive_an_archive(tmp_path):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        stages = [Stage(Antisymmetric(Dense(4)), m, time=1.0, steps=5) for m in (AB3(), AB3(), Midpoint())]
        waves = [
            Stage(Hamiltonian(Dense(4)), Verlet(), time=1.0, steps=n, backward=Reversed()) for n in (4, 3)
        ]
        net = Network(Opening(2, 4), *stages, *waves, Classify(4, classes=2))
    y = torch.randn(3, 2)
    by_hand = net.parts[0](y)
    for stage in stages:
        by_hand = stage(by_hand)
    torch.testing.assert_close(load(save(net, tmp_path / "net.zip"))(y), net(y))
    middle = Network(*list(net.parts)[:4])
    torch.testing.assert_close(middle(y), by_hand)


def test_one_odd_and_one_even_number_of_midpoint_steps_end_in_the_features():
    f = SingleResidual(Dense(2))
    theta = {"K": random(2, 2), "b": random(2)}
    y, h = random(1, 2), 0.1
    before, now = y, y + h * f.rate(theta, y)
    for count in (2, 3, 4):
        before, now = now, before + 2 * h * f.rate(theta, now)
        s = Midpoint().open(f, y)
        for step in Midpoint().grid(f, [h] * count):
            for update in step.updates:
                s = update([theta], s)
        torch.testing.assert_close(s[0], now)


# Wrong objects, which the laws must reject


class Hasty(AB3):
    """Begun by Euler: the order is lost in the first steps."""

    def grid(self, f, spans):
        lazy = Euler().grid(f, spans[:1])[0]

        def begin(thetas, s):
            y, *past = s
            return (lazy.updates[0](thetas, (y,))[0], f.rate(thetas[0], y), *past[:-1])

        steps = super().grid(f, spans)
        wrong = steps[2]._replace(updates=[type(lazy.updates[0])((0,), begin)])
        return [wrong, wrong, *steps[2:]]


class Rash(RK4):
    """Another third rate: of order three at most."""

    @property
    def tableau(self):
        return super().tableau._replace(weights=(1 / 4, 1 / 4, 1 / 4, 1 / 4))


def test_order_bites_on_starts_and_tableaux():
    for method in (Hasty(), Rash()):
        with pytest.raises(laws.LawError):
            laws.order(method, SingleResidual(Dense(3)), (2, 3))


def test_spectrum_bites_on_a_triangle_that_is_too_slim():
    class Bold(Antisymmetric):
        def extent(self, theta):
            return super().extent(theta)._replace(imaginary=0.3 * super().extent(theta).imaginary)

    with pytest.raises(laws.LawError):
        laws.spectrum(Bold(Dense(3), damping=0.2), (2, 3))


def test_bound_of_an_antisymmetric_part_bites():
    class Short(Skew):
        def norm(self):
            return 0.9 * float(torch.linalg.matrix_norm(self.as_matrix((3, 4)), 2))

    with pytest.raises(laws.LawError):
        laws.bound(Short(Skew.examples()[0][0].root), (2, 3, 4))


# Refusals


@pytest.mark.parametrize(
    ("build", "error", "word"),
    [
        (lambda: Stage(Antisymmetric(Dense(3)), AB3(), steps=[1.0, 2.0]), StructureError, "uniform"),
        (lambda: Stage(Antisymmetric(Dense(3)), Midpoint(), steps=[1.0, 2.0]), StructureError, "uniform"),
        (lambda: Stage(Antisymmetric(Dense(3)), Euler()), StepError, "RK4"),
        (lambda: Stage(Antisymmetric(Dense(3), damping=0.1), Midpoint()), StepError, "RK4"),
        (lambda: Stage(Parabolic(Dense(3)), Midpoint()), StepError, "RK4"),
        (lambda: Stage(Reaction(Conv(2), Stencil(2)), Midpoint()), StructureError, "IMEX"),
        (lambda: Stage(Parabolic(Dense(3)), Verlet()), StructureError, "RK4"),
        (lambda: Stage(Hamiltonian(Dense(3)), Leapfrog()), StructureError, "Verlet"),
        (lambda: Stage(Antisymmetric(Dense(3)), RK4(), backward=Reversed()), StructureError, "undone"),
        (lambda: Checkpointed(every=0), StructureError, "every=0"),
        (lambda: Parabolic(Dense(3), norm="chanel"), StructureError, "'channel'"),
        (lambda: Antisymmetric(Dense(3, out=2)), StructureError, "channels"),
        (lambda: Antisymmetric(Dense(3), damping=-1.0), StructureError, "negative"),
        (lambda: Hamiltonian(Dense(3), damping=float("nan")), StructureError, "negative"),
        (lambda: IMEX().check(Antisymmetric(Dense(3))), StructureError, "SemiLinear"),
    ],
)
def test_refusals(build, error, word):
    with pytest.raises(error) as refused:
        build()
    text = str(refused.value)
    assert word in text
    assert len(text.splitlines()) == 4


def test_a_step_that_has_no_end_is_refused():
    with pytest.raises(StepError, match="implicit step"):
        NewtonKrylov(iterations=8).root(lambda x: x.square() + 1, random(2, 3))
