"""What `check` adds to the verdict: drift of the Jacobian, certificate in nats, pictures, runs."""

import json
from math import log, sin, sqrt

import numba
import numpy as np
import pytest
import torch

import wellposed as wp
from linear_flow import Linear, random
from refusals import four_lines
from small import small_volume, times
from wellposed.errors import FileError, RunError, ShapeError, StepError, StructureError
from wellposed.interpretation.noise import Asked, moved, noise_like, window_about
from wellposed.interpretation.shipped import shipped
from wellposed.network.part import seeded
from wellposed.project.check import check
from wellposed.project.check_attacks import under_attack
from wellposed.project.check_input import network_input
from wellposed.project.threads import use_threads
from wellposed.seismic.horizons import Horizon
from wellposed.seismic.picks import Picks
from wellposed.stability import (
    certificate,
    certified_bound,
    field_of_view,
    growth_by_step,
    jacobian_drift,
    jacobian_eigenvalues,
    largest_change,
    spectrum_outline,
    worst_growth,
)
from wellposed.stability.certificate import reach
from wellposed.stability.growth import worst_example
from wellposed.stability.march import passages

# ---- of which example it speaks


def test_what_is_shown_is_the_example_whose_perturbations_grow_most():
    with seeded(0):
        stage = wp.Stage(wp.Residual(wp.Dense(3), "tanh"), wp.Euler(), time=2.0, steps=4).double()
    y = torch.cat([30 * random(2, 3), 0.01 * random(1, 3), 30 * random(1, 3)])
    factors = worst_growth(stage, y).factor
    place = int(factors.argmax())
    assert place == 2  # what is not saturated
    found = worst_example(passages(stage, y)[0])
    assert torch.equal(found.start[0], y[place : place + 1])
    assert float(worst_growth(stage, found.start[0]).factor) == pytest.approx(float(factors.max()))


def test_an_input_that_is_no_number_is_refused(tmp_path):
    values = np.ones((4, 2), np.float32)
    values[1, 1] = np.nan
    np.save(tmp_path / "y.npy", values)
    with pytest.raises(FileError, match="cannot be read") as error:
        network_input(points_net(), str(tmp_path / "y.npy"))
    assert "1 values are no finite float32" in four_lines(error)


# ---- drift of the Jacobian


def turning(w, h=0.1, steps=12, n=2):
    """K(t) = cos(w t) A + sin(w t) B, A and B orthogonal and of one norm."""
    t = h * torch.arange(steps + 1, dtype=torch.float64)
    A, B = torch.zeros(2, n, n, dtype=torch.float64)
    A[0, 1], A[1, 0], B[0, 1], B[1, 0] = 1.0, -1.0, 1.0, 1.0
    K = torch.cos(w * t)[:, None, None] * A + torch.sin(w * t)[:, None, None] * B
    control = wp.Control({"K": K}, t)
    made = wp.Stage(
        Linear(wp.Dense(n)), wp.RK4(), time=h * steps, steps=steps, control=control, bound="report"
    )
    return made.double()


@pytest.mark.parametrize("n", [2, 80])  # every column, and random directions
def test_drift_of_a_turning_matrix_is_its_speed(n):
    for w in (0.0, 0.5, 3.0):
        found = jacobian_drift(turning(w, n=n), random(3, n), probes=400)
        exact = torch.full((3, 12), 2 * sin(w * 0.1 / 2) / 0.1, dtype=torch.float64)
        torch.testing.assert_close(found, exact, rtol=1e-9 if n == 2 else 0.1, atol=1e-9)


def test_drift_sees_features_that_move_under_weights_that_stand_still():
    with seeded(0):
        made = wp.Stage(wp.SingleResidual(wp.Dense(3), "tanh"), wp.Euler(), time=2.0, steps=8, bound="report")
    made = made.double()
    found = jacobian_drift(made, random(2, 3))
    assert found.shape == (2, 8)
    states = torch.stack(made.trajectory(random(2, 3)), 1).detach()
    f, theta = made.dynamics, {k: v[0].detach().double() for k, v in made.control.params.items()}
    J = torch.stack(
        [torch.func.jacrev(lambda y: f.rate(theta, y[None])[0])(y) for y in states.flatten(0, 1)]
    ).view(2, 9, 9)
    size = (J.norm(dim=2)[:, 1:] + J.norm(dim=2)[:, :-1]) / 2
    torch.testing.assert_close(found, J.diff(dim=1).norm(dim=2) / (0.25 * size), rtol=1e-6, atol=0)


