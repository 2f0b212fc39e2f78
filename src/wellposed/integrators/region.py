"""How far the spectrum of a dynamics may be stretched before it leaves a region of stability."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from math import hypot, inf

import torch
from torch import Tensor

_ROUNDING = 1e-7  # growth that counts as none: a double root at the edge of a region shows the root of eps
_FAINT = 1e-12  # growth well inside a region, where no roots are double
_SIZES = torch.logspace(-2, 3, 400, dtype=torch.float64)  # of h times the spectrum, that are looked at


def reach(growth: Callable[[Tensor], Tensor], real: float, imaginary: float, triangle: bool = False) -> float:
    """Return the largest h for which no z of h ([-real, 0] + i [-imaginary, imaginary]) is enlarged.

    With `triangle` z is taken from that of 0 and -real +- i imaginary. growth is even in the imaginary part,
    and largest on the edge (it is the modulus of a polynomial, or of the largest root of one), so half of
    the edge is sampled. The sizes are scanned upward, since a region may have holes;
    the first that grows is then found by bisection. Zero when the smallest size grows already, infinite when
    the largest does not.
    """
    size = hypot(real, imaginary)
    return inf if size == 0 else _reach(growth, real / size, imaginary / size, triangle) / size


@lru_cache(maxsize=1024)
def _reach(growth: Callable[[Tensor], Tensor], real: float, imaginary: float, triangle: bool) -> float:
    """Return the reach of a spectrum of size one."""
    edge = _edge(real, imaginary, triangle)

    def grows(sizes: Tensor) -> Tensor:
        return growth(sizes[:, None] * edge).amax(1) > 1 + _ROUNDING

    beyond = grows(_SIZES).nonzero()
    if len(beyond) == 0:
        return inf
    first = int(beyond[0])
    if first == 0:
        return 0.0
    low, high = float(_SIZES[first - 1]), float(_SIZES[first])
    while high - low > 1e-12 * high:
        middle = (low + high) / 2
        low, high = (low, middle) if bool(grows(torch.tensor([middle]).double())) else (middle, high)
    # What grows from the start, only too little to be seen above the rounding, has no bound but zero.
    weak = float(growth(low / 2 * edge).amax()) > 1 + _FAINT
    return 0.0 if weak else low * (1 - _ROUNDING)


def _edge(real: float, imaginary: float, triangle: bool) -> Tensor:
    """Return points on the upper half of the edge of the rectangle, or of the triangle."""
    along = torch.linspace(0, 1, 129, dtype=torch.float64)
    x, y = -real * along, imaginary * along
    if triangle:
        return torch.cat([torch.complex(x, y), torch.complex(torch.full_like(y, -real), y)])
    sides = [
        torch.complex(x, torch.full_like(x, imaginary)),
        torch.complex(torch.full_like(y, -real), y),
        torch.complex(torch.zeros_like(y), y),
    ]
    return torch.cat(sides)
