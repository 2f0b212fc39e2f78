"""Objectives: what a fit makes small. They add up and scale, and stay objectives."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Literal, Self

import torch
from torch import Tensor, nn

from wellposed.errors import ShapeError, StructureError
from wellposed.learning.labels import Labels

Scope = Literal["prediction", "weights"]
Example = tuple[nn.Module, Tensor, Labels]


class Objective(ABC):
    """A number to make small: `value(net, prediction, labels)`, a mean over the known places.

        a * F + b * G     is an objective, a and b not negative
        scope             what it sees: the prediction, the weights, or (a sum) both
        curvature         v -> B v in the prediction, B symmetric, >= 0, and Hessian <= B

    B lets a Gauss-Newton method take a safe step: where the objective is convex it is the Hessian itself.
    What does not see the prediction has no curvature there.

    Shapes:    prediction and labels as the subclass says; curvature as the prediction
    Raises:    ShapeError when prediction and labels do not fit; StructureError for a negative weight
    """

    @property
    @abstractmethod
    def scope(self) -> frozenset[Scope]:
        """What the value depends on."""

    @abstractmethod
    def value(self, net: nn.Module, prediction: Tensor, labels: Labels) -> Tensor:
        """Return the value, a tensor without axes."""

    @abstractmethod
    def curvature(self, prediction: Tensor, labels: Labels, v: Tensor) -> Tensor:
        """B v."""

    def coarser(self, labels: Labels) -> Labels:
        """Return the labels on the cells of half the resolution, for features under `Restrict`.

        Raises:    StructureError where that means nothing for this objective
        """
        raise StructureError(
            f"{type(self).__name__} knows no coarser labels",
            given=str(self),
            expected="an objective that can tell labels at half the resolution",
            way_out="learn at one resolution, or write its `coarser`",
        )

    def stiffness(self, net: nn.Module) -> Mapping[str, Tensor]:
        """Return for each weight that it holds together the matrix S, along the first axis, of its Hessian.

        A Gauss-Newton method preconditions with it. Nothing for what sees the prediction alone.
        """
        return {}

    @classmethod
    @abstractmethod
    def examples(cls) -> Sequence[tuple[Self, nn.Module, Tensor, Labels]]:
        """Small seeded objectives in float64, each with a net, its inputs and labels for its prediction."""

    @property
    def terms(self) -> tuple[tuple[float, Objective], ...]:
        """Weights and objectives of the sum that this is."""
        return ((1.0, self),)

    def part(self, scope: Scope) -> Objective:
        """Return the sum of the terms that see the prediction, or the weights."""
        return WeightedSum(tuple(term for term in self.terms if scope in term[1].scope))

    def __add__(self, other: Objective) -> Objective:
        return WeightedSum(self.terms + other.terms) if isinstance(other, Objective) else NotImplemented

    def __mul__(self, factor: float) -> Objective:
        if not isinstance(factor, int | float):
            return NotImplemented
        return WeightedSum(tuple((factor * weight, term) for weight, term in self.terms))

    __rmul__ = __mul__


@dataclass(frozen=True)
class WeightedSum(Objective):
    """a F + b G + ..., and zero for no terms."""

    summands: tuple[tuple[float, Objective], ...]

    def __post_init__(self) -> None:
        for weight, term in self.summands:
            if not (isfinite(weight) and weight >= 0):
                raise StructureError(
                    "an objective is a sum with weights that are not negative",
                    given=f"{weight} * {term}",
                    expected="a finite weight of at least 0, so that the curvature bounds the Hessian",
                    way_out="turn the sign inside the objective, or leave the term out",
                )

    @property
    def scope(self) -> frozenset[Scope]:
        """All that any term sees."""
        return frozenset[Scope]().union(*(term.scope for _, term in self.summands))

    @property
    def terms(self) -> tuple[tuple[float, Objective], ...]:
        """The summands."""
        return self.summands

    def value(self, net: nn.Module, prediction: Tensor, labels: Labels) -> Tensor:
        """Return the weighted sum of the values."""
        values = (weight * term.value(net, prediction, labels) for weight, term in self.summands)
        return sum(values, start=prediction.new_zeros(()))

    def curvature(self, prediction: Tensor, labels: Labels, v: Tensor) -> Tensor:
        """Return the weighted sum of the curvatures."""
        products = (weight * term.curvature(prediction, labels, v) for weight, term in self.summands)
        return sum(products, start=torch.zeros_like(v))

    def coarser(self, labels: Labels) -> Labels:
        """Return what the first term that sees the prediction makes of them."""
        terms = [term for _, term in self.summands if "prediction" in term.scope]
        return terms[0].coarser(labels) if terms else labels

    def stiffness(self, net: nn.Module) -> Mapping[str, Tensor]:
        """Return the weighted sum of the matrices."""
        total: dict[str, Tensor] = {}
        for weight, term in self.summands:
            for name, matrix in term.stiffness(net).items():
                total[name] = weight * matrix + total.get(name, 0.0)
        return total

    @classmethod
    def examples(cls) -> Sequence[tuple[Self, nn.Module, Tensor, Labels]]:
        """Cross entropy, balanced and plain, on one prediction."""
        from wellposed.learning.cross_entropy import CrossEntropy

        (plain, net, inputs, labels), (balanced, *_), *_ = CrossEntropy.examples()
        return [(cls(((0.5, plain), (2.0, balanced))), net, inputs, labels)]

    def __str__(self) -> str:
        return " + ".join(f"{weight:g} * {term}" for weight, term in self.summands) or "0"


def known_mean(terms: Tensor) -> Tensor:
    """Return the mean over the known places that were gathered, and zero (not NaN) where there are none."""
    return terms.sum() / max(1, len(terms))


def softmax_curvature(logits: Tensor, v: Tensor) -> Tensor:
    """(diag(p) - p p') v for p = softmax(logits), in the last axis."""
    weighted = torch.softmax(logits, -1) * v
    return weighted - torch.softmax(logits, -1) * weighted.sum(-1, keepdim=True)


def spread(like: Tensor, known: Tensor, rows: Tensor) -> Tensor:
    """Return rows at the known places and zero elsewhere, in an array like this one; undoes `like[known]`."""
    whole = torch.zeros_like(like)
    whole[known] = rows
    return whole


def check_objective(objective: object) -> None:
    """Raise StructureError for a loss of another library."""
    if not isinstance(objective, Objective):
        raise StructureError(
            "this is no objective that a fit can make small",
            given=f"a {type(objective).__name__}",
            expected="an Objective, such as CrossEntropy() or LeastSquares(), or a sum of them",
            way_out="take one of these: they know what is not labelled, and their curvature",
        )


def check_places(name: str, given: tuple[int, ...], expected: str, labels: Labels, fits: bool) -> None:
    """Raise ShapeError, naming both sides, unless prediction and labels fit."""
    if not fits:
        raise ShapeError(
            f"{name} cannot compare this prediction with these labels",
            given=f"a prediction of shape {given}, labels of shape {tuple(labels.values.shape)}",
            expected=expected,
            way_out="choose the head of the network and the labels to fit one another",
        )
