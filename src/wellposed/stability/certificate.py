"""A guarantee for log-densities: how far noise can move them, in nats, and how far it is found to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf, nan, sqrt
from typing import cast

import torch
from torch import Tensor

from wellposed.errors import StructureError
from wellposed.integrators import Euler, RungeKutta
from wellposed.network import Classify, Level, Network, Opening, Part, Readout, Stage
from wellposed.network.part import still
from wellposed.operators import Conv, Dense, Family
from wellposed.stability.certified import ascent, certified_bound

RATIOS_DB = (30.0, 25.0, 20.0, 15.0, 10.0, 5.0, 0.0)


@dataclass(frozen=True)
class Certificate:
    """By how much noise can change the log-density of a class at a place, the worst of the examples.

    bound     never exceeded by noise of that strength
    found     the largest change that gradient ascent found
    norm      the guaranteed bound of the network, logits against input
    seen      samples of space in the field of view, at the most

    Units:     bound and found in nats; ratios in dB, of signal and noise in the field of view
    """

    ratios_db: tuple[float, ...]
    bound: tuple[float, ...]
    found: tuple[float, ...]
    norm: float
    seen: int

    @property
    def slack(self) -> tuple[float, ...]:
        """How many times as large the bound is as what was found; nan where nothing moved."""
        return tuple(b / f if f else nan for b, f in zip(self.bound, self.found, strict=True))

    def __str__(self) -> str:
        slack = ["-" if s != s else f"{s:.1f}" for s in self.slack]
        rows = zip(self.ratios_db, self.bound, self.found, slack, strict=True)
        return "\n".join(
            [
                f"certificate: a log-density moves at most sqrt 2 * {self.norm:.3g} nats by noise of norm 1 "
                f"in its field of view, {self.seen} samples",
                "signal to noise  at most (nats)  found (nats)  ratio",
                *(f"{db:>11.0f} dB  {b:>14.3g}  {f:>12.3g}  {s:>5}" for db, b, f, s in rows),
            ]
        )


def certificate(
    part: Part,
    y: Tensor,
    *,
    ratios_db: Sequence[float] = RATIOS_DB,
    place: Sequence[int] | None = None,
    ascents: int = 30,
) -> Certificate:
    """Return how far noise can move log p(class) at a place, the middle one, guaranteed and found.

        |log p(y + d) - log p(y)| <= sqrt 2 |logits(y + d) - logits(y)| <= sqrt 2 L |d|
        L    product of the norms of opening, stages (1: passive), connectors, head: `certified_bound`
        |d|  2-norm of the noise in the field of view, 10^(-dB / 20) of that of the signal there

    sqrt 2 is the norm of the derivative of the log-softmax, e - p. What lies outside of the field of view
    does not count: it is the farthest that convolutions of explicit steps reach, and everything for
    implicit ones. This certifies the output of the network, not a surface that is drawn through it.

    Shapes:    y (batch, channel, *space), an output of logits (batch, class, *space); place an index an axis
    Raises:    StructureError, StepError as `certified_bound`; StructureError without a Classify at the end
    Cost:      `ascents` evaluations and backward passes for every ratio and example
    """
    with still(part):
        norm = certified_bound(part, y)
        _check_head(part)
        where = tuple(n // 2 for n in y.shape[2:]) if place is None else tuple(place)
        view = _view(y, where, reach(part))
        inside = y[(slice(None), slice(None), *view)]
        signal = inside.flatten(1).norm(dim=1)
        shares = signal.new_tensor([10 ** (-db / 20) for db in ratios_db])
        radii = shares[:, None] * signal
        found = _found(part, y, where, radii, ascents)
        bounds = sqrt(2) * norm * radii.amax(1)
    return Certificate(
        ratios_db=tuple(ratios_db),
        bound=tuple(bounds.tolist()),
        found=tuple(found.tolist()),
        norm=norm,
        seen=inside[0, 0].numel(),
    )


def reach(part: Part) -> float:
    """Return how many samples along an axis the output can look at most; infinite where it sees everything.

    Raises:    StructureError for parts whose reach is not known
    """
    if isinstance(part, Network):
        return sum(reach(cast("Part", inner)) for inner in part.parts)
    if isinstance(part, Level):
        # Neighbours on the coarser grid lie two samples apart; restriction and prolongation see one more.
        return 2 * reach(part.inner) + 5
    if isinstance(part, Stage):
        return _steps(part)
    if isinstance(part, Opening | Classify | Readout):
        return _width(part.map.family)
    raise StructureError(
        "how far this part looks is not known",
        given=type(part).__name__,
        expected="Opening, Stage, Level, Classify, Readout, or a Network of them",
        way_out="ask `field_of_view` how far it is found to look",
    )


def _steps(stage: Stage) -> float:
    """Return the reach of a stage of K' s(K y): twice that of K an evaluation."""
    once = 2 * _width(getattr(stage.dynamics, "operator", None))
    integrator = stage.integrator
    if isinstance(integrator, RungeKutta):
        return len(integrator.tableau.weights) * len(stage.spans) * once
    if isinstance(integrator, Euler):
        return len(stage.spans) * once
    return inf if once else 0


def _width(family: Family | None) -> float:
    """Return the reach of one operator."""
    if isinstance(family, Dense):
        return 0
    if isinstance(family, Conv) and family.boundary != "periodic":
        return family.width // 2
    return inf


def _view(y: Tensor, where: tuple[int, ...], far: float) -> tuple[slice, ...]:
    """Return what is seen from a place of the space."""
    reached = [int(min(far, max(y.shape[2:], default=0)))] * len(where)
    return tuple(slice(max(0, k - r), k + r + 1) for k, r in zip(where, reached, strict=True))


def _found(part: Part, y: Tensor, where: tuple[int, ...], radii: Tensor, ascents: int) -> Tensor:
    """Return the largest change of a log-density that gradient ascent finds within each radius.

    Shapes:    radii (ratio, batch) -> (ratio,)
    """
    many = y.repeat(len(radii), *(1,) * (y.ndim - 1))

    def log_density(x: Tensor) -> Tensor:
        return part(x)[(slice(None), slice(None), *where)].log_softmax(1)

    with torch.no_grad():
        base = log_density(many)

    def sizes(d: Tensor) -> Tensor:
        return (log_density(many + d) - base).abs().amax(1)

    return ascent(sizes, many, radii.flatten(), ascents).size.view_as(radii).amax(1)


def _check_head(part: Part) -> None:
    last = part.parts[-1] if isinstance(part, Network) else part
    if not isinstance(last, Classify):
        raise StructureError(
            "no density is read from this network",
            given=f"{type(last).__name__} at its end",
            expected="a Network that ends in Classify",
            way_out="ask `certified_bound` how far its output can move",
        )
