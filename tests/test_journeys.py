"""What a user does at the command line, and what happens when something is wrong."""

import csv
import errno
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

from small import small_files, small_volume, times, write_rows
from wellposed.cli import run
from wellposed.errors import UserError
from wellposed.seismic.picks import Picks
from wellposed.seismic.segy import write_segy
from wellposed.seismic.volume import Volume

FOUR = ["error", "given", "expected", "way out"]


@pytest.fixture
def files(tmp_path):
    return small_files(tmp_path)


def command(*words):
    return run([str(w) for w in words])


def refused(capfd, *words):
    """The command ends with 2 and four lines on stderr, the last things it says; they are returned."""
    capfd.readouterr()
    assert command(*words) == 2
    said = capfd.readouterr()
    assert "Traceback" not in said.err
    lines = said.err.strip().splitlines()[-4:]
    assert [line.split(":")[0].strip() for line in lines] == FOUR
    assert lines[1].startswith("given : ")
    assert lines[2].startswith("expected : ")
    assert lines[3].startswith("way out : ")
    return "\n".join(lines)


def table(path):
    with open(path, newline="") as f:
        return list(csv.DictReader(f))


def test_interpret_evaluate_export(files, tmp_path, capfd):
    out = tmp_path / "run"
    assert (
        command("interpret", files["survey"], files["top"], files["base"], "--out", out, "--epochs", 0) == 0
    )
    said = capfd.readouterr()
    assert said.out.strip().endswith("report.html")
    assert "inline at byte 189" in said.err
    assert "memory" in said.err
    rows = table(out / "surfaces" / "top.csv")
    columns = "inline,crossline,x,y,twt_ms,twt_std_ms,twt_p10_ms,twt_p90_ms,probability"
    assert list(rows[0]) == columns.split(",")
    assert len(rows) == 12 * 16
    assert all(float(r["twt_p10_ms"]) < float(r["twt_p90_ms"]) for r in rows)
    page = (out / "report.html").read_text()
    assert "data:image/png" in page
    assert "http" not in page.replace("http-equiv", "")
    assert not (out / "lock").exists()

    truths = ["--truth", files["truth_top"], "--truth", f"base={files['truth_base']}"]
    assert command("evaluate", out, *truths, "--json") == 0
    result = json.loads(capfd.readouterr().out)["result"]
    wanted = "n missed mae_ms within_4ms within_8ms within_1 within_2 cover_1std cover_2std cover_p10_p90"
    for name in ("top", "base"):
        for method in ("ours", "interpolation", "tracker"):
            assert set(wanted.split()) <= set(result[name][method])
        assert result[name]["ours"]["n"] == 12 * 16 - 6
        assert result[name]["ours"]["mae_ms"] < result[name]["interpolation"]["mae_ms"]
        assert result[name]["ours"]["within_4ms"] > 0.95
    assert command("evaluate", out, *truths) == 0
    assert "tracker" in capfd.readouterr().out

    assert command("export", out, "--dialect", "charisma") == 0
    assert (out / "export" / "top.dat").read_text().startswith("INLINE :")


def test_the_truth_shifted_is_seen_by_evaluate(files, tmp_path, capfd):
    command("track", files["survey"], files["top"], "--out", tmp_path / "run")
    wrong = write_rows(tmp_path / "wrong.csv", small_volume(), shift=10.0)
    capfd.readouterr()
    command("evaluate", tmp_path / "run", "--truth", wrong, "--json")
    ours = json.loads(capfd.readouterr().out)["result"]["top"]["ours"]
    assert ours["within_8ms"] < 0.2
    assert ours["mae_ms"] == pytest.approx(10, abs=1)


def test_a_finished_run_says_so_and_another_command_is_refused(files, tmp_path, capfd):
    out = tmp_path / "run"
    words = ["interpret", files["survey"], files["top"], "--out", out, "--epochs", 0]
    assert command(*words) == 0
    before = {p: p.stat().st_mtime_ns for p in out.rglob("*") if p.is_file()}
    capfd.readouterr()
    assert command(*words) == 0
    assert "finished already" in capfd.readouterr().err
    assert {p: p.stat().st_mtime_ns for p in out.rglob("*") if p.is_file()} == before
    assert "seed" in refused(capfd, *words, "--seed", 1)
    assert "another command" in refused(capfd, "track", files["survey"], files["top"], "--out", out)
    write_rows(files["top"], small_volume(), shift=2.0)
    assert "changed" in refused(capfd, *words)


