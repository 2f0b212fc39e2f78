"""Inexact Gauss-Newton on a fixed sample: products only, line search or trust region."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf, isfinite
from typing import Literal, Self

import torch
from torch import Tensor, nn

from wellposed.errors import ConfigError, check_count, check_name
from wellposed.learning.batches import Source, one_sample
from wellposed.learning.ends import flat_enough, is_rounding, stuck
from wellposed.learning.krylov import Map, Solution, conjugate_gradients
from wellposed.learning.labels import Labels
from wellposed.learning.method import Method
from wellposed.learning.objective import Objective
from wellposed.learning.projected import Projected
from wellposed.learning.record import Done, Fit, Terms
from wellposed.learning.sampled import Sampled, Slope, check_exact

GLOBAL = ("line search", "trust region")
ARMIJO = 1e-4  # of the promised decrease that a step must bring
HALVINGS = 25
ROUNDING = 4.0  # times eps: what of a value may be rounding


@dataclass(frozen=True)
class GaussNewton(Method):
    """theta <- theta + alpha s,   (J' B J + R'') s = -gradient,   s by a few steps of conjugate gradients.

    On the whole sample at once: the objective is deterministic, a sample average. The first step length that
    is tried is one; `globalisation` says what follows when it does not help: "line search" halves alpha
    until Armijo's condition holds, "trust region" solves again in a smaller region.

        tolerance     ends where |gradient| has fallen to this share of its first
        products      with the curvature, at most, a step
        forcing       residual, as a share of |gradient|, to which s is found; near the end the square root of
                      the gradient's share, where that is less, so that the last steps are nearly Newton's
        share         of the examples that the curvature is taken from, drawn anew for each step
        project_head  variable projection: the weights of the head, a linear last part, are always the best
                      ones for the features, and only the others are searched for

    An epoch is one step; its value and gradient are those after it.

    Raises:    ConfigError for settings out of range; StepError when no step along s lowers the objective
    Cost:      a step: three passes for the gradient, four a product, one a trial of a step
    Reference: Haber and Ruthotto, Stable architectures for deep neural networks, 2017, arXiv:1705.03341,
               section 5; Nocedal and Wright, Numerical optimization, 2006, algorithms 7.1 and 7.2
    """

    tolerance: float = 1e-3
    products: int = 20
    forcing: float = 0.1
    globalisation: Literal["line search", "trust region"] = "line search"
    share: float = 1.0
    project_head: bool = False

    def __post_init__(self) -> None:
        check_name("globalisation", self.globalisation, GLOBAL)
        check_count("products", self.products)
        ranges = (0 <= self.tolerance < 1, 0 < self.forcing < 1, 0 < self.share <= 1)
        if not all(ranges):
            raise ConfigError(
                "Gauss-Newton cannot work with these settings",
                given=f"{self}",
                expected="0 <= tolerance < 1, 0 < forcing < 1, 0 < share <= 1",
                way_out="give other numbers, or leave them away",
            )

    def begin(
        self,
        net: nn.Module,
        objective: Objective,
        inputs: Source,
        labels: Labels | None,
        terms: Terms,
    ) -> Fit:
        """Return the fit; the seed draws the examples that the curvature is taken from."""
        check_exact(net)
        kind = Projected if self.project_head else Sampled
        sample = kind(net, objective, *one_sample(inputs, labels), self.share)
        return _Descent(self, sample, terms)

    @classmethod
    def examples(cls) -> Sequence[Self]:
        """Line search and trust region, curvature of a share, the head projected."""
        return [cls(), cls(globalisation="trust region"), cls(share=0.5), cls(project_head=True)]


class _Descent(Fit):
    """Moves the weights once an epoch, downhill."""

    def __init__(self, method: GaussNewton, sample: Sampled, terms: Terms) -> None:
        super().__init__(sample.net, sample.objective, terms)
        self.method, self.sample, self._seed = method, sample, terms.seed
        self._first: float | None = None
        self._radius = inf
        self._slope: Slope | None = None
        self._resume()

    def _run(self, epoch: int) -> Done:
        before = self.sample.work
        theta = self.sample.theta()
        slope = self._slope or self.sample.slope(theta)
        if self._first is None:
            self._first = float(slope.gradient.norm())
        product = self.sample.curvature(self._seed + epoch)
        precondition = self.sample.preconditioner(product, self._seed + epoch)
        search = self._line_search if self.method.globalisation == "line search" else self._trust_region
        theta, inner = search(theta, slope, product, precondition)
        self._slope = self.sample.slope(theta)
        gradient = float(self._slope.gradient.norm())
        self.stop = flat_enough(gradient, self._first, self.method.tolerance) or self.stop
        return Done(self._slope.value, gradient, self.sample.work - before, inner)

    def _solve(self, slope: Slope, product: Map, precondition: Map, radius: float) -> Solution:
        fallen = float(slope.gradient.norm()) / (self._first or 1.0)
        tolerance = min(self.method.forcing, max(fallen, 0.0) ** 0.5)
        most = self.method.products
        return conjugate_gradients(
            product, -slope.gradient, precondition, tolerance=tolerance, products=most, radius=radius
        )

    def _line_search(
        self, theta: Tensor, slope: Slope, product: Map, precondition: Map
    ) -> tuple[Tensor, int]:
        """Return the weights after a step, and the products that it took."""
        found = self._solve(slope, product, precondition, inf)
        promised = -float(slope.gradient @ found.step)
        if self._is_rounding(theta, slope, promised):
            return theta, found.products
        for k in range(HALVINGS):
            length = 0.5**k
            value = self.sample.value(theta + length * found.step)
            if isfinite(value) and value <= slope.value - ARMIJO * length * promised:
                return theta + length * found.step, found.products
        self._fail(theta, slope, promised)
        return theta, found.products

    def _trust_region(
        self, theta: Tensor, slope: Slope, product: Map, precondition: Map
    ) -> tuple[Tensor, int]:
        """Return the weights after a step within the region, and the products that it took."""
        products, promised = 0, 0.0
        for _ in range(HALVINGS):
            found = self._solve(slope, product, precondition, self._radius)
            products += found.products
            promised = max(promised, found.decrease)
            if self._is_rounding(theta, slope, promised):
                return theta, products
            value = self.sample.value(theta + found.step)
            kept = (slope.value - value) / max(found.decrease, 1e-300)  # of what the model promised
            gained = kept if isfinite(value) else -inf
            if gained > ARMIJO:
                if gained > 0.75 and found.ended == "radius":
                    self._radius = 2 * self._radius
                elif gained < 0.25:
                    self._radius = found.size / 2
                return theta + found.step, products
            self._radius = found.size / 4
        self._fail(theta, slope, promised)
        return theta, products

    def _is_rounding(self, theta: Tensor, slope: Slope, promised: float) -> bool:
        """Whether a step could gain no more than the rounding of the value: then this is the end."""
        rounding = promised <= ROUNDING * torch.finfo(theta.dtype).eps * abs(slope.value)
        if rounding:
            self.stop = "no step changes the value by more than its rounding"
        return rounding

    def _fail(self, theta: Tensor, slope: Slope, promised: float) -> None:
        """End where rounding hides what is left to gain; raise where it does not."""
        values = (slope.value, *(record.value for record in self.records))
        if not is_rounding(promised, theta.dtype, *values):
            raise stuck("Gauss-Newton", slope.value, float(slope.gradient.norm()), promised)
        self.stop = "no step changes the value by more than its rounding"

    def _remedy(self) -> tuple[str, str]:
        return f"{self.method}", "take fewer products or a trust region, so that steps are shorter"

    def _tensors(self) -> dict[str, Tensor]:
        first = torch.nan if self._first is None else self._first
        return {"first and radius": torch.tensor([first, self._radius], dtype=torch.float64)}

    def _remember(self, tensors: dict[str, Tensor]) -> None:
        self._first, self._radius = tensors["first and radius"].tolist()
