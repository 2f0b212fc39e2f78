"""An objective over a fixed sample, as a function of the weights: value, gradient, curvature."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn

from wellposed.errors import StructureError
from wellposed.learning.batches import Batch, check_length
from wellposed.learning.held import Held
from wellposed.learning.krylov import Map
from wellposed.learning.labels import Labels
from wellposed.learning.objective import Objective, check_objective
from wellposed.learning.record import check_weights, finite, steps_of
from wellposed.learning.seeds import generator
from wellposed.network import Jacobian, Stage
from wellposed.network.part import still


class Slope(NamedTuple):
    """Value and gradient at some weights."""

    value: float
    gradient: Tensor


class Sampled:
    """phi(theta) = F(net_theta(inputs), labels) + R(theta), for weights theta as one vector.

        H v = J' B J v + R'' v          B the curvature of F, J = d net / d theta

    H is symmetric, and non-negative where R is convex; nothing larger than a vector is formed. It can be
    taken from a share of the examples only, drawn anew for each `draw`.

    `work` counts what has been done, in work units: see Record.

    Shapes:    theta, gradient, v (n,): all weights that require a gradient, in their order
    Raises:    ShapeError when inputs and labels do not fit; StructureError for a network without weights
    Cost:      value one pass, slope three, a product four: a share of them from a share of the examples
    Reference: Schraudolph, Fast curvature matrix-vector products, Neural Computation 14 (2002) 1723-1738
    """

    def __init__(
        self, net: nn.Module, objective: Objective, inputs: Tensor, labels: Labels, share: float = 1.0
    ) -> None:
        check_sample(net, objective, inputs, labels)
        self.net, self.inputs, self.labels, self.share = net, inputs, labels, share
        self.seen = objective.part("prediction")
        self.held = Held(net, objective, labels, self.split)
        self.work = 0.0
        self.objective = objective

    @property
    def weights(self) -> dict[str, nn.Parameter]:
        """The weights, by name."""
        return {name: weight for name, weight in self.net.named_parameters() if weight.requires_grad}

    def theta(self) -> Tensor:
        """Return the weights of the network as one vector."""
        return flat(self.weights).clone()

    @torch.no_grad()
    def put(self, theta: Tensor) -> None:
        """Give the network these weights."""
        for weight, part in zip(self.weights.values(), self.split(theta).values(), strict=True):
            weight.copy_(part)

    def split(self, v: Tensor) -> dict[str, Tensor]:
        """Return a vector as one array a weight."""
        weights = self.weights
        parts = torch.split(v, [weight.numel() for weight in weights.values()])
        return {name: part.view_as(weights[name]) for name, part in zip(weights, parts, strict=True)}

    @torch.no_grad()
    def value(self, theta: Tensor) -> float:
        """Return phi(theta), which may be no finite number; the network keeps these weights."""
        self.put(theta)
        self._count(1, self.inputs)
        with still(self.net):
            prediction = self.net(self.inputs)
        return float(self.objective.value(self.net, prediction, self.labels))

    def slope(self, theta: Tensor) -> Slope:
        """Return phi(theta) and its gradient; the network keeps these weights.

        Raises:    FloatingPointError when they are no finite numbers
        """
        self.put(theta)
        self._count(3, self.inputs)
        J = Jacobian(self.net, self.inputs)
        value, pull = self.pull_of(J.value, self.labels)
        own, by_own = self.held.slope(theta)
        gradient = self._flat(J.T @ pull) + by_own
        finite("the gradient", gradient.norm())
        return Slope(finite("the value", value + own), gradient)

    def curvature(self, draw: int = 0) -> Map:
        """Return v -> H v at the weights of the network."""
        inputs, labels = self.subset(draw)
        J = Jacobian(self.net, inputs)
        prediction, bend = J.value, self.held.bend(self.theta())

        def product(v: Tensor) -> Tensor:
            self._count(4, inputs)
            pushed = self.seen.curvature(prediction, labels, J @ self._named(v))
            return self._flat(J.T @ pushed) + bend(v)

        return product

    def preconditioner(self, product: Map, draw: int = 0) -> Map:
        """Return r -> M^-1 r: the stiffness of R along time, and the mean diagonal of J'BJ, by one product.

        Reference: Haber and Ruthotto's Meganet, whose preconditioner this is but for its diagonal
        """
        stiffness = self.held.stiffness()
        if not stiffness:
            return lambda r: r
        theta = self.theta()
        signs = torch.randint(2, theta.shape, generator=generator(0, "signs", draw)).to(theta) * 2 - 1
        shift = max(float(signs @ product(signs)) / len(signs), float(torch.finfo(theta.dtype).tiny) ** 0.5)
        factors = {}
        for name, weight in self.weights.items():
            S = stiffness.get(name)
            if S is not None:
                shifted = S + shift * torch.eye(len(S), dtype=S.dtype, device=S.device)
                factors[name] = torch.linalg.cholesky(shifted), (len(S), weight.numel() // len(S))

        def solve(r: Tensor) -> Tensor:
            parts = self.split(r)
            for name, part in parts.items():
                if name in factors:
                    factor, shape = factors[name]
                    parts[name] = torch.cholesky_solve(part.reshape(shape), factor).view_as(part)
                else:
                    parts[name] = part / shift
            return flat(parts)

        return solve

    def subset(self, draw: int) -> Batch:
        """Return the examples from which the curvature is taken."""
        if self.share >= 1:
            return self.inputs, self.labels
        count = max(1, round(self.share * len(self.inputs)))
        chosen = torch.randperm(len(self.inputs), generator=generator(0, "curvature", draw))[:count]
        return self.inputs[chosen], self.labels.take(chosen)

    def pull_of(self, prediction: Tensor, labels: Labels) -> tuple[Tensor, Tensor]:
        """Return F and its derivative by the prediction."""
        with torch.enable_grad():
            leaf = prediction.detach().requires_grad_()
            value = self.seen.value(self.net, leaf, labels)
        if not value.requires_grad:
            return value, torch.zeros_like(prediction)
        return value.detach(), torch.autograd.grad(value, leaf)[0]

    def _named(self, v: Tensor) -> dict[str, Tensor]:
        """Return a direction for each weight, zero for those that are fixed."""
        zeros = {name: torch.zeros_like(weight) for name, weight in self.net.named_parameters()}
        return {**zeros, **self.split(v)}

    def _flat(self, parts: Mapping[str, Tensor]) -> Tensor:
        return flat({name: parts[name] for name in self.weights})

    def _count(self, passes: int, inputs: Tensor) -> None:
        self.work += passes * len(inputs) * steps_of(self.net)


def flat(parts: Mapping[str, Tensor]) -> Tensor:
    """Return arrays as one vector."""
    return torch.cat([part.detach().reshape(-1) for part in parts.values()])


def check_sample(net: nn.Module, objective: Objective, inputs: Tensor, labels: Labels) -> None:
    """Raise unless there are an objective, examples with labels, and weights."""
    check_objective(objective)
    check_length(inputs, labels)
    check_weights(net)


def check_exact(net: nn.Module) -> None:
    """Raise for a rule by which J' would not be the adjoint of J: J'BJ would not be symmetric."""
    for module in net.modules():
        if isinstance(module, Stage) and not module.rule.exact:
            raise StructureError(
                "Gauss-Newton takes the Jacobian of the network as it is computed",
                given=f"a stage with {module.rule}",
                expected="a rule that differentiates the discrete march",
                way_out="take Backprop, Checkpointed or Reversed, or learn by LBFGS or Stochastic",
            )
