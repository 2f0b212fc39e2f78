"""Attacks on a classifier: by one step of its gradient, by many, by its values alone, by another network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import ClassVar, Literal, Self

import torch
from torch import Tensor, nn

from wellposed.errors import check_count, check_name
from wellposed.learning import Labels, generator
from wellposed.network.part import still
from wellposed.stability.attack import LOSSES, Attack, Ball, Losses, better, keep, losses_of, slopes

_SHRINKS = (0.001, 0.005, 0.02, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8)  # shares of the queries: windows are halved
_FIRST = 0.8  # share of the space that the first window covers


@dataclass(frozen=True)
class InBall(Attack):
    """An attack that makes a loss of this network large, over a ball.

    `loss` is "cross entropy" or "margin".
    """

    radius: float
    limits: tuple[float, float] | None = None
    loss: str = "cross entropy"

    def __post_init__(self) -> None:
        _ = self.ball
        check_name("loss", self.loss, LOSSES)
        for name in {field.name for field in fields(self)} & {"steps", "restarts", "queries"}:
            check_count(name, getattr(self, name))

    @property
    def ball(self) -> Ball:
        """|x - y| <= radius at every sample, x within the limits."""
        return Ball(self.radius, self.limits)

    def losses(self, net: nn.Module, labels: Labels) -> Losses:
        """Return the loss of every example."""
        return losses_of(net, labels, self.loss)


@dataclass(frozen=True)
class FGSM(InBall):
    """One step along the sign of the gradient; where that makes the loss smaller the input stays.

        x = y + radius sign(g),    g the gradient of the loss at y

    Exactly the worst change for two classes of a linear network.

    Cost:      two evaluations and a backward pass
    Reference: Goodfellow, Shlens, Szegedy, Explaining and harnessing adversarial examples, 2015,
               arXiv:1412.6572
    """

    sees: ClassVar[Literal["gradient", "values", "nothing"]] = "gradient"

    def find(self, losses: Losses, y: Tensor, draw: torch.Generator) -> Tensor:
        """Return the end of the step, or the input."""
        value, slope = slopes(losses, y)
        return better(losses, self.ball.nearest(y + self.radius * slope.sign(), y), y, value)[0]

    @classmethod
    def examples(cls) -> Sequence[tuple[Self, nn.Module, Tensor, Labels]]:
        """On points, and on sections of which some places are known."""
        return [(cls(0.1), *_points()), (cls(0.05, (-4.0, 4.0), "margin"), *_sections())]


@dataclass(frozen=True)
class ProjectedGradient(InBall):
    """Steps along the sign of the gradient, back to the ball after each, from random starts; the best stays.

        x <- nearest(x + s sign(g)),    s = 2.5 radius / steps

    Cost:      `restarts` times `steps` + 1 evaluations and backward passes
    Reference: Madry et al., 2018, arXiv:1706.06083
    """

    steps: int = 20
    restarts: int = 3
    sees: ClassVar[Literal["gradient", "values", "nothing"]] = "gradient"

    def find(self, losses: Losses, y: Tensor, draw: torch.Generator) -> Tensor:
        """Return the best input on all ways."""
        size, ball = 2.5 * self.radius / self.steps, self.ball
        best = y
        with torch.no_grad():
            value = losses(y)
        for _ in range(self.restarts):
            start = 2 * torch.rand(y.shape, generator=draw, dtype=torch.float64) - 1
            x = ball.nearest(y + self.radius * start.to(y), y)
            for _ in range(self.steps):
                here, slope = slopes(losses, x)
                best, value = keep(here, x, value, best)
                x = ball.nearest(x + size * slope.sign(), y)
            best, value = better(losses, x, best, value)
        return best

    @classmethod
    def examples(cls) -> Sequence[tuple[Self, nn.Module, Tensor, Labels]]:
        """On points, and on sections of which some places are known."""
        points = (cls(0.1, steps=5, restarts=2), *_points())
        return [points, (cls(0.05, (-4.0, 4.0), "margin", steps=4, restarts=1), *_sections())]


@dataclass(frozen=True)
class SquareAttack(InBall):
    """Random search over windows, by values of the network alone: what its gradient hides is found too.

        x <- y +- radius in a window, one sign a channel, where that makes the loss larger

    The first input has random signs in stripes along the last axis. A window covers 0.8 of the space, then
    halves of that; on points it is a random part of the channels. `queries` is the budget.

    Cost:      `queries` evaluations
    Reference: Andriushchenko et al., Square attack, 2020, arXiv:1912.00049
    """

    loss: str = "margin"
    queries: int = 500
    sees: ClassVar[Literal["gradient", "values", "nothing"]] = "values"

    @torch.no_grad()
    def find(self, losses: Losses, y: Tensor, draw: torch.Generator) -> Tensor:
        """Return the best input of the search."""
        stripes = _signs((*y.shape[:2], *(1,) * (y.ndim - 3), *y.shape[2:][-1:]), y, draw)
        best, value = y, losses(y)
        best, value = better(losses, self._moved(stripes, y), best, value)
        for query in range(2, self.queries):
            share = _FIRST / 2 ** sum(query >= part * self.queries for part in _SHRINKS)
            window = _part(y, share, draw) if y.ndim == 2 else _window(y, share, draw)
            signs = _signs((*y.shape[:2], *(1,) * (y.ndim - 2)), y, draw)
            moved = torch.where(window, self._moved(signs, y), best)
            best, value = better(losses, moved, best, value)
        return best

    @classmethod
    def examples(cls) -> Sequence[tuple[Self, nn.Module, Tensor, Labels]]:
        """On points, and on sections of which some places are known."""
        points = (cls(0.1, queries=40), *_points())
        return [points, (cls(0.05, (-4.0, 4.0), queries=30), *_sections())]

    def _moved(self, signs: Tensor, y: Tensor) -> Tensor:
        return self.ball.nearest(y + self.radius * signs, y)


@dataclass(frozen=True, eq=False)
class TransferAttack(Attack):
    """An attack made on another network, `source`, and tried on this one, of which it asks nothing.

    Cost:      that of the attack on the other network
    Reference: Papernot, McDaniel, Goodfellow, Transferability in machine learning, 2016, arXiv:1605.07277
    """

    by: Attack
    source: nn.Module
    sees: ClassVar[Literal["gradient", "values", "nothing"]] = "nothing"

    @property
    def ball(self) -> Ball:
        """That of the attack."""
        return self.by.ball

    def losses(self, net: nn.Module, labels: Labels) -> Losses:
        """Return the losses of the other network."""
        return self.by.losses(self.source, labels)

    def find(self, losses: Losses, y: Tensor, draw: torch.Generator) -> Tensor:
        """Return what the attack finds there."""
        with still(self.source):
            return self.by.find(losses, y, draw)

    @classmethod
    def examples(cls) -> Sequence[tuple[Self, nn.Module, Tensor, Labels]]:
        """From a network with other weights."""
        return [(cls(ProjectedGradient(0.1, steps=4), _points(seed=1)[0]), *_points())]


def _signs(shape: Sequence[int], like: Tensor, draw: torch.Generator) -> Tensor:
    """Return -1 or 1 at random."""
    return (2 * torch.randint(2, tuple(shape), generator=draw) - 1).to(like)


def _window(y: Tensor, share: float, draw: torch.Generator) -> Tensor:
    """Return where a random window of this share of the space lies, another in every example.

    Shapes:    (batch, 1, *space)
    """
    space = y.shape[2:]
    inside = torch.ones(len(y), 1, *(1,) * len(space), dtype=torch.bool)
    for axis, n in enumerate(space):
        width = max(1, round(n * share ** (1 / len(space))))
        first = torch.randint(n - width + 1, (len(y), 1), generator=draw)
        along = torch.arange(n)[None]
        near = (along >= first) & (along < first + width)
        inside = inside & near.view(len(y), 1, *(n if k == axis else 1 for k in range(len(space))))
    return inside.to(y.device)


def _part(y: Tensor, share: float, draw: torch.Generator) -> Tensor:
    """Return a random part of the channels of every example, at least one.

    Shapes:    (batch, channel)
    """
    order = torch.rand(y.shape, generator=draw).argsort(1)
    return (order < max(1, round(share * y.shape[1]))).to(y.device)


def _points(seed: int = 0) -> tuple[nn.Module, Tensor, Labels]:
    """Three classes of points, and a network that is not linear."""
    draw = generator(seed, "attacks", "points")
    net = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 3)).double()
    return _drawn(net, draw), _normal((6, 4), draw), Labels(torch.randint(3, (6,), generator=draw))


def _sections() -> tuple[nn.Module, Tensor, Labels]:
    """Two classes on sections, half of the places known."""
    draw = generator(0, "attacks", "sections")
    net = _drawn(nn.Conv2d(2, 2, 3, padding=1).double(), draw)
    classes = torch.randint(2, (3, 5, 6), generator=draw)
    y = _normal((3, 2, 5, 6), draw).clamp(-4, 4)
    return net, y, Labels(classes, torch.rand(3, 5, 6, generator=draw) < 0.5)


def _drawn(net: nn.Module, draw: torch.Generator) -> nn.Module:
    for weight in net.parameters():
        nn.init.normal_(weight, std=0.7, generator=draw)
    return net


def _normal(shape: tuple[int, ...], draw: torch.Generator) -> Tensor:
    return torch.randn(shape, generator=draw, dtype=torch.float64)
