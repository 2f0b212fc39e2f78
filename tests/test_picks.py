"""Files of picks: by content, never silently wrong."""

import numpy as np
import pytest

from wellposed.errors import ConfigError, FileError, PickError, UserError
from wellposed.seismic.picks import read_all_picks, read_picks, safe_name
from wellposed.seismic.volume import Volume

INLINE, CROSSLINE = np.arange(100, 120, 2), np.arange(500, 530)


def survey(start=0.0, step=4.0, samples=251, coordinates=True, gaps=()):
    """Ten inlines by two, thirty crosslines, 0 to 1000 ms; coordinates on a rotated grid of 25 m."""
    a = np.ones((len(INLINE), len(CROSSLINE), samples), np.float32)
    i, j = np.indices(a.shape[:2]) * 25.0
    x, y = 400_000 + 0.8 * i - 0.6 * j, 6_000_000 + 0.6 * i + 0.8 * j
    twt = start + step * np.arange(samples)
    xy = {"x": x, "y": y} if coordinates else {}
    s = Volume.from_array(a, inline=INLINE, crossline=CROSSLINE, twt_ms=twt, **xy).survey
    for cell in gaps:
        s.trace[cell] = -1
    return s


def read(tmp_path, text, name="top.dat", **kept):
    path = tmp_path / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    kept.setdefault("survey", survey())
    return read_picks(path, **kept)


@pytest.mark.parametrize(
    "text",
    [
        "inline,crossline,twt_ms\n100,500,400\n102,501,404.5\n",
        "Crossline;Inline;TWT\r\n500;100;400\r\n501;102;404,5\r\n",
        "# inline crossline time\n100 500 400\n102 501 404.5\n",
        'inline\tcrossline\tz\n"100"\t500\t400\n102\t501\t4.045e2\n',
        "100 500 400\n102 501 404.5\n",
        "# exported\n\n100\t500\t400\n102\t501\t404.5\n",
        "\ufeffIL,XL,Time\n100.0,500,400\n102,501,404.5\n",
        "INLINE :    100 XLINE :    500  400000.0  6000000.0  400.0\n"
        "INLINE :    102 XLINE :    501  400000.0  6000000.0  404.5\n",
    ],
)
def test_one_content_in_many_spellings(tmp_path, text):
    (picks,) = read(tmp_path, text)
    assert picks.name == "top"
    assert picks.inline.tolist() == [100, 102]
    assert picks.crossline.tolist() == [500, 501]
    assert picks.twt_ms.tolist() == [400, 404.5]
    assert picks.std_ms.tolist() == [4, 4]


@pytest.mark.parametrize("header", ["x,y,twt_ms\n", ""])
def test_places_become_traces(tmp_path, header):
    s = survey()
    rows = [f"{s.x[3, 4] + 5:.1f},{s.y[3, 4] - 5:.1f},400", f"{s.x[9, 0]:.1f},{s.y[9, 0]:.1f},500"]
    (picks,) = read(tmp_path, header + "\n".join(rows))
    assert list(zip(*picks.at(s), strict=True)) == [(3, 4), (9, 0)]
    assert bool(header) != any("x, y, time" in note for note in picks.notes)


def test_line_numbers_win_over_places_and_bare_places_need_coordinates(tmp_path):
    (picks,) = read(tmp_path, "inline,crossline,x,y,twt_ms\n100,500,,,400\n")
    assert picks.inline.tolist() == [100]
    with pytest.raises(PickError, match="outside"):
        read(tmp_path, "400000 6000000 400\n", survey=survey(coordinates=False))
    with pytest.raises(UserError, match="no coordinates"):
        read(tmp_path, "x,y,twt\n400000,6000000,400\n", survey=survey(coordinates=False))


def test_bare_columns_that_fit_both_ways_are_refused(tmp_path):
    s = survey()
    s.x[:], s.y[:] = s.inline[:, None], s.crossline[None, :]
    with pytest.raises(PickError, match="alike"):
        read(tmp_path, "100 500 400\n", survey=s)


def test_std_from_the_file_else_from_the_flag(tmp_path):
    text = "inline,crossline,twt_ms,{}\n100,500,400,{}\n102,500,400,\n"
    for column in ("std_ms", "twt_std_ms", "std"):
        (picks,) = read(tmp_path, text.format(column, 2), std_ms=7)
        assert picks.std_ms.tolist() == [2, 7]
    (picks,) = read(tmp_path, "inline,crossline,twt_s,std,std_ms\n100,500,0.4,0.002,9\n")
    assert picks.std_ms.tolist() == [2]
    for wrong, kept in (("0", {}), ("-1", {}), ("2", {"std_ms": 0})):
        with pytest.raises(PickError, match="above zero"):
            read(tmp_path, text.format("std_ms", wrong), **kept)


