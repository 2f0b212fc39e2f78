"""A network that stands still turns the verdict; and new points are new."""

from dataclasses import dataclass

import pytest
import torch

from wellposed.dynamics import Hamiltonian
from wellposed.experiments import Setting, expectations, toys
from wellposed.experiments.toys import FULL, TOYS, Toy, _new, _sample, run
from wellposed.integrators import Verlet
from wellposed.learning import Labels, generator

pytestmark = pytest.mark.slow


def hill(n, *, seed):
    """Above a hill or below: no line divides them, but a few steps of a network do."""
    y = 2 * torch.rand(n, 2, generator=generator(seed, "hill")) - 1
    return y, Labels((y[:, 1] > 1 - 2 * y[:, 0].square()).long())


def ring(n, *, seed):
    """A disk and a ring around it, far apart."""
    draw, classes = generator(seed, "ring"), torch.arange(n) % 2
    t = 2 * torch.pi * torch.rand(n, generator=draw)
    r = 0.3 * torch.rand(n, generator=draw) + 0.7 * classes
    return torch.stack([r * t.cos(), r * t.sin()], 1), Labels(classes)


EASY = {
    name: Toy(ring if name == "swiss roll" else hill, 1500, 2, 3, 2.0, (10,), 1.0, grid=name == "peaks")
    for name in TOYS
}


@dataclass(frozen=True)
class Still(Hamiltonian):
    """Features that do not move."""

    def rate_first(self, theta, z):
        return 0 * z

    @classmethod
    def examples(cls):
        return []


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """Epochs of the toys, and no movies, which warn where they are not written."""
    monkeypatch.setattr(toys, "QUICK", toys.QUICK._replace(epochs=()))
    monkeypatch.setattr(toys, "movie", lambda toy, found: None)


def judged(tmp_path, make):
    measures = run(Setting(tmp_path, quick=True), {"Hamiltonian": (make, Verlet())}, EASY).measures
    # The limits ask for each of the three networks.
    return expectations("toys").model_copy(update={"limit": ()}).judge(measures).word


def test_a_network_that_stands_still_is_seen(tmp_path):
    assert judged(tmp_path / "right", Hamiltonian) != "refuted"
    assert judged(tmp_path / "still", Still) == "refuted"


def test_new_points_of_peaks_are_as_many_of_each_class_and_were_not_trained_on():
    size = FULL._replace(share=0.5)
    y, labels = _new(size, TOYS["peaks"], 0)
    assert torch.bincount(labels.values).tolist() == [10_000] * 5
    trained = {tuple(point) for point in _sample(size, TOYS["peaks"], 0)[0].tolist()}
    assert not any(tuple(point) in trained for point in y.tolist())


@pytest.mark.parametrize("toy", TOYS)
def test_a_draw_is_the_same_again(toy):
    first, again = (_sample(FULL, TOYS[toy], 3)[0] for _ in range(2))
    assert torch.equal(first, again)