def test_the_same_run_twice_is_the_same_bit_for_bit(files, tmp_path):
    words = ["interpret", files["survey"], files["top"], "--epochs", 0, "--threads", 1]
    for out in ("a", "b"):
        assert command(*words, "--out", tmp_path / out) == 0
    a, b = ((tmp_path / out / "surfaces" / "top.csv").read_bytes() for out in "ab")
    assert a == b


def test_a_project_file_of_two_keys(files, tmp_path, capfd):
    project = tmp_path / "project.toml"
    project.write_text("[survey]\nfile = 'survey.segy'\n[[horizons]]\npicks = 'top.csv'\n")
    assert command("interpret", project, "--out", tmp_path / "a") == 0
    again = tmp_path / "a" / "project.toml"
    assert "std_ms = 4.0" in again.read_text()
    assert command("interpret", again, "--out", tmp_path / "b") == 0
    a, b = ((tmp_path / out / "surfaces" / "top.csv").read_bytes() for out in "ab")
    assert a == b
    assert "names its picks itself" in refused(
        capfd, "interpret", project, files["top"], "--out", tmp_path / "c"
    )


@pytest.mark.parametrize(
    ("text", "clues"),
    [
        ("[survey]\nfile = 'a'\n[[horizons]]\npick = 'b'\n", ["line 4", "did you mean 'picks'"]),
        ("[survey]\nfile = 'a'\n[[horizons]]\npicks = 'b'\n[run]\nminute = 3\n", ["line 6", "'minutes'"]),
        ("[survey]\nfile = 'a'\n[[horizons]]\npicks = 'b'\nstd_ms = 'x'\n", ["line 5", "std_ms"]),
        ("[survey]\nfile = 'a'\n[[horizons]]\npicks = 'b'\nstd_ms = -1\n", ["line 5", "greater than 0"]),
        ("[survey]\nfile = 'a'\n", ["horizons", "missing"]),
        ("[survey\nfile = 'a'\n", ["line 1"]),
        ("[surveys]\nfile = 'a'\n[[horizons]]\npicks='b'\n", ["line 1", "'survey'"]),
    ],
)
def test_errors_of_the_project_file_name_the_line(tmp_path, capfd, text, clues):
    project = tmp_path / "project.toml"
    project.write_text(text)
    said = refused(capfd, "interpret", project, "--out", tmp_path / "run")
    for clue in clues:
        assert clue in said
    assert not (tmp_path / "run").exists()


def broken(tmp_path, files, kind):
    """Arguments of interpret with one thing wrong, and a word of the message."""
    volume = small_volume()
    path = tmp_path / "given"
    if kind == "missing file":
        return [path, files["top"]], "given"
    if kind == "no segy":
        path.write_bytes(os.urandom(50_000))
        return [path, files["top"]], "SEG-Y"
    if kind == "empty file":
        path.touch()
        return [path, files["top"]], "empty"
    if kind == "directory":
        return [tmp_path, files["top"]], "folder"
    if kind == "header bytes":
        return [files["survey"], files["top"], "--inline-byte", 3], "byte"
    rows = {
        "outside": ("900,500,88\n902,501,88\n", "outside the survey"),
        "below": ("100,500,88\n102,501,900\n", "off the time axis"),
        "seconds": ("100,500,0.088\n102,501,0.09\n", "--unit s"),
        "negative": ("100,500,-88\n102,501,-90\n", "--negative-down"),
        "no picks": ("", "holds no picks"),
        "one pick": ("100,500,88\n", "wellposed track"),
        "words": ("100,500,early\n102,500,late\n", "line 2"),
        "disagree": ("100,500,88\n100,500,99\n102,501,90\n", "disagree"),
    }[kind]
    del volume
    path.write_text("inline,crossline,twt_ms\n" + rows[0])
    return [files["survey"], path], rows[1]


