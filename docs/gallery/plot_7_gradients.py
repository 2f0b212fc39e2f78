"""
Three ways to a gradient
========================

`Backprop` keeps every state. `Reversed` keeps the last one and undoes the steps, in constant memory. Both
are derivatives of the *discrete* network; `ContinuousAdjoint` solves the adjoint differential equation
instead, as many libraries of neural differential equations do, and gets the derivative of another problem.
How far apart are they?
"""

import matplotlib.pyplot as plt
import torch

import wellposed as wp


def gradient(dynamics, integrator, rule, steps, dtype):
    """Return the derivative of a loss by the weights and the features of a stage of length 4."""
    torch.manual_seed(1)
    control = wp.Control(
        {name: 0.5 * torch.randn(5, *shape) for name, shape in dynamics.shapes().items()}, range(5)
    )
    stage = wp.Stage(
        dynamics, integrator, time=4.0, steps=steps, control=control, backward=rule, bound="report"
    )
    stage = stage.to(dtype)
    y = torch.randn(32, 4, generator=torch.Generator().manual_seed(0)).to(dtype).requires_grad_()
    stage(y).square().sum().backward()
    return torch.cat([value.grad.flatten() for value in [*stage.parameters(), y]]).double()


def apart(a, b):
    """Return the relative distance of two gradients."""
    return float((a - b).norm() / b.norm())


# %%
# Undoing the steps. What is left is rounding, however many steps there are. Friction is undone too: here it
# takes velocities down to 4 per cent, and `Reversed` refuses what float32 could not bring back.

counts = [4, 8, 16, 32, 64, 128, 256]
undone = {}
for damping in (0.0, 0.8):
    for dtype in (torch.float32, torch.float64):
        waves = wp.Hyperbolic(wp.Dense(4), "tanh", damping=damping)
        undone[damping, dtype] = [
            apart(
                gradient(waves, wp.Leapfrog(), wp.Reversed(), n, dtype),
                gradient(waves, wp.Leapfrog(), wp.Backprop(), n, dtype),
            )
            for n in counts
        ]

# %%
# Solving the adjoint equation. Its gradient comes nearer with more steps, at second order at best, and is
# on a coarse grid as wrong as it is long. A loss that is minimised by it need not fall.

turning = wp.Antisymmetric(wp.Dense(4))
solved = {
    name: [
        apart(
            gradient(turning, method, wp.ContinuousAdjoint(), n, torch.float64),
            gradient(turning, method, wp.Backprop(), n, torch.float64),
        )
        for n in counts
    ]
    for name, method in {"Euler": wp.Euler(), "Heun": wp.Heun(), "RK4": wp.RK4()}.items()
}
print("ContinuousAdjoint at 8 steps:", {name: f"{errors[1]:.1%}" for name, errors in solved.items()})

# %%

figure, (left, right) = plt.subplots(1, 2, figsize=(9.5, 4), sharex=True)
for (damping, dtype), errors in undone.items():
    style = "-" if dtype is torch.float32 else "--"
    colour = "#0b6e99" if damping == 0 else "#d9730d"
    name = f"{str(dtype).removeprefix('torch.')}, friction {damping:g}"
    left.loglog(counts, errors, style, marker="o", ms=4, color=colour, label=name)
for name, errors in solved.items():
    right.loglog(counts, errors, marker="o", ms=4, label=name)
guide = torch.tensor([16.0, 256.0])
right.loglog(guide, 1.6 / guide, color="0.6", lw=0.8, ls="--")
right.text(60, 0.012, "order 1", color="0.4", fontsize=8)
right.loglog(guide, 4 / guide.square(), color="0.6", lw=0.8, ls="--")
right.text(90, 1.2e-4, "order 2", color="0.4", fontsize=8)
left.set(title="Reversed", xlabel="steps", ylabel="distance from backprop, relative", ylim=(1e-17, 1e-3))
right.set(title="ContinuousAdjoint", xlabel="steps")
left.legend(fontsize=8)
right.legend(fontsize=8)
plt.show()
