"""Continuation: what is learned by few steps is where the search with more of them begins."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from torch import Tensor

from wellposed.errors import StructureError
from wellposed.learning.batches import Batch
from wellposed.learning.labels import Labels
from wellposed.learning.method import Method
from wellposed.learning.objective import Objective
from wellposed.learning.record import Best, Fit, Record
from wellposed.network import Network

Level = tuple[Method, int]


@dataclass(frozen=True)
class Continuation:
    """Fit a network of few steps, take its theta(t) as the start of one with twice as many, and so on.

        Continuation([(GaussNewton(), 20), (GaussNewton(), 10)]).fit(net, objective, inputs, labels)

    `levels` are pairs of a method and its epochs. From one to the next every step becomes two, and theta(t)
    stays the same function of time. Early epochs are cheap, and late ones begin near their end; where the
    first steps are long, the value jumps from one level to the next.

    The network that is given is that of the first level; `run.net` is the last one.

    Raises:    StructureError without levels, and as the methods
    Reference: Haber, Ruthotto, Holtham and Jun, Learning across scales, 2017, arXiv:1703.02009; Chang et al.,
               2018, arXiv:1710.10348
    """

    levels: Sequence[Level]

    def __post_init__(self) -> None:
        if not self.levels:
            raise StructureError(
                "a continuation goes through levels",
                given="none",
                expected="at least one pair (method, epochs)",
                way_out="give a pair for each doubling of the steps, and one to begin with",
            )

    def fit(
        self,
        net: Network,
        objective: Objective,
        inputs: Tensor,
        labels: Labels,
        *,
        seed: int = 0,
        held_out: Batch | None = None,
        checkpoint: str | Path | None = None,
    ) -> Levels:
        """Return the fit through all levels; each keeps a checkpoint of its own, NAME.0, NAME.1 ..."""
        return Levels(tuple(self.levels), net, objective, (inputs, labels), seed, held_out, checkpoint)


class Levels(Iterator[Record]):
    """A continuation under way: records of all levels in a row.

    Leaves     records; best, of the last level; stop, why that ended; net, the network of the level;
               fits, one a level that was begun
    """

    def __init__(
        self,
        levels: Sequence[Level],
        net: Network,
        objective: Objective,
        sample: Batch,
        seed: int,
        held_out: Batch | None,
        checkpoint: str | Path | None,
    ) -> None:
        self.net = net
        self.records: list[Record] = []
        self.fits: list[Fit] = []
        self._levels, self._objective, self._sample, self._seed = levels, objective, sample, seed
        self._held_out, self._checkpoint = held_out, checkpoint
        self._begin()

    def __next__(self) -> Record:
        """Run one epoch of the level, or the first of the next one."""
        while True:
            try:
                record = next(self.fits[-1])
            except StopIteration:
                if len(self.fits) == len(self._levels):
                    raise
                self.net = self.net.refine()
                self._begin()
            else:
                self.records.append(replace(record, epoch=len(self.records)))
                return self.records[-1]

    @property
    def best(self) -> Best | None:
        """The epoch of the last level to go back to."""
        return self.fits[-1].best

    @property
    def stop(self) -> str | None:
        """Why the last level ended; None where it has not, or another one follows."""
        return self.fits[-1].stop if len(self.fits) == len(self._levels) else None

    @property
    def work(self) -> float:
        """Work units of all epochs."""
        return sum(record.work for record in self.records)

    def _begin(self) -> None:
        """Begin the next level; what was done of it before an interruption is taken from its checkpoint."""
        method, epochs = self._levels[len(self.fits)]
        name = None if self._checkpoint is None else Path(f"{self._checkpoint}.{len(self.fits)}")
        fit = method.fit(
            self.net,
            self._objective,
            *self._sample,
            epochs=epochs,
            seed=self._seed,
            held_out=self._held_out,
            checkpoint=name,
        )
        self.fits.append(fit)
        self.records += [replace(record, epoch=len(self.records) + k) for k, record in enumerate(fit.records)]
