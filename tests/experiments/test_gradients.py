"""A network whose gradients explode, or vanish, under the name of one that keeps them turns the verdict."""

from functools import partial
from shutil import copytree

import pytest

from wellposed.dynamics import Antisymmetric, Dynamics, Plain, SingleResidual
from wellposed.experiments import Setting, expectations
from wellposed.experiments.gradients import NETWORKS, TURNING, run
from wellposed.integrators import RK4, Euler, ImplicitEuler, ImplicitMidpoint, Integrator
from wellposed.laws import catalogue

ROOTS = {ImplicitEuler, ImplicitMidpoint}


def test_every_dynamics_and_every_integrator_without_roots_is_followed():
    pairs = [(getattr(make, "func", make), type(method)) for make, method in NETWORKS.values()]
    dynamics, integrators = map(set, zip(*pairs, strict=True))
    assert dynamics == {entry.kind for entry in catalogue(Dynamics)}
    assert integrators == {entry.kind for entry in catalogue(Integrator)} - ROOTS


KEEPS = (Antisymmetric, RK4())
CALM = NETWORKS | dict.fromkeys(TURNING, KEEPS)


def judged(folder, networks=CALM):
    return expectations("gradients").judge(run(Setting(folder, quick=True), networks).measures).word


@pytest.fixture(scope="module")
def calm(tmp_path_factory):
    folder = tmp_path_factory.mktemp("calm")
    assert judged(folder) == "reproduced"
    return folder


@pytest.mark.parametrize(
    ("name", "wrong", "word"),
    [
        ("Hamiltonian Verlet", (partial(SingleResidual, activation="relu"), Euler()), "refuted"),
        ("Hamiltonian Verlet", (Plain, Euler()), "refuted"),
        ("Plain Euler", KEEPS, "not reproduced"),
    ],
)
def test_another_network_under_the_name_is_seen(name, wrong, word, calm, tmp_path):
    folder = copytree(calm, tmp_path / "run")
    for piece in (folder / "work").glob(f"{name},*"):
        piece.unlink()  # the rest is not done again
    assert judged(folder, CALM | {name: wrong}) == word
