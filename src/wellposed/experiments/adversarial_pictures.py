"""Numbers, tables and pictures of the attacks: what is kept, what is gained on the residual network."""

from __future__ import annotations

from collections.abc import Mapping
from math import nan
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor

from wellposed.experiments.pictures import COLOURS
from wellposed.experiments.setting import Rows
from wellposed.learning import generator

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Seen = dict[str, dict[str, Any]]  # by network: how it was trained, and under "right" what survives
Found = Mapping[int, Seen]  # by seed

MAIN, FAR = 2.0, 8.0  # radii of 255: where trained networks differ, and the published one
GRADIENT, WORST = "projected gradient", "all"
ATTACKS = ("FGSM", GRADIENT, "transfer", "square", WORST)
SHOWN = {GRADIENT: "projected\ngradient", "square": "without\ngradient", WORST: "worst\nof all"}
DRAWS = 2000  # of the bootstrap
BEYOND = 0.005  # points: an interval that ends at zero itself says nothing


class Gain(NamedTuple):
    """Points kept more than by the residual network: each seed, all of them, and the 95 % interval."""

    seeds: list[float]
    mean: float
    least: float
    most: float

    @property
    def word(self) -> str:
        """What the interval says."""
        if self.least > BEYOND:
            return "better"
        return "worse" if self.most < -BEYOND else "no difference"


def right(value: Mapping[str, Any], attack: str, radius: float) -> Tensor:
    """Return which images survive; of all attacks together only the images that each of them had.

    Shapes:    (image,)
    """
    if attack != WORST:
        return torch.tensor(value["right"][f"{attack} {radius:g}"])
    each = [right(value, name, radius) for name in ATTACKS if name != WORST]
    few = min(map(len, each))
    return torch.stack([survives[:few] for survives in each]).all(0)


def kept(value: Mapping[str, Any], attack: str, radius: float) -> float:
    """Return the percentage that survives of the images that are right when clean; nan of none."""
    survives = right(value, attack, radius)
    clean = torch.tensor(value["right"]["clean"])[: len(survives)]
    return 100 * float(survives[clean].double().mean())


def gain(found: Found, kind: str, attack: str, radius: float) -> Gain:
    """Compare with the residual network on images that both get right when clean.

    An image is drawn with all its seeds: these are no independent images.
    """
    differences, counts = [], []
    for seen in found.values():
        ours, theirs = (right(seen[name], attack, radius).double() for name in (kind, "residual"))
        clean = [torch.tensor(seen[name]["right"]["clean"])[: len(ours)] for name in (kind, "residual")]
        both = (clean[0] & clean[1]).double()
        differences.append(both * (ours - theirs))
        counts.append(both)
    difference, count = torch.stack(differences), torch.stack(counts)
    drawn = torch.randint(
        difference.shape[1], (DRAWS, difference.shape[1]), generator=generator(0, "bootstrap")
    )
    means = 100 * difference.sum(0)[drawn].sum(1) / count.sum(0)[drawn].sum(1)
    seeds = 100 * difference.sum(1) / count.sum(1)
    least, most = means.nanquantile(torch.tensor([0.025, 0.975], dtype=means.dtype)).tolist()
    return Gain(seeds.tolist(), float(100 * difference.sum() / count.sum()), least, most)


def hidden(value: Mapping[str, Any]) -> bool:
    """Whether an attack that sees no gradient fools where those by gradient do not, beyond chance.

    The rule is that of `robustness`: of images fooled by one side alone, twice the square root.
    """
    for radius in (MAIN, FAR):
        strongest = right(value, "FGSM", radius) & right(value, GRADIENT, radius)
        for attack in ("transfer", "square"):
            other = right(value, attack, radius)
            safe, clean = strongest[: len(other)], torch.tensor(value["right"]["clean"])[: len(other)]
            more, less = int((clean & safe & ~other).sum()), int((clean & ~safe & other).sum())
            if more - less > 2 * (more + less) ** 0.5:
                return True
    return False


def measures(found: Found) -> dict[str, float | list[float]]:
    """Return percentages kept under all attacks, gains on the residual network, and whose gradient hides."""
    said: dict[str, float | list[float]] = {}
    kinds = _kinds(found)
    for kind in kinds:
        values = [seen[kind] for seen in found.values()]
        said[f"{kind}.clean"] = [_clean(value) for value in values]
        said[f"{kind}.hidden"] = float(sum(map(hidden, values)))
        for radius in (MAIN, FAR):
            said[f"{kind}.kept {radius:g}"] = [kept(value, WORST, radius) for value in values]
            if kind != "residual":
                found_gain = gain(found, kind, WORST, radius)
                said[f"{kind}.gain {radius:g}"] = found_gain.seeds
                said[f"{kind}.least {radius:g}"] = found_gain.least
                said[f"{kind}.most {radius:g}"] = found_gain.most
    clean = [[_clean(seen[kind]) for kind in kinds] for seen in found.values()]
    said["clean"] = [min(each) for each in clean]
    epochs = [[seen[kind]["epoch"] for kind in kinds] for seen in found.values()]
    said["apart"] = max(max(each) - min(each) for each in epochs)
    said["spread"] = max(max(each) - min(each) for each in clean)
    said["far"] = max(kept(seen[kind], WORST, FAR) for seen in found.values() for kind in kinds)
    return said


