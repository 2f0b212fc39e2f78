"""A fit under way: records, the best weights, checkpoints; whatever method takes the steps."""

from __future__ import annotations

import time
import warnings
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from math import isfinite
from pathlib import Path
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn

from wellposed.errors import ShapeError, StepError, StructureError, UserError, check_count
from wellposed.learning.batches import Batch, check_length
from wellposed.learning.checkpoint import check_facts, read_checkpoint, weights_of, write_checkpoint
from wellposed.learning.objective import Objective, check_objective
from wellposed.network import Stage, limit_norms
from wellposed.network.part import still

# Of what torch says where two of them meet.
_PRECISION = ("same dtype", "scalar type", "and bias type", "and weight type")
Bound = Literal["report", "keep"]


@dataclass(frozen=True)
class Record:
    """One epoch, or one step of a method that sees the whole sample at once: value, gradient, what it took.

    value      of the objective: a mean over the batches of the epoch, or after the step
    gradient   its norm
    work       of this epoch, in work units: a pass of one example through one step of a stage, where a
               product with the Jacobian or its adjoint counts two (a network without stages is one step)
    held_out   the held-out value after it
    ratio      the largest quotient of a step and its bound of stability at the end of the epoch, before
               operators were made smaller; None where no stage claims stability
    inner      products with the curvature; None for methods that take none
    """

    epoch: int
    value: float
    gradient: float
    seconds: float
    held_out: float | None = None
    ratio: float | None = None
    work: float = 0.0
    inner: int | None = None

    def __str__(self) -> str:
        held_out = "" if self.held_out is None else f"  held out {self.held_out:.4g}"
        ratio = "" if self.ratio is None else f"  step/bound {self.ratio:.2g}"
        inner = "" if self.inner is None else f"  products {self.inner}"
        numbers = f"value {self.value:.4g}{held_out}  |gradient| {self.gradient:.2g}"
        return f"epoch {self.epoch:3d}  {numbers}{inner}{ratio}"


class Best(NamedTuple):
    """The epoch with the least held-out value (without held-out labels: the least value), and its weights."""

    record: Record
    weights: dict[str, Tensor]


class Done(NamedTuple):
    """What a method says of the epoch that it has run."""

    value: float
    gradient: float
    work: float
    inner: int | None = None


@dataclass(frozen=True)
class Terms:
    """How long a fit goes on, what it is looked at with, where it is kept, and which one it is.

    settings    what a checkpoint must agree with; bound as in `fit`

    Raises:     ConfigError for epochs that are no whole number, or negative
    """

    epochs: int
    seed: int
    settings: Mapping[str, Any]
    held_out: Batch | None = None
    checkpoint: str | Path | None = None
    bound: Bound = "report"

    def __post_init__(self) -> None:
        check_count("epochs", self.epochs, least=0)


