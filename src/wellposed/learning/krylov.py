"""Conjugate gradients for the step of a Newton method: inexact, preconditioned, within a trust region."""

from __future__ import annotations

from collections.abc import Callable
from math import inf, sqrt
from typing import Literal, NamedTuple

import torch
from torch import Tensor

Map = Callable[[Tensor], Tensor]


class Solution(NamedTuple):
    """An approximate minimiser of s'Hs / 2 - b's, and how it was found.

    size       |s| in the norm of the preconditioner
    decrease   b's - s'Hs / 2, by how much the quadratic model falls
    ended      "tolerance", "products", "radius" at the edge of the trust region, or "flat" where H says
               that there is no curvature left to go along
    """

    step: Tensor
    products: int
    size: float
    decrease: float
    ended: Literal["tolerance", "products", "radius", "flat"]


def conjugate_gradients(
    product: Map, b: Tensor, precondition: Map, *, tolerance: float, products: int, radius: float = inf
) -> Solution:
    """Return s with |H s - b| <= tolerance |b|, or the best after so many products, with |s| <= radius.

    H symmetric and non-negative, M the preconditioner; all norms are those of M: |s|^2 = s'Ms,
    |r|^2 = r'M^-1 r. Every s lowers the model, so that -b being a gradient, s points downhill.

    Shapes:    b (n,)
    Reference: Steihaug, SIAM J. Numer. Anal. 20 (1983) 626-637; Conn, Gould and Toint, Trust-region methods,
               2000, section 7.5
    """
    s, r = torch.zeros_like(b), b.clone()
    z = precondition(r)
    p, rz = z, float(r @ z)
    first, decrease = rz, 0.0
    ss, sp, pp = 0.0, 0.0, rz  # s'Ms, s'Mp, p'Mp, by recurrence: M itself is never applied
    for count in range(products):
        if rz <= tolerance**2 * first:
            return Solution(s, count, sqrt(ss), decrease, "tolerance")
        Hp = product(p)
        curvature = float(p @ Hp)
        if not curvature > torch.finfo(b.dtype).eps * pp * 1e-3:
            # As far as the region allows along what the model does not bend; without a region, once.
            length = _to_edge(ss, sp, pp, radius) if radius < inf else 1.0 if count == 0 else 0.0
            size = sqrt(max(ss + 2 * length * sp + length**2 * pp, 0.0))
            return Solution(s + length * p, count + 1, size, decrease + length * rz, "flat")
        length = rz / curvature
        if ss + 2 * length * sp + length**2 * pp >= radius**2:
            length = _to_edge(ss, sp, pp, radius)
            gained = length * rz - length**2 * curvature / 2
            return Solution(s + length * p, count + 1, radius, decrease + gained, "radius")
        s = s + length * p
        decrease += length * rz / 2
        ss, before = ss + 2 * length * sp + length**2 * pp, rz
        r = r - length * Hp
        z = precondition(r)
        rz = float(r @ z)
        ratio = rz / before
        sp, pp = ratio * (sp + length * pp), rz + ratio**2 * pp
        p = z + ratio * p
    ended: Literal["tolerance", "products"] = "tolerance" if rz <= tolerance**2 * first else "products"
    return Solution(s, products, sqrt(ss), decrease, ended)


def _to_edge(ss: float, sp: float, pp: float, radius: float) -> float:
    """Return the positive length with |s + length p| = radius."""
    return (-sp + sqrt(max(sp**2 + pp * (radius**2 - ss), 0.0))) / pp
