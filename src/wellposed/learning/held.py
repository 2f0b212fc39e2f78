"""What an objective says of the weights alone, as a function of some of them, twice differentiable."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from wellposed.errors import StructureError
from wellposed.learning.krylov import Map
from wellposed.learning.labels import Labels
from wellposed.learning.objective import Objective

Named = Callable[[Tensor], Mapping[str, Tensor]]


class Held:
    """R(x): the terms of an objective that see the weights only, x some weights in one array.

    Shapes:    x as `named` takes it, which gives the weights of the net by name
    Raises:    StructureError where a term cannot be differentiated twice
    """

    def __init__(self, net: nn.Module, objective: Objective, labels: Labels, named: Named) -> None:
        self._whole = objective.part("weights")
        self._terms = [weight * term for weight, term in self._whole.terms]
        self._net, self._labels, self._named = net, labels, named

    def value(self, x: Tensor) -> Tensor:
        """R."""
        return sum((self._value(term, x) for term in self._terms), start=x.new_zeros(()))

    def slope(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return R and its gradient."""
        x = x.detach().requires_grad_()
        with torch.enable_grad():
            value = self.value(x)
        return value.detach(), gradient_of(value, x)

    def bend(self, x: Tensor) -> Map:
        """Return v -> R'' v: the tape of the gradient is kept."""
        x = x.detach().requires_grad_()
        gradients = [gradient for term in self._terms if (gradient := self._taped(term, x)) is not None]

        def bent(v: Tensor) -> Tensor:
            parts = (torch.autograd.grad(g, x, v, retain_graph=True)[0] for g in gradients)
            return sum(parts, start=torch.zeros_like(v))

        return bent

    def stiffness(self) -> Mapping[str, Tensor]:
        """Return for each weight the matrix of R'' along its first axis, where it is held together."""
        return self._whole.stiffness(self._net)

    def _taped(self, term: Objective, x: Tensor) -> Tensor | None:
        """Return the gradient of a term with its tape; None for a linear term, which has no other derivative.

        A gradient without a tape that is not the same everywhere has lost it on the way.
        """
        gradient = self._gradient(term, x)
        second = None
        if gradient.requires_grad:
            try:
                ones = torch.ones_like(x)
                second = torch.autograd.grad(gradient, x, ones, retain_graph=True, allow_unused=True)[0]
            except (RuntimeError, NotImplementedError) as error:  # of torch, for a derivative that it has not
                raise _once(str(error).splitlines()[0]) from error
        if second is not None:
            return gradient
        elsewhere = self._gradient(term, (2 * x.detach() + 1).requires_grad_())
        if not torch.equal(gradient, elsewhere):
            raise _once(f"{term}, whose gradient has no derivative, and is not constant")
        return None

    def _gradient(self, term: Objective, x: Tensor) -> Tensor:
        with torch.enable_grad():
            return gradient_of(self._value(term, x), x, create_graph=True)

    def _value(self, term: Objective, x: Tensor) -> Tensor:
        named = {f"net.{name}": part for name, part in self._named(x).items()}
        value: Tensor = functional_call(_Valued(self._net, term), named, (self._labels, x))
        return value


class _Valued(nn.Module):
    """What sees the weights only, as a module, so that its weights can be an argument."""

    def __init__(self, net: nn.Module, objective: Objective) -> None:
        super().__init__()
        self.net, self.objective = net, objective

    def forward(self, labels: Labels, like: Tensor) -> Tensor:
        """Return the value; of the prediction only its precision is asked for."""
        return self.objective.value(self.net, like, labels)


def gradient_of(value: Tensor, x: Tensor, create_graph: bool = False) -> Tensor:
    """Return the gradient by x, zero for what does not see it."""
    if not value.requires_grad:
        return torch.zeros_like(x)
    given: dict[str, Any] = {"create_graph": create_graph, "allow_unused": True, "materialize_grads": True}
    found: Tensor = torch.autograd.grad(value, x, **given)[0]
    return found


def _once(given: str) -> StructureError:
    return StructureError(
        "a term of this objective cannot be differentiated twice",
        given=given,
        expected="terms of the weights with a second derivative, which Newton's methods take",
        way_out="write them with functions of torch, or learn by LBFGS or Stochastic",
    )
