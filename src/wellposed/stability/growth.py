"""Growth of a perturbation in its worst direction: the largest singular value of a derivative."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from wellposed.network import Part
from wellposed.network.part import still
from wellposed.stability.march import Map, Passage, carry, draw, push

Product = Callable[[Tensor], Tensor]
BRIEF = 20, 0.05  # products, and tolerance, of a direction that is nearly the worst


@dataclass(frozen=True, eq=False)
class Growth:
    """By how much small perturbations of the input are enlarged at most, and which of them is.

    Shapes:    factor (batch,); direction as y, of size one in every example; response as the output, the
               derivative times the direction
    """

    factor: Tensor
    direction: Tensor
    response: Tensor


def worst_growth(part: Part, y: Tensor, *, products: int = 60, tolerance: float = 1e-3) -> Growth:
    """Return the largest singular value of the derivative J of a part, for every example, by Lanczos on J'J.

        |J v| = factor |v|,    v the direction,    J' J v = factor^2 v

    What is found is never above the truth, and below it by about the square of the tolerance, which is that
    of |J'u - factor v| / factor. Large perturbations may grow otherwise: ask `largest_change`.

    Shapes:    y (batch, channel, *space)
    Cost:      up to `products` products with J and with J'
    Reference: Golub and Kahan, SIAM J. Numer. Anal. 2 (1965) 205-224
    """
    with still(part):
        return growth_of(partial(carry, part), y, products, tolerance)


def growth_of(features: Map, y: Tensor, products: int = 60, tolerance: float = 1e-3) -> Growth:
    """Return the growth by any map of features."""
    with torch.enable_grad():
        given = y.detach().clone().requires_grad_()
        out = features(given)

    def forward(v: Tensor) -> Tensor:
        return push(lambda s: (features(s[0]),), (y.detach(),), (v.view_as(y),))[1][0].flatten(1)

    def back(u: Tensor) -> Tensor:
        pulled = torch.autograd.grad(out, given, u.view_as(out), retain_graph=True, materialize_grads=True)
        return pulled[0].flatten(1)

    limit = min(products, given[0].numel(), out[0].numel())
    start = draw(*y.flatten(1).shape, like=y)
    found = bidiagonal(forward, back, start, limit, tolerance)
    direction = found.right.view_as(y)
    return Growth(found.value, direction, found.value[:, None].mul(found.left).view_as(out))


def worst_example(passage: Passage) -> Passage:
    """Return the passage of the example whose perturbations grow most, as far as a brief look tells."""
    y = passage.stage.features(passage.start, 0)
    return passage.only(int(growth_of(passage.features, y, *BRIEF).factor.argmax()))


class Triplet(NamedTuple):
    """Largest singular value of every example, with its vectors."""

    value: Tensor
    left: Tensor
    right: Tensor


def bidiagonal(forward: Product, back: Product, start: Tensor, limit: int, tolerance: float) -> Triplet:
    """Return the largest singular values by Golub and Kahan's bidiagonalisation, kept orthogonal.

    Shapes:    start (batch, unknown) and rows of the products
    """
    right: list[Tensor] = [_unit(start)[0]]
    left: list[Tensor] = []
    alphas: list[Tensor] = []
    betas: list[Tensor] = []
    while True:
        u, alpha = _unit(_apart(forward(right[-1]), left))
        left.append(u)
        alphas.append(alpha)
        w, beta = _unit(_apart(back(u), right))
        B = torch.diag_embed(torch.stack(alphas, 1))
        if betas:
            B = B + torch.diag_embed(torch.stack(betas, 1), 1)
        P, values, Q = torch.linalg.svd(B)
        miss = beta * P[:, -1, 0].abs()
        if len(left) == limit or bool((miss <= tolerance * values[:, 0]).all()):
            break
        right.append(w)
        betas.append(beta)
    ends = torch.einsum("kbn,bk->bn", torch.stack(left), P[:, :, 0])
    begins = torch.einsum("kbn,bk->bn", torch.stack(right), Q[:, 0])
    return Triplet(values[:, 0], ends, begins)


def _unit(rows: Tensor) -> tuple[Tensor, Tensor]:
    """Return rows of size one, and what the sizes were; a row of zeros stays."""
    size = rows.norm(dim=1)
    return rows / size.clamp_min(torch.finfo(rows.dtype).tiny)[:, None], size


def _apart(rows: Tensor, basis: list[Tensor]) -> Tensor:
    """Return rows less their shares along a basis; twice, since once loses what rounding adds."""
    for _ in range(2 if basis else 0):
        V = torch.stack(basis, 1)
        rows = rows - torch.einsum("bk,bkn->bn", torch.einsum("bkn,bn->bk", V, rows), V)
    return rows
