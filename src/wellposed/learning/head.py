"""The best head for given features: a convex problem of few unknowns, by Newton's method."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from wellposed.errors import StructureError
from wellposed.learning.ends import is_rounding, stuck
from wellposed.learning.held import Held, gradient_of
from wellposed.learning.labels import Labels
from wellposed.learning.objective import Objective
from wellposed.learning.small_weights import head_name
from wellposed.network.connect import Affine

NEWTON_STEPS = 300
HALVINGS = 40
ROUNDING = 4.0  # times eps: what of a value may be rounding
ACCURATE = 1e-10  # of the gradient's first
SINGULAR = 1e-8  # quotient of the extreme diagonal entries of the factor of H


class LinearHead(NamedTuple):
    """The last part of a network, where it is W y + b with one map for all places: [W b] is its matrix."""

    name: str
    map: Affine

    @classmethod
    def of(cls, net: nn.Module) -> LinearHead:
        """Return the head of a network.

        Raises:    StructureError for another last part
        """
        name = head_name(net)
        last = net.get_submodule(name)
        inner = getattr(last, "map", None)
        if not isinstance(inner, Affine) or inner.kernel.ndim != 2:
            raise StructureError(
                "the head of this network is no linear map of its features",
                given=f"a {type(last).__name__} as the last part",
                expected="Classify or Readout",
                way_out="end the network with one of them, or do not project the head",
            )
        if not all(weight.requires_grad for weight in inner.parameters()):
            raise StructureError(
                "the head of this network is fixed",
                given=f"a {type(last).__name__} whose weights require no gradient",
                expected="a head that may move",
                way_out="leave its requires_grad as it is, or learn by another method",
            )
        return cls(name, inner)

    def matrix(self) -> Tensor:
        """Return [W b], in double precision."""
        return torch.cat([self.map.kernel, self.map.bias[:, None]], 1).detach().double()

    def put(self, matrix: Tensor) -> None:
        """Set W and b."""
        with torch.no_grad():
            self.map.kernel.copy_(matrix[:, :-1])
            self.map.bias.copy_(matrix[:, -1])

    def named(self, matrix: Tensor) -> dict[str, Tensor]:
        """Return W and b by their names in the network."""
        return {f"{self.name}.map.kernel": matrix[:, :-1], f"{self.name}.map.bias": matrix[:, -1]}


class HeadProblem:
    """psi([W b]) = F(W Y + b, labels) + R: in double precision, with its whole curvature as a matrix.

    Where F is convex the curvature is the Hessian; else that of a function that lies above, so that steps are
    safe and what they lead to is a stationary point.

    Shapes:    Y (batch, channel, *space), [W b] (out, channel + 1)
    """

    def __init__(
        self, net: nn.Module, head: LinearHead, objective: Objective, features: Tensor, labels: Labels
    ) -> None:
        self.net, self.head, self.labels = net, head, labels
        self.seen = objective.part("prediction")
        self.held = Held(net, objective, labels, head.named)
        self._largest = 0.0  # value that was seen
        self.Y = with_one(features.detach().double())

    def prediction(self, matrix: Tensor) -> Tensor:
        """W Y + b."""
        return torch.einsum("kc,bc...->bk...", matrix, self.Y)

    def gathered(self, pull: Tensor) -> Tensor:
        """Return the derivative by [W b], given that by the prediction."""
        return torch.einsum("bk...,bc...->kc", pull, self.Y)

    def value(self, matrix: Tensor) -> Tensor:
        """Psi."""
        prediction = self.prediction(matrix)
        return self.seen.value(self.net, prediction, self.labels) + self.held.value(matrix)

    def slope(self, matrix: Tensor) -> tuple[float, Tensor]:
        """Return psi and its gradient."""
        matrix = matrix.detach().requires_grad_()
        with torch.enable_grad():
            value = self.value(matrix)
        self._largest = max(self._largest, abs(float(value.detach())))
        return float(value.detach()), gradient_of(value, matrix)

    def curvature(self, matrix: Tensor) -> Tensor:
        """Return H, (unknowns, unknowns)."""
        prediction, size, bend = self.prediction(matrix), matrix.numel(), self.held.bend(matrix)

        def product(v: Tensor) -> Tensor:
            bent = self.seen.curvature(prediction, self.labels, self.prediction(v))
            return self.gathered(bent) + bend(v)

        directions = torch.eye(size, dtype=matrix.dtype, device=matrix.device)
        H = torch.stack([product(v.view_as(matrix)) for v in directions]).reshape(size, size)
        return (H + H.T) / 2

    def newton(self, matrix: Tensor, value: float, gradient: Tensor) -> Tensor | None:
        """Return [W b] after a step of Newton's method; None where only rounding is left.

        Raises:    StructureError where the Hessian is singular; StepError where no step lowers psi
        """
        step = -torch.cholesky_solve(gradient.reshape(-1, 1), self.factor(matrix)).view_as(matrix)
        promised = -float((gradient * step).sum())
        if promised <= ROUNDING * torch.finfo(matrix.dtype).eps * abs(value):
            return None
        for k in range(HALVINGS):
            trial = matrix + 0.5**k * step
            if float(self.value(trial).detach()) <= value - 1e-4 * 0.5**k * promised:
                return trial
        if not is_rounding(promised, matrix.dtype, value, self._largest):
            raise stuck("Newton's method for the head", value, float(gradient.norm()), promised)
        return None

    def solved(self, matrix: Tensor) -> Tensor:
        """Return the best [W b], from a start.

        Raises:    StructureError where there is none
        """
        value, gradient = self.slope(matrix)
        first = float(gradient.norm())
        for _ in range(NEWTON_STEPS):
            if float(gradient.norm()) <= ACCURATE * max(1.0, first):
                return matrix
            moved = self.newton(matrix, value, gradient)
            if moved is None:
                return matrix
            matrix = moved
            value, gradient = self.slope(matrix)
        raise self._none(f"in {NEWTON_STEPS} steps they are not there, and may grow without end")

    def factor(self, matrix: Tensor) -> Tensor:
        """Return the Cholesky factor of H.

        Raises:    StructureError where H is singular
        """
        factor, failed = torch.linalg.cholesky_ex(self.curvature(matrix))
        diagonal = factor.diagonal()
        if int(failed) or not float(diagonal.min()) > SINGULAR * float(diagonal.max()):
            raise self._none("its Hessian is singular")
        return factor

    def _none(self, why: str) -> StructureError:
        return StructureError(
            "the head has no best weights for these features",
            given=f"{self.head.name}, {tuple(self.head.matrix().shape)} unknowns: {why}",
            expected="a problem with one least value",
            way_out="add a little of SmallWeights(of='head') to the objective",
        )


def with_one(features: Tensor) -> Tensor:
    """Return features with one channel more, of ones."""
    return torch.cat([features, torch.ones_like(features[:, :1])], 1)
