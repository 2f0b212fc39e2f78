"""How far the output can move at most for a change of the input, and how far it is found to move."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

import torch
from torch import Tensor

from wellposed.dynamics import Extent, Parabolic
from wellposed.errors import StepError, StructureError
from wellposed.integrators import Euler, ImplicitEuler, ImplicitMidpoint, RungeKutta
from wellposed.integrators.runge_kutta import Tableau
from wellposed.network import Classify, Coarsen, Level, Network, Opening, Part, Readout, Refine, Stage
from wellposed.network.part import still
from wellposed.operators import Prolong, Restrict
from wellposed.operators.resample import coarse_space
from wellposed.stability.march import Map, draw


@dataclass(frozen=True, eq=False)
class Change:
    """The largest change of the output that was found, and the change of the input that does it.

    Shapes:    size (batch,), change as the input
    """

    size: Tensor
    change: Tensor


def certified_bound(part: Part, y: Tensor) -> float:
    """Return a number that |net(a) - net(b)| / |a - b| never exceeds: a guaranteed Lipschitz bound.

        product of |opening|, 1 a stage, 1 + |up| |inner| |down| a level, |head|

    A stage of `Parabolic` dynamics without a norm keeps distances from growing, -K's(Ky + b) being the
    gradient of a concave function, where h |K|^2 <= 2 r: r is the radius of contractivity of a Runge-Kutta
    method (1 for Euler, Heun and RK4), and infinite for implicit steps. That is less than what linear
    stability asks for. The bound is for the space of y; its values are not used. Norms of convolutions at
    reflecting edges are bounds but for a chance of 1e-6.

    Shapes:    y (batch, channel, *space)
    Raises:    StructureError for other dynamics, integrators and parts; StepError beyond the bound of a step
    Reference: Dahlquist and Jeltsch, Generalized disks of contractivity, 1979
    """
    for module in part.modules():  # before any norm is computed
        if isinstance(module, Stage):
            _known_radius(module)
    with torch.no_grad():
        return _bound(part, tuple(y.shape[2:]))


def largest_change(part: Part, y: Tensor, radius: float, *, ascents: int = 30, seed: int = 0) -> Change:
    """Return the largest |net(y + d) - net(y)| that gradient ascent finds over |d| <= radius, by example.

        d <- the point of the ball nearest to d + radius g / |g|,   g the gradient of |net(y + d) - net(y)|^2

    From a random start; the best d on the way is kept. What it finds is a bound from below of the largest
    change, as `certified_bound` times the radius is one from above.

    Shapes:    y (batch, channel, *space)
    Units:     radius in those of y, the 2-norm over a whole example
    Cost:      `ascents` evaluations and backward passes
    """
    with still(part):
        with torch.no_grad():
            base = part(y)

        def sizes(d: Tensor) -> Tensor:
            return (part(y + d) - base).flatten(1).norm(dim=1)

        return ascent(sizes, y, y.new_full((len(y),), radius), ascents, seed)


def ascent(sizes: Map, y: Tensor, radius: Tensor, ascents: int, seed: int = 0) -> Change:
    """Return the change of each example that makes a size large, with the best of all on the way.

    Shapes:    sizes of changes (batch, ...) -> (batch,); radius (batch,)
    """
    d = _scaled(draw(*y.shape, like=y, seed=seed), radius)
    best = Change(y.new_zeros(len(y)), torch.zeros_like(y))
    for _ in range(ascents):
        with torch.enable_grad():
            moved = d.detach().requires_grad_()
            size = sizes(moved)
            (slope,) = torch.autograd.grad(size.sum(), moved)
        better = (size > best.size).view(-1, *(1,) * (y.ndim - 1))
        best = Change(size.detach().maximum(best.size), torch.where(better, d, best.change))
        d = _nearest(d + _scaled(slope, radius), radius)
    return best


def _bound(part: Part, space: tuple[int, ...]) -> float:
    """Return the bound of a part for features of this space."""
    if isinstance(part, Network):
        product = 1.0
        for inner in part.parts:
            product *= _bound(inner, space)  # type: ignore[arg-type]
        return product
    if isinstance(part, Level):
        down = Restrict(space).norm() * _affine(part.down)
        up = Prolong(space).norm() * _affine(part.up)
        return 1 + up * _bound(part.inner, coarse_space(space)) * down
    if isinstance(part, Stage):
        _check_contractive(part)
        return 1.0
    if isinstance(part, Opening | Classify | Readout):
        return _affine(part)
    raise StructureError(
        "no bound is known for this part",
        given=type(part).__name__,
        expected="Opening, Stage, Level, Classify, Readout, or a Network of them",
        way_out="ask `largest_change` how far its output is found to move",
    )


def _affine(part: Opening | Coarsen | Refine | Classify | Readout) -> float:
    """Return the norm of the map of the channels."""
    return part.map.family(part.map.kernel).norm()


def _check_contractive(stage: Stage) -> None:
    """Raise an error unless distances never grow within the stage."""
    integrator, radius = stage.integrator, _known_radius(stage)
    ratio = stage.ratio()
    assert ratio is not None
    largest = 0.0 if radius == inf else ratio * integrator.bound(Extent(1.0, 0.0))
    if largest > 2 * radius:
        raise StepError(
            f"a step of {type(integrator).__name__} is too long for distances never to grow",
            given=f"h |K|^2 = {largest:.4g}",
            expected=f"at most {2 * radius:.4g}",
            way_out="take more steps, or smaller weights",
        )


def _known_radius(stage: Stage) -> float:
    """Return the radius of contractivity; raise StructureError for a stage that promises nothing."""
    f, radius = stage.dynamics, _radius(stage)
    if not isinstance(f, Parabolic) or f.norm != "none" or radius is None:
        norm = getattr(f, "norm", "none")
        normed = "" if norm == "none" else f" with the norm {norm!r}"
        raise StructureError(
            "no bound is known for this stage",
            given=f"{type(f).__name__}{normed} by {type(stage.integrator).__name__}",
            expected="Parabolic dynamics without a norm, by a Runge-Kutta or an implicit method",
            way_out="build the network of such stages, or ask `worst_growth` and `largest_change`",
        )
    return radius


def _radius(stage: Stage) -> float | None:
    """Return the radius of contractivity of the integrator of a stage, None where none is known."""
    integrator = stage.integrator
    if isinstance(integrator, ImplicitEuler | ImplicitMidpoint):
        return inf
    if isinstance(integrator, RungeKutta):
        return disk(integrator.tableau)
    return 1.0 if isinstance(integrator, Euler) else None


def disk(tableau: Tableau) -> float:
    """Return the largest r for which B A + A'B - b b' + B / r >= 0, B the diagonal of positive weights b."""
    b = torch.tensor(tableau.weights, dtype=torch.float64)
    A = torch.zeros(len(b), len(b), dtype=torch.float64)
    for place, row in enumerate(tableau.rows):
        A[place, : len(row)] = torch.tensor(row, dtype=torch.float64)
    Q = b[:, None] * A + (b[:, None] * A).T - b[:, None] * b
    scaled = Q / (b[:, None] * b).sqrt()
    lowest = float(torch.linalg.eigvalsh(scaled)[0])
    return -1 / lowest if lowest < 0 else inf


def _scaled(d: Tensor, size: Tensor) -> Tensor:
    """Return every example with this 2-norm; zeros stay."""
    norms = d.flatten(1).norm(dim=1)
    factors = torch.where(norms > 0, size / norms, torch.zeros_like(norms))
    return d * factors.view(-1, *(1,) * (d.ndim - 1))


def _nearest(d: Tensor, radius: Tensor) -> Tensor:
    """Return the point of the ball of this radius that is nearest to each example."""
    inside = d.flatten(1).norm(dim=1) <= radius
    return torch.where(inside.view(-1, *(1,) * (d.ndim - 1)), d, _scaled(d, radius))
