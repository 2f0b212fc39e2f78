"""Reversed against backprop in time and memory, and an IMEX step against a residual one in time.

Memory is the peak resident size of a fresh process above its size before the forward pass.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import torch

import wellposed as wp
from pairs import Run, features, forward_backward, quotient


def figures(pairs: int) -> dict[str, float | str]:
    rules = [stage_run(wave_stage(32, 32, rule), 8, 32, 64, 64) for rule in (wp.Reversed(), wp.Backprop())]
    steps = [stage_run(one_step(kind, 64), 8, 64, 64, 64) for kind in ("imex", "residual")]
    return {
        "reversed_time_ratio": quotient("reversed_time_ratio", *rules, pairs),
        "reversed_memory_ratio": memory_quotient(),
        "imex_step_ratio": quotient("imex_step_ratio", *steps, max(pairs, 25)),
        "imex_solve": wp.Stencil(64)(torch.ones(64, 2, 2)).solver.name,
    }


def wave_stage(channels: int, steps: int, rule: wp.BackwardRule) -> wp.Stage:
    torch.manual_seed(0)
    waves = wp.Hyperbolic(wp.Conv(channels))
    return wp.Stage(waves, wp.Leapfrog(), time=steps / 8, steps=steps, backward=rule, bound="report")


def one_step(kind: str, channels: int) -> wp.Stage:
    torch.manual_seed(0)
    if kind == "imex":
        return wp.Stage(wp.Reaction(wp.Conv(channels), wp.Stencil(channels)), wp.IMEX(), time=1.0, steps=1)
    return wp.Stage(wp.Residual(wp.Conv(channels)), wp.Euler(), time=1.0, steps=1)


def stage_run(stage: wp.Stage, *shape: int) -> Run:
    return forward_backward(stage, stage.parameters(), features(*shape), features(*shape, seed=2))


def memory_growth(steps: int) -> float:
    """Return, in MB, by how much the peak exceeds the size before the forward pass (a process of its own)."""
    stage = wave_stage(8, steps, wp.Reversed())
    # A first small run loads what torch loads on first use, so that it does not count.
    stage_run(wave_stage(8, 1, wp.Reversed()), 1, 8, 16, 16)()
    run = stage_run(stage, 8, 8, 256, 256)  # a state of 2 x 16.8 MB
    before = resident("VmRSS")
    run()
    return resident("VmHWM") - before


def resident(which: str) -> float:
    """Return a resident size in MB: VmRSS is that of now, VmHWM the peak.

    The peak of `resource.getrusage` would be at least that of the process which started this one.
    """
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(which)).split()[1]) / 2**10


def memory_quotient() -> float:
    # glibc then gives large pieces back at once: what it keeps in holes is not what the rule holds.
    env = {**os.environ, "MALLOC_MMAP_THRESHOLD_": "1000000"}
    grown = []
    for steps in (8, 128):
        command = [sys.executable, str(Path(__file__).with_name("steps.py")), "--memory", str(steps)]
        done = subprocess.run(command, check=True, capture_output=True, text=True, env=env)
        grown.append(float(done.stdout))
    print(f"reversed_memory_ratio: {grown[0]:.0f} MB at 8 steps, {grown[1]:.0f} MB at 128", file=sys.stderr)
    return grown[1] / grown[0]