def test_drift_of_two_halves_and_of_nothing():
    f = wp.Hamiltonian(wp.Dense(3), damping=0.4)
    made = wp.Stage(f, wp.Verlet(), time=1.0, steps=4, bound="report").double()
    assert bool((jacobian_drift(made, random(2, 3)) > 0).all())
    for value in made.control.params.values():
        value.data.zero_()  # friction alone: it never changes
    assert float(jacobian_drift(made, random(2, 3)).abs().max()) == 0
    still = turning(0.0)
    still.control.params["K"].data.zero_()
    assert float(jacobian_drift(still, random(1, 2)).max()) == 0


# ---- certificate


def parabolic(integrator=None, levels=1, width=3, steps=2):
    """A small parabolic classifier in float64 whose head is not zero."""
    with seeded(0):

        def stage(channels):
            f = wp.Parabolic(wp.Conv(channels, width=width), "tanh")
            return wp.Stage(f, integrator or wp.Euler(), time=0.3, steps=steps)

        parts = [stage(3)]
        if levels > 1:
            parts.append(wp.Level(wp.Coarsen(3, 2), wp.Network(stage(2)), wp.Refine(2, 3)))
        net = wp.Network(wp.Opening(1, 3, width=3), *parts, wp.Classify(3, 3)).double()
        net.parts[-1].map.kernel.data = random(3, 3)
    return net


def log_density(net, x, place):
    return net(x)[(..., *place)].log_softmax(1)


def test_no_noise_moves_a_log_density_by_more_than_is_certified():
    net, y = parabolic(levels=2), random(2, 1, 9, 8)
    found = certificate(net, y, ratios_db=(30.0, 10.0, 0.0), ascents=20)
    assert found.norm == certified_bound(net, y)
    assert found.seen == 9 * 8
    for db, bound, most, slack in zip(found.ratios_db, found.bound, found.found, found.slack, strict=True):
        radius = 10 ** (-db / 20) * y.flatten(1).norm(dim=1)
        assert bound == pytest.approx(sqrt(2) * found.norm * float(radius.max()))
        assert 0 < most <= bound
        assert slack == pytest.approx(bound / most)
        # Gradient ascent does better than noise at random, and than what moves the whole output most.
        worst = largest_change(net, y, float(radius.min())).change
        noise = random(*y.shape, seed=3)
        noise = noise * (radius / noise.flatten(1).norm(dim=1)).view(-1, 1, 1, 1)
        with torch.no_grad():
            base = log_density(net, y, (4, 4))
            for d in (worst, noise):
                assert float((log_density(net, y + d, (4, 4)) - base).abs().max()) <= most * (1 + 1e-6)
    assert found.slack[0] < 60
    text = str(found)
    assert "nats" in text
    assert len(text.splitlines()) == 5


def test_a_certificate_of_one_linear_map_is_nearly_reached():
    # Logits +-a y: log p moves by log(1 + e^2a|d|) - log 2, and the bound by sqrt 2 |W| |d| = 2 a |d|.
    net = wp.Network(wp.Classify(1, 2)).double()
    net.parts[0].map.kernel.data = torch.tensor([[3.0], [-3.0]]).double()
    y = torch.full((1, 1), 1e-9, dtype=torch.float64)
    found = certificate(net, y, ratios_db=(-180.0,))  # noise of size one
    assert found.bound == pytest.approx([6.0])
    assert found.found == pytest.approx([log(1 + 2.718281828459045**6) - log(2)], rel=1e-6)


def test_ascent_breaks_a_certificate_without_the_head():
    net, y = parabolic(), random(1, 1, 9, 8)
    net.parts[-1].map.kernel.data *= 50
    found = certificate(net, y, ratios_db=(60.0,))
    forgotten = sqrt(2) * certified_bound(wp.Network(*net.parts[:-1]), y) * 1e-3 * float(y.norm())
    assert found.bound[0] > found.found[0] > forgotten


@pytest.mark.parametrize(
    ("net", "far"),
    [
        (parabolic(steps=1), 3),
        (parabolic(steps=2), 5),
        (parabolic(wp.RK4(), steps=1), 9),
        (parabolic(width=5, steps=1), 5),
        (parabolic(steps=1, levels=2), 1 + 2 + 2 * 2 + 5),
        (parabolic(wp.ImplicitEuler()), float("inf")),
    ],
)
def test_nothing_is_seen_beyond_the_reach(net, far):
    assert reach(net) == far
    y = random(1, 1, 31, 33)
    seen = field_of_view(net, y, probes=8).shares > 0
    places = torch.nonzero(seen) - torch.tensor([15, 16])
    assert int(places.abs().max()) <= far
    if len(net.parts) == 3 and far < 9:
        assert int(places.abs().max()) == far  # and no more is claimed than is seen
    if far < 15:
        assert certificate(net, y, ratios_db=(20.0,), ascents=1).seen == (2 * far + 1) ** 2