KINDS = (
    "missing file,no segy,empty file,directory,header bytes,outside,below,seconds,negative,no picks,one pick"
)


@pytest.mark.parametrize("kind", [*KINDS.split(","), "words", "disagree"])
def test_bad_input_leaves_nothing_behind(files, tmp_path, capfd, kind):
    words, clue = broken(tmp_path, files, kind)
    assert clue.lower() in refused(capfd, "interpret", *words, "--out", tmp_path / "run").lower()
    assert not (tmp_path / "run").exists()


def test_a_single_pick_is_enough_for_the_tracker(files, tmp_path):
    write_rows(files["top"], small_volume(), cells=[(5, 5)])
    assert command("track", files["survey"], files["top"], "--out", tmp_path / "run") == 0
    assert len(table(tmp_path / "run" / "surfaces" / "top.csv")) == 12 * 16


@pytest.mark.parametrize("shape", [(1, 40), (2, 40), (40, 1)])
def test_a_line_or_two_are_a_survey(tmp_path, shape):
    cells = [(0, 3), (0, 20), (0, 36)] if shape[1] > 1 else [(3, 0), (20, 0), (36, 0)]
    files = small_files(tmp_path, shape, cells)
    assert command("interpret", files["survey"], files["top"], "--out", tmp_path / "run", "--epochs", 0) == 0
    assert "profile of top" in (tmp_path / "run" / "report.html").read_text()


def test_paths_said_in_another_way_are_the_same_run(files, tmp_path, monkeypatch, capfd):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    words = ["track", "../survey.segy", "../top.csv", "--out", "run"]
    assert command(*words) == 0
    assert command(*words) == 0
    assert command("track", files["survey"], files["top"], "--out", tmp_path / "here" / "run") == 0
    assert "finished already" in capfd.readouterr().err


def test_evaluate_sees_that_the_picks_are_others_now(files, tmp_path, capfd):
    assert command("track", files["survey"], files["top"], "--out", tmp_path / "run") == 0
    write_rows(files["top"], small_volume(), shift=10.0)
    said = refused(capfd, "evaluate", tmp_path / "run", "--truth", files["truth_top"])
    assert "made from other files" in said


def test_flags_beside_a_project_file_are_refused(files, tmp_path, capfd):
    out = tmp_path / "run"
    assert command("interpret", files["survey"], files["top"], "--out", out, "--epochs", 0) == 0
    words = ["interpret", out / "project.toml", "--out", tmp_path / "b"]
    said = refused(capfd, *words, "--std-ms", 9, "--unit", "s")
    assert "--std-ms" in said
    assert "--unit" in said
    assert not (tmp_path / "b").exists()


def test_a_truth_in_seconds_is_read_with_its_unit(files, tmp_path, capfd):
    assert command("track", files["survey"], files["top"], "--out", tmp_path / "run") == 0
    rows = table(files["truth_top"])
    lines = [f"{r['inline']},{r['crossline']},{float(r['twt_ms']) / 1000}" for r in rows]
    seconds = tmp_path / "seconds.csv"
    seconds.write_text("inline,crossline,twt\n" + "\n".join(lines) + "\n")
    assert "--unit s" in refused(capfd, "evaluate", tmp_path / "run", "--truth", seconds)
    assert command("evaluate", tmp_path / "run", "--truth", seconds, "--unit", "s") == 0


def test_help_version_and_a_mistyped_verb(capfd):
    assert command() == 0
    assert "interpret" in capfd.readouterr().out
    assert command("--version") == 0
    assert capfd.readouterr().out.startswith("wellposed 0.")
    assert refused(capfd, "interprt", "x").endswith("see `wellposed --help`")
    assert "--minutes has a value" in refused(
        capfd, "interpret", "a.segy", "b.csv", "--out", "c", "--minutes", "-3"
    )


def test_the_demo_removes_nothing_of_others(tmp_path, capsys):
    from wellposed.demo import main

    (tmp_path / "thesis.tex").write_text("mine")
    assert main(["--out", str(tmp_path)]) == 2
    assert (tmp_path / "thesis.tex").exists()


