"""What it means that a law holds, and the report when it does not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

Shape = tuple[int, ...]


class LawError(Exception):
    """An object breaks its law: a mistake in the code, not in what a user asked for."""

    def __init__(
        self, law: str, subject: object, *, left: str, right: str, miss: float, allowed: float
    ) -> None:
        apart = f"apart by {miss:.3g}, allowed {allowed:.3g}"
        super().__init__(f"{law} does not hold for {subject}: {left}, but {right}; {apart}")
        self.law, self.subject, self.left, self.right = law, subject, left, right
        self.miss, self.allowed = miss, allowed


def hold(law: str, subject: object, left: str, right: str, *, miss: float, allowed: float) -> float:
    """Return how far the two sides are apart.

    Raises:    LawError when that is more than allowed, or no number
    """
    if not miss <= allowed:
        raise LawError(law, subject, left=left, right=right, miss=miss, allowed=allowed)
    return miss


def draw(shape: Shape, seed: int) -> Tensor:
    """Return random numbers in float64, the same for the same seed."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def distance(a: Tensor, b: Tensor) -> float:
    """|a - b| / |b|."""
    return float((a - b).norm() / b.norm().clamp_min(torch.finfo(b.dtype).tiny))


def pure(call: Callable[..., Tensor], *inputs: Any) -> float:
    """Two calls give the same, bit for bit, and leave their inputs as they were.

    Shapes:    call(*inputs) -> a tensor; inputs that are tensors are watched
    Raises:    LawError when it has a memory, draws at random, or writes into its inputs
    """
    before = [value.detach().clone() if isinstance(value, Tensor) else None for value in inputs]
    first = call(*inputs).detach().clone()
    second = call(*inputs).detach()
    apart = _apart(first, second)
    hold("pure", call, "a first call gave one result", "a second call another", miss=apart, allowed=0.0)
    for place, (value, kept) in enumerate(zip(inputs, before, strict=True)):
        if kept is not None:
            moved = _apart(kept, value.detach())
            hold("pure", call, f"input {place} came in", "went out changed", miss=moved, allowed=0.0)
    return apart


def _apart(a: Tensor, b: Tensor) -> float:
    if a.shape != b.shape or a.dtype != b.dtype:
        return float("inf")
    return 0.0 if torch.equal(a, b) else max(float((a - b).abs().max()), torch.finfo(torch.float64).tiny)
