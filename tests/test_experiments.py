"""Experiments: each runs quickly, is judged by its rule, and writes what it promises; and the rules."""

import json
import math
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest
from pydantic import ValidationError

from refusals import four_lines
from wellposed.cli import run as command
from wellposed.errors import RunError, StructureError
from wellposed.experiments import Expectations, Setting, expectations, names
from wellposed.experiments.reproduce import reproduce

# What trains networks is longer than five seconds with everything that it imports.
LONG = {"adversarial", "choose", "continuation", "filtering", "gauss-newton", "sgd-vs-saa", "toys"}
RUNS = [pytest.param(name, marks=[pytest.mark.slow] if name in LONG else []) for name in names()]


@pytest.mark.parametrize("name", RUNS)
def test_it_runs_by_its_command_and_writes_what_it_promises(name, tmp_path, capsys):
    assert command(["reproduce", name, "--quick", "--out", str(tmp_path)]) == 0
    said = capsys.readouterr().out.splitlines()[-1]
    verdict = json.loads((tmp_path / "verdict.json").read_text())
    assert verdict["verdict"] in ("reproduced", "not reproduced", "refuted")
    assert said.startswith(f"{name}: {verdict['verdict']}")
    assert all(len(table.read_text().splitlines()) > 1 for table in tmp_path.glob("*.csv"))
    assert list(tmp_path.glob("*.csv"))
    assert all(picture.read_bytes()[1:4] == b"PNG" for picture in tmp_path.glob("*.png"))
    assert list(tmp_path.glob("*.png"))
    assert not list(tmp_path.glob("*.partial*"))
    before = {file: file.read_bytes() for file in (tmp_path / "work").iterdir()}
    command(["reproduce", name, "--quick", "--out", str(tmp_path)])
    assert {file: file.read_bytes() for file in (tmp_path / "work").iterdir()} == before
    assert json.loads((tmp_path / "verdict.json").read_text())["checks"] == verdict["checks"]


@pytest.mark.parametrize("name", names())
def test_it_says_what_it_claims_where_from_and_how_long_it_takes(name):
    expected = expectations(name)
    assert expected.claim
    assert expected.source
    assert expected.minutes * expected.seeds <= expected.budget
    module = import_module(f"wellposed.experiments.{name.replace('-', '_')}")
    assert module.__doc__
    # Whoever adds an experiment plants a wrong object that turns its verdict.
    assert (Path(__file__).parent / "experiments" / f"test_{name.replace('-', '_')}.py").exists()


def test_the_names_are_listed_one_a_line(capsys):
    assert command(["reproduce", "--list"]) == 0
    assert capsys.readouterr().out.split() == names()


def test_a_name_that_is_not_known_is_refused(tmp_path, capsys):
    assert command(["reproduce", "stability-region", "--out", str(tmp_path / "x")]) == 2
    assert "write 'stability-regions'" in capsys.readouterr().err
    assert command(["reproduce"]) == 2
    assert "no experiment is named" in capsys.readouterr().err
    assert not (tmp_path / "x").exists()
    with pytest.raises(StructureError):
        reproduce("nothing", tmp_path)


def test_what_nobody_can_make_is_asked_for(tmp_path):
    assert Setting(tmp_path, data=tmp_path).needs_data("photographs") == tmp_path
    with pytest.raises(RunError) as error:
        Setting(tmp_path).needs_data("photographs")
    assert "--data FOLDER" in four_lines(error)
    assert "photographs" in str(error.value)


def test_flags_that_would_change_nothing_are_refused(tmp_path, capsys):
    for flags in (
        ["stability-regions", "--quick", "--data", str(tmp_path)],
        ["adversarial", "--quick", "--data", str(tmp_path)],
        ["stability-regions", "--quick", "--deep"],
        ["stability-regions", "--quick", "--seeds", "3"],
    ):
        assert command(["reproduce", *flags, "--out", str(tmp_path / "x")]) == 2
        said = capsys.readouterr().err.splitlines()
        assert len(said) == 4
        assert "would change nothing" in said[0]
        assert not (tmp_path / "x").exists()


