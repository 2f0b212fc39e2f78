"""Minima of the loss of two weights, inside and outside the ellipse where steps are stable, and descent."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from math import inf, pi, sqrt
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from wellposed.dynamics import FirstOrder, Parabolic
from wellposed.experiments.pictures import COLOURS
from wellposed.experiments.setting import Outcome, Setting
from wellposed.experiments.stability_regions import reach
from wellposed.integrators import RK4, Euler, Integrator
from wellposed.integrators.discretisation import Discretisation
from wellposed.learning import generator
from wellposed.operators import Dense

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Matrix = Callable[[Tensor], Tensor]
Force = Callable[[Dense, str], FirstOrder]
Found = Mapping[tuple[str, str, int], Mapping[str, Any]]  # by activation, h and draw

TIME, TRUE = 5.0, (0.5, -0.2)  # TRUE: the weights that made the targets
STEPS = {"0.1": 50, "0.5": 10, "1": 5}  # h, and how many
ACTIVATIONS = {"relu": "ReLU", "tanh": "tanh"}
COLUMNS, NEW, STARTS = 10, 1000, 100
STRIDES = (4, 2, 1)  # of the finest grid
DEEP = 0.01  # of the median loss inside
ROUNDING = 1e-9  # of the loss: what is less deep is no minimum
SIDES = {"inside": True, "outside": False}
ROOM = 2 * 27**0.5 / pi - 1  # how much more of the square lies outside the ellipse: 2.3


def circulant(weights: Tensor) -> Tensor:
    """Return K for each (a, b), whose rows and columns sum to zero: (count, 3, 3)."""
    a, b = weights.T
    rows = ((a + b, -a, -b), (-b, a + b, -a), (-a, -b, a + b))
    return torch.stack([torch.stack(row, -1) for row in rows], -2)


def square(weights: Tensor) -> Tensor:
    """s^2 = 3 (a^2 + a b + b^2), the largest eigenvalue of K'K; steps are stable for h s^2 <= 2."""
    a, b = weights.T
    return 3 * (a * a + a * b + b * b)


@dataclass(frozen=True)
class Problem:
    """Move columns y to their targets c by K(a, b): y' = -K' s(K y), in steps of Euler.

    Shapes:    y and c (column, 3), weights (count, 2)
    """

    f: FirstOrder
    matrix: Matrix
    steps: int
    y: Tensor
    c: Tensor

    def residuals(self, weights: Tensor) -> Tensor:
        """Return y_N - c for each (a, b), (count, column, 3)."""
        return ends(self.f, Euler(), self.steps, self.matrix(weights), self.y) - self.c

    def loss(self, weights: Tensor) -> Tensor:
        """|y_N - c|^2 / 2, its mean over the columns, for each (a, b)."""
        return (self.residuals(weights).square().sum(-1).mean(-1) / 2).nan_to_num(inf)

    def inside(self, weights: Tensor) -> Tensor:
        """Whether steps with (a, b) are stable."""
        return TIME / self.steps * square(weights) <= 2

    def grid(self, count: int) -> Tensor:
        """Return (a, b) on a square around the ellipse."""
        side = torch.linspace(-1, 1, count, dtype=torch.float64) * sqrt(2 * self.steps / TIME)
        return torch.cartesian_prod(side, side)


def ends(f: FirstOrder, method: Integrator, steps: int, K: Tensor, y: Tensor) -> Tensor:
    """Return the columns at the end for each of many matrices, (count, column, 3)."""
    discrete, b = Discretisation(f, method, (TIME / steps,) * steps), y.new_zeros(3)

    def end(kernel: Tensor) -> Tensor:
        *_, (last,) = discrete.states([{"K": kernel, "b": b}] * len(discrete.times), (y,))
        return last

    return torch.func.vmap(end, chunk_size=4000)(K)


