"""Laws of integrators: order, inverse, bound of the step.

Each returns how far the object is from its law, and raises LawError naming both sides beyond that.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from math import hypot, inf, log2

import torch
from torch import Tensor

from wellposed.dynamics import Dynamics, SemiLinear, State, Theta
from wellposed.integrators import Integrator, Invertible, Shear, Update
from wellposed.laws.dynamics import Path, at_rest, jacobian, moving, rates
from wellposed.laws.law import Shape, distance, draw, hold


def order(method: Integrator, f: Dynamics, shape: Shape, *, seed: int = 0, allowed: float = 0.15) -> float:
    """The error against a fine solution by Runge and Kutta falls as h^order, with weights that move in time.

    Steps are halved until the observed order settles there, or the error meets that of the fine solution:
    an order that never does is another one. A diffusion is followed for a short time only, so that explicit
    methods are not asked about what has long died away. Returns the observed order.

    Raises:    LawError
    """
    y = draw(shape, seed)
    time, exact, floor = _reference(f, shape, seed)
    errors: list[float] = []
    seen: list[float] = []
    for steps in (4, 8, 16, 32, 64, 128, 256):
        error = float((_solve(method, f, moving(f, seed=seed), y, time, steps) - exact).norm())
        if errors and error < floor:
            break
        if errors:
            seen.append(log2(errors[-1] / error))
        errors.append(error)
        if len(seen) > 1 and max(abs(order - method.order) for order in seen[-2:]) < allowed:
            break
    sides = f"the order is {method.order}", f"the error falls by order {seen[-1]:.3f}"
    hold("order", f"{method} with {f}", *sides, miss=abs(seen[-1] - method.order), allowed=allowed)
    return seen[-1]


def inverse(
    method: Invertible, f: Dynamics, shape: Shape, *, steps: int = 64, seed: int = 0, allowed: float = 1e-10
) -> float:
    """Undoing the shears of many steps gives the state that they began with, in float64; in float32 to 1e-3.

    Raises:    LawError
    """
    worst = 0.0
    for dtype, limit in ((torch.float64, allowed), (torch.float32, 1e-3)):
        begin = s = method.open(f, draw(shape, seed).to(dtype))
        done: list[tuple[Shear, list[Theta]]] = []
        for shear, taken in _march(method, f, moving(f, seed=seed), 0.5, steps, dtype):
            assert isinstance(shear, Shear)
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
    rest = method.open(f, torch.zeros((1, *shape[1:]), dtype=torch.float64))

    def grows(h: float) -> bool:
        def step(flat: Tensor) -> Tensor:
            s = tuple(part.reshape(rest[0].shape) for part in flat.chunk(len(rest)))
            return torch.cat([a.flatten() for a in method.step(f, [theta] * len(method.nodes), h, s)])

        flat = torch.cat([a.flatten() for a in rest])
        return float(torch.linalg.eigvals(jacobian(step, flat)).abs().max()) > 1 + 1e-6

    size = hypot(extent.real, extent.imaginary)
    if bound == 0:
        sides = "the bound is zero", "no small step amplifies"
        small = any(grows(share / size) for share in (0.03, 0.1, 0.3))
        return hold("step bound", f"{method} with {f}", *sides, miss=float(not small), allowed=0.0) + 1
    if bound == inf:
        sides = "the bound is infinite", "a long step amplifies"
        return hold("step bound", f"{method} with {f}", *sides, miss=float(grows(30 / size)), allowed=0.0) + 1
    tried = [bound * k / 16 for k in range(1, int(16 * wasteful) + 1)]
    first = next((h for h in tried if grows(h)), inf)
    name = f"{method} with {f}"
    sides = f"the bound is {bound:.4g}", f"steps grow from {first:.4g} on"
    hold("step bound", name, *sides, miss=bound / first, allowed=1 - 1e-9)
    hold("step bound", name, *sides, miss=first / bound, allowed=wasteful)
    return first / bound


@lru_cache(maxsize=64)
def _reference(f: Dynamics, shape: Shape, seed: int) -> tuple[float, Tensor, float]:
    """Return a time, the features then, extrapolated, and the error above which they can tell others'."""
    path, s = moving(f, seed=seed), f.open(draw(shape, seed))
    time = min(1.0, 8.0 / f.linear(path(0.0)).norm()) if isinstance(f, SemiLinear) else 1.0
    coarse, fine = (_runge_kutta(f, path, s, time, steps) for steps in (256, 512))
    apart = fine - coarse
    return time, fine + apart / 15, max(float(apart.norm()) / 15, 1e-12 * float(fine.norm()))


def _runge_kutta(f: Dynamics, path: Path, s: State, time: float, steps: int) -> Tensor:
    """Return the features at the end by the classical method of order four."""
    h = time / steps

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


def _solve(method: Integrator, f: Dynamics, path: Path, y: Tensor, time: float, steps: int) -> Tensor:
    s = method.open(f, y)
    for update, taken in _march(method, f, path, time, steps, y.dtype):
        s = update(taken, s)
    return s[0]


def _march(
    method: Integrator, f: Dynamics, path: Path, time: float, steps: int, dtype: torch.dtype
) -> Iterator[tuple[Update | Shear, list[Theta]]]:
    """Updates of a uniform grid one after another, each with the weights that it takes."""
    h = time / steps
    for j, step in enumerate(method.grid(f, [h] * steps)):
        thetas = [{k: v.to(dtype) for k, v in path((j + node) * h).items()} for node in step.nodes]
        for update in step.updates:
            yield update, [thetas[k] for k in update.samples]
