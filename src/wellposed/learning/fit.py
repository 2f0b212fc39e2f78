"""Stochastic fit of a network: one record an epoch, seeded, resumed exactly."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal, Self

import torch
from torch import Tensor, nn

from wellposed.errors import ConfigError, check_count, close_match
from wellposed.learning.batches import Batch, Batches, Source
from wellposed.learning.checkpoint import load_optimizer, optimizer_tensors
from wellposed.learning.labels import Labels
from wellposed.learning.method import Method
from wellposed.learning.objective import Objective
from wellposed.learning.one_cycle import check_size
from wellposed.learning.record import Bound, Done, Fit, Terms, check_weights, finite, shapes_of, steps_of


@dataclass(frozen=True)
class Stochastic(Method):
    """`fit` with its settings as a method: for what takes a method, as Continuation does.

    A rate that is a function of the time in epochs begins anew with each fit.
    """

    rate: float | Callable[[float], float] = 1e-3
    batch: int = 8
    optimizer: Literal["adamw", "sgd"] = "adamw"
    decay: float = 1e-4
    bound: Bound = "report"

    def begin(
        self,
        net: nn.Module,
        objective: Objective,
        inputs: Source,
        labels: Labels | None,
        terms: Terms,
    ) -> Fit:
        """Return the fit."""
        given: dict[str, Any] = {field.name: getattr(self, field.name) for field in fields(self)}
        given |= {name: getattr(terms, name) for name in ("epochs", "seed", "held_out", "checkpoint")}
        return fit(net, objective, inputs, labels, **given)

    @classmethod
    def examples(cls) -> Sequence[Self]:
        """Both optimizers."""
        return [cls(rate=0.03, batch=4), cls(rate=0.03, batch=8, optimizer="sgd")]


class _Stochastic(Fit):
    """Moves the weights once a batch."""

    def __init__(
        self,
        net: nn.Module,
        objective: Objective,
        batches: Batches,
        optimizer: torch.optim.Optimizer,
        rate: Callable[[float], float],
        terms: Terms,
    ) -> None:
        super().__init__(net, objective, terms)
        self._batches, self._optimizer, self._rate = batches, optimizer, rate
        self._resume()

    def _run(self, epoch: int) -> Done:
        value, gradient, examples = 0.0, 0.0, 0
        count, batches = self._batches.of(epoch)
        for place, (inputs, labels) in enumerate(batches):
            for group in self._optimizer.param_groups:
                group["lr"] = self._rate(epoch + place / count)
            batch_value, batch_gradient = self._step(inputs, labels)
            value += batch_value * len(inputs)
            gradient += batch_gradient * len(inputs)
            examples += len(inputs)
        # A pass forward, and a product with the adjoint.
        return Done(value / examples, gradient / examples, 3.0 * examples * steps_of(self.net))

    def _step(self, inputs: Tensor, labels: Labels) -> tuple[float, float]:
        """Move the weights by one batch; return its value and the norm of its gradient."""
        self._optimizer.zero_grad(set_to_none=True)
        objective = self.objective.value(self.net, self.net(inputs), labels)
        value = finite("the value", objective)
        objective.backward()  # type: ignore[no-untyped-call]
        weights = self._optimizer.param_groups[0]["params"]
        gradients = [torch.linalg.vector_norm(weight.grad) for weight in weights if weight.grad is not None]
        gradient = finite("the gradient", torch.linalg.vector_norm(torch.stack(gradients)))
        self._optimizer.step()
        return value, gradient

    def _remedy(self) -> tuple[str, str]:
        return f"learning rate {self._rate(len(self.records)):.3g}", "take a smaller rate"

    def _tensors(self) -> dict[str, Tensor]:
        return optimizer_tensors(self._optimizer)

    def _remember(self, tensors: dict[str, Tensor]) -> None:
        load_optimizer(self._optimizer, tensors)

    def _chunk(self) -> int:
        return self._batches.size


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
    check_count("batch", batch)
    if not callable(rate):
        check_size("rate", rate)
    check_size("decay", decay)
    settings: dict[str, Any] = {
        "seed": seed,
        "batch": batch,
        "optimizer": optimizer,
        "decay": decay,
        "weights": shapes_of(net),
    }
    if bound != "report":  # checkpoints from before there was a choice do not name it
        settings["bound"] = bound
    return _Stochastic(
        net,
        objective,
        Batches(inputs, labels, batch, seed),
        _optimizer(net, optimizer, decay),
        rate if callable(rate) else lambda _: rate,
        Terms(epochs, seed, settings, held_out, checkpoint, bound),
    )


def _optimizer(net: nn.Module, name: str, decay: float) -> torch.optim.Optimizer:
    check_weights(net)
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
