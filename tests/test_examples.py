"""The examples as a user writes them: they run, and they learn."""

import pytest
import torch

import wellposed as wp


@pytest.fixture(autouse=True)
def _weights_from_one_seed():
    """Parts that are not of a recipe draw their weights from torch's global generator."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield


def test_a_hamiltonian_classifier_on_toy_data():
    y, labels = wp.data.swiss_roll(256, seed=0)
    net = wp.Network(
        wp.Opening(2, 4),
        wp.Stage(wp.Hamiltonian(wp.Dense(4)), wp.Verlet(), time=20.0, steps=64, backward=wp.Reversed()),
        wp.Classify(4, classes=2),
    )
    loss = wp.CrossEntropy() + 5e-3 * wp.SmoothInTime()
    untaught = wp.score(net, y, labels)
    run = wp.GaussNewton(tolerance=1e-3).fit(net, loss, y, labels, epochs=24)
    for record in run:
        print(record)
    print(run.stop, wp.well_posedness(net, y))

    assert run.stop == "24 epochs done"
    assert untaught.accuracy < 0.6
    assert wp.score(net, y, labels).accuracy > 0.95
    assert wp.score(net, *wp.data.swiss_roll(256, seed=1)).accuracy > 0.95
    assert net.ratio() < 1


def test_segmentation_with_few_labels():
    images, truth = wp.data.qtips(48, seed=0, size=32)
    labels = truth.keep(share=0.02, seed=0)
    net = wp.recipes.imex(channels=(8, 16), classes=4)
    for epoch in wp.fit(net, wp.CrossEntropy(), images, labels, epochs=5, seed=0, rate=5e-3, batch=4):
        print(epoch)
    print(wp.score(net, images, truth))

    assert int(labels.known.sum()) == 48 * 20  # of 1024 pixels each
    new, places = wp.data.qtips(48, seed=1, size=32)
    found, background = wp.score(net, new, places), float((places.values == 0).double().mean())
    # Who says background everywhere has this accuracy, and a quarter of it as mean IoU.
    assert found.accuracy > background + 0.005
    assert found.mean_iou > background / 4 + 0.05
