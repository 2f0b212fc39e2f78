"""The derivative of a network as a linear map: what Gauss-Newton and the instruments apply."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.func import functional_call

from wellposed.backward import Backprop
from wellposed.errors import StructureError
from wellposed.network.part import still
from wellposed.network.rebuild import rebuilt

forward: Any = torch.autograd.forward_ad  # which is not typed
_NO_FORWARD = ("forward mode AD", "forward AD", "jvp")  # of what torch says where it cannot


@dataclass(frozen=True, eq=False)
class Jacobian:
    """J = d net(y) / d weights, or by the features y; of the network as it predicts, not as it trains.

        J @ v       by forward mode, without a tape: through `Backprop`, other rules have no such mode
        J.T @ w     by the rules of the stages, <J v, w> = <v, J' w>
        J.value     net(y)

    Taken at the weights that the network has when it is first applied.

    Shapes:    v {name: like the weight}, or like y; w like net(y); J' w like v
    Raises:    StructureError where a part of one's own has no forward derivative
    Cost:      two passes for J v; a forward pass once, and a backward pass for each J' w
    """

    net: nn.Module
    y: Tensor
    by: Literal["weights", "features"] = "weights"

    def __matmul__(self, v: Any) -> Tensor:
        """J v."""
        try:
            return self._pushed(v)
        except (NotImplementedError, RuntimeError) as error:
            if not any(words in str(error) for words in _NO_FORWARD):
                raise
            raise StructureError(
                "a part of this network has no derivative forward, which products with its Jacobian take",
                given=str(error).splitlines()[0],
                expected="parts made of what torch differentiates forward, stages among them",
                way_out="write its `jvp`, or learn by LBFGS or Stochastic, which need none",
            ) from error

    def _pushed(self, v: Any) -> Tensor:
        at = self._at
        # Not torch.func.jvp, which does the same at twice the cost.
        with torch.no_grad(), forward.dual_level(), still(self.net):
            if isinstance(at, Tensor):
                pushed = _called(self._plain, self._weights, forward.make_dual(at.detach(), v))
            else:
                dual = {name: forward.make_dual(value.detach(), v[name]) for name, value in at.items()}
                pushed = _called(self._plain, {**self._weights, **dual}, self.y)
            tangent = forward.unpack_dual(pushed).tangent
            return torch.zeros_like(pushed) if tangent is None else tangent.clone()

    @property
    def T(self) -> JacobianAdjoint:
        """J'."""
        return JacobianAdjoint(self)

    @property
    def value(self) -> Tensor:
        """net(y)."""
        return self._graph.detach()

    @cached_property
    def _weights(self) -> dict[str, Tensor]:
        return {name: value.detach().clone() for name, value in self.net.named_parameters()}

    @cached_property
    def _at(self) -> Any:
        """Where J is taken: a leaf, or a leaf a name."""
        if self.by == "features":
            return self.y.detach().clone().requires_grad_()
        return {name: value.clone().requires_grad_() for name, value in self._weights.items()}

    @cached_property
    def _graph(self) -> Tensor:
        """net(y), with what is needed on the way back."""
        with torch.enable_grad(), still(self.net):
            if isinstance(self._at, Tensor):
                return _called(self.net, self._weights, self._at)
            return _called(self.net, self._at, self.y)

    @cached_property
    def _plain(self) -> nn.Module:
        """The network whose stages have a forward mode."""
        return rebuilt(self.net, lambda stage: stage.replace(backward=Backprop(), bound="report"))


@dataclass(frozen=True, eq=False)
class JacobianAdjoint:
    """J', which takes w like net(y)."""

    of: Jacobian

    def __matmul__(self, w: Tensor) -> Any:
        """J' w."""
        at = self.of._at
        leaves = [at] if isinstance(at, Tensor) else list(at.values())
        graph = self.of._graph
        if not graph.requires_grad:  # nothing of net(y) moves with them
            zeros = [torch.zeros_like(leaf) for leaf in leaves]
            return zeros[0] if isinstance(at, Tensor) else dict(zip(at, zeros, strict=True))
        found = torch.autograd.grad(
            graph, leaves, w, retain_graph=True, allow_unused=True, materialize_grads=True
        )
        return found[0] if isinstance(at, Tensor) else dict(zip(at, found, strict=True))

    @property
    def T(self) -> Jacobian:
        """J."""
        return self.of


def _called(net: nn.Module, weights: dict[str, Tensor], y: Tensor) -> Tensor:
    called: Tensor = functional_call(net, weights, (y,))
    return called
