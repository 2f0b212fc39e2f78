"""
A Hamiltonian network on the swiss roll
=======================================

Two spirals, one inside the other: no line divides them. A Hamiltonian stage turns features and their
partners about one another,

.. math:: y' = \\sigma(K z + b), \\qquad z' = -\\sigma(K^\\top y + b),

so that nothing is lost on the way, and Verlet steps can be undone: `Reversed` keeps a single state in memory
however many steps there are.
"""

import matplotlib.pyplot as plt
import torch

import wellposed as wp

torch.manual_seed(0)
y, labels = wp.data.swiss_roll(256, seed=0)
net = wp.Network(
    wp.Opening(2, 4),
    wp.Stage(wp.Hamiltonian(wp.Dense(4)), wp.Verlet(), time=20.0, steps=64, backward=wp.Reversed()),
    wp.Classify(4, classes=2),
)
loss = wp.CrossEntropy() + 5e-3 * wp.SmoothInTime()
run = wp.GaussNewton().fit(net, loss, y, labels, epochs=32)
for record in run:
    if record.epoch % 8 == 7:
        print(record)

# %%
# Points that it has not seen:

new, truth = wp.data.swiss_roll(256, seed=1)
print(wp.score(net, new, truth))

# %%
# The regions that it draws, and where it has moved the features to when a line divides them.

side = torch.linspace(-1.35, 1.35, 160)
grid = torch.cartesian_prod(side, side)
with torch.no_grad():
    probability = net(grid).softmax(1)[:, 1].reshape(160, 160).T
    moved = net.trajectory(new)[-2]  # the features before the head
    weight, offset = (value.detach() for value in net.parts[-1].parameters())
across = (weight[1] - weight[0]).flatten()
along = torch.linalg.svd(moved - moved.mean(0))[2][0]
along = along - across * (along @ across) / (across @ across)

figure, (left, right) = plt.subplots(1, 2, figsize=(9, 4.2))
left.contourf(side, side, probability, levels=20, cmap="RdBu_r", alpha=0.7, vmin=0, vmax=1)
for k, colour in enumerate(("#0b4f8a", "#a3200d")):
    here = truth.values == k
    left.plot(*new[here].T, "o", ms=3.5, color=colour, label=f"class {k}")
    right.plot(moved[here] @ along, moved[here] @ across, "o", ms=3.5, color=colour)
right.axhline(-float(offset[1] - offset[0]), color="0.4", lw=1, ls="--")
left.set(title="Probability of class 1", xlabel="first input", ylabel="second input", aspect="equal")
right.set(title="Features at the end of the stage", xlabel="along the line", ylabel="across the line")
left.legend(loc="upper right", fontsize=8, frameon=True)
plt.show()

# %%
# Whether it is well posed, in numbers and in words. The steps are well within their bound, and no energy is
# created; but points that began close together now lie on two sides of a line, and what does that enlarges
# differences. A network that separates must grow somewhere. The instruments say how much, and where.

print(wp.well_posedness(net, y))
