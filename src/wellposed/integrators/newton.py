"""Roots of equations by Newton's method, each linear system by GMRES; examples of a batch apart."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from wellposed.errors import StepError

Map = Callable[[Tensor], Tensor]
_FORCING = 1e-4  # of |g| to which the linear system of an iteration is solved: the next one mends the rest


@dataclass(frozen=True)
class NewtonKrylov:
    """Find x with g(x) = 0, each example of the batch for itself.

        x <- x - s (g'(x))^-1 g(x),    s = 1, 1/2, 1/4 ... until |g| falls

    Raises:    StepError when |g| does not come below the tolerance
    Cost:      a few iterations, each of some products with g'
    Reference: Knoll and Keyes, Jacobian-free Newton-Krylov methods, J. Comput. Phys. 193 (2004) 357-397
    """

    tolerance: float | None = None  # of |g| relative to |x|; None: 1e-12 in float64, 1e-5 in float32
    iterations: int = 30
    krylov: int = 60  # vectors that GMRES keeps before it begins anew

    def root(self, g: Map, x: Tensor) -> Tensor:
        """Return the root that is found from x; not differentiable."""
        limit = self.limit(x)
        r = g(x)
        for _ in range(self.iterations):
            if bool((size(r) <= limit * (size(x) + limit)).all()):
                return x
            step = gmres(push(g, x), -r, _FORCING, self.krylov)
            x, r = _damped(g, x, step, r)
        left = float((size(r) / size(x).clamp_min(limit)).max())
        raise StepError(
            "Newton's method did not find the end of an implicit step",
            given=f"|g| of {left:.1e} of the features after {self.iterations} steps",
            expected=f"at most {limit:.1e}",
            way_out="take smaller steps or smaller weights",
        )

    def limit(self, like: Tensor) -> float:
        """Return the tolerance for features of this precision."""
        return self.tolerance or (1e-12 if like.dtype == torch.float64 else 1e-5)

    def solve(self, A: Map, b: Tensor) -> Tensor:
        """Return x with A x = b for a linear map, to the tolerance."""
        return gmres(A, b, self.limit(b), self.krylov)


def push(g: Map, x: Tensor) -> Map:
    """Return v -> g'(x) v. The pull is linear, so its own pull is the push; no forward mode is used."""
    pull = torch.func.vjp(g, x)[1]
    pushed = torch.func.vjp(lambda w: pull(w)[0], torch.zeros_like(x))[1]
    return lambda v: pushed(v)[0]


def gmres(A: Map, b: Tensor, tolerance: float, krylov: int, restarts: int = 10) -> Tensor:
    """Return x with |b - A x| <= tolerance |b| for every example, or the best that was found.

    Shapes:    b (batch, ...), A on the same, example by example
    Reference: Saad and Schultz, SIAM J. Sci. Stat. Comput. 7 (1986) 856-869
    """
    x, goal = torch.zeros_like(b), tolerance * size(b)
    for _ in range(restarts):
        r = b - A(x)
        beta = size(r)
        if bool((beta <= goal).all()):
            break
        x = x + _correction(A, r, beta, goal, min(krylov, b[0].numel()))
    return x


def size(a: Tensor) -> Tensor:
    """|a| of every example.

    Shapes:    (batch, ...) -> (batch,)
    """
    return a.flatten(1).norm(dim=1)


def _correction(A: Map, r: Tensor, beta: Tensor, goal: Tensor, krylov: int) -> Tensor:
    """Return the vector of the Krylov space that makes the residual least."""
    batch, tiny = len(r), torch.finfo(r.dtype).tiny
    V = [r.flatten(1) / beta.clamp_min(tiny)[:, None]]
    H = r.new_zeros(batch, 1, 0)
    target = r.new_zeros(batch, krylov + 1, 1)
    target[:, 0, 0] = beta
    for j in range(krylov):
        w = A(V[j].view_as(r)).flatten(1)
        shares = [torch.zeros_like(beta)] * len(V)
        for _ in range(2):  # twice: once loses orthogonality at tolerances near rounding
            for i, v in enumerate(V):
                share = (v * w).sum(1)
                shares[i] = shares[i] + share
                w = w - share[:, None] * v
        length = w.norm(dim=1)
        V.append(w / length.clamp_min(tiny)[:, None])
        # Nothing is written into a matrix: a derivative of the derivative goes through here.
        H = torch.cat([F.pad(H, (0, 0, 0, 1)), torch.stack([*shares, length], 1)[:, :, None]], 2)
        aim = target[:, : j + 2]
        y = torch.linalg.pinv(H) @ aim
        if bool(((H @ y - aim).norm(dim=1)[:, 0] <= 0.5 * goal).all()):
            break
    return torch.einsum("kbn,bk->bn", torch.stack(V[: y.shape[1]]), y[:, :, 0]).view_as(r)


def _damped(g: Map, x: Tensor, step: Tensor, r: Tensor) -> tuple[Tensor, Tensor]:
    """Return the next x and g there: steps of examples whose |g| does not fall are halved."""
    share = torch.ones_like(size(r))
    for _ in range(12):
        tried = x + share.view(-1, *(1,) * (x.ndim - 1)) * step
        found = g(tried)
        worse = size(found) > size(r)
        if not bool(worse.any()):
            break
        share = torch.where(worse, share / 2, share)
    return tried, found
