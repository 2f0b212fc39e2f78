"""The tracker on layered earths whose reflector is a formula, and its parts against theirs."""

from dataclasses import replace

import numpy as np
import pytest

from wellposed.errors import PickError, ShapeError
from wellposed.seismic import condition as conditioning
from wellposed.seismic import finish, tracker
from wellposed.seismic.band import LARGEST, LEAST, band_about
from wellposed.seismic.condition import condition
from wellposed.seismic.dips import dips, steered_mean
from wellposed.seismic.interpolate import distance_to_picks
from wellposed.seismic.links import Links, correlation_links, gaussian_window
from wellposed.seismic.phase import phase_of_picks
from wellposed.seismic.picks import Picks
from wellposed.seismic.tracker import Tracker, track
from wellposed.seismic.volume import Volume

SHAPE, SAMPLES, STEP = (24, 40), 96, 4.0
FAULT, THROW = 26, 8  # crossline of the fault, and samples that it drops


def faulted(shape=SHAPE):
    """Samples of a folded reflector that a fault displaces."""
    i, j = np.indices(shape)
    z = 44 + 5 * np.sin(2 * np.pi * j / 36) + 3 * np.cos(2 * np.pi * i / 30)
    return z + THROW * (j >= FAULT)


def earth(z, events, noise=0.05, seed=0):
    """Ricker wavelets at samples z + depth for each (depth, strength), and noise."""
    a = noise * np.random.default_rng(seed).standard_normal((*z.shape, SAMPLES))
    for depth, strength in events:
        u = (0.12 * np.pi * (np.arange(SAMPLES) - z[..., None] - depth)) ** 2
        a += strength * (1 - 2 * u) * np.exp(-u)
    return a


def layers(seed=0):
    """The reflector, and others of random distance, strength and sign above and below it."""
    rng = np.random.default_rng(seed)
    above, below = -np.cumsum(rng.uniform(5, 9, 6)), np.cumsum(rng.uniform(5, 9, 6))
    depths = np.r_[above, below]
    strengths = rng.uniform(0.3, 0.8, depths.size) * rng.choice([-1, 1], depths.size)
    return [(0.0, 1.0), *zip(depths, strengths, strict=True)]


def volume(a):
    labels = {"inline": 100 + 2 * np.arange(a.shape[0]), "crossline": np.arange(500, 500 + a.shape[1])}
    return Volume.from_array(a, **labels, twt_ms=200 + STEP * np.arange(SAMPLES))


def picks_at(cells, z):
    i, j = np.array(cells).T
    return Picks("top", 100 + 2 * i, 500 + j, 200 + STEP * z[i, j], np.full(len(i), 2.0))


def error_ms(horizon, z):
    return np.abs(horizon.twt_ms - 200 - STEP * z)


def follows(horizon, z):
    """The check of all that is followed: 1 ms in the median, and nine traces in ten within 4 ms."""
    e = error_ms(horizon, z)
    e = e[np.isfinite(e)]
    return bool(np.median(e) < 1 and np.mean(e < 4) > 0.9)


@pytest.fixture(scope="module")
def ready():
    """Volume, samples of its reflector, and the conditioned volume."""
    z = faulted()
    v = volume(earth(z, layers()))
    return v, z, condition(v.read(), v.survey.live)


PICKED = {
    "two lines": [(i, j) for i in (4, 18) for j in range(0, 40, 3)],
    "one line": [(12, j) for j in range(0, 40, 3)],
    "scattered": [(2, 3), (5, 30), (11, 17), (20, 8), (21, 36)],
    "one pick": [(12, 10)],
    "one pick behind the fault": [(3, 33)],
}


@pytest.mark.parametrize("cells", PICKED.values(), ids=PICKED)
def test_a_faulted_reflector_is_followed(ready, cells):
    v, z, prepared = ready
    h = track(v, picks_at(cells, z), prepared=prepared)
    assert follows(h, z)
    assert follows_both_sides(h, z)
    assert (h.twt_p10_ms < h.twt_p90_ms).all()
    assert np.mean((h.twt_p10_ms <= h.twt_ms) & (h.twt_ms <= h.twt_p90_ms)) > 0.95
    assert (h.probability == 1).all()
    np.testing.assert_allclose(h.density.probability.sum(axis=2), 1, atol=1e-4)