def test_python_goes_on_with_its_own_run_and_with_no_other(tmp_path, monkeypatch):
    import wellposed as wp
    from wellposed.errors import ConfigError, RunError
    from wellposed.seismic.picks import Picks

    volume = small_volume()
    s = volume.survey
    cells = np.array([(2, 1), (2, 8), (2, 14), (9, 3), (9, 12), (5, 5)]).T
    picks = Picks("../top", s.inline[cells[0]], s.crossline[cells[1]], times()[tuple(cells)], np.full(6, 4.0))
    monkeypatch.chdir(tmp_path)
    asked = {"out": "run", "epochs": 0, "say": lambda text: None}
    run = wp.interpret(volume, [picks], **asked)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["run"]
    kept = {p: p.read_bytes() for p in Path("run").rglob("*") if p.is_file()}
    assert wp.interpret(volume, [picks], **asked).finished
    moved = Picks("../top", picks.inline, picks.crossline, picks.twt_ms + 10, picks.std_ms)
    for v, p in ((volume, moved), (small_volume(seed=1), picks)):
        with pytest.raises(RunError, match="other data"):
            wp.interpret(v, [p], **asked)
    assert {p: p.read_bytes() for p in Path("run").rglob("*") if p.is_file()} == kept
    with pytest.raises(ConfigError, match="open already"):
        wp.interpret(volume, "top.csv", **asked)
    with pytest.raises(ConfigError, match="epochs"):
        wp.interpret(volume, [picks], out="other", epochs=-1)
    assert not Path("other").exists()
    assert "finished" in repr(run)
    assert {"open_volume", "read_picks", "interpret", "Stage"} <= set(dir(wp))


def test_folders_that_are_no_run(files, tmp_path, capfd):
    full = tmp_path / "full"
    full.mkdir()
    (full / "thesis.txt").write_text("mine")
    words = ["interpret", files["survey"], files["top"], "--out"]
    assert "holds something that is no run" in refused(capfd, *words, full)
    assert [p.name for p in full.iterdir()] == ["thesis.txt"]
    assert "needs a folder" in refused(capfd, *words, files["top"])
    for verb in (["evaluate", full, "--truth", files["top"]], ["export", full, "--dialect", "charisma"]):
        assert "is not a run" in refused(capfd, *verb)
    empty = tmp_path / "empty"
    empty.mkdir()
    assert command(*words, empty) == 0


def test_export_and_evaluate_name_what_they_know(files, tmp_path, capfd):
    out = tmp_path / "run"
    command("track", files["survey"], files["top"], files["base"], "--out", out)
    assert "charisma" in refused(capfd, "export", out, "--dialect", "charizma")
    assert "top, base" in refused(capfd, "evaluate", out, "--truth", f"middle={files['truth_top']}")
    other = write_rows(tmp_path / "reference.csv", small_volume())
    assert "whose truth" in refused(capfd, "evaluate", out, "--truth", other)


def test_a_full_disk(files, tmp_path, capfd, monkeypatch):
    """Every write fails from some moment on: the error names the disk, and no file is half-written."""
    real, count = os.fsync, iter(range(100))

    def full(handle):
        if next(count) >= 4:
            raise OSError(errno.ENOSPC, "No space left on device")
        real(handle)

    words = ["interpret", files["survey"], files["top"], "--out", tmp_path / "run", "--epochs", 0]
    monkeypatch.setattr(os, "fsync", full)
    assert "No space left" in refused(capfd, *words)
    assert not list((tmp_path / "run").rglob("*.partial"))
    monkeypatch.setattr(os, "fsync", real)
    assert command(*words) == 0


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_an_unwritable_folder(files, tmp_path, capfd):
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o500)
    assert "cannot be written" in refused(
        capfd, "interpret", files["survey"], files["top"], "--out", closed / "run"
    )


def test_a_folder_below_a_file_cannot_be_made(files, tmp_path, capfd):
    out = files["top"] / "run"
    assert "cannot be written" in refused(capfd, "interpret", files["survey"], files["top"], "--out", out)


