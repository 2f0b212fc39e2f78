"""Pictures of a check: stability regions with the spectrum, growth, field of view, horizons in noise."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import ceil
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from wellposed.dynamics import SemiLinear
from wellposed.network import Classify, Network, Readout
from wellposed.network.part import still
from wellposed.project.figures import BAND, PICK, SURFACE
from wellposed.stability import field_of_view, growth_by_step, spectrum_outline, worst_growth
from wellposed.stability.march import Passage, draw

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LINES = (SURFACE, PICK, BAND, "#2b8a3e", "#7048e8")
COLUMNS = 3
NARROWEST = 5.4  # inches, that a title fits above one panel
LEAST = 3.0  # h lambda that a picture of a region shows, at the least
STILL = 1 + 1e-7  # growth that counts as none
FINE = 241  # points of a region along each axis
FAINTEST = -8.0  # decades of the field of view that are shown


def network_figures(net: Network, y: Tensor, seen: Sequence[Passage]) -> dict[str, Figure]:
    """The pictures of a network by name: of stages at one example each, of the field of view at the first."""
    with still(net):
        found = {"regions": regions(seen), "growth": growth(seen)} if seen else {}
        if y.ndim == 4:
            found["view"] = view(net, y)
    return found


def regions(seen: Sequence[Passage]) -> Figure:
    """Where no step grows, for each stage, and where its spectrum lies, times the step, at both ends."""
    fig, panels = _panels(len(seen))
    for ax, passage in zip(panels, seen, strict=False):
        stage = passage.stage
        places = (0, len(stage.spans))
        values = spectrum_outline(stage, passage.start, places=places)
        h = torch.tensor([stage.spans[0], stage.spans[-1]])[:, None]
        z = (h * values).numpy()
        half = 1.25 * max(LEAST, float(np.abs(z).max()))
        x = torch.linspace(-1.4 * half, 0.6 * half, FINE, dtype=torch.float64)
        up = torch.linspace(-half, half, FINE, dtype=torch.float64)
        grid = torch.complex(x[None].expand(FINE, FINE), up[:, None].expand(FINE, FINE).contiguous())
        growth = stage.integrator.growth(grid)
        ax.contourf(x, up, growth, levels=[0, STILL], colors=["#a5d8ff"])
        on_axis = stage.integrator.growth(torch.complex(torch.zeros_like(up), up)) <= STILL
        ax.plot(0 * up, up.where(on_axis, torch.nan), color="#a5d8ff", lw=7, solid_capstyle="butt")
        ax.axhline(0, color="#adb5bd", lw=0.7)
        ax.axvline(0, color="#adb5bd", lw=0.7)
        for row, colour, word in zip(z, (PICK, SURFACE), ("at its start", "at its end"), strict=True):
            ax.plot(row.real, row.imag, ".", ms=4, color=colour, label=word)
        part = ", explicit part" if isinstance(stage.dynamics, SemiLinear) else ""
        words = f"{type(stage.dynamics).__name__} by {type(stage.integrator).__name__}{part}"
        ax.set(title=f"{passage.name}\n{words}", xlabel="Re h lambda", ylabel="Im h lambda", aspect="equal")
        ax.title.set_fontsize(9)
    panels[0].legend(fontsize=7, loc="upper left")
    fig.suptitle("Blue: no step grows. Dots: outline of the spectrum, times the step", fontsize=10)
    return fig


def growth(seen: Sequence[Passage]) -> Figure:
    """A small perturbation on its way through each stage: the worst, and some at random."""
    fig, panels = _panels(len(seen))
    for ax, passage in zip(panels, seen, strict=False):
        y = passage.stage.features(passage.start, 0)
        worst = worst_growth(passage.stage, y, products=20, tolerance=0.05).direction
        for n in range(4):
            sizes = growth_by_step(passage, draw(*y.shape, like=y, seed=n))[0]
            ax.plot(sizes, color="#adb5bd", lw=1, label="at random" if n == 0 else None)
        ax.plot(growth_by_step(passage, worst)[0], "o-", ms=3, lw=1.5, color=SURFACE, label="the worst")
        ax.axhline(1, color="#868e96", lw=0.7, ls="--")
        ax.set(yscale="log", xlabel="step", ylabel="size of a perturbation", title=passage.name)
        ax.title.set_fontsize(9)
        low, high = ax.get_ylim()
        ax.set_ylim(min(low, 0.09), max(high, 11.0))
        ax.yaxis.set_major_formatter("{x:g}")
    panels[0].legend(fontsize=7)
    fig.suptitle("Growth of small perturbations, at the worst example looked at", fontsize=10)
    return fig


def view(net: Network, y: Tensor) -> Figure:
    """How much the features in the middle, which the head reads, owe to each sample of the input."""
    *body, last = net.parts
    # A head looks at its own place alone, and sees nothing as it begins.
    part = Network(*body) if body and isinstance(last, Classify | Readout) else net  # type: ignore[arg-type]
    found = field_of_view(part, y, probes=8)
    shares = (found.shares / found.shares.max().clamp_min(1e-300)).clamp_min(10**FAINTEST).log10().numpy()
    fig, (ax,) = _panels(1, wide=5.4, high=4.2)
    image = ax.imshow(shares.T, cmap="magma", vmin=FAINTEST, vmax=0, aspect="auto")
    ax.plot(*found.place, "+", color=PICK, ms=9)
    ax.set(xlabel="first axis of space", ylabel="second axis")
    ax.set_title(f"Field of view of the place +: radius {found.radius:.1f} samples", fontsize=10)
    fig.colorbar(image, ax=ax, label="log10 of the share, the largest = 0")
    return fig


def noise(horizons: Mapping[str, Mapping[str, Any]], step_ms: float) -> Figure:
    """How far horizons move as noise is added, beside their own std."""
    fig, (left, right) = _panels(2, wide=4.8, high=3.6)
    for (name, told), colour in zip(horizons.items(), LINES * len(horizons), strict=False):
        db = [c["ratio_db"] for c in told["curve"]]
        left.plot(db, [_known(c["mean_ms"]) for c in told["curve"]], "o-", ms=4, color=colour, label=name)
        if told["std_ms"] is not None:
            left.axhline(told["std_ms"], color=colour, lw=1, ls=":")
        share = [100 * _known(c["share"]) for c in told["curve"]]
        right.plot(db, share, "o-", ms=4, color=colour, label=name)
    left.set(ylabel="mean change (ms)", title="How far it moves; dotted: its std")
    right.set(ylabel="traces (%)", title=f"Moved by more than a sample ({step_ms:g} ms)", ylim=(-3, 103))
    for ax in (left, right):
        ax.set_xlabel("signal to noise (dB)")
        ax.invert_xaxis()
        ax.title.set_fontsize(10)
    left.set_ylim(bottom=0)
    left.legend(fontsize=8)
    return fig


def _known(value: float | None) -> float:
    return float("nan") if value is None else value


def _panels(count: int, wide: float = 3.4, high: float = 3.2) -> tuple[Figure, list[Axes]]:
    """Figures without pyplot, panels side by side and in rows of three."""
    from matplotlib.figure import Figure

    columns, rows = min(count, COLUMNS), ceil(count / COLUMNS)
    size = max(NARROWEST, wide * columns), high * rows + 0.3
    fig = Figure(figsize=size, layout="constrained", dpi=110)
    return fig, [fig.add_subplot(rows, columns, n + 1) for n in range(count)]
