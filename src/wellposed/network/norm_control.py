"""Norm control: operators that have grown beyond the bound of the step are made smaller again."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from math import exp, inf, log

import torch
from torch import Tensor, nn

from wellposed.dynamics.base import check_finite
from wellposed.errors import StepError
from wellposed.network.stage import Stage

_TRIES, _CLOSE = 30, 1e-6  # of a factor, and how near the quotient comes to one from below
_FLAT = 0.01  # the least power with which a quotient is taken to grow


@torch.no_grad()
def limit_norms(net: nn.Module) -> float | None:
    """K <- s K at every node of every control, s <= 1, so that steps keep their bound from close below.

    The longest step that sees a node counts, then what lies between nodes. Biases and scales stay, so that
    what the operators say keeps its sign and its pattern. Returns the largest quotient of a step and its
    bound as it was before; None where no stage claims stability, and then nothing is changed.

    Raises:    StepError when a step lies beyond its bound with operators of zero, by its damping alone, or
               when no step is stable whatever the operators are
    Cost:      one norm a node; some more for those that are made smaller
    Reference: Ruthotto and Haber, Deep neural networks motivated by PDEs, 2018, arXiv:1804.04272, who clip
               each weight instead, which bounds no norm
    """
    stages = [module for module in net.modules() if isinstance(module, Stage)]
    ratios = [ratio for stage in stages if (ratio := _limit(stage)) is not None]
    return max(ratios, default=None)


def _limit(stage: Stage) -> float | None:
    """Make the operators of one stage smaller; return the largest quotient before."""
    control = stage.control
    between = not set(stage.discrete.times) <= set(control.nodes.tolist())
    largest = (stage.ratio() or 0.0) if between else 0.0
    for node, h in enumerate(_longest(stage)):
        theta = {name: value[node] for name, value in control.params.items()}
        check_finite(theta)
        quotient = partial(_ratio, stage, theta, h)
        ratio = quotient(1.0)
        if ratio is None:
            return None
        largest = max(largest, ratio)
        if ratio > 1:
            _scale(theta, _factor(stage, quotient, h))
    if between and (stage.ratio() or 0.0) > 1:
        # K1 of the one node meets K2 of the next: all become smaller together.
        before = {name: value.clone() for name, value in control.params.items()}

        def together(factor: float) -> float | None:
            for name, value in control.params.items():
                value.copy_(before[name] * (factor if value.ndim > 2 else 1.0))
            return stage.ratio()

        try:
            factor = _factor(stage, together, max(stage.spans))
        except StepError:
            together(1.0)
            raise
        together(factor)
    return largest


def _scale(theta: Mapping[str, Tensor], factor: float) -> None:
    for value in _operators(theta).values():
        value *= factor


def _factor(stage: Stage, asked: Callable[[float], float | None], h: float) -> float:
    """Return the largest factor with which a quotient of step and bound is at most one, from below."""

    def quotient(factor: float) -> float:
        return asked(factor) or 0.0

    if quotient(0.0) > 1:
        raise StepError(
            f"a step of {type(stage.integrator).__name__} lies beyond its bound with operators of zero",
            given=f"h = {h:.4g} with {stage.dynamics}",
            expected="a damping that the step can follow",
            way_out=f"take more than {len(stage.spans)} steps, or less damping",
        )
    # The quotient goes with a power of the factor, but for damping: a straight line through logarithms.
    low, high, power, at = 0.0, 1.0, 2.0, (1.0, quotient(1.0))
    for _ in range(_TRIES):
        factor = (low + high) / 2
        if 0 < at[1] < inf:
            guess = log(at[0]) - log(at[1] / (1 - _CLOSE / 2)) / power
            if (low == 0 or log(low) < guess) and guess < log(high):
                factor = exp(guess)
        found = quotient(factor)
        if 0 < found < inf and 0 < at[1] < inf and factor != at[0]:
            power = max((log(found) - log(at[1])) / (log(factor) - log(at[0])), _FLAT)
        low, high = (factor, high) if found <= 1 else (low, factor)
        at = factor, found
        if 1 - _CLOSE <= found <= 1:
            break
    if not low:
        stage.check_bound()
    return low


def _ratio(stage: Stage, theta: Mapping[str, Tensor], h: float, factor: float) -> float | None:
    """Return h over its bound with operators scaled by a factor."""
    scaled = {**theta, **{name: factor * value for name, value in _operators(theta).items()}}
    extent = stage.dynamics.extent(scaled)
    if extent is None:
        return None
    bound = stage.integrator.bound(extent)
    return h / bound if bound else inf


def _operators(theta: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the weights that are kernels: biases and scales have one axis."""
    return {name: value for name, value in theta.items() if value.ndim > 1}


def _longest(stage: Stage) -> list[float]:
    """Return for each node of the control the longest step in which theta(t) depends on it."""
    edges = [-inf, *stage.control.nodes.tolist(), inf]
    steps = list(zip(stage.discrete.nodes, stage.discrete.nodes[1:], stage.spans, strict=False))
    found = []
    for before, after in zip(edges, edges[2:], strict=False):
        seen = [h for start, end, h in steps if end > before and start < after]
        found.append(max(seen, default=0.0))
    return found
