"""Stochastic fit of a network: one record an epoch, seeded, resumed exactly."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from math import isfinite
from pathlib import Path
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn

from wellposed.errors import ConfigError, StepError, close_match
from wellposed.learning.batches import Batch, Batches, Source
from wellposed.learning.checkpoint import (
    check_facts,
    load_optimizer,
    optimizer_tensors,
    read_checkpoint,
    weights_of,
    write_checkpoint,
)
from wellposed.learning.labels import Labels
from wellposed.learning.objective import Objective
from wellposed.network import Stage, limit_norms

Bound = Literal["report", "keep"]


@dataclass(frozen=True)
class Record:
    """One epoch: means over its batches, the held-out value after it.

    `ratio` is the largest quotient of a step and its bound of stability at the end of the epoch, before
    operators were made smaller; None where no stage claims stability.
    """

    epoch: int
    value: float
    gradient: float
    seconds: float
    held_out: float | None = None
    ratio: float | None = None

    def __str__(self) -> str:
        held_out = "" if self.held_out is None else f"  held out {self.held_out:.4g}"
        ratio = "" if self.ratio is None else f"  step/bound {self.ratio:.2g}"
        return (
            f"epoch {self.epoch:3d}  value {self.value:.4g}{held_out}  |gradient| {self.gradient:.2g}{ratio}"
        )


class Best(NamedTuple):
    """The epoch with the least held-out value (without held-out labels: the least value), and its weights."""

    record: Record
    weights: dict[str, Tensor]


class Fit(Iterator[Record]):
    """A fit under way: `for record in fit` runs it an epoch at a time, and may be left at any.

    Leaves     records, one an epoch; best, the epoch to go back to; stop, why it ended (None: not yet)
    """

    def __init__(
        self,
        net: nn.Module,
        objective: Objective,
        batches: Batches,
        epochs: int,
        optimizer: torch.optim.Optimizer,
        rate: Callable[[float], float],
        held_out: Batch | None,
        checkpoint: Path | None,
        settings: Mapping[str, Any],
        bound: Bound,
    ) -> None:
        self.net, self.objective, self.epochs, self.bound = net, objective, epochs, bound
        self.records: list[Record] = []
        self.best: Best | None = None
        self.stop: str | None = None
        self._batches, self._optimizer, self._rate = batches, optimizer, rate
        self._held_out, self._checkpoint, self._settings = held_out, checkpoint, settings
        if checkpoint is not None and checkpoint.exists():
            self._resume(checkpoint)

    def __next__(self) -> Record:
        """Run one epoch; where it is broken off, the net keeps the weights of the epoch before.

        Raises:    StepError when the value or the gradient is no finite number
        """
        if self.stop is None and len(self.records) >= self.epochs:
            self.stop = f"{len(self.records)} epochs done"
        if self.stop is not None:
            raise StopIteration
        before = weights_of(self.net)
        try:
            record = self._run(len(self.records))
        except BaseException as error:
            # Half an epoch is no state to go on from: a resumed fit would not be the uninterrupted one.
            self.net.load_state_dict(before)
            if isinstance(error, FloatingPointError):
                self.stop = f"{error} in epoch {len(self.records)}"
                raise self._diverged() from error
            self.stop = f"interrupted in epoch {len(self.records)}"
            raise
        self.records.append(record)
        if self.best is None or _score(record) < _score(self.best.record):
            self.best = Best(record, weights_of(self.net))
        self._save()
        return record

    def _run(self, epoch: int) -> Record:
        began, value, gradient, examples = time.perf_counter(), 0.0, 0.0, 0
        count, batches = self._batches.of(epoch)
        for place, (inputs, labels) in enumerate(batches):
            for group in self._optimizer.param_groups:
                group["lr"] = self._rate(epoch + place / count)
            batch_value, batch_gradient = self._step(inputs, labels)
            value += batch_value * len(inputs)
            gradient += batch_gradient * len(inputs)
            examples += len(inputs)
        sizes = [torch.linalg.vector_norm(weight.detach()) for weight in self.net.parameters()]
        _finite("the norm of the weights", torch.linalg.vector_norm(torch.stack(sizes)))
        ratio = self._look_at_bound()
        held_out = self._value_held_out()
        seconds = time.perf_counter() - began
        return Record(epoch, value / examples, gradient / examples, seconds, held_out, ratio)

    def _look_at_bound(self) -> float | None:
        """Return the quotient of a step and its bound; keep it, or warn the first time it is beyond."""
        if self.bound == "keep":
            return limit_norms(self.net)
        ratios = [module.ratio() for module in self.net.modules() if isinstance(module, Stage)]
        ratio = max((ratio for ratio in ratios if ratio is not None), default=None)
        if ratio is not None and ratio > 1 and not any((record.ratio or 0) > 1 for record in self.records):
            warnings.warn(f"a step is {ratio:.2g} times its bound of stability; see `bound`", stacklevel=2)
        return ratio

    def _step(self, inputs: Tensor, labels: Labels) -> tuple[float, float]:
        """Move the weights by one batch; return its value and the norm of its gradient."""
        self._optimizer.zero_grad(set_to_none=True)
        objective = self.objective.value(self.net, self.net(inputs), labels)
        value = _finite("the value", objective)
        objective.backward()  # type: ignore[no-untyped-call]
        weights = self._optimizer.param_groups[0]["params"]
        gradients = [torch.linalg.vector_norm(weight.grad) for weight in weights if weight.grad is not None]
        gradient = _finite("the gradient", torch.linalg.vector_norm(torch.stack(gradients)))
        self._optimizer.step()
        return value, gradient

    @torch.no_grad()
    def _value_held_out(self) -> float | None:
        if self._held_out is None:
            return None
        inputs, labels = self._held_out
        prediction = torch.cat([self.net(part) for part in torch.split(inputs, self._batches.size)])
        # Terms of the weights would only say how smooth they are, not how well they predict.
        objective = self.objective.part("prediction")
        return _finite("the held-out value", objective.value(self.net, prediction, labels))

    def _diverged(self) -> StepError:
        epoch = len(self.records)
        kept = f"those of the end of epoch {epoch - 1}" if epoch else "those from before the fit"
        return StepError(
            f"the fit has left the finite numbers: {self.stop}",
            given=f"learning rate {self._rate(epoch):.3g}; the weights now are {kept}",
            expected="finite values and gradients",
            way_out="take a smaller rate, or look for values in inputs and labels that are not finite",
        )

    def _save(self) -> None:
        if self._checkpoint is None or self.best is None:
            return
        parts = {"net": self.net.state_dict(), "best": self.best.weights}
        parts["optimizer"] = optimizer_tensors(self._optimizer)
        tensors = {f"{part}/{name}": tensor for part, held in parts.items() for name, tensor in held.items()}
        facts = {"settings": self._settings, "records": [asdict(record) for record in self.records]}
        write_checkpoint(self._checkpoint, tensors, {**facts, "best": self.best.record.epoch})

    def _resume(self, path: Path) -> None:
        tensors, facts = read_checkpoint(path)
        check_facts(path, facts["settings"], self._settings)
        parts: dict[str, dict[str, Tensor]] = {"net": {}, "best": {}, "optimizer": {}}
        for name, tensor in tensors.items():
            part, rest = name.split("/", 1)
            parts[part][rest] = tensor
        self.net.load_state_dict(parts["net"])
        load_optimizer(self._optimizer, parts["optimizer"])
        self.records = [Record(**record) for record in facts["records"]]
        self.best = Best(self.records[facts["best"]], parts["best"])


def fit(
    net: nn.Module,
    objective: Objective,
    inputs: Source,
    labels: Labels | None = None,
    *,
    epochs: int,
    seed: int,
    rate: float | Callable[[float], float] = 1e-3,
    batch: int = 8,
    optimizer: Literal["adamw", "sgd"] = "adamw",
    decay: float = 1e-4,
    held_out: Batch | None = None,
    checkpoint: str | Path | None = None,
    bound: Bound = "report",
) -> Fit:
    """Fit a network to labels by stochastic gradients; iterate what is returned to run it, a record an epoch.

        inputs      a tensor, with labels: shuffled anew each epoch and split into batches; or
                    a sequence of (inputs, labels), each a batch of its own: sections of unequal size; or
                    a function of a seed that makes the (inputs, labels) of one epoch, as simulated earths are
        rate        a number, or a function of the time in epochs, such as OneCycle(3e-3, epochs)
        optimizer   "adamw", or "sgd" with momentum 0.9; `decay` pulls the weights to zero
        held_out    (inputs, labels) that are only looked at; they choose the best epoch
        checkpoint  a file, written after each epoch; where it exists the fit goes on from it
        bound       "report": each record says how far the steps are from their bound of stability, and going
                    beyond warns once; "keep": operators beyond it are made smaller after each epoch

    Ten epochs are five and a resumed five, bit for bit, at the same number of threads: whatever is drawn in
    an epoch depends on the seed and the epoch alone. Nothing global is seeded. The rate knows the total of
    epochs only where the function that is given does, so that `epochs` may be raised later.

    Shapes:    inputs (batch, channel, *space); labels as the objective says
    Raises:    ShapeError when inputs and labels do not fit; StepError when numbers are no longer finite;
               FileError, RunError for a checkpoint that cannot be used
    Cost:      a forward and a backward pass an example and epoch, two copies of the weights; an epoch also
               the norms of operators at each node where stages claim stability, for convolutions seconds
    """
    if bound not in ("report", "keep"):
        raise ConfigError(
            "a fit does not know what to do about the bound",
            given=f"bound={bound!r}",
            expected="'report' or 'keep'",
            way_out=f"write {close_match(bound, ('report', 'keep')) or 'one of the two'}",
        )
    if epochs < 0 or batch < 1:
        raise ConfigError(
            "a fit runs over whole batches and epochs",
            given=f"epochs={epochs}, batch={batch}",
            expected="epochs of at least 0, a batch of at least 1",
            way_out="give other numbers",
        )
    shapes = {name: list(tensor.shape) for name, tensor in net.state_dict().items()}
    settings: dict[str, Any] = {
        "seed": seed,
        "batch": batch,
        "optimizer": optimizer,
        "decay": decay,
        "weights": shapes,
    }
    if bound != "report":  # checkpoints from before there was a choice do not name it
        settings["bound"] = bound
    return Fit(
        net,
        objective,
        Batches(inputs, labels, batch, seed),
        epochs,
        _optimizer(net, optimizer, decay),
        rate if callable(rate) else lambda _: rate,
        held_out,
        None if checkpoint is None else Path(checkpoint),
        settings,
        bound,
    )


def _optimizer(net: nn.Module, name: str, decay: float) -> torch.optim.Optimizer:
    weights = [weight for weight in net.parameters() if weight.requires_grad]
    if name == "adamw":
        return torch.optim.AdamW(weights, weight_decay=decay)
    if name == "sgd":
        return torch.optim.SGD(weights, momentum=0.9, weight_decay=decay)
    raise ConfigError(
        "there is no such optimizer",
        given=name,
        expected="adamw or sgd",
        way_out=f"write {close_match(name, ('adamw', 'sgd')) or 'one of the two'}",
    )


def _score(record: Record) -> float:
    return record.value if record.held_out is None else record.held_out


def _finite(name: str, number: Tensor) -> float:
    value = float(number.item())
    if not isfinite(value):
        raise FloatingPointError(f"{name} is {value}")
    return value
