"""Laws of integrators: order, inverse, bound of the step.

Each returns how far the object is from its law, and raises LawError naming both sides beyond that.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import inf, log2

import torch
from torch import Tensor

from wellposed.dynamics import Dynamics, State, Theta
from wellposed.integrators import Integrator, Invertible
from wellposed.laws.dynamics import Path, at_rest, jacobian, moving, rates
from wellposed.laws.law import Shape, distance, draw, hold


def order(method: Integrator, f: Dynamics, shape: Shape, *, seed: int = 0, allowed: float = 0.15) -> float:
    """The error against a fine solution by Runge and Kutta falls as h^order, with weights that move in time.

    Returns the observed order.

    Raises:    LawError
    """
    path, y = moving(f, seed=seed), draw(shape, seed)
    exact = _runge_kutta(f, path, f.open(y), steps=128)
    coarse, fine = (float((_solve(method, f, path, y, steps) - exact).norm()) for steps in (32, 64))
    seen = log2(coarse / fine)
    sides = f"the order is {method.order}", f"the error falls by order {seen:.3f}"
    hold("order", f"{method} with {f}", *sides, miss=abs(seen - method.order), allowed=allowed)
    return seen


def inverse(
    method: Invertible, f: Dynamics, shape: Shape, *, steps: int = 64, seed: int = 0, allowed: float = 1e-10
) -> float:
    """Undoing the shears of many steps gives the state that they began with, in float64; in float32 to 1e-3.

    Raises:    LawError
    """
    worst = 0.0
    for dtype, limit in ((torch.float64, allowed), (torch.float32, 1e-3)):
        begin = s = f.open(draw(shape, seed).to(dtype))
        done = []
        for thetas, h in _grid(method, moving(f, seed=seed), 2.0, steps, dtype):
            for shear in method.shears(f, h):
                taken = [thetas[k] for k in shear.samples]
                s = shear(taken, s)
                done.append((shear, taken))
        for shear, taken in reversed(done):
            s = shear.undo(s, shear.u(taken, shear.others(s)))
        miss = max(distance(a, b) for a, b in zip(s[:1], begin[:1], strict=True))
        sides = f"{steps} steps began with one state", f"undone they end with another in {dtype}"
        hold("inverse", f"{method} with {f}", *sides, miss=miss, allowed=limit)
        worst = max(worst, miss * allowed / limit)
    return worst


def step_bound(
    method: Integrator, f: Dynamics, shape: Shape, *, seed: int = 0, wasteful: float = 2.0
) -> float:
    """The step beyond which features at rest begin to grow is at least the bound, and not far beyond it.

    Returns that step over the bound; without a claim, one. With biases of zero the derivative at rest is
    the steepest there is, as the bound has to assume.

    Raises:    LawError when the bound is not safe, or is missed by more than the factor `wasteful`
    """
    theta = at_rest(moving(f, seed=seed)(0.3))
    extent = f.extent(theta)
    if extent is None:
        return 1.0
    bound = method.bound(extent)
    rest = f.open(torch.zeros((1, *shape[1:]), dtype=torch.float64))

    def grows(h: float) -> bool:
        def step(flat: Tensor) -> Tensor:
            s = tuple(part.reshape(rest[0].shape) for part in flat.chunk(len(rest)))
            return torch.cat([a.flatten() for a in method.step(f, [theta] * len(method.nodes), h, s)])

        flat = torch.cat([a.flatten() for a in rest])
        return float(torch.linalg.eigvals(jacobian(step, flat)).abs().max()) > 1 + 1e-6

    if bound == 0:
        sides = "the bound is zero", "a small step does not amplify"
        return hold("step bound", f"{method} with {f}", *sides, miss=float(not grows(1e-2)), allowed=0.0) + 1
    tried = [bound * k / 16 for k in range(1, int(16 * wasteful) + 1)]
    first = next((h for h in tried if grows(h)), inf)
    name = f"{method} with {f}"
    sides = f"the bound is {bound:.4g}", f"steps grow from {first:.4g} on"
    hold("step bound", name, *sides, miss=bound / first, allowed=1 - 1e-9)
    hold("step bound", name, *sides, miss=first / bound, allowed=wasteful)
    return first / bound


def _runge_kutta(f: Dynamics, path: Path, s: State, steps: int) -> Tensor:
    """Return the features at time one by the classical method of order four."""
    h = 1 / steps

    def moved(s: State, by: Sequence[Tensor], share: float) -> State:
        return tuple(a + share * h * b for a, b in zip(s, by, strict=True))

    for j in range(steps):
        early, middle, late = (path((j + place) * h) for place in (0.0, 0.5, 1.0))
        k1 = rates(f, early, s)
        k2 = rates(f, middle, moved(s, k1, 0.5))
        k3 = rates(f, middle, moved(s, k2, 0.5))
        k4 = rates(f, late, moved(s, k3, 1.0))
        mean = [(a + 2 * b + 2 * c + d) / 6 for a, b, c, d in zip(k1, k2, k3, k4, strict=True)]
        s = moved(s, mean, 1.0)
    return s[0]


def _solve(method: Integrator, f: Dynamics, path: Path, y: Tensor, steps: int) -> Tensor:
    s = f.open(y)
    for thetas, h in _grid(method, path, 1.0, steps, y.dtype):
        s = method.step(f, thetas, h, s)
    return s[0]


def _grid(
    method: Integrator, path: Path, time: float, steps: int, dtype: torch.dtype
) -> list[tuple[list[Theta], float]]:
    """Return, for every step, theta at the nodes of the method, and the length of the step."""
    h = time / steps
    places = [[(j + node) * h for node in method.nodes] for j in range(steps)]
    return [([{k: v.to(dtype) for k, v in path(t).items()} for t in times], h) for times in places]
