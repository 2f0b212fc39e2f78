"""Operators: laws over the catalogue, exact answers, wrong objects that the laws must reject, refusals."""

from dataclasses import dataclass
from types import ModuleType

import numpy as np
import pytest
import scipy.fft
import torch
import torch.nn.functional as F

from refusals import four_lines
from wellposed import laws, operators
from wellposed.errors import ShapeError, StepError, StructureError, UserError
from wellposed.operators import (
    Adjoint,
    ConjugateGradients,
    Conv,
    Correlation,
    Dense,
    Family,
    Graph,
    GraphGradient,
    Haar,
    Live,
    LowRank,
    Matrix,
    Normal,
    Operator,
    Prolong,
    Restrict,
    Skew,
    Stencil,
    StencilBasis,
    SymmetricStencil,
    Turn,
    galerkin,
    remesh,
)
from wellposed.operators.solve import cosine_matrix, cosine_transform, inverse_cosine_transform

OPERATORS = laws.catalogue(Operator, operators)
FAMILIES = laws.catalogue(Family, operators)


def random(*shape, seed=0, dtype=torch.float64):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


# Laws over the catalogue


@pytest.mark.parametrize("entry", OPERATORS, ids=str)
def test_operator_laws(entry):
    K, shape = entry.subject, entry.context[0]
    assert laws.dot(K, shape) < 1e-12
    laws.matrix(K, shape)
    laws.kept(K, shape)
    laws.pure(lambda y: K @ y, random(*shape))
    assert 1 - 1e-12 <= laws.bound(K, shape) < 2


@pytest.mark.parametrize("entry", OPERATORS, ids=str)
@pytest.mark.parametrize("h", [0.1, 5.0])
def test_shifted_law(entry, h):
    laws.shifted(entry.subject.T @ entry.subject, entry.context[0], h=h)


@pytest.mark.parametrize("entry", FAMILIES, ids=str)
def test_a_family_tells_the_same_operator_on_another_mesh_or_refuses(entry):
    family, shape = entry.subject, entry.context[0]
    if isinstance(family, Graph) or getattr(family, "width", 3) == 2:
        with pytest.raises((StructureError, ShapeError)) as error:
            family.remesh(random(*family.shape), 0.5)
        four_lines(error)
    else:
        laws.same_operator(family, shape)


def test_same_operator_bites():
    class Kept(Conv):
        def remesh(self, kernel, ratio):
            return kernel

    class Once(Stencil):
        def remesh(self, kernel, ratio):
            return kernel * torch.tensor([1.0, 1 / ratio])

    for family, shape in ((Kept(2), (2, 2, 5, 4)), (Once(2, dims=1), (2, 2, 5))):
        with pytest.raises(laws.LawError, match="same operator"):
            laws.same_operator(family, shape)


def test_each_axis_has_a_mesh_of_its_own():
    kernel = random(1, 1, 3, 3)
    apart = Conv(1).remesh(Conv(1).remesh(kernel, (0.5, 1.0)), (1.0, 0.5))
    assert torch.allclose(apart, Conv(1).remesh(kernel, 0.5))
    assert torch.equal(Conv(2, width=1).remesh(random(2, 2, 1, 1), 0.5), random(2, 2, 1, 1))
    for ratio in ((0.5,), 0.0, (1.0, float("inf")), "a", None):
        with pytest.raises(StructureError) as error:
            Conv(1).remesh(kernel, ratio)
        assert str(ratio) in four_lines(error)
    assert torch.equal(Conv(1).remesh(kernel, np.float64(0.5)), Conv(1).remesh(kernel, 0.5))


@pytest.mark.parametrize("entry", FAMILIES, ids=str)
def test_family_gives_operators_of_its_shape(entry):
    family, shape = entry.subject, entry.context[0]
    laws.dot(family(random(*family.shape)), shape)
    with pytest.raises(ShapeError):
        family(random(*family.shape, 1))


@pytest.mark.parametrize("boundary", operators.BOUNDARIES)
@pytest.mark.parametrize("width", [2, 3, 5])
@pytest.mark.parametrize("depthwise", [False, True])
def test_dot_and_bound_at_odd_and_even_sizes(boundary, width, depthwise):
    for seed, space in enumerate([(3, 4), (4, 3), (5, 8), (2, 7)]):
        family = Conv(2, width, boundary, depthwise)
        K = family(random(*family.shape, seed=seed))
        laws.dot(K, (2, 2, *space))
        laws.bound(K, (2, 2, *space))


def test_bound_holds_where_edges_amplify():
    # A shift under a reflecting boundary holds one sample twice: norm sqrt(2); its symbol has modulus one.
    shift = Correlation(torch.tensor([[[1.0, 0.0, 0.0]]], dtype=torch.float64), "reflecting", depthwise=True)
    assert 1 <= laws.bound(shift, (1, 1, 9)) < 1.03
    assert shift.norm() > np.sqrt(2)
    # On two samples both edges meet: more than in any wide space.
    for seed in range(12):
        K = Correlation(random(2, 2, 3, seed=seed))
        for size in (1, 2, 3, 4, 6, 20):
            laws.bound(K, (1, 2, size))


