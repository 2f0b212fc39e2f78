"""Laws of controls, stages and parts of a network: derivative, refinement, distances.

Each returns how far the object is from its law, and raises LawError naming both sides beyond that.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import log2

import torch
from torch import Tensor, nn
from torch.func import functional_call

from wellposed.control import Control
from wellposed.laws.law import Shape, draw, hold
from wellposed.network.stage import Stage


def taylor(part: nn.Module, shape: Shape, *, seed: int = 0, allowed: float = 0.1) -> float:
    """The remainder F(x + h v) - F(x) - h <gradient, v> falls as h^2, in weights and in features together.

    Returns the observed order.

    Shapes:    shape of the features; the part in float64
    Raises:    LawError
    """
    names = [name for name, _ in part.named_parameters()]
    x = [draw(shape, seed), *(value.detach() for value in part.parameters())]
    v = [draw(tuple(value.shape), seed + 1 + k) for k, value in enumerate(x)]
    v = [0.3 * direction / direction.norm().clamp_min(1.0) for direction in v]
    weights = draw(tuple(part(x[0]).shape), seed + 2)

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
    a, b = draw(shape, seed), draw(shape, seed + 1)
    with torch.no_grad():
        growth = float((stage(a) - stage(b)).norm() / (a - b).norm())
    sides = "two states", f"come out {growth:.6g} times as far apart"
    hold("passive", type(stage.dynamics).__name__, *sides, miss=growth, allowed=1 + allowed)
    return growth
