"""J'J of deeper networks: its condition, the gradient, and the step of Gauss-Newton."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from math import log10, nan
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from wellposed.control import Control
from wellposed.dynamics import Dynamics, Extent, FirstOrder, Hamiltonian, Theta
from wellposed.dynamics.activation import activate
from wellposed.experiments.pictures import COLOURS
from wellposed.experiments.setting import Rows
from wellposed.integrators import Euler, Integrator, Verlet
from wellposed.learning import generator
from wellposed.network import Jacobian, Stage
from wellposed.operators import Dense

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DEPTHS, DRAWS, STEP, WIDTH = (4, 16, 64, 96), 5, 0.25, 4  # deeper ones hide J'J in rounding
ROUNDING = 1e3  # times eps: singular values below it, over the largest, are not known to three digits
COLUMNS = ("log10 of the condition of J'J", "gradient", "step of Gauss-Newton")


@dataclass(frozen=True)
class _Untied(FirstOrder):
    """y' = s(K y + b), K any matrix: the plain residual network."""

    operator: Dense

    def shapes(self) -> dict[str, tuple[int, ...]]:
        return {"K": self.operator.shape, "b": self.operator.shape[:1]}

    def rate(self, theta: Theta, y: Tensor) -> Tensor:
        return activate("relu", self.operator(theta["K"]) @ y, theta["b"])

    def extent(self, theta: Theta) -> Extent | None:
        return None

    @classmethod
    def examples(cls) -> list[Any]:
        return []


RECURRENCES: Mapping[str, tuple[Dynamics, Integrator]] = {
    "residual": (_Untied(Dense(WIDTH)), Euler()),
    "hamiltonian": (Hamiltonian(Dense(WIDTH), "tanh"), Verlet()),
}


def spectra(depths: Sequence[int]) -> list[dict[str, Any]]:
    """Return a row a network: medians over draws of what J says of the state at the end, by all weights."""
    rows = []
    for name, steps in product(RECURRENCES, depths):
        middle = torch.tensor([spectrum(name, steps, seed) for seed in range(DRAWS)]).median(0).values
        rows.append({"network": name, "steps": steps, **dict(zip(COLUMNS, middle.tolist(), strict=True))})
    return rows


def spectrum(name: str, steps: int, seed: int) -> list[float]:
    """Return log10 of the condition of J'J on its range, |J'r| and |J^+ r|, for one r of length one.

    What rounding hides is no number: singular values below it are those that J^+ needs most.
    """
    (f, integrator), draw = RECURRENCES[name], generator(seed, "spectra")

    def random(*shape: int) -> Tensor:
        return torch.randn(shape, generator=draw, dtype=torch.float64)

    y, r = random(2, WIDTH), torch.nn.functional.normalize(random(2 * WIDTH), dim=0)
    theta = {key: random(*shape) / 2 for key, shape in f.shapes().items()}
    control = Control.constant(theta, torch.arange(steps + 1) * STEP)
    stage = Stage(f, integrator, time=STEP * steps, steps=steps, control=control, bound="report")
    pull = Jacobian(stage, y).T
    units = torch.eye(2 * WIDTH, dtype=y.dtype).view(-1, *y.shape)
    J = torch.stack([torch.cat([v.flatten() for v in (pull @ e).values()]) for e in units])
    moves = J.any(1)  # what relu never lets through answers to no weight
    U, s, _ = torch.linalg.svd(J[moves], full_matrices=False)
    part = U.T @ r[moves]
    if s[-1] <= ROUNDING * torch.finfo(s.dtype).eps * s[0]:
        return [nan, float((s * part).norm()), nan]
    return [float(2 * (s[0] / s[-1]).log10()), float((s * part).norm()), float((part / s).norm())]


def digits(spectra: Rows) -> dict[str, float]:
    """Return the digits that J'J loses with depth, and by how many powers of ten gradient and step change."""
    measures = {}
    for name in RECURRENCES:
        first, *_, last = (row for row in spectra if row["network"] == name)
        condition, gradient, step = COLUMNS
        measures[f"{name}.digits"] = last[condition] - first[condition]
        measures[f"{name}.gradient"] = abs(log10(last[gradient] / first[gradient]))
        measures[f"{name}.step"] = abs(log10(last[step] / first[step]))
    return measures


def draw_depths(spectra: Rows) -> Figure:
    """Draw condition, gradient and step against depth."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 3, figsize=(9.5, 3.4))
    for panel, column in zip(axes, COLUMNS, strict=True):
        for name, colour in zip(RECURRENCES, COLOURS, strict=False):
            rows = [row for row in spectra if row["network"] == name]
            panel.plot([r["steps"] for r in rows], [r[column] for r in rows], "o-", color=colour, label=name)
        panel.set(xscale="log", xlabel="steps", title=column)
        panel.set_xticks([r["steps"] for r in rows], [f"{r['steps']}" for r in rows])
        panel.xaxis.set_minor_formatter("")
        if not column.startswith("log10"):
            panel.set_yscale("log")
    axes[0].legend()
    return figure