def test_whole_package_is_walked():
    found = {entry.kind for entry in laws.catalogue(Operator)}
    assert {entry.kind for entry in OPERATORS} <= found


# Exact answers


@pytest.mark.parametrize("width", [3, 5])
@pytest.mark.parametrize(
    ("boundary", "mode"), [("zero", "constant"), ("periodic", "wrap"), ("reflecting", "symmetric")]
)
def test_boundary_is_what_numpy_calls_it(boundary, mode, width):
    family, y = Conv(3, width, boundary, out=2), random(2, 3, 6, 7)
    kernel = random(*family.shape)
    half = width // 2
    padded = np.pad(y.numpy(), [(0, 0), (0, 0), (half, half), (half, half)], mode=mode)
    torch.testing.assert_close(family(kernel) @ y, F.conv2d(torch.from_numpy(padded), kernel))


def test_correlation_differentiates_forward():
    K = Correlation(torch.tensor([[[-0.5, 0.0, 0.5]]], dtype=torch.float64))
    line = 3.0 * torch.arange(8, dtype=torch.float64)[None, None]
    torch.testing.assert_close((K @ line)[0, 0, 1:-1], torch.full((6,), 3.0, dtype=torch.float64))


def test_circulant_singular_values():
    a, b = 0.7, -0.2
    K = Correlation(torch.tensor([[[a, b, -a - b]]], dtype=torch.float64), "periodic", depthwise=True)
    squares = torch.linalg.svdvals(K.as_matrix((1, 3))) ** 2
    torch.testing.assert_close(squares, torch.tensor([1.17, 1.17, 0.0], dtype=torch.float64))


def test_haar_of_one_square_and_its_inverse():
    a, b, c, d = 1.0, 2.0, 4.0, 8.0
    y = torch.tensor([[[[a, b], [c, d]]]], dtype=torch.float64)
    expected = [a + b + c + d, a - b + c - d, a + b - c - d, a - b - c + d]
    torch.testing.assert_close((Haar(1) @ y).flatten(), torch.tensor(expected, dtype=torch.float64) / 2)
    for H, shape in Haar.examples():
        y = random(*shape)
        torch.testing.assert_close(H.T @ (H @ y), y)
        torch.testing.assert_close((H @ y).norm(), y.norm())


def test_a_graph_on_a_line_is_a_difference():
    edges = tuple((k, k + 1) for k in range(5))
    G = Graph(1, 6, edges, (2.0,) * 5)(torch.ones(1, 1, dtype=torch.float64))
    y = random(1, 1, 6)
    torch.testing.assert_close(G @ y, 2 * (y[..., 1:] - y[..., :-1]))
    assert float((G.T @ G @ torch.ones_like(y)).abs().max()) < 1e-12
    # The divergence of a constant flow is what enters and leaves at the ends.
    torch.testing.assert_close(
        (G.T @ torch.ones(1, 1, 5, dtype=torch.float64))[0, 0, 1:-1], torch.zeros(4).double()
    )


def test_a_graph_of_points_does_not_hang_on_their_order():
    places, turn = random(30, 3), torch.randperm(30, generator=torch.Generator().manual_seed(1))
    one, other = (Graph.of_points(1, p, neighbours=4) for p in (places, places[turn]))
    assert sorted(one.weights) == pytest.approx(sorted(other.weights))
    kernel, y = torch.ones(1, 1, dtype=torch.float64), random(1, 1, 30)
    L, M = (family(kernel).T @ family(kernel) for family in (one, other))
    torch.testing.assert_close((L @ y)[..., turn], M @ y[..., turn])


def test_k_less_its_adjoint_is_antisymmetric():
    for K in (Matrix(random(3, 3)), Correlation(random(2, 2, 3, 3))):
        assert isinstance(K - K.T, Skew)
        y = random(2, *((3,) if isinstance(K, Matrix) else (2, 5, 6)))
        assert abs(float((y * ((K - K.T) @ y)).sum())) < 1e-12
    other = Matrix(random(3, 3, seed=1))
    assert not isinstance(other - Matrix(random(3, 3)).T, Skew)


def test_the_block_form_turns():
    K, y = Matrix(random(2, 3)), random(4, 5)
    S = Turn(K, 2)
    assert abs(float((y * (S @ y)).sum())) < 1e-12
    torch.testing.assert_close(S @ y, torch.cat([y[:, 2:] @ K.kernel.T, -y[:, :2] @ K.kernel], dim=1))