def test_where_there_is_no_certificate_the_reason_is_said():
    y = random(1, 1, 9, 8)
    with pytest.raises(StructureError) as error:
        certificate(wp.recipes.imex((2, 3)).double(), y)
    assert "no bound is known for this stage" in four_lines(error)
    assert "Reaction" in str(error.value)
    with pytest.raises(StructureError) as error:
        certificate(wp.Network(*parabolic().parts[:-1]), y)
    assert "ends in Classify" in four_lines(error)
    long = parabolic()
    long.parts[1].control.params["K"].data *= 100
    with pytest.raises(StepError) as error:
        certificate(long, y)
    four_lines(error)


def test_a_fresh_head_moves_nothing():
    net = parabolic()
    net.parts[-1].map.kernel.data.zero_()
    found = certificate(net, random(1, 1, 9, 8), ratios_db=(0.0,), ascents=2)
    assert found.bound == found.found == (0.0,)
    assert str(found).endswith("-")


# ---- what pictures show


def test_the_outline_of_a_small_spectrum_is_all_of_it():
    with seeded(0):
        first = wp.Stage(wp.SingleResidual(wp.Dense(4), "tanh"), wp.Euler(), steps=3, bound="report").double()
        waves = wp.Stage(wp.Hamiltonian(wp.Dense(3), damping=0.4), wp.Verlet(), steps=3).double()
    for made in (first, waves):
        y = random(1, made.takes)
        found = spectrum_outline(made, y, places=[0, 3])
        every = jacobian_eigenvalues(made, y, places=[0, 3])[:, 0]
        misses = (found[:, :, None] - every[:, None]).abs()
        assert float(misses.min(1).values.max()) < 1e-6
        assert float(misses.min(2).values.max()) < 1e-6


def test_the_outline_of_a_large_spectrum_has_its_ends():
    with seeded(0):
        made = wp.Stage(wp.Parabolic(wp.Conv(2), "tanh"), wp.Euler(), time=0.3, steps=2).double()
    y = random(1, 2, 7, 8)
    found = spectrum_outline(made, y, places=[1])[0].real
    every = jacobian_eigenvalues(made, y, places=[1])[0, 0].real
    assert float(found.min()) == pytest.approx(float(every.min()), rel=1e-3)
    assert float(found.max()) <= float(every.max()) + 1e-9


def test_the_outline_leaves_out_what_is_implicit():
    made = wp.recipes.imex(channels=(2,)).stages()[0].double()
    y = random(1, 2, 6, 6)
    explicit = float(spectrum_outline(made, y).abs().max())
    assert explicit < 0.5 * float(jacobian_eigenvalues(made, y, places=[0]).abs().max())


@pytest.mark.parametrize(
    ("f", "integrator"),
    [
        (wp.Residual(wp.Dense(4), "tanh"), wp.Euler()),
        (wp.Antisymmetric(wp.Dense(4)), wp.AB3()),
        (wp.Hyperbolic(wp.Dense(4), "tanh"), wp.Leapfrog()),
    ],
    ids=str,
)
def test_growth_by_step_ends_where_the_worst_growth_is(f, integrator):
    with seeded(0):
        made = wp.Stage(f, integrator, time=2.0, steps=6, bound="report").double()
    y = random(2, 4)
    (passage,) = passages(wp.Network(made), y)
    worst = worst_growth(made, y, tolerance=1e-8)
    found = growth_by_step(passage, worst.direction)
    assert found.shape == (2, 7)
    torch.testing.assert_close(found[:, 0], torch.ones(2).double())
    torch.testing.assert_close(found[:, -1], worst.factor, rtol=1e-6, atol=0)
    assert bool((growth_by_step(passage, random(2, 4, seed=4))[:, -1] < worst.factor).all())


# ---- noise of the survey


def spectrum(traces):
    return np.abs(np.fft.rfft(traces, axis=-1)).mean((0, 1))


