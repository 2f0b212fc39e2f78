"""An initial value problem in steps: when theta(t) is sampled, and the updates that take the samples."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from typing import Any

from wellposed.dynamics import State
from wellposed.integrators.base import Integrator, Isometry, Shear, Step, Thetas, Update, advance

AnyUpdate = Update | Shear | Isometry


@dataclass(frozen=True)
class Discretisation:
    """y' = f(theta(t), y) in steps of an integrator, `spans` long, from time zero.

        times     at which theta(t) is sampled, each once
        steps     updates of each step, counting those samples
        updates   of all steps in a row, neighbours merged where they make one shear

    Units:     spans in the units of the time grid
    Raises:    StructureError when the integrator needs steps of one length
    """

    dynamics: Any
    integrator: Integrator
    spans: tuple[float, ...]

    @cached_property
    def grid(self) -> list[Step]:
        """Steps as the integrator makes them, each counting samples of its own."""
        return self.integrator.grid(self.dynamics, self.spans)

    @cached_property
    def nodes(self) -> list[float]:
        """Times between the steps, from zero to the end."""
        return list(accumulate(self.spans, initial=0.0))

    @cached_property
    def times(self) -> list[float]:
        """Times at which theta(t) is sampled, in the order in which they are first asked for."""
        return list(dict.fromkeys(time for times in self._asked for time in times))

    @cached_property
    def samples(self) -> list[tuple[int, ...]]:
        """The places in `times` of what each step takes."""
        places = {time: place for place, time in enumerate(self.times)}
        return [tuple(places[time] for time in times) for times in self._asked]

    @cached_property
    def steps(self) -> list[list[Update | Shear]]:
        """Updates of each step, counting the samples of the whole grid."""
        return [
            [update.taking(tuple(places[k] for k in update.samples)) for update in step.updates]
            for step, places in zip(self.grid, self.samples, strict=True)
        ]

    @cached_property
    def updates(self) -> list[AnyUpdate]:
        """Updates of all steps, merged."""
        return merge(update for step in self.steps for update in step)

    def states(self, thetas: Thetas, s: State) -> Iterator[State]:
        """Yield the state after each step, theta given at each of `times`."""
        for step in self.steps:
            s = advance(step, thetas, s)
            yield s

    def newest(self, j: int) -> int:
        """Return the member of the state that holds the features after j steps."""
        return self.grid[j - 1].newest if j else 0

    def without_past(self, s: State, j: int) -> State:
        """Return the members of the dynamics after j steps, without what a method of several steps keeps."""
        members: int = self.dynamics.members
        return (s[self.newest(j)],) if members == 1 else s[:members]

    @property
    def _asked(self) -> list[list[float]]:
        """Times that each step asks for."""
        return [
            [start + node * h for node in step.nodes]
            for start, h, step in zip(self.nodes, self.spans, self.grid, strict=False)
        ]


def merge(updates: Iterable[AnyUpdate]) -> list[AnyUpdate]:
    """Return the same march with neighbours that move one member by one u made one shear."""
    merged: list[AnyUpdate] = []
    for update in updates:
        last = merged[-1] if merged else None
        both = last.then(update) if isinstance(last, Shear) and isinstance(update, Shear) else None
        if both is None:
            merged.append(update)
        else:
            merged[-1] = both
    return merged
