"""Two sides that take turns, and the quotient of what they take."""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable, Iterable

import torch
from torch import Tensor

Run = Callable[[], object]


def features(*shape: int, seed: int = 1, last: bool = False) -> Tensor:
    """Standard normal features; with `last` channels come last in memory, as convolutions take them."""
    y = torch.randn(shape, generator=torch.Generator().manual_seed(seed))
    return y.to(memory_format=torch.channels_last) if last else y


def forward_backward(
    call: Callable[[Tensor], Tensor], weights: Iterable[Tensor], y: Tensor, downstream: Tensor
) -> Run:
    """Return a run of `call` and of its derivative, by the features and by the weights."""
    y, weights = y.detach().requires_grad_(), list(weights)

    def run() -> list[Tensor | None]:
        for leaf in (y, *weights):
            leaf.grad = None
        call(y).backward(downstream)
        return [y.grad, *(weight.grad for weight in weights)]

    return run


def quotient(name: str, first: Run, second: Run, pairs: int) -> float:
    """Return the fastest time of the first side over that of the second; more goes to stderr."""
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
        f"{name}: {best[0] / best[1]:.3f}, fastest {best[0]:.4f} s and {best[1]:.4f} s, "
        f"median of {pairs} pairs {median:.3f}",
        file=sys.stderr,
        flush=True,
    )
    return best[0] / best[1]


@torch.no_grad()
def check_alike(name: str, first: Iterable[Tensor], second: Iterable[Tensor], tolerance: float) -> None:
    """Exit unless two sides that are said to compute the same do."""
    for a, b in zip(first, second, strict=True):
        apart = float((a - b).norm() / b.norm())
        if not apart <= tolerance:
            sys.exit(f"{name}: the two sides lie {apart:.1e} apart, at most {tolerance:.0e} was expected")
