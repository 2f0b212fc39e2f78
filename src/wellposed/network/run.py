"""Parts that carry one state from one to the next: it is opened once, and closed once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import reduce
from itertools import groupby

from torch import Tensor

from wellposed.backward import BackwardRule, March
from wellposed.dynamics import State
from wellposed.network.layout import channels_last
from wellposed.network.part import Part
from wellposed.network.stage import Stage
from wellposed.network.wavelet import Wavelet

Run = list[Stage | Wavelet]


def runs(parts: Sequence[Part]) -> Iterator[Run | Part]:
    """Yield neighbouring stages whose states have as many members and no past, and every other part alone.

    A Haar step behind a stage belongs to its run, unless the features are both halves of the state.
    """
    run: Run = []
    for part in parts:
        if run and not _joins(run, part):
            yield run
            run = []
        if isinstance(part, Stage) or (run and isinstance(part, Wavelet)):
            run.append(part)
        else:
            yield part
    if run:
        yield run


def marches(run: Run) -> Iterator[tuple[BackwardRule, March]]:
    """Yield the marches of a run: neighbours by the same rule are one, so that `Reversed` keeps one state."""
    ruled: list[tuple[BackwardRule, Stage | Wavelet]] = []
    for part in run:
        ruled.append((part.rule if isinstance(part, Stage) else ruled[-1][0], part))
    for rule, group in groupby(ruled, key=lambda pair: pair[0]):
        yield rule, reduce(March.then, [part.march() for _, part in group])


def flow(run: Run, y: Tensor) -> Tensor:
    """Return the features after a run."""
    first, last = ends(run)
    s, all_marches = first.open(channels_last(y)), list(marches(run))
    if not last.halves:
        rule, march = all_marches[-1]
        all_marches[-1] = rule, march.seen()
    for rule, march in all_marches:
        s = rule.run(march, s)
    return channels_last(last.features(s))


def states(run: Run, s: State) -> Iterator[tuple[Stage | Wavelet, list[State]]]:
    """Yield each part of a run with the state at its start and after each of its steps, by no rule."""
    for part in run:
        if isinstance(part, Stage):
            found = [s, *part.discrete.states(part.march().thetas, s)]
        else:
            found = [s, part.isometry((), s)]
        yield part, found
        s = found[-1]


def trajectory(run: Run, y: Tensor) -> list[Tensor]:
    """Return the features after each step of a run."""
    first, _ = ends(run)
    found: list[Tensor] = []
    for part, along in states(run, first.open(y)):
        read = part.features if isinstance(part, Stage) else lambda s, _: s[0]
        found += [read(s, j) for j, s in enumerate(along)][1:]
    return found


def ends(run: Run) -> tuple[Stage, Stage]:
    """Return the first and the last stage of a run."""
    stages = [part for part in run if isinstance(part, Stage)]
    return stages[0], stages[-1]


def _joins(run: Run, part: Part) -> bool:
    """Whether a part can carry the state of a run on."""
    stage = ends(run)[1]
    if stage.integrator.past:
        return False
    if isinstance(part, Wavelet):
        return not stage.halves
    if not isinstance(part, Stage) or part.integrator.past:
        return False
    return (part.halves, part.dynamics.members) == (stage.halves, stage.dynamics.members)
