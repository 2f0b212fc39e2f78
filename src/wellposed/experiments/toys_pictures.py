"""Table, pictures and movies of the toys: regions, accuracies, values, and points on their way."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from wellposed.experiments.pictures import COLOURS
from wellposed.experiments.setting import Rows

if TYPE_CHECKING:
    from matplotlib.animation import FuncAnimation
    from matplotlib.figure import Figure

Found = Mapping[tuple[str, str, int], Mapping[str, Any]]  # by toy, network and seed
Rivals = Mapping[tuple[str, int], Mapping[str, float]]


def chosen(found: Found, toy: str) -> dict[int, str]:
    """Return for each draw the network that is best in cross-validation on the points of training."""
    seeds = {seed for its, _, seed in found if its == toy}
    return {
        seed: max(
            (k for t, k, s in found if (t, s) == (toy, seed)), key=lambda k: found[toy, k, seed]["trial"]
        )
        for seed in sorted(seeds)
    }


def rows(found: Found) -> Rows:
    """Return a row for each network."""
    return [
        {
            "toy": toy,
            "network": kind,
            "seed": seed,
            "chosen": "yes" if chosen(found, toy)[seed] == kind else "",
            "weight of regularisation": value["weight"],
            "cross-validation %": value["trial"][0],
            **{f"level {k} %": accuracy for k, accuracy in enumerate(value["accuracy"], 1)},
            "on points of training %": value["trained"],
            "value": value["values"][-1][-1],
            "step over bound": value["ratio"] or "",
            "seconds": round(value["seconds"], 1),
            "ended": value["ended"] or "as planned",
        }
        for (toy, kind, seed), value in found.items()
    ]


def regions(found: Found) -> Figure:
    """Draw the classes that the first network of each kind sees in the plane, and points of training."""
    import matplotlib.pyplot as plt
    from matplotlib.colors import ListedColormap

    toys, kinds = names(found)
    size = (9.5, 3.1 * len(toys))
    figure, axes = plt.subplots(len(toys), len(kinds), figsize=size, squeeze=False, sharey="row")
    for toy, row in zip(toys, axes, strict=True):
        for kind, panel in zip(kinds, row, strict=True):
            value = found[toy, kind, 0]
            classes, far, side = (
                np.array(value["classes"]),
                value["reach"],
                round(len(value["regions"]) ** 0.5),
            )
            image = np.array(value["regions"]).reshape(side, side).T
            colours = COLOURS[: max(classes) + 1]
            look = {"cmap": ListedColormap(colours), "vmin": 0, "vmax": len(colours) - 1}
            panel.imshow(image, origin="lower", extent=(-far, far, -far, far), alpha=0.45, **look)
            panel.locator_params(nbins=4)
            panel.scatter(*np.array(value["points"]).T, c=classes, s=4, **look)
            panel.set_title(f"{toy}, {kind}: {value['accuracy'][-1]:.2f} %", fontsize=10)
        row[0].set_ylabel("second input")
    for panel in axes[-1]:
        panel.set_xlabel("first input")
    figure.suptitle(
        "Classes in the plane, some of the points of training, accuracy at new points (first draw)"
    )
    return figure


def accuracies(found: Found, rivals: Rivals) -> Figure:
    """Draw the share of new points that are wrong: a dot a draw, and the classical rivals."""
    import matplotlib.pyplot as plt

    toys, kinds = names(found)
    figure, axes = plt.subplots(1, len(toys), figsize=(9.5, 3.9), sharex=True, squeeze=False)
    for toy, panel in zip(toys, axes[0], strict=True):
        columns = [
            [v["accuracy"][-1] for (t, k, _), v in found.items() if (t, k) == (toy, kind)] for kind in kinds
        ]
        others = [value for (t, _), value in rivals.items() if t == toy]
        columns += [[value[name] for value in others] for name in ("thin plate", "nearest neighbour")]
        labels = [*kinds, "thin plate", "nearest\nneighbour"]
        for place, values in enumerate(columns):
            colour = COLOURS[min(place, len(kinds))]
            shift = np.linspace(-0.15, 0.15, len(values)) if len(values) > 1 else [0.0]
            panel.plot(place + np.array(shift), 100 - np.array(values), "o", ms=5, color=colour, alpha=0.8)
        panel.set_xticks(range(len(labels)), labels, rotation=35, ha="right", fontsize=9)
        panel.set_title(toy)
        panel.set_ylim(bottom=0 - 0.04 * panel.get_ylim()[1])
    axes[0, 0].axhline(0.5, color="0.6", lw=0.8, ls="--")
    axes[0, 0].text(len(kinds) + 1.4, 0.5, "99.5 %", ha="right", va="bottom", fontsize=8, color="0.4")
    axes[0, 0].set_ylabel("wrong, % of new points")
    figure.suptitle("Errors at points that were not trained on, a dot a draw")
    return figure


def values(found: Found) -> Figure:
    """Draw the value of the objective by epoch: it jumps where steps are halved."""
    import matplotlib.pyplot as plt

    toys, kinds = names(found)
    figure, axes = plt.subplots(1, len(toys), figsize=(9.5, 3.8), squeeze=False)
    for toy, panel in zip(toys, axes[0], strict=True):
        for kind, colour in zip(kinds, COLOURS, strict=False):
            for seed in sorted(s for t, k, s in found if (t, k) == (toy, kind)):
                start, levels = 0, found[toy, kind, seed]["values"]
                for level in levels:
                    epochs = range(start, start + len(level))
                    label = kind if start + seed == 0 else None
                    panel.semilogy(epochs, level, ".-", ms=2, color=colour, lw=1, label=label)
                    start += len(level)
        panel.set(title=toy, xlabel="step of Gauss-Newton")
    axes[0, 0].set_ylabel("value of the objective")
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=len(kinds))
    figure.suptitle("Continuation: where a line breaks, every step of the network becomes two")
    return figure


def movie(toy: str, found: Found) -> FuncAnimation:
    """Show points of training on their way through the steps, where the head tells classes apart best."""
    import matplotlib.pyplot as plt
    from matplotlib.animation import FuncAnimation

    kinds = names(found)[1]
    figure, panels = plt.subplots(1, len(kinds), figsize=(3.1 * len(kinds), 3.6), squeeze=False)
    shown = []
    for kind, panel in zip(kinds, panels[0], strict=True):
        value = found[toy, kind, 0]
        ways, classes = np.array(value["ways"]), np.array(value["classes"])
        dots = [
            panel.plot(*ways[0, classes == k].T, "o", ms=2.2, color=COLOURS[k])[0]
            for k in range(max(classes) + 1)
        ]
        low, high = ways.min((0, 1)), ways.max((0, 1))
        room = 0.05 * np.maximum(high - low, 0.1 * (high - low).max())  # of a network that does nothing too
        panel.set(xlim=(low[0] - room[0], high[0] + room[0]), ylim=(low[1] - room[1], high[1] + room[1]))
        panel.set_title(f"{kind}, {value['accuracy'][-1]:.2f} %")
        panel.tick_params(labelleft=False, labelbottom=False, length=0)
        shown.append((ways, classes, dots))
    frames = max(len(ways) for ways, *_ in shown)
    title = figure.suptitle(toy, fontsize=10)
    figure.canvas.draw()
    figure.set_layout_engine("none")  # laid out once, not for every frame

    def draw(frame: int) -> list[Any]:
        place = min(frame, frames - 1)  # it rests at the end
        time = found[toy, kinds[0], 0]["time"] * place / max(1, frames - 1)
        title.set_text(f"{toy}: features at time {time:.1f}, where the head tells classes apart")
        for ways, classes, dots in shown:
            for k, dot in enumerate(dots):
                dot.set_data(*ways[min(place, len(ways) - 1), classes == k].T)
        return [title, *(dot for *_, dots in shown for dot in dots)]

    return FuncAnimation(figure, draw, frames=frames + frames // 4)


def names(found: Found) -> tuple[list[str], list[str]]:
    """Return the toys and the kinds of networks."""
    return list(dict.fromkeys(key[0] for key in found)), list(dict.fromkeys(key[1] for key in found))
