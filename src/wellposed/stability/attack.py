"""What an attack on a classifier is: a change of its input, small at every sample, that makes it err."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import ClassVar, Literal, Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from wellposed.errors import ConfigError, StepError, check_name
from wellposed.learning import CrossEntropy, Labels, generator
from wellposed.network.part import still

Losses = Callable[[Tensor], Tensor]
LOSSES = ("cross entropy", "margin")


@dataclass(frozen=True)
class Ball:
    """Inputs x with |x - y| <= radius at every sample, and low <= x <= high where there are limits."""

    radius: float
    limits: tuple[float, float] | None = None

    def nearest(self, x: Tensor, y: Tensor) -> Tensor:
        """Return the point of the ball about y that is nearest to x."""
        inside = x.maximum(y - self.radius).minimum(y + self.radius)
        return inside if self.limits is None else inside.clamp(*self.limits)

    def __post_init__(self) -> None:
        low, high = self.limits or (0.0, 1.0)
        if not (isfinite(self.radius) and self.radius >= 0 and low < high):
            raise ConfigError(
                "an attack has a ball of inputs to choose from",
                given=f"radius={self.radius}, limits={self.limits}",
                expected="a radius of at least 0, in the units of the input, and limits (low, high) or None",
                way_out="give the largest change of a sample: 8 / 255 is usual for images between 0 and 1",
            )

    def check(self, y: Tensor) -> None:
        """Raise ConfigError for inputs beyond the limits: nothing about them is in the ball."""
        if self.limits is not None and not bool(((y >= self.limits[0]) & (y <= self.limits[1])).all()):
            raise ConfigError(
                "these inputs lie beyond the limits of the attack",
                given=f"inputs from {float(y.min()):.4g} to {float(y.max()):.4g}",
                expected=f"from {self.limits[0]:g} to {self.limits[1]:g}",
                way_out="give the limits of the data, or leave them away",
            )


class Attack(ABC):
    """Inputs in a ball about the given ones at which a classifier errs: attack(net, y, labels, seed=0).

    `sees` says what it asks of the network: its gradient, its values, or nothing. Where it asks, the loss
    that it makes large is never below that of the input itself. Examples of a batch do not see one another.
    Labels may be a tensor of classes; where they are not known they count for nothing.

    Shapes:    y (batch, channel, *space) -> the same; predictions (batch, class, *space) and labels
               (batch, *space), whose space need not be that of y
    Units:     the radius in those of y
    Raises:    ConfigError for a ball or inputs that cannot be; ShapeError, StructureError for labels that are
               no classes of the prediction; StepError where the prediction is no finite number
    Reference: Madry et al., Towards deep learning models resistant to adversarial attacks, 2018,
               arXiv:1706.06083
    """

    sees: ClassVar[Literal["gradient", "values", "nothing"]]

    @property
    @abstractmethod
    def ball(self) -> Ball:
        """Where it looks."""

    @abstractmethod
    def losses(self, net: nn.Module, labels: Labels) -> Losses:
        """Return what it makes large: inputs to a number for every example."""

    @abstractmethod
    def find(self, losses: Losses, y: Tensor, draw: torch.Generator) -> Tensor:
        """Return the attacked inputs; random numbers come from `draw`."""

    @classmethod
    @abstractmethod
    def examples(cls) -> Sequence[tuple[Self, nn.Module, Tensor, Labels]]:
        """Small seeded attacks, each with a network in float64, inputs and labels."""

    def __call__(self, net: nn.Module, y: Tensor, labels: Labels | Tensor, *, seed: int = 0) -> Tensor:
        """Return the attacked inputs."""
        labels, y = as_labels(labels), y.detach()
        self.ball.check(y)
        with still(net):
            check_prediction(net, y, labels)
            found = self.find(self.losses(net, labels), y, generator(seed, type(self).__name__))
        return self.ball.nearest(found.detach(), y)


def as_labels(labels: Labels | Tensor) -> Labels:
    """Return labels; a tensor of classes is known everywhere."""
    return labels if isinstance(labels, Labels) else Labels(labels)


def check_prediction(net: nn.Module, y: Tensor, labels: Labels) -> None:
    """Raise an error unless the network gives finite numbers for these inputs, and the labels fit them."""
    with torch.no_grad():
        value = CrossEntropy().value(net, net(y), labels)
    if not bool(value.isfinite()):
        raise StepError(
            "a network is attacked where it works",
            given=f"a cross entropy of {float(value):g} at the inputs themselves",
            expected="finite predictions",
            way_out="go back to weights from before the network left them, or look at the inputs",
        )


def losses_of(net: nn.Module, labels: Labels, kind: str) -> Losses:
    """Return the loss of every example, a mean over its known places: what an attack makes large.

        cross entropy    -log p(class)
        margin           largest logit of another class - logit of the class: positive where it errs

    The first has no slope left where the network is all too sure: rounding hides it. The second has.
    """
    check_name("loss", kind, LOSSES)
    known = labels.known
    classes = torch.where(known, labels.values, torch.zeros_like(labels.values)).long()
    share = known.flatten(1) if known.ndim > 1 else known[:, None]
    weight = share / share.sum(1, keepdim=True).clamp_min(1)

    def losses(x: Tensor) -> Tensor:
        logits = net(x)
        each = F.cross_entropy(logits, classes, reduction="none") if kind == LOSSES[0] else margin(logits)
        return (each.reshape(len(x), -1) * weight.to(each)).sum(1)

    def margin(logits: Tensor) -> Tensor:
        place = classes[:, None]
        others = logits.scatter(1, place, -torch.inf).amax(1)
        return others - logits.gather(1, place)[:, 0]

    return losses


def slopes(losses: Losses, x: Tensor) -> tuple[Tensor, Tensor]:
    """Return the loss of every example and its gradient, zero where the loss does not depend on x."""
    with torch.enable_grad():
        given = x.detach().requires_grad_()
        each = losses(given)
        if not each.requires_grad:
            return each, torch.zeros_like(x)
        (slope,) = torch.autograd.grad(each.sum(), given, materialize_grads=True)
    return each.detach(), slope


def better(losses: Losses, x: Tensor, best: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
    """Return of every example the better of two inputs, and its loss; `value` is that of the second."""
    with torch.no_grad():
        return keep(losses(x), x, value, best)


def keep(new: Tensor, x: Tensor, value: Tensor, best: Tensor) -> tuple[Tensor, Tensor]:
    """Return x where its loss `new` is larger than `value`, else `best`; and the larger loss."""
    larger = (new > value).view(-1, *(1,) * (x.ndim - 1))
    return torch.where(larger, x, best), new.maximum(value)