def test_low_rank_has_its_rank():
    family = LowRank(5, 2)
    M = family(random(2, 5)).as_matrix((5,))
    assert int(torch.linalg.matrix_rank(M)) == 2
    torch.testing.assert_close(M, M.T)


@pytest.mark.parametrize("mass", ["point", "mean"])
@pytest.mark.parametrize("spacing", [(0.3,), (0.3, 2.0), (1.0, 0.5, 4.0)])
def test_kernels_are_mass_and_derivatives_and_back(spacing, mass):
    basis, numbers = StencilBasis(spacing, mass), random(2, 3, *(3,) * len(spacing))
    torch.testing.assert_close(basis.numbers(basis.kernel(numbers)), numbers)
    torch.testing.assert_close(
        remesh(remesh(numbers, spacing, (0.7,) * len(spacing)), (0.7,) * len(spacing), spacing), numbers
    )


@pytest.mark.parametrize("mass", ["point", "mean"])
def test_a_stencil_meets_its_differential_operator_to_second_order(mass):
    s = torch.tensor([[[0.5, -1.0, 0.3]]], dtype=torch.float64)
    errors = []
    for count in (64, 128):
        h = 2 * np.pi / count
        x = h * torch.arange(count, dtype=torch.float64)
        K = Correlation(StencilBasis((h,), mass).kernel(s), "periodic")
        exact = 0.5 * x.sin() - x.cos() - 0.3 * x.sin()
        errors.append(float(((K @ x.sin()[None, None])[0, 0] - exact).abs().max()))
    assert errors[0] / errors[1] == pytest.approx(4.0, rel=0.02)


def test_numbers_of_a_plane_are_its_derivatives():
    s = torch.zeros(1, 1, 3, 3, dtype=torch.float64)
    s[0, 0, 1, 2] = 1.0  # d/dx d^2/dy^2
    x, y = (torch.arange(8, dtype=torch.float64) * h for h in (0.5, 0.25))
    K = Correlation(StencilBasis((0.5, 0.25)).kernel(s))
    found = K @ (x[:, None] * y[None] ** 2)[None, None]
    torch.testing.assert_close(found[0, 0, 1:-1, 1:-1], torch.full((6, 6), 2.0, dtype=torch.float64))


def test_galerkin_by_linear_interpolation_keeps_derivatives_and_by_constants_doubles_the_second():
    fine, coarse = StencilBasis((0.5,)), StencilBasis((1.0,))
    kernel = fine.kernel(torch.tensor([[[0.0, 0.7, 1.3]]], dtype=torch.float64))
    torch.testing.assert_close(coarse.numbers(galerkin(kernel)), fine.numbers(kernel))
    # The mass spreads, but what it does to constants stays.
    mass = galerkin(fine.kernel(torch.tensor([[[1.0, 0.0, 0.0]]], dtype=torch.float64)))
    assert float(mass.sum()) == pytest.approx(1.0)
    # As R K P of the operators themselves, away from the edges.
    y, n = random(1, 1, 16), 32
    P = torch.zeros(n, 16, dtype=torch.float64)
    for k in range(16):
        for offset, weight in ((-1, 0.5), (0, 1.0), (1, 0.5)):
            P[(2 * k + offset) % n, k] += weight
    K = Correlation(kernel, "periodic").as_matrix((1, n))
    by_matrix = (P.T / 2 @ K @ P) @ y[0, 0]
    torch.testing.assert_close((Correlation(galerkin(kernel), "periodic") @ y)[0, 0], by_matrix)
    steps = torch.repeat_interleave(torch.eye(16, dtype=torch.float64), 2, dim=0)
    second = Correlation(fine.kernel(torch.tensor([[[0.0, 0.0, 1.0]]], dtype=torch.float64)), "periodic")
    doubled = (steps.T / 2 @ second.as_matrix((1, n)) @ steps)[8, 7:10]
    torch.testing.assert_close(coarse.numbers(doubled[None, None])[0, 0, 2], torch.tensor(2.0).double())


def test_stencil_is_its_kernel():
    weights = torch.tensor([[[0.0, 1.0], [2.0, 0.0]]], dtype=torch.float64)  # mass, crossline; inline, mixed
    impulse = torch.zeros(1, 1, 5, 5, dtype=torch.float64)
    impulse[..., 2, 2] = 1
    expected = torch.tensor([[0.0, -2.0, 0.0], [-1.0, 6.0, -1.0], [0.0, -2.0, 0.0]], dtype=torch.float64)
    torch.testing.assert_close((Stencil(1)(weights) @ impulse)[0, 0, 1:4, 1:4], expected)


@pytest.mark.parametrize("size", [6, 7])
def test_cosine_transform_is_scipys(size):
    y = random(2, 3, size, size + 1)
    expected = torch.from_numpy(scipy.fft.dctn(y.numpy(), axes=(2, 3), norm="ortho"))
    torch.testing.assert_close(cosine_transform(y), expected)
    torch.testing.assert_close(inverse_cosine_transform(expected), y)


