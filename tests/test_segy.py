"""SEG-Y as it comes: every format and order of traces, gaps, cuts, headers that lie, and refusals."""

import resource
import tracemalloc

import numpy as np
import pytest

from segy_files import (
    ASCII,
    EBCDIC,
    EMPTY,
    END_OF_TEXT,
    grid,
    ibm,
    random_cube,
    write_cube,
    write_traces,
)
from wellposed.errors import FileError, SurveyError, UserError
from wellposed.seismic.segy import open_segy, write_segy
from wellposed.seismic.volume import Volume, open_volume

FORMATS = {"IBM": 1, "int32": 2, "int16": 3, "IEEE": 5, "int8": 8}
SHAPE = (4, 6, 25)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "survey.sgy"


def said(volume, words):
    return any(words in note for note in volume.notes)


def refused(path, **kept):
    """The error of opening, which has four lines that name both sides."""
    with pytest.raises(UserError) as error:
        open_volume(path, **kept)
    lines = str(error.value).splitlines()
    assert [line.split(":")[0].strip() for line in lines] == ["error", "given", "expected", "way out"]
    assert all(len(line.split(":", 1)[1]) > 5 for line in lines)
    return error.value


# Samples


def test_the_words_of_ibm_floats():
    """Published examples: -118.625 is C276A000, 1 is 41100000, 0.15625 is 40280000."""
    words = {-118.625: 0xC276A000, 1.0: 0x41100000, 0.15625: 0x40280000, 0.0: 0, 16.0: 0x42100000}
    assert ibm(list(words)).tolist() == list(words.values())


@pytest.mark.parametrize("format", FORMATS.values(), ids=FORMATS)
@pytest.mark.parametrize("order", "><")
def test_every_sample_format_in_both_byte_orders(path, format, order):
    cube = random_cube(SHAPE)
    volume = open_volume(write_cube(path, cube, format=format, order=order))
    np.testing.assert_array_equal(volume.read(), cube)
    assert volume.read().dtype == np.float32
    assert volume.survey.inline.tolist() == [100, 101, 102, 103]
    assert volume.survey.crossline.tolist() == [500, 501, 502, 503, 504, 505]
    assert volume.survey.twt_ms.tolist() == (4.0 * np.arange(25)).tolist()


@pytest.mark.parametrize("format", [1, 5])
@pytest.mark.parametrize("claimed", [1, 5])
@pytest.mark.parametrize("order", "><")
def test_floats_are_read_by_what_they_are_not_by_the_code_alone(path, format, claimed, order):
    cube = np.random.default_rng(1).normal(0, 3000, (8, 10, 60)).astype(np.float32)
    volume = open_volume(write_cube(path, cube, format=format, code=claimed, order=order))
    np.testing.assert_allclose(volume.read(), cube, rtol=2.0**-20)
    assert said(volume, "though the format code says") == (format != claimed)


def test_a_file_that_lies_by_few_different_samples_is_read_as_it_says(path):
    """The twin: whole numbers betray nothing, so the code is believed, and wrongly so."""
    cube = random_cube(SHAPE)
    volume = open_volume(write_cube(path, cube, format=5, code=1))
    assert not said(volume, "though the format code says")
    assert np.abs(volume.read() - cube).max() > 1


# Headers


@pytest.mark.parametrize("text", [EBCDIC, ASCII, EMPTY], ids=["EBCDIC", "ASCII", "empty"])
@pytest.mark.parametrize("revision", [0, 0x0100, 0x0001])
@pytest.mark.parametrize("order", "><")
def test_text_headers_and_revisions(path, text, revision, order):
    cube = random_cube(SHAPE)
    write_cube(path, cube, text=text, revision=revision, order=order)
    np.testing.assert_array_equal(open_volume(path).read(), cube)
    assert ("C 1 a line of a text header" in open_segy(path).text) == (text != EMPTY)


@pytest.mark.parametrize(
    ("extended", "claimed"),
    [
        ([ASCII], 1),
        ([EBCDIC, ASCII, EMPTY], 3),
        ([EBCDIC, END_OF_TEXT], -1),
        ([EBCDIC, EBCDIC], 0),
        ([], 5),
        ([EBCDIC], 3),
    ],
    ids=["one", "three", "until the end of the text", "unsaid", "said but absent", "said wrongly"],
)
def test_extended_text_headers(path, extended, claimed):
    cube = random_cube(SHAPE)
    write_cube(path, cube, extended=extended, count_of_extended=claimed)
    np.testing.assert_array_equal(open_volume(path).read(), cube)