def test_several_horizons_in_a_file(tmp_path):
    text = (
        "inline,crossline,twt_ms,horizon\n100,500,400,Top/Sand 1\n100,500,600,Base\n102,500,410,Top/Sand 1\n"
    )
    top, base = read(tmp_path, text)
    assert (top.name, base.name) == ("Top_Sand_1", "Base")
    assert len(top) == 2
    assert len(base) == 1


@pytest.mark.parametrize("name", ["../../etc/passwd", "a:b", ".hidden", "  ", "x" * 300, "Ærø ñ"])
def test_names_are_safe_file_names(name):
    safe = safe_name(name)
    assert safe
    assert not set(safe) & set('/\\:*?"<>| ')
    assert not safe.startswith(".")
    assert len(safe) <= 80


def test_equal_names_are_refused(tmp_path):
    (tmp_path / "a").mkdir()
    for path in ("top.csv", "a/Top.dat"):
        (tmp_path / path).write_text("100 500 400\n")
    with pytest.raises(PickError, match="two horizons are called"):
        read_all_picks([tmp_path / "top.csv", tmp_path / "a/Top.dat"], survey=survey())


@pytest.mark.parametrize("null", ["-999.25", "1e30", "1.0E+30", "", "NaN", "-9999", "3.4028235E+38", "null"])
def test_nulls_go_before_any_test_of_range(tmp_path, null):
    (picks,) = read(tmp_path, f"inline,crossline,twt_ms\n100,500,{null}\n102,500,400\n")
    assert picks.inline.tolist() == [102]
    assert any("null" in note for note in picks.notes)
    with pytest.raises(PickError, match="no picks"):
        read(tmp_path, f"inline,crossline,twt_ms\n100,500,{null}\n")


SECONDS, DOWN, BOTH = (
    "100 500 0.4\n102 500 0.41\n",
    "100 500 -400\n102 500 -410\n",
    "100 500 -0.4\n102 500 -0.41\n",
)


@pytest.mark.parametrize(
    ("text", "flags", "told"),
    [
        (SECONDS, "--unit s", {"unit": "s"}),
        (DOWN, "--negative-down", {"negative_down": True}),
        (BOTH, "--unit s --negative-down", {"unit": "s", "negative_down": True}),
        ("100 500 400000\n102 500 410000\n", "--unit us", {"unit": "us"}),
    ],
)
@pytest.mark.parametrize("header", ["", "inline crossline twt_ms\n"])
def test_numbers_that_cannot_be_right_name_the_flag(tmp_path, text, flags, told, header):
    with pytest.raises(PickError) as refused:
        read(tmp_path, header + text)
    assert flags in refused.value.way_out
    (picks,) = read(tmp_path, header + text, **told)
    np.testing.assert_allclose(picks.twt_ms, [400, 410])


def test_flags_bind(tmp_path):
    (picks,) = read(tmp_path, SECONDS, unit="ms")
    assert picks.twt_ms.tolist() == [0.4, 0.41]
    (picks,) = read(tmp_path, "inline,crossline,twt_s\n100,500,400\n", unit="ms")
    assert picks.twt_ms.tolist() == [400]
    (picks,) = read(tmp_path, "100 500 50\n", unit="samples", survey=survey(start=100.0))
    assert picks.twt_ms.tolist() == [300]
    with pytest.raises(PickError, match="off the time axis"):
        read(tmp_path, "100 500 400\n", unit="s")
    with pytest.raises(PickError, match="off the time axis"):
        read(tmp_path, "100 500 400\n", negative_down=True)
    with pytest.raises(ConfigError, match="no such unit"):
        read(tmp_path, "100 500 400\n", unit="fathoms")


def test_a_header_of_another_unit_is_followed_and_said(tmp_path):
    for title, value in (("twt_s", 0.4), ("TWT [s]", 0.4), ("twt_us", 400000)):
        (picks,) = read(tmp_path, f"inline,crossline,{title}\n100,500,{value}\n")
        np.testing.assert_allclose(picks.twt_ms, [400])
        assert any("as its header says" in note for note in picks.notes)


def test_shallow_times_on_a_late_axis_are_no_seconds(tmp_path):
    (picks,) = read(tmp_path, "100 500 8\n102 500 380\n")
    assert picks.twt_ms.tolist() == [8, 380]
    with pytest.raises(PickError, match="off the time axis"):
        read(tmp_path, "100 500 3\n", survey=survey(start=100.0, samples=26))


def test_negative_times_on_a_negative_axis_are_right(tmp_path):
    (picks,) = read(tmp_path, "100 500 -60\n102 500 -64\n", survey=survey(start=-100.0))
    assert picks.twt_ms.tolist() == [-60, -64]