def test_cosine_matrix_kept_from_a_transform_serves_outside_it():
    def inside(y):
        return cosine_transform(y).sum()

    torch.func.grad(inside)(random(1, 1, 13))
    matrix = cosine_matrix(13, torch.float64, torch.device("cpu"))
    torch.testing.assert_close(matrix @ matrix.T, torch.eye(13, dtype=torch.float64))


@pytest.mark.parametrize("boundary", ["periodic", "reflecting"])
def test_implicit_step_without_mass_keeps_the_mean(boundary):
    weights = random(3, 2, 2)
    weights[:, 0, 0] = 0
    K, b = Stencil(3, boundary)(weights), random(2, 3, 6, 7)
    x = (K.T @ K).solve_shifted(2.0, b)
    torch.testing.assert_close(x.mean((2, 3)), b.mean((2, 3)))
    assert float(x.norm()) < float(b.norm())


@pytest.mark.parametrize(("h", "rate"), [(0.1, 0.084), (1.0, 0.382), (10.0, 0.730)])
@pytest.mark.parametrize("boundary", ["periodic", "reflecting", "zero"])
def test_reach_of_one_implicit_step(h, rate, boundary):
    difference = torch.tensor([[[0.0, -1.0, 1.0]]], dtype=torch.float64)
    assert laws.reach(Correlation(difference, boundary, depthwise=True), h=h) == pytest.approx(rate, abs=5e-4)


@pytest.mark.parametrize("space", [(6,), (7,), (4, 5), (1, 4), (3, 4, 5)])
def test_resampling_keeps_constants_and_is_an_adjoint_pair(space):
    R, P = Restrict(space), Prolong(space)
    fine = torch.ones(1, 2, *space, dtype=torch.float64)
    coarse = R @ fine
    torch.testing.assert_close(coarse, torch.ones_like(coarse))
    torch.testing.assert_close(P @ coarse, fine)
    if all(n % 2 == 0 for n in space):
        z = random(*coarse.shape)
        torch.testing.assert_close(P @ z, 2 ** len(space) * (R.T @ z))


def test_prolongation_is_linear_interpolation():
    coarse = random(1, 1, 5, 4)
    expected = F.interpolate(coarse, scale_factor=2, mode="bilinear")
    torch.testing.assert_close(Prolong((10, 8)) @ coarse, expected)


def test_live_ignores_what_is_dead_and_keeps_the_adjoint():
    live = np.array([[True, False, True], [True, True, False]])
    y = random(1, 2, 2, 3)
    y[0, 0, 0, 1] = float("nan")
    assert bool(((Live(live) @ y)[..., ~torch.from_numpy(live)] == 0).all())
    K = Conv(2)(random(2, 2, 3, 3)) @ Live(live)
    laws.dot(K, (1, 2, 2, 3))
    laws.shifted(K.T @ K, (1, 2, 2, 3))
    y.requires_grad_()
    (K @ y).sum().backward()
    assert y.grad is not None
    assert bool(y.grad.isfinite().all())


def test_algebra():
    K, L, y = Matrix(random(3, 3)), Matrix(random(3, 3, seed=1)), random(2, 3, 4)
    assert K.T.T is K
    assert isinstance(K.T, Adjoint)
    assert isinstance(K.T @ K, Normal)
    assert isinstance(K @ K.T, Normal)
    assert (K.T @ K).T.T.symmetric
    torch.testing.assert_close((K @ K.T) @ y, K @ (K.T @ y))
    torch.testing.assert_close((K + 2 * L - L) @ y, K @ y + L @ y)
    torch.testing.assert_close((torch.tensor(0.5, dtype=torch.float64) * -K) @ y, -0.5 * (K @ y))
    torch.testing.assert_close((K @ L).T @ y, L.T @ (K.T @ y))


def test_operators_know_their_channels():
    """What they say is what they do; where they say nothing, every number will do."""
    for entry in OPERATORS:
        K, y = entry.subject, random(*entry.context[0])
        assert K.takes in (None, y.shape[1])
        assert K.gives in (None, (K @ y).shape[1])
        assert (K.T.takes, K.T.gives) == (K.gives, K.takes)
    K, L = Matrix(random(2, 3)), Matrix(random(3, 4))
    assert ((K @ L).takes, (K @ L).gives) == (4, 2)
    assert (Live(np.ones(5, bool)) @ K).takes == 3


@pytest.mark.parametrize("entry", [*OPERATORS, *FAMILIES], ids=str)
def test_a_repr_is_one_short_line(entry):
    text = repr(entry.subject)
    assert text.startswith(f"{entry.kind.__name__}(")
    assert "tensor(" not in text
    assert len(text) < 160


