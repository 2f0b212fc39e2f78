"""What all methods of learning have in common: settings that are values, and one way to be called."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Self, cast

from torch import nn

from wellposed.learning.batches import Batch, Source
from wellposed.learning.labels import Labels
from wellposed.learning.objective import Objective
from wellposed.learning.record import Fit, Terms, shapes_of


class Method(ABC):
    """How weights are found: a dataclass of settings, and `fit`, which gives a fit that runs when iterated.

        run = GaussNewton().fit(net, objective, inputs, labels, epochs=50)
        for record in run:
            print(record)
        run.stop, run.best, run.work

    Shapes:    inputs (batch, channel, *space); labels as the objective says
    Raises:    ShapeError, StructureError when net, objective, inputs and labels do not fit; StepError when no
               step can be taken, or numbers are no longer finite: the last good weights are kept
    """

    @abstractmethod
    def begin(
        self,
        net: nn.Module,
        objective: Objective,
        inputs: Source,
        labels: Labels | None,
        terms: Terms,
    ) -> Fit:
        """Return the fit, before its first epoch."""

    def fit(
        self,
        net: nn.Module,
        objective: Objective,
        inputs: Source,
        labels: Labels | None = None,
        *,
        epochs: int,
        seed: int = 0,
        held_out: Batch | None = None,
        checkpoint: str | Path | None = None,
    ) -> Fit:
        """Return the fit of a network to labels; where the checkpoint exists it goes on from there."""
        own = asdict(cast("Any", self))
        settings = {"method": type(self).__name__, **own, "seed": seed, "weights": shapes_of(net)}
        terms = Terms(epochs, seed, settings, held_out, checkpoint)
        return self.begin(net, objective, inputs, labels, terms)

    @classmethod
    @abstractmethod
    def examples(cls) -> Sequence[Self]:
        """Methods of this kind, with settings for a problem of a dozen examples."""
