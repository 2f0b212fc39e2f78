"""The objective of pre-training: find in other columns the place that a pick of the same horizon shows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor, nn

from wellposed.errors import StructureError
from wellposed.interpretation.features import unit
from wellposed.learning.labels import Labels
from wellposed.learning.objective import Objective, Scope


def matching() -> Objective:
    """Find in other columns of a section the place that a pick shows.

    For stochastic fits only: features enter it twice, so no convex curvature bounds it, and it is kept
    out of the catalogue of objectives for which the laws of curvature hold.
    """
    return _Matching()


@dataclass(frozen=True)
class _Matching(Objective):
    """-log sum_t p(t) N(place; t, std) in other columns of a section.

        p = softmax_t(sharpness <f(pick), f(column, t)>),    f of length one

    On each horizon `asked` columns show the place, `stride` thins out the columns that answer; a column
    answers where the horizon is known there.

    Shapes:    prediction (batch, channel, trace, twt); labels (batch, horizon, trace) in samples
    Units:     std in samples
    """

    sharpness: float = 16.0
    asked: int = 3
    stride: int = 4
    std: float = 0.8

    @property
    def scope(self) -> frozenset[Scope]:
        """The prediction."""
        return frozenset({"prediction"})

    def value(self, net: nn.Module, prediction: Tensor, labels: Labels) -> Tensor:
        """Mean over asking and answering columns of all horizons."""
        f = unit(prediction)
        known, place = labels.known, labels.values.to(f)
        place = torch.where(known, place, place.new_zeros(()))
        columns = torch.arange(known.shape[2])
        asked = torch.linspace(0, known.shape[2] - 1, self.asked + 2)[1:-1].round().long()
        answers = columns[self.stride // 2 :: self.stride]
        query = _gathered(f[:, :, asked], place[:, :, asked])  # batch, horizon, asked, channel
        logits = self.sharpness * torch.einsum("bhac,bcxt->bhaxt", query, f[:, :, answers])
        density = torch.log_softmax(logits, dim=-1)
        t = torch.arange(f.shape[3]).to(f)
        noise = -0.5 * ((t - place[:, :, answers, None]) / self.std).square()
        likelihood = torch.logsumexp(density + noise[:, :, None], dim=-1)
        both = known[:, :, asked, None] & known[:, :, None, answers]
        return -(likelihood * both).sum() / both.sum().clamp_min(1)

    def curvature(self, prediction: Tensor, labels: Labels, v: Tensor) -> Tensor:
        """Refuse: there is no bound, see `matching`."""
        raise StructureError(
            "matching has no curvature that bounds it",
            given="a method of second order",
            expected="stochastic gradients",
            way_out="use wellposed.fit",
        )

    def coarser(self, labels: Labels) -> Labels:
        """Return the mean place in cells of two traces, in cells of two samples."""
        values, known, _ = labels.cells(2)
        count = known.sum(-1)
        place = torch.where(known, values, 0.0).sum(-1) / count.clamp(min=1)
        return Labels((place - 0.5) / 2, count > 0)

    @classmethod
    def examples(cls) -> Sequence[tuple[Self, nn.Module, Tensor, Labels]]:
        """Two horizons on eight columns."""
        generator = torch.Generator().manual_seed(0)
        inputs = torch.randn(2, 3, 8, 12, generator=generator, dtype=torch.float64)
        places = 2 + 8 * torch.rand(2, 2, 8, generator=generator, dtype=torch.float64)
        return [(cls(asked=2, stride=2), nn.Identity(), inputs, Labels(places))]


def _gathered(f: Tensor, place: Tensor) -> Tensor:
    """Features at fractional places, (batch, horizon, column, channel)."""
    low = place.floor().clamp(0, f.shape[3] - 2)
    share = (place - low).clamp(0, 1)[..., None]
    columns = f.permute(0, 2, 3, 1)[:, None].expand(-1, place.shape[1], -1, -1, -1)
    index = low.long()[..., None, None].expand(-1, -1, -1, 1, f.shape[1])
    before = columns.gather(3, index).squeeze(3)
    after = columns.gather(3, index + 1).squeeze(3)
    return (1 - share) * before + share * after