def test_a_repr_names_shapes_and_boundary_of_operators_of_your_own_too():
    assert repr(Conv(2)(random(2, 2, 3, 3))) == (
        "Correlation(kernel=Tensor(2, 2, 3, 3), boundary='reflecting', depthwise=False)"
    )
    assert repr(Wrong(random(1, 1, 3, 3), "none")) == "Wrong(kernel=Tensor(1, 1, 3, 3), mistake='none')"

    class Named(Wrong):
        def __repr__(self):
            return "mine"

    @dataclass(frozen=True, eq=False)
    class Heir(Named):
        pass

    assert repr(Heir(random(1, 1, 3, 3), "none")) == "mine"


# Derivatives

SHIFTS = [-0.7, float("nan"), float("inf"), torch.tensor(-0.7), torch.tensor([0.1, -0.1])]
SOLVES = [
    (Stencil(2), (2, 2, 5, 4)),
    (Conv(2, boundary="periodic", depthwise=True), (2, 2, 5, 4)),
    (Dense(3), (2, 3, 4)),
    (Conv(2), (2, 2, 5, 4)),
    (Conv(2, width=5, boundary="zero"), (2, 2, 4, 5)),
]


def by_solver(family, kernel, h, b):
    K = family(kernel)
    return (K.T @ K).solve_shifted(h, b)


def by_matrix(family, kernel, h, b):
    count = b[0].numel()
    unit = torch.eye(count, dtype=b.dtype)
    M = (family(kernel) @ unit.reshape(count, *b.shape[1:])).reshape(count, -1)
    return torch.linalg.solve(unit + h * M @ M.T, b.flatten(1).T).T.reshape(b.shape)


@pytest.mark.parametrize(("family", "shape"), SOLVES, ids=str)
def test_derivatives_of_the_solve_are_those_of_the_dense_one(family, shape):
    kernel, b = 0.5 * random(*family.shape), random(*shape)
    inputs = (kernel, torch.tensor(0.6, dtype=torch.float64), b)
    tangents = tuple(random(*value.shape, seed=2) for value in inputs)
    w = random(*shape, seed=3)

    def ours(*inputs):
        return by_solver(family, *inputs)

    def dense(*inputs):
        return by_matrix(family, *inputs)

    expected = torch.func.vjp(dense, *inputs)[1](w)
    close = {"rtol": 1e-10, "atol": 1e-10}
    torch.testing.assert_close(torch.func.vjp(ours, *inputs)[1](w), expected, **close)
    pushed = torch.func.jvp(ours, inputs, tangents)[1]
    torch.testing.assert_close(pushed, torch.func.jvp(dense, inputs, tangents)[1], **close)
    leaves = [value.clone().requires_grad_() for value in inputs]
    taped = torch.autograd.grad((ours(*leaves) * w).sum(), leaves)
    torch.testing.assert_close(taped, expected, **close)


@pytest.mark.parametrize(("family", "shape"), SOLVES, ids=str)
def test_shifts_that_do_not_go_forward_are_refused(family, shape):
    K, b = family(random(*family.shape)), random(*shape)
    for h in SHIFTS:
        with pytest.raises(StructureError, match="steps forward"):
            (K.T @ K).solve_shifted(h, b)
    torch.testing.assert_close((K.T @ K).solve_shifted(0, b), b)


def test_shifts_whose_numbers_nobody_sees_pass():
    K, b = Dense(3)(random(3, 3)), random(2, 3, 4)
    solve = (K.T @ K).solve_shifted
    h = torch.tensor([0.5, 2.0], dtype=torch.float64)
    found = torch.vmap(lambda h: solve(h, b))(h)
    torch.testing.assert_close(found, torch.stack([solve(0.5, b), solve(2.0, b)]))
    compiled = torch.compile(solve, backend="eager", fullgraph=True)
    torch.testing.assert_close(compiled(h[0], b), found[0])


@pytest.mark.parametrize(("family", "shape"), SOLVES, ids=str)
def test_second_derivatives_of_the_solve(family, shape):
    kernel, b, v = 0.5 * random(*family.shape), random(*shape), random(*family.shape, seed=2)
    h, w = torch.tensor(0.6, dtype=torch.float64), random(*shape, seed=3)

    def curved(solve):
        def gradient(kernel):
            return torch.func.grad(lambda kernel: (solve(family, kernel, h, b) * w).sum())(kernel)

        return gradient

    expected = torch.func.jvp(curved(by_matrix), (kernel,), (v,))[1]
    close = {"rtol": 1e-9, "atol": 1e-9}
    torch.testing.assert_close(torch.func.jvp(curved(by_solver), (kernel,), (v,))[1], expected, **close)
    torch.testing.assert_close(torch.func.vjp(curved(by_solver), kernel)[1](v)[0], expected, **close)