def run(setting: Setting, matrix: Matrix = circulant, dynamics: Force = Parabolic) -> Outcome:
    """Count the minima on either side of the ellipse, descend from both, and check what is exact."""
    exact = setting.piece("exact", partial(_exact, matrix, dynamics, setting.pick(300, 30)))
    found = {}
    for activation in ACTIVATIONS:
        f = dynamics(Dense(3), activation)
        for h in setting.pick(tuple(STEPS), ("0.5", "1")):
            for seed in setting.seeds:
                old, new = (_problem(f, matrix, STEPS[h], n, seed) for n in (COLUMNS, NEW))
                look = partial(_look, old, new, *setting.pick((401, 100), (61, 8)), seed)
                found[activation, h, seed] = setting.piece(f"{activation} h {h} draw {seed}", look)
    first = {key: value for key, value in found.items() if key[2] == setting.seeds[0]}
    pictures = {"landscape": _landscapes(first), "descent": _ended(first)}
    return Outcome({**exact, **_measures(found, setting.seeds)}, {"landscapes": _rows(found)}, pictures)


def _problem(f: FirstOrder, matrix: Matrix, steps: int, columns: int, seed: int) -> Problem:
    """Draw columns, and move them by the true weights for their targets."""
    draw = generator(seed, "landscape", columns)
    y = torch.randn(columns, 3, generator=draw, dtype=torch.float64)
    (c,) = ends(f, RK4(), 100, matrix(torch.tensor([TRUE], dtype=torch.float64)), y)
    return Problem(f, matrix, steps, y, c)


def _exact(matrix: Matrix, dynamics: Force, count: int) -> dict[str, Any]:
    """Return how far matrix and steps are from what is known of them."""
    draw, f = generator(0, "exact"), dynamics(Dense(3), "tanh")
    weights = torch.rand(100, 2, generator=draw, dtype=torch.float64) * 2 - 1
    K, s2, y = matrix(weights), square(weights), torch.randn(COLUMNS, 3, generator=draw, dtype=torch.float64)
    gram = s2[:, None, None] * (torch.eye(3, dtype=torch.float64) - 1 / 3)
    drift = (ends(f, Euler(), 50, K, y) - y).mean(-1)
    edges = [reach(Euler(), f, K[i], count) * float(s2[i]) / 2 for i in (s2 > 1).nonzero().flatten()[:5]]
    away, moved = float((K.mT @ K - gram).abs().max()), float(drift.abs().max())
    return {"gram": away, "means": moved, "edge.least": min(edges), "edge.most": max(edges)}


def _look(old: Problem, new: Problem, count: int, rounds: int, seed: int) -> dict[str, Any]:
    """Return what the loss is like inside and outside: minima, largest value, and where descent ends."""
    weights = old.grid(count)
    loss, inside = old.loss(weights), old.inside(weights)
    flat, places = loss.reshape(count, count), weights.reshape(count, count, 2)
    deep, mirrored = DEEP * float(loss[inside].median()), (flat - flat.flip(0, 1)).flatten()[inside]
    away, target = ((a - old.y.mean(-1, keepdim=True)).norm(dim=-1) for a in (old.y, old.c))
    minima = {f"{len(flat[::k])}^2": _minima(flat[::k, ::k], places[::k, ::k], deep) for k in STRIDES}
    minima["ten times as deep"] = _minima(flat, places, 10 * deep)
    starts = weights[torch.randperm(len(weights), generator=generator(seed, "starts"))]
    found: dict[str, Any] = {
        "bounded": float(loss[inside].max() / ((away + target).square().mean() / 2)),
        "symmetry": float(mirrored.abs().max() / loss[inside].max()),
        "picture": [round(v, 2) for v in flat[::2, ::2].clamp(1e-9, 1e9).log10().flatten().tolist()],
        "places": minima[f"{count}^2"].tolist(),
    }
    for side, sign in SIDES.items():
        end = descend(old, starts[old.inside(starts) == sign][:STARTS], rounds)
        counts = {name: int((old.inside(at) == sign).sum()) for name, at in minima.items()}
        found[side] = {
            "minima": counts,
            "finest": counts[f"{count}^2"],
            "largest": float(loss[inside == sign].max()),
            "reached": float((old.loss(end) <= loss.min() + deep).double().mean()),
            "loss": old.loss(end).tolist(),
            "new": new.loss(end).tolist(),
        }
    return found


