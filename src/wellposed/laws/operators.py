"""Laws of operators: adjoint, matrix, bound, solve, reach.

Each returns how far the object is from its law, and raises LawError naming both sides beyond that.
"""

from __future__ import annotations

from math import sqrt

import torch

from wellposed.laws.law import distance, draw, hold
from wellposed.operators.algebra import Normal
from wellposed.operators.base import Operator
from wellposed.operators.pattern import tensors_of, with_tensors


def dot(K: Operator, shape: tuple[int, ...], *, seed: int = 0, allowed: float = 1e-12) -> float:
    """<K y, z> = <y, K' z>, relative to |K y| |z|.

    Shapes:    shape (batch, channel, *space) of y
    Raises:    LawError
    """
    y = draw(shape, seed)
    Ky = K @ y
    z = draw(tuple(Ky.shape), seed + 1)
    left, right = float((Ky * z).sum()), float((y * (K.T @ z)).sum())
    scale = max(float(Ky.norm() * z.norm()), torch.finfo(torch.float64).tiny)
    sides = f"<K y, z> = {left:.15g}", f"<y, K' z> = {right:.15g}"
    return hold("dot", _name(K), *sides, miss=abs(left - right) / scale, allowed=allowed)


def matrix(K: Operator, shape: tuple[int, ...], *, seed: int = 0, allowed: float = 1e-12) -> float:
    """K y is the matrix of K times y, example by example, and the matrix of K' is its transpose.

    Shapes:    shape (batch, channel, *space) of y
    Raises:    LawError when K is not linear, mixes the examples of a batch, or its adjoint is another
    """
    y = draw(shape, seed)
    Ky = K @ y
    M, N = K.as_matrix(shape[1:]), K.T.as_matrix(tuple(Ky.shape[1:]))
    scale = max(float(M.norm()), torch.finfo(torch.float64).tiny)
    off = float((Ky.flatten(1) - y.flatten(1) @ M.T).abs().max()) / scale
    hold("matrix", _name(K), "K y by K", "by its matrix another", miss=off, allowed=allowed)
    turned = float((N - M.T).abs().max()) / scale
    hold("matrix", _name(K), "K' has one matrix", "K transposed another", miss=turned, allowed=allowed)
    return max(off, turned)


def bound(K: Operator, shape: tuple[int, ...], *, allowed: float = 1e-12) -> float:
    """Return K.norm() / |K| with |K| from its matrix at this shape: never below one.

    Shapes:    shape (batch, channel, *space); the matrix has prod(channel, *space) columns
    Raises:    LawError
    """
    claimed, true = K.norm(), float(torch.linalg.matrix_norm(K.as_matrix(shape[1:]), 2))
    sides = f"K.norm() = {claimed:.15g}", f"|K| = {true:.15g}"
    hold("bound", _name(K), *sides, miss=true - claimed, allowed=allowed * true)
    return claimed / true if true else 1.0


def kept(K: Operator, shape: tuple[int, ...]) -> None:
    """K y has the dtype and the device of y: float32, float64, and the device that holds no numbers.

    Shapes:    shape (batch, channel, *space) of y
    Raises:    LawError
    """
    for dtype, device in ((torch.float32, "cpu"), (torch.float64, "cpu"), (torch.float32, "meta")):
        there = with_tensors(K, [value.to(dtype=dtype, device=device) for value in tensors_of(K)])
        y = torch.ones(shape, dtype=dtype, device=device)
        result = y
        # One after the other: K' of a wrong dtype would fail before the law could say so.
        for word, K_or_adjoint in (("K y", there), ("K' K y", there.T)):
            result = K_or_adjoint @ result
            same = result.dtype == dtype and result.device == y.device
            sides = f"y is {dtype} on {device}", f"{word} is {result.dtype} on {result.device}"
            hold("kept", _name(K), *sides, miss=float(not same), allowed=0.0)


def shifted(
    L: Operator, shape: tuple[int, ...], *, h: float = 0.7, seed: int = 0, allowed: float = 1e-10
) -> float:
    """(I + h L) x = b for x = solve_shifted(h, b), as the dense solve says; L symmetric; <y, L y> >= 0.

    Shapes:    shape (batch, channel, *space) of b
    Raises:    LawError
    """
    name = f"K'K of {_name(L.root)} by {L.root.solver.name}" if isinstance(L, Normal) else _name(L)
    b, y = draw(shape, seed), draw(shape, seed + 1)
    x = L.solve_shifted(h, b)
    back = distance(x + h * (L @ x), b)
    hold("shifted", name, "(I + h L) x was asked to be b", "it is not", miss=back, allowed=allowed)
    M = L.as_matrix(shape[1:])
    skew = distance(M.T, M)
    hold("shifted", name, "L has one matrix", "its transpose is another", miss=skew, allowed=allowed)
    dense = torch.linalg.solve(torch.eye(len(M), dtype=M.dtype) + h * M, b.flatten(1).T).T.reshape(b.shape)
    apart = distance(x, dense)
    hold("shifted", name, "solve_shifted gives one x", "the dense solve another", miss=apart, allowed=allowed)
    energy = float((y * (L @ y)).sum())
    floor = allowed * float(y.norm() * (L @ y).norm())
    hold("shifted", name, f"<y, L y> = {energy:.3g}", "it must not be negative", miss=-energy, allowed=floor)
    return max(back, skew, apart)


def reach(K: Operator, *, h: float = 1.0, size: int = 48, allowed: float = 1e-3) -> float:
    """Return the rate r at which (I + h K'K)^-1 of an impulse falls off, K a first difference over a line.

        r = (1 + 2 h - sqrt(1 + 4 h)) / (2 h): 0.084, 0.382, 0.730 for h = 0.1, 1, 10

    "One implicit step couples the whole grid" is true, and this is how strongly.

    Raises:    LawError when the observed rate, four samples from the impulse, is another
    """
    impulse = torch.zeros(1, 1, size, dtype=torch.float64)
    impulse[0, 0, size // 2] = 1.0
    x = (K.T @ K).solve_shifted(h, impulse)[0, 0]
    observed = float(x[size // 2 + 5] / x[size // 2 + 4])
    expected = (1 + 2 * h - sqrt(1 + 4 * h)) / (2 * h)
    sides = f"the response falls by {observed:.6g} a sample", f"a first difference gives {expected:.6g}"
    hold("reach", _name(K), *sides, miss=abs(observed - expected) / expected, allowed=allowed)
    return observed


def _name(K: Operator) -> str:
    tensors = ", ".join(str(tuple(value.shape)) for value in tensors_of(K))
    return f"{type(K).__name__}({tensors or 'no weights'}{_boundary(K)})"


def _boundary(K: Operator) -> str:
    boundary = getattr(K, "boundary", None)
    return f", {boundary}" if boundary else ""
