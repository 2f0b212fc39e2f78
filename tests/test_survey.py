"""Grids of line numbers, volumes on them, and interpolation between picks."""

import numpy as np
import pytest

from wellposed.errors import ShapeError, SurveyError
from wellposed.seismic.interpolate import distance_to_picks, interpolate
from wellposed.seismic.survey import Survey
from wellposed.seismic.volume import Volume

INLINE, CROSSLINE = np.array([100, 103, 106, 109]), np.arange(500, 506)


def volume(shape=(4, 6), **kept):
    """Lines by three and one on a grid of 25 m by 50 m, turned by an angle whose tangent is 3/4."""
    i, j = np.indices(shape) * np.array([25.0, 50.0])[:, None, None]
    labels = {"inline": INLINE[: shape[0]], "crossline": CROSSLINE[: shape[1]]}
    xy = {"x": 4e5 + 0.8 * i - 0.6 * j, "y": 6e6 + 0.6 * i + 0.8 * j}
    a = np.random.default_rng(0).normal(size=(*shape, 20))
    return Volume.from_array(a, **labels | xy | kept)


def test_line_numbers_are_labels():
    i, j = volume().survey.index([100, 109, 101, 0, 110, 103.5], [505, 500, 500, 499, 506, 501])
    assert i.tolist() == [0, 3, -1, -1, -1, -1]
    assert j.tolist() == [5, 0, 0, -1, -1, 1]
    assert [len(v) for v in volume().survey.index([], [])] == [0, 0]


def test_the_nearest_trace_and_its_distance_in_bins():
    s = volume().survey
    assert s.bin_size == pytest.approx(25)
    inline, crossline, bins = s.nearest([s.x[2, 3] + 5, s.x[0, 0] - 8 * 25], [s.y[2, 3], s.y[0, 0] - 6 * 25])
    assert inline.tolist() == [106, 100]
    assert crossline.tolist() == [503, 500]
    assert bins == pytest.approx([0.16, 10])


def test_a_cell_without_a_trace_is_never_the_nearest():
    s = volume().survey
    s.trace[2, 3] = -1
    inline, crossline, bins = s.nearest(s.x[2:3, 3], s.y[2:3, 3])
    assert (inline[0], crossline[0]) != (106, 503)
    assert bins[0] == pytest.approx(1)


def test_places_need_coordinates():
    with pytest.raises(SurveyError, match="no coordinates"):
        volume(x=None, y=None).survey.nearest([0], [0])
    assert np.isnan(volume(x=None, y=None).survey.bin_size)


@pytest.mark.parametrize(
    ("shape", "line"), [((1, 6), True), ((4, 1), True), ((2, 6), True), ((3, 6), False), ((1, 1), True)]
)
def test_one_line_or_two_are_lines(shape, line):
    s = volume(shape).survey
    assert s.is_line == line
    assert s.shape == (*shape, 20)


def test_a_survey_describes_itself():
    s = volume(twt_ms=100 + 2.0 * np.arange(20)).survey
    s.trace[0, 0] = -1
    assert s.describe() == (
        "inline 100 to 109 by 3 x crossline 500 to 505, 23 of 24 traces, 20 samples 100 to 138 ms by 2 ms"
    )
    assert volume((1, 6)).survey.describe().startswith("inline 100 x crossline 500 to 505, 6 of 6")


def test_dead_traces_exist_and_are_not_live():
    a = np.ones((4, 6, 20))
    a[1, 1] = 0
    a[2, 2, 5] = np.nan
    v = Volume.from_array(a)
    assert np.argwhere(v.survey.dead).tolist() == [[1, 1], [2, 2]]
    assert v.survey.exists.all()
    assert int(v.survey.live.sum()) == 22
    assert any("1 traces hold NaN" in note for note in v.notes)
    a[2, 2] = 0
    np.testing.assert_array_equal(v.read(), a)


def test_reading_by_slices_is_slicing():
    v = volume()
    whole = v.read()
    for cut in (np.s_[1:3, 2:5, 4:9], np.s_[::2, ::-1, ::3], np.s_[-1:, :2, -4:], np.s_[2:2, :, :]):
        np.testing.assert_array_equal(v.read(*cut), whole[cut])


