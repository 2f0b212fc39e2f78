"""Laws of objectives: unknown places, slope, curvature, and what the std of a label is for.

Each returns how far the objective is from its law, and raises LawError naming both sides beyond that.
The first three take an objective as its `examples` show it: with a net, its inputs, and labels.
"""

from __future__ import annotations

from collections.abc import Callable
from math import inf, log2

import torch
from torch import Tensor, nn
from torch.func import functional_call

from wellposed.laws.law import hold
from wellposed.learning import Labels, Objective, generator


def unknown(objective: Objective, net: nn.Module, inputs: Tensor, labels: Labels) -> float:
    """Other values and other stds where nothing is known: the same value and the same gradient, bit for bit.

    Raises:    LawError when what is not known counts, were it only as a NaN
    """
    prediction = net(inputs).detach().requires_grad_()
    nonsense = torch.nan if labels.values.is_floating_point() else -1000
    values = torch.where(labels.known, labels.values, nonsense)
    std = None if labels.std is None else torch.where(labels.known, labels.std, torch.nan)
    results = []
    for version in (labels, Labels(values, labels.known, std)):
        value = objective.value(net, prediction, version)
        results.append(torch.cat([value.detach().flatten(), _gradient(value, prediction).flatten()]))
    apart = float((results[0] - results[1]).abs().nan_to_num(inf).max())
    sides = "the labels gave one value and gradient", "with other labels where they are not known, another"
    return hold("unknown", objective, *sides, miss=apart, allowed=0.0)


def slope(
    objective: Objective, net: nn.Module, inputs: Tensor, labels: Labels, *, allowed: float = 0.1
) -> float:
    """The remainder of Taylor, F(x + h v) - F(x) - h <gradient, v>, falls as h^2: in prediction and weights.

    Raises:    LawError when it falls by an order less than 2 - allowed
    """

    def of_prediction(prediction: Tensor) -> Tensor:
        return objective.value(net, prediction, labels)

    whole = _Whole(objective, net)
    weights = {name: weight.detach() for name, weight in whole.named_parameters()}

    def of_weights(flat: Tensor) -> Tensor:
        parts = torch.split(flat, [weight.numel() for weight in weights.values()])
        shaped = (part.view_as(weight) for part, weight in zip(parts, weights.values(), strict=True))
        value: Tensor = functional_call(whole, dict(zip(weights, shaped, strict=True)), (inputs, labels))
        return value

    flat = torch.cat([weight.flatten() for weight in weights.values()])
    return max(
        _remainder(objective, "the prediction", of_prediction, net(inputs).detach(), allowed),
        _remainder(objective, "the weights", of_weights, flat, allowed),
    )


def curvature(
    objective: Objective, net: nn.Module, inputs: Tensor, labels: Labels, *, allowed: float = 1e-10
) -> float:
    """B symmetric, B >= 0, Hessian <= B, by their matrices in the prediction.

    Raises:    LawError
    Cost:      as many Hessian products as the prediction has entries: small examples only
    """
    prediction = net(inputs).detach()

    def of_prediction(flat: Tensor) -> Tensor:
        return objective.value(net, flat.view_as(prediction), labels)

    units = torch.eye(prediction.numel(), dtype=prediction.dtype)
    columns = [objective.curvature(prediction, labels, unit.view_as(prediction)).flatten() for unit in units]
    B = torch.stack(columns, 1)
    H = torch.autograd.functional.hessian(of_prediction, prediction.flatten())  # type: ignore[no-untyped-call]
    floor = allowed * max(1.0, float(B.norm()))
    skew = float((B - B.T).abs().max())
    hold("curvature", objective, "B has one matrix", "its transpose is another", miss=skew, allowed=floor)
    misses = [skew]
    for name, matrix in (("B", B), ("B - Hessian", B - H)):
        least = float(torch.linalg.eigvalsh(matrix).min())
        sides = f"the least eigenvalue of {name} is {least:.3g}", "it must not be negative"
        misses.append(hold("curvature", objective, *sides, miss=-least, allowed=floor))
    return max(misses)


