"""What eigenvalues of the weights promise, and how perturbations grow: kinematic exponents beside them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from math import atanh, pi, sqrt
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from wellposed.control import Control
from wellposed.dynamics import Antisymmetric, Dynamics, SingleResidual
from wellposed.experiments.pictures import COLOURS
from wellposed.experiments.setting import Outcome, Setting
from wellposed.integrators import RK4, Discretisation
from wellposed.network import Stage
from wellposed.operators import Dense
from wellposed.stability import jacobian_eigenvalues, kinematic_eigenvalues, kinematic_exponents

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Matrix = Callable[[Tensor], Tensor]  # times (time,) -> (time, 2, 2)
Network = Callable[[torch.Generator, bool], tuple[Stage, Tensor]]  # a draw, quick -> with features

ROUNDING = 1e-9  # of an eigenvalue on the imaginary axis
SWINGS = {0.5: 0.0537, 1.0: 0.2985, 2.0: 0.5025, 2.5: 0.4033, 3.0: 0.0, 4.0: 0.0, 8.0: 0.0}
KNOWN = {
    "Markus-Yamabe": (0.5, -1.0),
    "Vinograd": (2.0, -13.0),
    "Wu": (-1.0, -10.0),
    **{f"swing {w:g}": (exponent, -exponent) for w, exponent in SWINGS.items()},
}


def markus(t: Tensor) -> Tensor:
    """Frozen eigenvalues -1/4 +- i sqrt(7)/4 at every time."""
    c, s = t.cos(), t.sin()
    return _rows(-1 + 1.5 * c * c, 1 - 1.5 * s * c, -1 - 1.5 * s * c, -1 + 1.5 * s * s)


def vinograd(t: Tensor) -> Tensor:
    """Frozen eigenvalues -1 and -10 at every time."""
    c, s = (6 * t).cos(), (6 * t).sin()
    return _rows(
        -1 - 9 * c * c + 12 * s * c,
        12 * c * c + 9 * s * c,
        -12 * s * s + 9 * s * c,
        -1 - 9 * s * s - 12 * s * c,
    )


def wu(t: Tensor) -> Tensor:
    """Frozen eigenvalues 2 and -13 at every time."""
    c, s = (12 * t).cos(), (12 * t).sin()
    return _rows(-5.5 + 7.5 * s, 7.5 * c, 7.5 * c, -5.5 - 7.5 * s)


def swing(w: float) -> Matrix:
    """D(t) S, D = diag(1 + cos wt, 1 - cos wt) / 2, S = 2 [[0, 1], [-1, 0]]: an activation that swings."""

    def matrix(t: Tensor) -> Tensor:
        c = (w * t).cos()
        return _rows(torch.zeros_like(t), 1 + c, c - 1, torch.zeros_like(t))

    return matrix


def _rows(a: Tensor, b: Tensor, c: Tensor, d: Tensor) -> Tensor:
    return torch.stack([a, b, c, d], -1).view(-1, 2, 2)


MATRICES: Mapping[str, Matrix] = {
    "Markus-Yamabe": markus,
    "Vinograd": vinograd,
    "Wu": wu,
    **{f"swing {w:g}": swing(w) for w in SWINGS},
}


def squeezed(draw: torch.Generator, quick: bool) -> tuple[Stage, Tensor]:
    """K stands still; the bias keeps step with the features, so that D = diag(1, 0.01) does too.

    y' = s(K y + b(t)), y = t s(u), b(t) = u - K y, s'(u) = D: the Jacobian is D K at every time.
    """
    K = torch.tensor([[1.0, -4.0], [1.0, -2.0]], dtype=torch.float64)
    u = torch.tensor([0.0, atanh(sqrt(0.99))], dtype=torch.float64)
    time, steps = 20.0, 200
    control = Control({"K": torch.stack([K, K]), "b": torch.stack([u, u - K @ (time * u.tanh())])}, [0, time])
    return _stage(SingleResidual(Dense(2)), control, time, steps), K.new_zeros(1, 2)


def shifted(channels: int, draw: torch.Generator, quick: bool) -> tuple[Stage, Tensor]:
    """K normal, and moved to the left until its rightmost eigenvalue is zero."""
    K = torch.randn(channels, channels, generator=draw, dtype=torch.float64)
    K = K - torch.linalg.eigvals(K).real.max() * torch.eye(channels, dtype=torch.float64)
    return _random(SingleResidual(Dense(channels)), K[None], draw, quick)


def antisymmetric(
    channels: int, draw: torch.Generator, quick: bool, moving: bool = False, damping: float = 0.0
) -> tuple[Stage, Tensor]:
    """A - A', A normal; moving ones are drawn anew every 10 units of time."""
    count = 21 if moving else 1
    kernels = torch.randn(count, channels, channels, generator=draw, dtype=torch.float64)
    return _random(Antisymmetric(Dense(channels), damping=damping), kernels, draw, quick)


