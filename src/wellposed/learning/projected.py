"""Variable projection: the head is always the best one, and only the other weights are searched for."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from wellposed.errors import StructureError
from wellposed.learning.head import HeadProblem, LinearHead
from wellposed.learning.krylov import Map
from wellposed.learning.labels import Labels
from wellposed.learning.objective import Objective
from wellposed.learning.record import finite
from wellposed.learning.sampled import Sampled, Slope
from wellposed.network import Jacobian, Network
from wellposed.network.part import still


class Projected(Sampled):
    """phi(theta) = min over W of F(W Y(theta), labels) + R(theta, W), the head [W b] solved for each theta.

    With S = -H_WW^-1 and C = dW psi by theta, dW = S C v is how the best head moves. The curvature is

        H v = A'BA v + C'S' R_WW S C v + R'' v,     A v = W J v + (S C v) Y

    that of the whole least squares model, symmetric and non-negative; both parts of C are in it, that by the
    residual too.

    Raises:    StructureError for a head that is not linear, or has no best weights
    Reference: Newman, Ruthotto, Hart and van Bloemen Waanders, Train like a (Var)Pro, 2021, arXiv:2007.13171
    """

    def __init__(
        self, net: nn.Module, objective: Objective, inputs: Tensor, labels: Labels, share: float = 1.0
    ) -> None:
        super().__init__(net, objective, inputs, labels, share)
        self.head = LinearHead.of(net)
        if not isinstance(net, Network) or len(net.parts) < 2:
            raise StructureError(
                "there are no weights beside those of the head",
                given=f"a {type(net).__name__} of one part" if isinstance(net, Network) else f"{type(net)}",
                expected="a Network of at least two parts",
                way_out="do not project the head",
            )
        self.body = Network(*net.parts[:-1])

    @property
    def weights(self) -> dict[str, nn.Parameter]:
        """The weights of all parts but the head."""
        prefix = f"{self.head.name}."
        return {name: weight for name, weight in super().weights.items() if not name.startswith(prefix)}

    @torch.no_grad()
    def value(self, theta: Tensor) -> float:
        """Return phi(theta); the network keeps these weights, and the head that fits them."""
        self.put(theta)
        self._count(1, self.inputs)
        with still(self.net):
            features = self.body(self.inputs)
        if not bool(features.isfinite().all()):
            return float("nan")
        return float(self._fitted(features).value(self.head.matrix()))

    def slope(self, theta: Tensor) -> Slope:
        """Return phi(theta) and its gradient: that by theta alone, since the one by the head is zero."""
        self.put(theta)
        self._count(3, self.inputs)
        J = Jacobian(self.body, self.inputs)
        finite("a feature", J.value.abs().max())
        problem = self._fitted(J.value)
        prediction = problem.prediction(self.head.matrix())
        value, pull = self.pull_of(prediction, self.labels)
        own, by_own = self.held.slope(theta)
        gradient = self._flat(J.T @ self._by_features(pull)) + by_own
        finite("the gradient", gradient.norm())
        return Slope(finite("the value", value + own), gradient)

    def curvature(self, draw: int = 0) -> Map:
        """Return v -> H v at the weights of the network."""
        inputs, labels = self.subset(draw)
        J, bend = Jacobian(self.body, inputs), self.held.bend(self.theta())
        problem, W = HeadProblem(self.net, self.head, self.objective, J.value, labels), self.head.matrix()
        prediction, factor, bend_head = problem.prediction(W), problem.factor(W), problem.held.bend(W)
        pull = self.pull_of(prediction, labels)[1]

        def bent(v: Tensor) -> Tensor:
            return self.seen.curvature(prediction, labels, v)

        def moved(by: Tensor) -> Tensor:
            return -torch.cholesky_solve(by.reshape(-1, 1), factor).view_as(W)

        def product(v: Tensor) -> Tensor:
            self._count(4, inputs)
            dY = (J @ self._named(v)).double()
            straight = torch.einsum("kc,bc...->bk...", W[:, :-1], dY)
            C = problem.gathered(bent(straight))
            C[:, :-1] += torch.einsum("bk...,bc...->kc", pull, dY)
            dW = moved(C)
            u = bent(straight + problem.prediction(dW))
            z = moved(problem.gathered(u) + bend_head(dW))
            back = torch.einsum("kc,bk...->bc...", W[:, :-1], u + bent(problem.prediction(z)))
            back = back + torch.einsum("kc,bk...->bc...", z[:, :-1], pull)
            return self._flat(J.T @ back.to(inputs.dtype)) + bend(v)

        return product

    def _fitted(self, features: Tensor) -> HeadProblem:
        """Give the network the best head for these features; return the problem."""
        problem = HeadProblem(self.net, self.head, self.objective, features, self.labels)
        self.head.put(problem.solved(self.head.matrix()))
        return problem

    def _by_features(self, pull: Tensor) -> Tensor:
        """W' pull."""
        by: Tensor = torch.einsum("kc,bk...->bc...", self.head.matrix()[:, :-1], pull)
        return by.to(self.inputs.dtype)
