"""A parabolic network that runs the wrong way turns the verdict; and what the filters rest on."""

import shutil

import pytest
import torch

from wellposed.dynamics import Parabolic
from wellposed.dynamics.normalise import edge_norm
from wellposed.experiments import Setting, expectations
from wellposed.experiments.filtering import FILTERS, Start, run
from wellposed.operators import Conv

pytestmark = pytest.mark.slow


class Sharpening(Parabolic):
    """Diffusion backward in time."""

    def rate(self, theta, y):
        return -super().rate(theta, y)


def judged(out, **planted):
    return expectations("filtering").judge(run(Setting(out, quick=True), **planted).measures).word


def test_diffusion_backward_in_time_is_no_filter(tmp_path):
    assert judged(tmp_path / "right") == "reproduced"
    # The filter itself and the residual twin stay as they are.
    kept = shutil.ignore_patterns("total variation*")
    shutil.copytree(tmp_path / "right", tmp_path / "wrong", ignore=kept)
    assert judged(tmp_path / "wrong", flow=Sharpening) == "refuted"


def test_a_filter_keeps_what_is_even_and_damps_what_is_rough():
    y = torch.randn(2, 1, 12, 16, generator=torch.Generator().manual_seed(0))
    for name in FILTERS:
        start = Start(name, 0.5, 0.5, 1.0)
        net = start.stage(10).requires_grad_(False)
        smooth = net(start.units() * y) / start.units()
        assert float(smooth.std()) < 0.8 * float(y.std())
        torch.testing.assert_close(smooth.mean(), y.mean())
        torch.testing.assert_close(net(torch.ones_like(y)), torch.ones_like(y))


def test_the_norm_of_perona_and_malik_is_not_monotone_and_claims_nothing():
    u = torch.full((1, 4, 1), 3**0.5, dtype=torch.float64)
    slopes = torch.autograd.functional.jacobian(edge_norm, u).reshape(4, 4)
    expected = torch.tensor([-0.125, 0.25, 0.25, 0.25], dtype=torch.float64)
    torch.testing.assert_close(torch.linalg.eigvalsh(slopes), expected)
    theta = Parabolic(Conv(2), norm="edge").start()
    assert Parabolic(Conv(2), norm="edge").extent(theta) is None
