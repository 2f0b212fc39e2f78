"""Cross entropy of classes at the known places."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from wellposed.errors import ConfigError, ShapeError, StructureError
from wellposed.learning.labels import Labels
from wellposed.learning.objective import Objective, Scope, check_places, softmax_curvature, spread
from wellposed.learning.seeds import generator


@dataclass(frozen=True)
class CrossEntropy(Objective):
    """-log sum_k p_k C[k, label], p the softmax over the channels, a mean over the known places only.

    C is the `confusion` of whoever labelled: a row for each true class, with the probabilities of the labels
    that it is given. p is the probability of the TRUE class, and may be surer than the labels are. Without a
    confusion labels are right: -log p(label).
    With `balance` every label that occurs counts the same, however few its places.
    Only the known places are gathered, so that few labels on whole large sections cost little.

    Shapes:    prediction (batch, class, *space); labels.values integers (batch, *space), no std;
               confusion (class, class)
    Raises:    ShapeError; ConfigError for a confusion whose rows are no probabilities, or with a label that
               no class is given; StructureError when the labels carry a std
    Cost:      a softmax over the known places; two with a confusion
    Reference: Peters, Granek, Haber, EAGE 2019, arXiv:1901.03786; Patrini et al., CVPR 2017,
               arXiv:1609.03683, section 4 (confusion: "forward" correction)
    """

    balance: bool = False
    confusion: Sequence[Sequence[float]] | None = None

    def __post_init__(self) -> None:
        if self.confusion is not None:
            object.__setattr__(self, "confusion", _probabilities(self.confusion))

    @property
    def scope(self) -> frozenset[Scope]:
        """The prediction."""
        return frozenset({"prediction"})

    def value(self, net: nn.Module, prediction: Tensor, labels: Labels) -> Tensor:
        """Return the mean of -log p(label)."""
        logits, classes = self._gather(prediction, labels)
        if self.confusion is None:
            each = F.cross_entropy(logits[None], classes[None], reduction="none")[0]
        else:
            # Probabilities that are zero have a logarithm of -inf, which the sum of exponentials takes.
            given = torch.tensor(self.confusion, dtype=torch.float64, device=logits.device).log().to(logits)
            each = -torch.logsumexp(torch.log_softmax(logits, 0) + given[:, classes], 0)
        return (self._weights(classes, logits) * each).sum()

    def curvature(self, prediction: Tensor, labels: Labels, v: Tensor) -> Tensor:
        """Return (diag(p) - p p') v at the known places: the Hessian itself, where labels are right.

        With a confusion the Hessian has the covariance of the posterior (p times C) taken off, which leaves
        it indefinite; without that it is the curvature of the majoriser.
        """
        logits, classes = self._gather(prediction, labels)
        last = v.movedim(1, -1)
        rows = self._weights(classes, logits)[:, None] * softmax_curvature(logits.T, last[labels.known])
        return spread(last, labels.known, rows).movedim(-1, 1)

    def coarser(self, labels: Labels) -> Labels:
        """Return the class on which all that is known in a cell agrees; where it does not, UNKNOWN."""
        values, known, _ = labels.cells(1)
        if not values.numel():
            return Labels(values[..., 0], known[..., 0])
        highest = torch.where(known, values, values.min()).amax(-1)
        lowest = torch.where(known, values, values.max()).amin(-1)
        agreed = known.any(-1) & (highest == lowest)
        return Labels(torch.where(agreed, highest, 0), agreed)

    @classmethod
    def examples(cls) -> Sequence[tuple[Self, nn.Module, Tensor, Labels]]:
        """Three classes on a small section, two places of three known: plain, balanced, with a confusion."""
        draw = generator(0, cls.__name__)
        inputs = torch.randn(2, 2, 3, 2, generator=draw, dtype=torch.float64)
        classes = torch.randint(3, (2, 3, 2), generator=draw)
        labels = Labels(classes, torch.rand(2, 3, 2, generator=draw) < 0.67)
        net = nn.Conv2d(2, 3, 1, bias=False).double()
        nn.init.normal_(net.weight, generator=draw)
        confused = ((0.8, 0.2, 0.0), (0.1, 0.7, 0.2), (0.3, 0.1, 0.6))
        each = (cls(), cls(balance=True), cls(confusion=confused))
        return [(objective, net, inputs, labels) for objective in each]

    def _gather(self, prediction: Tensor, labels: Labels) -> tuple[Tensor, Tensor]:
        """Return logits and class of every known place, (class, places) and (places,)."""
        # Classes first: a softmax over the last, short axis is several times slower.
        first = prediction.movedim(1, 0)
        fits = first.shape[1:] == labels.values.shape
        expected = "(batch, class, *space) and (batch, *space)"
        check_places("CrossEntropy", tuple(prediction.shape), expected, labels, fits)
        if labels.std is not None:
            raise StructureError(
                "a class has no std",
                given="labels with a std",
                expected="labels of CrossEntropy without one",
                way_out="leave the std out, or mark what is too uncertain as not known",
            )
        classes = labels.values[labels.known]
        count = len(first)
        if self.confusion is not None and len(self.confusion) != count:
            raise ShapeError(
                "the confusion does not fit the classes of the prediction",
                given=f"{len(self.confusion)} rows, a prediction of {count} classes",
                expected="a row and a column for each class",
                way_out="give a confusion of this many classes, or another head",
            )
        if len(classes) and (classes.is_floating_point() or not 0 <= classes.min() <= classes.max() < count):
            raise ShapeError(
                "a known label is no class of the prediction",
                given=f"{classes.dtype}, from {float(classes.min()):g} to {float(classes.max()):g}",
                expected=f"integers from 0 to {count - 1}, one for each channel of the prediction",
                way_out="number the classes from 0, or mark what is no class as not known",
            )
        return first[:, labels.known], classes.long()

    def _weights(self, classes: Tensor, logits: Tensor) -> Tensor:
        """Return the weight of every known place; they sum to one where any place is known."""
        if not self.balance:
            return logits.new_full((len(classes),), 1.0 / max(1, len(classes)))
        counts = torch.bincount(classes, minlength=len(logits))
        return 1.0 / (counts[classes].to(logits) * counts.count_nonzero())


def _probabilities(confusion: Sequence[Sequence[float]]) -> tuple[tuple[float, ...], ...]:
    """Return a confusion as tuples, from any nested sequence or array."""
    try:
        rows = tuple(tuple(float(p) for p in row) for row in confusion)
    except (TypeError, ValueError):
        rows = ()
    square = bool(rows) and all(len(row) == len(rows) for row in rows)
    if not square or not all(min(row) >= 0 and abs(sum(row) - 1) < 1e-6 for row in rows):
        raise ConfigError(
            "this is no confusion of labels",
            given=f"{confusion}",
            expected="a square of numbers from 0 to 1, each row with the sum 1",
            way_out="give for each true class the probabilities of the labels that it is given",
        )
    if not all(max(column) > 0 for column in zip(*rows, strict=True)):
        raise ConfigError(
            "a label of this confusion is given to no class, so that it cannot occur",
            given=f"{rows}",
            expected="in each column a number above 0",
            way_out="give a small probability to the label where the class is its own",
        )
    return rows
