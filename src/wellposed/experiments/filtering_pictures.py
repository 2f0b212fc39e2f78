"""Pictures of filters that learn, and which of a kind is shown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch

from wellposed.experiments.pictures import COLOURS

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Row = dict[str, Any]
SECTION, PATCH = (96, 128), (48, 64)  # crosslines and samples
FILTERS = {"Perona-Malik": "edge", "total variation": "channel"}  # and the norm that makes each
TWIN = "residual"


def score_of(row: Row) -> float:
    """Return by what one of several is chosen."""
    return float(row["validation, dB"])


def best(rows: Sequence[Row], kind: str, seed: int) -> Row:
    """Return the one of a kind that is best on validation."""
    return max((row for row in rows if (row["kind"], row["seed"]) == (kind, seed)), key=score_of)


def draw_sections(rows: Sequence[Row]) -> Figure:
    """Draw a test section as it comes, filtered by the best of each kind, and what is left of the truth."""
    import matplotlib.pyplot as plt

    noisy = rows[0]
    truth = torch.tensor(noisy["truth"]).T.numpy()
    kinds = [best(rows, kind, noisy["seed"]) for kind in ("untrained", "trained", "twin")]
    figure, panels = plt.subplots(2, 4, figsize=(9.5, 6.4), sharex=True, sharey=True)
    look: dict[str, Any] = {"cmap": "gray", "vmin": -2.5, "vmax": 2.5, "aspect": "auto"}
    for (above, below), row in zip(panels.T, (noisy, *kinds), strict=True):
        shown = torch.tensor(row["section"]).T.numpy()
        for panel, image in ((above, shown), (below, truth if row is noisy else shown - truth)):
            panel.imshow(image, extent=(0, SECTION[0], 4 * SECTION[1], 0), **look)
        name = row["name"] + (", trained" if row["kind"] == "trained" else "")
        above.set_title(f"{name}\n{row['test, dB']:.1f} dB on all sections", fontsize=10)
        below.set(title="without noise" if row is noisy else "error", xlabel="crossline")
    for panel in panels[:, 0]:
        panel.set_ylabel("two-way time, ms")
    return figure


def draw_learning(rows: Sequence[Row]) -> Figure:
    """Draw scores on validation while networks learn, and on the test sections for every seed."""
    import matplotlib.pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(9.5, 4.2), width_ratios=(1, 1.2))
    colours, titles = dict(zip((*FILTERS, TWIN), COLOURS, strict=False)), dict[str, int]()
    for row in (row for row in rows if row["kind"] != "input"):
        colour, curve = colours[row["name"]], row.get("curve", [])
        left.plot(range(1, len(curve) + 1), curve, color=colour, lw=1.2)
        title = f"{row['name']},\n{f'{len(curve)} passes' if curve else 'untrained'}"
        place = titles.setdefault(title, len(titles))
        right.plot(row["test, dB"], place, "o", color=colour, alpha=0.7)
    left.set(xlabel="passes over the patches", ylabel="signal to noise on validation, dB", title="Learning")
    right.set_yticks(range(len(titles)), list(titles))
    right.invert_yaxis()
    right.set(xlabel="signal to noise on test sections, dB (put in: 0)", title="Each seed a dot")
    return figure
