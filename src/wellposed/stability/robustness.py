"""How many a classifier still gets right under attacks, and whether its gradient hides how it errs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from wellposed.errors import ConfigError, check_kind
from wellposed.learning import Labels, derive_seed
from wellposed.learning.metrics import score
from wellposed.network.part import still
from wellposed.stability.attack import Attack, as_labels

CLEAN = "clean"


@dataclass(frozen=True, eq=False)
class Robustness:
    """What is right without an attack ("clean") and under each, over the known places.

    right       whether the class with the largest logit is the true one: place by place the same in all
    warnings    that gradients hide something, in words

    Shapes:    right (known place,)
    """

    right: Mapping[str, Tensor]
    warnings: tuple[str, ...]

    @property
    def accuracy(self) -> dict[str, float]:
        """Share that is right."""
        return {name: float(right.double().mean()) for name, right in self.right.items()}

    @property
    def kept(self) -> dict[str, float]:
        """Share of those right when clean that is right under an attack too; nan where none was."""
        clean = self.right[CLEAN]
        return {name: float(right[clean].double().mean()) for name, right in self.right.items()}

    def __str__(self) -> str:
        wide = max(map(len, self.right))
        kept = self.kept
        lines = [
            f"{name:<{wide}}  {share:.4f}" + ("" if name == CLEAN else f"  kept {kept[name]:.4f}")
            for name, share in self.accuracy.items()
        ]
        return "\n".join([*lines, *(f"warning: {said}" for said in self.warnings)])


def robustness(
    net: nn.Module,
    y: Tensor,
    labels: Labels | Tensor,
    attacks: Mapping[str, Attack],
    *,
    seed: int = 0,
    batch: int = 64,
) -> Robustness:
    """Return how many predictions stay right under each of some attacks.

    A network is safe from an attack by its gradient where it errs less, or where its gradient says nothing.
    An attack that sees no gradient tells the two apart: where it fools a network that the gradient does not,
    at more places than chance would, a warning says so.

    Shapes:    y (n, channel, *space), predictions (n, class, *space), labels (n, *space)
    Raises:    as `score` and `Attack`; ConfigError for an attack named "clean"
    Cost:      that of the attacks, and an evaluation for each
    Reference: Athalye, Carlini, Wagner, Obfuscated gradients give a false sense of security, 2018,
               arXiv:1802.00420; Huang et al., 2020, arXiv:2009.13145
    """
    labels = as_labels(labels)
    score(net, y, labels, batch=batch)  # refuses what is no classes, and what is no number
    if CLEAN in attacks:
        raise ConfigError(
            "an attack needs a name of its own",
            given=f"an attack named {CLEAN!r}",
            expected=f"any other: {CLEAN!r} are the inputs as they are",
            way_out="rename it",
        )
    for name, attack in attacks.items():
        check_kind(name, attack, Attack, "take one, such as FGSM(8 / 255)")
    found: dict[str, list[Tensor]] = {CLEAN: [], **{name: [] for name in attacks}}
    for start in range(0, len(y), batch):
        part = slice(start, start + batch)
        inputs, truth = y[part], labels.take(part)
        found[CLEAN].append(_right(net, inputs, truth))
        for name, attack in attacks.items():
            moved = attack(net, inputs, truth, seed=derive_seed(seed, name, start))
            found[name].append(_right(net, moved, truth))
    right = {name: torch.cat(parts) for name, parts in found.items()}
    return Robustness(right, tuple(_hidden(right, attacks)))


def _right(net: nn.Module, x: Tensor, truth: Labels) -> Tensor:
    """Return whether each known place is taken for its class."""
    with still(net), torch.no_grad():
        classes = net(x).argmax(1)
    return (classes == truth.values)[truth.known]


def _hidden(right: Mapping[str, Tensor], attacks: Mapping[str, Attack]) -> list[str]:
    """Return a warning for each attack without gradient that fools more than all those with one together.

    Of places fooled by one side alone, a without and b with the gradient, chance makes |a - b| as large as
    sqrt(a + b): twice that is no chance.
    """
    by_gradient = [right[name] for name, attack in attacks.items() if attack.sees == "gradient"]
    if not by_gradient:
        return []
    strongest = torch.stack(by_gradient).all(0)
    said = []
    for name, attack in attacks.items():
        if attack.sees == "gradient":
            continue
        more, less = int((strongest & ~right[name]).sum()), int((~strongest & right[name]).sum())
        if more - less > 2 * (more + less) ** 0.5:
            said.append(
                f"{name}, which sees no gradient of this network, fools it at {more} places where no attack "
                f"by gradient does ({less} the other way round): the gradient hides how the network errs, "
                "and attacks by it say nothing of its strength"
            )
    return said
