"""How an experiment is run, and what it gives back."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from wellposed.atomic import written_whole
from wellposed.errors import RunError
from wellposed.experiments.judge import Measures

if TYPE_CHECKING:
    from matplotlib.animation import Animation
    from matplotlib.figure import Figure

Rows = Sequence[Mapping[str, Any]]
T = TypeVar("T")


@dataclass(frozen=True)
class Setting:
    """Seeds, size and folder of a run; what is done of it is kept and not done again.

    quick    one seed, everything small: seconds
    deep     the long form, where an experiment has one
    data     folder of what is read and not made, where an experiment reads any
    say      what the run is doing, a line at a time
    """

    out: Path
    seeds: tuple[int, ...] = (0,)
    quick: bool = False
    deep: bool = False
    data: Path | None = None
    say: Callable[[str], None] = lambda text: None

    def pick(self, full: T, quick: T) -> T:
        """Return the size that fits."""
        return quick if self.quick else full

    def piece(self, name: str, compute: Callable[[], T]) -> T:
        """Return what `compute` gives, from now or from before this run was interrupted.

        Shapes:    a JSON value: numbers, strings, lists, tables with strings as keys
        """
        path = self._work() / f"{name}.json"
        if not path.exists():
            self.say(name)
            found = json.dumps(compute())
            with written_whole(path) as partial:
                partial.write_text(found)
        kept: T = json.loads(path.read_text())
        return kept

    def needs_data(self, what: str) -> Path:
        """Return the folder of data that cannot be made.

        Raises:    RunError where none was given
        """
        if self.data is None:
            raise RunError(
                "this experiment reads data that nobody can make",
                given="no folder of data",
                expected=what,
                way_out="name the folder by --data FOLDER, or look at small made data by --quick",
            )
        return self.data

    def checkpoint(self, name: str) -> Path:
        """Return a file for the checkpoint of a fit."""
        return self._work() / f"{name}.safetensors"

    def _work(self) -> Path:
        """Return the folder of pieces and checkpoints, which is that of one size only."""
        work, size = self.out / "work", {"quick": self.quick, "deep": self.deep}
        said = work / "size.json"
        if not said.exists():
            with written_whole(said) as partial:
                partial.write_text(json.dumps(size))
        elif json.loads(said.read_text()) != size:
            raise RunError(
                "this folder holds a run of another size",
                given=f"{self.out}, a run with {said.read_text()}",
                expected=json.dumps(size),
                way_out="choose another folder, or remove this one",
            )
        return work


@dataclass(frozen=True)
class Outcome:
    """What an experiment measured: numbers that the rule asks about, tables, pictures, movies, by names."""

    measures: Measures
    tables: dict[str, Rows]
    pictures: dict[str, Figure]
    movies: dict[str, Animation] = field(default_factory=dict)
