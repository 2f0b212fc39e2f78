"""Parts one after another."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from typing import Any, Literal, Self, cast

from torch import Tensor, nn

from wellposed.backward import Reversed
from wellposed.dynamics import Hyperbolic
from wellposed.errors import StructureError
from wellposed.integrators import Leapfrog
from wellposed.network.connect import Opening, check_chain
from wellposed.network.heads import Classify
from wellposed.network.jacobian import Jacobian
from wellposed.network.part import Part, seeded
from wellposed.network.rebuild import rebuilt
from wellposed.network.run import Run, flow, marches, runs, trajectory
from wellposed.network.stage import Stage
from wellposed.operators import Dense


class Network(Part):
    """A chain of parts, from the input to what is read from the features.

    Neighbouring stages that carry the same kind of state are one run, and Haar steps behind them: the state
    is opened once and closed once, so waves keep their velocity from one to the next, and reversed ones keep
    a single state in memory.

    `spacing` says how far samples lie apart along each axis, {"crossline_m": 25.0, "twt_ms": 4.0}: weights
    learned at one spacing mean something else at another, so an archive keeps it.

    Shapes:    y (batch, takes, *space) -> (batch, gives, *space)
    Raises:    StructureError when neighbouring parts differ in their channels
    """

    def __init__(self, *parts: Part, spacing: Mapping[str, float] | None = None) -> None:
        super().__init__()
        if not parts:
            raise StructureError(
                "a network has parts",
                given="none",
                expected="at least one",
                way_out="begin with an Opening",
            )
        check_chain(parts)
        self.takes, self.gives, self.spacing = parts[0].takes, parts[-1].gives, dict(spacing or {})
        self.parts = nn.ModuleList(parts)
        self._check_rules()

    def forward(self, y: Tensor) -> Tensor:
        """Return what the last part gives."""
        for run in self.runs():
            y = flow(run, y) if isinstance(run, list) else run(y)
        return y

    def runs(self) -> Iterator[Run | Part]:
        """Yield the parts, those that carry one state as a list."""
        return runs(cast("list[Part]", list(self.parts)))

    def stages(self) -> list[Stage]:
        """Return all stages, those inside other parts too."""
        return [module for module in self.modules() if isinstance(module, Stage)]

    def ratio(self) -> float | None:
        """Return the largest quotient of a step and its bound; None where no stage claims stability."""
        ratios = [ratio for stage in self.stages() if (ratio := stage.ratio()) is not None]
        return max(ratios, default=None)

    def trajectory(self, y: Tensor) -> list[Tensor]:
        """Return the features at the start, after each part, and within stages after each step.

        Whatever the rules of the stages, it takes memory for all of them; a Level counts as one part.
        """
        found = [y]
        for run in self.runs():
            found += trajectory(run, found[-1]) if isinstance(run, list) else [run(found[-1])]
        return found

    def jacobian(self, y: Tensor, by: Literal["weights", "features"] = "weights") -> Jacobian:
        """Return d net(y) / d weights, or d net(y) / dy, as a linear map: J @ v, and J.T @ w."""
        return Jacobian(self, y, by)

    def replace(self, **changes: Any) -> Network:
        """Return a network whose stages have other arguments, and the same weights, which it shares.

            net.replace(backward=Backprop())      the same network by another rule
            net.replace(integrator=RK4())         the same differential equation by another method

        Raises:    StructureError, StepError where a stage cannot be built so
        """
        return _checked(rebuilt(self, lambda stage: stage.replace(**changes)))

    def refine(self) -> Network:
        """Return a network with two steps for each, the same theta(t) on more nodes, weights of its own.

        Reference: Haber et al., Learning across scales, 2017, arXiv:1703.02009
        """
        return _checked(rebuilt(deepcopy(self), Stage.refine))

    def arguments(self) -> dict[str, Any]:
        """Return the parts and the spacing."""
        return {"parts": list(self.parts), "spacing": self.spacing}

    @classmethod
    def examples(cls) -> Sequence[tuple[Self, tuple[int, ...]]]:
        """A run of two stages between an opening and a head."""
        with seeded(0):
            waves = [
                Stage(Hyperbolic(Dense(4), "tanh"), Leapfrog(), time=1.0, steps=n, backward=Reversed())
                for n in (3, 2)
            ]
            return [(cls(Opening(2, 4), *waves, Classify(4, classes=2), spacing={"depth_m": 5.0}), (3, 2))]

    def _check_rules(self) -> None:
        """Raise StructureError where a rule cannot differentiate a run of stages."""
        for run in self.runs():
            for rule, march in marches(run) if isinstance(run, list) else ():
                rule.check(march.updates)


def _checked(net: Network) -> Network:
    """Return a network whose rules can differentiate its runs, those of networks inside it too."""
    for module in net.modules():
        if isinstance(module, Network):
            module._check_rules()
    return net
