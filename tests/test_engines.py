"""Stages in the hands of PyTorch: in any nn.Module, compiled, shared by processes, in lower precision."""

import subprocess
import sys

import pytest
import torch
from torch import nn

import wellposed as wp
from wellposed.backward import Backprop, Checkpointed, Reversed

RULES = [Backprop(), Checkpointed(), Reversed()]


def random(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def waves(rule, steps=2, channels=4):
    torch.manual_seed(0)
    f = wp.Hyperbolic(wp.Conv(channels), "tanh")
    return wp.Stage(f, wp.Leapfrog(), time=steps / 4, steps=steps, backward=rule)


def gradients(module, y):
    start = y.clone().requires_grad_()
    module.zero_grad()
    value = module(start).square().sum()
    value.backward()
    return torch.cat([start.grad.flatten(), *[p.grad.flatten() for p in module.parameters()]])


def apart(a, b):
    return float((a - b).detach().norm() / b.detach().norm())


@pytest.mark.parametrize("rule", RULES, ids=repr)
def test_a_stage_drops_into_any_module(rule):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), waves(rule), nn.Conv2d(4, 2, 1))
    optimizer, y = torch.optim.SGD(model.parameters(), 1e-3), random(2, 1, 8, 8)
    values = []
    for _ in range(4):
        optimizer.zero_grad()
        value = model(y).square().mean()
        value.backward()
        optimizer.step()
        values.append(value.item())
    assert values[-1] < values[0]
    assert all(p.grad is not None for p in model[2].parameters())


class _Counting:
    """A backend that compiles nothing, and counts how often a graph is made and run."""

    def __init__(self):
        self.made = self.run = 0

    def __call__(self, graph, inputs):
        self.made += 1

        def call(*given):
            self.run += 1
            return graph(*given)

        return call


@pytest.mark.slow
@pytest.mark.filterwarnings("default")  # what torch's compiler touches while it traces is its own affair
@pytest.mark.parametrize("rule", RULES, ids=repr)
def test_compiled_stages_give_the_same(rule):
    torch._dynamo.reset()
    stage, backend, y = waves(rule), _Counting(), random(2, 4, 8, 8)
    expected = gradients(stage, y)
    compiled = torch.compile(stage, backend=backend)
    assert apart(gradients(compiled, y), expected) < 1e-5
    made = backend.made
    # Two callables, one set of weights: the compiled one for plain calls, the stage itself in torch.func. A
    # compiled module that is called under torch.func stays eager from then on (torch 2.13).
    torch.func.vjp(stage, y)[1](torch.ones_like(y))
    before = backend.run
    assert apart(gradients(compiled, y), expected) < 1e-5
    if isinstance(rule, Backprop):  # a derivative by hand is no graph: other rules run as they are
        assert made == 1
        assert backend.run == before + 1


@pytest.mark.parametrize("rule", RULES, ids=repr)
def test_autocast_reaches_the_way_back(rule):
    """By bfloat16 inside, float32 between the steps: and backward in the precision of forward."""
    stage, y = waves(rule, steps=4), random(2, 4, 8, 8)
    exact = gradients(stage, y)
    seen = []
    with torch.autocast("cpu", dtype=torch.bfloat16):
        start = y.clone().requires_grad_()
        out = stage(start)
    assert out.dtype == torch.float32
    stage.zero_grad()
    out.square().sum().backward()  # outside of the context, as torch recommends
    found = torch.cat([start.grad.flatten(), *[p.grad.flatten() for p in stage.parameters()]])
    seen.append(apart(found, exact))
    assert 1e-5 < seen[0] < 0.03  # it was bfloat16, and not far off
    plain = waves(Backprop(), steps=4)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        other = y.clone().requires_grad_()
        value = plain(other).square().sum()
    value.backward()
    assert apart(start.grad, other.grad) < 0.02


@pytest.mark.skipif(not torch.cuda.is_available(), reason="mixed precision on a GPU needs one")
@pytest.mark.parametrize("rule", RULES, ids=repr)
def test_mixed_precision_on_a_gpu(rule):
    stage, y = waves(rule, steps=4).cuda(), random(2, 4, 8, 8).cuda()
    exact = gradients(stage, y)
    with torch.autocast("cuda", dtype=torch.float16):
        start = y.clone().requires_grad_()
        out = stage(start)
    stage.zero_grad()
    out.square().sum().backward()
    found = torch.cat([start.grad.flatten(), *[p.grad.flatten() for p in stage.parameters()]])
    assert apart(found, exact) < 0.03


_WORKER = """
import sys, torch
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel
import wellposed as wp

rank, rule, port = int(sys.argv[1]), getattr(wp, sys.argv[2])(), sys.argv[3]
torch.set_num_threads(1)
dist.init_process_group("gloo", init_method=f"tcp://127.0.0.1:{port}", rank=rank, world_size=2)
net = wp.recipes.hyperbolic((4, 6), 2, steps=2, time=0.5).replace(backward=rule)
net.parts[-1].map.kernel.data.normal_(generator=torch.Generator().manual_seed(1))
y = torch.randn(4, 1, 8, 8, generator=torch.Generator().manual_seed(0))
shared = DistributedDataParallel(net)
for _ in range(2):  # twice: a hook that fired too often would fail the second time
    net.zero_grad()
    shared(y[2 * rank : 2 * rank + 2]).square().mean().backward()
found = torch.cat([p.grad.flatten() for p in net.parameters()])
net.zero_grad()
net(y).square().mean().backward()
expected = torch.cat([p.grad.flatten() for p in net.parameters()])
print(float((found - expected).norm() / expected.norm()))
dist.destroy_process_group()
"""


@pytest.mark.slow
@pytest.mark.parametrize("rule", ["Reversed", "Checkpointed"])
def test_two_processes_share_a_batch(rule, unused_port):
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", _WORKER, str(rank), rule, str(unused_port)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    for worker in workers:
        out, err = worker.communicate(timeout=200)
        assert worker.returncode == 0, err
        assert float(out) < 1e-5


@pytest.fixture
def unused_port():
    import socket

    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]