def follows_both_sides(horizon, z):
    e = error_ms(horizon, z)
    return np.median(e[:, :FAULT]) < 1.5 and np.median(e[:, FAULT:]) < 1.5


@pytest.mark.parametrize("cells", [PICKED["one line"], PICKED["one pick"]], ids=["one line", "one pick"])
def test_the_std_grows_away_from_the_picks(ready, cells):
    v, z, prepared = ready
    std = track(v, picks_at(cells, z), prepared=prepared).twt_std_ms
    distance = distance_to_picks(*np.array(cells).T, SHAPE)
    rings = [
        float(std[(distance >= a) & (distance < b)].mean()) for a, b in ((0, 2), (2, 5), (5, 9), (9, 40))
    ]
    assert rings == sorted(rings)
    assert rings[-1] > 1.2 * rings[0]


def test_more_picks_make_it_surer(ready):
    v, z, prepared = ready
    one, two = (
        track(v, picks_at(PICKED[name], z), prepared=prepared).twt_std_ms.mean()
        for name in ("one pick", "two lines")
    )
    assert two < 0.85 * one


def test_the_same_bits_each_time_and_at_any_number_of_threads(ready):
    import numba

    v, z, prepared = ready
    picks = picks_at(PICKED["scattered"], z)
    first = track(v, picks, prepared=prepared)
    before = numba.get_num_threads()
    try:
        for threads in {1, before}:
            numba.set_num_threads(threads)
            again = track(v, picks)
            for name in ("twt_ms", "twt_std_ms", "twt_p10_ms", "twt_p90_ms"):
                np.testing.assert_array_equal(getattr(again, name), getattr(first, name), name)
    finally:
        numba.set_num_threads(before)


@pytest.mark.parametrize("cells", [[4, 20, 30, 38], [4, 30], [4]], ids=len)
@pytest.mark.parametrize("turned", [False, True], ids=["an inline", "a crossline"])
def test_a_survey_of_one_line(cells, turned):
    z = faulted((1, 40))
    places = [(0, j) for j in cells]
    if turned:
        z, places = z.T, [(j, 0) for j in cells]
    h = track(volume(earth(z, layers())), picks_at(places, z))
    assert follows(h, z)


def test_a_survey_of_two_lines():
    z = faulted((2, 40))
    assert follows(track(volume(earth(z, layers())), picks_at([(0, 4), (1, 33)], z)), z)


def test_a_dead_zone_is_bridged_and_less_sure(ready):
    z = faulted()
    a = earth(z, layers())
    a[8:14, 10:17] = 0
    v = volume(a)
    h = track(v, picks_at(PICKED["two lines"], z))
    zone = ~v.survey.live
    assert int(zone.sum()) == 42
    assert follows(h, z)
    assert h.exists.all()
    assert np.median(error_ms(h, z)[zone]) < 4
    std = track(ready[0], picks_at(PICKED["two lines"], z), prepared=ready[2]).twt_std_ms
    assert h.twt_std_ms[zone].mean() > 1.2 * std[zone].mean()


def test_missing_traces_are_absent(ready):
    v, z, _ = ready
    s = replace(v.survey, trace=np.where(np.arange(40) < 35, v.survey.trace, -1))
    h = track(Volume(s, v._traces), picks_at(PICKED["one line"][:10], z))
    assert np.isnan(h.twt_ms[:, 35:]).all()
    assert not h.exists[:, 35:].any()
    assert (h.probability[:, 35:] == 0).all()
    assert follows(h, z)


