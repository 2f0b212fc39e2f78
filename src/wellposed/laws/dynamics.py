"""Laws of dynamics: what the parts of a rate make, and where its spectrum lies.

Each returns how far the object is from its law, and raises LawError naming both sides beyond that.
"""

from __future__ import annotations

from collections.abc import Callable
from math import inf, sin

import torch
from torch import Tensor

from wellposed.dynamics import Dynamics, FirstOrder, Partitioned, SecondOrder, SemiLinear, State, Theta
from wellposed.laws.law import Shape, distance, draw, hold

Path = Callable[[float], Theta]  # theta(t)


def moving(f: Dynamics, *, seed: int = 0, scale: float = 0.3) -> Path:
    """Return weights that move smoothly, theta(t) = a + sin(t) b, in float64: orders are measured by them."""
    generator = torch.Generator().manual_seed(seed)

    def ends() -> dict[str, Tensor]:
        return {
            name: scale * torch.randn(shape, generator=generator, dtype=torch.float64)
            for name, shape in f.shapes().items()
        }

    a, b = ends(), ends()
    return lambda t: {name: a[name] + sin(t) * b[name] for name in a}


def structure(f: Dynamics, shape: Shape, *, seed: int = 0, allowed: float = 1e-12) -> float:
    """The rate is what the declared parts make, e - L y or z and the acceleration, of the shape of y.

    Raises:    LawError
    """
    theta, y, z = moving(f, seed=seed)(0.3), draw(shape, seed), draw(shape, seed + 1)
    if isinstance(f, SemiLinear):
        pairs = [(f.rate(theta, y), f.explicit(theta, y) - f.linear(theta) @ y)]
    elif isinstance(f, SecondOrder):
        pairs = [(f.rate_first(theta, z), z), (f.rate_second(theta, y), f.acceleration(theta, y))]
    else:
        pairs = [(rate, rate.reshape(shape)) for rate in rates(f, theta, (y, z)[: f.members])]
    kept = all(rate.shape == y.shape and rate.dtype == y.dtype for rate, _ in pairs)
    miss = max(distance(rate, parts) for rate, parts in pairs) if kept else inf
    return hold("structure", f, "the rate says one thing", "its parts another", miss=miss, allowed=allowed)


def spectrum(f: Dynamics, shape: Shape, *, seed: int = 0, allowed: float = 1e-6) -> float:
    """The eigenvalues of the derivative lie in the extent, damping left out. Without a claim: zero.

    They are taken at rest with biases of zero, where the derivative is the steepest, and at random features.

    Raises:    LawError
    """
    worst = 0.0
    moved, y = moving(f, seed=seed)(0.3), draw((1, *shape[1:]), seed)
    for theta, place in ((at_rest(moved), torch.zeros_like(y)), (moved, y)):
        extent = f.extent(theta)
        if extent is None:
            return 0.0
        roots = _eigenvalues(f, theta, place)
        outside = [
            roots.imag.abs().max() - extent.imaginary,
            -roots.real.min() - extent.real,
            roots.real.max(),
        ]
        if extent.triangle:
            slope = extent.imaginary / extent.real
            outside.append((roots.imag.abs() + slope * roots.real).max() / max(slope, 1.0))
        miss = max(0.0, *(float(value) for value in outside))
        sides = f"an eigenvalue lies {miss:.3g} outside", f"the extent is {extent}"
        # A double eigenvalue of zero is only known to the root of eps.
        worst = max(worst, hold("spectrum", f, *sides, miss=miss, allowed=allowed))
    return worst


def at_rest(theta: Theta) -> dict[str, Tensor]:
    """Return the weights with biases of zero."""
    return {name: value * (value.ndim > 1) for name, value in theta.items()}


def _eigenvalues(f: Dynamics, theta: Theta, y: Tensor) -> Tensor:
    """Return those of the derivative of the rate without damping, of the explicit part where there is one."""
    if isinstance(f, Partitioned):
        first = jacobian(lambda v: f.rate_first(theta, v), torch.zeros_like(y))
        second = jacobian(lambda v: f.rate_second(theta, v), y)
        return torch.linalg.eigvals(first @ second).sqrt()
    assert isinstance(f, FirstOrder)
    rate = f.explicit if isinstance(f, SemiLinear) else f.rate
    return torch.linalg.eigvals(jacobian(lambda v: rate(theta, v), y))


def rates(f: Dynamics, theta: Theta, s: State) -> list[Tensor]:
    """Return the rate of every member of the state, damping included."""
    if isinstance(f, Partitioned):
        y, z = s
        return [f.rate_first(theta, z), f.rate_second(theta, y) - f.damping * z]
    assert isinstance(f, FirstOrder)
    return [f.rate(theta, s[0])]


def jacobian(function: Callable[[Tensor], Tensor], y: Tensor) -> Tensor:
    """Return the derivative of all outputs by all features, as a matrix."""
    whole: Tensor = torch.autograd.functional.jacobian(function, y)  # type: ignore[no-untyped-call]
    return whole.reshape(y.numel(), y.numel())
