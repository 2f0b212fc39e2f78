"""Implicit steps: the end of a step is a root, and its derivative follows from the root alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple, Self

import torch
from torch import Tensor

from wellposed.dynamics import FirstOrder, State, Theta
from wellposed.integrators.base import Integrator, Thetas, Update
from wellposed.integrators.newton import NewtonKrylov, push


class Implicit(Integrator):
    """Step y' = f(theta, y) to the root x of

        g(x) = x - y - h f(theta, (1 - share) y + share x) = 0

    by Newton's method, each system by GMRES. The derivative is that of the root, by the implicit function
    theorem, to the tolerance and in both modes: dx = -(g')^-1 (g_y dy + g_theta dtheta).

    Raises:    StepError when the root is not found
    Cost:      some products with the derivative of f a Newton iteration; the derivative is one more solve
    """

    needs = FirstOrder
    share: ClassVar[float]

    def updates(self, f: FirstOrder, h: float) -> Sequence[Update]:
        """Return the one update."""

        def forward(thetas: Thetas, s: State) -> State:
            (y,) = s
            (theta,) = thetas
            plan = _Plan(f, h, self.share, tuple(theta))
            x: Tensor = _Root.apply(plan, y, *theta.values())  # type: ignore[no-untyped-call]
            return (x,)

        return [Update((0,), forward)]


@dataclass(frozen=True)
class ImplicitEuler(Implicit):
    """Step back from the end.

        y_next = y + h f(theta(t + h), y_next)

    Stable for every step and damping; it damps waves too, by 1 / sqrt(1 + (h w)^2).

    Raises:    StepError when the end of the step is not found
    Cost:      a Newton iteration takes some products with the derivative of f
    Reference: Hairer and Wanner, Solving ordinary differential equations II, 1996, IV.3
    """

    order = 1
    nodes = (1.0,)
    share = 1.0

    def growth(self, z: Tensor) -> Tensor:
        """1 / |1 - z|."""
        return 1 / (1 - z).abs()

    @classmethod
    def examples(cls) -> Sequence[Self]:
        """Itself."""
        return [cls()]


@dataclass(frozen=True)
class ImplicitMidpoint(Implicit):
    """Step by the rate at the middle: waves keep their size, whatever the step.

        y_next = y + h f(theta(t + h/2), (y + y_next) / 2)

    Stable for every step and damping. Symmetric, symplectic, and of order two.

    Raises:    StepError when the end of the step is not found
    Cost:      a Newton iteration takes some products with the derivative of f
    Reference: Hairer, Lubich, Wanner, Geometric numerical integration, 2006, II.1.1
    """

    order = 2
    nodes = (0.5,)
    share = 0.5

    def growth(self, z: Tensor) -> Tensor:
        """|1 + z/2| / |1 - z/2|."""
        return (1 + z / 2).abs() / (1 - z / 2).abs()

    @classmethod
    def examples(cls) -> Sequence[Self]:
        """Itself."""
        return [cls()]


class _Plan(NamedTuple):
    """A step without its weights, which autograd only sees where they are arguments."""

    f: FirstOrder
    h: float
    share: float
    names: tuple[str, ...]

    def residual(self, x: Tensor, y: Tensor, values: Sequence[Tensor]) -> Tensor:
        """g(x)."""
        theta: Theta = dict(zip(self.names, values, strict=True))
        return x - y - self.h * self.f.rate(theta, y + self.share * (x - y))


class _Root(torch.autograd.Function):
    """The root as one differentiable map of y and the weights."""

    @staticmethod
    def forward(plan: _Plan, y: Tensor, *values: Tensor) -> Tensor:
        # A clone: where y is the root already, it may not be handed back as it came.
        return NewtonKrylov().root(lambda x: plan.residual(x, y, values), y).clone()

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        ctx.plan, y, *values = inputs
        ctx.save_for_backward(output, y, *values)
        ctx.save_for_forward(output, y, *values)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        # A tensor saved in a torch.func transform that has ended enters a new one only as a view.
        x, y, *values = (tensor.view_as(tensor) for tensor in ctx.saved_tensors)
        pull = torch.func.vjp(lambda x: ctx.plan.residual(x, y, values), x)[1]
        a = NewtonKrylov().solve(lambda v: pull(v)[0], gradients[0])
        by = torch.func.vjp(lambda y, *values: ctx.plan.residual(x, y, values), y, *values)[1](-a)
        return None, *by

    @staticmethod
    def jvp(ctx: Any, *tangents: Tensor | None) -> Tensor:
        x, y, *values = (tensor.view_as(tensor) for tensor in ctx.saved_tensors)
        inputs = [y, *values]
        moved = tuple(
            torch.zeros_like(v) if dv is None else dv for v, dv in zip(inputs, tangents[1:], strict=True)
        )
        pull = torch.func.vjp(lambda y, *values: ctx.plan.residual(x, y, values), *inputs)[1]
        change: Tensor = torch.func.vjp(pull, torch.zeros_like(x))[1](moved)[0]

        def g(x: Tensor) -> Tensor:
            result: Tensor = ctx.plan.residual(x, y, values)
            return result

        return NewtonKrylov().solve(push(g, x), -change)
