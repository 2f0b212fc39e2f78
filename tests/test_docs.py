"""The code on the pages runs, its numbers are those on the page, and the worked examples obey the laws."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
LAWS = """
from wellposed import laws
from wellposed.dynamics import SingleResidual
from wellposed.integrators import Leapfrog

for f, shape in Momentum.examples():
    laws.structure(f, shape)
    laws.order(Leapfrog(), f, shape)
    laws.inverse(Leapfrog(), f, shape)
f, shape = SingleResidual.examples()[1]
laws.order(SSP3(), f, shape)
try:
    laws.order(Wrong(), f, shape)
except laws.LawError as refused:
    print(refused)
print(SSP3().bound((1.0, 0.0)), SSP3().bound((0.0, 1.0)))
"""


def blocks(page):
    found = re.findall(r"^```python\n(.*?)^```", (ROOT / page).read_text(), re.M | re.S)
    assert found, page
    return found


def run(code, folder=None):
    """Run in a process of its own: classes that are made here must not be seen by other tests."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=folder)
    assert done.returncode == 0, done.stderr
    return done.stdout


def numbers(text):
    return [[float(number) for number in re.findall(r"\d\.\de[-+]\d+", line)] for line in text.splitlines()]


def test_code_on_the_pages_runs_and_gives_their_numbers():
    pages = ("docs/index.md", "docs/choosing.md", "docs/adjoint.md")
    printed = numbers(run("\n".join(code for page in pages for code in blocks(page))))[-7:]
    table = [row[-2:] for row in numbers((ROOT / "docs/adjoint.md").read_text()) if row]
    for row, (adjoint, gradient) in zip(printed, table, strict=True):
        if gradient < 1e-12:  # rounding
            assert max(row) < 1e-14
        else:
            assert row[0] < 1e-14
            assert row[1:] == pytest.approx([adjoint, gradient], rel=0.06)


def test_how_to_train_does_what_it_says(tmp_path):
    said = run("\n".join(blocks("docs/training.md")), tmp_path).splitlines()
    assert "12 epochs done" in next(line for line in said if "accuracy" in line)
    assert said[-1] == "True"  # the network that was saved
    assert {path.name for path in tmp_path.iterdir()} == {"fit.safetensors", "net.zip"}


def test_the_network_of_the_readme_learns():
    code = next(block for block in blocks("README.md") if "Stage" in block)
    assert len(code.split("\n\n", 1)[1].splitlines()) <= 10  # it says ten lines
    assert float(re.search(r"accuracy (\S+)", run(code))[1]) > 0.9


def test_worked_examples_obey_the_laws_and_a_wrong_one_is_refused():
    *dynamics, method = (re.sub("from __future__ .*", "", code) for code in blocks("CONTRIBUTING.md"))
    wrong = method.replace("class SSP3", "class Wrong").replace("1 / 6, 1 / 6, 2 / 3", "1 / 4, 1 / 4, 1 / 2")
    refused, bounds = run("\n".join([*dynamics, method, wrong, LAWS])).splitlines()
    assert refused.startswith("order does not hold for Wrong")
    assert [float(bound) for bound in bounds.split()] == pytest.approx([2.5127, 3**0.5], rel=1e-4)
