"""How far a step sees: impulse responses of explicit and of implicit steps, on a line and over a plane."""

from __future__ import annotations

from functools import partial
from math import log, sqrt
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from wellposed.control import Control
from wellposed.dynamics import Reaction, SingleReaction, SingleResidual
from wellposed.experiments.pictures import COLOURS
from wellposed.experiments.setting import Outcome, Setting
from wellposed.integrators import IMEX, Euler, Integrator
from wellposed.learning import generator
from wellposed.network import Part, Stage
from wellposed.network.part import seeded
from wellposed.operators import Conv, Stencil
from wellposed.stability import FieldOfView, field_of_view

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SIZES = (0.1, 1.0, 10.0, 118.0)  # h, of which the last crosses 50 samples: r = 0.01^(1/50)
LINE, WIDE = 65, 513  # samples: of a small grid, and of one on which no edge is felt
FAINT = 0.01  # of the peak: what is less is not called seen
SEEN = 1e-6  # of the peak: down to here a rate is read from a response
COUNTS = (1, 4, 16)
NETWORKS = {"own without diffusion": (1, 4), "own": (1, 4), "published": (1, 9)}  # one step, and all
TITLES = {
    "own without diffusion": "no diffusion",
    "own": "IMEX as it starts",
    "published": "published kernels",
}
REACH = "1 % of the peak at, samples"


def run(setting: Setting, implicit: Integrator | None = None) -> Outcome:
    """Measure responses of steps that `implicit` makes of (I + h D'D)^-1, beside those of convolutions."""
    method = implicit or IMEX()
    line = setting.piece("line", partial(_on_a_line, method))
    size, channels = setting.pick((64, 16), (32, 4))
    planes = [
        setting.piece(f"plane {seed}", partial(_over_a_plane, method, seed, size, channels))
        for seed in setting.seeds
    ]
    measures = dict(line["measures"])
    for name in ("published", "own", "own without diffusion"):
        measures[f"{name}.reach"] = [plane[name][-1][REACH] for plane in planes]
    pairs = zip(measures["own.reach"], measures["own without diffusion.reach"], strict=True)
    measures["own.farther"] = [farther / nearer for farther, nearer in pairs]
    rows = [
        {"seed": seed, "network": name, **row}
        for seed, plane in enumerate(planes)
        for name, found in plane.items()
        for row in found
    ]
    seen = setting.piece("shares", partial(_shares, method, size, channels))
    pictures = {"line": _draw_line(line), "plane": _draw_planes(seen)}
    return Outcome(measures, {"line": line["rows"], "plane": rows}, pictures)


def rate(h: float) -> float:
    """Return by how much (I + h D'D)^-1 falls from a sample to the next, D the first difference."""
    return (1 + 2 * h - sqrt(1 + 4 * h)) / (2 * h)


def diffusion(
    method: Integrator, h: float, boundary: str = "periodic", dtype: torch.dtype = torch.float64
) -> Stage:
    """Return one step of y' = -D'D y on a line, by a dynamics whose reaction is silent."""
    spread = Conv(1, 2, boundary, depthwise=True, dims=1)
    f = SingleReaction(Conv(1, dims=1), spread, "tanh")
    theta = {"S": torch.zeros(1, 1, 3), "b": torch.zeros(1), "D": torch.tensor([[[-1.0, 1.0]]])}
    return Stage(f, method, time=h, steps=1, control=Control.constant(theta, [0.0]), bound="report").to(dtype)


def convolutions(count: int) -> Stage:
    """Return explicit steps on a line, y + (y[-1] - 2 y[0] + y[1]) / 4: each one convolution."""
    theta = {"K": torch.tensor([[[0.25, -0.5, 0.25]]]), "b": torch.zeros(1)}
    f = SingleResidual(Conv(1, dims=1), "identity")
    control = Control.constant(theta, [0.0])
    return Stage(f, Euler(), time=float(count), steps=count, control=control).double()


def response(part: Part, size: int, place: int) -> Tensor:
    """Return what an impulse at a place becomes.

    Shapes:    (size,)
    """
    impulse = torch.zeros(1, 1, size, dtype=torch.float64)
    impulse[0, 0, place] = 1
    with torch.no_grad():
        return part(impulse)[0, 0]


