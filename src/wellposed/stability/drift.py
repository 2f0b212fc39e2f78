"""How fast the Jacobian changes along a trajectory: whether frozen eigenvalues may be believed."""

from __future__ import annotations

import torch
from torch import Tensor

from wellposed.dynamics import Dynamics, Partitioned, State, Theta
from wellposed.network import Stage
from wellposed.stability.march import draw, march, push_columns, state_of
from wellposed.stability.spectrum import rates

_DENSE = 64  # unknowns up to which every column is asked for


def jacobian_drift(stage: Stage, y: Tensor | State, *, probes: int = 8) -> Tensor:
    """Return the share of the Jacobian J of the rate by which it changes in a unit of time, step by step.

        |J(t_j+1) - J(t_j)| / (h |J|),    |J| the mean of both ends, in the norm of Frobenius

    Eigenvalues with real parts not positive promise that perturbations do not grow where K changes
    sufficiently slowly: where this is well below the eigenvalues themselves. At twice a frequency of the
    network its turning resounds, and perturbations grow. Weights that move and features that move count
    alike. Zero where J is zero at both ends.

    For features of more than 64 unknowns norms are those of products with `probes` random directions,
    right to about 1 / sqrt(probes) at the worst, and the same directions at both ends.

    Shapes:    y features at the start, or the state there -> (batch, step)
    Units:     one over the units of the time grid, as eigenvalues
    Cost:      `probes` products with J a step
    Reference: Haber and Ruthotto, Stable architectures for deep neural networks, 2017, arXiv:1705.03341,
               section 3
    """
    with torch.no_grad():
        states = march(stage, state_of(stage, y))
    sampled = stage.control.at(stage.control.params, stage.discrete.nodes)
    found: list[Tensor] = []
    before = None
    for j, s in enumerate(states):
        theta = {name: value[j].detach().double() for name, value in sampled.items()}
        newest = stage.discrete.newest(j)
        here = tuple(a.double() for a in s[newest : newest + stage.dynamics.members])
        J = _products(stage.dynamics, theta, here, probes)
        if before is not None:
            size = (_norm(J) + _norm(before)) / 2
            found.append(_norm(J - before) / (stage.spans[j - 1] * size.clamp_min(1e-300)))
        before = J
    return torch.stack(found, 1)


def _products(f: Dynamics, theta: Theta, s: State, probes: int) -> Tensor:
    """Return products of J with directions, all halves of J below one another.

    Shapes:    (batch, unknown, k)
    """
    unknowns, batch = s[0][0].numel(), len(s[0])
    if unknowns <= _DENSE:
        columns = torch.eye(unknowns, dtype=s[0].dtype, device=s[0].device)
    else:
        columns = draw(unknowns, probes, like=s[0]) / probes**0.5
    wide = columns.expand(batch, -1, -1)
    found = [push_columns(rate, half, wide)[1] for rate, half in rates(f, theta, s)]
    if isinstance(f, Partitioned):  # the friction of the second half
        found.append(-f.damping * wide)
    return torch.cat(found, 1)


def _norm(J: Tensor) -> Tensor:
    return J.flatten(1).norm(dim=1)
