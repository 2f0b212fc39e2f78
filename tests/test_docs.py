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
print(SSP3().bound((1.0, 0.0)), SSP3().bound((0.0, 1.0)))
"""


def blocks(page):
    found = re.findall(r"^```python\n(.*?)^```", (ROOT / page).read_text(), re.M | re.S)
    assert found, page
    return found


def run(code):
    """Run in a process of its own: classes that are made here must not be seen by other tests."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_code_on_the_pages_runs():
    run("\n".join(code for page in ("docs/index.md", "docs/choosing.md") for code in blocks(page)))


def numbers(text):
    return [[float(number) for number in re.findall(r"\d\.\de[-+]\d+", line)] for line in text.splitlines()]


def test_numbers_on_the_page_of_the_adjoint():
    printed = numbers(run("\n".join(blocks("docs/adjoint.md"))))
    page = (ROOT / "docs/adjoint.md").read_text()
    table = [row[-2:] for row in numbers(page) if row]
    assert len(printed) == len(table) == 7
    for row, (adjoint, gradient) in zip(printed, table, strict=True):
        if gradient < 1e-12:  # rounding
            assert max(row) < 1e-14
        else:
            assert row[0] < 1e-14
            assert row[1:] == pytest.approx([adjoint, gradient], rel=0.06)


def test_worked_examples_obey_the_laws():
    files = [re.sub("from __future__ .*", "", code) for code in blocks("CONTRIBUTING.md")]
    real, imaginary = map(float, run("\n".join([*files, LAWS])).split())
    assert real == pytest.approx(2.5127, rel=1e-4)
    assert imaginary == pytest.approx(3**0.5, rel=1e-5)


def test_a_worked_example_that_is_wrong_is_seen():
    files = [re.sub("from __future__ .*", "", code) for code in blocks("CONTRIBUTING.md")]
    wrong = files[1].replace("1 / 6, 1 / 6, 2 / 3", "1 / 4, 1 / 4, 1 / 2")
    assert wrong != files[1]
    with pytest.raises(AssertionError, match="the order is 3"):
        run("\n".join([files[0], wrong, LAWS]))