NETWORKS: Mapping[str, Network] = {
    "squeezed": squeezed,
    "shifted 16": partial(shifted, 16),
    **{f"antisymmetric {n}": partial(antisymmetric, n) for n in (2, 3, 4, 8, 16)},
    "antisymmetric 16 moving": partial(antisymmetric, 16, moving=True),
}


def _random(f: Dynamics, kernels: Tensor, draw: torch.Generator, quick: bool) -> tuple[Stage, Tensor]:
    """Return a network with biases of std 0.3, kernels 10 units of time apart, and normal features."""
    time, steps, points = (20.0, 200, 4) if quick else (200.0, 5000, 8)
    b = 0.3 * torch.randn(f.channels, generator=draw, dtype=torch.float64)
    nodes = [10.0 * k for k in range(len(kernels))]
    control = Control({"K": kernels, "b": b.repeat(len(nodes), 1)}, nodes)
    y = torch.randn(points, f.channels, generator=draw, dtype=torch.float64)
    return _stage(f, control, time, steps), y


def _stage(f: Dynamics, control: Control, time: float, steps: int) -> Stage:
    return Stage(f, RK4(), time=time, steps=steps, control=control, bound="report")


def at_rest(matrix: Matrix, time: float, steps: int) -> Stage:
    """Return y' = tanh(K(t) y): at features of zero its Jacobian is K(t)."""
    f = SingleResidual(Dense(2))
    times = Discretisation(f, RK4(), (time / steps,) * steps).times
    K = matrix(torch.tensor(times, dtype=torch.float64))
    return _stage(f, Control({"K": K, "b": K.new_zeros(len(K), 2)}, times), time, steps)


def run(
    setting: Setting, matrices: Mapping[str, Matrix] = MATRICES, networks: Mapping[str, Network] = NETWORKS
) -> Outcome:
    """Put the eigenvalues of the weights beside the exponents of perturbations."""
    known = {
        name: setting.piece(name, partial(of_matrix, matrix, name, setting.quick))
        for name, matrix in matrices.items()
    }
    found = {
        name: [
            setting.piece(f"{name}, seed {seed}", partial(of_network, network, seed, setting.quick))
            for seed in setting.seeds
        ]
        for name, network in networks.items()
    }
    misses = [
        abs(a - b) for name in KNOWN for a, b in zip(known[name]["exponents"], KNOWN[name], strict=True)
    ]
    measures: dict[str, Any] = {"known.miss": max(misses)}
    for name, one in known.items():
        measures |= {f"{name}.exponent": one["exponents"][0], f"{name}.rightmost": one["rightmost"]}
    for name, seeds in found.items():
        measures |= {f"{name}.{what}": [one[what] for one in seeds] for what in seeds[0]}
    still = [one["exponents"][0] for one in known.values() if one["rightmost"] <= ROUNDING]
    measures["promised.exponent"] = [
        max([*still, *(one[k]["exponent"] for one in found.values() if one[k]["rightmost"] <= ROUNDING)])
        for k in range(len(setting.seeds))
    ]
    curve = setting.piece("multipliers", partial(multipliers, setting.pick(120, 8), setting.pick(400, 60)))
    return Outcome(
        measures,
        {"matrices": _matrix_rows(known), "networks": _network_rows(found)},
        {"eigenvalues": _picture(known, found, curve)},
    )


def of_matrix(matrix: Matrix, name: str, quick: bool) -> dict[str, Any]:
    """Return eigenvalues of a matrix that moves, frozen, and its exponents."""
    time, h = (10.0, 0.05) if quick else (200.0 if name.startswith("swing") else 100.0, 0.01)
    stage = at_rest(matrix, time, round(time / h))
    K = matrix(torch.linspace(0, time, 2001, dtype=torch.float64))
    frozen = torch.linalg.eigvals(K).real.amax(1)
    exponents = kinematic_exponents(stage, K.new_zeros(1, 2))[0].tolist()
    return {"rightmost": float(frozen.max()), "least": float(frozen.min()), "exponents": exponents}