@pytest.mark.parametrize(("binary", "trace"), [(0, 25), (24, 25), (25, 0), (25, 24)])
def test_the_number_of_samples_is_the_one_that_fits_the_length(path, binary, trace):
    cube = random_cube(SHAPE)
    volume = open_volume(write_cube(path, cube, samples=binary, shorts={115: trace}))
    np.testing.assert_array_equal(volume.read(), cube)
    assert said(volume, "the binary header says 24") == (binary == 24)


def test_the_sample_interval_of_the_trace_header_serves_where_the_binary_header_has_none(path):
    cube = random_cube(SHAPE)
    assert open_volume(write_cube(path, cube, step_us=0, shorts={117: 2000})).survey.step_ms == 2
    assert open_volume(write_cube(path, cube, step_us=500)).survey.step_ms == 0.5
    assert "sample interval" in refused(write_cube(path, cube, step_us=0)).wrong


# Places


@pytest.mark.parametrize("places", [(189, 193), (9, 21), (5, 21)])
@pytest.mark.parametrize("order", "><")
def test_known_bytes_are_found_and_said_inline_first(path, places, order):
    cube = random_cube(SHAPE)
    volume = open_volume(write_cube(path, cube, places=places, order=order))
    np.testing.assert_array_equal(volume.read(), cube)
    assert volume.notes[0].startswith(f"inline at byte {places[0]}, crossline at byte {places[1]}")


@pytest.mark.parametrize("places", [(193, 189), (17, 25), (1, 237), (202, 209), (13, 17), (230, 221)])
def test_told_bytes_may_lie_anywhere(path, places):
    cube = random_cube(SHAPE)
    write_cube(path, cube, places=places)
    volume = open_volume(path, inline_byte=places[0], crossline_byte=places[1])
    np.testing.assert_array_equal(volume.read(), cube)
    assert volume.notes[0] == f"inline at byte {places[0]}, crossline at byte {places[1]} (as given)"
    assert (volume.source.inline_byte, volume.source.crossline_byte) == places


def test_one_told_byte_goes_with_the_standard_place_of_the_other(path):
    cube = random_cube(SHAPE)
    write_cube(path, cube, places=(17, 193))
    np.testing.assert_array_equal(open_volume(path, inline_byte=17).read(), cube)


TRACES = np.arange(24).reshape(4, 6)


@pytest.mark.parametrize(
    "keep",
    [TRACES.T, TRACES[::-1], TRACES[:, ::-1], TRACES[::-1, ::-1].T, np.random.default_rng(2).permutation(24)],
    ids=["crossline-sorted", "decreasing inlines", "decreasing crosslines", "both", "shuffled"],
)
@pytest.mark.parametrize("format", [1, 3])
def test_the_order_of_traces_does_not_matter(path, keep, format):
    cube = random_cube(SHAPE)
    volume = open_volume(write_cube(path, cube, keep=np.ravel(keep), format=format))
    np.testing.assert_array_equal(volume.read(), cube)
    np.testing.assert_array_equal(
        volume.read(slice(1, 3), slice(4, 1, -1), slice(3, 20, 2)), cube[1:3, 4:1:-1, 3:20:2]
    )


def test_increments_above_one_are_labels(path):
    cube = random_cube(SHAPE)
    lines = {"inlines": np.array([3, 6, 9, 12]), "crosslines": np.array([-4, -2, 0, 2, 4, 8])}
    survey = open_volume(write_cube(path, cube, **lines)).survey
    assert survey.inline.tolist() == [3, 6, 9, 12]
    assert survey.crossline.tolist() == [-4, -2, 0, 2, 4, 8]
    assert survey.index([9, 4], [8, 8])[0].tolist() == [2, -1]


@pytest.mark.parametrize("missing", [[7], [0, 1, 5, 6, 11, 18, 23]], ids=["one missing", "ragged"])
def test_missing_traces_are_told_and_are_not_dead(path, missing):
    cube = random_cube(SHAPE)
    volume = open_volume(write_cube(path, cube, keep=np.setdiff1d(np.arange(24), missing)))
    assert said(volume, f"{len(missing)} of 24 cells of the grid hold no trace")
    exists = ~np.isin(TRACES, missing)
    np.testing.assert_array_equal(volume.survey.exists, exists)
    np.testing.assert_array_equal(volume.survey.live, exists)
    np.testing.assert_array_equal(volume.read(), cube * exists[..., None])