OUTLINES = {
    "a tongue": lambda i, j: (j < 25) | (i == 12),
    "a diamond": lambda i, j: np.abs(i - 12) / 12 + np.abs(j - 20) / 20 < 1,
    "every fourth trace missing": lambda i, j: np.random.default_rng(3).random(i.shape) > 0.25,
}


@pytest.mark.parametrize("outline", OUTLINES)
def test_traces_beside_missing_ones_are_as_good_as_others(outline):
    i, j = np.indices(SHAPE)
    z = 46 + 9 * np.sin(2 * np.pi * j / 60) + 3 * np.cos(2 * np.pi * i / 30)
    v, there = volume(earth(z, layers())), OUTLINES[outline](i, j)
    s = replace(v.survey, trace=np.where(there, v.survey.trace, -1))
    h = track(Volume(s, v._traces), picks_at(np.argwhere(there)[::23], z))
    assert np.isnan(h.twt_ms[~there]).all()
    assert error_ms(h, z)[there].max() < 6


def test_beyond_the_picks_a_dipping_reflector_is_followed_ring_by_ring():
    """Picked at one end only: without anchors it leaves the widest band of the picks after 185 traces."""
    j = np.arange(220)
    z = np.broadcast_to(12 + 0.35 * j, (1, 220)).copy()
    v = volume(earth(z, [(0.0, 1.0), (-9.0, -0.5), (10.0, 0.4)]))
    h = track(v, picks_at([(0, k) for k in range(0, 9, 4)], z))
    assert error_ms(h, z)[0, 20:210].max() < 6


# Links carry a surface where all events look alike: there a tracker with wrong links goes astray.


@pytest.fixture(scope="module")
def alike():
    """Equal events every 11 samples on a fold of 18, without a fault; as `ready`."""
    i, j = np.indices(SHAPE)
    z = 46 + 9 * np.sin(2 * np.pi * j / 36) + 3 * np.cos(2 * np.pi * i / 30)
    v = volume(earth(z, [(11.0 * n, 1.0) for n in range(-6, 7)]))
    return v, z, condition(v.read())


def follows_with_links(alike, change):
    """Whether the surface from one pick is right when the links are changed."""
    v, z, prepared = alike
    settings, at = Tracker(), tracker.seeds(picks_at([(12, 36)], z), v.survey)
    evidence = tracker.gather(prepared, at, v.survey.exists, settings)
    evidence = replace(evidence, links=change(evidence.links))
    costs = tracker.costs_of(evidence.phase, settings)
    unary = tracker.unary_costs(evidence, at, prepared.live, SAMPLES, costs)
    found = tracker.solve(tracker.model_of(evidence, unary, costs), evidence, at, settings)
    return follows(tracker.as_horizon(found, evidence.band, v.survey, "top"), z)


def shuffled(links):
    """Every shift costs what another one should."""
    rng = np.random.default_rng(0)
    return Links(rng.permuted(links.inline, axis=2), rng.permuted(links.crossline, axis=2), links.step)


def turned(links):
    """Down becomes up: the dip is followed the wrong way."""
    inline, crossline = (np.ascontiguousarray(v[:, :, ::-1]) for v in (links.inline, links.crossline))
    return Links(inline, crossline, links.step)


def test_links_tell_events_apart_that_look_alike(alike):
    assert follows_with_links(alike, lambda links: links)


@pytest.mark.parametrize(
    "wrong", [shuffled, turned, lambda links: links.times(0)], ids=["shuffled", "turned", "none"]
)
def test_wrong_links_are_seen_by_the_same_check(alike, wrong):
    assert not follows_with_links(alike, wrong)


# Refusals


def test_no_pick_and_picks_elsewhere_are_refused(ready):
    v, z, prepared = ready
    picks = picks_at(PICKED["scattered"], z)
    with pytest.raises(PickError, match="no picks"):
        track(v, picks.take(np.zeros(5, bool)), prepared=prepared)
    with pytest.raises(PickError, match="outside the survey") as error:
        track(v, replace(picks, inline=picks.inline + 1), prepared=prepared)
    assert "5 of 5, the first at 105/503" in str(error.value)


