"""One look for the pictures of experiments and of the documentation."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

INK = "#24292f"
COLOURS = ("#0b6e99", "#d9730d", "#4a7c59", "#b5446e", "#6b5b95", "#8a6d3b")


def look() -> Any:
    """Return the settings of matplotlib."""
    from cycler import cycler

    return {
        "axes.edgecolor": "#8c959f",
        "axes.labelcolor": INK,
        "axes.prop_cycle": cycler(color=COLOURS),
        "axes.spines.right": False,
        "axes.spines.top": False,
        "axes.titlesize": 11,
        "figure.constrained_layout.use": True,
        "figure.dpi": 110,
        "font.size": 10,
        "image.cmap": "viridis",
        "legend.frameon": False,
        "savefig.dpi": 110,
        "text.color": INK,
        "xtick.color": INK,
        "ytick.color": INK,
    }


@contextmanager
def style() -> Iterator[None]:
    """Draw in this look, without a screen."""
    import matplotlib as mpl

    with mpl.rc_context({**look(), "backend": "agg"}):
        yield