@pytest.mark.parametrize(
    ("text", "sentence", "clue"),
    [
        ("101 500 400\n", "outside the survey", "line 1"),
        ("100 500 400\n100 900 400\n", "outside the survey", "line 2"),
        ("500 100 400\n501 102 400\n", "outside the survey", "exchange"),
        ("100 500 400\n102 500 1003\n", "off the time axis", "line 2"),
        ("inline,crossline,twt_ms\n100,500,early\n", "word stands where a number", "line 2"),
        ("100 500 400\n100 500 early\n", "word stands where a number", "line 2"),
        ("", "holds no picks", "0 lines"),
        ("inline,crossline,twt_ms\n", "holds no picks", "1 lines"),
        ("100 500\n", "not three columns", "line 1"),
        ("inline,depth\n100,5\n", "where and when", "inline,depth"),
        ("100 500 400\n100 500 410\n", "disagree", "1, 2"),
    ],
)
def test_refusals_name_the_line(tmp_path, text, sentence, clue):
    with pytest.raises(PickError, match=sentence) as refused:
        read(tmp_path, text)
    assert clue in str(refused.value)
    lines = str(refused.value).splitlines()
    assert [line.split(":")[0].strip() for line in lines] == ["error", "given", "expected", "way out"]


def test_no_file_a_folder_and_no_text(tmp_path):
    for path in (tmp_path / "absent.csv", tmp_path):
        with pytest.raises(FileError):
            read_picks(path, survey=survey())
    with pytest.raises(FileError, match="not a text file"):
        read(tmp_path, b"\0\1\2")


def test_equal_picks_are_taken_once_and_gaps_left_out(tmp_path):
    (picks,) = read(tmp_path, "102 501 410\n100 500 400\n100 500 401\n")
    assert picks.twt_ms.tolist() == [410, 400.5]
    assert any("twice" in note for note in picks.notes)
    (picks,) = read(tmp_path, "100 500 400\n102 501 410\n", survey=survey(gaps=[(0, 0)]))
    assert picks.inline.tolist() == [102]
    assert any("missing traces" in note for note in picks.notes)
    with pytest.raises(PickError, match="no pick lies on a trace"):
        read(tmp_path, "100 500 400\n", survey=survey(gaps=[(0, 0)]))


def test_none_of_the_picks_is_a_choice_too():
    from wellposed.seismic.picks import Picks

    some = Picks("top", np.array([1, 2]), np.array([3, 3]), np.array([4.0, 8.0]), np.ones(2))
    assert len(some.take([])) == 0
    assert len(some.take([False, False])) == 0
    assert some.take([1]).twt_ms.tolist() == [8.0]


def test_line_numbers_below_zero_do_not_meet(tmp_path):
    volume = Volume.from_array(np.ones((2, 9, 50)), inline=[10, 11], crossline=np.arange(-3, 6))
    file = tmp_path / "top.csv"
    file.write_text("inline,crossline,twt_ms\n10,4,100\n11,-2,101\n")
    (found,) = read_picks(file, survey=volume.survey)
    assert found.crossline.tolist() == [4, -2]
    assert found.twt_ms.tolist() == [100, 101]


@pytest.mark.parametrize(
    "text",
    [
        "inline,crossline,sample\n100,500,200\n",
        "inline,crossline,sample,twt_ms\n100,500,7,800\n",
        "inline,crossline,z,twt_ms\n100,500,950,800\n",
        "# Exported at time 12:00\n100 500 800\n",
        "# creation time: 12:00\ninline crossline twt\n100 500 800\n",
        "inline crossline twt (ms) std\n100 500 800 1\n",
        "inline,crossline,x,y,twt_ms\n,,400000,6000000,800\n",
        "inline,x,y,twt_ms\n100,400000,6000000,800\n",
        "# from another system\nINLINE : 100 XLINE : 500 400000.0 6000000.0 800\n"
        "INLINE : 102 XLINE : 500 400000.0 6000000.0 -999.25\n",
    ],
)
def test_the_column_that_is_meant(tmp_path, text):
    (picks,) = read(tmp_path, text)
    assert (picks.inline[0], picks.crossline[0], picks.twt_ms[0]) == (100, 500, 800)
    assert len(picks) == 1
    if "std" in text:
        assert picks.std_ms[0] == 1
    if "sample\n" in text:
        assert any("samples" in note for note in picks.notes)


@pytest.mark.parametrize(
    ("text", "clue"),
    [
        ("horizon inline crossline twt\nTop 100 102 500 400\n", "as many columns"),
        ("inline crossline twt std\n100 500 400\n", "as many columns"),
        ("inline,crossline,twt_ms\n100,500,400,7\n", "as many columns"),
        ("100 500 0.5\n102 500 0.8\n104 500 1.1\n", "look like seconds"),
        ("100 500 -0.5\n102 500 -0.8\n104 500 -1.1\n", "look like seconds"),
        ('inline,crossline,twt_ms\n100,500,"' + 140_000 * "4" + '"\n', "time axis|no picks"),
    ],
)
def test_slipped_columns_and_seconds_with_one_that_is_off(tmp_path, text, clue):
    with pytest.raises(UserError, match=clue):
        read(tmp_path, text)


def test_a_name_is_as_safe_at_its_second_reading():
    name = safe_name("a" * 79 + " (top)")
    assert safe_name(name) == name
