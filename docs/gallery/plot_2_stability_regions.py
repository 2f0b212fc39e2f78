"""
Regions of stability
====================

Every integrator says by how much one step enlarges the solution of :math:`y' = \\lambda y` for :math:`z = h
\\lambda`: its method ``growth``. From this one function, and from where the spectrum of a dynamics lies,
follows the largest step (:doc:`/theory`). Where the growth is at most one, no perturbation is enlarged.
"""

import matplotlib.pyplot as plt
import torch

import wellposed as wp

real, imaginary = torch.linspace(-4, 1.5, 300).double(), torch.linspace(-3.3, 3.3, 300).double()
z = torch.complex(real[None, :].expand(300, 300), imaginary[:, None].expand(300, 300).contiguous())

methods = [entry.subject for entry in wp.laws.catalogue(wp.Integrator)]
methods.sort(key=lambda method: (method.needs.__name__, method.order))
rows = -(-len(methods) // 4)
figure, panels = plt.subplots(rows, 4, figsize=(9.5, 2.65 * rows), sharex=True, sharey=True)
for panel, method in zip(panels.flat, methods, strict=False):
    growth = method.growth(z)
    panel.contourf(real, imaginary, growth, levels=[0, 1 + 1e-7], colors=["#0b6e99"], alpha=0.55)
    panel.axhline(0, color="0.75", lw=0.7)
    panel.axvline(0, color="0.75", lw=0.7)
    # Rays of the axes where nothing grows, which for splittings are all there is.
    for axis, way in ((real, 1), (imaginary, 1j)):
        still = method.growth(torch.tensor(way) * axis) <= 1 + 1e-7
        held = torch.where(still, axis, torch.nan)
        panel.plot(*((held, 0 * held) if way == 1 else (0 * held, held)), color="#0b6e99", lw=3)
    panel.set_title(f"{type(method).__name__}, order {method.order}", fontsize=10)
for panel in panels.flat[len(methods) :]:
    panel.remove()
for panel in panels.flat[len(methods) - 4 : len(methods)]:
    panel.tick_params(labelbottom=True)
    panel.set_xlabel(r"Re $h\lambda$")
for panel in panels[:, 0]:
    panel.set_ylabel(r"Im $h\lambda$")
plt.show()

# %%
# The largest steps on both axes, for a spectrum that reaches to one. A dynamics that smooths has its spectrum
# on the negative real axis, one that turns or swings on the imaginary one.

for method in methods:
    diffusion, rotation = (method.bound(wp.Extent(*axis)) for axis in ((1.0, 0.0), (0.0, 1.0)))
    print(f"{type(method).__name__:<17} needs {method.needs.__name__:<12} {diffusion:8.3f} {rotation:8.3f}")

# %%
# For IMEX the growth is that of the explicit part alone: the implicit one is stable for every step. A
# dynamics of `Partitioned` structure swings, and `Verlet`, `Leapfrog` and `SymplecticEuler` are asked about
# swinging only.
