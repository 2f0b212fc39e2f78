"""Where seismic and networks meet: features, the head, hidden picks, trust, shipped weights."""

import hashlib
import json
from dataclasses import replace
from math import isfinite

import numpy as np
import pytest
import torch

from small import small_volume, times
from wellposed.errors import StructureError
from wellposed.interpretation import lessons as lessons_module
from wellposed.interpretation import pretrain
from wellposed.interpretation.adapt import adapted, better
from wellposed.interpretation.calibrate import MISSED, _logistic_regression, _quantile_regression
from wellposed.interpretation.candidates import candidate_names, candidate_tiles, read_at
from wellposed.interpretation.features import feature_network, network_features, section_axes, sections
from wellposed.interpretation.head import Columns, HeadPrior, information, log_density
from wellposed.interpretation.hold_out import BLOCKS, Hidden, folds, held_out
from wellposed.interpretation.horizons import describe, links_of, prepare, solve
from wellposed.interpretation.lessons import Lesson, picks_of, section_batch
from wellposed.interpretation.matching import matching
from wellposed.interpretation.shipped import FOLDER, MANIFEST, read_shipped, shipped, write_shipped
from wellposed.interpretation.terms import Terms
from wellposed.interpretation.trust import stretched, width
from wellposed.learning import Labels, Stochastic
from wellposed.project.job import _warnings
from wellposed.seismic.band import Band
from wellposed.seismic.condition import condition
from wellposed.seismic.horizons import Density
from wellposed.seismic.picks import Picks
from wellposed.seismic.synthetic import make_earth
from wellposed.seismic.texture import texture
from wellposed.seismic.tiles import tiles
from wellposed.seismic.tracker import Tracker
from wellposed.seismic.volume import Volume


@pytest.mark.parametrize(
    ("size", "width", "overlap"), [(10, 20, 4), (100, 32, 8), (33, 32, 8), (951, 512, 64)]
)
def test_blended_windows_sum_to_one(size, width, overlap):
    total = np.zeros(size)
    for tile in tiles(size, width, overlap):
        assert tile.stop - tile.start == len(tile.weight) <= width
        total[tile.start : tile.stop] += tile.weight
    np.testing.assert_allclose(total, 1, atol=1e-5)


@pytest.fixture(scope="module")
def prepared():
    return prepare(small_volume(), shipped())


def some_picks(cells=((2, 1), (2, 8), (2, 14), (9, 3), (9, 12), (5, 5))):
    s = small_volume().survey
    i, j = np.array(cells).T
    return Picks("top", s.inline[i], s.crossline[j], times("top")[i, j], np.full(len(i), 4.0))


def test_features_are_unit_and_do_not_depend_on_how_many_lines_go_at_once(prepared, monkeypatch):
    f = prepared.features.astype(np.float32)
    assert f.shape[1:] == prepared.conditioned.shape
    assert float(np.linalg.norm(f, axis=0).max()) <= 1.01
    monkeypatch.setattr("wellposed.interpretation.features.AT_ONCE", 1)
    again = network_features(shipped().net, prepared.conditioned).astype(np.float32)
    np.testing.assert_allclose(again, f, atol=2e-3)


def test_sections_of_both_directions_show_the_same_amplitudes(prepared):
    c = prepared.conditioned
    inline, crossline = sections(c, 1), sections(c, 0)
    np.testing.assert_array_equal(inline[3, 0, 7], crossline[7, 0, 3])
    np.testing.assert_array_equal(inline[3, 2, 7], np.clip(c.dip_crossline[3, 7], -5, 5))
    np.testing.assert_array_equal(crossline[7, 2, 3], np.clip(c.dip_inline[3, 7], -5, 5))
    assert section_axes((1, 40, 60)) == [1]
    assert section_axes((40, 1, 60)) == [0]
    assert section_axes((40, 40, 60)) == [1, 0]


def test_candidates_have_their_names_and_do_not_depend_on_tiles(prepared, monkeypatch):
    d = describe(prepared, some_picks(), shipped())
    whole = np.concatenate(
        [read for _, read in candidate_tiles(prepared.conditioned, prepared.features, d.window)]
    )
    assert whole.shape[3] == len(candidate_names(len(prepared.features))) == len(shipped().scale[0])
    monkeypatch.setattr("wellposed.interpretation.candidates.LINES", 4)
    parts = np.concatenate(
        [read for _, read in candidate_tiles(prepared.conditioned, prepared.features, d.window)]
    )
    np.testing.assert_array_equal(parts, whole)


