"""L-BFGS on a fixed sample: the plain rival of Gauss-Newton."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf
from typing import Self

import torch
from torch import Tensor, nn

from wellposed.errors import ConfigError, check_count
from wellposed.learning.batches import Source, one_sample
from wellposed.learning.ends import flat_enough, is_rounding, stuck
from wellposed.learning.labels import Labels
from wellposed.learning.method import Method
from wellposed.learning.objective import Objective
from wellposed.learning.record import Done, Fit, Terms
from wellposed.learning.sampled import Sampled, Slope


@dataclass(frozen=True)
class LBFGS(Method):
    """theta <- theta - alpha H gradient, H from the last changes of both: PyTorch's, with strong Wolfe.

        tolerance     ends where |gradient| has fallen to this share of its first
        history       how many changes are remembered
        rate          the step length that is tried first

    An epoch is one step; its value and gradient are those after it.

    Raises:    ConfigError for settings out of range; StepError when no step lowers the objective
    Cost:      three passes a trial of a step
    Reference: Liu and Nocedal, Math. Program. 45 (1989) 503-528
    """

    tolerance: float = 1e-3
    history: int = 10
    rate: float = 1.0

    def __post_init__(self) -> None:
        check_count("history", self.history)
        if not (0 <= self.tolerance < 1 and 0 < self.rate < inf):
            raise ConfigError(
                "L-BFGS cannot work with these settings",
                given=f"{self}",
                expected="0 <= tolerance < 1, a rate above 0",
                way_out="give other numbers, or leave them away",
            )

    def begin(
        self,
        net: nn.Module,
        objective: Objective,
        inputs: Source,
        labels: Labels | None,
        terms: Terms,
    ) -> Fit:
        """Return the fit; nothing is drawn."""
        return _Steps(self, Sampled(net, objective, *one_sample(inputs, labels)), terms)

    @classmethod
    def examples(cls) -> Sequence[Self]:
        """With a short memory."""
        return [cls(history=3)]


class _Steps(Fit):
    """Moves the weights once an epoch."""

    def __init__(self, method: LBFGS, sample: Sampled, terms: Terms) -> None:
        super().__init__(sample.net, sample.objective, terms)
        self.sample, self._tolerance = sample, method.tolerance
        self._first: float | None = None
        self._seen: tuple[Tensor, Slope] | None = None
        self._theta = nn.Parameter(sample.theta())
        self._optimizer = torch.optim.LBFGS(
            [self._theta],
            lr=method.rate,
            max_iter=1,
            max_eval=25,
            history_size=method.history,
            tolerance_grad=0.0,
            tolerance_change=0.0,
            line_search_fn="strong_wolfe",
        )
        self._resume()

    def _run(self, epoch: int) -> Done:
        before, start = self.sample.work, self._slope()
        self._first = self._first or float(start.gradient.norm())
        self._optimizer.step(self._closure)  # type: ignore[no-untyped-call]
        slope = self._slope()
        gradient = float(slope.gradient.norm())
        self.stop = flat_enough(gradient, self._first, self._tolerance)
        if self.stop is None and slope.value >= start.value:
            self._check_search(start, slope.value - start.value)
            self.stop = "no step changes the value by more than its rounding"
        return Done(slope.value, gradient, self.sample.work - before)

    def _check_search(self, start: Slope, risen: float) -> None:
        """Raise where a search that lowered nothing cannot be excused by rounding."""
        promised = -float(start.gradient @ self._optimizer.state[self._theta]["d"])
        values = (start.value, *(record.value for record in self.records))
        if not is_rounding(max(risen, promised), self._theta.dtype, *values):
            raise stuck("L-BFGS", start.value, float(start.gradient.norm()), promised)

    def _slope(self) -> Slope:
        """Return value and gradient; a place that was seen last is not looked at again."""
        theta = self._theta.detach()
        if self._seen is None or not torch.equal(self._seen[0], theta):
            self._seen = theta.clone(), self.sample.slope(theta)
        else:
            self.sample.put(theta)
        return self._seen[1]

    def _closure(self) -> float:
        slope = self._slope()
        self._theta.grad = slope.gradient.clone()
        return slope.value

    def _remedy(self) -> tuple[str, str]:
        return "L-BFGS", "take a smaller rate"

    def _tensors(self) -> dict[str, Tensor]:
        state = self._optimizer.state[self._theta]
        first = torch.nan if self._first is None else self._first
        kept = {"first": torch.tensor(first, dtype=torch.float64)}
        for name, value in state.items():
            if isinstance(value, list):
                # A list of vectors, or of numbers, is one array.
                known = [torch.as_tensor(v) for v in value if v is not None]
                kept[f"list/{name}"] = torch.stack(known) if known else torch.zeros(0)
            elif isinstance(value, Tensor):
                kept[f"tensor/{name}"] = value
            elif value is not None:
                kept[f"number/{name}"] = torch.tensor(float(value), dtype=torch.float64)
        return kept

    def _remember(self, tensors: dict[str, Tensor]) -> None:
        self._first = float(tensors.pop("first"))
        self._theta.data.copy_(self.sample.theta())
        state = self._optimizer.state[self._theta]
        for name, value in tensors.items():
            kind, key = name.split("/")
            if kind == "number":
                number = float(value)
                state[key] = int(number) if key in ("func_evals", "n_iter") else number
            else:
                state[key] = list(value) if kind == "list" else value
        if "al" in state:
            state["al"] = [None] * self._optimizer.param_groups[0]["history_size"]
