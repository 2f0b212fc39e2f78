"""Pictures of a run: sections with picks, surface and band; maps; a profile where the survey is a line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from wellposed.seismic.horizons import Horizon
from wellposed.seismic.picks import Picks
from wellposed.seismic.volume import Volume

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SURFACE, BAND, PICK = "#d6336c", "#f59f00", "#1971c2"
SECTION_MARGIN_MS = 120.0


def section(
    volume: Volume, horizon: Horizon, picks: Picks, *, inline: int | None, crossline: int | None
) -> Figure:
    """A section through the picks: amplitudes, the surface with its band of p10 to p90, the picks.

    `inline` or `crossline` is an index; the other one is None.
    """
    s = volume.survey
    along = "crossline" if inline is not None else "inline"
    cut: tuple[Any, ...] = (inline, slice(None)) if inline is not None else (slice(None), crossline)
    amplitude = volume.read(*(slice(c, c + 1) if isinstance(c, int) else c for c in cut)).squeeze(
        0 if inline is not None else 1
    )
    labels = s.crossline if inline is not None else s.inline
    times = [horizon.twt_ms[cut], horizon.twt_p10_ms[cut], horizon.twt_p90_ms[cut]]
    here = horizon.exists[cut]
    i, j = picks.at(s)
    at = i == inline if inline is not None else j == crossline
    x = (j if inline is not None else i)[at]
    line = (s.inline[inline], "inline") if inline is not None else (s.crossline[crossline], "crossline")
    fig, ax = _figure(9.6, 4.4)
    _amplitudes(ax, amplitude, labels, s.twt_ms)
    low_ms, high_ms = (np.where(here, t, np.nan) for t in times[1:])
    ax.fill_between(labels, low_ms, high_ms, color=BAND, alpha=0.45, lw=0, label="p10 to p90")
    ax.plot(labels, np.where(here, times[0], np.nan), color=SURFACE, lw=1.4, label=horizon.name)
    ax.errorbar(
        labels[x],
        picks.twt_ms[at],
        picks.std_ms[at],
        fmt="o",
        ms=4,
        color=PICK,
        mec="white",
        lw=1,
        label="picks",
    )
    known = np.concatenate([t[here & np.isfinite(t)] for t in times] + [picks.twt_ms])
    low, high = known.min() - SECTION_MARGIN_MS, known.max() + SECTION_MARGIN_MS
    edge = 0.01 * (labels[-1] - labels[0] + 1)
    ax.set_xlim(labels[0] - edge, labels[-1] + edge)
    ax.set_ylim(min(high, s.twt_ms[-1]), max(low, s.twt_ms[0]))
    ax.set(xlabel=along, ylabel="two-way time (ms)", title=f"{horizon.name} on {line[1]} {line[0]}")
    ax.legend(loc="upper right", fontsize=8)
    return fig


def time_map(horizon: Horizon, picks: Picks) -> Figure:
    """Two-way time with contours, and the picked traces."""
    return _map(horizon, horizon.twt_ms, picks, "two-way time (ms)", "viridis_r", contours=True)


def std_map(horizon: Horizon, picks: Picks) -> Figure:
    """The standard deviation of the surface."""
    return _map(horizon, horizon.twt_std_ms, picks, "standard deviation (ms)", "magma", contours=False)


def profile(horizon: Horizon, picks: Picks) -> Figure:
    """Time and standard deviation along a survey that is a line."""
    s = horizon.survey
    i, j = picks.at(s)
    lengthwise = int(s.shape[1] >= s.shape[0])
    labels, word = (s.crossline, "crossline") if lengthwise else (s.inline, "inline")
    fig, axes = _figures(2, 9.6, 5.0)
    for n in range(s.shape[1 - lengthwise]):
        cut: tuple[Any, ...] = (n, slice(None)) if lengthwise else (slice(None), n)
        name = f"{'inline' if lengthwise else 'crossline'} {(s.inline if lengthwise else s.crossline)[n]}"
        for ax, grid in zip(axes, (horizon.twt_ms, horizon.twt_std_ms), strict=True):
            ax.plot(labels, np.where(horizon.exists[cut], grid[cut], np.nan), lw=1.2, label=name)
    axes[0].plot(labels[j if lengthwise else i], picks.twt_ms, "o", ms=4, color=PICK, label="picks")
    axes[0].invert_yaxis()
    axes[0].set(ylabel="two-way time (ms)", title=f"{horizon.name}: profile")
    axes[1].set(ylabel="std (ms)", xlabel=word)
    axes[0].legend(fontsize=8)
    return fig


def epochs(records: list[dict[str, Any]]) -> Figure:
    """Error at hidden picks in every epoch of an adaptation, each a change that was tried."""
    fig, ax = _figure(6.0, 3.0)
    ax.axhline(records[0]["held_out"], color="#868e96", lw=1, ls="--", label="shipped weights")
    ax.plot([r["epoch"] for r in records], [r["held_out"] for r in records], "o", ms=5, color=SURFACE)
    ax.legend(fontsize=8)
    epoch = "epoch (0: shipped weights, then one change each)"
    ax.set(xlabel=epoch, ylabel="error at hidden picks (ms)", xticks=[r["epoch"] for r in records])
    return fig


def _map(
    horizon: Horizon, grid: NDArray[np.float64], picks: Picks, label: str, colours: str, *, contours: bool
) -> Figure:
    s = horizon.survey
    fig, ax = _figure(6.4, 5.2)
    shown = np.where(horizon.exists, grid, np.nan)
    finite = shown[np.isfinite(shown)]
    low, high = np.percentile(finite, [1, 99]) if finite.size else (0.0, 1.0)
    image = ax.pcolormesh(
        s.crossline, s.inline, shown, cmap=colours, vmin=low, vmax=high, shading="nearest", rasterized=True
    )
    if contours and finite.size and high > low:
        levels = np.linspace(low, high, 10)[1:-1]
        lines = ax.contour(s.crossline, s.inline, shown, levels, colors="black", linewidths=0.6, alpha=0.7)
        ax.clabel(lines, fmt="%.0f", fontsize=7)
    ax.set_facecolor("#dee2e6")
    ax.plot(
        picks.crossline, picks.inline, "o", ms=2 if len(picks) > 60 else 4, color=PICK, mec="white", mew=0.5
    )
    gaps = "" if np.isfinite(shown).all() else " (grey: absent, or no trace)"
    ax.set(xlabel="crossline", ylabel="inline", title=f"{horizon.name}: {label}{gaps}")
    fig.colorbar(image, ax=ax, label=label, shrink=0.85)
    return fig


def _amplitudes(
    ax: Axes, amplitude: NDArray[np.float32], labels: NDArray[np.int64], twt: NDArray[np.float64]
) -> None:
    """Robust grey scale: amplitudes are clipped at their 98th percentile, never at extremes."""
    clip = float(np.percentile(np.abs(amplitude), 98)) or 1.0
    ax.pcolormesh(
        labels, twt, amplitude.T, cmap="gray_r", vmin=-clip, vmax=clip, shading="nearest", rasterized=True
    )


def _figure(width: float, height: float) -> tuple[Figure, Axes]:
    fig, axes = _figures(1, width, height)
    return fig, axes[0]


def _figures(rows: int, width: float, height: float) -> tuple[Figure, list[Axes]]:
    """Figures without pyplot: nothing is kept alive, and no display is asked for."""
    from matplotlib.figure import Figure

    fig = Figure(figsize=(width, height), layout="constrained", dpi=110)
    return fig, [fig.add_subplot(rows, 1, n + 1) for n in range(rows)]
