"""One step of an initial value problem: the updates that it is made of, and how large it may be."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, NamedTuple, Self

import torch
from torch import Tensor

from wellposed.dynamics import Dynamics, Extent, State, Theta
from wellposed.errors import StructureError
from wellposed.integrators.region import reach
from wellposed.operators import Operator

Thetas = Sequence[Theta]


@dataclass(frozen=True)
class Update:
    """s <- call(thetas, s): owns no weights, only says which samples of theta(t) it takes."""

    samples: tuple[int, ...]
    call: Callable[[Thetas, State], State]

    def __call__(self, thetas: Thetas, s: State) -> State:
        """Return the next state."""
        return self.call(thetas, s)

    def taking(self, samples: tuple[int, ...]) -> Update:
        """Return the same update with other samples."""
        return replace(self, samples=samples)


@dataclass(frozen=True)
class Shear:
    """a <- c a + r u(thetas, b), where a is one member of the state and b are all the others.

    u is not shown a, so what a shear does can be undone, a <- (a - r u) / c, whatever u is.
    """

    samples: tuple[int, ...]
    member: int
    u: Callable[[Thetas, State], Tensor]
    r: float
    c: float = 1.0

    def __call__(self, thetas: Thetas, s: State) -> State:
        """Return the next state."""
        moved = s[self.member] if self.c == 1.0 else self.c * s[self.member]
        return self.put(s, torch.add(moved, self.u(thetas, self.others(s)), alpha=self.r))

    def undo(self, s: State, u: Tensor) -> State:
        """Return the state before, given what u was."""
        moved = torch.sub(s[self.member], u, alpha=self.r)
        return self.put(s, moved if self.c == 1.0 else moved / self.c)

    def others(self, s: State) -> State:
        """Return b: every member but the one that is moved."""
        return s[: self.member] + s[self.member + 1 :]

    def put(self, s: State, a: Tensor) -> State:
        """Return the state with another a."""
        return (*s[: self.member], a, *s[self.member + 1 :])

    def taking(self, samples: tuple[int, ...]) -> Shear:
        """Return the same shear with other samples."""
        return replace(self, samples=samples)

    def then(self, later: Shear) -> Shear | None:
        """Return both as one where they move the same member by the same u: b has not changed between."""
        if (self.samples, self.member, self.u) != (later.samples, later.member, later.u):
            return None
        return replace(self, r=later.c * self.r + later.r, c=later.c * self.c)


@dataclass(frozen=True)
class Isometry:
    """s <- K a for every member a of the state, K'K = 1: it holds no weights, and its adjoint undoes it."""

    K: Operator
    samples: tuple[int, ...] = ()

    def __call__(self, thetas: Thetas, s: State) -> State:
        """Return the next state."""
        return tuple(self.K @ a for a in s)

    def undo(self, s: State) -> State:
        """Return the state before; of gradients too."""
        return tuple(self.K.T @ a for a in s)

    def taking(self, samples: tuple[int, ...]) -> Isometry:
        """Return itself: it takes no samples."""
        return self


def advance(updates: Iterable[Update | Shear | Isometry], thetas: Thetas, s: State) -> State:
    """Return the state after some updates, each taking its samples from those of all of them."""
    for update in updates:
        s = update([thetas[k] for k in update.samples], s)
    return s


class Step(NamedTuple):
    """Updates of one step, and the places in it, from 0 to 1, where theta(t) is sampled.

    `newest` is the member of the state that holds the features after it: not the first where members take
    turns.
    """

    nodes: tuple[float, ...]
    updates: Sequence[Update | Shear]
    newest: int = 0


