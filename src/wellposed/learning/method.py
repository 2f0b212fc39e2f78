"""What all methods of learning have in common: settings that are values, and one way to be called."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Self

from torch import Tensor, nn

from wellposed.learning.batches import Batch
from wellposed.learning.labels import Labels
from wellposed.learning.objective import Objective
from wellposed.learning.record import Fit


class Method(ABC):
    """How weights are found: settings, and `fit`, which gives a fit under way that runs when iterated.

        run = GaussNewton().fit(net, objective, inputs, labels, epochs=50)
        for record in run:
            print(record)
        run.stop, run.best, run.work

    Shapes:    inputs (batch, channel, *space); labels as the objective says
    Raises:    ShapeError, StructureError when net, objective, inputs and labels do not fit; StepError when no
               step can be taken, or numbers are no longer finite: the last good weights are kept
    """

    @abstractmethod
    def fit(
        self,
        net: nn.Module,
        objective: Objective,
        inputs: Tensor,
        labels: Labels,
        *,
        epochs: int,
        seed: int = 0,
        held_out: Batch | None = None,
        checkpoint: str | Path | None = None,
    ) -> Fit:
        """Return the fit of a network to labels; where the checkpoint exists it goes on from there."""

    @classmethod
    @abstractmethod
    def examples(cls) -> Sequence[Self]:
        """Methods of this kind, with settings for a problem of a dozen examples."""
