"""What several tests of networks ask for."""

from dataclasses import dataclass

import torch

import wellposed as wp


def random(*shape, seed=0, dtype=torch.float64):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


@dataclass(frozen=True)
class Linear(wp.FirstOrder):
    """y' = K(t) y."""

    operator: wp.Dense

    def shapes(self):
        return {"K": self.operator.shape}

    def rate(self, theta, y):
        return y @ theta["K"].T

    def extent(self, theta):
        return None

    @classmethod
    def examples(cls):
        return [(cls(wp.Dense(2)), (3, 2))]