def _on_a_line(method: Integrator) -> dict[str, Any]:
    rows, measures, curves = [], {}, {}
    for h in SIZES:
        found = response(diffusion(method, h), WIDE, WIDE // 2)[WIDE // 2 :].abs()
        view = field_of_view(diffusion(method, h), torch.zeros(1, 1, LINE, dtype=torch.float64))
        measures[f"rate {h:g}"] = _rate(found)
        rows.append(
            {
                "h": h,
                "h |D|^2": 4 * h,
                "rate a sample": _rate(found),
                "rate by the formula": rate(h),
                REACH: _faint(found),
                "by the formula": log(FAINT) / log(rate(h)),
                f"seen of {LINE} places": float((view.shares > 0).float().mean()),
            }
        )
        curves[f"{h:g}"] = found[: LINE // 2 + 1].tolist()
    for count in COUNTS:
        view = field_of_view(convolutions(count), torch.zeros(1, 1, LINE, dtype=torch.float64))
        measures[f"explicit.reach {count}"] = view.reach
        curves[f"explicit {count}"] = response(convolutions(count), LINE, LINE // 2)[LINE // 2 :].tolist()
    measures |= {
        "coupled": rows[2][f"seen of {LINE} places"],
        "unit.reach": rows[1][REACH],
        "crossing.reach": rows[3][REACH],
        "dense.miss": _miss(method),
        **{f"across.{kind}": _across(method, kind) for kind in ("periodic", "reflecting")},
    }
    return {"rows": rows, "measures": measures, "curves": curves}


def _rate(found: Tensor) -> float:
    """Return the mean quotient of a response and the one a sample nearer, from the peak's neighbour on."""
    last = int((found > SEEN * found[0]).sum()) - 1
    return float((found[last] / found[1]) ** (1 / (last - 1))) if last > 1 else 0.0


def _faint(found: Tensor) -> float:
    """Return where a response falls to 1 % of its peak, between samples by its logarithm."""
    quotient = (found / found[0]).clamp_min(1e-300)
    after = int((quotient < FAINT).nonzero()[0])
    high, low = quotient[after - 1 : after + 1].log().tolist()
    return after - 1 + (high - log(FAINT)) / (high - low)


def _miss(method: Integrator, h: float = 10.0) -> float:
    """Return by how much the step differs from a dense solve."""
    stage = diffusion(method, h)
    f, theta = stage.dynamics, stage.control.sample(stage.control.params, [0.0])[0]
    assert isinstance(f, SingleReaction)
    with torch.no_grad():
        L = f.linear(theta).as_matrix((1, LINE))
        whole = torch.linalg.inv(torch.eye(LINE, dtype=torch.float64) + h * L)
    return float((response(stage, LINE, LINE // 2) - whole[:, LINE // 2]).abs().max())


def _across(method: Integrator, boundary: str) -> float:
    """Return what an impulse at one edge of the line leaves at the other, of its peak."""
    found = response(diffusion(method, 1.0, boundary), LINE, 0)
    return float((found[-1] / found[0]).abs())


def network(name: str, count: int, channels: int, method: Integrator, seed: int) -> Stage:
    """Return steps of length one as a network begins: of this package, with diffusion or not, or published.

    The published kernels of diffusion are uniform between 0 and 1, less their mean; the reaction is silent.
    """
    with seeded(seed):
        if name == "published":
            f = SingleReaction(Conv(channels), Conv(channels, boundary="periodic", depthwise=True), "tanh")
            theta = {key: torch.zeros(count, *shape) for key, shape in f.shapes().items()}
            kernels = torch.rand(count, channels, 1, 3, 3)
            theta["D"] = kernels - kernels.mean((-1, -2), keepdim=True)
            control = Control(theta, [float(k) for k in range(count)])
            stage = Stage(f, method, time=float(count), steps=count, control=control)
        else:
            stage = Stage(Reaction(Conv(channels), Stencil(channels)), method, time=float(count), steps=count)
    if name == "own without diffusion":
        with torch.no_grad():
            stage.control.params["d"].zero_()
    return stage.double()


def _view(name: str, count: int, channels: int, size: int, method: Integrator, seed: int) -> FieldOfView:
    y = torch.randn(1, channels, size, size, generator=generator(seed, "field of view")).double()
    return field_of_view(network(name, count, channels, method, seed), y)


def _over_a_plane(method: Integrator, seed: int, size: int, channels: int) -> dict[str, Any]:
    """Return what the steps of each network see, the last row of each the whole network."""
    found: dict[str, Any] = {name: [] for name in NETWORKS}
    for name, counts in NETWORKS.items():
        for count in counts:
            view = _view(name, count, channels, size, method, seed)
            found[name].append(
                {
                    "steps": count,
                    "radius, samples": view.radius,
                    REACH: _far(view),
                    "more than two samples away": view.outside(2),
                }
            )
    return found


def _far(view: FieldOfView) -> float:
    """Return the distance of the farthest place with 1 % of the largest derivative or more."""
    near = view.shares >= FAINT**2 * view.shares.max()
    return FieldOfView(near / near.sum(), view.place).reach


def _shares(method: Integrator, size: int, channels: int) -> dict[str, Any]:
    return {
        f"{name} {count}": _view(name, count, channels, size, method, 0).shares.tolist()
        for name, counts in NETWORKS.items()
        for count in counts
    }


def _draw_line(line: dict[str, Any]) -> Figure:
    """Draw responses on the line, with the rate of the formula, and how large a kernel must be to see far."""
    import matplotlib.pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(9.5, 4.6), width_ratios=(1.5, 1))
    distance = torch.arange(LINE // 2 + 1)
    for count, grey in zip(COUNTS, ("0.75", "0.55", "0.3"), strict=True):
        values = torch.tensor(line["curves"][f"explicit {count}"]).abs()
        name = f"{count} convolution{'s' * (count > 1)}"
        left.semilogy(
            distance, (values / values[0]).where(values > 0, torch.nan), "s-", ms=3, color=grey, label=name
        )
    for h, colour in zip(SIZES, COLOURS, strict=False):
        values = torch.tensor(line["curves"][f"{h:g}"])
        left.semilogy(
            distance, values / values[0], "o", ms=3, color=colour, label=f"one implicit step, h = {h:g}"
        )
        left.semilogy(distance, rate(h) ** distance, color=colour, lw=0.8)
    left.axhline(FAINT, color="0.6", lw=0.8, ls="--")
    left.set(xlabel="distance, samples", ylabel="response, of its peak", ylim=(1e-9, 2), xlim=(0, LINE // 2))
    left.set_title("What steps make of an impulse; lines: r to the distance")
    figure.legend(*left.get_legend_handles_labels(), loc="outside lower center", ncols=4, fontsize=9)
    sizes = torch.logspace(-1, 4, 60).tolist()
    right.loglog([sqrt(4 * h) for h in sizes], [log(FAINT) / log(rate(h)) for h in sizes], color=COLOURS[0])
    rows = line["rows"]
    right.loglog(
        [sqrt(row["h |D|^2"]) for row in rows],
        [row[REACH] for row in rows],
        "o",
        color=COLOURS[1],
        label="measured",
    )
    right.set(xlabel=r"norm of the kernel, $\sqrt{h}\,|D|$", ylabel="1 % of the peak at, samples")
    right.set_title("What it takes to see far")
    right.legend()
    return figure


def _draw_planes(seen: dict[str, Any]) -> Figure:
    """Draw what the middle sees over the plane, for a step of each network and for the whole."""
    import matplotlib.pyplot as plt
    from matplotlib.colors import LogNorm

    figure, panels = plt.subplots(2, 3, figsize=(9.5, 6.2), sharex=True, sharey=True)
    for column, (name, counts) in zip(panels.T, NETWORKS.items(), strict=True):
        for panel, count in zip(column, counts, strict=True):
            shares = torch.tensor(seen[f"{name} {count}"])
            half = shares.shape[0] / 2
            root = (
                (shares / shares.max()).sqrt().T.clamp_min(1e-6).numpy()
            )  # rows of an image are its second axis
            image = panel.imshow(root, norm=LogNorm(1e-4, 1), extent=(-half, half, half, -half), cmap="magma")
            panel.contour(root, [FAINT], colors="w", linewidths=0.8, extent=(-half, half, -half, half))
            panel.set_title(f"{TITLES[name]}, {count} step{'s' * (count > 1)}")
    for panel in panels[1]:
        panel.set_xlabel("first axis, samples")
    for panel in panels[:, 0]:
        panel.set_ylabel("second axis, samples")
    figure.colorbar(image, ax=panels, label="derivative by the input, of its peak (line: 1 %)", shrink=0.9)
    return figure