def test_labelled_arrays():
    v = volume()
    a = v.to_xarray()
    assert a.dims == ("inline", "crossline", "twt")
    assert float(a.sel(inline=106, crossline=503, twt=16)) == v.read()[2, 3, 4]
    assert float(a.cdp_x.sel(inline=106, crossline=503)) == v.survey.x[2, 3]
    assert a.twt.attrs["units"] == "ms"
    assert "cdp_x" not in volume(x=None, y=None).to_xarray().coords


@pytest.mark.parametrize(
    "wrong",
    [
        {"inline": INLINE[:3]},
        {"inline": INLINE[::-1]},
        {"crossline": [500, 501, 501, 502, 503, 504]},
        {"twt_ms": np.arange(19)},
        {"twt_ms": -4.0 * np.arange(20)},
        {"twt_ms": np.r_[np.arange(19), 30]},
        {"x": np.zeros((6, 4))},
    ],
    ids=["few", "decreasing", "twice", "short axis", "upward axis", "uneven axis", "turned coordinates"],
)
def test_labels_that_do_not_fit_are_refused(wrong):
    with pytest.raises(ShapeError) as error:
        volume(**wrong)
    assert len(str(error.value).splitlines()) == 4


def test_an_array_of_two_axes_is_no_volume():
    with pytest.raises(ShapeError, match="three axes"):
        Volume.from_array(np.ones((6, 20)))


# Interpolation of picks


def plane(i, j):
    return 100 + 3.0 * np.asarray(i) - 2.0 * np.asarray(j)


def test_planes_are_exact_inside_and_picks_everywhere():
    i, j = np.array([0, 0, 9, 9, 4]), np.array([0, 7, 0, 7, 3])
    surface = interpolate(i, j, plane(i, j), (10, 8))
    np.testing.assert_allclose(surface, plane(*np.indices((10, 8))), atol=1e-9)
    bent = plane(i, j) + np.array([0, 0, 0, 0, 5])
    np.testing.assert_allclose(interpolate(i, j, bent, (10, 8))[i, j], bent, atol=1e-9)


def test_outside_the_hull_the_nearest_pick_counts():
    i, j = np.array([3, 3, 5]), np.array([3, 5, 4])
    surface = interpolate(i, j, [1, 2, 3], (9, 9))
    assert surface[0, 0] == 1
    assert surface[0, 8] == 2
    assert surface[8, 4] == 3


@pytest.mark.parametrize(("di", "dj"), [(0, 1), (1, 0), (1, 1)], ids=["inline", "crossline", "oblique"])
def test_picks_on_one_straight_line_go_along_it_and_sideways(di, dj):
    k = np.array([6, 0, 3])
    i, j = 1 + di * k, 1 + dj * k
    values = np.array([16.0, 10.0, 10.0])
    surface = interpolate(i, j, values, (8, 8))
    np.testing.assert_allclose(surface[i, j], values, atol=1e-9)
    assert surface[1 + 4 * di, 1 + 4 * dj] == pytest.approx(12)
    if (di, dj) == (0, 1):
        np.testing.assert_allclose(surface, np.broadcast_to(surface[1], (8, 8)), atol=1e-9)


def test_one_pick_and_two():
    assert (interpolate([2], [3], [7.0], (5, 6)) == 7).all()
    assert interpolate([0, 0], [0, 4], [0.0, 8.0], (1, 6)).tolist() == [[0, 2, 4, 6, 8, 8]]


def test_distances_in_traces():
    d = distance_to_picks([0, 3], [0, 4], (4, 6))
    assert d[0, 0] == d[3, 4] == 0
    assert d[0, 4] == 3
    assert d[3, 0] == 3
    assert d[1, 1] == pytest.approx(np.sqrt(2))


def test_a_survey_is_what_it_was_given():
    empty = np.full((4, 6), -1)
    s = Survey("none", INLINE, CROSSLINE, 4.0 * np.arange(20), empty, empty > 0)
    assert not s.exists.any()
    assert s.step_ms == 4


def test_bins_longer_than_wide_have_their_own_length_each_way():
    i, j = np.indices((6, 9))
    s = Volume.from_array(np.ones((6, 9, 20)), x=50.0 * i, y=12.5 * j).survey
    away = s.nearest([122.0, 100.0, 400.0], [25.0, 31.0, 25.0])[2]
    assert away.tolist() == pytest.approx([0.44, 0.48, 3.0])
