"""A wrong integrator turns the verdict."""

import pytest

from wellposed.experiments import Setting, expectations
from wellposed.experiments.stability_regions import INTEGRATORS, run
from wellposed.integrators import AB3, Euler


def judged(tmp_path, integrators):
    return str(
        expectations("stability-regions").judge(run(Setting(tmp_path, quick=True), integrators).measures)
    )


@pytest.mark.parametrize(
    ("name", "wrong", "word"),
    [("AB3", Euler(), "refuted"), ("RK4", AB3(), "not reproduced"), ("Euler", AB3(), "refuted")],
)
def test_another_integrator_under_the_name_is_seen(name, wrong, word, tmp_path):
    assert judged(tmp_path / "right", INTEGRATORS) == "reproduced"
    assert judged(tmp_path / "wrong", {**INTEGRATORS, name: wrong}) == word
