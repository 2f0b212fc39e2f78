"""
How far one step sees
=====================

The output of a convolution of width 3 depends on its neighbours only; a network needs many of them, or
resolutions, until one end of a section hears of the other. One implicit step of diffusion,

.. math:: y_{j+1} = (I + h\\, D^\\top D)^{-1} \\bigl(y_j + h\\, e(\\theta, y_j)\\bigr),

solves for all places together. Cosines make the operator diagonal, so that it costs less than a convolution.
"""

import matplotlib.pyplot as plt
import torch
from matplotlib.colors import LogNorm

import wellposed as wp

torch.manual_seed(0)
y = torch.randn(1, 8, 65, 65)
steps = {
    "residual": wp.Stage(wp.Residual(wp.Conv(8)), wp.Euler(), time=1.0, steps=1),
    "diffusion and reaction": wp.Stage(wp.Reaction(wp.Conv(8), wp.Stencil(8)), wp.IMEX(), time=1.0, steps=1),
}
views = {name: wp.field_of_view(stage, y) for name, stage in steps.items()}

figure, panels = plt.subplots(1, 2, figsize=(9, 4.4), sharey=True)
for panel, (name, view) in zip(panels, views.items(), strict=True):
    shares = view.shares.T.clamp_min(1e-9)  # rows of an image are its second axis
    image = panel.imshow(shares, norm=LogNorm(1e-8, 1), extent=(-32.5, 32.5, 32.5, -32.5), cmap="magma")
    panel.set(title=f"One step: {name}", xlabel="first axis of space, samples")
panels[0].set_ylabel("second axis of space, samples")
figure.colorbar(image, ax=panels, label="share of the output in the middle", shrink=0.9)
plt.show()

# %%
# The diffusion begins anisotropic: further along the first axis of space, on which sections are most alike.
# Each channel begins with a reach of its own, from a third of a sample to ten, and all of them are learned.

for name, view in views.items():
    print(
        f"{name}: radius {view.radius:.2f} samples, reach {view.reach:.1f} samples, "
        f"{view.outside(2):.1%} from more than two samples away"
    )
