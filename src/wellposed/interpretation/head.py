"""The classifier of the network, fitted on the picks of one horizon: convex, with a learned prior.

Features say what a place looks like; the head says which places look like *this* horizon. It is the
matrix W of the talk, fitted anew for every horizon by Newton's method, so that a new pick costs
milliseconds. Its prior (a mean for each kind of horizon, a precision) is learned on simulated earths:
twelve picks then carry what two whole lines did without it.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Columns:
    """Candidate places on some traces, and where on them the horizon was picked.

    Shapes:    features (trace, candidate, channel); base (trace, candidate), the log density known
               without features (-inf where there is no sample); place and std (trace,), in candidates
    """

    features: Tensor
    base: Tensor
    place: Tensor
    std: Tensor

    def likelihood(self) -> Tensor:
        """Log N(pick; candidate, std) of every candidate, up to a constant."""
        steps = torch.arange(self.base.shape[1], dtype=self.base.dtype, device=self.base.device)
        return -0.5 * ((steps - self.place[:, None]) / self.std[:, None]) ** 2


class HeadPrior(nn.Module):
    """What is believed of a head before any pick is seen: W ~ N(mean of its kind, 1 / precision).

    The picks of one horizon are not independent of one another; together they count as
    `weight(n) = exp(a) n^(1 - b)` picks, with a and b learned.

    Shapes:    mean (kind, channel), log_precision (channel,)
    """

    def __init__(self, channels: int, kinds: int = 4, *, seed: int = 0) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        self.mean = nn.Parameter(0.02 * torch.randn(kinds, channels, generator=generator))
        self.log_precision = nn.Parameter(torch.full((channels,), 1.0))
        self.log_weight = nn.Parameter(torch.tensor(0.0))
        self.exponent = nn.Parameter(torch.tensor(0.5))
        self.log_choice = nn.Parameter(torch.tensor(0.0))

    def weight(self, n: int) -> Tensor:
        """Weight of each of n picks."""
        return torch.exp(self.log_weight - self.exponent * torch.log(torch.tensor(float(max(n, 1)))))

    def fit(self, picks: Columns, steps: int = 8) -> tuple[Tensor, Tensor]:
        """Fit a head from the mean of each kind, and say how well each kind explains the picks.

            W_m = argmin  c(n) sum_i -log sum_k p_ik(W) N(pick_i; k, std_i) + 1/2 |W - mean_m|^2_precision

        Differentiable in features and prior: the last Newton step is taken from the fixed minimiser with
        its fixed curvature, which is the derivative by the implicit function theorem.

        Shapes:    -> heads (kind, channel), log share of each kind (kind,)
        """
        weight, precision = self.weight(len(picks.place)), self.log_precision.exp()
        heads, costs = [], []
        for mean in self.mean:
            head = mean.detach()
            with torch.no_grad():
                for _ in range(steps):
                    head = _descend(head, picks, mean, precision, weight)
            gradient, curvature = _derivatives(head, picks, mean, precision, weight)
            head = head - torch.linalg.solve(curvature.detach(), gradient)
            heads.append(head)
            costs.append(_cost(head, picks, mean, precision, weight))
        share = torch.log_softmax(-self.log_choice.exp() * torch.stack(costs), dim=0)
        return torch.stack(heads), share


def log_density(heads: Tensor, share: Tensor, features: Tensor, base: Tensor) -> Tensor:
    """Log p(k) = log sum_m share_m softmax_k(features_k . W_m + base_k), for one head or several.

    Shapes:    heads (..., kind, channel), share (..., kind), features (trace, candidate, channel),
               base (trace, candidate) -> (..., trace, candidate)
    """
    logits = features @ heads.flatten(0, -2).T + base[..., None]
    each = torch.log_softmax(logits, dim=1).reshape(*logits.shape[:2], *share.shape) + share
    return torch.logsumexp(each, dim=-1).movedim((0, 1), (-2, -1))


def information(density: Tensor, columns: Columns) -> Tensor:
    """Mean log likelihood of the true places, in nats a trace: log sum_k p_k N(place; k, std)."""
    return torch.logsumexp(density + columns.likelihood(), dim=1).mean()


def _cost(head: Tensor, picks: Columns, mean: Tensor, precision: Tensor, weight: Tensor) -> Tensor:
    logp = torch.log_softmax(picks.features @ head + picks.base, dim=1)
    misfit = -torch.logsumexp(logp + picks.likelihood(), dim=1).sum()
    return weight * misfit + 0.5 * (precision * (head - mean) ** 2).sum()


def _derivatives(
    head: Tensor, picks: Columns, mean: Tensor, precision: Tensor, weight: Tensor
) -> tuple[Tensor, Tensor]:
    """Gradient, and the curvature of the convex majoriser: the covariance of the features under p.

    The Hessian is that minus the covariance under the posterior; picks are sharp, so the difference is
    small, and without it the curvature is positive definite for every head.
    """
    logits = picks.features @ head + picks.base
    p = torch.softmax(logits, dim=1)
    posterior = torch.softmax(logits + picks.likelihood(), dim=1)
    expected = torch.einsum("nk,nkc->nc", p, picks.features)
    gradient = weight * (expected - torch.einsum("nk,nkc->nc", posterior, picks.features)).sum(0)
    gradient = gradient + precision * (head - mean)
    with torch.no_grad():
        second = torch.einsum("nk,nkc,nkd->cd", p, picks.features, picks.features)
        curvature = weight * (second - expected.T @ expected) + torch.diag(precision)
    return gradient, curvature


def _descend(head: Tensor, picks: Columns, mean: Tensor, precision: Tensor, weight: Tensor) -> Tensor:
    """One Newton step, halved until the cost falls."""
    gradient, curvature = _derivatives(head, picks, mean, precision, weight)
    step = torch.linalg.solve(curvature, gradient)
    before = _cost(head, picks, mean, precision, weight)
    for _ in range(6):
        if _cost(head - step, picks, mean, precision, weight) <= before:
            return head - step
        step = 0.5 * step
    return head
