"""Adaptation to a survey, kept only where hidden picks come out better.

What changes is how far the waveform leads and what the learned terms weigh. An epoch is one change,
judged at every hidden pick. The order of the changes is fixed, so that a number of epochs gives the same
result on every run.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from wellposed.interpretation.hold_out import held_out, surroundings
from wellposed.interpretation.horizons import Described, Prepared, solve
from wellposed.interpretation.terms import Terms
from wellposed.interpretation.trust import width

if TYPE_CHECKING:
    from wellposed.interpretation.shipped import Shipped
    from wellposed.seismic.horizons import Horizon
    from wellposed.seismic.picks import Picks

Record = dict[str, Any]

QUICK = 3  # sweeps of a surface that only has to be compared with hidden picks
BETTER = 0.05  # by which the logarithm of the errors must fall at least
CHANCE = 0.05  # probability that any of all changes is kept where none helps
CHANGES = ((0.1, 2.5), (-0.15, 0.4), (0.05, 1.6), (-0.05, 0.6))  # of the lead, then of the head's weights
RESERVE = 8.0  # surfaces around hidden picks that the full one takes


class Budget(Protocol):
    """How many epochs are told, or else how many seconds there are beside the fixed steps."""

    @property
    def epochs(self) -> int | None:
        """Epochs told, or None where the time decides."""
        ...

    def seconds(self, fixed: float) -> float:
        """Seconds left when the fixed steps take `fixed`."""
        ...


@dataclass(frozen=True)
class Adaptation:
    """The weights kept, mean and typical error at hidden picks in ms, and the story of the epochs.

    `width` is what hidden picks say about the std: see `trust.width`.
    """

    terms: Terms
    width: float
    error: float | None
    typical: float | None
    records: list[Record]
    story: str


def adapted(
    prepared: Prepared,
    described: Described,
    picks: Picks,
    shipped: Shipped,
    budget: Budget,
    done: Sequence[Record] = (),
    keep: Callable[[list[Record]], None] = lambda records: None,
) -> Adaptation:
    """Judge the shipped weights at hidden picks, then change them as long as the budget lasts.

    The parts that are hidden are those that `described` knows. Epochs that were `done` before an
    interruption are not judged again; `keep` gets the records of each.

    Cost:      a quick surface for each fold and epoch
    """
    parts = described.parts
    records: list[Record] = []
    each = 0.0

    def judged(terms: Terms) -> Record:
        def hidden(rest: Picks, n: int) -> Horizon:
            near = surroundings(picks, parts[n], prepared.survey)
            return solve(prepared, described, rest, shipped, terms, sweeps=QUICK, hidden=n, where=near)

        nonlocal each
        start = time.monotonic()
        if len(records) < len(done):
            records.append(done[len(records)])
        else:
            found = held_out(picks, hidden, parts)
            said: Record = {"held_out": found.mean, "typical": found.typical, "logs": found.logs}
            said["width"] = round(width(found), 4)
            records.append({"epoch": len(records), **said, **asdict(terms)})
            each = time.monotonic() - start
        keep(records)
        return records[-1]

    best = judged(shipped.terms)
    terms = shipped.terms
    for epoch, change in enumerate(_changes(), 1):
        if budget.epochs is not None and epoch > budget.epochs:
            break
        known = epoch < len(done)
        if (
            budget.epochs is None
            and not known
            and budget.seconds(RESERVE * each / max(len(parts), 1)) < 1.2 * each
        ):
            break
        tried = change(terms)
        found = judged(tried)
        if better(found["logs"], best["logs"]):
            terms, best = tried, found
    story = _story(shipped.terms, terms, best["held_out"], records, budget.epochs is not None)
    # What was chosen by these picks comes out too near to them: the width is not less than before the choice.
    wide = max(records[0]["width"], best["width"])
    return Adaptation(terms, wide, best["held_out"], best["typical"], records, story)


def better(now: Sequence[float], before: Sequence[float]) -> bool:
    """Whether hidden picks came nearer by more than chance.

    The mean gain of the parts in log(1 ms + error) exceeds BETTER, and what Student's t of so many parts
    exceeds once in CHANCE over all the changes that are tried: the few picks that there are would else be
    fitted, not the horizon.
    """
    from scipy.special import stdtrit

    gain = np.array(before) - np.array(now)
    if len(gain) < 2:
        return False
    t = stdtrit(len(gain) - 1, 1 - CHANCE / (2 * len(CHANGES)))
    return bool(gain.mean() > max(BETTER, t * gain.std(ddof=1) / np.sqrt(len(gain))))


def _changes() -> Iterator[Callable[[Terms], Terms]]:
    """The waveform leads less and more, the head's word counts more and less, in ever smaller changes."""
    for shift, factor in CHANGES:
        yield lambda t, by=shift: replace(t, lead=t.lead + by)  # type: ignore[misc]
        yield lambda t, by=factor: replace(  # type: ignore[misc]
            t, head_reflector=by * t.head_reflector, head_boundary=by * t.head_boundary
        )


def _story(before: Terms, after: Terms, error: float, records: list[Record], asked: bool) -> str:
    tried = len(records) - 1
    if tried == 0:
        return "Nothing was adapted: " + (
            "no epoch was asked for." if asked else "the fixed steps took the time."
        )
    first = records[0]["held_out"]
    if before == after:
        best = min(r["held_out"] for r in records[1:])
        return (
            f"{tried} adaptations tried; the best brought the error at hidden picks from {first:.2f} to "
            f"{best:.2f} ms, which on so many picks may be chance: the shipped weights stand."
        )
    return (
        f"{tried} adaptations tried; those kept brought the error at hidden picks from {first:.2f} to "
        f"{error:.2f} ms, each by more than chance."
    )
