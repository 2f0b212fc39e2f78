"""Smoothness in time of the weights that vary in time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor, nn

from wellposed.errors import StructureError
from wellposed.learning.labels import Labels
from wellposed.learning.objective import Objective, Scope
from wellposed.learning.seeds import generator


@dataclass(frozen=True)
class SmoothInTime(Objective):
    """sum_j |theta_j+1 - theta_j|^2 / (t_j+1 - t_j), over the nodes of every control of the network.

    The integral of |dtheta/dt|^2 of weights that are linear between their nodes: refining a control leaves
    it as it is, which a sum without the time steps would not. Sees the weights and their grid only.

    Units:     t in the units of the time grid
    Raises:    StructureError when the network has no control
    """

    @property
    def scope(self) -> frozenset[Scope]:
        """The weights."""
        return frozenset({"weights"})

    def value(self, net: nn.Module, prediction: Tensor, labels: Labels) -> Tensor:
        """Return the sum over all controls."""
        return sum(_roughness(net), start=prediction.new_zeros(()))

    def curvature(self, prediction: Tensor, labels: Labels, v: Tensor) -> Tensor:
        """Return zero: the prediction is not seen."""
        return torch.zeros_like(v)

    @classmethod
    def examples(cls) -> Sequence[tuple[Self, nn.Module, Tensor, Labels]]:
        """Weights on four uneven nodes."""
        inputs = torch.randn(3, 2, generator=generator(0, cls.__name__), dtype=torch.float64)
        return [(cls(), _Moving(), inputs, Labels(torch.zeros_like(inputs)))]


class _Moving(nn.Module):
    """The smallest net with weights in time, for the examples: y -> sum of theta_j y over uneven nodes."""

    def __init__(self) -> None:
        super().__init__()
        self.nodes = torch.tensor([0.0, 1.0, 1.5, 3.0], dtype=torch.float64)
        draw = generator(0, "moving")
        self.theta = nn.Parameter(torch.randn(4, 2, 2, generator=draw, dtype=torch.float64))

    def forward(self, y: Tensor) -> Tensor:
        return y @ self.theta.sum(0)


def _roughness(net: nn.Module) -> Iterator[Tensor]:
    found = [(module, getattr(module, "nodes", None)) for module in net.modules()]
    controls = [(module, nodes) for module, nodes in found if isinstance(nodes, Tensor)]
    if not controls:
        raise StructureError(
            "SmoothInTime sees weights that vary in time",
            given=f"a {type(net).__name__} without any control",
            expected="a network with at least one Stage",
            way_out="leave SmoothInTime out of the objective",
        )
    for control, nodes in controls:
        for theta in control.parameters():
            spans = torch.diff(nodes).to(theta)
            yield (theta.diff(dim=0).square().flatten(1).sum(1) / spans).sum()