def test_candidates_do_not_see_where_the_trace_is_cut():
    a = np.random.default_rng(0).normal(size=(5, 9, 320)).astype(np.float32)
    c = condition(a)
    prior = np.full((5, 9), 160.0)
    narrow = Band(prior, np.zeros((5, 9)), np.full((5, 9), 150, np.int32), 21, np.ones((5, 9), bool))
    wide = replace(narrow, first=narrow.first - 40, size=101)
    (_, near), (_, far) = (next(candidate_tiles(c, None, band)) for band in (narrow, wide))
    np.testing.assert_array_equal(near, far[:, :, 40:61])
    maps = texture(c)
    i, x = np.indices((5, 9, 1))[:2]
    np.testing.assert_array_equal(near, read_at(maps.astype(np.float16), None, i, x, narrow.samples))


def test_matching_prefers_features_that_know_the_place():
    place = torch.tensor([10.0, 20.0, 30.0])[None, :, None].expand(2, 3, 16) + torch.arange(16) / 4
    t = torch.arange(48.0)
    depth = (t - torch.arange(16.0)[:, None] / 4) * 2 * np.pi / 48
    knows = torch.stack([depth.cos(), depth.sin()])[None].expand(2, 2, 16, 48)
    labels, lost = (
        Labels(place.double()),
        torch.randn(2, 2, 16, 48, generator=torch.Generator().manual_seed(0)),
    )
    value = matching().value
    assert float(value(None, knows, labels)) < float(value(None, lost, labels)) - 1
    with pytest.raises(StructureError, match="no curvature"):
        matching().curvature(knows, labels, knows)


def columns(n, place, seed=0, channels=6):
    """Features that point to the place by one of their channels."""
    rng = np.random.default_rng(seed)
    f = rng.normal(size=(n, 21, channels)).astype(np.float32)
    at = np.full(n, place) if np.isscalar(place) else place
    f[np.arange(n), at, 2] += 4
    return Columns(
        *(torch.from_numpy(v) for v in (f, np.zeros((n, 21), np.float32), at.astype(np.float32))),
        torch.full((n,), 0.8),
    )


def test_a_head_fitted_on_picks_finds_the_place_on_other_traces():
    rng = np.random.default_rng(1)
    picks, others = columns(12, rng.integers(3, 18, 12)), columns(200, rng.integers(3, 18, 200), seed=2)
    prior = HeadPrior(6)
    with torch.no_grad():
        heads, share = prior.fit(picks)
        density = log_density(heads, share, others.features, others.base)
        np.testing.assert_allclose(density.exp().sum(1), 1, rtol=1e-5)
        gain = information(density, others) - information(torch.log_softmax(others.base, 1), others)
        wrong = replace(picks, place=picks.place.flip(0))
        astray = log_density(*prior.fit(wrong), others.features, others.base)
    assert float(gain) > 0.8
    assert float(information(astray, others)) < float(information(density, others)) - 0.5


def test_the_fitted_head_is_a_minimum_and_more_steps_change_nothing():
    picks, prior = columns(8, 9), HeadPrior(6)
    with torch.no_grad():
        few, many = prior.fit(picks, steps=12)[0], prior.fit(picks, steps=40)[0]
    torch.testing.assert_close(few, many, atol=1e-3, rtol=1e-3)


