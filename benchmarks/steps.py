"""What a step costs: reversed against backprop in time and memory, IMEX against residual in time.

    python benchmarks/steps.py [--json] [--pairs N]

Forward and backward, batch 8, one thread, process CPU time. The two sides take turns, so that what else the
machine does meets both; the figure is the quotient of their fastest runs, the median of the pairs' quotients
goes to stderr. Memory is the peak resident size of a fresh process above its size before the forward pass.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable

import torch

import wellposed as wp

LIMITS = {"reversed_time_ratio": 1.40, "reversed_memory_ratio": 1.1, "imex_step_ratio": 1.30}


def wave_stage(channels: int, steps: int, rule: wp.BackwardRule) -> wp.Stage:
    torch.manual_seed(0)
    waves = wp.Hyperbolic(wp.Conv(channels))
    return wp.Stage(waves, wp.Leapfrog(), time=steps / 8, steps=steps, backward=rule, bound="report")


def one_step(kind: str, channels: int) -> wp.Stage:
    torch.manual_seed(0)
    if kind == "imex":
        return wp.Stage(wp.Reaction(wp.Conv(channels), wp.Stencil(channels)), wp.IMEX(), time=1.0, steps=1)
    return wp.Stage(wp.Residual(wp.Conv(channels)), wp.Euler(), time=1.0, steps=1)


def forward_backward(stage: wp.Stage, shape: tuple[int, ...]) -> Callable[[], None]:
    y = torch.randn(shape, generator=torch.Generator().manual_seed(1), requires_grad=True)
    downstream = torch.randn(shape, generator=torch.Generator().manual_seed(2))

    def run() -> None:
        stage.zero_grad(set_to_none=True)
        y.grad = None
        stage(y).backward(downstream)

    return run


def quotient(name: str, first: Callable[[], None], second: Callable[[], None], pairs: int) -> float:
    for warm in (first, second, first, second):
        warm()
    times: tuple[list[float], list[float]] = ([], [])
    for pair in range(pairs):
        order = ((0, first), (1, second)) if pair % 2 == 0 else ((1, second), (0, first))
        for side, run in order:
            began = time.process_time()
            run()
            times[side].append(time.process_time() - began)
    median = statistics.median(a / b for a, b in zip(*times, strict=True))
    best = min(times[0]), min(times[1])
    print(
        f"{name}: median of {pairs} pairs {median:.3f}, fastest {best[0]:.3f} s and {best[1]:.3f} s",
        file=sys.stderr,
    )
    return best[0] / best[1]


def memory_growth(steps: int) -> None:
    """Print, in MB, by how much the peak exceeds the size before the forward pass (a process of its own)."""
    stage = wave_stage(8, steps, wp.Reversed())
    # A first small run loads what torch loads on first use, so that it does not count.
    forward_backward(wave_stage(8, 1, wp.Reversed()), (1, 8, 16, 16))()
    run = forward_backward(stage, (8, 8, 256, 256))  # a state of 2 x 16.8 MB
    with open("/proc/self/statm") as f:
        before = int(f.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20
    run()
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10 - before)


def memory_quotient() -> float:
    # glibc then gives large pieces back at once: what it keeps in holes is not what the rule holds.
    env = {**os.environ, "MALLOC_MMAP_THRESHOLD_": "1000000"}
    grown = []
    for steps in (8, 128):
        command = [sys.executable, __file__, "--memory", str(steps)]
        done = subprocess.run(command, check=True, capture_output=True, text=True, env=env)
        grown.append(float(done.stdout))
    print(f"reversed_memory_ratio: {grown[0]:.0f} MB at 8 steps, {grown[1]:.0f} MB at 128", file=sys.stderr)
    return grown[1] / grown[0]


def measure(pairs: int) -> dict[str, float | str]:
    waves = [forward_backward(wave_stage(32, 32, r), (8, 32, 64, 64)) for r in (wp.Reversed(), wp.Backprop())]
    steps = [forward_backward(one_step(kind, 64), (8, 64, 64, 64)) for kind in ("imex", "residual")]
    solver = wp.Stencil(64)(torch.ones(64, 2, 2)).solver.name
    return {
        "reversed_time_ratio": quotient("reversed_time_ratio", *waves, pairs),
        "reversed_memory_ratio": memory_quotient(),
        "imex_step_ratio": quotient("imex_step_ratio", *steps, max(pairs, 25)),
        "imex_solve": solver,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true", help="one flat JSON object on the last line of stdout")
    parser.add_argument("--pairs", type=int, default=15, help="pairs of runs, at least 15 to be compared")
    parser.add_argument("--memory", type=int, metavar="STEPS", help=argparse.SUPPRESS)
    given = parser.parse_args()
    torch.set_num_threads(1)
    if given.memory:
        memory_growth(given.memory)
        return
    found = measure(given.pairs)
    if given.json:
        print(json.dumps({k: v if isinstance(v, str) else round(v, 4) for k, v in found.items()}))
        return
    for name, limit in LIMITS.items():
        print(f"{name:22s} {found[name]:.3f}   to reach: at most {limit:.2f}")
    print(f"imex_solve             {found['imex_solve']}")


if __name__ == "__main__":
    main()