def of_network(network: Network, seed: int, quick: bool) -> dict[str, float]:
    """Return what the eigenvalues say of a network, and what its perturbations and features do.

    rightmost   largest real part of the eigenvalues of K(t); `jacobian`: of the Jacobian on the way
    exponent    mean kinematic eigenvalue over the second half, the largest
    drift       farthest distance from the start, over that in the first half of the time
    """
    stage, y = network(torch.Generator().manual_seed(seed), quick)
    steps = len(stage.spans)
    with torch.no_grad():
        away = (torch.stack(stage.trajectory(y)) - y).norm(dim=2)
        K = stage.control.at(stage.control.params, stage.discrete.nodes)["K"]
    if isinstance(stage.dynamics, Antisymmetric):
        K = K - K.mT - stage.dynamics.damping * torch.eye(K.shape[1], dtype=K.dtype)
    places = range(0, steps + 1, steps // 50)
    late = kinematic_eigenvalues(stage, y)[:, steps // 2 :, 0]
    return {
        "rightmost": float(torch.linalg.eigvals(K).real.max()),
        "jacobian": float(jacobian_eigenvalues(stage, y, places=places).real.max()),
        "exponent": float(late.mean()),
        "drift": float((away.amax(0) / away[: steps // 2 + 1].amax(0)).mean()),
    }


def multipliers(count: int, steps: int) -> list[tuple[float, float]]:
    """Return the exponent of `swing` at many frequencies by another way: what a period multiplies by."""
    pairs = []
    for w in torch.linspace(0.4, 4.5, count).tolist():
        small = 1e-6 * torch.eye(2, dtype=torch.float64)
        with torch.no_grad():
            moved = at_rest(swing(w), 2 * pi / w, steps)(small) / 1e-6
        pairs.append((w, float(torch.linalg.eigvals(moved).abs().max().log()) * w / (2 * pi)))
    return pairs


def _matrix_rows(known: Mapping[str, dict[str, Any]]) -> list[dict[str, Any]]:
    return [
        {
            "matrix": name,
            "largest real part of eigenvalues, at most": one["rightmost"],
            "at least": one["least"],
            "largest exponent": one["exponents"][0],
            "known": KNOWN[name][0],
            "smallest exponent": one["exponents"][1],
            "known, smallest": KNOWN[name][1],
        }
        for name, one in known.items()
    ]


def _network_rows(found: Mapping[str, list[dict[str, float]]]) -> list[dict[str, Any]]:
    return [
        {
            "network": name,
            "seed": seed,
            "largest real part of eigenvalues of K": one["rightmost"],
            "of the Jacobian": one["jacobian"],
            "largest exponent": one["exponent"],
            "farthest from the start, over that in half the time": one["drift"],
        }
        for name, seeds in found.items()
        for seed, one in enumerate(seeds)
    ]


def _picture(
    known: Mapping[str, dict[str, Any]],
    found: Mapping[str, list[dict[str, float]]],
    curve: list[tuple[float, float]],
) -> Figure:
    """Draw exponents over eigenvalues, over the frequency of the swing, and over the size of a network."""
    import matplotlib.pyplot as plt

    figure, (left, middle, right) = plt.subplots(1, 3, figsize=(9.5, 3.7))
    _promises(left, known, found)
    middle.plot(*zip(*curve, strict=True), color="0.6", lw=1.2, label="multipliers of a period")
    ways = {w: known[f"swing {w:g}"]["exponents"][0] for w in SWINGS if w < 4.5}
    middle.plot(*zip(*ways.items(), strict=True), "o", color=COLOURS[0], ms=5, label="kinematic exponents")
    middle.set(title="eigenvalues imaginary at all times", xlabel="frequency w, 1 / time")
    middle.set(ylabel="largest exponent, 1 / time", ylim=(-0.03, 0.66))
    middle.legend(fontsize=8, loc="upper right")
    for name, seeds in found.items():
        if name.startswith("antisymmetric") and name.split()[-1].isdigit():
            exponents = [one["exponent"] for one in seeds]
            right.plot([int(name.split()[-1])] * len(seeds), exponents, "o", color=COLOURS[1], ms=5)
    right.axhline(0, color="0.75", lw=0.8)
    right.set(title="antisymmetric, random, tanh", xlabel="features", xscale="log")
    right.set(ylabel="largest exponent, 1 / time")
    right.set_xticks([2, 3, 4, 8, 16], ["2", "3", "4", "8", "16"])
    right.minorticks_off()
    return figure


def _promises(
    panel: Axes, known: Mapping[str, dict[str, Any]], found: Mapping[str, list[dict[str, float]]]
) -> None:
    """Draw what eigenvalues say to the right, what perturbations do upward."""
    panel.axvspan(-1.4, 0, ymin=0.5, color=COLOURS[3], alpha=0.12, lw=0)
    panel.axhline(0, color="0.75", lw=0.8)
    panel.axvline(0, color="0.75", lw=0.8)
    others = [one for name, seeds in found.items() if name != "squeezed" for one in seeds]
    groups = (
        ("matrices that move", [(one["rightmost"], one["exponents"][0]) for one in known.values()]),
        ("K stands still", [(one["rightmost"], one["exponent"]) for one in found["squeezed"][:1]]),
        ("random networks", [(one["rightmost"], one["exponent"]) for one in others]),
    )
    for colour, (label, pairs) in zip(COLOURS, groups, strict=False):
        panel.plot(*zip(*pairs, strict=True), "o", color=colour, ms=5, label=label)
    panel.text(0.15, 2.15, "shaded: should fade,\nbut grows", fontsize=8.5, color=COLOURS[3], va="top")
    panel.set(xlim=(-1.4, 2.4), ylim=(-2.4, 2.4), xlabel="largest real part of the eigenvalues of K")
    panel.set(ylabel="largest exponent, 1 / time", title="eigenvalues against growth")
    panel.legend(fontsize=8, loc="lower left")
