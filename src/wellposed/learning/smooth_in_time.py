"""Smoothness in time of the weights that vary in time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Self

import torch
from torch import Tensor, nn

from wellposed.errors import StructureError
from wellposed.learning.labels import Labels
from wellposed.learning.objective import Objective, Scope
from wellposed.learning.seeds import generator


@dataclass(frozen=True)
class SmoothInTime(Objective):
    """The integral of |dtheta/dt|^2 of all weights, which are linear between the nodes of their control:

        sum_j |theta_(j+1) - theta_j|^2 / (t_(j+1) - t_j)

    With kind="variation" that of sqrt((dtheta/dt)^2 + tau), a smoothed total variation of each weight, which
    lets weights jump but not waver:

        sum_j (t_(j+1) - t_j) sum sqrt(((theta_(j+1) - theta_j) / (t_(j+1) - t_j))^2 + tau)

    Refining a linear control leaves both as they are, which a sum without the time steps would not; one that
    is constant between its nodes is taken as if it were linear. Sees the weights and their grid only.

    Units:     t in the units of the time grid; tau in those of (dtheta/dt)^2
    Raises:    StructureError when the network has no control, the kind is unknown, or tau is not positive
    Reference: Ruthotto and Haber, Deep neural networks motivated by PDEs, 2018, arXiv:1804.04272, eq. 13
    """

    kind: Literal["quadratic", "variation"] = "quadratic"
    tau: float = 1e-3

    def __post_init__(self) -> None:
        if self.kind not in ("quadratic", "variation") or not self.tau > 0:
            raise StructureError(
                "there is no such smoothness in time",
                given=f"kind={self.kind!r}, tau={self.tau}",
                expected="kind 'quadratic' or 'variation', and tau above zero, so that a derivative exists",
                way_out="leave both away for the quadratic one",
            )

    @property
    def scope(self) -> frozenset[Scope]:
        """The weights."""
        return frozenset({"weights"})

    def value(self, net: nn.Module, prediction: Tensor, labels: Labels) -> Tensor:
        """Return the sum over all controls."""
        return sum(self._roughness(net), start=prediction.new_zeros(()))

    def curvature(self, prediction: Tensor, labels: Labels, v: Tensor) -> Tensor:
        """Return zero: the prediction is not seen."""
        return torch.zeros_like(v)

    def stiffness(self, net: nn.Module) -> Mapping[str, Tensor]:
        """Return 2 D' diag(1 / dt) D, D the differences in time; of a variation half of it / sqrt(tau)."""
        factor = 2.0 if self.kind == "quadratic" else self.tau**-0.5
        found = {}
        for name, control in net.named_modules():
            nodes = getattr(control, "nodes", None)
            if isinstance(nodes, Tensor):
                for below, theta in control.named_parameters():
                    D = torch.diff(torch.eye(len(nodes), dtype=theta.dtype, device=theta.device), dim=0)
                    spans = torch.diff(nodes).to(theta)
                    found[f"{name}.{below}".lstrip(".")] = factor * D.T @ (D / spans[:, None])
        return found

    @classmethod
    def examples(cls) -> Sequence[tuple[Self, nn.Module, Tensor, Labels]]:
        """Weights on four uneven nodes."""
        inputs = torch.randn(3, 2, generator=generator(0, cls.__name__), dtype=torch.float64)
        labels = Labels(torch.zeros_like(inputs))
        return [(cls(), _Moving(), inputs, labels), (cls("variation", 0.1), _Moving(), inputs, labels)]

    def _roughness(self, net: nn.Module) -> Iterator[Tensor]:
        """Yield the integral of each weight of each control."""
        for control, nodes in _controls(net):
            for theta in control.parameters():
                spans = torch.diff(nodes).to(theta)
                slopes = theta.diff(dim=0).reshape(len(spans), theta[0].numel()) / spans[:, None]
                each = slopes.square() if self.kind == "quadratic" else (slopes.square() + self.tau).sqrt()
                yield (spans * each.sum(1)).sum()


class _Moving(nn.Module):
    """The smallest net with weights in time, for the examples: y -> sum of theta_j y over uneven nodes."""

    def __init__(self) -> None:
        super().__init__()
        self.nodes = torch.tensor([0.0, 1.0, 1.5, 3.0], dtype=torch.float64)
        draw = generator(0, "moving")
        self.theta = nn.Parameter(torch.randn(4, 2, 2, generator=draw, dtype=torch.float64))

    def forward(self, y: Tensor) -> Tensor:
        return y @ self.theta.sum(0)


def _controls(net: nn.Module) -> list[tuple[nn.Module, Tensor]]:
    """Return what holds weights on nodes, with the nodes."""
    found = [(module, getattr(module, "nodes", None)) for module in net.modules()]
    controls = [(module, nodes) for module, nodes in found if isinstance(nodes, Tensor)]
    if not controls:
        raise StructureError(
            "SmoothInTime sees weights that vary in time",
            given=f"a {type(net).__name__} without any control",
            expected="a network with at least one Stage",
            way_out="leave SmoothInTime out of the objective",
        )
    return controls