@pytest.mark.parametrize("boundary", operators.BOUNDARIES)
def test_derivatives_of_a_convolution_and_its_adjoint(boundary):
    family, y = Conv(2, 4, boundary, dims=1, out=3), random(1, 2, 6).requires_grad_()
    kernel = random(*family.shape).requires_grad_()

    def there_and_back(kernel, y):
        K = family(kernel)
        return K.T @ (K @ y).tanh()

    assert torch.autograd.gradcheck(there_and_back, (kernel, y), check_forward_ad=True)
    jacobian = torch.func.jacrev(there_and_back, argnums=1)(kernel, y)
    torch.testing.assert_close(torch.func.jacfwd(there_and_back, argnums=1)(kernel, y), jacobian)


# Conjugate gradients


def test_conjugate_gradients_report_their_iterations():
    K = Conv(2)(0.3 * random(2, 2, 3, 3))
    b = random(3, 2, 6, 5)
    found = ConjugateGradients(tolerance=1e-8).report(K, 1.0, b)
    assert 3 < found.iterations < 60
    assert found.residual < 1e-8
    miss = (found.x + K.T @ (K @ found.x) - b).flatten(1).norm(dim=1) / b.flatten(1).norm(dim=1)
    assert float(miss.max()) < 1.1e-8
    nothing = ConjugateGradients().report(K, 1.0, torch.zeros_like(b))
    assert (nothing.iterations, nothing.residual) == (0, 0.0)


def test_conjugate_gradients_do_not_mix_the_batch():
    K, b = Conv(2)(0.3 * random(2, 2, 3, 3)), random(3, 2, 6, 5)
    b[1] *= 1e6
    b[2] = 0
    alone = (K.T @ K).solve_shifted(1.0, b[:1])
    torch.testing.assert_close((K.T @ K).solve_shifted(1.0, b)[:1], alone, rtol=1e-10, atol=1e-11)


def test_conjugate_gradients_in_float32_reach_their_tolerance():
    K, b = Conv(4)(0.3 * random(4, 4, 3, 3, dtype=torch.float32)), random(2, 4, 8, 8, dtype=torch.float32)
    x = (K.T @ K).solve_shifted(1.0, b)
    assert x.dtype == torch.float32
    assert float((x + K.T @ (K @ x) - b).norm() / b.norm()) < 1e-5


def test_conjugate_gradients_that_do_not_converge_say_so():
    K = Conv(2)(random(2, 2, 3, 3))
    with pytest.raises(StepError, match="did not converge") as caught:
        ConjugateGradients(iterations=3).solve(K, 10.0, random(1, 2, 6, 5))
    assert "3 iterations" in str(caught.value)


def test_conjugate_gradients_name_what_is_no_number():
    K, b = Conv(2)(random(2, 2, 3, 3)), random(1, 2, 6, 5)
    for root, features, word in ((K, b * float("nan"), "the features b"), (K * float("nan"), b, "K, or its")):
        with pytest.raises(StepError, match=word):
            Normal(root).solve_shifted(1.0, features)


# Twins: each law must reject a wrong object


@dataclass(frozen=True, eq=False)
class Wrong(Operator):
    """Zero-padded correlation with one mistake, told by its name."""

    kernel: torch.Tensor
    mistake: str

    def apply(self, y):
        if self.mistake == "reflect of PyTorch":
            return F.conv2d(F.pad(y, (1, 1, 1, 1), mode="reflect"), self.kernel)
        if self.mistake == "not linear":
            return F.conv2d(y, self.kernel, padding=1).relu()
        if self.mistake == "upcast":
            return F.conv2d(y, self.kernel, padding=1).double()
        return F.conv2d(y, self.kernel, padding=1)

    def apply_adjoint(self, z):
        turned = self.kernel.transpose(0, 1)
        if self.mistake == "reflect of PyTorch":
            return Correlation(self.kernel, "reflecting").apply_adjoint(z)
        return F.conv2d(z, turned if self.mistake == "forgets the flip" else turned.flip(2, 3), padding=1)

    def norm(self):
        return float(self.kernel.norm()) * (0.2 if self.mistake == "bound too low" else 10)

    @classmethod
    def examples(cls):
        return [(cls(random(2, 2, 3, 3), "none"), (2, 2, 4, 5))]


@pytest.mark.parametrize(
    ("mistake", "law"),
    [
        ("forgets the flip", laws.dot),
        ("reflect of PyTorch", laws.dot),
        ("forgets the flip", laws.matrix),
        ("not linear", laws.matrix),
        ("bound too low", laws.bound),
        ("upcast", laws.kept),
    ],
)
def test_laws_bite(mistake, law):
    shape = (2, 2, 4, 5)
    law(Wrong(random(2, 2, 3, 3), "none"), shape)
    with pytest.raises(laws.LawError, match=r"does not hold for Wrong.*, but .*apart by"):
        law(Wrong(random(2, 2, 3, 3), mistake), shape)


