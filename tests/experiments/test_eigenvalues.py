"""Matrices that do not move and networks that damp turn the verdict; one that moves turns it back."""

from functools import partial
from shutil import copytree

import pytest
import torch

from wellposed.experiments import Setting, expectations
from wellposed.experiments.eigenvalues import KNOWN, NETWORKS, antisymmetric, run, vinograd


def still(real):
    """Eigenvalues `real` +- i at every time."""
    K = torch.tensor([[real, 1.0], [-1.0, real]], dtype=torch.float64)
    return lambda t: K.expand(len(t), 2, 2)


MATRICES = {name: still(-0.5) for name in KNOWN}
CALM = {name: partial(antisymmetric, 2, damping=1.0) for name in NETWORKS}


def judged(folder, matrices=MATRICES, networks=CALM):
    measures = run(Setting(folder, quick=True), matrices, networks).measures
    return expectations("eigenvalues").judge(measures).word


@pytest.fixture(scope="module")
def calm(tmp_path_factory):
    folder = tmp_path_factory.mktemp("calm")
    assert judged(folder) == "reproduced"
    return folder


@pytest.mark.parametrize(
    ("name", "matrix", "word"),
    [
        ("Vinograd", vinograd, "refuted"),
        ("Wu", still(0.5), "reproduced"),
    ],  # it grows, but nothing was promised
)
def test_a_matrix_that_moves_is_seen(name, matrix, word, calm, tmp_path):
    folder = copytree(calm, tmp_path / "run")
    (folder / "work" / f"{name}.json").unlink()  # the rest is not done again
    assert judged(folder, MATRICES | {name: matrix}) == word


def test_an_antisymmetric_network_is_seen(calm, tmp_path):
    folder, name = copytree(calm, tmp_path / "run"), "antisymmetric 16"
    (folder / "work" / f"{name}, seed 0.json").unlink()
    assert judged(folder, networks=CALM | {name: NETWORKS[name]}) == "refuted"