@pytest.mark.parametrize("shape", [(10, 20), (3, 4, 7), (2, 3, 4, 20)])
def test_what_is_no_volume_is_not_conditioned(shape):
    with pytest.raises(ShapeError, match="cannot be conditioned"):
        condition(np.ones(shape))


# Phase


@pytest.mark.parametrize(
    ("shift", "name"),
    [
        (0, "peak"),
        (8, "trough"),
        (-8, "trough"),
        (4, "zero crossing"),
        (-4, "zero crossing"),
        (2, "constant phase"),
    ],
)
def test_the_phase_of_picks_on_a_cosine(shift, name):
    """cos(2 pi (t - z) / 16) has the phase 22.5 degrees a sample from z."""
    i, x = np.indices((4, 5)).reshape(2, -1)
    z = 60 + 3.3 * i - 1.7 * x
    a = np.cos(2 * np.pi * (np.arange(128) - z.reshape(4, 5, 1)) / 16).astype(np.float32)
    phase = phase_of_picks(a, i, x, z + shift)
    assert phase.name == name
    assert np.cos(np.radians(phase.degrees - 22.5 * shift)) > 0.99
    assert phase.resultant > 0.95
    assert name in str(phase)


@pytest.mark.parametrize("seed", range(5))
def test_picks_at_any_phase_are_not_constant(seed):
    a = np.cos(2 * np.pi * np.arange(128) / 16).astype(np.float32)[None, None].repeat(40, 1)
    i, x = np.zeros(40, np.int64), np.arange(40)
    anywhere = phase_of_picks(a, i, x, np.random.default_rng(seed).uniform(20, 100, 40))
    assert anywhere.name == "not constant"
    assert anywhere.weight < 0.1
    nearly = phase_of_picks(a, i, x, 64 + np.random.default_rng(seed).normal(0, 1.5, 40))
    assert nearly.name == "peak"


def test_a_single_pick_is_taken_for_a_reflector():
    a = np.cos(2 * np.pi * np.arange(128) / 16).astype(np.float32)[None, None]
    assert phase_of_picks(a, np.array([0]), np.array([0]), np.array([64.0])).name == "peak"


def test_a_waveform_leads_later_on_a_line():
    rng = np.random.default_rng(0)
    a = np.cos(2 * np.pi * np.arange(128) / 16).astype(np.float32)[None, None].repeat(40, 1)
    i, x, z = np.zeros(40, np.int64), np.arange(40), 64 + rng.normal(0, 3, 40)
    line, volume = phase_of_picks(a, i, x, z), phase_of_picks(a.repeat(3, 0), i, x, z)
    assert line.resultant == pytest.approx(volume.resultant)
    assert 0.1 < line.weight < 0.5 < volume.weight


def test_boundaries_lead_where_the_phase_is_not_constant(ready):
    v, _, prepared = ready
    i, j = np.array(PICKED["two lines"]).T
    noise = np.random.default_rng(0).uniform(-9, 9, len(i))
    picks = Picks("top", 100 + 2 * i, 500 + j, 200 + STEP * (30 + noise), np.full(len(i), 2.0))
    at = tracker.seeds(picks, v.survey)
    evidence = tracker.gather(prepared, at, v.survey.exists, Tracker())
    assert evidence.phase.name == "not constant"
    costs = tracker.costs_of(evidence.phase, Tracker())
    assert costs.pull == pytest.approx(Tracker().boundary.pull, rel=0.1)


# Conditioning


@pytest.mark.parametrize(("inline", "crossline"), [(0.5, -0.8), (0.0, 1.2), (-1.0, 0.0)])
def test_dips_of_plane_waves(inline, crossline):
    i, x, t = np.indices((16, 18, 64))
    a = np.cos(2 * np.pi * (t - inline * i - crossline * x) / 16).astype(np.float32)
    found = dips(a, 2.0, 3.0, 1e-6)
    for dip, true in zip(found, (inline, crossline), strict=True):
        assert np.abs(dip[5:-5, 5:-5, 8:-8] - true).max() < 0.03 + 0.05 * abs(true)
    along = steered_mean(a, *found, 2, 1.3)
    flat = steered_mean(a, np.zeros_like(a), np.zeros_like(a), 2, 1.3)
    inner = np.s_[5:-5, 5:-5, 8:-8]
    assert np.abs(along - a)[inner].std() < 0.25 * np.abs(flat - a)[inner].std()


