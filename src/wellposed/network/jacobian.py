"""The derivative of a network as a linear map: what Gauss-Newton and the instruments apply."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.func import functional_call

from wellposed.backward import Backprop


@dataclass(frozen=True, eq=False)
class Jacobian:
    """J = d net(y) / d weights, or by the features y.

        J @ v       by forward mode, without a tape: through `Backprop`, other rules have no such mode
        J.T @ w     by the rules of the stages, <J v, w> = <v, J' w>

    Shapes:    v {name: like the weight}, or like y; w like net(y); J' w like v
    Cost:      two passes for J v; a forward and a backward pass for J' w
    """

    net: Any  # a Network
    y: Tensor
    by: Literal["weights", "features"] = "weights"

    def __matmul__(self, v: Any) -> Tensor:
        """J v."""
        net = self.net.replace(backward=Backprop(), bound="report")
        if self.by == "features":
            pushed: Tensor = torch.func.jvp(net, (self.y,), (v,))[1]
            return pushed
        weights = _weights(net)
        moved = {name: v[name] for name in weights}
        result: Tensor = torch.func.jvp(lambda p: functional_call(net, p, (self.y,)), (weights,), (moved,))[1]
        return result

    @property
    def T(self) -> JacobianAdjoint:
        """J'."""
        return JacobianAdjoint(self)


@dataclass(frozen=True, eq=False)
class JacobianAdjoint:
    """J', which takes w like net(y)."""

    of: Jacobian

    def __matmul__(self, w: Tensor) -> Any:
        """J' w."""
        net, y = self.of.net, self.of.y
        if self.of.by == "features":
            return torch.func.vjp(net, y)[1](w)[0]
        return torch.func.vjp(lambda p: functional_call(net, p, (y,)), _weights(net))[1](w)[0]

    @property
    def T(self) -> Jacobian:
        """J."""
        return self.of


def _weights(net: nn.Module) -> dict[str, Tensor]:
    return {name: value.detach() for name, value in net.named_parameters()}