@pytest.mark.parametrize("twice", [[3], [3, 8], range(9)], ids=["one", "two", "many"])
@pytest.mark.parametrize("told", [{}, {"inline_byte": 189, "crossline_byte": 193}], ids=["found", "told"])
def test_duplicates_are_refused_with_the_list(path, twice, told):
    cube = random_cube(SHAPE)
    write_cube(path, cube, keep=[*range(24), *twice])
    error = refused(path, **told)
    assert isinstance(error, SurveyError)
    assert f"{len(twice)} of {24 + len(twice)} traces at a place already taken" in error.given
    assert "remove" in error.way_out or told
    inline, crossline = grid(np.arange(100, 104), np.arange(500, 506))
    for n in list(twice)[:6]:
        assert f"{inline[n]}/{crossline[n]}" in error.given


@pytest.mark.parametrize("shape", [(1, 30), (30, 1), (2, 20), (20, 2)])
@pytest.mark.parametrize("places", [(189, 193), (9, 21)])
def test_lines_and_pairs_of_lines_are_surveys(path, shape, places):
    cube = random_cube((*shape, 25))
    volume = open_volume(write_cube(path, cube, places=places))
    np.testing.assert_array_equal(volume.read(), cube)
    assert volume.survey.is_line


def test_one_trace_is_a_survey(path):
    cube = random_cube((1, 1, 25))
    volume = open_volume(write_cube(path, cube))
    np.testing.assert_array_equal(volume.read(), cube)
    assert (volume.survey.inline[0], volume.survey.crossline[0]) == (100, 500)


# Coordinates and time


@pytest.mark.parametrize(("scalar", "factor"), [(-100, 0.01), (-10, 0.1), (1, 1), (10, 10), (0, 1), (-1, 1)])
@pytest.mark.parametrize("places", [(181, 185), (73, 77)])
def test_coordinates_with_their_scalar(path, scalar, factor, places):
    cube = random_cube(SHAPE)
    x, y = grid(400_000 + 25 * np.arange(4), 6_700_000 + 50 * np.arange(6))
    words = dict(zip(places, (x, y), strict=True))
    volume = open_volume(write_cube(path, cube, words=words, shorts={71: scalar}, keep=np.arange(1, 24)))
    np.testing.assert_allclose(volume.survey.x.ravel()[1:], x[1:] * factor)
    np.testing.assert_allclose(volume.survey.y.ravel()[1:], y[1:] * factor)
    assert np.isnan(volume.survey.x[0, 0])
    assert said(volume, f"coordinates at bytes {places[0]}/{places[1]}")


def test_a_scalar_of_each_trace(path):
    cube = random_cube(SHAPE)
    scalar = np.where(np.arange(24) % 2, -10, 1)
    x, y = grid(1000 + np.arange(4), 2000 + np.arange(6))
    words = {181: np.where(scalar < 0, 10 * x, x), 185: np.where(scalar < 0, 10 * y, y)}
    survey = open_volume(write_cube(path, cube, words=words, shorts={71: scalar})).survey
    np.testing.assert_allclose(survey.x.ravel(), x)


def test_no_coordinates_are_none_and_said(path):
    volume = open_volume(write_cube(path, random_cube(SHAPE)))
    assert volume.survey.x is None
    assert volume.survey.y is None
    assert said(volume, "no coordinates")
    with pytest.raises(SurveyError, match="no coordinates"):
        volume.survey.nearest([0], [0])


@pytest.mark.parametrize(
    ("delay", "scalar", "start"), [(300, 0, 300), (300, 1, 300), (30, 10, 300), (-200, 0, -200)]
)
@pytest.mark.parametrize("order", "><")
def test_a_delay_is_the_time_of_the_first_sample(path, delay, scalar, start, order):
    cube = random_cube(SHAPE)
    volume = open_volume(write_cube(path, cube, shorts={109: delay, 215: scalar}, order=order))
    np.testing.assert_array_equal(volume.survey.twt_ms, start + 4.0 * np.arange(25))
    np.testing.assert_array_equal(volume.read(), cube)
    assert said(volume, f"first sample at {start} ms")


def test_a_delay_scalar_below_zero_divides(path):
    volume = open_volume(write_cube(path, random_cube(SHAPE), shorts={109: 3005, 215: -10}))
    assert volume.survey.twt_ms[0] == 300.5


