"""Laws of what flows: dynamics, integrators, backward rules, controls, parts of a network.

Each returns how far the object is from its law, and raises LawError naming both sides beyond that.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from math import inf, log2

import torch
from torch import Tensor, nn
from torch.func import functional_call

from wellposed.backward import Backprop, BackwardRule
from wellposed.control import Control
from wellposed.dynamics import Dynamics, FirstOrder, Partitioned, SecondOrder, SemiLinear, State, Theta
from wellposed.integrators import Integrator, Invertible
from wellposed.laws.law import hold
from wellposed.network.stage import Stage

Shape = tuple[int, ...]
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
    return lambda t: {name: a[name] + torch.tensor(t).sin() * b[name] for name in a}


def structure(f: Dynamics, shape: Shape, *, seed: int = 0, allowed: float = 1e-12) -> float:
    """The rate is what the declared parts make, e - L y or z and the acceleration, of the shape of y.

    Raises:    LawError
    """
    theta, y, z = moving(f, seed=seed)(0.3), _random(shape, seed), _random(shape, seed + 1)
    if isinstance(f, SemiLinear):
        pairs = [(f.rate(theta, y), f.explicit(theta, y) - f.linear(theta) @ y)]
    elif isinstance(f, SecondOrder):
        pairs = [(f.rate_first(theta, z), z), (f.rate_second(theta, y), f.acceleration(theta, y))]
    else:
        pairs = [(rate, rate.reshape(shape)) for rate in _rates(f, theta, (y, z)[: f.members])]
    kept = all(rate.shape == y.shape and rate.dtype == y.dtype for rate, _ in pairs)
    miss = max(_apart(rate, parts) for rate, parts in pairs) if kept else inf
    return hold("structure", f, "the rate says one thing", "its parts another", miss=miss, allowed=allowed)


def spectrum(f: Dynamics, shape: Shape, *, seed: int = 0, allowed: float = 1e-6) -> float:
    """The eigenvalues of the derivative lie in the extent, damping left out. Without a claim: zero.

    They are taken at rest with biases of zero, where the derivative is the steepest, and at random features.

    Raises:    LawError
    """
    worst = 0.0
    moved, y = moving(f, seed=seed)(0.3), _random((1, *shape[1:]), seed)
    for theta, place in ((_at_rest(moved), torch.zeros_like(y)), (moved, y)):
        extent = f.extent(theta)
        if extent is None:
            return 0.0
        roots = _eigenvalues(f, theta, place)
        outside = [
            roots.imag.abs().max() - extent.imaginary,
            -roots.real.min() - extent.real,
            roots.real.max(),
        ]
        miss = max(0.0, *(float(value) for value in outside))
        sides = f"an eigenvalue lies {miss:.3g} outside", f"the extent is {extent}"
        # A double eigenvalue of zero is only known to the root of eps.
        worst = max(worst, hold("spectrum", f, *sides, miss=miss, allowed=allowed))
    return worst


def order(method: Integrator, f: Dynamics, shape: Shape, *, seed: int = 0, allowed: float = 0.15) -> float:
    """The error against a fine solution by Runge and Kutta falls as h^order, with weights that move in time.

    Returns the observed order.

    Raises:    LawError
    """
    path, y = moving(f, seed=seed), _random(shape, seed)
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
        begin = s = f.open(_random(shape, seed).to(dtype))
        done = []
        for thetas, h in _grid(method, moving(f, seed=seed), 2.0, steps, dtype):
            for shear in method.shears(f, h):
                taken = [thetas[k] for k in shear.samples]
                s = shear(taken, s)
                done.append((shear, taken))
        for shear, taken in reversed(done):
            s = shear.undo(s, shear.u(taken, shear.others(s)))
        miss = max(_apart(a, b) for a, b in zip(s[:1], begin[:1], strict=True))
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
    theta = _at_rest(moving(f, seed=seed)(0.3))
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
        return float(torch.linalg.eigvals(_jacobian(step, flat)).abs().max()) > 1 + 1e-6

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


def gradient(
    rule: BackwardRule, stage: Stage, shape: Shape, *, seed: int = 0, allowed: float = 1e-12
) -> float:
    """The rule gives the derivative that backprop gives, by `.backward()` and by `torch.func.vjp`.

    Shapes:    shape of the features; the stage in float64
    Raises:    LawError
    """
    y = _random(shape, seed)
    values = {name: value.detach() for name, value in stage.named_parameters()}
    downstream, kept = _random(shape, seed + 1), stage.rule
    found: list[list[Tensor]] = []
    try:
        for stage.rule in (Backprop(), rule):
            leaves = {name: value.clone().requires_grad_() for name, value in values.items()}
            start = y.clone().requires_grad_()
            end = functional_call(stage, leaves, (start,))
            by = [start, *leaves.values()]
            # What a wrong rule does not see has a derivative of zero, and is found out below.
            options = {"allow_unused": True, "materialize_grads": True}
            found.append(list(torch.autograd.grad(end, by, downstream, **options)))
        pull = torch.func.vjp(lambda p, y: functional_call(stage, p, (y,)), values, y)[1]
        by_values, by_start = pull(downstream)
        found.append([by_start, *(by_values[name] for name in values)])
    finally:
        stage.rule = kept
    worst = 0.0
    for way, gradients in zip((".backward()", "func.vjp"), found[1:], strict=True):
        miss = max(_apart(a, b) for a, b in zip(gradients, found[0], strict=True))
        sides = "backprop gives one derivative", f"by {way} the rule gives another"
        worst = max(worst, hold("gradient", rule, *sides, miss=miss, allowed=allowed))
    return worst


def memory(rule: BackwardRule, *, steps: tuple[int, int] = (2, 8), allowed: float = 1.1) -> float:
    """Return the growth of memory by forward and backward at many steps over that at few: about one.

    Growth is the peak resident size of a fresh process above its size before the forward pass, with waves
    whose state has 2 x 16 MB. The rule must be importable, and built without arguments.

    Raises:    LawError
    """
    kind = type(rule)
    body = "from wellposed.laws.flow import _print_growth; _print_growth"
    # glibc then gives large pieces back at once: what it keeps in holes is not what the rule holds.
    env = {**os.environ, "MALLOC_MMAP_THRESHOLD_": "1000000"}
    grown = []
    for count in steps:
        command = [sys.executable, "-c", f"{body}({kind.__module__!r}, {kind.__name__!r}, {count})"]
        done = subprocess.run(command, check=True, capture_output=True, text=True, env=env)
        grown.append(float(done.stdout))
    sides = f"{steps[0]} steps grow by {grown[0]:.0f} MB", f"{steps[1]} steps by {grown[1]:.0f} MB"
    return hold("memory", rule, *sides, miss=grown[1] / grown[0], allowed=allowed)


def taylor(part: nn.Module, shape: Shape, *, seed: int = 0, allowed: float = 0.1) -> float:
    """The remainder F(x + h v) - F(x) - h <gradient, v> falls as h^2, in weights and in features together.

    Returns the observed order.

    Shapes:    shape of the features; the part in float64
    Raises:    LawError
    """
    names = [name for name, _ in part.named_parameters()]
    x = [_random(shape, seed), *(value.detach() for value in part.parameters())]
    v = [_random(tuple(value.shape), seed + 1 + k) for k, value in enumerate(x)]
    v = [0.3 * direction / direction.norm().clamp_min(1.0) for direction in v]
    weights = _random(tuple(part(x[0]).shape), seed + 2)

    def value(inputs: Sequence[Tensor]) -> Tensor:
        given = dict(zip(names, inputs[1:], strict=True))
        return (weights * functional_call(part, given, (inputs[0],))).sum()

    leaves = [tensor.clone().requires_grad_() for tensor in x]
    start = value(leaves)
    base = float(start.detach())
    slopes = torch.autograd.grad(start, leaves, allow_unused=True, materialize_grads=True)
    along = sum(float((a * b).sum()) for a, b in zip(slopes, v, strict=True))

    def remainder(h: float) -> float:
        with torch.no_grad():
            moved = value([a + h * b for a, b in zip(x, v, strict=True)])
        return abs(float(moved) - base - h * along)

    far, near = remainder(1e-2), remainder(5e-3)
    # A part that is linear has no remainder but rounding.
    seen = 2.0 if far <= 1e-12 * max(1.0, abs(base)) else log2(far / max(near, 1e-300))
    sides = "the remainder falls by order 2", f"observed {seen:.3f}"
    hold("taylor", type(part).__name__, *sides, miss=2.0 - seen, allowed=allowed)
    return seen


def refine(control: Control, nodes: Sequence[float], *, allowed: float = 1e-14) -> float:
    """theta(t) is the same after refinement, between the nodes and beyond them too.

    Raises:    LawError
    """
    first, last = float(control.nodes[0]), float(control.nodes[-1])
    times = torch.linspace(first - 0.1, last + 0.1, 61, dtype=torch.float64)
    finer = control.refine(nodes)
    before, after = control.at(control.params, times), finer.at(finer.params, times)
    miss = max(float((before[name] - after[name]).detach().abs().max()) for name in before)
    return hold("refine", control, "theta(t) is one path", "refined another", miss=miss, allowed=allowed)


def passive(stage: Stage, shape: Shape, *, seed: int = 0, allowed: float = 1e-12) -> float:
    """Return by what factor a stage changes the distance of two states: not above one.

    Raises:    LawError
    """
    a, b = _random(shape, seed), _random(shape, seed + 1)
    with torch.no_grad():
        growth = float((stage(a) - stage(b)).norm() / (a - b).norm())
    sides = "two states", f"come out {growth:.6g} times as far apart"
    hold("passive", type(stage.dynamics).__name__, *sides, miss=growth, allowed=1 + allowed)
    return growth


def _at_rest(theta: Theta) -> dict[str, Tensor]:
    """Return the weights with biases of zero."""
    return {name: value * (value.ndim > 1) for name, value in theta.items()}


def _eigenvalues(f: Dynamics, theta: Theta, y: Tensor) -> Tensor:
    """Return those of the derivative of the rate without damping, of the explicit part where there is one."""
    if isinstance(f, Partitioned):
        first = _jacobian(lambda v: f.rate_first(theta, v), torch.zeros_like(y))
        second = _jacobian(lambda v: f.rate_second(theta, v), y)
        return torch.linalg.eigvals(first @ second).sqrt()
    assert isinstance(f, FirstOrder)
    rate = f.explicit if isinstance(f, SemiLinear) else f.rate
    return torch.linalg.eigvals(_jacobian(lambda v: rate(theta, v), y))


def _rates(f: Dynamics, theta: Theta, s: State) -> list[Tensor]:
    """Return the rate of every member of the state, damping included."""
    if isinstance(f, Partitioned):
        y, z = s
        return [f.rate_first(theta, z), f.rate_second(theta, y) - f.damping * z]
    assert isinstance(f, FirstOrder)
    return [f.rate(theta, s[0])]


def _runge_kutta(f: Dynamics, path: Path, s: State, steps: int) -> Tensor:
    """Return the features at time one by the classical method of order four."""
    h = 1 / steps

    def moved(s: State, by: Sequence[Tensor], share: float) -> State:
        return tuple(a + share * h * b for a, b in zip(s, by, strict=True))

    for j in range(steps):
        early, middle, late = (path((j + place) * h) for place in (0.0, 0.5, 1.0))
        k1 = _rates(f, early, s)
        k2 = _rates(f, middle, moved(s, k1, 0.5))
        k3 = _rates(f, middle, moved(s, k2, 0.5))
        k4 = _rates(f, late, moved(s, k3, 1.0))
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


def _print_growth(module: str, kind: str, steps: int) -> None:
    """Print in MB by how much a stage with this rule raises the peak (in a process of its own)."""
    import resource
    from importlib import import_module
    from pathlib import Path as File

    from wellposed.dynamics import Hyperbolic
    from wellposed.integrators import Leapfrog
    from wellposed.operators import Dense

    torch.set_num_threads(1)
    rule = getattr(import_module(module), kind)()
    stage = Stage(Hyperbolic(Dense(2)), Leapfrog(), time=1.0, steps=steps, backward=rule)
    stage(torch.randn(8, 2, requires_grad=True)).sum().backward()  # loads what torch loads on first use
    y = torch.randn(2**21, 2, requires_grad=True)
    before = int(File("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 2**20
    stage(y).sum().backward()
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10 - before)


def _jacobian(function: Callable[[Tensor], Tensor], y: Tensor) -> Tensor:
    whole: Tensor = torch.autograd.functional.jacobian(function, y)  # type: ignore[no-untyped-call]
    return whole.reshape(y.numel(), y.numel())


def _random(shape: Shape, seed: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def _apart(a: Tensor, b: Tensor) -> float:
    return float((a - b).norm() / b.norm().clamp_min(torch.finfo(b.dtype).tiny))
