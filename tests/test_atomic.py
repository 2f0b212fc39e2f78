"""Files and folders that are whole or not there, and what a full disk leaves behind."""

import errno
import os
from pathlib import Path

import pytest

from wellposed.atomic import written_whole
from wellposed.errors import FileError, PickError

FULL = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def write_file(path, content="new"):
    path.write_text(content)


def write_folder(path, content="new"):
    (path / "inner").mkdir(parents=True)
    (path / "inner" / "part").write_text(content)


def content(path):
    return (path / "inner" / "part" if path.is_dir() else path).read_text()


KINDS = pytest.mark.parametrize("write", [write_file, write_folder])


def fails_at(monkeypatch, call):
    """os.replace raises at its `call`-th call, and only there."""
    real, calls = os.replace, []

    def replace(a, b):
        calls.append(a)
        if len(calls) == call:
            raise FULL
        real(a, b)

    monkeypatch.setattr(os, "replace", replace)


def refused(path, body):
    with pytest.raises(FileError) as error, written_whole(path) as partial:
        body(partial)
    lines = str(error.value).splitlines()
    assert [line.split(":")[0].strip() for line in lines] == ["error", "given", "expected", "way out"]
    assert path.name in lines[0]
    return error.value


@KINDS
def test_nothing_is_seen_before_the_end_and_only_the_whole_after(tmp_path, write):
    path = tmp_path / "run" / "top.csv"
    with written_whole(path) as partial:
        write(partial)
        assert not path.exists()
        assert partial.parent == path.parent
    assert content(path) == "new"
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("old", [write_file, write_folder])
@KINDS
def test_what_was_there_is_replaced(tmp_path, write, old):
    path = tmp_path / "top"
    old(path, "old")
    if (old, write) == (write_folder, write_file):
        refused(path, write)  # a folder is not thrown away for a file
        assert content(path) == "old"
    else:
        with written_whole(path) as partial:
            write(partial)
        assert content(path) == "new"
    assert list(tmp_path.iterdir()) == [path]


@KINDS
@pytest.mark.parametrize("call", [1, 2])
def test_a_disk_that_fills_up_at_the_end_leaves_the_old_one(tmp_path, monkeypatch, write, call):
    path = tmp_path / "top"
    write(path, "old")
    fails_at(monkeypatch, call)
    if write is write_file and call == 2:  # a file needs one call only
        with written_whole(path) as partial:
            write(partial)
        assert content(path) == "new"
    else:
        assert os.strerror(errno.ENOSPC) in refused(path, write).given
        assert content(path) == "old"
    assert list(tmp_path.iterdir()) == [path]


@KINDS
@pytest.mark.parametrize("old", [True, False])
def test_a_disk_that_fills_up_on_the_way_leaves_the_old_one(tmp_path, write, old):
    path = tmp_path / "top"
    if old:
        write(path, "old")

    def body(partial):
        write(partial, "half")
        raise FULL

    refused(path, body)
    assert [content(p) for p in tmp_path.iterdir()] == ["old"] * old


def test_a_disk_that_cannot_be_flushed(tmp_path, monkeypatch):
    path = tmp_path / "top"
    path.write_text("old")

    def fsync(handle):
        raise FULL

    monkeypatch.setattr(os, "fsync", fsync)
    refused(path, write_file)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("error", [KeyboardInterrupt(), PickError("a", given="b", expected="c", way_out="d")])
@KINDS
def test_interruptions_and_other_errors_pass_and_leave_the_old_one(tmp_path, error, write):
    path = tmp_path / "top"
    write(path, "old")

    def stopped():
        with written_whole(path) as partial:
            write(partial, "half")
            raise error

    with pytest.raises(type(error)):
        stopped()
    assert content(path) == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_what_a_killed_process_left_is_swept_away(tmp_path):
    path = tmp_path / "top"
    for name in ("top.partial", "top.old"):
        write_folder(tmp_path / name, "half")
    with written_whole(path) as partial:
        write_folder(partial)
    assert list(tmp_path.iterdir()) == [path]


def test_a_place_below_a_file_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("old")
    refused(Path(tmp_path / "file" / "top"), write_file)
    assert (tmp_path / "file").read_text() == "old"


def test_a_body_that_wrote_nothing_does_not_remove_what_was_there(tmp_path):
    path = tmp_path / "top"
    write_folder(path, "old")
    refused(path, lambda partial: None)
    assert content(path) == "old"
