"""Sample average approximation: one sample is drawn, and the problem is deterministic from then on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor, nn

from wellposed.errors import ShapeError, check_count, check_kind
from wellposed.learning.batches import Batch, Source, check_length, one_sample
from wellposed.learning.labels import Labels
from wellposed.learning.method import Method
from wellposed.learning.objective import Objective
from wellposed.learning.record import Fit, Terms
from wellposed.learning.seeds import derive_seed, generator


@dataclass(frozen=True)
class SampleAverage(Method):
    """min over theta of (1/n) sum of F(net_theta(y_i), c_i) over n examples that are drawn once.

    In place of an expected value over all examples, of which each batch of a stochastic method sees others:
    what is left is an ordinary problem of optimisation, for which `method` may take line searches and second
    derivatives. How well its solution does on other examples is another question: held_out says it.

    `inputs` may be a function that makes (inputs, labels) from a seed; it is called until there are `size`.

    Raises:    ShapeError when there are fewer examples than `size`
    Reference: Kleywegt, Shapiro and Homem-de-Mello, SIAM J. Optim. 12 (2002) 479-502
    """

    method: Method
    size: int

    def __post_init__(self) -> None:
        check_kind("method", self.method, Method, "give a method such as GaussNewton()")
        check_count("size", self.size)

    def begin(
        self,
        net: nn.Module,
        objective: Objective,
        inputs: Source,
        labels: Labels | None,
        terms: Terms,
    ) -> Fit:
        """Return the fit of the method to the sample; the seed draws it."""
        return self.method.begin(net, objective, *self.draw(inputs, labels, terms.seed), terms)

    def draw(self, inputs: Source, labels: Labels | None, seed: int) -> Batch:
        """Return the sample."""
        if callable(inputs):
            parts: list[Batch] = []
            while sum(len(part) for part, _ in parts) < self.size:
                parts.append(inputs(derive_seed(seed, "sample", len(parts))))
            several = [told for _, told in parts]
            stds = [told.std for told in several if told.std is not None]
            labels = Labels(
                torch.cat([told.values for told in several]),
                torch.cat([told.known for told in several]),
                torch.cat(stds) if stds else None,
            )
            whole = torch.cat([part for part, _ in parts])
            return whole[: self.size], labels.take(slice(self.size))
        if not isinstance(inputs, Tensor):
            raise ShapeError(
                "a sample is drawn from a tensor, or made",
                given=f"inputs of type {type(inputs).__name__}",
                expected="a tensor and Labels, or a function of a seed that makes both",
                way_out="put the batches into one tensor, or write a function",
            )
        inputs, labels = one_sample(inputs, labels)
        check_length(inputs, labels)
        if len(inputs) < self.size:
            raise ShapeError(
                "there are fewer examples than the sample is to have",
                given=f"{len(inputs)} examples, size={self.size}",
                expected=f"at least {self.size}",
                way_out="take a smaller sample, or a function that makes examples",
            )
        chosen = torch.randperm(len(inputs), generator=generator(seed, "sample"))[: self.size]
        return inputs[chosen], labels.take(chosen)

    @classmethod
    def examples(cls) -> Sequence[Self]:
        """Most of a dozen examples."""
        from wellposed.learning.gauss_newton import GaussNewton

        return [cls(GaussNewton(), 8)]
