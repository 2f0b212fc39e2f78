"""Eigenvalues of the derivative of a rate, frozen at places along a trajectory."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from wellposed.dynamics import Dynamics, FirstOrder, Partitioned, SemiLinear, State, Theta
from wellposed.errors import ResourceError
from wellposed.network import Stage
from wellposed.stability.march import Move, draw, flat, jacobian, march, push, state_of

_LEAST = 20  # products: a vector that converges at once may not be the rightmost


def jacobian_eigenvalues(
    stage: Stage,
    y: Tensor | State,
    *,
    places: Sequence[int] | None = None,
    dense: int = 512,
    tolerance: float = 1e-4,
    products: int = 300,
) -> Tensor:
    """Return the eigenvalues of the derivative J of the rate, before each step of a stage and after the last.

        first order            J = df/dy
        partitioned            lambda (lambda + c) = those of A B,   A = da/dz, B = db/dy

    All of them for features of at most `dense` unknowns. For larger ones the rightmost alone, by Arnoldi:
    products with J, and for a semilinear dynamics also with (I + h L)^-1, since the rightmost eigenvalue of
    a stiff J lies beyond the reach of products with J. It is found where its residual, of a vector of size
    one, is below `tolerance` / h: an error that a step does not feel. One that products hide may be missed.

    Negative real parts do not promise that perturbations fade when J moves: see `kinematic_exponents`.

    Shapes:    y features at the start, or the state there; places count steps from 0
               -> complex (place, batch, unknowns), or (place, batch, 1) for the rightmost
    Units:     one over the units of the time grid
    Raises:    ResourceError when the rightmost is not found
    Cost:      a product an unknown and a decomposition a place; `products` at most by Arnoldi
    Reference: Saad, Numerical methods for large eigenvalue problems, 2011, 6.2 and 8.4 (Davidson)
    """
    with torch.no_grad():
        states = march(stage, state_of(stage, y))
    sampled = stage.control.at(stage.control.params, stage.discrete.nodes)
    found = []
    for j in range(len(states)) if places is None else places:
        theta = {name: value[j].detach().double() for name, value in sampled.items()}
        newest = stage.discrete.newest(j)
        s = tuple(a.double() for a in states[j][newest : newest + stage.dynamics.members])
        h = [*stage.spans, stage.spans[-1]][j]
        with torch.no_grad():
            if s[0][0].numel() <= dense:
                found.append(_all(stage.dynamics, theta, s))
            else:
                each = [tuple(a[k : k + 1] for a in s) for k in range(len(s[0]))]
                alone = [_rightmost(stage.dynamics, theta, one, h, tolerance, products) for one in each]
                found.append(torch.stack(alone))
    return torch.stack(found)


def _all(f: Dynamics, theta: Theta, s: State) -> Tensor:
    """Return every eigenvalue.

    Shapes:    s of (batch, ...) -> (batch, unknowns)
    """
    J = [jacobian(rate, half)[1] for rate, half in rates(f, theta, s)]
    return roots(f, torch.linalg.eigvals(J[0] if len(J) == 1 else J[1] @ J[0]))


def rates(f: Dynamics, theta: Theta, s: State) -> list[tuple[Move, State]]:
    """Return the rates whose derivatives make J, or A B, the last factor first; and where they are taken."""
    if isinstance(f, FirstOrder):
        return [(lambda s: (f.rate(theta, s[0]),), s[:1])]
    assert isinstance(f, Partitioned)
    return [
        (lambda s: (f.rate_second(theta, s[0]),), s[:1]),
        (lambda s: (f.rate_first(theta, s[0]),), s[1:2]),
    ]


def roots(f: Dynamics, values: Tensor) -> Tensor:
    """Return lambda of each eigenvalue: of two halves both roots of lambda^2 + c lambda = value."""
    if not isinstance(f, Partitioned):
        return values
    root = (f.damping**2 / 4 + values).sqrt()
    return torch.cat([root, -root], -1) - f.damping / 2


def _rightmost(f: Dynamics, theta: Theta, s: State, h: float, tolerance: float, products: int) -> Tensor:
    """Return the rightmost eigenvalue for one example; of several, the one of the largest modulus.

    The space V grows by the residual of the best vector x in it: by J x, in effect, which is Arnoldi's
    method. Where J = e' - L is stiff the residual is smoothed by (I + h L)^-1 first, which is Davidson's.

    Shapes:    s of (1, ...) -> complex (1,)
    """
    factors, allowed, unknowns = rates(f, theta, s), tolerance / h, s[0].numel()

    def product(v: Tensor) -> Tensor:
        for rate, half in factors:
            v = flat(push(rate, half, (v.view_as(half[0]),))[1])
        return v.flatten()

    def smooth(v: Tensor) -> Tensor:
        return f.linear(theta).solve_shifted(h, v.view_as(s[0])).flatten() if isinstance(f, SemiLinear) else v

    rows = s[0].new_empty(2, min(products, unknowns), unknowns)
    new = smooth(smooth(draw(unknowns, like=s[0])))
    for count in range(1, rows.shape[1] + 1):
        rows[0, count - 1] = new / new.norm()
        rows[1, count - 1] = product(rows[0, count - 1])
        V, W = rows[:, :count]
        values, vectors = torch.linalg.eig(V @ W.T)
        root, k = _best(f, values, allowed)
        residual = _residual(V, W, vectors[:, k], values[k])
        miss = float(residual.norm())
        if isinstance(f, Partitioned):  # what it means for lambda
            miss = min(miss / max(float((2 * root + f.damping).abs()), 1e-300), miss**0.5)
        if miss <= (allowed if count >= min(_LEAST, unknowns) else 1e-6 * allowed):
            return root[None]
        new = smooth(max(residual, key=torch.norm))
        for _ in range(2):  # once loses what rounding adds
            new = new - (V @ new) @ V
    raise ResourceError(
        "the rightmost eigenvalue was not found",
        given=f"an uncertainty of {miss:.1e} after {count} products, about {complex(root):.3g}",
        expected=f"at most {allowed:.1e}",
        way_out="allow more products, or a larger tolerance",
    )


def _best(f: Dynamics, values: Tensor, allowed: float) -> tuple[Tensor, int]:
    """Return the rightmost lambda, and the place of the value that it comes from."""
    found = roots(f, values)
    level = found.real >= found.real.max() - allowed
    best = int((found.abs() * level).argmax())
    return found[best], best % len(values)


def _residual(V: Tensor, W: Tensor, c: Tensor, value: Tensor) -> Tensor:
    """Return the real and the imaginary part of J x - value x, x = V' c.

    Shapes:    V and W = J V (count, unknown) -> (2, unknown)
    """
    d = value * c
    return torch.stack([c.real, c.imag]) @ W - torch.stack([d.real, d.imag]) @ V