def _minima(loss: Tensor, weights: Tensor, deep: float) -> Tensor:
    """Return the weights of minima of a grid that are deep, and deeper than rounding: (minimum, 2)."""
    found = [v[:2] for v in valleys(loss.numpy()) if v[2] > max(deep, ROUNDING * v[3])]
    return weights[tuple(torch.tensor(found, dtype=torch.long).reshape(-1, 2).T)]


def valleys(loss: NDArray[np.float64]) -> list[tuple[int, int, float, float]]:
    """Return the minima of a grid, (row, column, depth, loss): how far one climbs to get to a lower one.

    The grid is flooded from below; where lakes meet, all but the lowest end. What lies on the rim may be no
    minimum beyond it, and is left out.

    Reference: Edelsbrunner, Letscher and Zomorodian, Discrete Comput. Geom. 28 (2002) 511-533
    """
    padded, (rows, columns) = np.pad(loss, 1, constant_values=inf), loss.shape
    width, height = columns + 2, padded.ravel().tolist()
    order = np.argsort(padded, axis=None, kind="stable")[: int(np.isfinite(padded).sum())].tolist()
    rank = dict(zip(order, range(len(order)), strict=True))
    lake: dict[int, int] = {}  # from each flooded place one nearer to the lowest of its lake
    depth: dict[int, float] = {}

    def lowest(p: int) -> int:
        while lake[p] != p:
            lake[p] = p = lake[lake[p]]
        return p

    for p in order:
        around = (p + step for row in (-width, 0, width) for step in (row - 1, row, row + 1))
        near = {lowest(q) for q in around if q in lake}
        lake[p] = low = min(near, key=rank.__getitem__, default=p)
        if not near:
            depth[p] = inf
        for other in near - {low}:
            lake[other], depth[other] = low, height[p] - height[other]
    found = ((p // width - 1, p % width - 1, d, height[p]) for p, d in depth.items())
    return [v for v in found if 0 < v[0] < rows - 1 and 0 < v[1] < columns - 1]


def descend(problem: Problem, weights: Tensor, rounds: int) -> Tensor:
    """Descend from many starts at once by damped Gauss-Newton steps, taken where the loss falls.

    Shapes:    weights (start, 2) -> the same
    Reference: Marquardt, J. Soc. Indust. Appl. Math. 11 (1963) 431-441
    """
    loss, damping = problem.loss(weights), torch.full_like(weights, 1e-2)
    for _ in range(rounds):
        moved = weights.clone().requires_grad_()
        r = problem.residuals(moved).flatten(1)
        u = torch.zeros_like(r).requires_grad_()
        (back,) = torch.autograd.grad(r, moved, u, create_graph=True)  # J'u, whose derivative by u is J
        J = torch.stack([torch.autograd.grad(b.sum(), u, retain_graph=True)[0] for b in back.T], -1)
        A, slope = J.mT @ J, (J.mT @ r.detach()[..., None])[..., 0]
        size = A.diagonal(dim1=-2, dim2=-1) + 1e-100  # so that it can be solved where no weight matters
        tried = weights - torch.linalg.solve(A + torch.diag_embed(damping * size), slope)
        after = problem.loss(tried)
        fell = (after < loss)[:, None]
        weights, loss = torch.where(fell, tried, weights), torch.minimum(after, loss)
        damping = torch.where(fell, damping / 3, damping * 4).clamp(1e-8, 1e8)
    return weights


def _measures(found: Found, seeds: tuple[int, ...]) -> dict[str, Any]:
    """Return what the rule asks about: of the finest grid, at the step that speaks most against the claim."""
    measures: dict[str, Any] = {
        "bounded": max(value["bounded"] for value in found.values()),
        "symmetry": max(value["symmetry"] for key, value in found.items() if key[0] == "tanh"),
    }
    for name in ACTIVATIONS:
        draws = [[v for key, v in found.items() if key[::2] == (name, seed)] for seed in seeds]
        pairs = [[(v["inside"]["finest"], v["outside"]["finest"]) for v in vs] for vs in draws]
        largest = [[v["inside"]["largest"] for v in vs] for vs in draws]
        measures[f"{name}.inside"] = [max(a for a, _ in each) for each in pairs]
        measures[f"{name}.outside"] = [min(b for _, b in each) for each in pairs]
        measures[f"{name}.denser"] = [min(b / ROOM / max(a, 1) for a, b in each) for each in pairs]
        measures[f"{name}.spread"] = [max(each) / min(each) for each in largest]
        for side in SIDES:
            measures[f"{name}.reached_from_{side}"] = [min(v[side]["reached"] for v in vs) for vs in draws]
    return measures


def _rows(found: Found) -> list[dict[str, Any]]:
    """Return a row for each landscape."""
    rows = []
    for (activation, h, seed), value in found.items():
        row: dict[str, Any] = {"activation": ACTIVATIONS[activation], "h": h, "draw": seed}
        for side in SIDES:
            row |= {f"minima {side}, {name}": n for name, n in value[side]["minima"].items()}
            row[f"largest loss {side}"] = value[side]["largest"]
            row[f"reach the least loss from {side}"] = value[side]["reached"]
            row[f"median loss from {side}"] = float(np.median(value[side]["loss"]))
            row[f"median loss from {side}, new columns"] = float(np.median(value[side]["new"]))
        rows.append(row)
    return rows


def _panels(first: Found) -> tuple[Figure, list[tuple[Any, str, float, Mapping[str, Any]]]]:
    """Return a figure with a panel for each landscape: panel, title, h, what was found."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(2, len(first) // 2, figsize=(9.5, 6.4), squeeze=False)
    each = zip(axes.flat, first.items(), strict=True)
    return figure, [(at, f"{ACTIVATIONS[key[0]]}, h = {key[1]}", float(key[1]), v) for at, (key, v) in each]


def _landscapes(first: Found) -> Figure:
    """Draw the loss of the first draw, the ellipse, and the minima of the finest grid."""
    figure, panels = _panels(first)
    turn = torch.linspace(0, 2 * pi, 200, dtype=torch.float64)
    circle = torch.stack([turn.cos(), turn.sin()], 1)
    for panel, title, h, value in panels:
        count, far = round(len(value["picture"]) ** 0.5), sqrt(2 / h)
        image = np.array(value["picture"]).reshape(count, count).T
        shown = panel.imshow(image, origin="lower", extent=(-far, far, -far, far), vmin=-5, vmax=3)
        panel.plot(*(circle * (2 / h / square(circle)).sqrt()[:, None]).T, color="white", lw=1.5)
        panel.plot(*np.array(value["places"]).reshape(-1, 2).T, ".", color="#ff5c5c", ms=2)
        within, beyond = (value[side]["finest"] for side in SIDES)
        panel.set(title=f"{title}\n{within} minima inside, {beyond} outside", xlabel="a", ylabel="b")
    figure.colorbar(shown, ax=figure.axes, label=r"$\log_{10}$ of the loss", extend="both", shrink=0.7)
    figure.suptitle("Loss of two weights: forward Euler is stable inside the white ellipse; dots: minima")
    return figure


def _ended(first: Found) -> Figure:
    """Draw how many starts end below each loss, on the columns and on new ones."""
    figure, panels = _panels(first)
    for panel, title, _, value in panels:
        for side, colour in zip(SIDES, COLOURS, strict=False):
            for what, line in (("loss", "-"), ("new", "--")):
                loss, share = np.sort(value[side][what]), np.arange(1, STARTS + 1) / STARTS
                label = f"from {side}" if line == "-" else "new columns"
                panel.step(loss, share, line, where="post", color=colour, lw=1.5, label=label)
        panel.set(title=title, xscale="log", xlim=(1e-9, 1e4), ylim=(0, 1.02), xlabel="loss")
    for place in (0, len(panels) // 2):
        panels[place][0].set_ylabel("share of starts that end below")
    panels[0][0].legend(fontsize=8)
    figure.suptitle(f"Where descent from {STARTS} starts inside and {STARTS} outside the ellipse ends")
    return figure