def test_nan_traces_and_a_cut_file_are_said_and_survived(tmp_path, capfd):
    files = small_files(tmp_path)
    with open(files["survey"], "r+b") as f:
        f.truncate(Path(files["survey"]).stat().st_size - 300)
    assert command("scan", files["survey"]) == 0
    said = capfd.readouterr().out
    assert "191 of 192" in said
    assert command("track", files["survey"], files["top"], "--out", tmp_path / "run") == 0


def wellposed(*words):
    """The command in a process of its own."""
    code = "import sys; from wellposed.cli import main; main()"
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, words)],
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def test_a_killed_run_resumes_to_the_same_bits(files, tmp_path, capfd):
    words = [
        "interpret",
        files["survey"],
        files["top"],
        files["base"],
        "--epochs",
        0,
        "--threads",
        1,
        "--out",
    ]
    assert command(*words, tmp_path / "whole") == 0
    process = wellposed(*words, tmp_path / "killed")
    while process.poll() is None and not (tmp_path / "killed" / "surfaces" / "top.csv").exists():
        time.sleep(0.02)
    process.kill()
    process.communicate()
    assert (tmp_path / "killed").exists()
    assert command(*words, tmp_path / "killed") == 0
    for name in ("top", "base"):
        a, b = ((tmp_path / out / "surfaces" / f"{name}.csv").read_bytes() for out in ("whole", "killed"))
        assert a == b


def test_epochs_that_were_judged_are_not_judged_again(files, tmp_path, monkeypatch):
    """Interrupted after the first epoch, a run goes on with the second, to the same bits."""
    from wellposed.interpretation import adapt

    words = ["interpret", files["survey"], files["top"], "--epochs", 2, "--threads", 1, "--out"]
    assert command(*words, tmp_path / "whole") == 0
    real, calls = adapt.held_out, []

    def interrupted(*given):
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return real(*given)

    monkeypatch.setattr(adapt, "held_out", interrupted)
    assert command(*words, tmp_path / "again") == 130
    assert command(*words, tmp_path / "again") == 0
    assert len(calls) == 4  # shipped weights once, the first change twice, the second once
    a, b = ((tmp_path / out / "surfaces" / "top.csv").read_bytes() for out in ("whole", "again"))
    assert a == b


def test_a_run_interrupted_before_a_surface_was_written_ends_in_the_same_bits(files, tmp_path, monkeypatch):
    from wellposed.project import job

    words = ["interpret", files["survey"], files["top"], "--epochs", 0, "--threads", 1, "--out"]
    assert command(*words, tmp_path / "whole") == 0
    real, calls = job.write_surface, []

    def interrupted(*given):
        calls.append(1)
        if len(calls) == 1:
            raise KeyboardInterrupt
        return real(*given)

    monkeypatch.setattr(job, "write_surface", interrupted)
    assert command(*words, tmp_path / "again") == 130
    assert command(*words, tmp_path / "again") == 0
    for name in ("top.csv", "top.zarr/density/c/0/0/0"):
        a, b = ((tmp_path / out / "surfaces" / name).read_bytes() for out in ("whole", "again"))
        assert a == b


def test_ctrl_c_ends_with_130_and_the_way_to_go_on(files, tmp_path):
    process = wellposed("interpret", files["survey"], files["top"], "--out", tmp_path / "run")
    while process.poll() is None and not (tmp_path / "run" / "run.json").exists():
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate()
    assert process.returncode in (0, 130)
    if process.returncode == 130:
        assert "to continue: wellposed interpret" in said
        assert "Traceback" not in said
        assert not (tmp_path / "run" / "lock").exists()


def test_a_lock_of_the_living_holds_and_of_the_dead_is_broken(files, tmp_path, capfd):
    import fcntl

    words = ["interpret", files["survey"], files["top"], "--out", tmp_path / "run", "--epochs", 0]
    (tmp_path / "run").mkdir()
    lock = tmp_path / "run" / "lock"
    with lock.open("w") as held:
        held.write("4711 on another machine")
        held.flush()
        fcntl.flock(held, fcntl.LOCK_EX)
        assert "in use" in refused(capfd, *words)
    assert command(*words) == 0
    assert not lock.exists()


