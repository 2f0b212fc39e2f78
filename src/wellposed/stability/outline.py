"""What pictures of a stage show: the outline of its spectrum, and a perturbation on its way through."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from wellposed.dynamics import Dynamics, SemiLinear, State, Theta
from wellposed.network import Stage
from wellposed.stability.march import Passage, draw, flat, march, moves, push, state_of
from wellposed.stability.spectrum import rates, roots


def spectrum_outline(
    stage: Stage, y: Tensor | State, *, places: Sequence[int] | None = None, products: int = 40
) -> Tensor:
    """Return values about as far out as the eigenvalues of J for the first example, by Arnoldi's method.

    J as in `jacobian_eigenvalues`, but of the explicit part alone of a SemiLinear dynamics: that is what the
    step has to be short enough for. The outermost eigenvalues are met first, inner ones are values between
    them; all are exact where there are not more unknowns than products.

    Shapes:    y features at the start, or the state there; places count steps from 0, default both ends
               -> complex (place, value)
    Units:     one over the units of the time grid
    Cost:      `products` products with J a place
    Reference: Saad, Numerical methods for large eigenvalue problems, 2011, 6.2
    """
    with torch.no_grad():
        states = march(stage, tuple(a[:1] for a in state_of(stage, y)))
    sampled = stage.control.at(stage.control.params, stage.discrete.nodes)
    found = []
    for j in (0, len(states) - 1) if places is None else places:
        theta = {name: value[j].detach().double() for name, value in sampled.items()}
        newest = stage.discrete.newest(j)
        s = tuple(a.double() for a in states[j][newest : newest + stage.dynamics.members])
        found.append(roots(stage.dynamics, _ritz(stage.dynamics, theta, s, products)))
    return torch.stack(found)


def _ritz(f: Dynamics, theta: Theta, s: State, products: int) -> Tensor:
    """Return the eigenvalues of J, or of A B, on the span of its powers times a random direction."""
    factors = rates(f, theta, s)
    if isinstance(f, SemiLinear):
        factors = [(lambda s: (f.explicit(theta, s[0]),), s[:1])]
    unknowns = s[0].numel()
    count = min(products, unknowns)
    V, H = s[0].new_zeros(count + 1, unknowns), s[0].new_zeros(count + 1, count)
    start = draw(unknowns, like=s[0])
    V[0] = start / start.norm()
    for k in range(count):
        w = V[k]
        for rate, half in factors:
            w = flat(push(rate, half, (w.view_as(half[0]),))[1]).flatten()
        for _ in range(2):  # once loses what rounding adds
            shares = V[: k + 1] @ w
            H[: k + 1, k] += shares
            w = w - shares @ V[: k + 1]
        H[k + 1, k] = w.norm()
        V[k + 1] = w / H[k + 1, k].clamp_min(1e-300)
    return torch.linalg.eigvals(H[:count])


def growth_by_step(passage: Passage, direction: Tensor) -> Tensor:
    """Return how large a small perturbation of the features at the start of a stage is after each step.

    Shapes:    direction as the features -> (batch, step + 1), one at the start
    """
    stage = passage.stage
    y = stage.features(passage.start, 0)
    if stage.integrator.past > 0 or stage.halves:
        s, moved = push(lambda s: state_of(stage, s[0]), (y,), (direction,))
    else:
        s = passage.start
        moved = (direction, *(torch.zeros_like(a) for a in s[1:]))
    sizes = [direction.flatten(1).norm(dim=1)]
    for j, move in enumerate(moves(stage), 1):
        s, moved = push(move, s, moved)
        sizes.append(stage.features(moved, j).flatten(1).norm(dim=1))
    return torch.stack(sizes, 1) / sizes[0].clamp_min(torch.finfo(y.dtype).tiny)[:, None]
