"""What is expected of an experiment, and the verdict that follows from what was measured."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, model_validator

from wellposed.errors import check_name

Measures = Mapping[str, float | Sequence[float]]
Word = Literal["reproduced", "not reproduced", "refuted"]
FOLDER = Path(__file__).parent


class Table(BaseModel):
    """A table of the TOML file: keys that it does not know are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Condition(Table):
    """What a measured number must be: near a value, or on one side of a number or of another measure.

    A measure that has a value a seed must be so for every seed. What is no number fulfils nothing.
    """

    measure: str
    about: float | None = None
    within: Annotated[float, Field(ge=0)] | None = None
    at_least: float | str | None = None
    at_most: float | str | None = None
    source: str = ""

    @model_validator(mode="after")
    def _says_something(self) -> Condition:
        if (self.about is None) != (self.within is None):
            raise ValueError("`about` and `within` come together")
        if self.about is None and self.at_least is None and self.at_most is None:
            raise ValueError("a condition has `about`, `at_least` or `at_most`")
        return self

    def holds(self, measures: Measures) -> bool:
        """Whether it is so, for every seed."""
        values = _values(measures, self.measure)
        near = self.about is None or all(abs(v - self.about) <= (self.within or 0.0) for v in values)
        high = self.at_least is None or min(values) >= max(_values(measures, self.at_least))
        low = self.at_most is None or max(values) <= min(_values(measures, self.at_most))
        return near and high and low and all(v == v for v in values)

    def __str__(self) -> str:
        words = [] if self.about is None else [f"{self.about:g} within {self.within:g}"]
        sides = (("at least", self.at_least), ("at most", self.at_most))
        words += [f"{side} {v if isinstance(v, str) else f'{v:g}'}" for side, v in sides if v is not None]
        return " and ".join(words)


class Limit(Table):
    """Words that follow the verdict where all its conditions hold: "for ReLU only"."""

    words: str
    when: Annotated[tuple[Condition, ...], Field(min_length=1)]


class Expectations(Table):
    """A claim, what it makes one expect, and the rule of the verdict.

        reproduced       all its conditions hold, and none of `refuted`
        refuted          one of its conditions holds
        not reproduced   neither

    data    whether it reads any, by --data;  deep    minutes of the long form, of one seed, where it has one

    Units:     minutes of wall clock on two cores: `minutes` for each seed, `budget` for all of them
    """

    claim: str
    source: str
    minutes: Annotated[float, Field(gt=0)]
    budget: Annotated[float, Field(gt=0)]
    seeds: Annotated[int, Field(ge=1)] = 1
    data: bool = False
    deep: Annotated[float, Field(gt=0)] | None = None
    reproduced: Annotated[tuple[Condition, ...], Field(min_length=1)]
    refuted: tuple[Condition, ...] = ()
    limit: tuple[Limit, ...] = ()

    def judge(self, measures: Measures) -> Verdict:
        """Return the verdict on what was measured."""
        word: Word = "not reproduced"
        if any(condition.holds(measures) for condition in self.refuted):
            word = "refuted"
        elif all(condition.holds(measures) for condition in self.reproduced):
            word = "reproduced"
        said = (limit for limit in self.limit if all(c.holds(measures) for c in limit.when))
        checks = [
            Check(c, measures[c.measure], c.holds(measures), role)
            for role, held in self._rule()
            for c in held
        ]
        return Verdict(word, ", ".join(limit.words for limit in said), tuple(checks))

    def _rule(self) -> list[tuple[str, tuple[Condition, ...]]]:
        return [("reproduced", self.reproduced), ("refuted", self.refuted)]


class Check(NamedTuple):
    """A condition, what was measured, whether it holds, and what it speaks for."""

    condition: Condition
    measured: float | Sequence[float]
    holds: bool
    speaks_for: str

    def __str__(self) -> str:
        values = self.measured if isinstance(self.measured, Sequence) else [self.measured]
        numbers = ", ".join(f"{value:.4g}" for value in values)
        return f"{self.condition.measure} = {numbers}: {self.condition}"


class Verdict(NamedTuple):
    """The word, how far it goes, and each condition with what was measured."""

    word: Word
    limit: str
    checks: tuple[Check, ...]

    def __str__(self) -> str:
        return f"{self.word}, {self.limit}" if self.limit else self.word


def names() -> list[str]:
    """Return the names of all experiments."""
    return sorted(file.stem.replace("_", "-") for file in FOLDER.glob("*.toml"))


def expectations(name: str) -> Expectations:
    """Return what is expected of an experiment.

    Raises:    StructureError for a name that is not known
    """
    check_name("experiment", name, names())
    text = (FOLDER / f"{name.replace('-', '_')}.toml").read_text()
    return Expectations(**tomllib.loads(text))


def _values(measures: Measures, what: float | str) -> Sequence[float]:
    """Return a number, or what was measured under a name, as one value a seed."""
    value = measures[what] if isinstance(what, str) else what
    return value if isinstance(value, Sequence) else [value]