class Integrator(ABC):
    """One step of length h, as updates of the state.

    `needs` is the structure of the dynamics, `order` that of the error, `nodes` are the places in the step,
    from 0 to 1, where theta(t) is sampled: `samples` of an update count them. A method of several steps
    keeps `past` members more in its state, and its `grid` begins with steps of another kind.
    """

    needs: ClassVar[type[Dynamics]]
    order: ClassVar[int]
    nodes: ClassVar[tuple[float, ...]]
    past: ClassVar[int] = 0

    @abstractmethod
    def updates(self, f: Any, h: float) -> Sequence[Update | Shear]:
        """Return the updates of one step, for a dynamics that fits `needs`."""

    @abstractmethod
    def growth(self, z: Tensor) -> Tensor:
        """Return by how much a step enlarges the solution of the test equation, for z = h lambda.

        y' = lambda y; y'' = lambda^2 y for a second order; the explicit part alone of a SemiLinear dynamics.

        Shapes:    z complex, any shape -> real, the same
        """

    @classmethod
    @abstractmethod
    def examples(cls) -> Sequence[Self]:
        """Integrators of this kind."""

    def grid(self, f: Any, spans: Sequence[float]) -> list[Step]:
        """Return the steps of a whole grid, `spans` long.

        Raises:    StructureError when the method needs steps of one length
        """
        return [Step(self.nodes, self.updates(f, h)) for h in spans]

    def open(self, f: Dynamics, y: Tensor) -> State:
        """Return the state of features at rest, with a past of zero."""
        return (*f.open(y), *(torch.zeros_like(y) for _ in range(self.past)))

    def step(self, f: Dynamics, thetas: Thetas, h: float, s: State) -> State:
        """Return the state after one step, theta given at each of `nodes`."""
        return advance(self.updates(f, h), thetas, s)

    def bound(self, extent: Extent) -> float:
        """Return the largest h for which h times the extent lies where no solution grows."""
        return reach(self.growth, *extent)

    @classmethod
    def fits(cls, f: Dynamics) -> bool:
        """Whether the dynamics has the structure that is needed."""
        return isinstance(f, cls.needs)

    def check(self, f: Dynamics) -> None:
        """Raise StructureError unless the dynamics has the structure that is needed."""
        if not self.fits(f):
            name, kind = type(self).__name__, type(f).__name__
            raise StructureError(
                f"{name} needs a {self.needs.__name__} dynamics",
                given=f"{kind}, which is not one",
                expected=f"a dynamics with the structure {self.needs.__name__}",
                way_out=f"use {' or '.join(fitting(f)) or 'another integrator'} with {kind}",
            )


class Invertible(Integrator):
    """An integrator whose step is a list of shears: it can be undone, and differentiated without a tape."""

    @abstractmethod
    def shears(self, f: Any, h: float) -> Sequence[Shear]:
        """Return the shears of one step."""

    def updates(self, f: Any, h: float) -> Sequence[Shear]:
        """Return the shears."""
        return self.shears(f, h)


def fitting(f: Dynamics, extent: Extent | None = None) -> list[str]:
    """Return the names of the integrators that fit a dynamics, with an extent of those that it lets step."""
    fit = [kind for kind in _below(Integrator) if kind.fits(f)]  # type: ignore[type-abstract]
    if extent is not None:
        fit = [kind for kind in fit if any(method.bound(extent) > 0 for method in kind.examples())]
    return sorted(kind.__name__ for kind in fit)


def check_uniform(name: str, spans: Sequence[float]) -> None:
    """Raise StructureError unless all steps are as long."""
    if max(spans) > min(spans) * (1 + 1e-9):
        raise StructureError(
            f"{name} needs steps of one length",
            given=f"steps from {min(spans):.4g} to {max(spans):.4g}",
            expected="a uniform grid: its coefficients are those of equal steps",
            way_out="give a number of steps, or take RK4 on a graded grid",
        )


def roots_modulus(coefficients: Sequence[Tensor]) -> Tensor:
    """Return the largest modulus of the roots of x^n + c_1 x^(n-1) + ... + c_n, for every entry.

    Shapes:    each coefficient (*any), complex -> (*any), real
    """
    like = sum(coefficients[1:], coefficients[0])
    c = torch.stack([value.expand_as(like) for value in coefficients], dim=-1)
    n = c.shape[-1]
    companion = torch.zeros(*c.shape[:-1], n, n, dtype=c.dtype)
    companion[..., 0, :] = -c
    companion[..., torch.arange(1, n), torch.arange(n - 1)] = 1
    return torch.linalg.eigvals(companion).abs().amax(-1)


def _below(kind: type[Integrator]) -> Iterator[type[Integrator]]:
    """Integrators that are not abstract, below this class."""
    for below in kind.__subclasses__():
        if not below.__abstractmethods__:
            yield below
        yield from _below(below)
