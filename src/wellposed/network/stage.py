"""The one place where dynamics, control, integrator and backward rule meet."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, inf, isfinite
from typing import Any, Literal, Self

import torch
from torch import Tensor

from wellposed.backward import Backprop, BackwardRule, March, Reversed
from wellposed.backward.base import Problem
from wellposed.control import Control
from wellposed.dynamics import Dynamics, Extent, Hyperbolic, Parabolic, Reaction, State, Theta
from wellposed.dynamics.base import check_finite
from wellposed.errors import StepError, StructureError, check_kind, check_name
from wellposed.integrators import IMEX, Discretisation, Euler, Integrator, Leapfrog
from wellposed.integrators.base import fitting
from wellposed.network.layout import channels_last
from wellposed.network.part import Part, seeded
from wellposed.operators import Conv, Stencil
from wellposed.operators.base import check_channels


class Stage(Part):
    """An initial value problem, discretised: the features at its end from those at its start.

        y' = f(theta(t), y),  0 <= t <= time,  in steps of an integrator

    `steps` is their number, or their relative lengths on a graded grid. Without a control, theta(t) is linear
    between the times at which the integrator samples it, and constant to begin with.
    A step beyond its bound of stability is refused when the stage is built and when an archive is opened;
    training is never stopped by it. With bound="report" nothing is refused: ask `ratio()`.

    A state of two members begins with the features and a partner at rest, and ends with the features alone.
    With `halves` the features are both members, half of the channels each.

    Shapes:    y (batch, channel, *space) -> the same
    Units:     time in one over the units of the rate
    Raises:    StructureError when the four do not fit one another; StepError beyond the bound
    Reference: Haber and Ruthotto, Stable architectures for deep neural networks, 2017, arXiv:1705.03341
    """

    def __init__(
        self,
        dynamics: Dynamics,
        integrator: Integrator,
        *,
        time: float = 4.0,
        steps: int | Sequence[float] = 16,
        control: Control | None = None,
        backward: BackwardRule | None = None,
        bound: Literal["refuse", "report"] = "refuse",
        halves: bool = False,
    ) -> None:
        super().__init__()
        self.dynamics, self.integrator, self.rule = dynamics, integrator, backward or Backprop()
        _check_kinds(dynamics, integrator, self.rule, control)
        check_name("bound", bound, ("refuse", "report"))
        integrator.check(dynamics)
        _check_halves(dynamics, halves)
        self.halves = halves
        self.takes = self.gives = (2 if halves else 1) * dynamics.channels
        self.discrete, self.bound = Discretisation(dynamics, integrator, _spans(time, steps)), bound
        self.rule.check(self.discrete.updates)
        self.control = control or Control.constant(dynamics.start(), self.discrete.times)
        _check_control(dynamics, self.control)
        if bound == "refuse":
            self.check_bound()

    @property
    def spans(self) -> tuple[float, ...]:
        """Lengths of the steps."""
        return self.discrete.spans

    def open(self, y: Tensor) -> State:
        """Return the state that features begin with."""
        if self.halves:
            check_channels("a stage whose features are two halves", y, self.takes)
        return y.chunk(2, 1) if self.halves else self.integrator.open(self.dynamics, y)

    def features(self, s: State, j: int | None = None) -> Tensor:
        """Return the features of the state after j steps, or after all of them."""
        steps = len(self.spans) if j is None else j
        return torch.cat(s, 1) if self.halves else s[self.discrete.newest(steps)]

    def march(self) -> March:
        """Return the updates and the weights that they take."""
        discrete, params = self.discrete, self.control.params
        thetas = self.control.sample(params, discrete.times)
        return March(thetas, discrete.updates, (Problem(discrete, self.control, params),))

    def forward(self, y: Tensor) -> Tensor:
        """Return the features at the end."""
        march = self.march() if self.halves else self.march().seen()
        return channels_last(self.features(self.rule.run(march, self.open(channels_last(y)))))

    def states(self, y: Tensor) -> list[State]:
        """Return the state at the start and after each step; the rule is not asked, and all are in memory."""
        s = self.open(y)
        return [s, *self.discrete.states(self.march().thetas, s)]

    def trajectory(self, y: Tensor) -> list[Tensor]:
        """Return the features at the start and after each step."""
        return [self.features(s, j) for j, s in enumerate(self.states(y))]

    def replace(self, **changes: Any) -> Stage:
        """Return a stage with other arguments and the same weights, which it shares."""
        return Stage(**{**self.arguments(), **changes}).train(self.training)

    def refine(self) -> Stage:
        """Return a stage with two steps for each, and the same theta(t) on more nodes: weights of its own.

        A control on the times that the steps sample stays there; another gets a node between its nodes.
        """
        halves = [h / 2 for h in self.spans for _ in range(2)]
        finer = self.replace(steps=halves, bound="report")
        old = self.control.nodes

        def lacks(times: Sequence[float]) -> list[float]:
            return [t for t in times if float((old - t).abs().min()) > 1e-9 * sum(self.spans)]

        between = ((old[1:] + old[:-1]) / 2).tolist()
        new = lacks(between if lacks(self.discrete.times) else finer.discrete.times)
        control = self.control.refine(sorted([*old.tolist(), *new]))
        return finer.replace(control=control, bound=self.bound)

    def remesh(self, ratio: float | Sequence[float]) -> Stage:
        """Return the stage of the same equation on a mesh whose samples lie `ratio` times as far apart.

        Raises:    StepError where a step is too long there; StructureError, ShapeError as the operators
        """
        control = self.control.each(lambda theta: self.dynamics.remesh(theta, ratio))
        return self.replace(control=control)

    def ratio(self) -> float | None:
        """Return the largest quotient of a step and its bound; None where no stability is claimed.

        Raises:    StepError when a weight is no finite number
        """
        worst = self._worst()
        return worst and worst[0]

    def check_bound(self) -> None:
        """Raise StepError when a step lies beyond its bound of stability."""
        ratio, h, extent = self._worst() or (0.0, 0.0, Extent(0.0, 0.0))
        if ratio <= 1:
            return
        kind, name, steps = type(self.dynamics).__name__, type(self.integrator).__name__, len(self.spans)
        bound, size = h / ratio, extent.real + extent.imaginary
        if not bound:
            raise self._never(extent)
        # Where one axis rules, the bound is the reach of the integrator along it over the extent.
        reach = f" = {bound * size:.3g} / {size:.4g} (reach / extent)" if size in extent[:2] else ""
        raise StepError(
            f"a step of {name} lies beyond the bound of stability of {kind}",
            given=f"h = {h:.4g}, {ratio:.3g} times the bound",
            expected=f"h of at most {bound:.4g}{reach} for these weights",
            way_out=f"take at least {ceil(steps * ratio)} steps, smaller weights (`limit_norms`), "
            "or bound='report' to run it all the same",
        )

    def _never(self, extent: Extent) -> StepError:
        """Return what to say where no step is stable, however small the weights are."""
        kind, name = type(self.dynamics).__name__, type(self.integrator).__name__
        others = " or ".join(fitting(self.dynamics, extent)) or "another integrator"
        damped = ", a damping above zero" if getattr(self.dynamics, "damping", None) == 0 else ""
        real = f" and down to {-extent.real:.4g}" if extent.real else ""
        return StepError(
            f"no step of {name} is stable for {kind}, however short",
            given=f"eigenvalues up to {extent.imaginary:.4g} i{real}",
            expected="an integrator that is stable where they lie",
            way_out=f"use {others} with {kind}{damped}, or bound='report' to run it all the same",
        )

    def _worst(self) -> tuple[float, float, Extent] | None:
        """Return the largest quotient of a step and its bound, the step, and the extent there."""
        with torch.no_grad():
            extents = _extents(self.dynamics, self.march().thetas)
        known = [extent for extent in extents if extent is not None]
        if len(known) < len(extents):
            return None
        bounds = [self.integrator.bound(extent) for extent in known]
        quotients = (
            (h / bounds[k] if bounds[k] else inf, h, known[k])
            for h, places in zip(self.spans, self.discrete.samples, strict=True)
            for k in places
        )
        return max(quotients, key=lambda found: found[0])

    def arguments(self) -> dict[str, Any]:
        """Return the four, and the grid."""
        return {
            "dynamics": self.dynamics,
            "integrator": self.integrator,
            "time": sum(self.spans),
            "steps": list(self.spans),
            "control": self.control,
            "backward": self.rule,
            "bound": self.bound,
            "halves": self.halves,
        }

    def extra_repr(self) -> str:
        """The four, and the grid."""
        grid = f"time={sum(self.spans):g}, steps={len(self.spans)}"
        return f"{self.dynamics}, {self.integrator}, {grid}, {self.rule}"

    @classmethod
    def examples(cls) -> Sequence[tuple[Self, tuple[int, ...]]]:
        """Each dynamics with an integrator that fits, even and graded, by both rules."""
        with seeded(0):
            waves = Hyperbolic(Conv(2), "tanh", damping=0.2)
            grid = [0.1, 0.2, 0.4, 0.3]
            return [
                (cls(Parabolic(Conv(2), "tanh"), Euler(), time=1.0, steps=4), (2, 2, 5, 6)),
                (cls(Reaction(Conv(2), Stencil(2), "tanh"), IMEX(), time=1.0, steps=grid), (2, 2, 5, 6)),
                (cls(waves, Leapfrog(), time=1.0, steps=grid, backward=Reversed()), (2, 2, 5, 6)),
            ]


def _spans(time: float, steps: int | Sequence[float]) -> tuple[float, ...]:
    """Return the length of each step."""
    try:
        lengths = [1.0] * steps if isinstance(steps, int) else [float(length) for length in steps]
        forward = len(lengths) > 0 and all(isfinite(h) and h > 0 for h in [time, *lengths])
    except (TypeError, ValueError):  # what is no number, and no list of them
        forward = False
    if not forward:
        raise StructureError(
            "a stage goes forward in time",
            given=f"time={time!r}, steps={steps!r}",
            expected="a positive time, and at least one step of positive length",
            way_out="give a number of steps, or their lengths",
        )
    total = sum(lengths)
    # Lengths that fill the time are taken as they are: scaled by a rounded one they would wander.
    scale = 1.0 if abs(total - time) <= 1e-12 * time else time / total
    return tuple(scale * length for length in lengths)


def _extents(f: Dynamics, thetas: Sequence[Theta]) -> list[Extent | None]:
    """Return the extent at each sample; weights that stand still are measured once."""
    extents: list[Extent | None] = []
    for k, theta in enumerate(thetas):
        check_finite(theta)
        still = k > 0 and all(torch.equal(value, thetas[k - 1][name]) for name, value in theta.items())
        extents.append(extents[-1] if still else f.extent(theta))
    return extents


def _check_kinds(f: object, integrator: object, rule: object, control: object) -> None:
    """Raise StructureError unless each is what its name says."""
    check_kind("dynamics", f, Dynamics, "begin with one, such as Parabolic(Conv(8))")
    check_kind("integrator", integrator, Integrator, "choose one, such as Euler() or Leapfrog()")
    check_kind("backward", rule, BackwardRule, "choose one, such as Backprop() or Reversed()")
    if control is not None:
        check_kind("control", control, Control, "make it by Control.constant(dynamics.start(), nodes)")


def _check_halves(f: Dynamics, halves: bool) -> None:
    """Raise StructureError where there are no two members that could be the halves of the features."""
    if halves and f.members != 2:
        raise StructureError(
            "only a state of two members can be the features in two halves",
            given=f"halves=True with {type(f).__name__}, whose state is the features alone",
            expected="a Partitioned or SecondOrder dynamics, such as DoubleHamiltonian",
            way_out="leave `halves` away",
        )


def _check_control(f: Dynamics, control: Control) -> None:
    """Raise StructureError unless the control holds the weights of this dynamics."""
    given = {name: tuple(value.shape[1:]) for name, value in control.params.items()}
    if given != f.shapes():
        raise StructureError(
            f"this control does not hold the weights of {type(f).__name__}",
            given=f"weights {given}",
            expected=f"weights {f.shapes()}",
            way_out="make it by Control.constant(dynamics.start(), nodes)",
        )
