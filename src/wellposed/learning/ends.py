"""Where a search may end, and what is said where it may not."""

from __future__ import annotations

import torch

from wellposed.errors import StepError

ROUNDING = 100.0  # times eps: what of a value a search that fails may blame on it


def flat_enough(gradient: float, first: float, tolerance: float) -> str | None:
    """Return why a search may end here: the gradient has fallen to a share of its first, or was none."""
    if first == 0:
        return "there is no slope to go down: the gradient is zero"
    return (
        f"the gradient has fallen to {gradient / first:.1e} of its first"
        if gradient <= tolerance * first
        else None
    )


def is_rounding(promised: float, dtype: torch.dtype, *values: float) -> bool:
    """Whether a gain to first order is lost in the rounding of the largest of the values that were seen."""
    return promised <= ROUNDING * torch.finfo(dtype).eps * max(map(abs, values))


def stuck(method: str, value: float, gradient: float, promised: float) -> StepError:
    """Return what is to be said where no step lowers the value, and rounding is not why."""
    return StepError(
        f"no step along the direction of {method} lowers the objective",
        given=f"value {value:.6g}, |gradient| {gradient:.3g}, many steps tried",
        expected=f"a decrease, of {promised:.2g} to first order",
        way_out="look whether the objective is smooth, and always the same; take float64",
    )
