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
from wellposed.network.connect import Affine, Opening, check_chain
from wellposed.network.heads import Classify
from wellposed.network.jacobian import Jacobian
from wellposed.network.normed import Normed
from wellposed.network.part import Part, seeded
from wellposed.network.rebuild import rebuilt
from wellposed.network.run import Run, flow, marches, runs, trajectory
from wellposed.network.stage import Stage
from wellposed.network.wavelet import Wavelet
from wellposed.operators import Dense
from wellposed.operators.family import per_axis


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

    def remesh(self, ratio: float | Sequence[float]) -> Network:
        """Return the network of the same equations on a mesh whose samples lie `ratio` times as far apart.

        Kernels keep their mass and derivatives, at every resolution inside it; weights are its own. With
        ratio=0.5 what was learned on every second sample goes on at all of them. First derivatives double
        there, second ones grow fourfold, along both axes sixteenfold: explicit steps that claim a bound are
        refused beyond it, others (`Residual`, the reaction of `Reaction`) may grow without a word.

        Shapes:    ratio one number, or one an axis of space
        Raises:    StepError where a step is too long there: `refine` first, or take bound="report";
                   StructureError, ShapeError for weights that know no other mesh
        Reference: Haber et al., Learning across scales, 2017, arXiv:1703.02009
        """
        net = rebuilt(deepcopy(self), lambda stage: stage.remesh(ratio))
        stages = {id(inner) for stage in net.stages() for inner in stage.modules()}
        kernels: set[int] = set()
        for module in net.modules():
            if id(module) not in stages:
                _remesh(module, ratio, kernels)
        for module in net.modules():
            if isinstance(module, Network) and module.spacing:
                ratios = per_axis("Network", ratio, len(module.spacing))
                apart = zip(module.spacing.items(), ratios, strict=True)
                module.spacing = {axis: r * spacing for (axis, spacing), r in apart}
        return _checked(net)

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


def _remesh(module: nn.Module, ratio: float | Sequence[float], done: set[int]) -> None:
    """Give a map that stands still its kernel on another mesh; averages and scales of a norm stay."""
    if isinstance(module, Affine | Normed):
        if id(module.kernel) in done:  # tied to that of another map
            return
        done.add(id(module.kernel))
        module.kernel.data = module.family.remesh(module.kernel.detach(), ratio)
    elif isinstance(module, Wavelet) or (
        list(module.parameters(recurse=False)) and not isinstance(module, nn.BatchNorm1d)
    ):
        raise StructureError(
            f"{type(module).__name__} knows no other mesh",
            given=f"{type(module).__name__}, whose weights or channels mean something on this mesh alone",
            expected="weights in stages, or in maps such as those of Opening",
            way_out="stay on this mesh, or hold its kernels in an Opening",
        )


def _checked(net: Network) -> Network:
    """Return a network whose rules can differentiate its runs, those of networks inside it too."""
    for module in net.modules():
        if isinstance(module, Network):
            module._check_rules()
    return net
