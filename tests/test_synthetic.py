"""Simulated earths: the truth about them holds in their amplitudes, and a wrong truth does not."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.signal import hilbert

from wellposed.errors import ConfigError, PickError, ShapeError
from wellposed.seismic.synthetic import make_earth, picks_on_lines, picks_scattered, relative_time
from wellposed.seismic.synthetic.earth import FINE, MARGIN, grow
from wellposed.seismic.synthetic.fields import rough_map, smooth_map
from wellposed.seismic.synthetic.levels import Room, pick
from wellposed.seismic.synthetic.rocks import Boundary, Layers, Wedge, draw_layers
from wellposed.seismic.synthetic.section import Geology, crossing
from wellposed.seismic.synthetic.settings import SETTINGS
from wellposed.seismic.synthetic.structure import Fault, Fold, Structure
from wellposed.seismic.synthetic.wave import Wavelet, clean_record

SHAPE = (24, 48, 160)
SILENT = replace(
    SETTINGS["easy"], signal_to_noise=(1e6, 1e6), dipping=(0, 0), footprint=(0, 0), phase=0.0, wedge=0.0
)
DIFFICULTIES = ("easy", "middle", "hard")


@pytest.fixture(scope="module")
def earths():
    return {(d, n): make_earth(SHAPE, difficulty=d, seed=n) for d in DIFFICULTIES for n in range(4)}


@pytest.fixture(scope="module")
def silent():
    return [grow(SHAPE, SILENT, seed, 4.0, "silent") for seed in range(4)]


# --- what an earth holds


def test_the_same_arguments_give_the_same_earth_and_others_another():
    one, two = (make_earth((16, 32, 64), difficulty="hard", seed=3) for _ in range(2))
    np.testing.assert_array_equal(one.volume.read(), two.volume.read())
    assert one.horizons.keys() == two.horizons.keys()
    for name, twt in one.horizons.items():
        np.testing.assert_array_equal(twt, two.horizons[name])
    other = make_earth((16, 32, 64), difficulty="hard", seed=4)
    assert np.abs(one.volume.read() - other.volume.read()).mean() > 0.1


def test_every_earth_holds_what_is_promised(earths):
    for (difficulty, _), earth in earths.items():
        survey = earth.volume.survey
        assert survey.shape == SHAPE
        assert survey.x is not None
        assert survey.bin_size == pytest.approx(25)
        assert {"strong", "weak", "zero_crossing", "unconformity", "truncated"} <= earth.horizons.keys()
        assert difficulty != "hard" or "chaos_top" in earth.horizons
        assert earth.kind.keys() == earth.horizons.keys()
        amplitude = earth.volume.read()
        assert amplitude.dtype == np.float32
        assert np.isfinite(amplitude).all()
        assert amplitude.std() == pytest.approx(1, abs=1e-3)
        for twt in earth.horizons.values():
            there = twt[np.isfinite(twt)]
            assert ((there >= 0) & (there <= survey.twt_ms[-1])).all()


def test_some_horizon_ends_in_every_earth_and_the_strong_one_is_mostly_there(earths):
    for earth in earths.values():
        absent = {name: np.isnan(twt).mean() for name, twt in earth.horizons.items()}
        assert any(0.1 <= share <= 0.4 for share in absent.values()), absent
    assert np.mean([np.isnan(e.horizons["strong"]).mean() for e in earths.values()]) < 0.12


def test_horizons_lie_between_samples(earths):
    for earth in earths.values():
        twt = earth.horizons["strong"]
        part = (twt[np.isfinite(twt)] / 4) % 1
        assert np.histogram(part, 4, (0, 1))[0].min() > 0.02 * part.size


@pytest.mark.parametrize(("wrong", "error"), [("difficulty", ConfigError), ("shape", ShapeError)])
def test_what_cannot_be_made_is_refused(wrong, error):
    with pytest.raises(error) as caught:
        make_earth(**({"difficulty": "midle"} if wrong == "difficulty" else {"shape": (4, 4, 16)}))
    assert len(str(caught.value).splitlines()) == 4
    assert wrong == "shape" or "middle" in caught.value.way_out


# --- the truth in the amplitudes


def phases_at(earth, twt_ms):
    """Phase of the analytic signal at times between samples."""
    analytic = hilbert(earth.volume.read().astype(float), axis=2)
    i, j = np.nonzero(np.isfinite(twt_ms))
    place = np.clip(twt_ms[i, j] / 4, 0, analytic.shape[2] - 2)
    k = place.astype(int)
    turn = np.exp(0.5j * np.pi)  # about a quarter turn a sample: taken out before the values are blended
    a, b = analytic[i, j, k], analytic[i, j, k + 1] / turn
    f = place - k
    return np.angle(((1 - f) * a + f * b) * np.exp(0.5j * np.pi * f))


def steadiness(phases):
    """1 where all phases are equal, near 0 where they are anyhow."""
    return float(np.abs(np.exp(1j * phases).mean()))


def test_the_strong_reflector_keeps_its_phase_and_a_bent_truth_does_not(silent):
    for earth in silent:
        truth = earth.horizons["strong"]
        bent = truth + 8 * np.sin(np.arange(SHAPE[1]) / 3)
        assert steadiness(phases_at(earth, truth)) > 0.97
        assert steadiness(phases_at(earth, bent)) < 0.75


@pytest.mark.parametrize("difficulty", ["easy", "hard"])
def test_a_reflector_has_one_relative_time_and_none_of_another_earth(difficulty):
    shape, seed = (2, 40, 96), 3
    earth, samples = make_earth(shape, difficulty=difficulty, seed=seed), np.arange(shape[2])
    places = earth.horizons["strong"] / 4.0

    def roughness(levels):
        rows = zip(places.reshape(-1), levels.reshape(-1, shape[2]), strict=True)
        said = [np.interp(place, samples, row) for place, row in rows]
        return np.nanmedian(np.abs(said - np.nanmedian(said)))

    assert roughness(relative_time(shape, difficulty=difficulty, seed=seed)) < 0.1
    assert roughness(relative_time(shape, difficulty=difficulty, seed=seed + 1)) > 0.5
    with pytest.raises(ConfigError):
        relative_time(shape, difficulty="none")


def test_a_zero_crossing_is_one_and_a_moved_one_is_not(silent):
    for earth in silent:
        truth = earth.horizons["zero_crossing"]
        off = [np.median(np.abs(np.cos(phases_at(earth, truth + late)))) for late in (-8, 0, 8)]
        assert off[1] < 0.4
        assert max(off[0], off[2]) > 0.6


def flattened(earth, twt_ms, samples):
    """Windows of `samples` after a horizon, on the traces where it is there and they are inside."""
    amplitude = earth.volume.read().astype(float)
    first = np.nan_to_num(twt_ms / 4, nan=1e9)
    i, j = np.nonzero(first + samples < amplitude.shape[2] - 2)
    place = first[i, j][:, None] + np.arange(samples)
    k = place.astype(int)
    f = place - k
    rows = amplitude[i, j]
    lines = np.arange(len(i))[:, None]
    return rows[lines, k] * (1 - f) + rows[lines, k + 1] * f


def likeness(windows):
    """Correlation of windows with their mean."""
    w = windows - windows.mean(1, keepdims=True)
    w /= np.sqrt((w**2).sum(1, keepdims=True))
    return float((w @ (w.mean(0) / np.linalg.norm(w.mean(0)))).mean())


def test_layers_below_an_unconformity_follow_the_truncated_horizon_and_not_the_unconformity(silent):
    for earth in silent:
        along = likeness(flattened(earth, earth.horizons["truncated"], 16))
        across = likeness(flattened(earth, earth.horizons["unconformity"] + 12, 16))
        assert along > across + 0.1
    for earth in silent:
        above = earth.horizons["truncated"] - earth.horizons["unconformity"]
        assert np.nanmin(above) > -0.1
        assert np.nanmin(above) < 8  # it runs into the erosion
        assert np.nanmax(above) > 16


def test_wavelets_stay_in_their_band_at_any_sample_interval():
    for step in (2.0, 4.0):
        earth = make_earth((8, 24, 160), difficulty="hard", seed=1, step_ms=step)
        power = (np.abs(np.fft.rfft(earth.volume.read(), axis=2)) ** 2).mean((0, 1))
        f = np.fft.rfftfreq(160, step / 1000)
        assert power[f > 115].sum() < 0.03 * power.sum()
        assert power[f < 5].sum() < 0.05 * power.sum()
        assert 14 < (power * f).sum() / power.sum() < 75


# --- exact answers of the parts


def flat(relief=0.0, shape=(1, 40), nt=64):
    return Fold(np.broadcast_to(np.float32(relief), shape).astype(np.float32), 0.0, nt)


def no_erosion(lower, faults=(), shape=(1, 40)):
    high = np.full(shape, -1e3, np.float32)
    return Structure(lower, (), high, flat(shape=shape), tuple(faults), None, 1e3)


def axis(nt, margin=MARGIN):
    return (np.arange((nt + 2 * margin) * FINE + 1) / FINE - margin).astype(np.float32)


def test_a_fault_moves_the_hanging_wall_down_by_its_throw():
    away = (np.arange(40.0)[None] - 20).astype(np.float32)
    fault = Fault(away, np.ones((1, 40), np.float32), 0.2, 30.0, 1e6, 1e6, 7.0)
    t = axis(64)
    earth = Geology(no_erosion(flat(), [fault]), None, None, ())
    level = earth.levels(t, 0)[1]
    time = crossing(level, np.full(40, 30, np.float32), t)
    np.testing.assert_allclose(time[:20], 30, atol=1e-4)
    np.testing.assert_allclose(time[22:], 37, atol=1e-3)
    assert np.isnan(time[20:22]).any()  # between the walls there is none


def test_faults_jump_in_the_horizons_of_an_earth():
    jumps = {}
    for count in (0, 6):
        setting = replace(SILENT, faults=(count, count), throw=(8, 9), channel=0.0)
        horizons = [grow(SHAPE, setting, n, 4.0, "faults").horizons["strong"] for n in range(3)]
        steps = [np.abs(h[:, 3:] - h[:, :-3] - np.nanmedian(h[:, 3:] - h[:, :-3])) for h in horizons]
        jumps[count] = np.median([np.nanquantile(s, 0.99) for s in steps])
    assert jumps[6] > 14 > jumps[0]


def ramp_record(snap):
    """A boundary that dips by a fraction of a fine cell a trace, and its record."""
    nt, size, nx = 64, 96, 40
    relief = (0.11 * np.arange(nx)[None]).astype(np.float32)
    if snap:
        relief = np.round(relief * FINE) / np.float32(FINE)
    table = np.arange(-200, 200, 0.125)
    integral = np.where(table > 30, table - 30, 0).astype(np.float32)[None]
    layers = Layers(-200.0, integral, np.ones((1, 1, nx), np.float32))
    t = axis(nt)
    earth = Geology(no_erosion(Fold(relief, 0.0, nt)), layers, None, ())
    impedance = earth.impedance(t, 0, earth.levels(t, 0))
    spectrum = np.fft.rfft(np.diff(impedance, axis=1, prepend=0), size * FINE, axis=1)[:, : size // 2 + 1]
    wavelet = Wavelet(0.16, 2.0, 0.0, np.zeros((1, nx), np.float32))
    record = clean_record(spectrum[None], wavelet, MARGIN, nt, size, FINE)[0]
    f = np.fft.rfftfreq(nt)
    truth = 30 + 0.11 * np.arange(nx)
    return (np.fft.rfft(record) * np.exp(2j * np.pi * f * truth[:, None])).sum(1)


def test_a_boundary_between_samples_keeps_its_place_and_a_snapped_one_does_not():
    kept, snapped = ramp_record(False), ramp_record(True)
    assert np.abs(np.angle(kept)).max() < 0.02
    assert np.ptp(kept.real) < 0.03 * kept.real.mean()
    assert np.abs(np.angle(snapped)).max() > 0.05


def test_mean_impedance_is_exact_across_layers_and_a_wedge():
    layers = draw_layers(
        np.random.default_rng(0), (1, 3, 64), SETTINGS["easy"], (-300.0, 300.0), [Boundary(20.0, 3.0)]
    )
    wedge = Wedge(30.0, np.array([[0, 2.6, 5]], np.float32), 7.0)
    t = axis(64)
    earth = Geology(no_erosion(flat(shape=(1, 3)), shape=(1, 3)), layers, wedge, ())
    impedance = earth.impedance(t, 0, earth.levels(t, 0))
    plain = Geology(no_erosion(flat(shape=(1, 3)), shape=(1, 3)), layers, None, ())
    difference = (impedance - plain.impedance(t, 0, plain.levels(t, 0)))[:, t[:-1] < 30]
    np.testing.assert_allclose(difference, 0, atol=1e-3)
    inside = (t[:-1] >= 30) & (t[1:] <= 32.5)
    np.testing.assert_allclose(impedance[1:, inside], 7, atol=1e-3)
    # The pile below comes back, later by the thickness of the lens.
    weights = layers.weights[:, 0, 2]
    total = layers.integral(np.float32([60, 65]), weights[:, None])
    assert impedance[2, (t[:-1] >= 65) & (t[1:] <= 70)].mean() * 5 == pytest.approx(
        np.diff(total)[0], abs=0.01
    )


def test_the_delay_of_a_wavelet_is_where_its_phase_is_that():
    for mean in (0.0, 1.2, np.pi, -2.5):
        phase = (mean + 0.1 * np.arange(-3, 4))[None]
        wavelet = Wavelet(0.12, 1.7, 0.0, phase)
        delay = wavelet.delay(np.pi / 2, np.zeros_like(phase))
        f = np.linspace(0, 0.5, 2001)
        wave = np.exp(2j * np.pi * f * delay[0][:, None] + 1j * phase[0][:, None]) @ wavelet.spectrum(
            f, False
        )
        np.testing.assert_allclose(wave.real / np.abs(wave), 0, atol=0.02)
        assert np.abs(np.diff(delay[0])).max() < 0.3  # one branch
        assert np.abs(delay).max() < 0.3 / 0.12


def test_random_maps_have_the_variance_and_the_scale_that_they_claim():
    maps = np.array([smooth_map(np.random.default_rng(n), (40, 40), 8.0) for n in range(300)])
    assert (maps**2).mean() == pytest.approx(1, abs=0.05)
    assert (maps[:, 10, 10] * maps[:, 10, 18]).mean() == pytest.approx(np.exp(-0.5), abs=0.12)
    rough = [(rough_map(np.random.default_rng(n), (30, 30)) ** 2).mean() for n in range(100)]
    assert np.mean(rough) == pytest.approx(1, abs=0.2)


def test_levels_are_picked_where_they_are_present_and_apart():
    rng = np.random.default_rng(0)
    low = rng.uniform(0, 20, (10, 10)).astype(np.float32)
    room = Room(low, low + 80)
    level = np.array([-1.0, 10.0, 50.0, 90.0])
    counted = [((low < v) & (v < low + 80)).mean() for v in level]
    np.testing.assert_allclose(room.presence(level), counted, atol=1e-6)
    chosen = sorted(pick(rng, [room]) for _ in range(4))
    assert min(np.diff(chosen)) > 7
    assert room.presence(np.array(chosen)).min() >= 0.97


# --- picks


def test_picks_on_lines_lie_on_the_truth_of_those_lines(earths):
    earth = earths["middle", 0]
    picks = picks_on_lines(earth, "truncated", every=3, std_ms=5)
    i, j = picks.at(earth.volume.survey)
    assert set(i) <= {6, 18}
    assert set(j % 3) == {0}
    there = np.isfinite(earth.horizons["truncated"][[6, 18], ::3]) & earth.volume.survey.live[[6, 18], ::3]
    assert len(picks) == there.sum()
    np.testing.assert_array_equal(picks.twt_ms, earth.horizons["truncated"][i, j])
    assert (picks.std_ms == 5).all()


def test_noise_of_picks_is_as_told_and_repeats(earths):
    earth = earths["easy", 1]
    one, two = (picks_on_lines(earth, "strong", inlines=24, noise_ms=3, seed=7) for _ in range(2))
    np.testing.assert_array_equal(one.twt_ms, two.twt_ms)
    error = one.twt_ms - earth.horizons["strong"][one.at(earth.volume.survey)]
    assert error.std() == pytest.approx(3, rel=0.1)
    assert error.mean() == pytest.approx(0, abs=0.4)


def test_scattered_picks_are_that_many_apart_and_on_the_horizon(earths):
    earth = earths["hard", 2]
    picks = picks_scattered(earth, "truncated", count=12, seed=1)
    i, j = picks.at(earth.volume.survey)
    assert len(set(zip(i, j, strict=True))) == 12
    np.testing.assert_array_equal(picks.twt_ms, earth.horizons["truncated"][i, j])
    apart = np.hypot(i[:, None] - i, j[:, None] - j) + 99 * np.eye(12)
    assert apart.min() > 2
    assert (picks_scattered(earth, "truncated", seed=2).twt_ms != picks.twt_ms).any()


def test_picks_of_no_horizon_are_refused(earths):
    earth = earths["easy", 0]
    with pytest.raises(ConfigError, match="no horizon 'salt'"):
        picks_scattered(earth, "salt")
    nowhere = replace(earth, horizons={"gone": np.full(SHAPE[:2], np.nan)})
    for take in (picks_on_lines, picks_scattered):
        with pytest.raises(PickError) as caught:
            take(nowhere, "gone")
        assert len(str(caught.value).splitlines()) == 4
