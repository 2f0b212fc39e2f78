"""The derivative of a network as a linear map: what Gauss-Newton and the instruments apply."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.func import functional_call

from wellposed.backward import Backprop
from wellposed.network.part import still


@dataclass(frozen=True, eq=False)
class Jacobian:
    """J = d net(y) / d weights, or by the features y; of the network as it predicts, not as it trains.

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
        call, at = _map(self.net.replace(backward=Backprop(), bound="report"), self.y, self.by)
        v = v if isinstance(at, Tensor) else {name: v[name] for name in at}
        with still(self.net):
            pushed: Tensor = torch.func.jvp(call, (at,), (v,))[1]
        return pushed

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
        call, at = _map(self.of.net, self.of.y, self.of.by)
        with still(self.of.net):
            return torch.func.vjp(call, at)[1](w)[0]

    @property
    def T(self) -> Jacobian:
        """J."""
        return self.of


def _map(net: nn.Module, y: Tensor, by: str) -> tuple[Callable[[Any], Tensor], Any]:
    """Return the network as a function of its weights or its features, and where J is taken."""
    weights = {name: value.detach() for name, value in net.named_parameters()}
    if by == "weights":
        return lambda weights: functional_call(net, weights, (y,)), weights
    return lambda y: functional_call(net, weights, (y,)), y
