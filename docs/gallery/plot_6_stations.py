"""
The same dynamics on scattered stations
=======================================

A dynamics does not ask what it acts on. With `Conv` its operators are convolutions on a section; with
`Graph.of_points` they are gradients between neighbouring stations, and :math:`D^\\top D` is a graph's
Laplacian. Here three rock units are told by two noisy measurements at 324 stations, 19 of which are labelled.
"""

import matplotlib.pyplot as plt
import torch
from matplotlib.collections import LineCollection
from matplotlib.colors import ListedColormap

import wellposed as wp

draw = torch.Generator().manual_seed(3)
step = 10 / 18  # km
jitter = torch.rand(324, 2, generator=draw, dtype=torch.float64)
places = step * (torch.cartesian_prod(torch.arange(18), torch.arange(18)) + 0.1 + 0.8 * jitter)
east, north = places.T
unit = (north > 3.5 + 1.2 * torch.sin(0.9 * east)).long() + (north > 6.5 + 0.9 * torch.cos(0.8 * east)).long()
means = torch.tensor([[0.0, 0.6], [0.8, -0.3], [-0.5, -0.7]])
measured = means[unit] + 0.7 * torch.randn(324, 2, generator=draw)
y = measured.T[None]  # (batch, channel, point)
truth = wp.Labels(unit[None])
labels = truth.keep(share=0.06, seed=0)

# %%
# Two networks that differ in one thing: whether a station hears of its neighbours.

graph = wp.Graph.of_points(8, places, neighbours=6)


def network(stage):
    """Two measurements to eight channels, one stage, three classes."""
    return wp.Network(wp.Opening(2, 8), stage, wp.Classify(8, classes=3))


torch.manual_seed(0)
alone = network(wp.Stage(wp.Residual(wp.Dense(8)), wp.Euler(), time=2.0, steps=2))
torch.manual_seed(0)
together = network(wp.Stage(wp.Reaction(wp.Dense(8), graph), wp.IMEX(), time=2.0, steps=2))
found = {}
for name, net in {"each station alone": alone, "with its neighbours": together}.items():
    for _ in wp.fit(net, wp.CrossEntropy(), y, labels, epochs=45, seed=0, rate=wp.OneCycle(4e-2, 45)):
        pass
    found[name] = net(y).argmax(1)[0]
    print(f"{name}: {wp.score(net, y, truth)}")

# %%

colours = ListedColormap(["#0b6e99", "#d9730d", "#4a7c59"])
figure, panels = plt.subplots(1, 3, figsize=(11, 4.3), sharex=True, sharey=True)
known = labels.known[0]
panels[0].scatter(east, north, c=unit, cmap=colours, s=14, alpha=0.45)
panels[0].scatter(east[known], north[known], c=unit[known], cmap=colours, s=60, edgecolor="black")
panels[0].set(title="truth, and the 19 labels", ylabel="northing (km)")
for panel, (name, guess) in zip(panels[1:], found.items(), strict=True):
    if name.startswith("with"):
        panel.add_collection(
            LineCollection(places[torch.tensor(graph.edges)], colors="0.8", lw=0.6, zorder=0)
        )
    panel.scatter(east, north, c=guess, cmap=colours, s=14)
    panel.set_title(name)
for panel in panels:
    panel.set(xlabel="easting (km)", aspect="equal")
plt.show()
