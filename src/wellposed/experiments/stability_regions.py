"""How far each integrator reaches: the spectral radius of the steps that a network takes, on both axes."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from wellposed.dynamics import Antisymmetric, Dynamics, Hamiltonian, Hyperbolic, Parabolic, Theta
from wellposed.experiments.setting import Outcome, Setting
from wellposed.integrators import AB2, AB3, RK4, Euler, Heun, ImplicitMidpoint, Integrator, Leapfrog, Verlet
from wellposed.integrators.discretisation import Discretisation
from wellposed.laws.dynamics import jacobian
from wellposed.operators import Dense

if TYPE_CHECKING:
    from matplotlib.figure import Figure

INTEGRATORS: Mapping[str, Integrator] = {
    "Euler": Euler(),
    "Heun": Heun(),
    "RK4": RK4(),
    "AB2": AB2(),
    "AB3": AB3(),
    "Verlet": Verlet(),
    "Leapfrog": Leapfrog(),
    "ImplicitMidpoint": ImplicitMidpoint(),
}
# Networks whose Jacobian at rest has eigenvalues +-i, and one whose Jacobian is -1.
_ONE = torch.ones(1, 1, dtype=torch.float64)
_TURN = torch.tensor([[0.0, 1.0], [0.0, 0.0]], dtype=torch.float64)
TURNING: tuple[tuple[Dynamics, Tensor], ...] = (
    (Antisymmetric(Dense(2), "tanh"), _TURN),
    (Hamiltonian(Dense(1), "tanh"), _ONE),
    (Hyperbolic(Dense(1), "tanh"), _ONE),
)
SHRINKING: Dynamics = Parabolic(Dense(1), "tanh")
FARTHEST = 6.0  # |h lambda| up to which a step is looked at
GROWS = 1e-9  # of the spectral radius above one
STEPS = 5  # so that the last is none of those that only start a method of several steps


def run(setting: Setting, integrators: Mapping[str, Integrator] = INTEGRATORS) -> Outcome:
    """Measure the reach of each integrator by its own steps, at features at rest."""
    count = setting.pick(300, 30)
    measures: dict[str, float] = {}
    rows = []
    for name, method in integrators.items():
        f, K = next((f, K) for f, K in TURNING if method.fits(f))
        turning = setting.piece(f"{name} turning", partial(reach, method, f, K, count))
        measures[f"{name}.imaginary"] = turning
        row: dict[str, object] = {"integrator": name, "dynamics": type(f).__name__, "imaginary axis": turning}
        if method.fits(SHRINKING):
            shrinking = setting.piece(f"{name} shrinking", partial(reach, method, SHRINKING, _ONE, count))
            measures[f"{name}.real"] = row["negative real axis"] = shrinking
        rows.append({**row, "negative real axis": measures.get(f"{name}.real", "")})
    return Outcome(measures, {"reach": rows}, {"regions": _regions(integrators, measures)})


def reach(method: Integrator, f: Dynamics, K: Tensor, count: int) -> float:
    """Return the largest h with a spectral radius of at most one, scanned upward and then bisected."""
    theta = {name: torch.zeros(shape, dtype=torch.float64) for name, shape in f.shapes().items()} | {"K": K}

    def grows(h: float) -> bool:
        return radius(method, f, theta, h) > 1 + GROWS

    sizes = torch.linspace(0, FARTHEST, count + 1)[1:].tolist()
    first = next((k for k, h in enumerate(sizes) if grows(h)), None)
    if first is None:
        return FARTHEST
    low, high = (sizes[first - 1] if first else 0.0), sizes[first]
    while high - low > 1e-6:
        middle = (low + high) / 2
        low, high = (low, middle) if grows(middle) else (middle, high)
    return low


def radius(method: Integrator, f: Dynamics, theta: Theta, h: float) -> float:
    """Return the spectral radius of the Jacobian of one step at rest."""
    last = Discretisation(f, method, (h,) * STEPS).grid[-1]
    members = f.members + method.past

    def step(flat: Tensor) -> Tensor:
        s = tuple(a[None] for a in flat.chunk(members))
        for update in last.updates:
            s = update([theta] * len(update.samples), s)
        return torch.cat([a[0] for a in s])

    rest = torch.zeros(members * f.channels, dtype=torch.float64)
    return float(torch.linalg.eigvals(jacobian(step, rest)).abs().max())


def _regions(integrators: Mapping[str, Integrator], measures: Mapping[str, float]) -> Figure:
    """Draw where the growth of the test equation is at most one, with the measured reach as dots."""
    import matplotlib.pyplot as plt

    x, y = torch.linspace(-4, 1.5, 250).double(), torch.linspace(-3.3, 3.3, 250).double()
    z = torch.complex(x[None, :].expand(250, 250), y[:, None].expand(250, 250).contiguous())
    figure, panels = plt.subplots(2, 4, figsize=(9.5, 5.4), sharex=True, sharey=True, squeeze=False)
    for panel, (name, method) in zip(panels.flat, integrators.items(), strict=False):
        panel.contourf(x, y, method.growth(z), levels=[0, 1 + 1e-7], colors=["#0b6e99"], alpha=0.45)
        panel.axhline(0, color="0.75", lw=0.7)
        panel.axvline(0, color="0.75", lw=0.7)
        up = measures[f"{name}.imaginary"]
        panel.plot([0, 0], [-up, up], "o-", color="#d9730d", ms=4, lw=1.5)
        if f"{name}.real" in measures:
            panel.plot([-measures[f"{name}.real"], 0], [0, 0], "o-", color="#4a7c59", ms=4, lw=1.5)
        panel.set(title=name, xlim=(-4, 1.5), ylim=(-3.3, 3.3))
    for panel in panels[1]:
        panel.set_xlabel(r"Re $h\lambda$")
    for panel in panels[:, 0]:
        panel.set_ylabel(r"Im $h\lambda$")
    figure.suptitle("Where no perturbation grows; dots: measured on steps of a network", fontsize=11)
    return figure
