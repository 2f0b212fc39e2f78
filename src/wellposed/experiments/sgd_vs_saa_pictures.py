"""Pictures of what fresh batches and fixed samples lead to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from wellposed.experiments.pictures import COLOURS

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Found = Mapping[str, Sequence[Mapping[str, Any]]]  # by size, a value a seed
NAMES = ("small", "middle", "large")
FRESH = "fresh"
FLOOR = 1e-4  # of what is drawn: zeros have no logarithm


def draw_apart(found: Found, names: Mapping[str, int]) -> Figure:
    """Draw optimisation error, gap and value on new examples against the size of the sample."""
    import matplotlib.pyplot as plt

    figure, panels = plt.subplots(1, 3, figsize=(9.5, 4))
    sizes = list(names.values())
    words = {
        "SGD": "SGD on the sample",
        "Gauss-Newton": "Gauss-Newton, same work",
        "best": "least value found",
    }
    for panel, what in zip(panels, ("error", "gap", "new"), strict=True):
        for (kind, said), colour in zip(words.items(), COLOURS, strict=False):
            for seed in range(len(found[FRESH])):
                if (what, kind) != ("error", "best"):
                    of = "lowest" if (what, kind) == ("error", "SGD") else kind
                    values = [max(found[name][seed][what][of], FLOOR) for name in names]
                    label = said if not seed else None
                    panel.loglog(sizes, values, "o-", color=colour, ms=4, lw=1, label=label)
        panel.set_xscale("log", base=2)
        panel.set_xticks(sizes, [f"{n:,}" for n in sizes])
        panel.set_xlabel("examples of the sample")
    for one in found[FRESH]:
        panels[2].axhline(one["new"], color=COLOURS[3], lw=1, ls="--")
    panels[2].plot([], [], color=COLOURS[3], lw=1, ls="--", label="SGD, fresh batches")
    first = np.exp(np.mean([np.log(max(one["gap"]["best"], 1e-9)) for one in found[NAMES[0]]]))
    for power, style in ((0.5, ":"), (1.0, "--")):
        line = [3 * first * (n / sizes[0]) ** -power for n in sizes]
        panels[1].plot(sizes, line, color="0.6", lw=1, ls=style)
        panels[1].text(sizes[1], line[1], "1 / √n" if power < 1 else "1 / n", color="0.4", va="bottom")
    panels[0].set(
        title="Optimisation error", ylabel="value on the sample above the least found,\nzero drawn at 0.0001"
    )
    panels[1].set(title="Generalisation gap", ylabel="value on 10,000 new examples\nminus on the sample")
    panels[2].set(title="Both together", ylabel="value on 10,000 new examples")
    figure.legend(*panels[2].get_legend_handles_labels(), loc="outside lower center", ncols=4, fontsize=9)
    return figure


def draw_descent(found: Found, names: Mapping[str, int]) -> Figure:
    """Draw the value by work, on samples of each size (first seed)."""
    import matplotlib.pyplot as plt

    figure, panels = plt.subplots(1, len(names), figsize=(9.5, 3.6), sharey=True)
    for panel, (name, size) in zip(panels, names.items(), strict=True):
        one = found[name][0]
        for way, colour, label in (
            (found[FRESH][0]["way"], COLOURS[3], "SGD, fresh batches"),
            (one["way"], COLOURS[0], "SGD on the sample"),
            (one["course"], COLOURS[1], "Gauss-Newton on the sample"),
        ):
            panel.semilogy(way["work"], way["value"], color=colour, lw=1.2, label=label)
        panel.axhline(one["least"], color="0.6", lw=0.8, ls="--")
        panel.set(title=f"sample of {size:,}", xlabel="work, examples x steps", xscale="log")
    panels[0].set_ylabel("value of the objective in training")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=3, fontsize=9)
    return figure
