"""What a step costs: beside backprop, beside other libraries, beside its bare convolutions.

    python benchmarks/steps.py [--json] [--pairs N]

Forward and backward, one thread, process CPU time. The two sides take turns, so that what else the machine
does meets both; the figure is the quotient of their fastest runs, the median of the pairs' quotients goes to
stderr. Rivals live in .bench, which `make bench-env` builds; this command builds it where it is missing and
runs itself again in it, so that both sides are timed in one process. docs/performance.md says what each
figure means.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BENCH = ROOT / ".bench"
LIMITS = {
    "reversed_time_ratio": 1.40,
    "reversed_memory_ratio": 1.1,
    "imex_step_ratio": 1.30,
    "rk4_small_ratio": 0.90,
    "rk4_conv_ratio": 0.90,
    "reversed_overhead": 1.40,
    "step_over_bare.residual": 1.25,
    "step_over_bare.antisymmetric": 1.25,
    "step_over_bare.hamiltonian": 1.25,
    "step_over_bare.parabolic": 1.25,
    "step_over_bare.hyperbolic": 1.25,
    "step_over_bare.reaction": 1.25,
}

Figures = dict[str, float | str]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true", help="one flat JSON object on the last line of stdout")
    parser.add_argument("--pairs", type=int, default=15, help="pairs of runs, at least 15 to be compared")
    parser.add_argument("--memory", type=int, metavar="STEPS", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if Path(sys.prefix).resolve() != BENCH:
        run_again()
    import torch

    torch.set_num_threads(1)
    if given.memory:
        from backward_rules import memory_growth

        print(memory_growth(given.memory))
        return
    found = measure(given.pairs)
    if given.json:
        print(json.dumps({k: v if isinstance(v, str) else round(v, 4) for k, v in found.items()}))
    else:
        show(found)


def run_again() -> None:
    """Become this command in the environment of the rivals, which is built where it is missing or old."""
    command = ["make", "--silent", "bench-env", f"PYTHON={sys.executable}"]
    if subprocess.call(command, cwd=ROOT, stdout=sys.stderr):
        sys.exit("the environment of the benchmarks was not built: `make bench-env` says why")
    python = str(BENCH / "bin" / "python")
    os.execve(python, [python, __file__, *sys.argv[1:]], {**os.environ, "OMP_NUM_THREADS": "1"})


def measure(pairs: int) -> Figures:
    import backward_rules
    import bare
    import rivals

    return {**backward_rules.figures(pairs), **rivals.figures(pairs), **bare.figures(pairs)}


def show(found: Figures) -> None:
    for name, value in found.items():
        number = value if isinstance(value, str) else f"{value:.3f}"
        goal = f"   to reach: at most {LIMITS[name]:.2f}" if name in LIMITS else ""
        print(f"{name:29s} {number}{goal}")


if __name__ == "__main__":
    main()
