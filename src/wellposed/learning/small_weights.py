"""Small weights: what makes a problem that has no least value, or many, have one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Self

import torch
from torch import Tensor, nn

from wellposed.errors import StructureError, check_name
from wellposed.learning.labels import Labels
from wellposed.learning.objective import Objective, Scope
from wellposed.learning.seeds import generator

OF = ("all", "head")


@dataclass(frozen=True)
class SmallWeights(Objective):
    """|theta|^2 / 2, the sum over all weights, or over those of the head: the last part of a network.

    Without it a linear classifier of examples that it can tell apart has no best weights: they grow for ever.

    Raises:    StructureError for another `of`, or a network whose head is not known
    """

    of: Literal["all", "head"] = "all"

    def __post_init__(self) -> None:
        check_name("kind of weights", self.of, OF)

    @property
    def scope(self) -> frozenset[Scope]:
        """The weights."""
        return frozenset({"weights"})

    def value(self, net: nn.Module, prediction: Tensor, labels: Labels) -> Tensor:
        """Return half the sum of squares."""
        weights = (weight for _, weight in self._seen(net))
        return sum((weight.square().sum() / 2 for weight in weights), start=prediction.new_zeros(()))

    def curvature(self, prediction: Tensor, labels: Labels, v: Tensor) -> Tensor:
        """Return zero: the prediction is not seen."""
        return torch.zeros_like(v)

    def stiffness(self, net: nn.Module) -> Mapping[str, Tensor]:
        """Return the identity for each weight."""
        return {
            name: torch.eye(len(weight) if weight.ndim else 1, dtype=weight.dtype, device=weight.device)
            for name, weight in self._seen(net)
        }

    @classmethod
    def examples(cls) -> Sequence[tuple[Self, nn.Module, Tensor, Labels]]:
        """Of a linear map, all of it and its last one."""
        draw = generator(0, cls.__name__)
        inputs = torch.randn(3, 2, generator=draw, dtype=torch.float64)
        net = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 2)).double()
        for weight in net.parameters():
            nn.init.normal_(weight, generator=draw)
        labels = Labels(torch.zeros_like(inputs))
        return [(cls(), net, inputs, labels), (cls(of="head"), net, inputs, labels)]

    def _seen(self, net: nn.Module) -> list[tuple[str, Tensor]]:
        """Return names and weights that count."""
        named: list[tuple[str, Tensor]] = list(net.named_parameters())
        if self.of == "all":
            return named
        prefix = f"{head_name(net)}."
        return [(name, weight) for name, weight in named if name.startswith(prefix)]


def head_name(net: nn.Module) -> str:
    """Return the name of the last part of a network.

    Raises:    StructureError for a module that is no chain of parts
    """
    chain = getattr(net, "parts", net if isinstance(net, nn.Sequential) else None)
    if not isinstance(chain, nn.ModuleList | nn.Sequential) or not len(chain):
        raise StructureError(
            "this network has no head that is known",
            given=f"a {type(net).__name__}",
            expected="a Network, or an nn.Sequential: its last part is the head",
            way_out="make it a chain of parts, or take all weights",
        )
    return f"{'' if chain is net else 'parts.'}{len(chain) - 1}"