def test_noise_has_the_spectrum_and_the_energy_of_the_survey():
    a = small_volume((12, 16)).read()
    live = np.ones(a.shape[:2], bool)
    live[3, 4] = False
    noise = noise_like(a, live)
    assert not noise[3, 4].any()
    assert (noise[live] ** 2).mean() == pytest.approx((a[live] ** 2).mean(), rel=1e-5)
    alike = np.corrcoef(spectrum(noise), spectrum(a))[0, 1]
    white = np.random.default_rng(0).normal(size=a.shape)
    assert alike > 0.95 > np.corrcoef(spectrum(white), spectrum(a))[0, 1]
    apart = np.corrcoef(noise[0, :8].astype(float))
    assert np.abs(apart - np.eye(8)).max() < 0.7  # traces do not repeat one another
    assert np.array_equal(noise, noise_like(a, live))
    assert not np.array_equal(noise, noise_like(a, live, seed=1))
    assert not noise_like(a, np.zeros_like(live)).any()


def asked(picked, name="top"):
    volume = small_volume((30, 60))
    s, twt = volume.survey, times(name, (30, 60))
    i, j = np.array(picked).T
    picks = Picks(name, s.inline[i], s.crossline[j], twt[i, j], np.full(len(i), 2.0))
    std = np.full(twt.shape, 3.0)
    horizon = Horizon(name, s, twt, std, twt - 4, twt + 4, np.ones(twt.shape))
    return volume, Asked(picks, horizon, shipped().terms, 1.0)


def test_a_window_lies_where_the_picks_are():
    volume, one = asked([(2, 1), (25, 50), (26, 52), (28, 58), (20, 44)])
    window = window_about(volume, [one.horizon], [one.picks])
    assert window.volume.survey.shape[:2] == (24, 48)
    assert (window.inline.stop, window.crossline.stop) == (30, 60)
    assert "window with 4 picks" in window.words
    corner = Picks("a", np.array([100]), np.array([500]), np.array([88.0]), np.array([2.0]))
    whole = window_about(small_volume(), [one.horizon], [corner])
    assert whole.words == "the whole survey"


@pytest.fixture(autouse=True)
def _compiled_code_on_one_thread():
    before = numba.get_num_threads()
    use_threads(1, networks=True)
    yield
    numba.set_num_threads(before)


def test_horizons_move_the_more_the_stronger_the_noise():
    volume, one = asked([(20, 20), (28, 58)])
    window = window_about(volume, [one.horizon], [one.picks])
    (found,) = moved(window, [one], shipped(), [400.0, 20.0, -20.0])
    still, little, much = found.curve
    assert still.mean_ms == still.share == still.lost == 0  # noise below rounding
    assert 0 < little.mean_ms < 1 < much.mean_ms
    assert little.share < 0.05 < much.share + much.lost
    assert found.std_ms == 3
    assert found.led_by == "2 of its 2 picks and 9 points of its surface"


# ---- archives


def test_a_network_is_checked(tmp_path):
    net = parabolic(levels=2)
    wp.save(net, tmp_path / "net.zip")
    found = check(tmp_path / "net.zip", tmp_path / "out")
    assert found["kind"] == "network"
    assert found["well_posed"]
    assert found["input"] == "random features of shape (1, 1, 32, 32)"
    assert [s["name"] for s in found["stages"]] == ["parts.1", "parts.2.inner.parts.0"]
    assert all(0 < s["drift"] < 10 and s["fastest"] > 0 for s in found["stages"])
    told = found["certificate"]
    assert all(f <= b for f, b in zip(told["found"], told["bound"], strict=True))
    assert "certificate: a log-density moves at most" in found["text"]
    assert "keeps its classes where each sample moves by 0.1 of their std: FGSM" in found["text"]
    names = sorted(p.name for p in (tmp_path / "out").iterdir())
    assert names == ["check.json", "growth.png", "regions.png", "view.png"]
    written = json.loads((tmp_path / "out" / "check.json").read_text())
    assert written == json.loads(json.dumps(found))
    # Of another network in the same folder only its own pictures are left.
    points = wp.Network(wp.Opening(2, 3), wp.Stage(wp.Residual(wp.Dense(3)), wp.Euler()), wp.Classify(3, 2))
    wp.save(points, tmp_path / "points")
    found = check(tmp_path / "points", tmp_path / "out")
    assert found["input"] == "random features of shape (16, 2)"
    assert "no certificate: no bound is known for this stage" in found["text"]
    assert "Residual" in found["certificate"]["refused"]
    assert not (tmp_path / "out" / "view.png").exists()