def test_forgotten_flip_is_seen_from_far():
    with pytest.raises(laws.LawError) as caught:
        laws.dot(Wrong(random(2, 2, 3, 3), "forgets the flip"), (2, 2, 4, 5))
    assert caught.value.miss > 0.005
    assert not isinstance(caught.value, UserError)


@dataclass(frozen=True, eq=False)
class ReflectStencil(Operator):
    """[1, -2, 1] under PyTorch's `reflect`, believed to be symmetric and solved by cosines."""

    def apply(self, y):
        return F.conv1d(F.pad(y, (1, 1), mode="reflect"), torch.tensor([[[1.0, -2.0, 1.0]]], dtype=y.dtype))

    apply_adjoint = apply
    symmetric = True

    def norm(self):
        return 5.0

    @property
    def solver(self):
        return operators.Cosine()

    def gain(self, space):
        return Stencil(1, dims=1)(torch.tensor([[0.0, 1.0]], dtype=torch.float64)).gain(space)

    @classmethod
    def examples(cls):
        return [(cls(), (1, 1, 8))]


def test_reflect_is_no_half_sample_extension():
    right = SymmetricStencil(torch.tensor([[0.0, 1.0]], dtype=torch.float64))
    laws.dot(right, (1, 1, 8))
    laws.shifted(right.T @ right, (1, 1, 8))
    with pytest.raises(laws.LawError):
        laws.dot(ReflectStencil(), (1, 1, 8))
    with pytest.raises(laws.LawError):
        laws.shifted(Normal(ReflectStencil()), (1, 1, 8))
    # HOUSE's figure: how far C A C' is from diagonal.
    C, A = cosine_matrix(8, torch.float64, torch.device("cpu")), ReflectStencil().as_matrix((1, 8))
    spread = C @ A @ C.T
    assert float((spread - spread.diag().diag()).norm() / spread.norm()) > 0.1


def test_shifted_law_bites_on_the_wrong_transform():
    weights = random(2, 2, 2)
    periodic = SymmetricStencil(weights, "periodic")

    class Torus(Normal):
        def solve_shifted(self, h, b):
            return (periodic.T @ periodic).solve_shifted(h, b)

    with pytest.raises(laws.LawError, match="was asked to be b"):
        laws.shifted(Torus(SymmetricStencil(weights, "reflecting")), (1, 2, 5, 4))


def test_reach_law_bites_on_a_wider_stencil():
    central = Correlation(torch.tensor([[[-0.5, 0.0, 0.5]]], dtype=torch.float64), "periodic", depthwise=True)
    with pytest.raises(laws.LawError, match="first difference"):
        laws.reach(central)


def test_pure_law_bites():
    calls = []

    def remembers(y):
        calls.append(1)
        return y + len(calls)

    with pytest.raises(laws.LawError, match="second call"):
        laws.pure(remembers, random(3))
    with pytest.raises(laws.LawError, match="went out changed"):
        laws.pure(lambda y: y.zero_(), random(3))


def package_of(tmp_path, monkeypatch, name, body):
    """Write a package of one module and import it."""
    (tmp_path / name).mkdir()
    (tmp_path / name / "__init__.py").write_text("")
    source = "from wellposed.operators import Matrix, Operator\nfrom abc import ABC, abstractmethod\n"
    source += "class Noun(ABC):\n    @classmethod\n    @abstractmethod\n    def examples(cls): ...\n"
    (tmp_path / name / "things.py").write_text(source + body)
    monkeypatch.syspath_prepend(tmp_path)
    package = __import__(name)
    assert isinstance(package, ModuleType)
    return package


def test_catalogue_finds_a_class_without_examples(tmp_path, monkeypatch):
    package = package_of(tmp_path, monkeypatch, "forgetful", "class Silent(Noun):\n    pass\n")
    with pytest.raises(laws.LawError, match="Silent"):
        laws.catalogue(package=package)


def test_catalogue_refuses_borrowed_examples(tmp_path, monkeypatch):
    body = "class Honest(Noun):\n    @classmethod\n    def examples(cls): return [Honest()]\n"
    package = package_of(tmp_path, monkeypatch, "honest", body)
    assert len(laws.catalogue(package=package)) == 1
    inherited = package_of(tmp_path, monkeypatch, "inherited", body + "class Heir(Honest): pass\n")
    with pytest.raises(laws.LawError, match="Heir"):
        laws.catalogue(package=inherited)
    body += "class Thief(Noun):\n    @classmethod\n    def examples(cls): return [Honest()]\n"
    with pytest.raises(laws.LawError, match="another class"):
        laws.catalogue(package=package_of(tmp_path, monkeypatch, "thief", body))