def test_delays_that_differ_move_traces_by_whole_samples(path):
    cube = random_cube(SHAPE)
    delay = np.where(np.arange(24) % 2, 108, 100)
    volume = open_volume(write_cube(path, cube, shorts={109: delay}))
    np.testing.assert_array_equal(volume.survey.twt_ms, 100 + 4.0 * np.arange(27))
    whole = volume.read()
    np.testing.assert_array_equal(whole[:, ::2, :25], cube[:, ::2])
    np.testing.assert_array_equal(whole[:, 1::2, 2:], cube[:, 1::2])
    assert not whole[:, ::2, 25:].any()
    assert not whole[:, 1::2, :2].any()
    np.testing.assert_array_equal(volume.read(twt=slice(2, 10, 3)), whole[:, :, 2:10:3])
    assert said(volume, "shifted to one axis")
    error = refused(write_cube(path, cube, shorts={109: delay + np.arange(24) % 3}))
    assert "fractions of a sample" in error.wrong


# Damage


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e30], ids=str)
def test_traces_without_numbers_are_named_and_dead(path, bad):
    cube = random_cube(SHAPE)
    cube[1, 2, 9] = cube[3, 5, 0] = bad
    volume = open_volume(write_cube(path, cube))
    assert said(volume, "2 traces hold samples that are no numbers")
    assert np.argwhere(volume.survey.dead).tolist() == [[1, 2], [3, 5]]
    cube[1, 2] = cube[3, 5] = 0
    np.testing.assert_array_equal(volume.read(), cube)
    assert volume.survey.exists.all()


def test_zero_traces_are_dead_and_counted(path):
    cube = random_cube(SHAPE)
    cube[0, :3] = 0
    volume = open_volume(write_cube(path, cube, format=1))
    assert said(volume, "3 traces are all zero")
    assert int(volume.survey.dead.sum()) == 3


