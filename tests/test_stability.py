"""Stability: exact answers for every instrument, and for each a wrong object that it must tell apart."""

from dataclasses import replace
from math import sqrt

import pytest
import torch

import wellposed as wp
from linear_flow import Linear, random
from refusals import four_lines
from wellposed import laws
from wellposed.errors import ResourceError, ShapeError, StepError, StructureError
from wellposed.network import Part, Readout, recipes
from wellposed.stability import (
    certified_bound,
    field_of_view,
    gradient_norms,
    jacobian_eigenvalues,
    kinematic_eigenvalues,
    kinematic_exponents,
    largest_change,
    well_posedness,
    worst_growth,
)
from wellposed.stability.certified import disk
from wellposed.stability.march import carry, passages

ROTATION = torch.tensor([[0.0, -1.0], [1.0, 0.0]], dtype=torch.float64)
SPREADS = torch.tensor([[2.0, -2.0], [0.0, 2.0]], dtype=torch.float64)
PARTS = laws.catalogue(Part)


def linear(K, integrator, *, time, steps, nodes=(0.0,)):
    """A stage of y' = K(t) y."""
    control = wp.Control({"K": K if K.ndim == 3 else K[None]}, nodes)
    f = Linear(wp.Dense(K.shape[-1]))
    return wp.Stage(f, integrator, time=time, steps=steps, control=control, bound="report")


def stage(f, integrator, *, time=1.0, steps=3, scale=1.0, seed=0, **options):
    """A stage in float64 with random weights that move in time."""
    made = wp.Stage(f, integrator, time=time, steps=steps, bound="report", **options).double()
    for k, value in enumerate(made.control.params.values()):
        size = 1 if value.ndim < 3 else value[0, 0].numel()
        value.data = scale * random(*value.shape, seed=seed + k) / sqrt(2 * size)
    return made


def jacobian(part, y):
    """Jacobian of the features at the end, row by row through the part itself: (batch, out, in)."""
    given = y.detach().clone().requires_grad_()
    out = part(given).flatten(1)
    rows = [torch.autograd.grad(column.sum(), given, retain_graph=True)[0] for column in out.unbind(1)]
    return torch.stack([row.flatten(1) for row in rows], 1)


# ---- marching