def test_help_imports_nothing_heavy():
    code = (
        "import sys; from wellposed.cli import run; assert run(['interpret', '--help']) == 0;"
        "heavy = {'torch', 'numpy', 'segyio', 'matplotlib', 'numba', 'zarr', 'pandas'} & set(sys.modules);"
        "sys.exit(str(heavy) if heavy else 0)"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True).returncode == 0


def test_picks_in_memory(tmp_path):
    import wellposed as wp

    volume = small_volume()
    picks = wp.read_picks(
        write_rows(tmp_path / "top.csv", volume, cells=[(2, 1), (9, 12), (5, 5)]), survey=volume.survey
    )
    done = wp.interpret(volume, picks, tmp_path / "run", epochs=0, say=lambda text: None)
    surfaces = done.predict(volume)
    assert surfaces.to_xarray().sizes == {"horizon": 1, "inline": 12, "crossline": 16}
    np.testing.assert_allclose(surfaces["top"].density.probability.sum(axis=2), 1, rtol=1e-4)
    truth = write_rows(tmp_path / "truth.csv", volume)
    assert done.evaluate(truth)["top"]["ours"]["within_4ms"] > 0.9
    (path,) = surfaces.export(tmp_path / "out.dat", dialect="charisma")
    (back,) = wp.read_picks(path, survey=volume.survey)
    i, j = back.at(volume.survey)
    np.testing.assert_allclose(back.twt_ms, surfaces["top"].twt_ms[i, j], atol=1e-3)


def test_short_traces_are_refused_before_anything_is_written(tmp_path, capfd):
    a = np.random.default_rng(0).normal(size=(4, 5, 6)).astype(np.float32)
    write_segy(tmp_path / "short.sgy", Volume.from_array(a))
    (tmp_path / "top.csv").write_text("inline,crossline,twt_ms\n1,1,8\n2,3,8\n")
    for verb in ("interpret", "track"):
        words = [verb, tmp_path / "short.sgy", tmp_path / "top.csv", "--out", tmp_path / "run"]
        assert "too short" in refused(capfd, *words)
        assert not (tmp_path / "run").exists()


def test_a_single_trace_is_scanned(tmp_path, capfd):
    a, place = np.ones((1, 1, 30), np.float32), np.array([[4e5]])
    write_segy(tmp_path / "one.sgy", Volume.from_array(a, x=place, y=place))
    assert command("scan", tmp_path / "one.sgy") == 0
    assert "bins" not in capfd.readouterr().out


@pytest.mark.parametrize(
    "words",
    [
        ["--recipe", "foo"],
        ["--earths", 8],
        ["--epochs", 0],
        ["--seed", -1],
        ["--continuation", "depth"],
        ["--epochs", 1, "--continuation", "space"],
        ["--recipe", "unet", "--continuation", "time"],
    ],
)
def test_pretrain_refuses_at_once(tmp_path, capfd, words):
    assert str(words[1]) in refused(capfd, "pretrain", "--out", tmp_path / "weights", *words)
    assert not (tmp_path / "weights").exists()


def test_one_truth_for_each_horizon(files, tmp_path, capfd):
    out, truth = tmp_path / "run", f"top={files['base']}"
    assert command("track", files["survey"], files["top"], "--out", out) == 0
    assert "two truths" in refused(capfd, "evaluate", out, "--truth", truth, "--truth", truth)


def test_an_interrupted_beginning_leaves_nothing(tmp_path, monkeypatch):
    import wellposed as wp
    from wellposed.project import job

    volume = small_volume()
    picks = Picks("top", np.array([100, 104]), np.array([500, 503]), np.array([240.0, 240]), np.ones(2))

    def interrupted(*given):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(job, "write_segy", interrupted)
        with pytest.raises(KeyboardInterrupt):
            wp.interpret(volume, [picks], tmp_path / "run")
    assert not (tmp_path / "run").exists()
    killed = tmp_path / "killed"  # before its first record: what it left is begun anew, and may be again
    killed.mkdir()
    (killed / "picks").mkdir()
    (killed / "lock").write_text("")
    with monkeypatch.context() as patched:
        patched.setattr(job, "write_segy", interrupted)
        with pytest.raises(KeyboardInterrupt):
            wp.interpret(volume, [picks], killed)
    assert list(killed.iterdir()) == []
    with pytest.raises(UserError, match="no numbers"):
        wp.interpret(volume, [replace(picks, std_ms=np.zeros(2))], tmp_path / "run")