def test_more_than_the_budget_is_said_beforehand(tmp_path):
    said = []

    def stop(text):
        said.append(text)
        raise KeyboardInterrupt

    expected = expectations("stability-regions")
    many = int(expected.budget / expected.minutes) + 1
    for seeds, words in ((many, "more than its budget"), (1, "stability-regions")):
        with pytest.raises(KeyboardInterrupt):
            reproduce("stability-regions", tmp_path / "x", seeds=seeds, say=stop)
        assert words in said[-1]
    assert "budget" not in said[-1]


def test_a_quick_run_says_that_it_is_no_result(tmp_path, capsys):
    assert command(["reproduce", "stability-regions", "--quick", "--out", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert "no result" in out
    assert json.loads((tmp_path / "verdict.json").read_text())["quick"]
    check = json.loads((tmp_path / "verdict.json").read_text())["checks"][0]
    first = check["measured"][0] if isinstance(check["measured"], list) else check["measured"]
    assert f"{check['measure']} = {first:.4g}" in out


def test_a_place_that_cannot_be_is_said(tmp_path, capsys):
    (tmp_path / "file").write_text("something")
    arguments = ["reproduce", "stability-regions", "--quick", "--out", str(tmp_path / "file")]
    assert command(arguments) == 2
    assert len(capsys.readouterr().err.splitlines()[-4:]) == 4
    assert (tmp_path / "file").read_text() == "something"


RULE = Expectations(
    claim="a is larger than b",
    source="here",
    minutes=1,
    budget=1,
    reproduced=({"measure": "a", "at_least": "b"}, {"measure": "c", "about": 1.0, "within": 0.1}),
    refuted=({"measure": "a", "at_most": 0.0},),
    limit=({"words": "for small c only", "when": ({"measure": "c", "at_most": 1.0},)},),
)


@pytest.mark.parametrize(
    ("measures", "words"),
    [
        ({"a": 2.0, "b": 1.0, "c": 1.05}, "reproduced"),
        ({"a": 2.0, "b": 1.0, "c": 0.95}, "reproduced, for small c only"),
        ({"a": 2.0, "b": 1.0, "c": 1.2}, "not reproduced"),
        ({"a": 2.0, "b": 3.0, "c": 1.05}, "not reproduced"),
        ({"a": -1.0, "b": -2.0, "c": 1.05}, "refuted"),
        ({"a": [2.0, 3.0], "b": [1.0, 1.9], "c": 1.05}, "reproduced"),
        ({"a": [2.0, 3.0], "b": [1.0, 2.1], "c": 1.05}, "not reproduced"),  # not for every seed
        ({"a": [-1.0, 3.0], "b": 1.0, "c": 1.05}, "not reproduced"),
        ({"a": math.nan, "b": 1.0, "c": 1.05}, "not reproduced"),
        ({"a": [3.0, math.nan], "b": 1.0, "c": 1.05}, "not reproduced"),
    ],
)
def test_the_verdict_follows_from_the_rule(measures, words):
    assert str(RULE.judge(measures)) == words


@pytest.mark.parametrize(
    "wrong",
    [{"measure": "a"}, {"measure": "a", "about": 1.0}, {"measure": "a", "at_lest": 1.0}],
)
def test_a_condition_that_says_nothing_is_refused(wrong):
    with pytest.raises(ValidationError):
        Expectations(claim="", source="", minutes=1, budget=1, reproduced=(wrong,))


def test_a_rule_that_asks_for_what_was_not_measured_is_our_mistake():
    with pytest.raises(KeyError):
        RULE.judge({"a": 1.0, "b": 0.0})


def test_pieces_are_computed_once_and_folders_hold_one_size(tmp_path):
    calls = []

    def compute():
        calls.append(1)
        return {"x": [1.5, 2.0]}

    setting = Setting(tmp_path, quick=True)
    assert setting.piece("a", compute) == setting.piece("a", compute) == {"x": [1.5, 2.0]}
    assert calls == [1]
    with pytest.raises(RunError, match="another size"):
        Setting(tmp_path).piece("a", compute)


def test_the_library_imports_no_experiment():
    check = "import sys, wellposed; dir(wellposed); sys.exit('wellposed.experiments' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", check]).returncode == 0
