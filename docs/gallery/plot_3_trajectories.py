"""
Networks that grow, forget, and keep
====================================

Haber and Ruthotto's example: the same step, the same activation, three kinds of weights. Where the
eigenvalues have positive real parts, features that begin close together are torn apart; where they are
strongly negative, all features end in the same place and cannot be told apart; between the two lies
rotation.
"""

import matplotlib.pyplot as plt
import torch

import wellposed as wp


def stage(dynamics, **theta):
    """A stage with constant weights, long enough to see where the features go."""
    weights = {name: torch.tensor(value) for name, value in theta.items()}
    control = wp.Control.constant({**weights, "b": torch.zeros(2)}, [0.0])
    return wp.Stage(dynamics, wp.RK4(), time=5.0, steps=100, control=control, bound="report")


stages = {
    "SingleResidual: grows": stage(wp.SingleResidual(wp.Dense(2)), K=[[2.0, -2.0], [0.0, 2.0]]),
    "Parabolic: forgets": stage(wp.Parabolic(wp.Dense(2), "tanh"), K=[[1.4, 0.4], [-0.4, 1.4]]),
    "Antisymmetric: keeps": stage(wp.Antisymmetric(wp.Dense(2)), K=[[0.0, -0.5], [0.5, 0.0]]),
}
angle = torch.linspace(0, 2 * torch.pi, 13)[:-1]
ring = torch.stack([angle.cos(), angle.sin()], 1)
start = torch.cat([torch.tensor([0.4, 0.3]) + 0.12 * ring, torch.tensor([-0.5, 0.2]) + 0.12 * ring])

# %%
# Two rings of features, their way through each stage, and where they end.

figure, panels = plt.subplots(1, 3, figsize=(11, 3.9))
for panel, (name, part) in zip(panels, stages.items(), strict=True):
    with torch.no_grad():
        way = torch.stack(part.trajectory(start))
    for k, colour in ((slice(0, 12), "#0b6e99"), (slice(12, 24), "#d9730d")):
        panel.plot(*way[:, k].permute(2, 0, 1), color=colour, lw=0.7, alpha=0.6)
        panel.plot(*way[0, k].T, "o", ms=3, mfc="white", color=colour)
        panel.plot(*way[-1, k].T, "o", ms=4, color=colour)
    panel.set(title=name, xlabel="first channel", aspect="equal", adjustable="datalim")
panels[0].set_ylabel("second channel")
plt.show()

# %%
# By how much the most sensitive perturbation is enlarged, over time. `worst_growth` gives the same number
# for the end of a stage.

figure, panel = plt.subplots(figsize=(6.5, 3.6))
for name, part in stages.items():
    way = torch.func.vmap(torch.func.jacrev(lambda y, f=part: torch.stack(f.trajectory(y[None]))[:, 0]))(
        start
    )
    growth = torch.linalg.matrix_norm(way, 2).mean(0).detach()
    panel.semilogy(torch.linspace(0, 5, 101), growth, lw=2, label=name)
    print(f"{name}: {wp.worst_growth(part, start).factor.mean():.3g} times")
panel.axhline(1, color="0.6", lw=0.8, ls="--")
panel.set(xlabel="time", ylabel="largest growth of a perturbation")
panel.legend()
plt.show()

# %%
# The instruments say it in words. The residual dynamics makes no promise, so there is no bound to compare the
# step with; its verdict is measured.

print(wp.well_posedness(wp.Network(stages["SingleResidual: grows"]), start))
