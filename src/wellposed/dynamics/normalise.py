"""Norms without state, by name: they act at each place alone, over its channels."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from wellposed.errors import check_name


def channel_norm(u: Tensor) -> Tensor:
    """Return u / sqrt(mean over the channels of u^2 + 1/1000): no state, and no place sees another.

    Its derivative has the eigenvalues 1 / r and, along u, 0.001 / r^3 at a place of root mean square r: no
    norm bounds it near features of zero, and a dynamics with it claims no stability.

    Shapes:    u (batch, channel, *space) -> the same
    Reference: Ruthotto and Haber, Deep neural networks motivated by PDEs, 2018, arXiv:1804.04272, eq. 9
    """
    return u * torch.rsqrt(u.square().mean(1, keepdim=True) + 1e-3)


def edge_norm(u: Tensor) -> Tensor:
    """Return u / (1 + mean over the channels of u^2): what is large, as a difference at an edge, counts less.

    Its derivative has the eigenvalues 1 / (1 + r^2) and, along u, (1 - r^2) / (1 + r^2)^2 at a place of root
    mean square r: as low as -1/8. So it is not monotone, and a dynamics with it claims no stability.

    Shapes:    u (batch, channel, *space) -> the same
    Reference: Perona and Malik, IEEE Trans. Pattern Anal. Mach. Intell. 12 (1990) 629-639, eq. 9
    """
    return u / (1 + u.square().mean(1, keepdim=True))


NORMS: dict[str, Callable[[Tensor], Tensor]] = {
    "none": lambda u: u,
    "channel": channel_norm,
    "edge": edge_norm,
}


def check_norm(name: str) -> None:
    """Raise StructureError unless this is the name of a norm."""
    check_name("norm", name, NORMS)