@pytest.mark.parametrize("cut", range(10, 360, 10))
@pytest.mark.parametrize("extended", [0, 1])
def test_a_file_cut_short_is_read_to_its_last_whole_trace(path, cut, extended):
    """Whatever the length of the rest: it is never taken for text that is not there."""
    cube = random_cube(SHAPE)
    write_cube(path, cube, extended=[EBCDIC] * extended)
    whole = path.read_bytes()
    path.write_bytes(whole[:-cut])
    volume = open_volume(path)
    traces = 24 - -(-cut // 340)
    assert int(volume.survey.exists.sum()) == traces
    assert said(volume, f"{traces} whole traces read, {(340 - cut) % 340} bytes after them lost") == (
        cut % 340 > 0
    )
    there = volume.survey.exists
    np.testing.assert_array_equal(volume.read()[there], cube[there])


# Refusals


def test_files_that_are_no_surveys(tmp_path, path):
    assert "does not exist" in refused(tmp_path / "absent.sgy").wrong
    assert "folder" in refused(tmp_path).wrong
    path.write_bytes(b"")
    assert "empty" in refused(path).wrong
    for content in (b"inline,crossline,twt_ms\n", b"words " * 2000, bytes(20_000), EBCDIC):
        path.write_bytes(content)
        error = refused(path)
        assert isinstance(error, FileError)
        assert error.wrong == "this is not a SEG-Y file"


def test_a_file_cut_within_its_first_trace_holds_nothing(path):
    write_cube(path, random_cube(SHAPE))
    path.write_bytes(path.read_bytes()[: 3600 + 300])
    assert "too few for one trace of 25 samples" in refused(path).given


@pytest.mark.parametrize(
    ("told", "clue"),
    [
        ({"inline_byte": 0}, "byte 0"),
        ({"crossline_byte": 238}, "byte 238"),
        ({"inline_byte": -3, "crossline_byte": 500}, "byte -3"),
        ({"inline_byte": 25, "crossline_byte": 29}, "always 0 and 0"),
        ({"inline_byte": 189, "crossline_byte": 25}, "already taken"),
        ({"inline_byte": 189, "crossline_byte": 1}, "lines for 600 traces"),
    ],
)
def test_wrong_header_bytes(path, told, clue):
    write_cube(path, random_cube((20, 30, 9)), words={1: np.arange(600)})
    error = refused(path, **told)
    assert isinstance(error, SurveyError)
    assert clue in error.given


def test_lines_nowhere_name_all_places_tried_and_the_flags(path):
    write_cube(path, random_cube(SHAPE), places=(17, 25))
    error = refused(path)
    assert all(pair in error.given for pair in ("189/193", "9/21", "5/21"))
    assert "--inline-byte" in error.way_out
    assert "--crossline-byte" in error.way_out


def test_traces_of_one_sample_are_no_volume(path):
    assert "one sample" in refused(write_cube(path, random_cube((4, 6, 1)))).wrong


# Larger than memory


def test_opening_and_reading_lines_never_holds_all_samples(path):
    cube = random_cube((120, 150, 150))
    write_cube(path, cube, format=1)
    tracemalloc.start()
    volume = open_volume(path)
    opened = tracemalloc.get_traced_memory()
    tracemalloc.reset_peak()
    line = volume.read(slice(60, 61))
    reading = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    np.testing.assert_array_equal(line, cube[60:61])
    survey = 120 * 150 * 40
    assert opened[0] < 2 * survey
    assert opened[1] < cube.nbytes
    assert reading - opened[0] < 6 * line.nbytes


def test_only_the_traces_asked_for_are_read(path):
    volume = open_volume(write_cube(path, random_cube((12, 15, 25)), keep=np.arange(1, 180)))
    asked = []
    counting = Volume(volume.survey, lambda index: (asked.extend(index), volume._traces(index))[1])
    counting.read(slice(3, 5), slice(0, 15, 5), slice(4, 6))
    assert sorted(asked) == sorted(volume.survey.trace[3:5, ::5].ravel())
    asked.clear()
    counting.read(slice(0, 1), slice(0, 1))
    assert asked == []


# Writing


@pytest.mark.parametrize("format", FORMATS.values(), ids=FORMATS)
def test_what_is_written_is_read_again(tmp_path, path, format):
    cube = random_cube(SHAPE)
    cube[2, 3] = 0
    lines = {"inlines": np.array([3, 6, 9, 12]), "crosslines": np.array([-4, -2, 0, 2, 4, 8])}
    x, y = grid(400_000.25 + 25 * np.arange(4), 6_700_000.5 + 50 * np.arange(6))
    words = {181: np.rint(100 * x), 185: np.rint(100 * y)}
    shorts = {71: -100, 109: 300}
    first = open_volume(write_cube(path, cube, keep=np.arange(2, 24), words=words, shorts=shorts, **lines))
    again = open_volume(write_segy(tmp_path / "again.sgy", first, format=format))
    np.testing.assert_array_equal(again.read(), first.read())
    for name in ("inline", "crossline", "twt_ms", "exists", "dead", "x", "y"):
        np.testing.assert_array_equal(getattr(again.survey, name), getattr(first.survey, name), name)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["again.sgy", "survey.sgy"]


@pytest.mark.parametrize("format", [1, 5])
def test_floats_keep_their_digits(path, format):
    cube = np.random.default_rng(3).normal(size=(5, 6, 50)).astype(np.float32)
    again = open_volume(write_segy(path, Volume.from_array(cube, twt_ms=0.5 * np.arange(50)), format=format))
    np.testing.assert_allclose(again.read(), cube, rtol=0 if format == 5 else 2.0**-20)
    assert again.survey.step_ms == 0.5


@pytest.mark.parametrize(("start", "step"), [(0, 4), (100.5, 2), (-12.25, 0.125), (40_000, 4), (-300, 32)])
def test_the_time_axis_is_kept_exactly(path, start, step):
    twt = start + step * np.arange(10.0)
    again = open_volume(write_segy(path, Volume.from_array(np.ones((3, 4, 10)), twt_ms=twt)))
    np.testing.assert_allclose(again.survey.twt_ms, twt, rtol=0, atol=1e-9)


@pytest.mark.parametrize(("start", "step"), [(0.001, 4), (0, 1 / 3), (0, 40), (40_001, 4)])
def test_a_time_axis_that_headers_cannot_hold_is_refused(path, start, step):
    twt = start + step * np.arange(10.0)
    with pytest.raises(UserError, match="cannot hold this time axis"):
        write_segy(path, Volume.from_array(np.ones((3, 4, 10)), twt_ms=twt))
    assert not path.exists()


@pytest.mark.parametrize("room", [2000, 3300, 3700, 9000])
def test_a_full_disk_leaves_the_old_survey_and_no_half_one(tmp_path, path, room):
    """The system itself refuses to let any file grow beyond `room` bytes."""
    volume = Volume.from_array(random_cube((6, 8, 50)))
    kept = write_segy(path, volume).read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, hard))
    try:
        with pytest.raises(FileError, match="cannot be written"):
            write_segy(path, volume)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert path.read_bytes() == kept
    assert list(tmp_path.iterdir()) == [path]


