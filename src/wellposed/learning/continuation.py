"""Continuation: what is learned by few steps, or on a coarse mesh, is where the search with more begins."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

import torch
from torch import Tensor

from wellposed.errors import RunError, ShapeError, StructureError, check_kind, check_name
from wellposed.learning.batches import Batch, Batches, Source, check_length
from wellposed.learning.labels import Labels
from wellposed.learning.method import Method
from wellposed.learning.objective import Objective
from wellposed.learning.record import Best, Fit, Record
from wellposed.learning.seeds import generator
from wellposed.network import Network
from wellposed.operators import Restrict

Level = tuple[Method, int]
Sample = tuple[Source, Labels | None]
REFINED = ("time", "space", "both")


@dataclass(frozen=True)
class Continuation:
    """Fit a small network, take its theta as the start of a finer one, and so on.

        Continuation([(GaussNewton(), 20), (GaussNewton(), 10)]).fit(net, objective, inputs, labels)

    `levels` are pairs of a method and its epochs. What is refined from one level to the next:

        time     every step becomes two, theta(t) stays the same function of time
        space    samples lie half as far apart, kernels keep their mass and derivatives: levels before see
                 the inputs under `Restrict`, and what the objective makes of the labels there
        both     steps first, then samples

    one word for all, or one from each level to the next. `shares` are parts of the sample, one a level, drawn
    by the seed, the smaller within the larger: what a coarse network can learn is told by few examples.
    Early epochs are cheap, and late ones begin near
    their end; where the first steps are long, the value jumps from one level to the next.

    The network that is given is that of the first level, inputs and labels are those of the last;
    `run.net` is the last network.

    Raises:    StructureError without levels, for a word that is not known, and as the methods; on finer
               meshes StepError where a step is too long there
    Reference: Haber, Ruthotto, Holtham and Jun, Learning across scales, 2017, arXiv:1703.02009; Chang et al.,
               2018, arXiv:1710.10348
    """

    levels: Sequence[Level]
    refine: str | Sequence[str] = "time"
    shares: Sequence[float] = ()

    def __post_init__(self) -> None:
        if not isinstance(self.levels, Sequence) or not self.levels:
            raise StructureError(
                "a continuation goes through levels",
                given=f"{self.levels!r}",
                expected="at least one pair (method, epochs)",
                way_out="give a pair for each doubling of the steps, and one to begin with",
            )
        for level in self.levels:
            if not (isinstance(level, tuple) and len(level) == 2 and isinstance(level[0], Method)):
                raise StructureError(
                    "a level of a continuation is a method and its epochs",
                    given=f"{level!r}",
                    expected="a pair (method, epochs), such as (GaussNewton(), 20)",
                    way_out="put the two into a tuple",
                )
        words = self.refined
        for word in words:
            check_name("refine", word, REFINED)
        if len(words) != len(self.levels) - 1:
            raise StructureError(
                "a continuation refines something from each level to the next",
                given=f"{len(self.levels)} levels, refine={self.refine!r}",
                expected=f"one word, or {len(self.levels) - 1} of them",
                way_out="leave one level fewer than there are words, and one more",
            )
        if self.shares != () and not _are_shares(self.shares, len(self.levels)):
            raise StructureError(
                "each level of a continuation sees a part of the sample",
                given=f"{len(self.levels)} levels, shares={self.shares!r}",
                expected="one share a level, above 0 and at most 1",
                way_out="give a share for each level, or none for the whole sample",
            )

    @property
    def refined(self) -> tuple[str, ...]:
        """What is refined from each level to the next."""
        if isinstance(self.refine, Sequence) and not isinstance(self.refine, str):
            return tuple(self.refine)
        return (self.refine,) * (len(self.levels) - 1)

    def fit(
        self,
        net: Network,
        objective: Objective,
        inputs: Source,
        labels: Labels | None = None,
        *,
        seed: int = 0,
        held_out: Batch | None = None,
        checkpoint: str | Path | None = None,
    ) -> Levels:
        """Return the fit through all levels; each keeps a checkpoint of its own, NAME.0, NAME.1 ...

        Epochs of the last level may be raised; where those of another are, what was learned after it has
        another start, and its checkpoints must be removed.

        Raises:    RunError for checkpoints of later levels that begin elsewhere
        """
        return Levels(self, net, objective, (inputs, labels), seed, held_out, checkpoint)


class Levels(Iterator[Record]):
    """A continuation under way: records of all levels in a row.

    Leaves     records; best, of the last level; stop, why that ended; net, the network of the level;
               fits, one a level that was begun
    """

    def __init__(
        self,
        plan: Continuation,
        net: Network,
        objective: Objective,
        sample: Sample,
        seed: int,
        held_out: Batch | None,
        checkpoint: str | Path | None,
    ) -> None:
        check_kind("net", net, Network, "make a Network of its parts: it knows how to refine them")
        self.net = net
        self.records: list[Record] = []
        self.fits: list[Fit] = []
        self._levels, self._words = tuple(plan.levels), plan.refined
        self._objective, self._seed, self._checkpoint = objective, seed, checkpoint
        _check(sample, held_out)
        shares = tuple(plan.shares) or (1.0,) * len(self._levels)
        levels = _by_level(sample, self._words, objective)
        self._samples = [_part(*one, share, seed) for one, share in zip(levels, shares, strict=True)]
        ahead = net
        for level in range(1, len(self._levels)):  # what cannot be refined is said before anything is learned
            ahead = self._refined(ahead, level)
        self._held_out: list[Batch | None] = [None] * len(self._levels)
        if held_out is not None:
            self._held_out = [cast("Batch", level) for level in _by_level(held_out, self._words, objective)]
        self._begin(net)

    def __next__(self) -> Record:
        """Run one epoch of the level, or the first of the next one."""
        while True:
            try:
                record = next(self.fits[-1])
            except StopIteration:
                if len(self.fits) == len(self._levels) or self.fits[-1].broken:
                    raise
                self._begin(self._refined(self.net, len(self.fits)))
            else:
                self.records.append(replace(record, epoch=len(self.records)))
                return self.records[-1]

    @property
    def best(self) -> Best | None:
        """The epoch of the last level to go back to, counted as in `records`."""
        best, before = self.fits[-1].best, len(self.records) - len(self.fits[-1].records)
        return best and Best(replace(best.record, epoch=before + best.record.epoch), best.weights)

    @property
    def stop(self) -> str | None:
        """Why the last level ended; None where it has not, or another one follows."""
        return self.fits[-1].stop if len(self.fits) == len(self._levels) else None

    @property
    def work(self) -> float:
        """Work units of all epochs."""
        return sum(record.work for record in self.records)

    def _refined(self, net: Network, level: int) -> Network:
        """Return the network of a level from that of the one before."""
        word = self._words[level - 1]
        if word != "space":
            net = net.refine()
        if word != "time":
            fine = self._samples[level][0]
            fine = fine if isinstance(fine, Tensor) or callable(fine) else fine[0][0]
            axes = fine.shape[2:] if isinstance(fine, Tensor) else ()
            net = net.remesh([0.5 if n > 1 else 1.0 for n in axes] or 0.5)
        return net

    def _begin(self, net: Network) -> None:
        """Begin the next level; what was done of it before an interruption is taken from its checkpoint."""
        method, epochs = self._levels[len(self.fits)]
        name = None if self._checkpoint is None else Path(f"{self._checkpoint}.{len(self.fits)}")
        fit = method.fit(
            net,
            self._objective,
            *self._samples[len(self.fits)],
            epochs=epochs,
            seed=self._seed,
            held_out=self._held_out[len(self.fits)],
            checkpoint=name,
        )
        self._check_later(fit, epochs)
        self.net = net
        self.fits.append(fit)
        self.records += [replace(record, epoch=len(self.records) + k) for k, record in enumerate(fit.records)]

    def _check_later(self, fit: Fit, epochs: int) -> None:
        """Raise RunError where a later level has a checkpoint, and this one has not ended."""
        names = (Path(f"{self._checkpoint}.{k}") for k in range(len(self.fits) + 1, len(self._levels)))
        later = [name.name for name in names if name.exists()]
        if self._checkpoint is None or not later or fit.stop or len(fit.records) >= epochs:
            return
        raise RunError(
            "a later level of this continuation was learned from other weights",
            given=f"{later[0]}, and {len(fit.records)} of {epochs} epochs of level {len(self.fits)}",
            expected="checkpoints of later levels only where this one has ended",
            way_out=f"remove {', '.join(later)}, or choose another name",
        )


def _check(sample: Sample, held_out: Batch | None) -> None:
    """Raise ShapeError for a sample that no fit could take, before it is coarsened or divided."""
    source, labels = sample
    Batches(source, labels, 1, 0)
    pairs = [] if isinstance(source, Tensor) or callable(source) else list(source)
    pairs += [] if held_out is None else [held_out]
    for pair in pairs:
        if not (isinstance(pair, tuple) and len(pair) == 2 and isinstance(pair[0], Tensor)):
            raise ShapeError(
                "examples come with their labels",
                given=f"a {type(pair).__name__}",
                expected="(inputs, labels), a tensor and Labels",
                way_out="put the two into a tuple",
            )
        check_length(*pair)


def _by_level(sample: Sample, words: Sequence[str], objective: Objective) -> list[Sample]:
    """Return the sample as each level sees it, the last one as it is."""
    samples = [sample]
    for word in reversed(words):
        samples.insert(0, samples[0] if word == "time" else _coarser(*samples[0], objective))
    return samples


def _coarser(source: Source, labels: Labels | None, objective: Objective) -> Sample:
    """Return a sample at half the resolution: one, batches, or those that a function makes."""

    def of(batch: Batch) -> Batch:
        if batch[0].ndim < 3:
            raise StructureError(
                "there is no mesh to refine",
                given=f"inputs of shape {tuple(batch[0].shape)}, without axes of space",
                expected='refine="time"',
                way_out="refine the steps",
            )
        return Restrict(tuple(batch[0].shape[2:])) @ batch[0], objective.coarser(batch[1])

    if isinstance(source, Tensor):
        return of((source, labels)) if labels is not None else (source, labels)  # which `fit` refuses
    if callable(source):
        return (lambda seed: of(source(seed))), labels
    return [of(batch) for batch in source], labels


def _part(source: Source, labels: Labels | None, share: float, seed: int) -> Sample:
    """Return a share of the examples, or of the batches, at least one; in their order.

    Raises:    StructureError where examples are made and none are there to take a part of
    """
    if share == 1:
        return source, labels
    if callable(source):
        raise StructureError(
            "there is no sample of which a level could see a part",
            given="a function that makes the examples of each epoch",
            expected="a tensor, or batches",
            way_out="let the function make fewer, or draw a sample by SampleAverage",
        )
    order = torch.randperm(len(source), generator=generator(seed, "shares"))
    chosen = order[: max(1, round(share * len(source)))].sort().values
    if isinstance(source, Tensor):
        part = None if labels is None else labels.take(chosen.to(labels.values.device))
        return source[chosen.to(source.device)], part
    return [source[int(k)] for k in chosen], labels


def _are_shares(shares: object, count: int) -> bool:
    """Whether these are so many numbers above zero and at most one."""
    if not isinstance(shares, Sequence) or len(shares) != count:
        return False
    return all(isinstance(share, int | float) and 0 < share <= 1 for share in shares)