# Refusals


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: Conv(2, boundary="reflect"), StructureError, "'reflecting'"),
        (lambda: Conv(2, dims=4), StructureError, "1, 2 or 3"),
        (lambda: Conv(0), StructureError, "channels=0"),
        (lambda: Conv(2, depthwise=True, out=3), StructureError, "out=3"),
        (lambda: Stencil(2, boundary="wall"), StructureError, "zero, periodic, reflecting"),
        (lambda: Stencil(2, dims=4), StructureError, "1, 2 or 3"),
        (lambda: Dense(2)(random(3, 2)), ShapeError, "shape (2, 2)"),
        (lambda: Conv(2)(random(2, 2, 3, 3)) @ random(1, 3, 4, 4), ShapeError, "2 channels"),
        (lambda: Conv(2)(random(2, 2, 3, 3)) @ random(1, 2, 4), ShapeError, "2 axes of space"),
        (lambda: Conv(2)(random(2, 2, 3, 3)).T @ random(1, 3, 4, 4), ShapeError, "adjoint"),
        (lambda: Conv(1, 7)(random(1, 1, 7, 7)) @ random(1, 1, 2, 9), ShapeError, "at least 3 samples"),
        (lambda: Live(np.ones((3, 4), bool)) @ random(1, 2, 4, 3), ShapeError, "(3, 4)"),
        (lambda: Restrict((4, 4)) @ random(1, 2, 4, 5), ShapeError, "4, 4"),
        (lambda: Restrict((0,)), StructureError, "positive sizes"),
        (lambda: Dense(2)(random(2, 2)).solve_shifted(1.0, random(1, 2)), StructureError, "K.T @ K"),
        (lambda: Conv(2)(random(2, 2, 3, 3)).gain((4, 4)), StructureError, "Stencil"),
        (lambda: SymmetricStencil(random(2, 2, 2), "zero").gain((4, 4)), StructureError, "Stencil"),
        (lambda: Haar(1, 4), StructureError, "1, 2 or 3"),
        (lambda: Haar(1) @ random(1, 1, 3, 4), ShapeError, "even"),
        (lambda: LowRank(2, 3), StructureError, "rank=3"),
        (lambda: Turn(Matrix(random(2, 2)), 2) @ random(1, 2), ShapeError, "more than 2"),
        (lambda: Graph(1, 3, ((0, 3),), (1.0,)), StructureError, "of_points"),
        (lambda: Graph.of_points(1, random(4, 2), neighbours=4), StructureError, "fewer"),
        (lambda: Graph.of_points(1, random(2, 9)), StructureError, "points.T"),
        (lambda: Graph.of_points(1, random(9)), StructureError, "points[:, None]"),
        (lambda: Graph.of_points(1, random(9, 2).log()), StructureError, "no finite numbers"),
        (lambda: Graph.of_points(1, random(9, 2), neighbours=0), StructureError, "neighbours=0"),
        (lambda: Matrix(random(2, 2)) * random(2, 2), StructureError, "K @ x"),
        (lambda: random(2, 2) * Matrix(random(2, 2)), StructureError, "K @ x"),
        (lambda: Matrix(random(2, 2)) * np.ones(2), StructureError, "ndarray(2,)"),
        (lambda: Matrix(random(2, 2)) @ np.ones((1, 2)), StructureError, "torch.as_tensor"),
        (lambda: Matrix(random(2, 2)) @ 3.0, StructureError, "float"),
        (lambda: Matrix(random(2, 2)) + Matrix(random(1, 2)), StructureError, "2 and 1"),
        (lambda: Matrix(random(2, 3)) @ Matrix(random(2, 3)), StructureError, "3 and 2"),
        (lambda: (lambda K: K - K.T)(Matrix(random(2, 3))), StructureError, "3 and 2"),
        (lambda: Normal(Matrix(random(2, 3))).solve_shifted(1.0, random(1, 2)), ShapeError, "3 channels"),
        (lambda: Conv(1)(random(1, 1, 3, 3)) @ random(2, 1, 9), ShapeError, "dims=1"),
        (lambda: Graph.of_points(1, np.zeros((4, 2)), neighbours=2), StructureError, "one place"),
        (lambda: GraphGradient.examples()[0][0] @ random(1, 1, 5), ShapeError, "4 points"),
        (lambda: StencilBasis((0.0,)), StructureError, "positive"),
        (lambda: StencilBasis((1.0,), "pont"), StructureError, "'point'"),
        (lambda: StencilBasis((1.0, 1.0)).kernel(random(2, 2, 5, 5)), ShapeError, "three taps"),
        (lambda: galerkin(random(2, 2, 5)), ShapeError, "width=3"),
    ],
)
def test_refusals_name_both_sides(call, error, words):
    with pytest.raises(error) as caught:
        call()
    text = str(caught.value)
    assert [line.split(":")[0].strip() for line in text.splitlines()] == [
        "error",
        "given",
        "expected",
        "way out",
    ]
    assert words in text