def test_integers_are_rounded_and_amplitudes_beyond_them_refused(path):
    cube = np.full((3, 4, 10), 2.7, np.float32)
    assert (open_volume(write_segy(path, Volume.from_array(cube), format=8)).read() == 3).all()
    kept = path.read_bytes()
    with pytest.raises(UserError, match="int8"):
        write_segy(path, Volume.from_array(100 * cube), format=8)
    assert path.read_bytes() == kept
    with pytest.raises(UserError, match="format"):
        write_segy(path, Volume.from_array(cube), format=4)


def test_the_reading_is_of_the_standard_and_not_of_our_writing(path):
    """segyio reads what the generator of these tests writes: two readers, one file."""
    import segyio

    cube = random_cube(SHAPE)
    write_cube(path, cube, format=1, extended=[EBCDIC])
    with segyio.open(path) as f:
        np.testing.assert_array_equal(segyio.tools.cube(f), cube)
    traces = cube.reshape(24, 25)
    inline, crossline = grid(np.arange(4), np.arange(6))
    write_traces(path, traces, {189: inline, 193: crossline}, {})
    np.testing.assert_array_equal(open_volume(path).read(), cube)


def test_floats_of_a_narrow_range_are_what_their_code_says(tmp_path):
    """IEEE floats between 4096 and 8191 have no zero as first hexadecimal digit, nor have IBM floats."""
    a = np.random.default_rng(0).uniform(4200, 8000, (4, 5, 200)).astype(np.float32)
    back = open_volume(write_segy(tmp_path / "impedance.segy", Volume.from_array(a)))
    np.testing.assert_array_equal(back.read(), a)


def test_two_sample_intervals_are_said(path):
    volume = open_volume(write_cube(path, random_cube(SHAPE), shorts={117: 2000}))
    assert volume.survey.step_ms == 4
    assert said(volume, "2 ms in the first trace header")


def test_long_sample_intervals_are_not_negative(path):
    assert open_volume(write_cube(path, random_cube(SHAPE), step_us=40_000)).survey.step_ms == 40


def test_the_bytes_of_the_line_numbers_hold_no_coordinates(path):
    x, y = grid(400_000 + 25 * np.arange(4), 6_000_000 + 25 * np.arange(6))
    write_cube(path, random_cube(SHAPE), places=(181, 185), words={73: x, 77: y})
    survey = open_volume(path, inline_byte=181, crossline_byte=185).survey
    assert survey.x[0, 0] == 400_000
    assert survey.y[0, 1] == 6_000_025


def test_a_scalar_of_the_delay_that_is_none_is_said(path):
    volume = open_volume(write_cube(path, random_cube(SHAPE), shorts={109: 500, 215: 1234}))
    assert volume.survey.twt_ms[0] == 500
    assert said(volume, "no power of ten")


def test_dead_traces_do_not_move_the_time_axis(path):
    cube = random_cube(SHAPE)
    cube[1, 2] = 0
    delay = np.full(24, 2002)
    delay[8] = 0
    volume = open_volume(write_cube(path, cube, shorts={109: delay}))
    assert volume.survey.twt_ms[0] == 2002
    assert volume.survey.shape == SHAPE
    np.testing.assert_array_equal(volume.read(), cube)


def test_traces_of_different_lengths_are_named(path):
    lengths = np.full(24, 25)
    lengths[12:] = 20
    write_cube(path, random_cube(SHAPE), shorts={115: lengths})
    assert "different lengths" in str(refused(path))


def test_lines_that_are_missing_are_said(path):
    volume = open_volume(write_cube(path, random_cube(SHAPE), inlines=np.array([100, 101, 150, 151])))
    assert said(volume, "no inline between 101 and 150")
    assert not said(open_volume(write_cube(path, random_cube(SHAPE))), "between")


def test_a_survey_that_may_not_be_read_is_refused(path, monkeypatch):
    from pathlib import Path

    write_cube(path, random_cube(SHAPE))

    def shut(*given, **kept):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", shut)
    assert "cannot be read" in str(refused(path))
