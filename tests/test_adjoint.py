"""Adjoint and backpropagation: formulas by hand, the Lagrangian, the adjoint of the continuous problem."""

import pytest
import torch

import wellposed as wp
from wellposed import laws
from wellposed.backward import Backprop, BackwardRule, Checkpointed, ContinuousAdjoint, Reversed
from wellposed.errors import StructureError
from wellposed.integrators import Implicit, Integrator, Invertible
from wellposed.network import kkt_residual

STRUCTURES = [
    wp.Antisymmetric(wp.Dense(3)),
    wp.Parabolic(wp.Dense(3), "tanh"),
    wp.Hamiltonian(wp.Dense(3), damping=0.3),
    wp.Hyperbolic(wp.Dense(3), "tanh", damping=0.4),
]
METHODS = [entry.subject for entry in laws.catalogue(Integrator)]
PAIRS = [
    pytest.param(f, method, id=f"{type(f).__name__}-{type(method).__name__}")
    for f in STRUCTURES
    for method in METHODS
    if method.fits(f) and not isinstance(method, Implicit)
]
PAIRS.append(pytest.param(STRUCTURES[1], wp.ImplicitMidpoint(), id="Parabolic-ImplicitMidpoint"))


def random(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def stage_of(f, method, steps=5, time=1.0, rule=None):
    path, nodes = laws.moving(f, seed=3), torch.linspace(0, time, 4, dtype=torch.float64)
    thetas = [path(float(t)) for t in nodes]
    control = wp.Control({name: torch.stack([theta[name] for theta in thetas]) for name in thetas[0]}, nodes)
    return wp.Stage(f, method, time=time, steps=steps, control=control, backward=rule, bound="report")


def loss(y):
    return (y - 0.3).square().sum() / 2


@pytest.mark.parametrize(("f", "method"), PAIRS)
def test_the_continuous_adjoint_converges_and_is_wrong_before(f, method):
    laws.convergence(ContinuousAdjoint(), method, f, (4, 3))


def test_the_continuous_adjoint_over_planes():
    f = wp.Reaction(wp.Conv(2), wp.Stencil(2), "tanh")
    laws.convergence(ContinuousAdjoint(), wp.IMEX(), f, (2, 2, 5, 4))


def test_the_continuous_adjoint_on_a_graded_grid_and_under_vjp():
    stage = stage_of(STRUCTURES[3], wp.Leapfrog(), [1.0, 2.0, 2.0, 4.0, 3.0], rule=ContinuousAdjoint(every=1))
    laws.gradient(ContinuousAdjoint(every=1), stage, (4, 3), allowed=0.2)
    with pytest.raises(laws.LawError):
        laws.gradient(ContinuousAdjoint(), stage, (4, 3))


class _Ambitious(ContinuousAdjoint):
    order = 4


class _Scaled(Backprop):
    """Ten per cent too much, on every grid."""

    exact, order = False, 2

    def run(self, march, s):
        y, *rest = super().run(march, s)
        return (1.1 * y - 0.1 * y.detach(), *rest)


@pytest.mark.parametrize("rule", [_Ambitious(), _Scaled(), Checkpointed()], ids=lambda r: type(r).__name__)
def test_convergence_rejects(rule):
    with pytest.raises(laws.LawError):
        laws.convergence(rule, wp.RK4(), STRUCTURES[0], (4, 3))


def test_an_adjoint_needs_a_grid():
    with pytest.raises(StructureError, match="the adjoint has a grid"):
        ContinuousAdjoint(every=0)


@pytest.mark.parametrize(("f", "method"), PAIRS)
def test_first_order_conditions(f, method):
    implicit = isinstance(method, Implicit)
    found = kkt_residual(stage_of(f, method), loss, random(4, 3))
    assert found.state < 1e-12, found
    assert max(found.adjoint, found.gradient) < (1e-9 if implicit else 1e-12), found


@pytest.mark.parametrize("rule", [entry.subject for entry in laws.catalogue(BackwardRule)], ids=repr)
def test_first_order_conditions_of_every_rule(rule):
    found = kkt_residual(stage_of(STRUCTURES[3], wp.Leapfrog(), rule=rule), loss, random(4, 3))
    wrong = max(found.adjoint, found.gradient)
    assert found.state < 1e-12
    assert wrong < 1e-12 if rule.exact else wrong > 1e-3, found


def test_first_order_conditions_see_a_wrong_rule():
    found = kkt_residual(stage_of(STRUCTURES[0], wp.RK4(), rule=_Scaled()), loss, random(4, 3))
    assert found.adjoint > 0.01
    assert found.gradient == pytest.approx(0.1 / 1.1, rel=1e-6)


# What follows is written by hand from the formulas, for columns y in R^n: the batch is the second axis here.


def tanh_layer(K, b, y):
    """s, its derivative d, and F = -K' s, for u = K y + b."""
    s = torch.tanh(K @ y + b[:, None])
    return s, 1 - s * s, -(K.T @ s)


def transposed_product(K, d, p):
    """J' p of F = -K' s(K y + b)."""
    return -(K.T @ (d * (K @ p)))


def by_weights(K, s, d, y, p):
    """The derivative of <p, F> by K and by b."""
    return -(s @ p.T + (d * (K @ p)) @ y.T), -(d * (K @ p)).sum(1)


def controlled(f, method, steps, h, **options):
    """A stage whose control lies on its own samples, so that each sample has weights of its own."""
    stage = wp.Stage(f, method, time=steps * h, steps=steps, bound="report", **options)
    generator = torch.Generator().manual_seed(5)
    for value in stage.double().parameters():
        value.data = 0.6 * torch.randn(value.shape, generator=generator, dtype=torch.float64)
    return stage


def computed(stage, y):
    """Features at the end, and the derivative of the loss by features and weights, in columns."""
    start = y.T.clone().requires_grad_()
    end = stage(start)
    names = list(stage.control.params)
    by = torch.autograd.grad(loss(end), [start, *stage.control.params.values()])
    return end.detach().T, by[0].T, dict(zip(names, by[1:], strict=True))


def assert_same(found, expected):
    assert float((found - expected).norm() / expected.norm()) < 1e-12


def test_adjoint_of_euler_by_hand():
    h, steps, y = 0.2, 5, random(3, 4)
    stage = controlled(wp.Parabolic(wp.Dense(3), "tanh"), wp.Euler(), steps, h)
    K, b = (stage.control.params[name].detach() for name in "Kb")
    states = [y]
    for j in range(steps):
        states.append(states[-1] + h * tanh_layer(K[j], b[j], states[-1])[2])
    p = states[-1] - 0.3
    end, by_y, by = computed(stage, y)
    assert_same(end, states[-1])
    for j in reversed(range(steps)):
        s, d, _ = tanh_layer(K[j], b[j], states[j])
        by_K, by_b = by_weights(K[j], s, d, states[j], p)
        assert_same(by["K"][j], h * by_K)
        assert_same(by["b"][j], h * by_b)
        p = p + h * transposed_product(K[j], d, p)
    assert_same(by_y, p)


@pytest.mark.parametrize("rule", [Backprop(), Reversed()], ids=repr)
def test_adjoint_of_published_leapfrog_by_hand(rule):
    h, steps, y = 0.3, 6, random(3, 4)
    f = wp.Hyperbolic(wp.Dense(3), "tanh")
    stage = controlled(f, wp.SymplecticEuler(), steps, h, backward=rule)
    K, b = (stage.control.params[name].detach() for name in "Kb")
    states = [y, y]  # Y_(-1) = Y_0
    for j in range(steps):
        states.append(2 * states[-1] - states[-2] + h**2 * tanh_layer(K[j], b[j], states[-1])[2])
    end, by_y, by = computed(stage, y)
    assert_same(end, states[-1])
    p, q = states[-1] - 0.3, torch.zeros_like(y)
    for j in reversed(range(steps)):
        s, d, _ = tanh_layer(K[j], b[j], states[j + 1])
        by_K, by_b = by_weights(K[j], s, d, states[j + 1], p)
        assert_same(by["K"][j], h**2 * by_K)
        assert_same(by["b"][j], h**2 * by_b)
        p, q = 2 * p - q + h**2 * transposed_product(K[j], d, p), p
    assert_same(by_y, p - q)


@pytest.mark.parametrize("rule", [Backprop(), Reversed()], ids=repr)
def test_adjoint_of_hamiltonian_by_hand(rule):
    """Z+ = Z - h s(K' Y + b), Y+ = Y + h s(K Z+ + b), undone on the way back: no state is kept."""
    h, steps, y = 0.3, 5, random(3, 4)
    stage = controlled(wp.Hamiltonian(wp.Dense(3)), wp.SymplecticEuler(), steps, h, backward=rule)
    K, b = (stage.control.params[name].detach() for name in "Kb")
    Y, Z = y, torch.zeros_like(y)
    for j in range(steps):
        Z = Z - h * torch.tanh(K[j].T @ Y + b[j][:, None])
        Y = Y + h * torch.tanh(K[j] @ Z + b[j][:, None])
    end, by_y, by = computed(stage, y)
    assert_same(end, Y)
    py, pz = Y - 0.3, torch.zeros_like(y)
    for j in reversed(range(steps)):
        s2 = torch.tanh(K[j] @ Z + b[j][:, None])
        a = h * (1 - s2 * s2) * py
        by_K, by_b = a @ Z.T, a.sum(1)
        pz = pz + K[j].T @ a
        Y = Y - h * s2
        s1 = torch.tanh(K[j].T @ Y + b[j][:, None])
        c = -h * (1 - s1 * s1) * pz
        assert_same(by["K"][j], by_K + Y @ c.T)
        assert_same(by["b"][j], by_b + c.sum(1))
        py = py + K[j] @ c
        Z = Z + h * s1
    assert_same(by_y, py)
    assert_same(Y, y)


def test_adjoint_of_adams_bashforth_by_hand():
    """p_n += h/12 J_n' (23 p_(n+1) - 16 p_(n+2) + 5 p_(n+3)) where the past is that of the method itself."""
    h, steps, y = 0.1, 7, random(3, 4)
    stage = controlled(wp.Parabolic(wp.Dense(3), "tanh"), wp.AB3(), steps, h)
    params = {name: value.detach() for name, value in stage.control.params.items()}
    thetas = stage.control.sample(params, stage.discrete.times)
    first = [stage.discrete.samples[j][0] for j in range(steps)]
    K, b = [thetas[k]["K"] for k in first], [thetas[k]["b"] for k in first]
    s = stage.integrator.open(stage.dynamics, y.T)
    begun = [s, *stage.discrete.states(thetas, s)][:3]  # two steps by RK4
    states = [state[0].T for state in begun]
    for j in range(2, steps):
        rates = [tanh_layer(K[j - k], b[j - k], states[j - k])[2] for k in range(3)]
        states.append(states[j] + h / 12 * (23 * rates[0] - 16 * rates[1] + 5 * rates[2]))
    end, _, by = computed(stage, y)
    assert_same(end, states[-1])
    p = {steps: states[-1] - 0.3, steps + 1: torch.zeros_like(y), steps + 2: torch.zeros_like(y)}
    for n in reversed(range(2, steps)):
        both = 23 * p[n + 1] - 16 * p[n + 2] + 5 * p[n + 3]
        s_n, d, _ = tanh_layer(K[n], b[n], states[n])
        by_K, by_b = by_weights(K[n], s_n, d, states[n], both)
        if n > 2:  # the weights at t_2 are those of the end of the start too
            assert_same(by["K"][first[n]], h / 12 * by_K)
            assert_same(by["b"][first[n]], h / 12 * by_b)
        p[n] = p[n + 1] + h / 12 * transposed_product(K[n], d, both)
    # The start has an adjoint of its own: what is left of the loss is a function of its states and rates.
    start = y.T.clone().requires_grad_()
    s = stage.integrator.open(stage.dynamics, start)
    two = list(stage.discrete.states(thetas, s))[1]
    # Of the rates that AB3 remembers, one step ago is f_1, two steps ago f_0.
    by_rates = (h / 12 * (-16 * p[3] + 5 * p[4]), h / 12 * 5 * p[3])
    value = (two[0] * p[2].T).sum() + sum((a * g.T).sum() for a, g in zip(two[1:], by_rates, strict=True))
    (by_start,) = torch.autograd.grad(value, start)
    assert_same(computed(stage, y)[1], by_start.T)


def test_adjoint_of_the_implicit_step_by_hand():
    """By Fourier the step is y t, t = 1 / (1 + h |k|^2): its own adjoint, with a gradient by the kernel."""
    h, n = 0.7, 6
    family = wp.Conv(2, boundary="periodic", depthwise=True)
    kernel = random(2, 1, 3, 3).requires_grad_()
    x = random(3, 2, n, n, seed=1).requires_grad_()
    D = family(kernel)
    y = (D.T @ D).solve_shifted(h, x)
    downstream = random(3, 2, n, n, seed=2)
    by_kernel, by_x = torch.autograd.grad(y, [kernel, x], downstream)
    embedded = torch.zeros(2, n, n, dtype=torch.float64)
    places = [(i, j) for i in range(3) for j in range(3)]
    for i, j in places:  # a correlation: entry (i, j) multiplies the sample at (i - 1, j - 1) from here
        embedded[:, (1 - i) % n, (1 - j) % n] = kernel.detach()[:, 0, i, j]
    k = torch.fft.fft2(embedded)
    t = 1 / (1 + h * k.abs() ** 2)
    a = torch.fft.ifft2(t * torch.fft.fft2(downstream)).real
    assert_same(by_x, a)
    A, Y = torch.fft.fft2(a), torch.fft.fft2(y.detach())
    g = -2 * h * torch.fft.ifft2((A.conj() * Y).real * k).real.sum(0)
    expected = torch.stack([g[:, (1 - i) % n, (1 - j) % n] for i, j in places], 1).reshape(2, 1, 3, 3)
    assert_same(by_kernel, expected)


EXACT = [rule for rule in (entry.subject for entry in laws.catalogue(BackwardRule)) if rule.exact]


@pytest.mark.parametrize("rule", EXACT, ids=repr)
@pytest.mark.parametrize(("f", "method"), PAIRS)
def test_every_exact_rule_gives_the_derivative_of_backprop(f, method, rule):
    try:
        stage = stage_of(f, method, 4, rule=rule)
    except StructureError:
        assert isinstance(rule, Reversed)  # all others take every update
        assert not isinstance(method, Invertible)
        return
    # Damping takes exp(-c t) of a velocity, and reversal multiplies its rounding by as much.
    laws.gradient(rule, stage, (4, 3), allowed=1e-9 if isinstance(method, Implicit) else 1e-12)
