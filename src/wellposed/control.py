"""The weights as functions of time: theta(t), on nodes of their own."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Self

import torch
from torch import Tensor, nn

from wellposed.errors import StructureError, check_name

__all__ = ["BASES", "Control"]

BASES = ("linear", "constant")


class Control(nn.Module):
    """theta(t), linear between its nodes, or constant from each node to the next.

    The only owner of weights that vary in time. Its nodes need not be those of the steps: fewer of them
    make a smoother theta(t). Before the first node and after the last the weights stand still.

    Shapes:    nodes (node,), each weight (node, *shape)
    Units:     nodes in the units of the time grid
    Raises:    StructureError when nodes do not ascend, or weights do not fit them
    """

    def __init__(
        self, weights: Mapping[str, Tensor], nodes: Sequence[float] | Tensor, basis: str = "linear"
    ) -> None:
        super().__init__()
        # A buffer would be cast with the weights, and its times would no longer be those of the steps.
        self.nodes = torch.as_tensor(nodes, dtype=torch.float64).detach().cpu()
        self.basis = basis
        _check(self.nodes, weights, basis)
        self._times = tuple(self.nodes.tolist())
        self.weights = nn.ParameterDict({name: nn.Parameter(value) for name, value in weights.items()})

    @classmethod
    def constant(
        cls, theta: Mapping[str, Tensor], nodes: Sequence[float] | Tensor, basis: str = "linear"
    ) -> Self:
        """Return the control that is theta at every time, to begin with."""
        return cls({name: torch.stack([value] * len(nodes)) for name, value in theta.items()}, nodes, basis)

    @property
    def params(self) -> dict[str, Tensor]:
        """Weights at the nodes, by name."""
        return dict(self.weights.items())

    def at(self, params: Mapping[str, Tensor], times: Sequence[float] | Tensor) -> dict[str, Tensor]:
        """Return theta at some times for weights that are an argument: pure, and linear in them.

        Shapes:    params as `params`, times (time,) -> each (time, *shape)
        """
        asked = times.tolist() if isinstance(times, Tensor) else [float(time) for time in times]
        return interpolate(params, self._times, asked, self.basis)

    def sample(
        self, params: Mapping[str, Tensor], times: Sequence[float] | Tensor
    ) -> tuple[dict[str, Tensor], ...]:
        """Return theta at some times, one by one."""
        values = self.at(params, times)
        rows = zip(*(value.unbind() for value in values.values()), strict=True)
        return tuple(dict(zip(values, row, strict=True)) for row in rows)

    def refine(self, nodes: Sequence[float] | Tensor) -> Control:
        """Return a control on more nodes with the same theta(t) at every time.

        Raises:    StructureError when one of the old nodes is not among the new ones
        """
        finer = torch.as_tensor(nodes, dtype=torch.float64)
        lost = [float(node) for node in self.nodes if node not in finer]
        if lost:
            raise StructureError(
                "a refined control keeps its nodes",
                given=f"new nodes without {', '.join(f'{node:g}' for node in lost)}",
                expected=f"all of {', '.join(f'{float(node):g}' for node in self.nodes)}, and more",
                way_out="add the old nodes to the new ones",
            )
        with torch.no_grad():
            return self._with({name: v.clone() for name, v in self.at(self.params, finer).items()}, finer)

    def each(self, change: Callable[[Mapping[str, Tensor]], Mapping[str, Tensor]]) -> Control:
        """Return a control whose weights at every node are those of this one changed."""
        with torch.no_grad():
            changed = [change(theta) for theta in self.sample(self.params, self.nodes)]
            values = {name: torch.stack([theta[name] for theta in changed]) for name in self.weights}
            return self._with(values, self.nodes)

    def _with(self, values: Mapping[str, Tensor], nodes: Tensor) -> Control:
        """Return a control of other values, learned where this one is."""
        other = Control(values, nodes, self.basis)
        for name, value in self.weights.items():
            other.weights[name].requires_grad_(value.requires_grad)
        return other

    def extra_repr(self) -> str:
        """Nodes and basis."""
        return f"{len(self.nodes)} nodes from {self.nodes[0]:g} to {self.nodes[-1]:g}, {self.basis}"


def interpolate(
    values: Mapping[str, Tensor], nodes: Sequence[float], times: Sequence[float], basis: str = "linear"
) -> dict[str, Tensor]:
    """Return values at some times from those at nodes; before the first node and after the last they stand.

    Shapes:    values (node, *shape), nodes (node,), times (time,) -> each (time, *shape)
    """
    # Places and shares are numbers, not tensors, so that torch.compile takes them as constants.
    if tuple(times) == tuple(nodes):
        return dict(values)
    last = len(nodes) - 1
    near = 1e-9 * (nodes[-1] - nodes[0])  # sums of steps meet a node but for rounding
    before = [max(0, sum(node <= time + near for node in nodes) - 1) for time in times]
    after = [min(place + 1, last) for place in before]
    shares = [
        0.0
        if place == last
        else min(1.0, max(0.0, (time - nodes[place]) / (nodes[place + 1] - nodes[place])))
        for time, place in zip(times, before, strict=True)
    ]
    if basis == "constant" or not any(shares):
        return {name: value[before] for name, value in values.items()}
    return {
        name: torch.lerp(value[before], value[after], _weights(shares, value))
        for name, value in values.items()
    }


def _weights(shares: list[float], like: Tensor) -> Tensor:
    return torch.tensor(shares, dtype=like.dtype, device=like.device).reshape(-1, *(1,) * (like.ndim - 1))


def _check(nodes: Tensor, weights: Mapping[str, Tensor], basis: str) -> None:
    check_name("basis", basis, BASES)
    if nodes.ndim != 1 or not len(nodes) or not bool((nodes.diff() > 0).all()):
        raise StructureError(
            "the nodes of a control ascend in time",
            given=f"nodes {nodes.tolist()}",
            expected="at least one node, each later than the one before",
            way_out="sort the nodes and leave out those given twice",
        )
    counts = {name: len(value) for name, value in weights.items()}
    if any(count != len(nodes) for count in counts.values()):
        raise StructureError(
            "the weights of a control lie on its nodes",
            given=f"weights on {counts} nodes",
            expected=f"{len(nodes)} along the first axis of each",
            way_out="stack one set of weights a node, or use Control.constant",
        )