def test_a_run_is_checked_and_its_report_says_so(files, tmp_path, capfd, monkeypatch):
    from wellposed.project import check, check_figures
    from wellposed.project.report import put_verdict
    from wellposed.project.run import open_run

    monkeypatch.setattr(import_module("wellposed.stability.certificate"), "RATIOS_DB", (20.0, 0.0))
    monkeypatch.setattr(check, "SAMPLES", 12)
    out = tmp_path / "run"
    words = ["interpret", files["survey"], files["top"], "--out", out, "--epochs", 0, "--threads", 1]
    assert command(*words) == 0
    page = out / "report.html"
    assert f"wellposed check {out}" in page.read_text()
    capfd.readouterr()
    assert command("check", out, "--json") == 0
    said = capfd.readouterr()
    result = json.loads(said.out)["result"]
    assert "the verdict stands in" in said.err
    assert result["kind"] == "run"
    assert result["input"].startswith("inline 112 of its survey, 12 traces x 12 samples")
    assert len(result["stages"]) == 2
    assert "Reaction" in result["certificate"]["refused"]
    top = result["horizons"]["top"]
    assert [c["ratio_db"] for c in top["curve"]] == [20.0, 0.0]
    assert 0 < top["curve"][0]["mean_ms"] < top["curve"][1]["mean_ms"]
    assert 0 < top["std_ms"]
    names = sorted(p.name for p in (out / "check").iterdir())
    assert names == ["check.json", "growth.png", "noise.png", "regions.png", "view.png"]
    once = page.read_text()
    assert "The network of the features is" in once
    assert "found anew in the whole survey" in once
    assert "Not asked yet" not in once
    # Of weights without a network, into a report of before: one verdict, in its place.
    bare = {key: value for key, value in result.items() if key in ("window", "horizons")}
    page.write_text(once[: once.index("<!-- verdict -->")] + "</html>\n")
    for _ in range(2):
        put_verdict(open_run(out), bare, check_figures.noise(bare["horizons"], 4.0))
        assert page.read_text().count("Is it well posed?") == 1
        assert page.read_text().endswith("</html>\n")
    assert "The network of the features" not in page.read_text()
    page.unlink()
    with pytest.raises(UserError, match="report of the run is not there"):
        put_verdict(open_run(out), bare, check_figures.noise(bare["horizons"], 4.0))


def test_a_network_is_checked_at_the_command_line(tmp_path, capfd, monkeypatch):
    import wellposed as wp

    monkeypatch.chdir(tmp_path)
    wp.save(wp.Network(wp.Opening(2, 3), wp.Classify(3, 2)), tmp_path / "net.zip")
    np.save(tmp_path / "points.npy", np.ones((4, 2)))
    assert command("check", "net.zip", "--input", "points.npy") == 0
    said = capfd.readouterr().out
    assert said.startswith("net.zip, points.npy of shape (4, 2)")
    assert "Well posed at 4 examples" in said
    assert (tmp_path / "net-check" / "check.json").exists()


def test_what_is_neither_run_nor_network_is_refused(files, tmp_path, capfd):
    (tmp_path / "empty").mkdir()
    for path in (tmp_path / "none", tmp_path / "empty"):
        assert "neither a run nor a network" in refused(capfd, "check", path)
    assert "is no network" in refused(capfd, "check", files["top"])
    assert command("track", files["survey"], files["top"], "--out", tmp_path / "run") == 0
    assert "a run without a network" in refused(capfd, "check", tmp_path / "run")
    record = tmp_path / "run" / "run.json"
    record.write_text(record.read_text().replace('"finished": true', '"finished": false'))
    assert "is not finished" in refused(capfd, "check", tmp_path / "run")
    assert not (tmp_path / "run" / "check").exists()