@pytest.mark.parametrize("entry", PARTS, ids=str)
def test_carrying_is_what_a_part_does(entry):
    part, y = entry.subject.double(), random(*entry.context[0])
    torch.testing.assert_close(carry(part, y), part(y), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", ["imex", "hyperbolic", "unet"])
def test_every_stage_of_a_recipe_is_passed(name):
    net = getattr(recipes, name)(channels=(2, 3)).double()
    y = random(2, 1, 6, 5)
    net.parts[-1].map.kernel.data = random(2, 2)
    torch.testing.assert_close(carry(net, y), net(y), rtol=1e-12, atol=1e-12)
    seen = passages(net, y)
    assert [passage.stage for passage in seen] == net.stages()
    assert all(net.get_submodule(passage.name) is passage.stage for passage in seen)
    assert all(len(passage.states) == len(passage.stage.spans) + 1 for passage in seen)


class Hidden(Part):
    """A part that hides a stage."""

    def __init__(self):
        super().__init__()
        self.takes = self.gives = 3
        self.inner = stage(wp.Parabolic(wp.Dense(3), "tanh"), wp.Euler())

    def forward(self, y):
        return self.inner(y)

    def arguments(self):
        return {}

    @classmethod
    def examples(cls):
        return [(cls(), (2, 3))]


def test_hidden_stages_are_refused():
    for ask in (lambda net: well_posedness(net, random(2, 3)), lambda net: gradient_norms(net, random(2, 3))):
        with pytest.raises(StructureError) as error:
            ask(wp.Network(Hidden()))
        assert "with a Stage at parts.0.inner" in four_lines(error)


def test_what_is_no_stage_and_no_part_is_refused():
    net, other = wp.Network(stage(wp.Parabolic(wp.Dense(3)), wp.Euler())), torch.nn.Linear(3, 3)
    asks = [kinematic_exponents, jacobian_eigenvalues, lambda s, y: wp.kkt_residual(s, torch.sum, y)]
    for ask, thing in [(well_posedness, other), *((ask, thing) for ask in asks for thing in (net, other))]:
        with pytest.raises(StructureError, match="has to be a") as error:
            ask(thing, random(2, 3))
        four_lines(error)


# ---- kinematic eigenvalues (FACTS 4.5)


def turning(w, t):
    return torch.cos(w * t), torch.sin(w * t)


def moving_matrices(t):
    """Matrices A(t), their frozen eigenvalues at every time, and their kinematic exponents."""
    c, s = turning(1.0, t)
    markus = [[-1 + 1.5 * c * c, 1 - 1.5 * s * c], [-1 - 1.5 * s * c, -1 + 1.5 * s * s]]
    c, s = turning(6.0, t)
    vinograd = [
        [-1 - 9 * c * c + 12 * s * c, 12 * c * c + 9 * s * c],
        [-12 * s * s + 9 * s * c, -1 - 9 * s * s - 12 * s * c],
    ]
    c, s = turning(12.0, t)
    wu = [[-5.5 + 7.5 * s, 7.5 * c], [7.5 * c, -5.5 - 7.5 * s]]
    found = [(markus, [0.5, -1.0]), (vinograd, [2.0, -13.0]), (wu, [-1.0, -10.0])]
    for w, exponent in ((1.0, 0.30), (2.0, 0.50), (4.0, 0.0)):
        c, zero = turning(w, t)[0], torch.zeros_like(t)
        found.append(([[zero, 1 + c], [-(1 - c), zero]], [exponent, -exponent]))
    blocks = [torch.stack([torch.stack(row, -1) for row in rows], -2) for rows, _ in found]
    return blocks, [exponents for _, exponents in found]


def test_kinematic_exponents_of_moving_matrices():
    # All systems side by side: discrete QR from unit directions never mixes them.
    steps, h = 10_000, 0.01
    t = torch.arange(2 * steps + 1, dtype=torch.float64) * h / 2
    blocks, exponents = moving_matrices(t)
    K = torch.zeros(len(t), 12, 12, dtype=torch.float64)
    for k, block in enumerate(blocks):
        K[:, 2 * k : 2 * k + 2, 2 * k : 2 * k + 2] = block
    made = linear(K, wp.RK4(), time=steps * h, steps=steps, nodes=t)
    zero = torch.zeros(1, 12, dtype=torch.float64)
    found = kinematic_exponents(made, zero)[0]
    expected = torch.tensor(sorted((e for pair in exponents for e in pair), reverse=True)).double()
    torch.testing.assert_close(found, expected, rtol=0, atol=0.02)


def test_frozen_eigenvalues_say_otherwise():
    # -1/4 and -1 where perturbations grow, 2 where they fade, imaginary where they resound (FACTS 4.5).
    t = torch.linspace(0, 3, 13, dtype=torch.float64)
    for block, (frozen, tolerance) in zip(
        moving_matrices(t)[0], [(-0.25, 1e-9), (-1, 1e-9), (2, 1e-9), (0, 1e-7), (0, 1e-7)], strict=False
    ):
        made = linear(block, wp.RK4(), time=3.0, steps=6, nodes=t)
        found = jacobian_eigenvalues(made, torch.zeros(1, 2).double()).real.amax(-1)
        torch.testing.assert_close(found, torch.full_like(found, frozen), rtol=0, atol=tolerance)


@pytest.mark.parametrize(
    ("integrator", "angle", "growth"),
    [
        (wp.Euler(), 0.5, sqrt(1.25)),
        (wp.Heun(), 0.5, 1.0078),
        (wp.AB2(), 0.1, 1.0000255),
        (wp.AB2(), 0.5, 1.0267),
        (wp.AB3(), 0.7, 1.0),
        (wp.RK4(), 2.828, 1.0),
        (wp.ImplicitMidpoint(), 3.0, 1.0),
        (wp.ImplicitEuler(), 0.5, 1 / sqrt(1.25)),
    ],
    ids=str,
)
def test_exponents_hold_what_the_integrator_adds(integrator, angle, growth):
    # FACTS 3.1: y' = i w y, by how much a step enlarges it. AB3 below its limit damps, none enlarges.
    made = linear(angle * ROTATION, integrator, time=60.0, steps=60)
    late = kinematic_eigenvalues(made, torch.zeros(1, 2).double())[0, 40:].mean(0).exp().max()
    if isinstance(integrator, wp.AB3 | wp.RK4):
        assert float(late) <= 1 + 1e-9
    else:
        assert float(late) == pytest.approx(growth, abs=6e-5)


@pytest.mark.parametrize(("integrator", "limit"), [(wp.AB3(), 0.723627), (wp.RK4(), 2.828427)])
def test_exponents_show_a_step_beyond_the_limit(integrator, limit):
    for angle, grows in ((0.99 * limit, False), (1.01 * limit, True)):
        made = linear(angle * ROTATION, integrator, time=400.0, steps=400)
        late = kinematic_eigenvalues(made, torch.zeros(1, 2).double())[0, 300:].mean(0).max()
        assert (float(late) > 1e-6) == grows


def test_exponents_of_examples_and_of_leading_directions():
    made = stage(wp.Hamiltonian(wp.Dense(3)), wp.Verlet(), time=30.0, steps=60, scale=2.0)
    y = random(2, 3)
    every = kinematic_exponents(made, y)
    assert every.shape == (2, 6)
    assert kinematic_eigenvalues(made, y).shape == (2, 60, 6)
    torch.testing.assert_close(every[1:], kinematic_exponents(made, y[1:]), rtol=0, atol=1e-5)
    leading = kinematic_exponents(made, y, count=2)
    assert leading.shape == (2, 2)
    torch.testing.assert_close(leading, every[:, :2], rtol=0, atol=0.05)
    # A Hamiltonian step keeps volume: the exponents have sum zero. Damping takes c from each pair.
    torch.testing.assert_close(every.sum(1), torch.zeros(2).double(), rtol=0, atol=1e-10)
    damped = stage(wp.Hamiltonian(wp.Dense(3), damping=0.3), wp.Verlet(), time=30.0, steps=60, scale=2.0)
    sums = kinematic_exponents(damped, y).sum(1)
    torch.testing.assert_close(sums, torch.full((2,), -0.9, dtype=torch.float64), rtol=1e-9, atol=1e-9)


# ---- eigenvalues


def test_antisymmetric_networks_have_imaginary_eigenvalues():
    f = wp.Antisymmetric(wp.Dense(5))
    made = stage(f, wp.RK4(), steps=4, scale=2.0)
    found = jacobian_eigenvalues(made, random(3, 5))
    assert found.shape == (5, 3, 5)
    assert float(found.real.abs().max()) < 1e-8
    assert float(found.imag.abs().max()) > 0.5
    for other in (wp.Antisymmetric(wp.Dense(5), damping=0.2), wp.SingleResidual(wp.Dense(5))):
        assert (
            float(jacobian_eigenvalues(stage(other, wp.RK4(), scale=2.0), random(3, 5)).real.abs().max())
            > 0.05
        )


@pytest.mark.parametrize(
    "f",
    [
        wp.Hamiltonian(wp.Dense(3), damping=0.4),
        wp.DoubleHamiltonian(wp.Dense(3), "tanh"),
        wp.Hyperbolic(wp.Dense(3), "tanh", damping=0.4),
    ],
    ids=lambda f: type(f).__name__,
)
def test_eigenvalues_of_two_halves_are_those_of_the_first_order_system(f):
    made = stage(f, wp.Verlet(), steps=2, scale=2.0)
    y = random(2, 3)
    found = jacobian_eigenvalues(made, y)
    theta = made.control.sample(made.control.params, made.discrete.nodes)
    (passage,) = passages(made, y)

    def rate(place):
        def first_order(s):
            y, z = s[None, :3], s[None, 3:]
            moved = f.rate_second(theta[place], y) - f.damping * z
            return torch.cat([f.rate_first(theta[place], z), moved], 1)[0]

        return first_order

    for j, s in enumerate(passage.states):
        for k in range(2):
            J = torch.func.jacrev(rate(j))(torch.cat([a[k] for a in s]).detach())
            expected = torch.linalg.eigvals(J.detach())
            misses = (found[j, k, :, None] - expected).abs()
            assert float(misses.min(0).values.max()) < 1e-6
            assert float(misses.min(1).values.max()) < 1e-6


@pytest.mark.parametrize(
    "made",
    [
        stage(wp.Parabolic(wp.Conv(2), "tanh"), wp.Euler(), steps=1),
        stage(wp.Residual(wp.Conv(3), "tanh"), wp.Euler(), steps=1),
        stage(wp.Hyperbolic(wp.Conv(2), "tanh", damping=0.3), wp.Leapfrog(), steps=1, scale=2.0),
        stage(wp.Reaction(wp.Conv(3), wp.Stencil(3), "tanh"), wp.IMEX(), steps=1, scale=3.0),
        stage(wp.Reaction(wp.Conv(3), wp.Conv(3), "tanh"), wp.IMEX(), steps=1),
    ],
    ids=lambda made: type(made.dynamics).__name__,
)
def test_arnoldi_finds_the_rightmost_of_all_eigenvalues(made):
    y = random(2, made.takes, 4, 5)
    every = jacobian_eigenvalues(made, y).real.amax(-1)
    found = jacobian_eigenvalues(made, y, dense=0, tolerance=1e-7)
    assert found.shape == (2, 2, 1)
    torch.testing.assert_close(found[..., 0].real, every, rtol=0, atol=1e-6)
    # It sees growth come: another sign of the weights moves the spectrum to the other side.
    if isinstance(made.dynamics, wp.Residual):
        twin = stage(made.dynamics, made.integrator, steps=1)
        twin.control.params["K2"].data = -3 * made.control.params["K2"].data
        assert not torch.allclose(jacobian_eigenvalues(twin, y, dense=0)[..., 0].real, every, atol=0.1)


def test_arnoldi_says_when_it_does_not_find():
    made = stage(wp.Residual(wp.Conv(3), "tanh"), wp.Euler(), steps=1)
    with pytest.raises(ResourceError, match="rightmost") as error:
        jacobian_eigenvalues(made, random(1, 3, 5, 6), dense=0, products=3)
    assert "3 products" in four_lines(error)


def test_a_stiff_diffusion_does_not_hide_the_rightmost_eigenvalue():
    made = wp.recipes.imex(channels=(4,)).stages()[0]
    y = random(1, 4, 12, 12, dtype=torch.float32)
    every = jacobian_eigenvalues(made, y, places=[0], dense=1000).real
    assert float(every.min()) < -1e3
    found = jacobian_eigenvalues(made, y, places=[0], products=60)[0, 0, 0].real
    assert float(found) == pytest.approx(float(every.max()), abs=1e-3)


# ---- growth


@pytest.mark.parametrize(
    "made",
    [
        stage(wp.Residual(wp.Dense(4), "tanh"), wp.Euler(), steps=5, time=3.0),
        stage(wp.Hamiltonian(wp.Dense(4)), wp.Verlet(), time=3.0, backward=wp.Reversed()),
        stage(wp.Hyperbolic(wp.Conv(2), "tanh"), wp.Leapfrog(), time=3.0, scale=2.0),
        stage(wp.Antisymmetric(wp.Dense(4)), wp.AB3(), time=3.0, steps=9),
        stage(wp.Antisymmetric(wp.Dense(4)), wp.Midpoint(), time=3.0, steps=9),
        stage(wp.Parabolic(wp.Dense(4), "tanh"), wp.ImplicitMidpoint(), steps=2),
        stage(wp.Reaction(wp.Conv(2), wp.Stencil(2), "tanh"), wp.IMEX(), time=3.0, scale=2.0),
    ],
    ids=lambda made: f"{type(made.dynamics).__name__} {type(made.integrator).__name__}",
)
def test_worst_growth_is_the_largest_singular_value(made):
    y = random(3, made.takes, *((4, 5) if isinstance(made.dynamics.operator, wp.Conv) else ()))
    J = jacobian(made, y)
    found = worst_growth(made, y, tolerance=1e-6)
    torch.testing.assert_close(found.factor, torch.linalg.matrix_norm(J, 2), rtol=1e-8, atol=1e-10)
    sizes = found.direction.flatten(1).norm(dim=1)
    torch.testing.assert_close(sizes, torch.ones_like(sizes))
    response = torch.einsum("bij,bj->bi", J, found.direction.flatten(1))
    torch.testing.assert_close(found.response.flatten(1), response, rtol=1e-4, atol=1e-5)
    # Any other direction grows less.
    other = random(*y.shape, seed=9).flatten(1)
    assert bool(((J @ other[..., None])[..., 0].norm(dim=1) < found.factor * other.norm(dim=1)).all())


def test_growth_in_the_phase_plane():
    # FACTS 14.11, 1.4: K+ separates, K- contracts, K0 keeps distances up to sqrt(1 + h^2)^N of Euler.
    zero = torch.zeros(1, 2).double()

    def growth(K):
        return float(worst_growth(linear(K, wp.Euler(), time=1.0, steps=10), zero).factor)

    assert growth(ROTATION) == pytest.approx(1.01**5, rel=1e-9)
    assert growth(SPREADS) == pytest.approx(
        float(torch.linalg.matrix_norm(torch.linalg.matrix_power(torch.eye(2) + 0.1 * SPREADS, 10), 2)),
        rel=1e-9,
    )
    assert growth(-SPREADS) < 0.4


def test_growth_of_a_network_and_of_what_does_not_see_its_input():
    net = recipes.hyperbolic(channels=(2, 3)).double()
    y = random(2, 1, 6, 5)
    assert worst_growth(net, y).factor.tolist() == [0.0, 0.0]  # its head is zero
    net.parts[-1].map.kernel.data = random(2, 2)
    expected = torch.linalg.matrix_norm(jacobian(net, y), 2)
    torch.testing.assert_close(worst_growth(net, y, tolerance=1e-6).factor, expected, rtol=1e-7, atol=1e-9)


# ---- gradients


def test_gradient_norms_are_those_of_autograd():
    made = stage(wp.Residual(wp.Dense(4), "tanh"), wp.Euler(), steps=3)
    net = wp.Network(wp.Opening(2, 4), made, stage(wp.Residual(wp.Dense(4), "tanh"), wp.Euler(), seed=7))
    net, y = net.double(), random(3, 2)
    first, second = gradient_norms(net, y, lambda out: out.square().sum())
    assert (first.shape, second.shape) == ((4,), (4,))
    assert float(first[-1]) == pytest.approx(float(second[0]))
    features = net.parts[0](y).detach().requires_grad_()
    net.parts[2](net.parts[1](features)).square().sum().backward()
    assert float(first[0]) == pytest.approx(float(features.grad.norm()))
    assert float(second[-1]) == pytest.approx(2 * float(net(y).detach().norm()))


def test_gradients_fade_grow_or_stay():
    zero = torch.zeros(3, 2).double()
    h, steps = 0.1, 30

    def norms(K):
        (found,) = gradient_norms(linear(K, wp.Euler(), time=3.0, steps=steps), zero)
        return found

    turned, faded, grown = norms(ROTATION), norms(-2 * torch.eye(2).double()), norms(SPREADS)
    expected = float(turned[-1]) * (1 + h * h) ** (torch.arange(steps, -1, -1) / 2)
    torch.testing.assert_close(turned, expected.double(), rtol=1e-6, atol=0)
    assert float(faded[0] / faded[-1]) == pytest.approx(0.8**steps)
    assert float(grown[0] / grown[-1]) > 100


def test_gradients_reach_members_at_rest():
    made = stage(wp.Hyperbolic(wp.Dense(3), "tanh"), wp.Leapfrog(), time=1.0, steps=1)
    for value in made.control.params.values():
        value.data.zero_()  # y moves by its velocity alone: dy_1 / d(y, v) = (1, h)
    (found,) = gradient_norms(made, random(2, 3))
    assert float(found[0] / found[1]) == pytest.approx(sqrt(2))


# ---- field of view


def test_field_of_view_of_one_convolution():
    y = random(1, 2, 9, 9)
    made = stage(wp.SingleResidual(wp.Conv(2)), wp.Euler(), steps=1)
    view = field_of_view(made, y)
    assert view.place == (4, 4)
    assert view.reach == pytest.approx(sqrt(2))
    assert 0 < view.radius < sqrt(2)
    assert float(view.shares.sum()) == pytest.approx(1)
    assert view.outside(1) == pytest.approx(0, abs=1e-15)
    assert view.outside(0) > 0
    wide = field_of_view(stage(wp.SingleResidual(wp.Conv(2, 5)), wp.Euler(), steps=1), y)
    assert wide.reach == pytest.approx(sqrt(8))
    assert wide.outside(1) > 0.01
    two = field_of_view(stage(wp.SingleResidual(wp.Conv(2)), wp.Euler(), steps=2), y, place=(0, 8))
    assert two.reach == pytest.approx(sqrt(8))


def test_implicit_steps_reach_the_whole_grid():
    made = stage(wp.Reaction(wp.Conv(2), wp.Stencil(2), "tanh"), wp.IMEX(), steps=1, scale=2.0)
    view = field_of_view(made, random(1, 2, 9, 8))
    assert bool((view.shares > 0).all())
    assert view.reach == pytest.approx(sqrt(4**2 + 4**2))
    assert view.outside(1) > 1e-3


def test_field_of_view_is_the_jacobian_squared():
    made = stage(wp.Residual(wp.Conv(2), "tanh"), wp.Euler(), steps=2)
    y = random(1, 2, 5, 6)
    J = jacobian(made, y)[0].reshape(2, 5, 6, 2, 5, 6)[:, 2, 3]
    expected = J.square().sum((0, 1)) / J.square().sum()
    found = field_of_view(made, y, probes=4000).shares
    torch.testing.assert_close(found, expected, rtol=0, atol=0.03)


def test_points_and_places_outside_are_refused():
    made = stage(wp.SingleResidual(wp.Dense(2)), wp.Euler())
    with pytest.raises(ShapeError) as error:
        field_of_view(made, random(1, 2))
    assert "(1, 2)" in four_lines(error)
    made = stage(wp.SingleResidual(wp.Conv(2)), wp.Euler())
    for place in ((4, 6), (1,)):
        with pytest.raises(ShapeError):
            field_of_view(made, random(1, 2, 5, 6), place=place)


# ---- the guaranteed bound


def parabolic(family=wp.Dense, integrator=None):
    """A network with a level, in float64, whose head is not zero."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)

        def made(channels):
            return stage(wp.Parabolic(family(channels)), integrator or wp.Euler())

        level = wp.Level(wp.Coarsen(2, 3), wp.Network(made(3)), wp.Refine(3, 2))
        return wp.Network(wp.Opening(1, 2, width=3), made(2), level, Readout(2, 2)).double()


@pytest.mark.parametrize(
    ("family", "integrator"),
    [(wp.Conv, wp.Euler()), (wp.Dense, wp.Heun()), (wp.Dense, wp.RK4()), (wp.Dense, wp.ImplicitEuler())],
    ids=str,
)
def test_no_change_exceeds_the_bound(family, integrator):
    net, y = parabolic(family, integrator), random(2, 1, 7, 6)
    bound = certified_bound(net, y)
    for radius in (1e-3, 1.0, 30.0):
        found = largest_change(net, y, radius, ascents=2 if integrator == wp.ImplicitEuler() else 15)
        assert bool((found.change.flatten(1).norm(dim=1) <= radius * (1 + 1e-9)).all())
        moved = (net(y + found.change) - net(y)).flatten(1).norm(dim=1)
        torch.testing.assert_close(moved, found.size)
        assert bool((found.size <= bound * radius).all())
        assert bool((found.size > 0.05 * bound * radius).all())  # and the bound is of some use


def test_ascent_breaks_a_bound_that_is_too_small():
    net, y = parabolic(), random(2, 1, 7, 6)
    bound = certified_bound(net, y)
    head = float(torch.linalg.matrix_norm(net.parts[-1].map.kernel.detach(), 2))
    net.parts[-1].map.kernel.data *= 10 / head
    assert certified_bound(net, y) == pytest.approx(bound * 10 / head)
    forgotten = certified_bound(wp.Network(*net.parts[:-1]), y)  # the head left out
    assert float(largest_change(net, y, 0.1, ascents=10).size.max()) > forgotten * 0.1
    # So does a stage that grows, where a bound of one is claimed for it.
    grows = linear(SPREADS, wp.Euler(), time=1.0, steps=10)
    assert float(largest_change(grows, torch.zeros(1, 2).double(), 0.01).size) > 5 * 0.01


def test_largest_change_finds_the_worst_direction():
    made = stage(wp.Residual(wp.Dense(4), "tanh"), wp.Euler(), steps=5, time=3.0)
    y = random(3, 4)
    found = largest_change(made, y, 1e-5, ascents=100)
    torch.testing.assert_close(found.size / 1e-5, worst_growth(made, y).factor, rtol=1e-3, atol=0)


def test_bound_of_connectors_is_that_of_their_matrices():
    net = parabolic()
    y = random(1, 1, 7, 6)
    level = net.parts[2]
    around = wp.Network(level.down, level.up)
    deep = jacobian(lambda x: level.up(level.down(x), (7, 6)), random(1, 2, 7, 6))
    exact = float(torch.linalg.matrix_norm(deep[0], 2))
    known = certified_bound(
        wp.Network(wp.Level(level.down, Readout(3, 3).double(), level.up)), random(1, 2, 7, 6)
    )
    assert around.takes == 2
    assert certified_bound(level, random(1, 2, 7, 6)) - 1 >= exact * (1 - 1e-9)
    assert known > 1
    assert certified_bound(net, y) >= float(worst_growth(net, y).factor) > 0


def test_disks_of_contractivity():
    # r = 1 for Euler, Heun and RK4; the trapezoidal rule and the implicit midpoint have the half-plane.
    from wellposed.integrators.runge_kutta import Tableau

    for integrator in (wp.Heun(), wp.RK4()):
        assert disk(integrator.tableau) == pytest.approx(1.0)
    assert disk(Tableau((0.0,), ((),), (1.0,))) == pytest.approx(1.0)
    two_halves = Tableau((0.0, 0.5), ((), (0.5,)), (0.5, 0.5))
    assert disk(two_halves) == pytest.approx(2.0)


def test_a_step_within_linear_stability_can_still_expand():
    # RK4 is linearly stable to 2.785, contractive to 2: between them nothing is guaranteed.
    made = stage(wp.Parabolic(wp.Dense(2)), wp.RK4(), steps=1, time=1.0)
    for value in made.control.params.values():
        value.data.zero_()
    made.control.params["K"].data[:] = sqrt(2.4) * torch.eye(2).double()
    assert made.ratio() < 1
    with pytest.raises(StepError) as error:
        certified_bound(made, random(1, 2))
    assert "2.4" in four_lines(error)


@pytest.mark.parametrize(
    "part",
    [
        stage(wp.Parabolic(wp.Dense(2), norm="channel"), wp.Euler()),
        stage(wp.Residual(wp.Dense(2)), wp.Euler()),
        stage(wp.Parabolic(wp.Dense(2)), wp.AB2()),
        stage(wp.Hyperbolic(wp.Dense(2)), wp.Leapfrog()),
        wp.Network(Hidden()),
    ],
    ids=lambda part: str(part)[:40],
)
def test_other_parts_have_no_bound(part):
    with pytest.raises(StructureError) as error:
        certified_bound(part, random(1, part.takes))
    four_lines(error)


# ---- the verdict


def verdict(made, y=None):
    return well_posedness(wp.Network(made), random(4, made.takes, seed=3) * 0.1 if y is None else y)


def test_a_well_posed_network():
    f = wp.Hamiltonian(wp.Dense(4))
    net = wp.Network(
        wp.Opening(2, 4),
        wp.Stage(f, wp.Verlet(), time=4.0, steps=16, backward=wp.Reversed()),
        wp.Stage(f, wp.Verlet(), time=2.0, steps=8, backward=wp.Reversed()),
        wp.Classify(4, 2),
    )
    y = random(40, 2, dtype=torch.float32)
    found = well_posedness(net, y)
    assert found.well_posed
    first, second = found.stages
    assert (first.name, second.name, first.steps, second.time) == ("parts.1", "parts.2", 16, 2.0)
    assert 0 < first.ratio < 1
    assert abs(first.real) < 1e-6
    assert first.view is None
    assert first.exponents[0] >= first.exponents[1]
    features = net.parts[0](y[:16]).detach()
    expected = torch.linalg.matrix_norm(jacobian(net.parts[1], features), 2).max()
    assert first.growth == pytest.approx(float(expected), rel=0.01)
    chain = torch.linalg.matrix_norm(jacobian(wp.Network(*net.parts[1:3]), features), 2).max()
    assert found.growth == pytest.approx(float(chain), rel=0.01)
    text = str(found)
    assert text.startswith("Well posed at 16 examples of shape (2,)")
    assert f"well posed: the worst perturbation found comes out {first.growth:.3g} times as large" in text
    assert "way out" not in text
    assert len(text.splitlines()) < 40


def test_growth_is_said():
    found = verdict(linear(SPREADS, wp.Euler(), time=2.0, steps=20))
    assert not found.well_posed
    (said,) = found.stages
    assert said.real > 1.5
    assert said.exponents[0] > 1
    assert said.growth > 30
    assert f"grows: perturbations are enlarged {said.growth:.3g} times" in str(found)
    assert "way out: Antisymmetric, Hamiltonian, or Parabolic without a norm" in str(found)
    assert str(found).startswith("Not well posed")


def test_forgetting_is_said():
    found = verdict(linear(-2 * torch.eye(2).double(), wp.Euler(), time=3.0, steps=30))
    assert not found.well_posed
    assert found.stages[0].real < 0
    assert "forgets: of no perturbation is more left" in str(found)
    assert "way out: less damping" in str(found)
    # One direction of many stays: what fades is the typical gradient.
    (said,) = verdict(linear(ROTATION, wp.RK4(), time=1.0, steps=4)).stages
    assert said.trouble is None
    faded = replace(said, gradients=(1e-5, 1.0))
    assert "forgets: of a typical gradient 1e-05 is left" in faded.sentence


def test_a_step_beyond_its_bound_is_said():
    weights = {"K": 3 * torch.eye(2)[None].double(), "b": torch.zeros(1, 2).double()}
    f = wp.Parabolic(wp.Dense(2), "tanh")

    def made(steps):
        control = wp.Control(weights, [0.0])
        return wp.Stage(f, wp.Euler(), time=1.0, steps=steps, control=control, bound="report")

    found = verdict(made(2))
    assert found.stages[0].ratio == pytest.approx(9 / 4, rel=1e-6)
    assert "a step lies beyond its bound: h is 2.25 times as long" in str(found)
    assert "way out: at least 5 steps" in str(found)
    assert found.bound is None
    assert "beyond" not in str(verdict(made(8)))
    turning = stage(wp.Antisymmetric(wp.Dense(2)), wp.Euler())
    assert "no step is stable" in str(verdict(turning))
    assert "way out: an integrator that is stable" in str(verdict(turning))


def test_stages_that_grow_together_are_said():
    each = [linear(0.8 * torch.eye(2).double(), wp.Euler(), time=2.0, steps=20) for _ in range(3)]
    found = well_posedness(wp.Network(*each), 0.01 * random(2, 2))
    assert all(said.trouble is None for said in found.stages)
    assert not found.well_posed
    assert "grows: from opening to head" in str(found)
    assert "way out: fewer stages" in str(found)


def test_overflow_is_said():
    made = linear(60 * torch.eye(2), wp.Euler(), time=1.0, steps=3)
    made.control.params["K"].data.fill_(float("inf"))
    found = verdict(made, random(1, 2, dtype=torch.float32))
    assert not found.well_posed
    assert "overflows" in str(found)


@pytest.mark.parametrize("name", ["imex", "parabolic", "hyperbolic"])
def test_verdict_of_recipes_on_sections(name):
    # Six channels of 12 x 12 samples are too many for all eigenvalues.
    channels = (6, 4) if name == "imex" else (2, 3)
    net = getattr(recipes, name)(channels=channels, steps=4 if name == "imex" else 8)
    y = random(2, 1, 12, 12, dtype=torch.float32)
    if name == "parabolic":
        assert "the output does not move, since the head is zero" in str(well_posedness(net, y))
    net.parts[-1].map.kernel.data.fill_(0.3)
    found = well_posedness(net, y)
    assert len(found.stages) == 2
    assert "1 example of shape (1, 12, 12)" in str(found)
    for said, size in zip(found.stages, (12, 6), strict=True):
        assert said.view[1] == size
        assert 0 < said.view[0] < size
        assert said.exponents is None
        assert said.gradients[0] > 0
        assert abs(said.real) < 2
    if name == "parabolic":
        assert found.well_posed
        assert 0 < found.change <= found.bound
        assert all(said.growth <= 1 + 1e-5 for said in found.stages)
        assert "guaranteed" in str(found)
    else:
        assert found.bound is None