def networks(found: Found) -> Rows:
    """Return a row for each network: what it is, how it was trained, where it was stopped."""
    return [
        {
            "network": kind,
            "seed": seed,
            "weights": value["weights"],
            "rate": value["rate"],
            "seconds of training": round(value["seconds"]),
            "largest step over bound": value["ratio"] or "",
            "accuracy to reach %": 100 * value["mark"],
            "stopped after epoch": value["epoch"],
            "best accuracy % (choosing)": 100 * max(value["chosen by"]),
            "clean accuracy % (test)": _clean(value),
            "gradient hides how it errs": "yes" if hidden(value) else "no",
        }
        for seed, seen in found.items()
        for kind, value in seen.items()
    ]


def table(found: Found) -> Rows:
    """Return a row for each attack and network: percentage kept, and the gain on the residual network."""
    rows = []
    for radius in (MAIN, FAR):
        for attack in ATTACKS:
            for kind in _kinds(found):
                values = [seen[kind] for seen in found.values()]
                row = {
                    "radius of 255": radius,
                    "attack": attack,
                    "network": kind,
                    "images": len(right(values[0], attack, radius)),
                    "kept %": sum(kept(value, attack, radius) for value in values) / len(values),
                    "kept %, each seed": " ".join(f"{kept(value, attack, radius):.1f}" for value in values),
                }
                it = None if kind == "residual" else gain(found, kind, attack, radius)
                row |= {
                    "points more than residual": it.mean if it else "",
                    "least of 95 %": it.least if it else "",
                    "most of 95 %": it.most if it else "",
                    "says": it.word if it else "",
                }
                rows.append(row)
    return rows


def shares(found: Found) -> Figure:
    """Draw what each network keeps under each attack: a bar for the mean, a dot for each seed."""
    import matplotlib.pyplot as plt

    figure, panels = plt.subplots(2, 1, figsize=(9.5, 6.4), sharex=True)
    kinds = _kinds(found)
    wide = 0.8 / len(kinds)
    for panel, radius in zip(panels, (MAIN, FAR), strict=True):
        for number, (kind, colour) in enumerate(zip(kinds, COLOURS, strict=False)):
            for place, attack in enumerate(ATTACKS):
                at = place + (number - (len(kinds) - 1) / 2) * wide
                values = [kept(seen[kind], attack, radius) for seen in found.values()]
                label = kind if place == 0 else None
                panel.bar(at, sum(values) / len(values), 0.9 * wide, color=colour, alpha=0.55, label=label)
                panel.plot([at] * len(values), values, "o", ms=3.5, color=colour)
        panel.set(ylim=(0, 103), ylabel="still right, %", title=f"radius {radius:g} / 255")
    one = next(iter(found.values()))[kinds[0]]
    counts = {attack: len(right(one, attack, MAIN)) for attack in ATTACKS}
    words = [f"{SHOWN.get(attack, attack)}\n{count} images" for attack, count in counts.items()]
    panels[1].set_xticks(range(len(ATTACKS)), words)
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=len(kinds))
    figure.suptitle("Images still right under attack, of those right when clean; dots: seeds")
    return figure


def gains(found: Found) -> Figure:
    """Draw how much more is kept than by the residual network, with paired 95 % intervals."""
    import matplotlib.pyplot as plt

    kinds = [kind for kind in _kinds(found) if kind != "residual"]
    figure, panels = plt.subplots(1, 2, figsize=(9.5, 4.8), sharey=True)
    for panel, radius in zip(panels, (MAIN, FAR), strict=True):
        panel.axvline(0, color="0.6", lw=0.8)
        for number, kind in enumerate(kinds):
            for place, attack in enumerate(ATTACKS):
                it, at = gain(found, kind, attack, radius), -place + 0.22 * (1 - number)
                colour = COLOURS[number + 1]
                panel.plot([it.least, it.most], [at, at], color=colour, lw=2)
                panel.plot(it.mean, at, "o", ms=5, color=colour, label=kind if place == 0 else None)
        panel.set(xlabel="points more than the residual network", title=f"radius {radius:g} / 255")
    panels[0].set_yticks(
        [-place for place in range(len(ATTACKS))],
        [SHOWN.get(attack, attack).replace("\n", " ") for attack in ATTACKS],
    )
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=len(kinds))
    figure.suptitle("Harder to fool than the residual network? An interval over zero: no difference")
    return figure


def curve(found: Found) -> Figure:
    """Draw what survives the projected gradient against the radius, on the images that all attacks had."""
    import matplotlib.pyplot as plt

    figure, panel = plt.subplots(figsize=(9.5, 4.4))
    few = 0
    for kind, colour in zip(_kinds(found), COLOURS, strict=False):
        for number, seen in enumerate(found.values()):
            values = seen[kind]["right"]
            few = len(values[f"square {MAIN:g}"])
            clean = torch.tensor(values["clean"])[:few]
            names = {name: float(name.split()[-1]) for name in values if name.startswith(GRADIENT)}
            points = sorted(
                (radius, 100 * float(torch.tensor(values[name])[:few][clean].double().mean()))
                for name, radius in names.items()
            )
            label = kind if number == 0 else None
            panel.plot(
                *zip((0.0, 100.0), *points, strict=True), "o-", ms=4, lw=1.2, color=colour, label=label
            )
    panel.set(xlabel="radius of the attack, 1 / 255 of the range of a pixel", ylabel="still right, %")
    panel.set(ylim=(0, 103), title=f"Under the projected gradient, {few} images; a line a seed")
    figure.legend(*panel.get_legend_handles_labels(), loc="outside lower center", ncols=4)
    return figure


def _kinds(found: Found) -> list[str]:
    return list(next(iter(found.values())))


def _clean(value: Mapping[str, Any]) -> float:
    """Return the percentage of the images of the test that is right when clean."""
    clean: list[bool] = value["right"]["clean"]
    return 100 * sum(clean) / len(clean) if clean else nan
