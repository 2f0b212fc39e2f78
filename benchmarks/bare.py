"""A step beside its bare twin: the same convolutions and the same solve, and nothing else.

The twin has no activation, bias, norm or update, and its kernels are given, not sampled from a control: what
no step with these operators can go below. Both sides differentiate by the features and by the kernels.
Features and gradient arrive with their channels last in memory, as they do inside a network.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import NamedTuple

import torch
from torch import Tensor

import wellposed as wp
from pairs import Run, features, forward_backward, quotient

CHANNELS, SHAPE = 64, (8, 64, 64, 64)
STEPS, H = 2, 0.5
CONV, STENCIL = wp.Conv(CHANNELS), wp.Stencil(CHANNELS)

Bare = Callable[..., Tensor]  # of features and kernels


class Case(NamedTuple):
    """A dynamics, how it steps, and its twin, which takes the kernels of these families."""

    dynamics: wp.Dynamics
    integrator: wp.Integrator
    bare: Bare
    families: tuple[wp.Family, ...]


def figures(pairs: int) -> dict[str, float]:
    groups = {
        "step_over_bare": plain_cases("relu"),
        "step_tanh": plain_cases("tanh"),
        "step_norm": normed_cases(),
    }
    return {
        f"{group}.{name}": quotient(f"{group}.{name}", *sides(case), pairs)
        for group, cases in groups.items()
        for name, case in cases.items()
    }


def plain_cases(activation: str) -> dict[str, Case]:
    """Every dynamics without a norm; residual and reaction are those of one convolution, which have none."""
    reaction = wp.SingleReaction(CONV, STENCIL, activation)
    return {
        "residual": Case(wp.SingleResidual(CONV, activation), wp.Euler(), single, (CONV,)),
        "antisymmetric": Case(wp.Antisymmetric(CONV, activation), wp.Euler(), skew, (CONV,)),
        "hamiltonian": Case(wp.Hamiltonian(CONV, activation), wp.Verlet(), turn, (CONV, CONV)),
        "parabolic": Case(wp.Parabolic(CONV, activation), wp.Euler(), symmetric, (CONV,)),
        "hyperbolic": Case(wp.Hyperbolic(CONV, activation), wp.Leapfrog(), symmetric, (CONV,)),
        "reaction": Case(reaction, wp.IMEX(), single_spread, (CONV, STENCIL)),
    }


def normed_cases() -> dict[str, Case]:
    """Those that have a channel norm, with relu; the Hamiltonian one is the double one."""
    hamiltonian = wp.DoubleHamiltonian(CONV, norm="channel")
    reaction = wp.Reaction(CONV, STENCIL)
    return {
        "residual": Case(wp.Residual(CONV), wp.Euler(), double, (CONV, CONV)),
        "hamiltonian": Case(hamiltonian, wp.Verlet(), two_symmetric, (CONV, CONV)),
        "parabolic": Case(wp.Parabolic(CONV, norm="channel"), wp.Euler(), symmetric, (CONV,)),
        "hyperbolic": Case(wp.Hyperbolic(CONV, norm="channel"), wp.Leapfrog(), symmetric, (CONV,)),
        "reaction": Case(reaction, wp.IMEX(), double_spread, (CONV, CONV, STENCIL)),
    }


def sides(case: Case) -> tuple[Run, Run]:
    """A stage of some steps, and as many of its twin one after another."""
    torch.manual_seed(0)
    # Antisymmetric dynamics lie outside of what Euler is stable for: here only the time counts.
    stage = wp.Stage(case.dynamics, case.integrator, time=STEPS * H, steps=STEPS, bound="report")
    kernels = [kernel(family) for _ in range(STEPS) for family in case.families]
    y, downstream = features(*SHAPE, last=True), features(*SHAPE, seed=2, last=True)

    def twin(y: Tensor) -> Tensor:
        given = iter(kernels)
        for _ in range(STEPS):
            y = case.bare(y, *(next(given) for _ in case.families))
        return y

    ours = forward_backward(stage, stage.parameters(), y, downstream)
    return ours, forward_backward(twin, kernels, y, downstream)


def kernel(family: wp.Family) -> Tensor:
    return (torch.randn(family.shape) * (2 * prod(family.shape[1:])) ** -0.5).requires_grad_()


def single(y: Tensor, K: Tensor) -> Tensor:
    return CONV(K) @ y


def double(y: Tensor, K1: Tensor, K2: Tensor) -> Tensor:
    return CONV(K2) @ (CONV(K1) @ y)


def skew(y: Tensor, K: Tensor) -> Tensor:
    return (CONV(K) - CONV(K).T) @ y


def turn(y: Tensor, K1: Tensor, K2: Tensor) -> Tensor:
    return CONV(K2) @ (CONV(K1).T @ y)


def symmetric(y: Tensor, K: Tensor) -> Tensor:
    return CONV(K).T @ (CONV(K) @ y)


def two_symmetric(y: Tensor, K1: Tensor, K2: Tensor) -> Tensor:
    return symmetric(symmetric(y, K1), K2)


def single_spread(y: Tensor, K: Tensor, d: Tensor) -> Tensor:
    return spread(single(y, K), d)


def double_spread(y: Tensor, K1: Tensor, K2: Tensor, d: Tensor) -> Tensor:
    return spread(double(y, K1, K2), d)


def spread(y: Tensor, d: Tensor) -> Tensor:
    D = STENCIL(d)
    return (D.T @ D).solve_shifted(H, y)