def told_std(
    objective: Objective, *, std: float = 3.0, samples: int = 41, picks: int = 1000, allowed: float = 0.5
) -> float:
    """Exact truth, picks with noise of this std, and the std told: the density found is much narrower.

    Returns the width of the density in units of std. A target softened by std gives sqrt(2) instead.

    Shapes:    objective for prediction (batch, samples + 1), labels (batch,), as `ColumnDensity`
    Units:     std in samples
    Raises:    LawError when the width is above `allowed`
    """
    noise = torch.randn(picks, generator=generator(0, "told std"), dtype=torch.float64)
    labels = Labels(samples // 2 + std * noise, std=std)
    logits = _minimise(objective, torch.zeros(1, samples + 1, dtype=torch.float64), labels)
    density = torch.softmax(logits[0, :-1], 0)
    z = torch.arange(samples, dtype=torch.float64)
    mean = (density * z).sum()
    width = float((density * (z - mean).square()).sum().sqrt()) / std
    sides = f"the noise of the picks has std {std:g}", f"the density has std {width * std:.3g}"
    return hold("told std", objective, *sides, miss=width, allowed=allowed)


def weighted_by_std(objective: Objective, *, count: int = 200, allowed: float = 4.0) -> float:
    """Half of the labels good, half poor, and the std told: what is found is as good as it can be.

    Returns the miss in units of the least possible std, (sum 1 / std^2)^-1/2.

    Shapes:    objective for prediction and labels (batch,), as `LeastSquares`
    Raises:    LawError when the miss is above `allowed`
    """
    std = torch.tensor([0.1, 10.0], dtype=torch.float64).repeat(count // 2)
    noise = torch.randn(len(std), generator=generator(0, "weighted by std"), dtype=torch.float64)
    value = _minimise(objective, torch.zeros(1, dtype=torch.float64), Labels(std * noise, std=std))
    least = float(std.pow(-2).sum().rsqrt())
    miss = abs(float(value)) / least
    sides = f"the labels allow a std of {least:.3g}", f"the value found is off by {miss * least:.3g}"
    return hold("weighted by std", objective, *sides, miss=miss, allowed=allowed)


class _Whole(nn.Module):
    """The objective of the net's own prediction, so that the weights can be put in from outside."""

    def __init__(self, objective: Objective, net: nn.Module) -> None:
        super().__init__()
        self.objective, self.net = objective, net

    def forward(self, inputs: Tensor, labels: Labels) -> Tensor:
        return self.objective.value(self.net, self.net(inputs), labels)


def _gradient(value: Tensor, x: Tensor) -> Tensor:
    """Return the gradient, zero where the value does not depend on x."""
    if not value.requires_grad:
        return torch.zeros_like(x)
    return torch.autograd.grad(value, x, allow_unused=True, materialize_grads=True)[0]


def _remainder(
    objective: Objective, name: str, function: Callable[[Tensor], Tensor], x: Tensor, allowed: float
) -> float:
    """Return by how much the observed order of the remainder falls short of two."""
    x = x.detach().requires_grad_()
    value = function(x)
    v = torch.randn(x.shape, generator=generator(0, "direction"), dtype=x.dtype)
    along = float((_gradient(value, x) * v).sum())
    start = value.item()
    far, near = (abs(function((x + h * v).detach()).item() - start - h * along) for h in (1e-2, 5e-3))
    # A remainder at round-off, as for what does not depend on x, has no order.
    order = 2.0 if far <= 1e-13 * max(1.0, abs(start)) else log2(far / max(near, 1e-300))
    sides = f"the remainder in {name} falls by order {order:.3g}", "expected 2"
    return hold("taylor", objective, *sides, miss=2.0 - order, allowed=allowed)


def _minimise(objective: Objective, start: Tensor, labels: Labels) -> Tensor:
    """Return one prediction, the same for every label, that makes the objective least."""
    guess = start.clone().requires_grad_()
    search = torch.optim.LBFGS([guess], max_iter=200, tolerance_change=1e-12, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        search.zero_grad()
        value = objective.value(nn.Identity(), guess.expand(len(labels), *guess.shape[1:]), labels)
        value.backward()  # type: ignore[no-untyped-call]
        return value

    search.step(closure)  # type: ignore[no-untyped-call]
    return guess.detach()
