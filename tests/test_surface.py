"""Surfaces of least cost and their marginals, against enumeration and against a line's recursions."""

import itertools
from dataclasses import replace

import numpy as np
import pytest

from wellposed.errors import ShapeError
from wellposed.seismic.links import Links
from wellposed.seismic.surface import Model, Prices, energy_of, marginals, minimum_surface

PRICES = [Prices(slant=0.1, cap=1.0), Prices(slant=0.05, quad=0.07, cap=0.6, growth=0.2)]


def random_model(ni, nx, size, *, reach=1, prices=PRICES[1], seed=0, holes=0, slope=0.0):
    rng = np.random.default_rng(seed)
    wide = 2 * reach + 1
    inline = rng.integers(0, 256, (max(ni - 1, 0), nx, wide, size), dtype=np.uint8)
    crossline = rng.integers(0, 256, (ni, nx - 1, wide, size), dtype=np.uint8)
    exists = np.ones((ni, nx), bool)
    exists.ravel()[rng.permutation(ni * nx)[:holes]] = False
    first = rng.integers(0, 3, (ni, nx)).astype(np.int32)
    unary = (2 * rng.random((ni, nx, size))).astype(np.float32)
    prior = slope * np.add.outer(np.arange(ni), np.arange(nx)) if slope else None
    return Model(unary, first, Links(inline, crossline, 1 / 200), exists, prices, prior)


def pair_cost(model, axis, i, x, d, e):
    """The formula of the module, read once more and slowly."""
    j, y = (i + 1, x) if axis == 0 else (i, x + 1)
    link = (model.links.inline if axis == 0 else model.links.crossline)[i, x]
    k = model.first[j, y] + e - model.first[i, x] - d
    g = 0.0 if model.prior is None else model.prior[j, y] - model.prior[i, x]
    p, reach = model.prices, model.links.reach
    jump = p.cap + p.growth * abs(k)
    if abs(k) > reach:
        return jump
    return min(jump, model.links.step * link[reach + k, d] + p.slant * abs(k - g) + p.quad * (k - g) ** 2)


def energies(model):
    """Every surface and its energy: the law's judge."""
    ni, nx, size = model.unary.shape
    traces = [(i, x) for i in range(ni) for x in range(nx) if model.exists[i, x]]
    surfaces = np.array(list(itertools.product(range(size), repeat=len(traces))))
    place = {trace: n for n, trace in enumerate(traces)}
    total = sum(model.unary[i, x][surfaces[:, n]].astype(float) for (i, x), n in place.items())
    for (i, x), n in place.items():
        for axis, other in ((0, (i + 1, x)), (1, (i, x + 1))):
            if other in place:
                table = np.array(
                    [[pair_cost(model, axis, i, x, d, e) for e in range(size)] for d in range(size)]
                )
                total = total + table[surfaces[:, n], surfaces[:, place[other]]]
    return traces, surfaces, total


def exact_marginals(model, beta):
    traces, surfaces, total = energies(model)
    w = np.exp(-beta * (total - total.min()))
    p = np.zeros(model.unary.shape)
    for n, (i, x) in enumerate(traces):
        p[i, x] = np.bincount(surfaces[:, n], w, model.unary.shape[2])
    return p / p.sum(axis=2, keepdims=True).clip(1e-30)


LINES = [(1, 5), (5, 1)]


@pytest.mark.parametrize("shape", LINES)
@pytest.mark.parametrize("prices", PRICES)
@pytest.mark.parametrize("seed", range(4))
def test_on_a_line_the_surface_is_the_exact_minimum(shape, prices, seed):
    model = random_model(*shape, 6, prices=prices, seed=seed, slope=0.4 * (seed % 2))
    _, _, total = energies(model)
    found = minimum_surface(model)
    assert found.energy == pytest.approx(total.min(), abs=1e-5)
    assert found.bound == pytest.approx(total.min(), abs=1e-4)
    assert energy_of(model, found.place) == found.energy


@pytest.mark.parametrize("shape", LINES)
@pytest.mark.parametrize("prices", PRICES)
@pytest.mark.parametrize("beta", [0.5, 2.0])
def test_on_a_line_the_marginals_are_exact(shape, prices, beta):
    model = random_model(*shape, 6, prices=prices, seed=3, slope=0.3)
    assert marginals(model, beta) == pytest.approx(exact_marginals(model, beta), abs=2e-6)


def test_marginals_of_another_temperature_are_told_apart():
    model = random_model(1, 5, 6, seed=3)
    assert np.abs(marginals(model, 1.0) - exact_marginals(model, 1.3)).max() > 1e-2


