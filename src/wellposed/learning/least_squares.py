"""Least squares of real values at the known places."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor, nn

from wellposed.learning.labels import Labels
from wellposed.learning.objective import Objective, Scope, check_places, known_mean, spread
from wellposed.learning.seeds import generator


@dataclass(frozen=True)
class LeastSquares(Objective):
    """((prediction - value) / std)^2 / 2, a mean over the known places only; std is 1 where it is not told.

    With labels y_i of noise std_i the least value of a constant is the weighted mean, the best of all
    unbiased estimates: the label that is ten times as uncertain counts a hundredth.

    Shapes:    prediction and labels.values (batch, *places), the same
    Raises:    ShapeError
    """

    @property
    def scope(self) -> frozenset[Scope]:
        """The prediction."""
        return frozenset({"prediction"})

    def value(self, net: nn.Module, prediction: Tensor, labels: Labels) -> Tensor:
        """Return half the mean square of the residual in units of std."""
        _check(prediction, labels)
        residual = (prediction[labels.known] - labels.values[labels.known]) * _precision(labels, prediction)
        return known_mean(residual.square()) / 2

    def curvature(self, prediction: Tensor, labels: Labels, v: Tensor) -> Tensor:
        """Return v / std^2 over the count of known places: the Hessian itself."""
        _check(prediction, labels)
        rows = v[labels.known] * _precision(labels, prediction).square()
        return spread(v, labels.known, rows / max(1, len(rows)))

    def coarser(self, labels: Labels) -> Labels:
        """Return the mean of what is known in a cell, weighted by 1 / std^2, and its std.

        Shapes:    labels (batch, channel, *space)
        """
        values, known, std = labels.cells(2)
        weight = known.to(values) if std is None else torch.where(known, std, torch.inf).square().reciprocal()
        total = weight.sum(-1)
        any_known = known.any(-1)
        safe = torch.where(any_known, total, 1.0)
        mean = (weight * torch.where(known, values, 0.0)).sum(-1) / safe
        return Labels(mean, any_known, None if std is None else safe.rsqrt())

    @classmethod
    def examples(cls) -> Sequence[tuple[Self, nn.Module, Tensor, Labels]]:
        """Real values on a line, two of three known, with and without std."""
        draw = generator(0, cls.__name__)
        inputs = torch.randn(2, 3, 4, generator=draw, dtype=torch.float64)
        values, std = torch.randn(2, 2, 1, 4, generator=draw, dtype=torch.float64)
        known = torch.rand(2, 1, 4, generator=draw) < 0.67
        net = nn.Conv1d(3, 1, 1, bias=False).double()
        nn.init.normal_(net.weight, generator=draw)
        told = Labels(values, known, std.exp())
        return [(cls(), net, inputs, told), (cls(), net, inputs, Labels(values, known))]


def _check(prediction: Tensor, labels: Labels) -> None:
    fits = prediction.shape == labels.values.shape
    check_places("LeastSquares", tuple(prediction.shape), "the same shape", labels, fits)


def _precision(labels: Labels, prediction: Tensor) -> Tensor:
    """1 / std of the known places."""
    if labels.std is None:
        return prediction.new_ones(())
    return 1.0 / labels.std[labels.known].to(prediction)
