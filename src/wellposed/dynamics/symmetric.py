"""The symmetric double layer K' s(K y + b), gradient of a convex energy: what several dynamics move by."""

from __future__ import annotations

import torch
from torch import Tensor

from wellposed.dynamics.activation import activate, check_activation
from wellposed.dynamics.base import Theta, check_family
from wellposed.dynamics.normalise import NORMS, check_norm
from wellposed.operators import Family


def check_symmetric(operator: Family, activation: str, norm: str) -> None:
    """Raise StructureError unless this is a family, and both names are known."""
    check_family(operator)
    check_activation(activation)
    check_norm(norm)


def symmetric_shapes(operator: Family, norm: str, number: str = "") -> dict[str, tuple[int, ...]]:
    """Return the shapes of K and b, and of the scale g that follows a norm."""
    out = operator.shape[:1]
    scale = {} if norm == "none" else {f"g{number}": out}
    return {f"K{number}": operator.shape, **scale, f"b{number}": out}


def symmetric(
    operator: Family, activation: str, norm: str, theta: Theta, y: Tensor, number: str = ""
) -> Tensor:
    """K' s(K y + b), with a norm K' s(g norm(K y) + b).

    Shapes:    y (batch, channel, *space) -> the same
    """
    K = operator(theta[f"K{number}"])
    u = NORMS[norm](K @ y)
    if norm != "none":
        g = theta[f"g{number}"]
        u = u * g.reshape(-1, *(1,) * (u.ndim - 2))
    return K.T @ activate(activation, u, theta[f"b{number}"])


def with_scales(values: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return weights to begin with, in which every scale g is one."""
    return {name: torch.ones_like(v) if name.startswith("g") else v for name, v in values.items()}
