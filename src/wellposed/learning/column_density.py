"""Density of a horizon over each column, from picks of known uncertainty."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import log, pi
from typing import Self

import torch
from torch import Tensor, nn

from wellposed.errors import StructureError
from wellposed.learning.labels import Labels
from wellposed.learning.objective import Objective, Scope, check_places, known_mean, softmax_curvature, spread
from wellposed.learning.seeds import generator


@dataclass(frozen=True)
class ColumnDensity(Objective):
    """-log sum_z p(z) N(pick; z, std) on a picked trace, -log p(absent) where the horizon is known absent.

    p is the softmax over the samples of a column and one more bin, the last, for "absent": the density of the
    TRUE position. The noise of the pick stands inside the likelihood, so that p may be narrower than it.
    Softening the target by std instead would teach a p that is wider than the noise: it counts it twice.
    A mean over the known traces only.

    Shapes:    prediction (batch, *traces, samples + 1); labels (batch, *traces), NaN where absent
    Units:     picks and std in samples of the column, not rounded
    Raises:    ShapeError; StructureError when the labels have no std
    Cost:      two log-sum-exps over the known traces
    """

    @property
    def scope(self) -> frozenset[Scope]:
        """The prediction."""
        return frozenset({"prediction"})

    def value(self, net: nn.Module, prediction: Tensor, labels: Labels) -> Tensor:
        """Return the mean of -log likelihood over the known traces."""
        std = _check(prediction, labels)
        density = torch.log_softmax(prediction[labels.known], -1)
        pick, std = labels.values[labels.known].to(density), std[labels.known].to(density)
        there = ~pick.isnan()
        z = torch.arange(density.shape[-1] - 1, dtype=density.dtype, device=density.device)
        distance = (z - pick[there, None]) / std[there, None]
        noise = -distance.square() / 2 - std[there, None].log() - log(2 * pi) / 2
        picked = torch.logsumexp(density[there, :-1] + noise, -1)
        return -known_mean(torch.cat([picked, density[~there, -1]]))

    def curvature(self, prediction: Tensor, labels: Labels, v: Tensor) -> Tensor:
        """Return (diag(p) - p p') v at the known traces.

        The Hessian has the covariance of the posterior (p times likelihood) taken off, which leaves it
        indefinite; without that it is the curvature of the majoriser.
        """
        _check(prediction, labels)
        rows = softmax_curvature(prediction[labels.known], v[labels.known])
        return spread(v, labels.known, rows / max(1, len(rows)))

    def coarser(self, labels: Labels) -> Labels:
        """Return the mean of the picks in a cell of traces, (z - 1/2) / 2 in cells of two samples.

        The std is halved, not divided by sqrt 2 besides: picks beside one another share their noise. A cell
        is absent where all that is known in it is, and UNKNOWN where it is not agreed.

        Shapes:    labels (batch, channel, *traces), as a network predicts (batch, channel, *traces, samples)
        """
        values, known, std = labels.cells(2)
        there = known & ~values.isnan()
        present, absent = there.any(-1), (known & values.isnan()).any(-1)
        count = there.sum(-1).clamp(min=1)
        mean = (torch.where(there, values, 0.0).sum(-1) / count - 0.5) / 2
        place = torch.where(present, mean, torch.nan)
        if std is not None:
            std = torch.where(there, std, 0.0).sum(-1) / count / 2
            std = torch.where(present, std, 1.0)
        return Labels(place, present ^ absent, std)

    @classmethod
    def examples(cls) -> Sequence[tuple[Self, nn.Module, Tensor, Labels]]:
        """Columns of six samples on four traces: picked, absent and unknown."""
        draw = generator(0, cls.__name__)
        inputs = torch.randn(2, 4, 3, generator=draw, dtype=torch.float64)
        picks = 5 * torch.rand(2, 4, generator=draw, dtype=torch.float64)
        picks[0, 1] = torch.nan
        known = torch.tensor([[True, True, False, True], [False, False, True, True]])
        net = nn.Linear(3, 7, bias=False).double()
        nn.init.normal_(net.weight, generator=draw)
        std = 0.5 + torch.rand(2, 4, generator=draw, dtype=torch.float64)
        return [(cls(), net, inputs, Labels(picks, known, std))]


def _check(prediction: Tensor, labels: Labels) -> Tensor:
    """Return the std of the labels, which must be told."""
    fits = prediction.shape[:-1] == labels.values.shape
    expected = "(batch, *traces, samples + 1) and (batch, *traces)"
    check_places("ColumnDensity", tuple(prediction.shape), expected, labels, fits)
    if labels.std is None:
        raise StructureError(
            "ColumnDensity must know how sure the picks are",
            given="labels without std",
            expected="a std in samples for each pick",
            way_out="Labels(values, known, std=1.0), or whatever the noise of the picks is",
        )
    return labels.std
