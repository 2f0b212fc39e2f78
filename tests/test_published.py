"""Published networks have the weights that their articles count, and run."""

import pytest
import torch

import wellposed as wp
from wellposed.errors import ConfigError, StructureError
from wellposed.network import Normed, Pool, load, published, save

WEIGHTS = {
    ("parabolic", "stl10"): 618_554,
    ("parabolic", "cifar10"): 502_570,
    ("parabolic", "cifar100"): 652_484,
    ("hamiltonian", "stl10"): 324_794,
    ("hamiltonian", "cifar10"): 264_106,
    ("hamiltonian", "cifar100"): 362_180,
    ("second order", "stl10"): 618_554,
    ("second order", "cifar10"): 502_570,
    ("second order", "cifar100"): 652_484,
}


def count(values):
    return sum(value.numel() for value in values)


@pytest.mark.parametrize(("kind", "data"), WEIGHTS, ids=str)
def test_weights_of_classifiers(kind, data):
    net = published.classifier(kind, data)
    assert count(net.parameters()) == WEIGHTS[kind, data]


def test_weights_of_imexnet():
    net = published.imexnet()
    explicit = [p.kernel for p in net.parts if isinstance(p, Normed)]
    explicit += [stage.control.weights["K"] for stage in net.stages()]
    implicit = [stage.control.weights["D"] for stage in net.stages()]
    assert count(explicit) == 2_691_648
    assert count(implicit) == 12_096
    # The released code counts the channels that go into each convolution, and leaves the widening ones out.
    taken = [64] * 3 + [128] * 3 + [256] * 2
    assert 9 * sum(taken) == 9_792


@pytest.mark.parametrize("kind", ["parabolic", "hamiltonian", "second order"])
def test_classifiers_learn_by_both_rules(kind, tmp_path):
    y = torch.randn(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    found = []
    for reverse in (True, False):
        net = published.classifier(kind, "cifar10", steps=2, reverse=reverse)
        net.parts[-1].map.kernel.data.normal_(generator=torch.Generator().manual_seed(1))
        assert net(y).shape == (2, 10)
        net(y).square().sum().backward()
        found.append(torch.cat([p.grad.flatten() for p in net.parameters()]))
    assert float((found[0] - found[1]).norm() / found[1].norm()) < 1e-4
    net.eval()
    again = load(save(net, tmp_path / "net.zip")).eval()
    assert torch.equal(again(y), net(y))  # the running averages are in the archive


def test_imexnet_sees_the_whole_image():
    net = published.imexnet().eval()
    net.parts[-1].map.kernel.data.normal_(generator=torch.Generator().manual_seed(1))
    y = torch.zeros(1, 1, 64, 64)
    y[0, 0, 0, 0] = 1.0
    with torch.no_grad():
        moved = (net(y) - net(torch.zeros_like(y))).abs().amax(1)[0]
    assert float(moved[50, 50]) > 0


def test_halves_are_both_members_of_the_state():
    torch.manual_seed(0)
    f = wp.DoubleHamiltonian(wp.Dense(2), "tanh")
    options = {"time": 1.0, "steps": 4, "bound": "report"}
    whole = wp.Stage(f, wp.Verlet(), halves=True, backward=wp.Reversed(), **options).double()
    assert (whole.takes, whole.gives) == (4, 4)
    y = torch.randn(3, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    # A partner at rest is one half of zeros.
    rest = torch.cat([y[:, :2], torch.zeros(3, 2, dtype=torch.float64)], 1)
    alone = wp.Stage(f, wp.Verlet(), control=whole.control, **options)
    assert torch.allclose(whole(rest)[:, :2], alone(y[:, :2]), atol=1e-14)
    assert not torch.allclose(whole(y)[:, 2:], whole(rest)[:, 2:])
    path = whole.trajectory(y)
    assert torch.equal(path[0], y)
    assert torch.allclose(path[-1], whole(y), atol=1e-14)
    found = wp.kkt_residual(whole, lambda end: end.square().sum(), y)
    assert max(found.state, found.adjoint, found.gradient) < 1e-12, found
    wp.laws.gradient(wp.Reversed(), whole, (3, 4))
    assert "well posed" in str(wp.well_posedness(whole, y)).lower()
    with pytest.raises(StructureError, match="two members"):
        wp.Stage(wp.Parabolic(wp.Dense(2)), wp.Euler(), halves=True)


def test_pooling_takes_means():
    y = torch.arange(20.0).reshape(1, 1, 4, 5)
    assert Pool(1)(y).tolist() == [[[[3.0, 5.0], [13.0, 15.0]]]]
    assert Pool(1, whole=True)(y).tolist() == [[9.5]]


@pytest.mark.parametrize("asked", [{"kind": "parabolik"}, {"data": "mnist"}])
def test_unknown_networks_are_refused(asked):
    with pytest.raises(ConfigError, match="no published network"):
        published.classifier(**asked)
