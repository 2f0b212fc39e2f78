"""Horizons as files: written and read again; what is none is refused, and a full disk harms nothing."""

import csv
import errno
import os

import numpy as np
import pandas as pd
import pytest

from wellposed.errors import FileError
from wellposed.seismic.formats import WRITERS, charisma_table, is_charisma, write_charisma
from wellposed.seismic.horizons import COLUMNS, GRIDS, Density, Horizon, read_horizon_csv
from wellposed.seismic.picks import read_picks
from wellposed.seismic.volume import Volume

SHAPE = (5, 7)


def survey(coordinates=True, gap=(4, 0)):
    i, j = np.indices(SHAPE)
    xy = {"x": 452_310.25 + 25.0 * i, "y": 6_781_200.5 + 12.5 * j} if coordinates else {}
    labels = {"inline": 1120 + 2 * np.arange(5), "crossline": np.arange(845, 852)}
    s = Volume.from_array(np.ones((*SHAPE, 60)), **labels, twt_ms=1600 + 4.0 * np.arange(60), **xy).survey
    s.trace[gap] = -1
    return s


def horizon(**kept):
    """Absent on one trace, unlikely on another, not in the survey on a third."""
    s = survey(**kept)
    rng = np.random.default_rng(0)
    time = np.round(1700 + 10 * rng.random(SHAPE), 4)
    std, low, high = (np.round(v, 4) for v in (1 + rng.random(SHAPE), time - 2.5, time + 2.25))
    probability = np.round(0.5 + 0.5 * rng.random(SHAPE), 4)
    time[1, 2], probability[3, 3] = np.nan, 0.4999
    p = rng.random((*SHAPE, 11)).astype(np.float32)
    density = Density(time - 20, 4.0, p / p.sum(axis=2, keepdims=True))
    return Horizon("top", s, time, std, low, high, probability, density)


def refused(call, *words):
    with pytest.raises(FileError) as error:
        call()
    lines = str(error.value).splitlines()
    assert [line.split(":")[0].strip() for line in lines] == ["error", "given", "expected", "way out"]
    assert all(word in str(error.value) for word in words)


def test_where_a_horizon_exists():
    exists = horizon().exists
    assert np.argwhere(~exists).tolist() == [[1, 2], [3, 3], [4, 0]]


def test_the_table_has_a_row_for_each_trace_on_which_the_horizon_exists(tmp_path):
    horizon().write_csv(tmp_path / "top.csv")
    with open(tmp_path / "top.csv", newline="") as f:
        rows = list(csv.reader(f))
    assert rows[0] == COLUMNS
    assert rows[0] == "inline crossline x y twt_ms twt_std_ms twt_p10_ms twt_p90_ms probability".split()
    assert len(rows) == 1 + 35 - 3
    assert rows[1][:4] == ["1120", "845", "452310.25", "6781200.5"]
    horizon(coordinates=False).write_csv(tmp_path / "bare.csv")
    assert (tmp_path / "bare.csv").read_text().splitlines()[1].startswith("1120,845,,,17")


@pytest.mark.parametrize("coordinates", [True, False])
def test_tables_are_read_again(tmp_path, coordinates):
    first = horizon(coordinates=coordinates)
    first.write_csv(tmp_path / "top.csv")
    again = read_horizon_csv(tmp_path / "top.csv", first.survey, first.density)
    assert again.name == "top"
    assert again.density is first.density
    np.testing.assert_array_equal(again.exists, first.exists)
    for name in GRIDS:
        a, b = (getattr(h, name)[first.exists] for h in (again, first))
        np.testing.assert_array_equal(a, b, name)
    assert np.isnan(again.twt_ms[~first.exists]).all()
    assert (again.probability[~first.exists] == 0).all()


def test_tables_are_picks_and_truth_for_other_commands(tmp_path):
    first = horizon()
    first.write_csv(tmp_path / "top.csv")
    (picks,) = read_picks(tmp_path / "top.csv", survey=first.survey)
    i, j = picks.at(first.survey)
    np.testing.assert_array_equal(picks.twt_ms, first.twt_ms[i, j])
    np.testing.assert_array_equal(picks.std_ms, first.twt_std_ms[i, j])


def test_tables_that_are_no_horizons_are_refused(tmp_path):
    path = tmp_path / "top.csv"
    refused(lambda: read_horizon_csv(path, survey()), "top.csv")
    refused(lambda: read_horizon_csv(tmp_path, survey()))
    head = ",".join(COLUMNS)
    for content in ("", "inline,crossline,twt_ms\n1120,845,1700\n", f"{head}\n1120,845,,,early,1,1,1,1\n"):
        path.write_text(content)
        refused(lambda: read_horizon_csv(path, survey()), "not a surface")
    path.write_text(f"{head}\n1120,845,,,1700,1,1,1,1\n1121,845,,,1700,1,1,1,1\n")
    refused(lambda: read_horizon_csv(path, survey()), "another survey", "1 of 2 rows")


