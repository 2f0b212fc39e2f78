"""The batches of an epoch, from data that are held, listed, or made anew."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor

from wellposed.errors import ShapeError
from wellposed.learning.labels import Labels
from wellposed.learning.seeds import derive_seed, generator

Batch = tuple[Tensor, Labels]
Source = Tensor | Sequence[Batch] | Callable[[int], Batch]


class Batches:
    """Batches in an order that depends on the seed and the epoch alone, so that a resumed fit meets the same.

    Raises:    ShapeError when inputs and labels do not speak of the same examples
    """

    def __init__(self, source: Source, labels: Labels | None, size: int, seed: int) -> None:
        self.size, self._seed = size, seed
        if labels is not None:
            check_labels(labels)
        self._source: Sequence[Batch] | Callable[[int], Batch]
        if isinstance(source, Tensor) and labels is not None:
            whole = source, labels
            check_length(*whole)
            self._source = lambda _: whole
        elif not isinstance(source, Tensor) and labels is None:
            if not (callable(source) or (hasattr(source, "__getitem__") and hasattr(source, "__len__"))):
                raise ShapeError(
                    "a fit must be able to ask for any batch by its number",
                    given=f"a {type(source).__name__}",
                    expected="a tensor with Labels, a sequence of (inputs, Labels), or a function of a seed",
                    way_out="put pairs (inputs, Labels) into a list",
                )
            self._source = source
        else:
            raise ShapeError(
                "a fit needs inputs, and labels for them once",
                given="inputs alone" if labels is None else "inputs that bring their own labels, and labels",
                expected="a tensor with Labels; or alone, pairs (inputs, labels) or a function of a seed",
                way_out="fit(net, objective, inputs, labels, ...)",
            )

    def of(self, epoch: int) -> tuple[int, Iterator[Batch]]:
        """Return how many batches an epoch has, and the batches."""
        source = self._source
        if callable(source):
            inputs, labels = source(derive_seed(self._seed, "data", epoch))
            check_length(inputs, labels)
            parts = torch.split(self._order(len(inputs), epoch), self.size)
            return len(parts), ((inputs[part], labels.take(part)) for part in parts)
        order: list[int] = self._order(len(source), epoch).tolist()
        return len(order), (source[index] for index in order)

    def _order(self, count: int, epoch: int) -> Tensor:
        return torch.randperm(count, generator=generator(self._seed, "order", epoch))


def one_sample(inputs: Source, labels: Labels | None) -> Batch:
    """Return inputs and labels, where they are a sample that can be seen at once.

    Raises:    ShapeError for examples that come in batches, or are made anew
    """
    if labels is not None:
        check_labels(labels)
    if not isinstance(inputs, Tensor) or labels is None:
        raise ShapeError(
            "this method sees one sample at once",
            given=f"inputs of type {type(inputs).__name__}{'' if labels is None else ', and labels'}",
            expected="a tensor, and Labels for it",
            way_out="draw a sample once: SampleAverage(method, size), or fit batches by `fit`",
        )
    return inputs, labels


def check_labels(labels: object) -> None:
    """Raise ShapeError for labels that are a plain array."""
    if not isinstance(labels, Labels):
        raise ShapeError(
            "labels say what is known of the truth",
            given=f"a {type(labels).__name__}",
            expected="Labels",
            way_out="Labels(values), and known= where some of them are unknown",
        )


def check_length(inputs: Tensor, labels: Labels) -> None:
    """Raise ShapeError unless inputs and labels speak of the same examples."""
    check_labels(labels)
    if len(inputs) != len(labels) or not len(inputs):
        raise ShapeError(
            "inputs and labels must speak of the same examples",
            given=f"{len(inputs)} inputs, {len(labels)} labels",
            expected="as many labels as inputs, at least one",
            way_out="mark what has no label as not known, rather than leaving it out",
        )
