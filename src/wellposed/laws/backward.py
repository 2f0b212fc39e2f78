"""Laws of backward rules: the derivative that they give, and the memory that they take.

Each returns how far the object is from its law, and raises LawError naming both sides beyond that.
"""

from __future__ import annotations

import os
import subprocess
import sys
from math import log2
from pathlib import Path

import torch
from torch import Tensor
from torch.func import functional_call

from wellposed.backward import Backprop, BackwardRule
from wellposed.control import Control
from wellposed.dynamics import Dynamics
from wellposed.integrators import Integrator
from wellposed.laws.dynamics import moving
from wellposed.laws.law import Shape, distance, draw, hold
from wellposed.network.stage import Stage


def gradient(
    rule: BackwardRule, stage: Stage, shape: Shape, *, seed: int = 0, allowed: float = 1e-12
) -> float:
    """The rule gives the derivative that backprop gives, by `.backward()` and by `torch.func.vjp`.

    Shapes:    shape of the features; the stage in float64
    Raises:    LawError
    """
    y = draw(shape, seed)
    values = {name: value.detach() for name, value in stage.named_parameters()}
    downstream, kept = draw(shape, seed + 1), stage.rule
    found: list[list[Tensor]] = []
    try:
        for stage.rule in (Backprop(), rule):
            leaves = {name: value.clone().requires_grad_() for name, value in values.items()}
            start = y.clone().requires_grad_()
            end = functional_call(stage, leaves, (start,))
            by = [start, *leaves.values()]
            # What a wrong rule does not see has a derivative of zero, and is found out below.
            options = {"allow_unused": True, "materialize_grads": True}
            found.append(list(torch.autograd.grad(end, by, downstream, **options)))
        pull = torch.func.vjp(lambda p, y: functional_call(stage, p, (y,)), values, y)[1]
        by_values, by_start = pull(downstream)
        found.append([by_start, *(by_values[name] for name in values)])
    finally:
        stage.rule = kept
    worst = 0.0
    for way, gradients in zip((".backward()", "func.vjp"), found[1:], strict=True):
        miss = max(distance(a, b) for a, b in zip(gradients, found[0], strict=True))
        sides = "backprop gives one derivative", f"by {way} the rule gives another"
        worst = max(worst, hold("gradient", rule, *sides, miss=miss, allowed=allowed))
    return worst


def convergence(
    rule: BackwardRule, method: Integrator, f: Dynamics, shape: Shape, *, seed: int = 0, allowed: float = 0.2
) -> float:
    """The derivative of an inexact rule is wrong on a coarse grid, by more than 1 %, and becomes right.

    It nears that of backprop at its order, or at that of the integrator where that is less, as steps are
    halved over a time of two. Returns the observed order.

    Raises:    LawError
    """
    expected, subject = min(rule.order, method.order), f"{rule} with {method} and {f}"
    coarse = last = _miss(rule, method, f, shape, 4, seed)
    sides = "it misses by more than 1 % on a coarse grid", f"it misses by {coarse:.3g}"
    hold("convergence", subject, *sides, miss=0.01 / max(coarse, 1e-300), allowed=1.0)
    for steps in (8, 16, 32, 64, 128):
        miss = _miss(rule, method, f, shape, steps, seed)
        seen, last = log2(last / miss), miss
        if steps > 8 and seen > expected - allowed:
            break
    sides = f"it nears backprop by order {expected}", f"by order {seen:.3f}"
    hold("convergence", subject, *sides, miss=expected - seen, allowed=allowed)
    return seen


def _miss(rule: BackwardRule, method: Integrator, f: Dynamics, shape: Shape, steps: int, seed: int) -> float:
    """Return how far the derivative by the rule is from that by backprop, weights on five nodes."""
    path, nodes = moving(f, seed=seed), torch.linspace(0, 2.0, 5, dtype=torch.float64)
    thetas = [path(float(t)) for t in nodes]
    values = {name: torch.stack([theta[name] for theta in thetas]) for name in thetas[0]}
    found = []
    for kind in (Backprop(), rule):
        control = Control(values, nodes)
        stage = Stage(f, method, time=2.0, steps=steps, control=control, backward=kind, bound="report")
        y = draw(shape, seed).requires_grad_()
        by = torch.autograd.grad(stage(y), [y, *stage.parameters()], draw(shape, seed + 1))
        found.append(torch.cat([gradient.flatten() for gradient in by]))
    return distance(found[1], found[0])


def memory(rule: BackwardRule, *, steps: tuple[int, int] = (2, 8), allowed: float = 1.1) -> float:
    """Return the growth of memory by forward and backward at many steps over that at few: about one.

    Growth is the peak resident size of a fresh process above its size before the forward pass, with waves
    whose state has 2 x 16 MB. The rule must be importable, and built without arguments.

    Raises:    LawError
    """
    kind = type(rule)
    body = "from wellposed.laws.backward import _print_growth; _print_growth"
    # glibc then gives large pieces back at once: what it keeps in holes is not what the rule holds.
    env = {**os.environ, "MALLOC_MMAP_THRESHOLD_": "1000000"}
    grown = []
    for count in steps:
        command = [sys.executable, "-c", f"{body}({kind.__module__!r}, {kind.__name__!r}, {count})"]
        done = subprocess.run(command, check=True, capture_output=True, text=True, env=env)
        grown.append(float(done.stdout))
    sides = f"{steps[0]} steps grow by {grown[0]:.0f} MB", f"{steps[1]} steps by {grown[1]:.0f} MB"
    return hold("memory", rule, *sides, miss=grown[1] / grown[0], allowed=allowed)


def _print_growth(module: str, kind: str, steps: int) -> None:
    """Print in MB by how much a stage with this rule raises the peak (in a process of its own)."""
    from importlib import import_module

    from wellposed.dynamics import Hyperbolic
    from wellposed.integrators import Leapfrog
    from wellposed.operators import Dense

    torch.set_num_threads(1)
    rule = getattr(import_module(module), kind)()
    stage = Stage(Hyperbolic(Dense(2)), Leapfrog(), time=1.0, steps=steps, backward=rule)
    stage(torch.randn(8, 2, requires_grad=True)).sum().backward()  # loads what torch loads on first use
    y = torch.randn(2**21, 2, requires_grad=True)
    before = _kilobytes("VmRSS")
    stage(y).sum().backward()
    print((_kilobytes("VmHWM") - before) / 2**10)


def _kilobytes(entry: str) -> float:
    """Read what the kernel says of this process: resource.getrusage would tell the peak of its parent too."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return float(next(line.split()[1] for line in lines if line.startswith(entry)))