def test_a_forgotten_slope_is_told_apart():
    model = random_model(1, 5, 6, seed=1, prices=Prices(slant=0.4, cap=3.0), slope=1.0)
    _, _, total = energies(model)
    forgotten = minimum_surface(replace(model, prior=None))
    assert energy_of(model, forgotten.place) > total.min() + 1e-3


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("holes", [0, 2])
def test_on_a_grid_the_bound_holds_and_the_surface_is_near_it(seed, holes):
    model = random_model(3, 3, 4, seed=seed, holes=holes)
    _, _, total = energies(model)
    found = minimum_surface(model, sweeps=200)
    assert found.bound <= total.min() + 1e-4 <= found.energy + 2e-4
    assert found.energy <= np.quantile(total, 0.001) + 1e-9


def test_the_bound_grows_with_every_sweep():
    model = random_model(12, 15, 9, reach=2, seed=5)
    bounds = [minimum_surface(model, sweeps=n).bound for n in (1, 2, 4, 8, 16)]
    assert all(b >= a - 1e-3 for a, b in itertools.pairwise(bounds))
    assert bounds[-1] > bounds[0] + 1


@pytest.mark.parametrize("seed", range(3))
def test_on_a_grid_the_marginals_are_near_and_not_too_sure(seed):
    model = random_model(3, 3, 4, seed=seed)
    truth = exact_marginals(model, 1.0)
    found = marginals(model, 1.0, sweeps=200)
    assert np.abs(found - truth).max() < 0.12
    unaware = np.exp(-model.unary) / np.exp(-model.unary).sum(axis=2, keepdims=True)
    assert np.abs(found - truth).mean() < 0.5 * np.abs(unaware - truth).mean()


def test_missing_traces_cut_a_line_in_two():
    model = random_model(1, 6, 4, seed=2)
    model.exists[0, 3] = False
    _, _, total = energies(model)
    assert minimum_surface(model).energy == pytest.approx(total.min(), abs=1e-5)
    p = marginals(model, 1.0)
    assert p[model.exists] == pytest.approx(exact_marginals(model, 1.0)[model.exists], abs=2e-6)
    assert np.all(p[0, 3] == 0.25)


def test_a_part_of_a_grid_is_solved_as_if_it_were_the_grid():
    whole = random_model(6, 7, 5, seed=3, slope=0.3)
    part = np.s_[1:4, 2:6]
    exists = np.zeros((6, 7), bool)
    exists[part] = True
    exists[2, 3] = False
    links = Links(whole.links.inline[1:3, 2:6], whole.links.crossline[1:4, 2:5], whole.links.step)
    own = [np.ascontiguousarray(v[part]) for v in (whole.unary, whole.first, whole.prior)]
    alone = Model(own[0], own[1], links, np.ascontiguousarray(exists[part]), whole.prices, own[2])
    inside = replace(whole, exists=exists)
    a, b = minimum_surface(inside), minimum_surface(alone)
    assert (a.energy, a.bound) == (b.energy, b.bound)
    assert np.array_equal(a.place[part], b.place)
    p = marginals(inside, 1.0)
    assert np.array_equal(p[part], marginals(alone, 1.0))
    assert np.all(p[~exists] == np.float32(0.2))
    nowhere = marginals(replace(whole, exists=np.zeros((6, 7), bool)), 1.0)
    assert np.all(nowhere == np.float32(0.2))


def test_a_jump_costs_what_its_throw_says():
    """The evidence moves by seven samples: the surface follows where the jump is cheaper than staying."""
    unary = np.full((1, 20, 12), 1.0, np.float32)
    unary[0, :10, 2] = unary[0, 10:, 9] = 0
    links = Links(np.zeros((0, 20, 3, 12), np.uint8), np.zeros((1, 19, 3, 12), np.uint8), 0.01)
    model = Model(unary, np.zeros((1, 20), np.int32), links, np.ones((1, 20), bool), Prices(0.1, 0, 2.0, 0.5))
    found = minimum_surface(model)
    assert found.place[0].tolist() == [2] * 10 + [9] * 10
    assert found.energy == pytest.approx(7 * 1.0, abs=2.0)
    assert found.energy <= 2.0 + 0.5 * 7
    dear = minimum_surface(replace(model, prices=Prices(0.1, 0, 50.0)))
    assert np.abs(np.diff(dear.place[0])).max() <= 1


def test_links_add_and_scale():
    a, b = random_model(3, 4, 5, seed=1).links, random_model(3, 4, 5, seed=2).links
    both = a.times(2.0) + b
    cost = 2 * a.step * a.inline.astype(float) + b.step * b.inline
    assert both.step * both.inline == pytest.approx(cost, abs=both.step)
    with pytest.raises(ShapeError, match="different bands"):
        a + random_model(3, 4, 6).links


def test_a_model_of_parts_that_do_not_fit_is_refused():
    model = random_model(2, 3, 4)
    with pytest.raises(ShapeError, match="do not fit"):
        replace(model, unary=model.unary[:, :, 1:])
