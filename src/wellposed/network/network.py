"""Parts one after another."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any, Self

from torch import Tensor, nn

from wellposed.backward import Reversed
from wellposed.dynamics import Hyperbolic
from wellposed.errors import StructureError
from wellposed.integrators import Leapfrog
from wellposed.network.connect import Opening, check_chain
from wellposed.network.heads import Classify
from wellposed.network.part import Part, seeded
from wellposed.network.stage import Stage, flow
from wellposed.operators import Dense


class Network(Part):
    """A chain of parts, from the input to what is read from the features.

    Neighbouring stages that carry the same kind of state are one run: the state is opened once and closed
    once, so waves keep their velocity from one to the next, and reversed ones keep a single state in memory.

    `spacing` says how far samples lie apart along each axis, {"crossline_m": 25.0, "twt_ms": 4.0}: weights
    learned at one spacing mean something else at another, so an archive keeps it.

    Shapes:    y (batch, takes, *space) -> (batch, gives, *space)
    Raises:    StructureError when neighbouring parts differ in their channels
    """

    def __init__(self, *parts: Part, spacing: Mapping[str, float] | None = None) -> None:
        super().__init__()
        if not parts:
            raise StructureError(
                "a network has parts",
                given="none",
                expected="at least one",
                way_out="begin with an Opening",
            )
        check_chain(parts)
        self.takes, self.gives, self.spacing = parts[0].takes, parts[-1].gives, dict(spacing or {})
        self.parts = nn.ModuleList(parts)
        for run in self._runs():
            for rule, stages in groupby((part for part in run if isinstance(part, Stage)), lambda s: s.rule):
                rule.check([update for stage in stages for update in stage.discrete.updates])

    def forward(self, y: Tensor) -> Tensor:
        """Return what the last part gives."""
        for run in self._runs():
            stages = [part for part in run if isinstance(part, Stage)]
            y = flow(stages, y) if stages else run[0](y)
        return y

    def stages(self) -> list[Stage]:
        """Return all stages, those inside other parts too."""
        return [module for module in self.modules() if isinstance(module, Stage)]

    def ratio(self) -> float | None:
        """Return the largest quotient of a step and its bound; None where no stage claims stability."""
        ratios = [ratio for stage in self.stages() if (ratio := stage.ratio()) is not None]
        return max(ratios, default=None)

    def arguments(self) -> dict[str, Any]:
        """Return the parts and the spacing."""
        return {"parts": list(self.parts), "spacing": self.spacing}

    @classmethod
    def examples(cls) -> Sequence[tuple[Self, tuple[int, ...]]]:
        """A run of two stages between an opening and a head."""
        with seeded(0):
            waves = [
                Stage(Hyperbolic(Dense(4), "tanh"), Leapfrog(), time=1.0, steps=n, backward=Reversed())
                for n in (3, 2)
            ]
            return [(cls(Opening(2, 4), *waves, Classify(4, classes=2), spacing={"depth_m": 5.0}), (3, 2))]

    def _runs(self) -> Iterator[list[nn.Module]]:
        """Neighbouring stages whose states have as many members and no past, and every other part alone."""
        for k, run in groupby(enumerate(self.parts), _kind):
            del k
            yield [part for _, part in run]


def _kind(numbered: tuple[int, nn.Module]) -> tuple[str, int]:
    place, part = numbered
    if isinstance(part, Stage) and part.integrator.past == 0:
        return "run", part.dynamics.members
    return "part", place
