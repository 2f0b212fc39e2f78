"""Gradients by depth: whether they explode or vanish on the way back through a thousand steps."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import torch

from wellposed.control import Control
from wellposed.dynamics import (
    Antisymmetric,
    DoubleHamiltonian,
    Dynamics,
    Hamiltonian,
    Hyperbolic,
    OuterResidual,
    Parabolic,
    Plain,
    Reaction,
    Residual,
    SingleReaction,
    SingleResidual,
    SymmetricReaction,
)
from wellposed.experiments.pictures import COLOURS
from wellposed.experiments.setting import Outcome, Setting
from wellposed.integrators import (
    AB2,
    AB3,
    IMEX,
    RK4,
    Euler,
    Heun,
    Integrator,
    Leapfrog,
    Midpoint,
    SymplecticEuler,
    Verlet,
)
from wellposed.network import Stage
from wellposed.operators import Conv, Family, Stencil
from wellposed.stability import gradient_norms

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Make = Callable[[Family], Dynamics]
Networks = Mapping[str, tuple[Make, Integrator]]

CHANNELS, SAMPLES, EXAMPLES = 8, 16, 4
H = 0.25  # a stage of four units of time has sixteen steps unless told
CURVE = 100  # points
_DIFFUSION = Stencil(CHANNELS, dims=1)

# Not those that find a root a step: a thousand of them, six times, take ten minutes.
NETWORKS: Networks = {
    "Plain Euler": (Plain, Euler()),
    "OuterResidual Euler": (OuterResidual, Euler()),
    "Residual Euler": (Residual, Euler()),
    "SingleResidual tanh Euler": (SingleResidual, Euler()),
    "SingleResidual relu Euler": (partial(SingleResidual, activation="relu"), Euler()),
    "Antisymmetric Euler": (Antisymmetric, Euler()),
    "Antisymmetric Heun": (Antisymmetric, Heun()),
    "Antisymmetric AB2": (Antisymmetric, AB2()),
    "Antisymmetric AB3": (Antisymmetric, AB3()),
    "Antisymmetric RK4": (Antisymmetric, RK4()),
    "Antisymmetric Midpoint": (Antisymmetric, Midpoint()),
    "Hamiltonian SymplecticEuler": (Hamiltonian, SymplecticEuler()),
    "Hamiltonian Verlet": (Hamiltonian, Verlet()),
    "DoubleHamiltonian Verlet": (DoubleHamiltonian, Verlet()),
    "Hyperbolic Leapfrog": (Hyperbolic, Leapfrog()),
    "Parabolic Euler": (Parabolic, Euler()),
    "Reaction IMEX": (partial(Reaction, diffusion=_DIFFUSION), IMEX()),
    "SingleReaction IMEX": (partial(SingleReaction, diffusion=_DIFFUSION), IMEX()),
    "SymmetricReaction IMEX": (partial(SymmetricReaction, diffusion=_DIFFUSION), IMEX()),
}
# Networks that are called well posed and neither grow nor fade by their eigenvalues, which are imaginary; the
# rule is about them. (Midpoint and symplectic Euler, which turn too, are measured beside them.)
TURNING = (
    "Antisymmetric AB3",
    "Antisymmetric RK4",
    "Hamiltonian Verlet",
    "DoubleHamiltonian Verlet",
    "Hyperbolic Leapfrog",
)
FADING = ("Parabolic Euler",)
# In the table, not in the picture.
BESIDE = ("Antisymmetric Heun", "Antisymmetric AB2", "Antisymmetric Midpoint", "Hamiltonian SymplecticEuler")
SAID = {"still": "that stand still", "moving": "that move"}
WEIGHTS = tuple(SAID)


def run(setting: Setting, networks: Networks = NETWORKS) -> Outcome:
    """Follow gradients back through every dynamics, with weights that stand still and that move."""
    steps = setting.pick(1000, 100)
    found = {
        (name, weights): [
            setting.piece(
                f"{name}, {weights}, seed {seed}",
                partial(follow, make, method, weights == "moving", seed, steps, setting.quick),
            )
            for seed in setting.seeds
        ]
        for name, (make, method) in networks.items()
        for weights in WEIGHTS
    }
    return Outcome(
        _measures(found, networks, len(setting.seeds)),
        {"gradients": [_row(*key, seeds) for key, seeds in found.items()]},
        {"gradients": _picture(found)},
    )


def follow(
    make: Make, method: Integrator, moving: bool, seed: int, steps: int, quick: bool
) -> dict[str, Any]:
    """Return the gradient by the state on the way back, over that at the end, for random weights.

    They are those that a network begins with; moving ones are drawn anew every 5 units of time.
    """
    draw = torch.Generator().manual_seed(seed)
    f = make(Conv(CHANNELS, dims=1))
    time = H * steps
    nodes = [5.0 * k for k in range(int(time / 5) + 1)] if moving else [0.0]
    drawn = [f.start(draw) for _ in nodes]
    weights = {name: torch.stack([theta[name] for theta in drawn]).double() for name in drawn[0]}
    stage = Stage(f, method, time=time, steps=steps, control=Control(weights, nodes), bound="report")
    y = torch.randn(EXAMPLES, CHANNELS, SAMPLES, generator=draw, dtype=torch.float64)
    norms = gradient_norms(stage, y)[0].flip(0)
    sizes = norms / norms[0]
    half = sizes[steps // 2]
    return {
        "ratio": None if moving or quick else stage.ratio(),  # norms of convolutions take their time
        "largest": float(sizes.max()),
        "smallest": float(sizes.min()),
        "exponent": float((sizes[-1] / half).log()) / (time / 2),
        "by depth": {f"{d}": float(sizes[d]) for d in (10, 100, 1000) if d <= steps},
        "steps": [round(k * steps / CURVE) for k in range(CURVE + 1)],
        "logs": [float(sizes[round(k * steps / CURVE)].log10()) for k in range(CURVE + 1)],
    }


def _measures(
    found: Mapping[tuple[str, str], list[dict[str, Any]]], networks: Networks, seeds: int
) -> dict[str, list[float]]:
    """Return the worst of still and of moving weights of each network; and of all that turn."""

    def worst(names: tuple[str, ...], which: tuple[str, ...]) -> dict[str, list[float]]:
        asked = [found[name, weights] for name in names for weights in which]
        return {
            "largest": [max(one[k]["largest"] for one in asked) for k in range(seeds)],
            "smallest": [min(one[k]["smallest"] for one in asked) for k in range(seeds)],
        }

    groups = {name: worst((name,), WEIGHTS) for name in networks}
    groups["turning"] = worst(TURNING, WEIGHTS)
    groups |= {f"turning.{weights}": worst(TURNING, (weights,)) for weights in WEIGHTS}
    return {f"{name}.{what}": values for name, group in groups.items() for what, values in group.items()}


def _row(name: str, weights: str, seeds: list[dict[str, Any]]) -> dict[str, Any]:
    """Return what the seeds gave together: geometric means, and the worst on the way."""

    def mean(values: list[float]) -> float:
        return float(torch.tensor(values, dtype=torch.float64).log().mean().exp())

    depths = {
        f"after {depth} steps": mean([one["by depth"][depth] for one in seeds])
        for depth in seeds[0]["by depth"]
    }
    ratios = [one["ratio"] for one in seeds if one["ratio"]]
    return {
        "network": name,
        "weights": weights,
        "step over its bound": max(ratios) if ratios else "",
        **depths,
        "largest": max(one["largest"] for one in seeds),
        "smallest": min(one["smallest"] for one in seeds),
        "exponent, second half, least": min(one["exponent"] for one in seeds),
        "exponent, second half, largest": max(one["exponent"] for one in seeds),
    }


def _picture(found: Mapping[tuple[str, str], list[dict[str, Any]]]) -> Figure:
    """Draw the gradient by the distance from the end, the mean of the seeds."""
    import matplotlib.pyplot as plt

    names = list(dict.fromkeys(name for name, _ in found))
    groups = {
        "-": [name for name in names if name in TURNING],
        "--": [name for name in names if name.endswith("Euler") and name not in (*FADING, *BESIDE)],
        "-.": [name for name in names if name in FADING],
        ":": [name for name in names if name.endswith("IMEX")],
    }
    figure, panels = plt.subplots(1, 2, figsize=(9.5, 5.0), sharey=True)
    for panel, weights in zip(panels, WEIGHTS, strict=True):
        panel.axhspan(-1, 1, color="0.92", lw=0)
        for style, members in groups.items():
            for k, name in enumerate(members):
                seeds = found[name, weights]
                curve = torch.tensor([one["logs"] for one in seeds]).mean(0)
                colour = COLOURS[k % len(COLOURS)]
                panel.plot(seeds[0]["steps"], curve, style, color=colour, lw=1.6, label=name)
        panel.set(title=f"weights {SAID[weights]}", xlabel="steps from the end")
    panels[0].set(ylabel="gradient over that at the end, powers of ten", yscale="symlog", ylim=(-200, 200))
    figure.suptitle(
        "Shaded: within ten times of the gradient at the end; solid: networks that turn or swing", fontsize=11
    )
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4, fontsize=8.5)
    return figure
