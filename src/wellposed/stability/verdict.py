"""Is it well posed? The instruments together, in numbers and in words."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, inf, isfinite, isnan, nan

import torch
from torch import Tensor

from wellposed.errors import ResourceError, StepError, StructureError, check_kind
from wellposed.network import Classify, Network, Opening, Part, Readout, Stage
from wellposed.network.part import still
from wellposed.stability.certified import certified_bound, largest_change
from wellposed.stability.field_of_view import view_of
from wellposed.stability.gradients import norms_of, typical
from wellposed.stability.growth import BRIEF, growth_of, worst_growth
from wellposed.stability.kinematic import kinematic_exponents
from wellposed.stability.march import Passage, carry, march, passages
from wellposed.stability.spectrum import jacobian_eigenvalues

GROWS = 10.0  # times: an error of a percent of the features is then a tenth of them
FORGETS = 0.1  # of a perturbation is left, of the one that is kept best
FADES = 1e-3  # of a typical gradient is left at the start
_HEADER = tuple("stage|dynamics|integrator|steps|h/bound|max Re|growth|exponents|gradient|view".split("|"))
_WAYS = {
    "overflows": "finite weights and features; smaller weights, less time, or a dynamics with a bound",
    "never": "an integrator that is stable for this dynamics: `check_bound` names them",
    "grows": "less time, damping, or smaller weights",
    "no promise": "Antisymmetric, Hamiltonian, or Parabolic without a norm; less time or smaller weights",
    "forgets": "less damping or less time; Hyperbolic or Hamiltonian in place of Parabolic dynamics",
}
_SMALL, _DENSE = 64, 512  # unknowns up to which everything, and all eigenvalues at some steps, are looked at


@dataclass(frozen=True)
class StageVerdict:
    """What was measured on one stage: the worst of the examples.

    ratio       h over its bound; None where the dynamics claims no stability
    real        largest real part of the eigenvalues of the Jacobian; nan where it was not found
    growth      of a perturbation of the features in its worst direction
    exponents   largest and smallest mean kinematic eigenvalue; None for many unknowns
    gradients   size of a typical gradient at the start and at the end
    view        radius of the field of view and size of the space, in samples; None without space
    """

    name: str
    dynamics: str
    integrator: str
    time: float
    steps: int
    ratio: float | None
    real: float
    growth: float
    exponents: tuple[float, float] | None
    gradients: tuple[float, float]
    view: tuple[float, int] | None

    @property
    def trouble(self) -> str | None:
        """What speaks against it, in words."""
        return self._found[0] if self._found else None

    @property
    def way_out(self) -> str | None:
        """What to change, where something speaks against it."""
        return self._found[1] if self._found else None

    @property
    def sentence(self) -> str:
        """The verdict in words."""
        claim = "" if self.ratio is not None else ", though its dynamics makes no promise"
        calm = f"well posed: the worst perturbation found comes out {self.growth:.3g} times as large{claim}"
        return self.trouble or calm

    @property
    def _found(self) -> tuple[str, str] | None:
        """The first trouble there is, and the way out of it."""
        begins, ends = self.gradients
        enlarged = f"perturbations are enlarged {self.growth:.3g} times"
        if not isfinite(self.growth):
            return "overflows: its features are no longer numbers", _WAYS["overflows"]
        if self.ratio == inf:
            return f"a step lies beyond its bound: no step is stable; {enlarged}", _WAYS["never"]
        if self.ratio is not None and self.ratio > 1:
            least = ceil(self.steps * self.ratio)
            wrong = f"a step lies beyond its bound: h is {self.ratio:.3g} times as long; {enlarged}"
            return wrong, f"at least {least} steps, or smaller operators: `limit_norms`"
        if self.growth > GROWS:
            return f"grows: {enlarged}", _WAYS["no promise" if self.ratio is None else "grows"]
        if self.growth < FORGETS:
            wrong = f"forgets: of no perturbation is more left than {self.growth:.2g} of it"
            return wrong, _WAYS["forgets"]
        if begins < FADES * ends:
            wrong = f"forgets: of a typical gradient {begins / ends:.1g} is left at the start"
            return wrong, _WAYS["forgets"]
        return None


@dataclass(frozen=True)
class WellPosedness:
    """Whether a network is well posed at the features that it was given, and by which numbers.

    growth    of a perturbation of the features in its worst direction, from opening to head
    bound     no change of the output is more than this times that of the input; None where not known
    change    the largest quotient of the two that gradient ascent found; None without a bound
    """

    given: str
    stages: tuple[StageVerdict, ...]
    growth: float
    bound: float | None
    change: float | None

    @property
    def well_posed(self) -> bool:
        """Whether every stage is, and all of them together do not enlarge perturbations either."""
        return all(stage.trouble is None for stage in self.stages) and self.growth <= GROWS

    def __str__(self) -> str:
        head = "Well posed" if self.well_posed else "Not well posed"
        lines = [f"{head} at {self.given}", "", *_table([_HEADER, *map(_cells, self.stages)]), ""]
        for stage in self.stages:
            lines.append(f"{stage.name} {stage.sentence}")
            lines += [f"  way out: {stage.way_out}"] if stage.way_out else []
        word = "grows" if self.growth > GROWS else "together"
        lines.append(f"{word}: from opening to head perturbations are enlarged {self.growth:.3g} times")
        if self.growth > GROWS and not any(stage.trouble for stage in self.stages):
            lines.append("  way out: fewer stages that grow, smaller weights of what joins them")
        lines += self._guarantee()
        held = "; the guarantee holds for all." if self.bound is not None else "."
        lines.append(f"Measured for small perturbations of these features{held}")
        return "\n".join(lines)

    def _guarantee(self) -> list[str]:
        """Return what is guaranteed of the output, in words."""
        if self.bound is None:
            return []
        if not self.bound:
            return ["guaranteed: the output does not move, since the head is zero, as it begins"]
        return [
            f"guaranteed: the output moves at most {self.bound:.3g} times as far as the input",
            f"found by gradient ascent: {self.change:.3g} times",
        ]


def well_posedness(part: Part, y: Tensor, *, examples: int = 16) -> WellPosedness:
    """Return whether a network is well posed, in numbers, and in words when printed.

    For every stage: the step against its bound, eigenvalues of the Jacobian along the trajectory, growth of
    a perturbation in its worst direction, kinematic exponents, gradients by depth, field of view. For the
    network: growth from opening to head, and where it is known the guaranteed bound.

    Of the input the first `examples` are looked at, where features have more than 64 unknowns the first
    alone. There eigenvalues are taken at the ends and in the middle of a stage, with more than 512 unknowns
    only the rightmost at its ends, to a tenth of 1 / h.

    Shapes:    y (batch, channel, *space)
    Raises:    StructureError for what is no part, and for stages inside a part that cannot be followed
    Cost:      seconds on points, and on a section of 64 x 64 samples
    """
    check_kind("part", part, Part, "hand over a Network, or ask each Stage by itself")
    with still(part):
        return _verdict(part, y.detach()[: max(1, examples)])


def looked_at(part: Part, y: Tensor) -> tuple[Tensor, list[Passage]]:
    """Return the examples that are looked at, and the stages they pass: of large ones the first."""
    first = passages(part, y[:1])
    large = any(passage.start[0][0].numel() > _SMALL for passage in first)
    return (y[:1], first) if large else (y, passages(part, y))


def _verdict(part: Part, y: Tensor) -> WellPosedness:
    y, seen = looked_at(part, y)
    bound, change = _certified(part, y)
    return WellPosedness(
        given=f"{len(y)} example{'s' if len(y) > 1 else ''} of shape {tuple(y.shape[1:])}",
        stages=tuple(_measure(passage) for passage in seen),
        growth=_together(part, y),
        bound=bound,
        change=change,
    )


def _certified(part: Part, y: Tensor) -> tuple[float | None, float | None]:
    """Return the guaranteed bound and what gradient ascent finds, where there is a bound."""
    try:
        bound = certified_bound(part, y)
    except (StructureError, StepError):
        return None, None
    radius = 1e-2 * float(y.flatten(1).norm(dim=1).mean()) or 1.0
    return bound, float(largest_change(part, y, radius, ascents=10).size.max()) / radius


def _together(part: Part, y: Tensor) -> float:
    """Return the growth from what an opening gives to what a head takes: their units are their own."""
    parts = list(part.parts) if isinstance(part, Network) else [part]
    with torch.no_grad():
        if isinstance(parts[0], Opening):
            y = parts.pop(0)(y)
        if parts and isinstance(parts[-1], Classify | Readout):
            parts.pop()
        chain = Network(*parts) if parts else None
        if chain is None:
            return 1.0
        finite = bool(carry(chain, y).isfinite().all())
    return (
        float(worst_growth(chain, y, products=BRIEF[0], tolerance=BRIEF[1]).factor.max()) if finite else inf
    )


def _measure(passage: Passage) -> StageVerdict:
    """Return what the instruments say of one stage."""
    stage, y = passage.stage, passage.stage.features(passage.start, 0)
    finite = all(bool(a.isfinite().all()) for s in passage.states for a in s)
    growth = float(growth_of(passage.features, y, *BRIEF).factor.max()) if finite else inf
    return StageVerdict(
        name=passage.name,
        dynamics=type(stage.dynamics).__name__,
        integrator=type(stage.integrator).__name__,
        time=sum(stage.spans),
        steps=len(stage.spans),
        ratio=_ratio(stage),
        real=_largest_real(passage) if finite else nan,
        growth=growth,
        exponents=_exponents(passage) if finite and y[0].numel() <= _SMALL else None,
        gradients=_gradients(passage) if finite else (nan, nan),
        view=_view(passage.only(0)) if finite and y.ndim > 2 else None,
    )


def _ratio(stage: Stage) -> float | None:
    """Return h over its bound, infinite for weights that are no numbers."""
    try:
        return stage.ratio()
    except StepError:
        return inf


def _largest_real(passage: Passage) -> float:
    """Return the largest real part of the eigenvalues of the Jacobian, at some places along the stage."""
    unknowns, steps = passage.start[0][0].numel(), len(passage.stage.spans)
    most = 64 if unknowns <= _SMALL else 3 if unknowns <= _DENSE else 2
    places = torch.linspace(0, steps, min(most, steps + 1)).round().int().tolist()
    try:
        values = jacobian_eigenvalues(
            passage.stage, passage.start, places=places, dense=_DENSE, tolerance=0.1, products=100
        )
    except (ResourceError, StepError):  # not found, or a solve that does not converge
        return nan
    return float(values.real.max())


def _exponents(passage: Passage) -> tuple[float, float]:
    found = kinematic_exponents(passage.stage, passage.start)
    return float(found.max()), float(found.min())


def _gradients(passage: Passage) -> tuple[float, float]:
    """Return the size of a typical gradient at the start and at the end."""
    with torch.enable_grad():
        states = march(passage.stage, tuple(a.detach().clone().requires_grad_() for a in passage.start))
        value = typical(passage.stage.features(states[-1]))
    begins, ends = norms_of(value, [states[0], states[-1]]).tolist()
    return begins, ends


def _view(passage: Passage) -> tuple[float, int]:
    """Return the radius of the field of view, and the longest axis."""
    y = passage.stage.features(passage.start, 0)
    return view_of(passage.features, y, probes=2).radius, max(y.shape[2:])


def _cells(stage: StageVerdict) -> tuple[str, ...]:
    """Return the numbers of a stage as words of a table."""
    begins, ends = stage.gradients
    return (
        stage.name,
        stage.dynamics,
        stage.integrator,
        str(stage.steps),
        "-" if stage.ratio is None else f"{stage.ratio:.2f}",
        "not found" if isnan(stage.real) else f"{stage.real:.2g}",
        f"{stage.growth:.2f}",
        "-" if stage.exponents is None else f"{stage.exponents[1]:.2f} to {stage.exponents[0]:.2f}",
        f"{begins / ends:.2g}" if ends else "-",
        "-" if stage.view is None else f"{stage.view[0]:.1f} of {stage.view[1]}",
    )


def _table(rows: list[tuple[str, ...]]) -> list[str]:
    """Return rows with their columns as wide as their widest word."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    ]
