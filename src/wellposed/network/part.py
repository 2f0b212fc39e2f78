"""What a network is a chain of."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Self

import torch
from torch import Tensor, nn


class Part(nn.Module, ABC):
    """Features to features, from `takes` channels to `gives`; `arguments` build it again, without weights.

    Weights are drawn from torch's global generator, as those of every module: seed it, or take a recipe.

    Shapes:    y (batch, takes, *space) -> (batch, gives, *space)
    """

    takes: int
    gives: int

    @abstractmethod
    def forward(self, y: Tensor) -> Tensor:
        """Return the features."""

    @abstractmethod
    def arguments(self) -> dict[str, Any]:
        """Return what it was built from: numbers, words, families, dynamics ..., other parts."""

    @classmethod
    @abstractmethod
    def examples(cls) -> Sequence[tuple[Self, tuple[int, ...]]]:
        """Small parts, each with the shape (batch, channel, *space) of features that it takes."""


@contextmanager
def still(net: nn.Module) -> Iterator[None]:
    """Let a network only predict inside, so that no norm gathers averages; then each module is as before."""
    training = [module for module in net.modules() if module.training]
    net.eval()
    try:
        yield
    finally:
        for module in training:
            module.training = True


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Draw weights from this seed inside; the global generator is left as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield
