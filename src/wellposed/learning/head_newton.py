"""Newton's method for the head alone, the features as they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor, nn

from wellposed.errors import StructureError
from wellposed.learning.batches import Source, one_sample
from wellposed.learning.ends import flat_enough
from wellposed.learning.head import HeadProblem, LinearHead
from wellposed.learning.labels import Labels
from wellposed.learning.method import Method
from wellposed.learning.objective import Objective
from wellposed.learning.record import Done, Fit, Terms, finite, steps_of
from wellposed.learning.sampled import check_sample
from wellposed.network import Network
from wellposed.network.part import still


@dataclass(frozen=True)
class HeadNewton(Method):
    """[W b] <- [W b] - alpha H^-1 gradient of F(W Y + b, labels) + R, the features Y as they are.

    Where F is convex in the prediction H is the Hessian; else the curvature of a function that lies above.
    The other weights do not move. An epoch is one step.

        tolerance     ends where |gradient| has fallen to this share of its first

    Raises:    StructureError for a head that is not linear, or a Hessian that is singular
    Cost:      one pass for all steps; a dense matrix of the unknowns of the head
    """

    tolerance: float = 1e-8

    def begin(
        self,
        net: nn.Module,
        objective: Objective,
        inputs: Source,
        labels: Labels | None,
        terms: Terms,
    ) -> Fit:
        """Return the fit; nothing is drawn."""
        inputs, labels = one_sample(inputs, labels)
        check_sample(net, objective, inputs, labels)
        return _Steps(net, objective, inputs, labels, self.tolerance, terms)

    @classmethod
    def examples(cls) -> Sequence[Self]:
        """The only one."""
        return [cls()]


class _Steps(Fit):
    """Moves the head once an epoch."""

    def __init__(
        self,
        net: nn.Module,
        objective: Objective,
        inputs: Tensor,
        labels: Labels,
        tolerance: float,
        terms: Terms,
    ) -> None:
        super().__init__(net, objective, terms)
        self._head = LinearHead.of(net)
        if not isinstance(net, Network):
            raise StructureError(
                "features are known for a Network only",
                given=f"a {type(net).__name__}",
                expected="a Network",
                way_out="make a Network of its parts",
            )
        self._body, self._inputs, self._labels, self._tolerance = net.parts[:-1], inputs, labels, tolerance
        self._problem: HeadProblem | None = None
        self._first: float | None = None
        self._resume()

    def _run(self, epoch: int) -> Done:
        work = 0.0
        if self._problem is None:
            with still(self.net), torch.no_grad():
                features = Network(*self._body)(self._inputs) if len(self._body) else self._inputs
            work = float(len(self._inputs) * steps_of(self.net))
            self._problem = HeadProblem(self.net, self._head, self.objective, features, self._labels)
        matrix = self._head.matrix()
        value, gradient = self._problem.slope(matrix)
        finite("the value", torch.tensor(value))
        self._first = self._first or float(gradient.norm())
        moved = self._problem.newton(matrix, value, gradient)
        if moved is None:
            self.stop = "no step changes the value by more than its rounding"
        else:
            self._head.put(moved)
            value, gradient = self._problem.slope(moved)
        self.stop = flat_enough(float(gradient.norm()), self._first, self._tolerance) or self.stop
        return Done(value, float(gradient.norm()), work)

    def _remedy(self) -> tuple[str, str]:
        return "Newton's method for the head", "look at the features"

    def _tensors(self) -> dict[str, Tensor]:
        return {"first": torch.tensor(self._first or torch.nan, dtype=torch.float64)}

    def _remember(self, tensors: dict[str, Tensor]) -> None:
        self._first = float(tensors["first"])