def test_every_pick_is_hidden_once():
    s, survey = some_picks(), small_volume().survey
    assert [p.tolist() for p in folds(s, survey)] == [[k] for k in range(6)]
    assert folds(s.take([0]), survey) == []
    n = 120
    survey = Volume.from_array(
        np.zeros((2, 60, 8)), inline=[100, 110], crossline=np.arange(500, 560), twt_ms=4 * np.arange(8)
    ).survey
    many = Picks(
        "many", np.repeat([100, 110], n // 2), np.tile(np.arange(n // 2), 2) + 500, np.zeros(n), np.ones(n)
    )
    parts = folds(many, survey)
    assert len(parts) <= BLOCKS
    assert sorted(np.concatenate(parts).tolist()) == list(range(n))


def test_hidden_picks_are_not_seen(prepared):
    """A pick that is wrong by 40 ms moves what is predicted there only where it is not hidden."""
    picks = some_picks()
    wrong = replace(picks, twt_ms=picks.twt_ms + 40.0 * (np.arange(6) == 2))
    parts = folds(wrong, prepared.survey)
    d = describe(prepared, wrong, shipped(), parts)
    errors = held_out(wrong, lambda rest, n: solve(prepared, d, rest, shipped(), hidden=n), parts).error
    assert errors[2] > 25
    assert np.delete(errors, 2).max() < 15


def test_a_hidden_pick_does_not_say_where_its_band_lies(prepared):
    """Far from the interpolation of the others its error is told in full, and not cut at the band of all."""
    picks = some_picks()
    far = replace(picks, twt_ms=picks.twt_ms + 130.0 * (np.arange(6) == 1))
    d = describe(prepared, far, shipped(), folds(far, prepared.survey))
    assert d.margin >= 30
    hidden = held_out(far, lambda rest, n: solve(prepared, d, rest, shipped(), hidden=n), d.parts)
    assert hidden.error[1] > 110
    full, plain = d.of_all_picks(), describe(prepared, far, shipped())
    assert (full.window.first == plain.window.first).all()
    assert (full.says == plain.says).all()
    assert (full.links.inline == plain.links.inline).all()


def test_hidden_picks_widen_and_narrow_the_std():
    def told(ratio, n=8, parts=8):
        return width(Hidden(np.full(n, ratio), np.ones(n), (n // max(parts, 1),) * parts))

    assert told(1.0, 0, 0) == 1.0
    assert told(5.0) > 1.5
    assert told(0.05) == 1.0  # picks are made where it is easy: they do not narrow
    assert told(5.0, 800, 8) == pytest.approx(told(5.0), rel=0.05)  # hidden together: one cause, one word
    normal = np.abs(np.random.default_rng(0).standard_normal(400))
    assert width(Hidden(normal, np.ones(400), (1,) * 400)) == pytest.approx(1, abs=0.12)
    assert width(Hidden(2 * normal, np.ones(400), (1,) * 400)) == pytest.approx(2, abs=0.2)


def test_one_pick_that_came_nearer_is_chance():
    before = np.array([1.0, 2.0, 1.5, 3.0, 2.5])
    assert better(before - 0.2, before)
    assert not better(before - 0.01, before)
    assert not better(before - np.array([0, 0, 0, 1.5, -0.1]), before)
    assert not better(before + 0.2, before)


class Epochs:
    def __init__(self, epochs):
        self.epochs = epochs

    def seconds(self, fixed):
        return 0.0


def test_adaptation_is_kept_only_where_hidden_picks_come_nearer(prepared):
    picks = some_picks()
    d = describe(prepared, picks, shipped(), folds(picks, prepared.survey))
    none = adapted(prepared, d, picks, shipped(), Epochs(0))
    assert none.terms == shipped().terms
    assert len(none.records) == 1
    some = adapted(prepared, d, picks, shipped(), Epochs(2))
    assert len(some.records) == 3
    came_nearer = any(better(r["logs"], none.records[0]["logs"]) for r in some.records)
    assert (some.terms != shipped().terms) == came_nearer
    again = adapted(prepared, d, picks, shipped(), Epochs(2), done=some.records)
    assert again == some
    timeless = adapted(prepared, d, picks, shipped(), Epochs(None))
    assert len(timeless.records) == 1


def test_a_stretched_density_has_the_std_that_was_asked_for():
    k = np.arange(81)
    p = np.exp(-0.5 * ((k - 40.0) / 3) ** 2)[None, None]
    density = Density(np.zeros((1, 1)), 4.0, (p / p.sum()).astype(np.float32))
    z = np.full((1, 1), 160.0)
    for ratio in (0.5, 1.0, 2.5):
        q = stretched(density, z, np.full((1, 1), ratio)).probability[0, 0]
        assert q.sum() == pytest.approx(1, rel=1e-5)
        assert np.sqrt((q * (4.0 * k - 160) ** 2).sum()) == pytest.approx(12 * ratio, rel=0.03)


def test_a_solved_horizon_says_how_sure_it_is(prepared):
    picks = some_picks()
    h = solve(prepared, describe(prepared, picks, shipped()), picks, shipped())
    assert ((h.probability >= 0) & (h.probability <= 1)).all()
    assert (h.twt_std_ms > 0).all()
    assert (h.twt_p10_ms < h.twt_ms).all()
    assert (h.twt_ms < h.twt_p90_ms).all()
    np.testing.assert_allclose(h.density.probability.sum(axis=2), 1, rtol=1e-4)


def test_quantile_regression_covers_what_it_should():
    rng = np.random.default_rng(0)
    S = np.column_stack([np.ones(600), rng.normal(size=600)])
    error = np.exp(0.5 + 0.8 * S[:, 1]) * np.abs(rng.normal(size=600))
    w = np.array(_quantile_regression(S, np.log(error)))
    assert (error <= np.exp(S @ w)).mean() == pytest.approx(0.68, abs=0.02)
    assert w == pytest.approx([0.5, 0.8], abs=0.25)


def test_existence_is_learned_from_signs_of_absence_and_misses_few():
    rng = np.random.default_rng(0)
    S = np.column_stack([np.ones(2000), *rng.normal(size=(5, 2000))])
    there = (rng.random(2000) < 1 / (1 + np.exp(-(0.5 - 3 * S[:, 4])))).astype(float)
    w = np.array(_logistic_regression(S, there))
    assert w[1] == w[2] == 0
    assert w[4] < -1.5
    missed = (S @ w < 0)[there > 0.5].mean()
    assert missed <= 2 * MISSED
    assert (S @ w < 0)[there < 0.5].mean() > 2 * missed


def test_lessons_label_what_they_show():
    earth = make_earth((40, 80, 192), difficulty="easy", seed=3)
    lesson = Lesson(earth, condition(earth.volume.read(), earth.volume.survey.live))
    images, labels = section_batch([lesson], 5, seed=1)
    assert images.shape[:2] == (5, 3)
    assert labels.values.shape[0] == 5
    assert labels.values.shape[2] == images.shape[2]
    assert 0 < float(labels.known.float().mean()) < 1
    assert picks_of(earth, "strong", "scattered", 0).twt_ms.size == 12


@pytest.mark.parametrize("recipe", ["imex", "residual", "unet"])
def test_feature_networks_keep_the_space(recipe):
    with torch.no_grad():
        assert feature_network(recipe)(torch.randn(1, 3, 13, 30)).shape == (1, 8, 13, 30)


@pytest.mark.parametrize(("continuation", "steps"), [("none", [3, 3]), ("time", [2, 4]), ("both", [2, 4])])
def test_features_are_learned_from_coarse_to_fine(continuation, steps, monkeypatch):
    seen, earth = [], make_earth((6, 16, 48), difficulty="easy", seed=1)
    lessons = [Lesson(earth, condition(earth.volume.read(), earth.volume.survey.live))]

    def few(some, count, seed):
        return section_batch(some, 2, seed)

    class Watched(Stochastic):
        def fit(self, net, objective, inputs, *rest, **given):
            made = inputs(0)
            seen.append((len(net.stages()[0].spans), tuple(made[0].shape[2:])))
            return super().fit(net, objective, inputs, *rest, **given)

    monkeypatch.setattr(lessons_module, "SHAPE", (6, 16, 48))
    monkeypatch.setattr(pretrain, "section_batch", few)
    monkeypatch.setattr(pretrain, "Stochastic", Watched)
    net, loss = pretrain.features(lessons, lessons, "imex", 2, 0, print, continuation)
    assert isfinite(loss)
    assert not any(weight.requires_grad for weight in net.parameters())
    assert len(net.stages()[0].spans) == steps[1]
    assert seen[0][0] == steps[0]
    coarse, fine = seen[0][1], seen[-1][1]
    assert coarse == (tuple((n + 1) // 2 for n in fine) if continuation == "both" else fine)


def test_shipped_weights_are_small_hashed_and_round_trip(tmp_path):
    facts = json.loads((FOLDER / MANIFEST).read_text())
    assert sum(f.stat().st_size for f in FOLDER.iterdir()) < 2e6
    assert {"command", "wellposed", "hash"} <= set(facts)
    for name, value in facts["hash"].items():
        assert hashlib.blake2b((FOLDER / name).read_bytes(), digest_size=16).hexdigest() == value
    write_shipped(shipped(), tmp_path, {})
    back = read_shipped(tmp_path)
    assert back.terms == shipped().terms
    assert back.trust == shipped().trust
    np.testing.assert_array_equal(back.scale[0], shipped().scale[0])
    x = torch.randn(1, 3, 12, 20)
    assert torch.equal(back.net(x), shipped().net(x))


def test_on_a_line_the_waveform_leads_later_and_the_head_counts_less():
    terms = Terms(head_reflector=0.1, head_boundary=0.3, lead=0.1, lead_line=0.2, head_line=0.5)
    on_line = terms.on_line()
    assert on_line.lead == pytest.approx(0.3)
    assert on_line.head(0.5) == pytest.approx(0.5 * terms.head(0.5))
    assert on_line.learned_links == terms.learned_links


def test_links_are_of_features_where_the_terms_ask_and_a_network_is_there(prepared):
    window = describe(prepared, some_picks(), shipped()).window
    learned, other = (
        links_of(p, window, Terms(learned_links=True), Tracker())
        for p in (prepared, replace(prepared, features=None))
    )
    by_correlation = links_of(prepared, window, Terms(learned_links=False), Tracker())
    np.testing.assert_array_equal(other.inline, by_correlation.inline)
    assert (learned.inline != by_correlation.inline).any()
    f = prepared.features.astype(np.float32)
    d, reach, at = 20, 6, window.first[4, 7] + 20
    cosines = np.array([(f[:, 4, 7, at] * f[:, 5, 7, at + k]).sum() for k in range(-reach, reach + 1)])
    cost = learned.inline[4, 7, :, d] * learned.step
    np.testing.assert_allclose(cost, cosines.max() - cosines, atol=learned.step)


def test_one_part_that_is_far_off_rules_the_mean_but_not_the_typical_error():
    error = np.array([1.0] * 9 + [200.0])
    hidden = Hidden(error, np.ones(10), (1,) * 10)
    assert hidden.mean == pytest.approx(20.9)
    assert hidden.typical == pytest.approx(np.exp(np.log(2) * 0.9 + np.log(201) * 0.1) - 1, abs=1e-3)
    assert Hidden(np.full(4, 3.0), np.ones(4), (2, 2)).typical == pytest.approx(3.0, abs=1e-3)
    assert Hidden(np.zeros(0), np.zeros(0), ()).typical is None


def test_a_surface_behind_the_interpolation_is_said_aloud():
    assert _warnings(2.0, 1.9) == []
    assert _warnings(None, None) == []
    assert "another reflector" in _warnings(2.0, 1.5)[0]


@pytest.mark.parametrize("parts", [2, 3, 5, 12])
def test_noise_is_seldom_taken_for_an_adaptation(parts):
    rng, kept = np.random.default_rng(parts), 0
    for _ in range(400):
        best = rng.normal(size=parts)
        kept += any(better(rng.normal(size=parts), best) for _ in range(8))
    assert kept <= 0.08 * 400
    assert better(np.zeros(12), np.full(12, 0.3) + 0.05 * rng.normal(size=12))


def test_blocks_of_hidden_picks_do_not_hang_on_the_numbering():
    i, x = (v.ravel() for v in np.indices((8, 8)))
    labels = np.arange(8)
    found = []
    for by in (1, 10):
        survey = Volume.from_array(
            np.zeros((8, 8, 8)), inline=100 + by * labels, crossline=500 + labels, twt_ms=4 * np.arange(8)
        ).survey
        picks = Picks("all", 100 + by * i, 500 + x, np.zeros(64), np.ones(64))
        found.append([p.tolist() for p in folds(picks, survey)])
    assert found[0] == found[1]


def test_weights_without_a_network_leave_no_network_of_others(tmp_path):
    write_shipped(shipped(), tmp_path, {})
    assert read_shipped(tmp_path).net is not None
    write_shipped(replace(shipped(), net=None), tmp_path, {})
    assert read_shipped(tmp_path).net is None
