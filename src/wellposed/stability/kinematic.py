"""Kinematic eigenvalues: how perturbations grow along a trajectory, whatever frozen eigenvalues say."""

from __future__ import annotations

import torch
from torch import Tensor

from wellposed.dynamics import State
from wellposed.network import Stage
from wellposed.stability.march import Move, draw, flat, jacobian, moves, push_columns, state_of


def kinematic_eigenvalues(stage: Stage, y: Tensor | State, *, count: int | None = None) -> Tensor:
    """Discrete QR on the derivatives P_j of the steps of a stage.

        P_j Q_j = Q_(j+1) R_j,    kinematic eigenvalue i over step j:  log |(R_j)_ii| / h_j

    They are those of the steps, with what the integrator adds, not those of the differential equation.
    Columns of Q are perturbations of the state, first the one that grows most; with a past, of the features
    that the state was opened with. Without `count` there are as many as unknowns; with it, the first of them
    from a random start, which a short march knows only roughly.

    Shapes:    y features at the start, or the state there -> (batch, step, count), the largest first in the
               mean over the march
    Units:     one over the units of the time grid
    Cost:      `count` products with P_j and a QR decomposition a step
    Reference: Ascher, Mattheij and Russell, Numerical solution of boundary value problems for ordinary
               differential equations, 1995; Dieci, Russell and Van Vleck, SIAM J. Numer. Anal. 34 (1997)
    """
    s = state_of(stage, y)
    Q = torch.linalg.qr(_start(stage, s, count))[0]
    logs = []
    for move, h in zip(moves(stage), stage.spans, strict=True):
        s, moved = _push(move, s, Q)
        Q, R = torch.linalg.qr(moved)
        diagonal = R.diagonal(dim1=1, dim2=2).abs()
        logs.append(diagonal.clamp_min(torch.finfo(diagonal.dtype).tiny).log() / h)
    found = torch.stack(logs, 1)
    order = means(stage, found).argsort(1, descending=True)
    return found.gather(2, order[:, None].expand_as(found))


def kinematic_exponents(stage: Stage, y: Tensor | State, *, count: int | None = None) -> Tensor:
    """Return the means over a march of its kinematic eigenvalues, each step by its length.

    They are the exponents by which perturbations grow: positive where some of them do, though every frozen
    eigenvalue lie in the left half of the plane (and the other way round).

    Shapes:    y features at the start, or the state there -> (batch, count), the largest first
    Units:     one over the units of the time grid
    Cost:      as `kinematic_eigenvalues`
    """
    return means(stage, kinematic_eigenvalues(stage, y, count=count))


def means(stage: Stage, eigenvalues: Tensor) -> Tensor:
    """Return the means over the steps of a stage, each by its length.

    Shapes:    (batch, step, k) -> (batch, k)
    """
    h = torch.tensor(stage.spans, dtype=eigenvalues.dtype, device=eigenvalues.device)
    return torch.einsum("bjk,j->bk", eigenvalues, h / h.sum())


def _push(move: Move, s: State, Q: Tensor) -> tuple[State, Tensor]:
    """Return the next state and P Q, by the whole of P where Q is as large."""
    if Q.shape[1] > Q.shape[2]:
        return push_columns(move, s, Q)
    s, P = jacobian(move, s)
    return s, P @ Q


def _start(stage: Stage, s: State, count: int | None) -> Tensor:
    """Return perturbations of the state to begin with.

    Shapes:    (batch, unknown, count)
    """
    past = stage.integrator.past > 0
    free = s[0].flatten(1) if past else flat(s)  # a past is not free: it follows from the features
    batch, unknowns = free.shape
    columns = torch.eye(unknowns).to(free) if count is None else draw(unknowns, count, like=free)
    columns = columns.expand(batch, -1, -1)
    return push_columns(lambda y: state_of(stage, y[0]), s[:1], columns)[1] if past else columns