def test_a_line_has_no_dip_across_it():
    a = np.random.default_rng(0).normal(size=(1, 12, 40)).astype(np.float32)
    assert not dips(a, 2.0, 3.0, 1e-6)[0].any()


def test_tiles_are_not_seen(monkeypatch):
    a = earth(faulted((40, 12)), layers())
    whole = condition(a)
    monkeypatch.setattr(conditioning, "TILE", 7)
    tiled = condition(a)
    for name in ("strong", "light", "dip_inline", "dip_crossline"):
        np.testing.assert_allclose(getattr(tiled, name), getattr(whole, name), atol=2e-4, err_msg=name)


def test_gain_is_levelled_and_smoothing_lowers_the_noise(ready):
    _, z, _ = ready
    quiet, noisy = (earth(z, layers(), noise=n) for n in (0, 0.3))
    loud = np.where(np.arange(40)[None, :, None] < 20, 1, 50) * noisy
    one, other, pure = (condition(v).strong for v in (noisy, loud, quiet))
    assert np.corrcoef(one[:, :10].ravel(), other[:, :10].ravel())[0, 1] > 0.99
    assert 0.4 < other[:, :10].std() / other[:, 30:].std() < 2.5
    assert np.corrcoef(one.ravel(), pure.ravel())[0, 1] > 0.97
    assert np.corrcoef(noisy.ravel(), quiet.ravel())[0, 1] < 0.92


