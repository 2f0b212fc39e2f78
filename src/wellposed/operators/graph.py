"""Gradient and divergence on scattered points: stations, wells, meshes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from wellposed.errors import ShapeError, StructureError
from wellposed.operators.base import Operator, check_channels
from wellposed.operators.dense import Matrix
from wellposed.operators.family import Family, check_positive


@dataclass(frozen=True, eq=False)
class GraphGradient(Operator):
    """Weighted differences along the edges of a graph: (G y)[e] = w[e] (y[head e] - y[tail e]).

    -G' is the divergence, and G'G the graph's Laplacian: symmetric, non-negative, zero on constants.

    Shapes:    edges (2, edge), tail and head of each; weights (edge,);
               y (batch, channel, point) -> (batch, channel, edge)
    Units:     with w = 1 / distance, G y is a derivative along the edge
    Raises:    ShapeError when y has another number of points
    Reference: Eliasof, Haber and Treister, PDE-GCN, 2021, arXiv:2108.01938
    """

    edges: Tensor
    weights: Tensor
    points: int

    def apply(self, y: Tensor) -> Tensor:
        """Differences along the edges."""
        self._check(y, self.points, "points")
        tail, head = self.edges.to(y.device)
        return self.weights * (y[..., head] - y[..., tail])

    def apply_adjoint(self, z: Tensor) -> Tensor:
        """Sum of what flows into each point less what flows out."""
        self._check(z, self.edges.shape[1], "edges")
        tail, head = self.edges.to(z.device)
        flow = self.weights * z
        out = torch.zeros(*z.shape[:2], self.points, dtype=z.dtype, device=z.device)
        return out.index_add(2, head, flow).index_add(2, tail, -flow)

    def norm(self) -> float:
        """sqrt(2 max_i sum of w^2 over the edges of point i): Gershgorin's circles of G'G."""
        square = self.weights.detach().double().square()
        degree = torch.zeros(self.points, dtype=torch.float64, device=square.device)
        degree = degree.index_add(0, self.edges[0], square).index_add(0, self.edges[1], square)
        return float((2 * degree.max()).sqrt()) if square.numel() else 0.0

    @classmethod
    def examples(cls) -> Sequence[tuple[Self, tuple[int, ...]]]:
        """A ring with a chord, and scattered points."""
        ring = torch.tensor([[0, 1, 2, 3, 0], [1, 2, 3, 0, 2]])
        weights = torch.tensor([1.0, 0.5, 2.0, 1.0, -0.3], dtype=torch.float64)
        scattered = torch.rand(7, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
        near = Graph.of_points(1, scattered, neighbours=3)
        edges, distances = torch.tensor(near.edges).T, torch.tensor(near.weights, dtype=torch.float64)
        return [(cls(ring, weights, 4), (2, 3, 4)), (cls(edges, distances, 7), (1, 2, 7))]

    def _check(self, y: Tensor, count: int, word: str) -> None:
        if y.ndim != 3 or y.shape[2] != count:
            raise ShapeError(
                "a graph cannot act on this array",
                given=f"an array of shape {tuple(y.shape)}",
                expected=f"(batch, channel, {count} {word})",
                way_out="give the features of the points in the order of the graph",
            )


@dataclass(frozen=True, eq=False)
class MixedGradient(Operator):
    """M G y: differences along the edges, then a map over the channels.

    Shapes:    kernel M (out, in); y (batch, in, point) -> (batch, out, edge)
    """

    kernel: Tensor
    gradient: GraphGradient

    def apply(self, y: Tensor) -> Tensor:
        """M (G y)."""
        check_channels("a gradient on a graph", y, self.takes)
        return Matrix(self.kernel) @ (self.gradient @ y)

    def apply_adjoint(self, z: Tensor) -> Tensor:
        """G' (M' z)."""
        return self.gradient.T @ (Matrix(self.kernel).T @ z)

    @property
    def takes(self) -> int:
        """Columns of M."""
        return self.kernel.shape[1]

    @property
    def gives(self) -> int:
        """Rows of M."""
        return self.kernel.shape[0]

    def norm(self) -> float:
        """Product of both bounds."""
        return Matrix(self.kernel).norm() * self.gradient.norm()

    @classmethod
    def examples(cls) -> Sequence[tuple[Self, tuple[int, ...]]]:
        """Two channels to three on a ring with a chord."""
        kernel = torch.randn(3, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
        return [(cls(kernel, GraphGradient.examples()[0][0]), (2, 2, 4))]


@dataclass(frozen=True)
class Graph(Family):
    """Name the gradients on one graph, followed by a map over the channels: `channels` to `out`.

    With it the parabolic, hyperbolic and diffusion-reaction dynamics run on scattered points. The closest
    pair rules |K|: of 200 random points it makes an explicit step hundreds of times too long for `Parabolic`.
    Take `ImplicitEuler` there, or `Reaction` with the graph as its diffusion by `IMEX`.

    Shapes:    edges ((tail, head), ...), weights one an edge
    Raises:    StructureError when an edge leads to a point that is not there, or weights do not fit
    """

    channels: int
    points: int
    edges: tuple[tuple[int, int], ...]
    weights: tuple[float, ...]
    out: int | None = None

    def __post_init__(self) -> None:
        # An archive gives lists back.
        object.__setattr__(self, "edges", tuple((int(a), int(b)) for a, b in self.edges))
        object.__setattr__(self, "weights", tuple(float(w) for w in self.weights))
        check_positive("Graph", channels=self.channels, points=self.points, out=self.out)
        ends = [end for edge in self.edges for end in edge]
        fits = len(self.edges) == len(self.weights) and all(np.isfinite(self.weights))
        if not fits or not ends or min(ends) < 0 or max(ends) >= self.points:
            raise StructureError(
                "these edges make no graph",
                given=f"{len(self.edges)} edges between {self.points} points, {len(self.weights)} weights",
                expected="edges between points from 0 on, with a finite weight each",
                way_out="make it by Graph.of_points",
            )

    @classmethod
    def of_points(
        cls, channels: int, points: ArrayLike | Tensor, *, neighbours: int = 6, out: int | None = None
    ) -> Self:
        """Join each point to its nearest ones, each pair once, weighted by one over their distance.

        Shapes:    points (point, dimension)
        Raises:    StructureError when points are not (point, dimension), not finite, the same, or too few
        """
        from scipy.spatial import cKDTree

        places = np.asarray(points, np.float64)
        check_positive("Graph", neighbours=neighbours)
        _check_places(places, neighbours)
        distances, nearest = cKDTree(places).query(places, neighbours + 1)
        pairs = {
            (min(i, int(j)), max(i, int(j))): float(d)
            for i in range(len(places))
            for j, d in zip(nearest[i], distances[i], strict=True)
            if int(j) != i
        }
        if min(pairs.values()) == 0:
            raise StructureError(
                "two points lie in one place",
                given=f"points {next(pair for pair, d in pairs.items() if d == 0)}",
                expected="points that differ",
                way_out="leave one of them away, or average what was measured there",
            )
        edges = tuple(sorted(pairs))
        return cls(channels, len(places), edges, tuple(1 / pairs[edge] for edge in edges), out)

    @property
    def shape(self) -> tuple[int, ...]:
        """(out, in)."""
        return self.out or self.channels, self.channels

    def __repr__(self) -> str:
        """Return the numbers of all, not the edges themselves."""
        sizes = f"channels={self.channels}, points={self.points}, edges={len(self.edges)}"
        return f"Graph({sizes}, out={self.out})"

    def build(self, kernel: Tensor) -> MixedGradient:
        """Return the operator."""
        edges = torch.tensor(self.edges, device=kernel.device).T
        weights = torch.tensor(self.weights, dtype=kernel.dtype, device=kernel.device)
        return MixedGradient(kernel, GraphGradient(edges, weights, self.points))

    @classmethod
    def examples(cls) -> Sequence[tuple[Self, tuple[int, ...]]]:
        """Seven scattered points."""
        places = torch.rand(7, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
        return [(cls.of_points(2, places, neighbours=3), (2, 2, 7))]


def _check_places(places: NDArray[np.float64], neighbours: int) -> None:
    """Raise StructureError unless these are finite points, more of them than neighbours."""
    given, expected = f"points of shape {places.shape}", "points (point, dimension)"
    if places.ndim != 2:
        way_out = "points[:, None] are points on a line" if places.ndim == 1 else "give a row for each point"
        raise StructureError(
            "a graph is made of rows of coordinates", given=given, expected=expected, way_out=way_out
        )
    lost = np.flatnonzero(~np.isfinite(places).all(1))
    if len(lost):
        raise StructureError(
            "points have coordinates that are no finite numbers",
            given=f"{len(lost)} of {len(places)} points, the first in row {lost[0]}",
            expected="finite coordinates",
            way_out="leave these points away, and their features too",
        )
    if len(places) <= neighbours:
        turned = places.shape[1] > neighbours
        raise StructureError(
            "there are too few points for so many neighbours",
            given=f"{given}, {neighbours} neighbours",
            expected=f"{expected}, more of them than neighbours",
            way_out="hand over points.T" if turned else "ask for fewer neighbours",
        )