def points_net(scale=1.0, offset=0.0):
    """The class of a point is the sign of its first coordinate, less an offset."""
    stage = wp.Stage(wp.Parabolic(wp.Dense(2), "tanh"), wp.Euler(), time=0.1, steps=2)
    net = wp.Network(wp.Opening(2, 2), stage, wp.Classify(2, 2))
    for value in stage.parameters():
        value.data.zero_()
    net.parts[0].map.kernel.data = torch.eye(2)
    net.parts[-1].map.kernel.data = scale * torch.tensor([[0.0, 0.0], [1.0, 0.0]])
    net.parts[-1].map.bias.data = scale * torch.tensor([0.0, -offset])
    return net


def test_classes_are_kept_as_far_as_their_margins_reach():
    y = torch.randn(100, 2, generator=torch.Generator().manual_seed(0))
    found = under_attack(points_net(), y[:16])
    safe = (y[:16, 0].abs() > found["radius"]).float().mean()
    assert found["radius"] == pytest.approx(0.1 * y[:16].std(correction=0).item())
    assert found["kept"] == {name: pytest.approx(safe.item()) for name in found["kept"]}
    assert list(found["kept"]) == ["FGSM", "projected gradient", "square", "transfer"]
    assert found["warnings"] == []
    far = under_attack(points_net(offset=9.0), y)
    assert set(far["kept"].values()) == {1.0}
    assert "FGSM 100.0 %" in far["text"]


def test_what_tells_no_classes_apart_is_not_attacked(tmp_path):
    net = wp.Network(wp.Opening(2, 2), wp.Readout(2, 3))
    wp.save(net, tmp_path / "net")
    found = check(tmp_path / "net", tmp_path / "out")
    assert "not attacked: the network ends with Readout" in found["text"]
    y = torch.randn(4, 2)
    assert "one number" in under_attack(points_net(), torch.ones(4, 2))["refused"]
    assert "all classes are equal" in under_attack(points_net(scale=0.0), y)["refused"]
    assert "radius=nan" in under_attack(points_net(), y * torch.nan)["refused"]


def test_a_network_that_overflows_is_said_to(tmp_path):
    with seeded(0):
        stage = wp.Stage(wp.Residual(wp.Dense(2)), wp.Euler(), steps=4)
    for value in stage.control.params.values():
        value.data = torch.full_like(value, 1e20)
    wp.save(wp.Network(stage), tmp_path / "net")
    found = check(tmp_path / "net", tmp_path / "out")
    assert not found["well_posed"]
    assert "overflows" in found["text"]
    assert found["growth"] is None
    json.loads((tmp_path / "out" / "check.json").read_text(), parse_constant=pytest.fail)


@pytest.mark.parametrize(
    ("net", "shape"),
    [
        (wp.recipes.fully_hyperbolic(2), (1, 1, 32, 32)),
        (wp.Network(wp.Opening(1, 2, width=3, dims=1)), (1, 1, 64)),
        (wp.Network(wp.Opening(1, 2, width=3, dims=3)), (1, 1, 12, 12, 12)),
        (wp.Network(wp.Stage(wp.Reaction(wp.Dense(2), wp.Stencil(2, dims=1)), wp.IMEX())), (1, 2, 64)),
    ],
    ids=["haar", "1-D", "3-D", "stencil"],
)
def test_features_suit_the_operators(net, shape):
    assert network_input(net, None)[0].shape == shape
    assert torch.equal(network_input(net, None)[0], network_input(net, None)[0])


def test_inputs_that_cannot_be_are_refused(tmp_path):
    net = wp.Network(wp.Opening(1, 2, width=3))
    good, wide, words = (tmp_path / name for name in ("good.npy", "wide.npy", "words.npy"))
    np.save(good, np.ones((2, 1, 6, 5)))
    np.save(wide, np.ones((2, 3, 6, 5)))
    words.write_text("no array")
    assert network_input(net, str(good))[0].shape == (2, 1, 6, 5)
    with pytest.raises(ShapeError) as error:
        network_input(net, str(wide))
    assert "cannot take this input" in four_lines(error)
    for file in (words, tmp_path / "none.npy"):
        with pytest.raises(FileError) as error:
            network_input(net, str(file))
        assert "numpy.save" in four_lines(error)


def test_a_check_takes_the_place_of_nothing_else(tmp_path):
    wp.save(parabolic(), tmp_path / "net.zip")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.tex").write_text("mine")
    for out in (tmp_path / "out", tmp_path / "net.zip"):
        with pytest.raises(RunError) as error:
            check(tmp_path / "net.zip", out)
        assert "choose another --out" in four_lines(error)
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["thesis.tex"]