@pytest.mark.parametrize("shape", [(9, 9), (1, 9)])
def test_dead_traces_are_filled_from_their_neighbours(shape):
    a = np.broadcast_to(np.arange(1, 21, dtype=np.float32), (*shape, 20)).copy()
    live = np.ones(shape, bool)
    live[shape[0] // 2, 3:6] = False
    a[~live] = 0
    np.testing.assert_allclose(
        conditioning._fill(a, live)[~live], np.tile(np.arange(1, 21), (3, 1)), rtol=1e-5
    )


def test_a_volume_without_amplitudes_stays_silent():
    c = condition(np.zeros((5, 6, 20), np.float32))
    assert not c.strong.any()
    assert not c.live.any()


# Band and links


def test_the_band_reaches_as_far_as_the_picks_are_away():
    exists = np.ones((10, 100), bool)
    near = band_about(np.array([0, 9]), np.array([1, 1]), np.array([50.0, 50]), exists[:, :3])
    far = band_about(np.array([5]), np.array([0]), np.array([50.0]), exists)
    assert near.size == 2 * LEAST + 1
    assert far.size == 2 * LARGEST + 1
    assert band_about(np.array([5]), np.array([0]), np.array([50.4]), exists, reach=7).size == 15
    assert (far.first == 50 - LARGEST).all()
    assert (far.lag[..., LARGEST] == 0).all()
    ramp = np.broadcast_to(np.arange(96, dtype=np.float32), (10, 100, 96))
    np.testing.assert_array_equal(far.gather(ramp), np.clip(far.samples, 0, 95))


def test_links_are_the_formula():
    """1 - correlation in a Gaussian window, relative to the best shift; read once more and slowly."""
    rng = np.random.default_rng(0)
    a = rng.normal(size=(3, 4, 40)).astype(np.float32)
    exists = np.ones((3, 4), bool)
    band = band_about(np.array([0, 2, 1]), np.array([0, 3, 1]), np.array([18.0, 22, 21]), exists, reach=6)
    links, w = correlation_links(a, band, reach=2, std=1.5), gaussian_window(1.5)
    m = w.size // 2

    def window(trace, centre):
        k = np.arange(centre - m, centre + m + 1)
        return np.where((k >= 0) & (k < 40), trace[np.clip(k, 0, 39)], 0.0)

    for axis, (i, x) in ((0, (1, 2)), (1, (0, 1))):
        j, y = (i + 1, x) if axis == 0 else (i, x + 1)
        for d in (0, 5, band.size - 1):
            t = int(band.first[i, x]) + d
            here = window(a[i, x], t)
            c = []
            for k in range(-2, 3):
                there = window(a[j, y], t + k)
                c.append(
                    (w * here * there).sum() / np.sqrt((w * here**2).sum() * (w * there**2).sum() + 1e-4)
                )
            found = (links.inline if axis == 0 else links.crossline)[i, x, :, d] * links.step
            np.testing.assert_allclose(found, max(c) - np.array(c), atol=0.51 * links.step)


def test_following_the_dip_costs_nothing():
    i, x, t = np.indices((4, 5, 60))
    a = np.cos(2 * np.pi * (t - 2 * i + x) / 20).astype(np.float32)
    band = band_about(np.array([0]), np.array([0]), np.array([30.0]), np.ones((4, 5), bool), reach=10)
    links = correlation_links(a, band, reach=3)
    assert (links.inline.argmin(axis=2) == 3 + 2).all()
    assert (links.crossline.argmin(axis=2) == 3 - 1).all()
    assert (links.inline.min(axis=2) == 0).all()


# Finish


def test_the_vertex_of_a_parabola_is_found():
    d = np.arange(11)
    vertex = np.array([[4.3, 5.0, 6.45]])
    score = (1 - 0.1 * (d - vertex[..., None]) ** 2).astype(np.float32)
    np.testing.assert_allclose(finish.refined(score, score.argmax(axis=2)), vertex, atol=1e-4)
    flat = np.zeros((1, 1, 11), np.float32)
    assert finish.refined(flat, np.array([[7]])) == 7


def test_cleaning_removes_spikes_and_keeps_steps():
    surface = np.where(np.arange(20) < 10, 30.0, 38.0) + np.zeros((12, 1))
    spiked = surface.copy()
    spiked[5, 4] += 20
    cleaned = finish.cleaned(spiked, np.ones((12, 20), bool))
    np.testing.assert_allclose(cleaned, surface, atol=0.01)


def test_bridges_are_straight_and_what_is_nowhere_sure_stays():
    i, j = np.indices((10, 12)).astype(float)
    surface, sure = 2 * i - j, np.ones((10, 12), bool)
    sure[3:6, 4:8] = False
    there = np.ones_like(sure)
    np.testing.assert_allclose(finish.bridged(np.where(sure, surface, 99), sure, there), surface, atol=1e-9)
    assert (finish.bridged(surface, np.zeros_like(sure), there) == surface).all()


def test_moments_and_quantiles_of_a_density():
    band = band_about(np.array([0]), np.array([0]), np.array([40.0]), np.ones((1, 2), bool), reach=30)
    t = band.samples.astype(float)
    p = np.exp(-0.5 * ((t - 41.3) / 4) ** 2)
    p = (p / p.sum(axis=2, keepdims=True)).astype(np.float32)
    mean = finish.mean_sample(p, band)
    np.testing.assert_allclose(mean, 41.3, atol=1e-3)
    np.testing.assert_allclose(finish.spread(p, band, mean), np.sqrt(16 + 1 / 12), rtol=1e-3)
    np.testing.assert_allclose(finish.spread(p, band, mean + 3), 5, rtol=1e-2)
    for level, z in ((0.1, -1.2816), (0.5, 0), (0.9, 1.2816)):
        np.testing.assert_allclose(finish.quantile(p, band, level), 41.3 + 4 * z, atol=0.05)
    even = np.full((1, 2, 61), 1 / 61, np.float32)
    np.testing.assert_allclose(finish.quantile(even, band, 0.25), 9.5 + 61 / 4, atol=1e-3)