def test_densities_are_read_again(tmp_path):
    first = horizon().density
    first.write_zarr(tmp_path / "top.zarr")
    again = Density.read_zarr(tmp_path / "top.zarr")
    np.testing.assert_array_equal(again.probability, first.probability)
    np.testing.assert_array_equal(again.first_ms, first.first_ms)
    assert again.step_ms == 4
    assert again.probability.dtype == np.float32
    refused(lambda: Density.read_zarr(tmp_path / "absent.zarr"), "absent.zarr")
    refused(lambda: Density.read_zarr(tmp_path), "density")


def test_a_labelled_set_of_arrays():
    h = horizon()
    a = h.to_xarray()
    assert set(a.data_vars) == set(GRIDS)
    assert a.attrs["name"] == "top"
    assert float(a.twt_ms.sel(inline=1124, crossline=850)) == h.twt_ms[2, 5]
    assert a.twt_std_ms.attrs == {"units": "ms", "positive": "down"}
    assert float(a.cdp_y.sel(inline=1124, crossline=850)) == h.survey.y[2, 5]


@pytest.mark.parametrize("coordinates", [True, False])
def test_charisma_lines_are_read_again(tmp_path, coordinates):
    assert WRITERS["charisma"] is write_charisma
    first = horizon(coordinates=coordinates)
    write_charisma(tmp_path / "top.dat", first)
    lines = (tmp_path / "top.dat").read_text().splitlines()
    assert is_charisma(lines)
    assert len(lines) == int(first.exists.sum())
    assert [len(line.split()) for line in lines] == [9] * len(lines)
    (picks,) = read_picks(tmp_path / "top.dat", survey=first.survey)
    i, j = picks.at(first.survey)
    again = np.full(SHAPE, np.nan)
    again[i, j] = picks.twt_ms
    np.testing.assert_array_equal(again, np.where(first.exists, first.twt_ms, np.nan))
    x, y = (float(lines[0].split()[k]) for k in (6, 7))
    assert (x, y) == ((452_310.25, 6_781_200.5) if coordinates else (845, 1120))


def test_charisma_lines_are_told_from_others():
    row = "INLINE :   1120 XLINE :    845    452310.25000   6781200.50000    1834.6200"
    assert is_charisma(["", row])
    for lines in ([], ["1120 845 1834.62"], [row.replace("XLINE", "TRACE")], [row + " 1"]):
        assert not is_charisma(lines)
    assert charisma_table("top.dat", [row]).columns["time"].tolist() == [1834.62]
    refused(lambda: charisma_table("top.dat", [row, "", row[:-9]]), "line 3")
    refused(lambda: charisma_table("top.dat", [row, row.replace("1834.6200", "early")]), "line 2", "early")


WRITE = {
    "top.csv": lambda path, h: h.write_csv(path),
    "top.zarr": lambda path, h: h.density.write_zarr(path),
    "top.dat": write_charisma,
}


@pytest.mark.parametrize("name", WRITE)
@pytest.mark.parametrize("moment", ["on the way", "at the end"])
def test_a_full_disk_leaves_the_old_file_and_no_half_one(tmp_path, monkeypatch, name, moment):
    path, h = tmp_path / name, horizon()
    WRITE[name](path, h)
    before = contents(path)
    assert before

    def full(*given, **kept):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as m:
        if moment == "at the end":
            m.setattr(os, "replace", full)
        elif name == "top.csv":
            m.setattr(pd.DataFrame, "to_csv", full)
        elif name == "top.zarr":
            m.setattr("zarr.Group.create_array", full)
        else:
            m.setattr("builtins.open", full)
            m.setattr("io.open", full)
        refused(lambda: WRITE[name](path, h), "room on its disk", os.strerror(errno.ENOSPC))
    assert contents(path) == before
    assert list(tmp_path.iterdir()) == [path]


def contents(path):
    files = [p for p in path.rglob("*") if p.is_file()] if path.is_dir() else [path]
    return {p: p.read_bytes() for p in files}


def test_xarray_opens_the_density_with_its_lines(tmp_path):
    import xarray

    first = horizon()
    first.density.write_zarr(tmp_path / "top.zarr", first.survey)
    found = xarray.open_zarr(tmp_path / "top.zarr", consolidated=False)
    assert found["density"].dims == ("inline", "crossline", "place")
    assert found["inline"].values.tolist() == first.survey.inline.tolist()
    assert found.attrs["step_ms"] == first.density.step_ms


def test_charisma_lines_of_many_digits_are_read_again(tmp_path):
    labels = 1_234_500 + np.arange(3)
    volume = Volume.from_array(np.ones((3, 3, 30)), inline=labels, crossline=labels, twt_ms=4 * np.arange(30))
    here = np.full((3, 3), 40.0)
    horizon = Horizon("top", volume.survey, here, here, here, here, np.ones((3, 3)))
    write_charisma(tmp_path / "top.dat", horizon)
    (picks,) = read_picks(tmp_path / "top.dat", survey=volume.survey)
    assert len(picks) == 9
    assert picks.inline.max() == 1_234_502