class Fit(Iterator[Record], ABC):
    """A fit under way: `for record in fit` runs it an epoch at a time, and may be left at any.

    Leaves     records, one an epoch; best, the epoch to go back to; stop, why it ended (None: not yet)
    """

    def __init__(self, net: nn.Module, objective: Objective, terms: Terms) -> None:
        check_objective(objective)
        if terms.held_out is not None:
            check_length(*terms.held_out)
        self.net, self.objective, self.epochs, self.bound = net, objective, terms.epochs, terms.bound
        self.records: list[Record] = []
        self.best: Best | None = None
        self.stop: str | None = None
        self.broken = False  # whether that was an error, and no end that the method found
        self._held_out, self._settings = terms.held_out, terms.settings
        self._checkpoint = None if terms.checkpoint is None else Path(terms.checkpoint)

    def __next__(self) -> Record:
        """Run one epoch; where it is broken off, the net keeps the weights of the epoch before.

        Raises:    StepError when the value or the gradient is no finite number, or no step can be taken
        """
        if self.stop is None and len(self.records) >= self.epochs:
            self.stop = f"{len(self.records)} epochs done"
        if self.stop is not None:
            raise StopIteration
        before = weights_of(self.net)
        try:
            record = self._recorded(len(self.records))
        except BaseException as error:
            # Half an epoch is no state to go on from: a resumed fit would not be the uninterrupted one.
            self.net.load_state_dict(before)
            if isinstance(error, FloatingPointError):
                self.broken = True
                self.stop = f"{error} in epoch {len(self.records)}"
                raise self._lost() from error
            self.broken = True
            said = error.wrong if isinstance(error, UserError) else "interrupted"
            self.stop = f"{said} in epoch {len(self.records)}"
            if isinstance(error, RuntimeError) and any(words in str(error) for words in _PRECISION):
                raise _mixed(error) from error
            raise
        self.records.append(record)
        if self.best is None or _score(record) < _score(self.best.record):
            self.best = Best(record, weights_of(self.net))
        self._save()
        return record

    @property
    def work(self) -> float:
        """Work units of all epochs."""
        return sum(record.work for record in self.records)

    @abstractmethod
    def _run(self, epoch: int) -> Done:
        """Run one epoch."""

    @abstractmethod
    def _remedy(self) -> tuple[str, str]:
        """Return what was asked, and what to change, when the numbers are lost."""

    def _tensors(self) -> dict[str, Tensor]:
        """Return what the method remembers from epoch to epoch."""
        return {}

    def _remember(self, tensors: dict[str, Tensor]) -> None:
        """Take back what `_tensors` gave."""

    def _recorded(self, epoch: int) -> Record:
        began = time.perf_counter()
        done = self._run(epoch)
        sizes = [torch.linalg.vector_norm(weight.detach()) for weight in self.net.parameters()]
        finite("the norm of the weights", torch.linalg.vector_norm(torch.stack(sizes)))
        ratio = self._look_at_bound()
        held_out = self._value_held_out()
        seconds = time.perf_counter() - began
        return Record(epoch, done.value, done.gradient, seconds, held_out, ratio, done.work, done.inner)

    def _look_at_bound(self) -> float | None:
        """Return the quotient of a step and its bound; keep it, or warn the first time it is beyond."""
        if self.bound == "keep":
            return limit_norms(self.net)
        ratios = [module.ratio() for module in self.net.modules() if isinstance(module, Stage)]
        ratio = max((ratio for ratio in ratios if ratio is not None), default=None)
        if ratio is not None and ratio > 1 and not any((record.ratio or 0) > 1 for record in self.records):
            warnings.warn(
                f"a step is {ratio:.3g} times its bound of stability; see `limit_norms`", stacklevel=2
            )
        return ratio

    @torch.no_grad()
    def _value_held_out(self) -> float | None:
        if self._held_out is None:
            return None
        inputs, labels = self._held_out
        with still(self.net):  # a norm must not learn from what is held out
            prediction = torch.cat([self.net(part) for part in torch.split(inputs, self._chunk())])
        # Terms of the weights would only say how smooth they are, not how well they predict.
        objective = self.objective.part("prediction")
        return finite("the held-out value", objective.value(self.net, prediction, labels))

    def _chunk(self) -> int:
        """Return how many examples go through the network at once."""
        return 64

    def _lost(self) -> StepError:
        epoch = len(self.records)
        kept = f"those of the end of epoch {epoch - 1}" if epoch else "those from before the fit"
        asked, remedy = self._remedy()
        return StepError(
            f"the fit has left the finite numbers: {self.stop}",
            given=f"{asked}; the weights now are {kept}",
            expected="finite values and gradients",
            way_out=f"look for values in inputs and labels that are not finite, or {remedy}",
        )

    def _save(self) -> None:
        if self._checkpoint is None or self.best is None:
            return
        parts = {"net": self.net.state_dict(), "best": self.best.weights, "optimizer": self._tensors()}
        tensors = {f"{part}/{name}": tensor for part, held in parts.items() for name, tensor in held.items()}
        # A method that has ended is not to be asked for one more step; an epoch more may be asked for.
        records = [asdict(record) for record in self.records]
        facts = {"settings": self._settings, "records": records, "stop": self.stop}
        write_checkpoint(self._checkpoint, tensors, {**facts, "best": self.best.record.epoch})

    def _resume(self) -> None:
        """Go on from the checkpoint, where there is one."""
        path = self._checkpoint
        if path is None or not path.exists():
            return
        tensors, facts = read_checkpoint(path)
        check_facts(path, facts["settings"], self._settings)
        parts: dict[str, dict[str, Tensor]] = {"net": {}, "best": {}, "optimizer": {}}
        for name, tensor in tensors.items():
            part, rest = name.split("/", 1)
            parts[part][rest] = tensor
        self.net.load_state_dict(parts["net"])
        self._remember(parts["optimizer"])
        self.records = [Record(**record) for record in facts["records"]]
        self.best = Best(self.records[facts["best"]], parts["best"])
        self.stop = facts.get("stop")


def _mixed(error: RuntimeError) -> ShapeError:
    return ShapeError(
        "inputs and network are of different precision",
        given=str(error).splitlines()[0],
        expected="one precision for weights, inputs and what is held out",
        way_out="hand over inputs.to(...) of the network, or bring the network to theirs: net.double()",
    )


def finite(name: str, number: Tensor) -> float:
    """Return a number, or raise FloatingPointError that names it."""
    value = float(number.item())
    if not isfinite(value):
        raise FloatingPointError(f"{name} is {value}")
    return value


def steps_of(net: nn.Module) -> int:
    """Return how many steps one example goes through, at least one: the unit of work."""
    return max(1, sum(len(module.spans) for module in net.modules() if isinstance(module, Stage)))


def _score(record: Record) -> float:
    return record.value if record.held_out is None else record.held_out


def check_weights(net: nn.Module) -> None:
    """Raise for a network of which nothing moves."""
    if not any(weight.requires_grad for weight in net.parameters()):
        raise StructureError(
            "there is nothing to learn in this network",
            given=f"a {type(net).__name__} without weights that require a gradient",
            expected="at least one",
            way_out="leave requires_grad as it is",
        )


def shapes_of(net: nn.Module) -> dict[str, list[int]]:
    """Return the shape of each weight, by which a checkpoint knows its network."""
    return {name: list(tensor.shape) for name, tensor in net.state_dict().items()}
