"""Networks that damp turn the verdict, and so does a plain network under the name of a stable one."""

from functools import partial
from shutil import copytree

import matplotlib.pyplot as plt
import pytest

from wellposed.dynamics import Antisymmetric, Hamiltonian, SingleResidual
from wellposed.experiments import Setting, expectations
from wellposed.experiments.instability import NETWORKS, run
from wellposed.integrators import AB3, RK4, Verlet

CALM = NETWORKS | {
    "antisymmetric AB3": (partial(Antisymmetric, damping=0.3), AB3()),
    "antisymmetric RK4": (partial(Antisymmetric, damping=0.3), RK4()),
    "Hamiltonian Verlet": (partial(Hamiltonian, damping=0.3), Verlet()),
}


def judged(folder, networks=CALM):
    outcome = run(Setting(folder, quick=True), networks)
    for movie in outcome.movies.values():
        movie._draw_was_started = True  # nobody is going to look at it, which it would complain of
    plt.close("all")
    return expectations("instability").judge(outcome.measures)


@pytest.fixture(scope="module")
def calm(tmp_path_factory):
    folder = tmp_path_factory.mktemp("calm")
    assert judged(folder).word == "reproduced"
    return folder


@pytest.mark.parametrize(
    ("name", "wrong", "measure"),
    [
        ("antisymmetric RK4", (SingleResidual, RK4()), "antisymmetric RK4.tanh 16.energy"),
        ("antisymmetric RK4", (Antisymmetric, RK4()), "antisymmetric RK4.tanh 16.exponent"),
        ("plain Euler", (partial(Antisymmetric, damping=0.3), RK4()), "plain Euler.relu 16.growth"),
    ],
)
def test_another_network_under_the_name_is_seen(name, wrong, measure, calm, tmp_path):
    folder = copytree(calm, tmp_path / "run")
    for piece in (folder / "work").glob(f"{name}*"):
        piece.unlink()  # the rest is not done again
    verdict = judged(folder, CALM | {name: wrong})
    assert verdict.word == "refuted"
    assert measure in {c.condition.measure for c in verdict.checks if c.holds and c.speaks_for == "refuted"}
