"""Points of a plane, in classes that no line divides.

All return points and classes in random order, each class as often as the others or once more.
"""

from __future__ import annotations

from math import pi

import torch
from torch import Tensor

from wellposed.errors import check_count
from wellposed.learning import Labels, generator

_BANDS, _GRID = 5, 256


def ellipses(n: int, *, seed: int) -> tuple[Tensor, Labels]:
    """Draw points of an ellipse (class 0) and of the ring around it (class 1), which touch.

        (r cos t, 0.4 r sin t),   t of U(0, 2 pi),   r of U(0, 1) or of U(1, 2)

    Shapes:    (n, 2), labels (n,)
    Raises:    ConfigError for fewer than one point
    Reference: Meganet.m, setupCircle; Haber and Ruthotto, Stable architectures, 2017, arXiv:1705.03341
    """
    check_count("n", n)
    draw, classes = generator(seed, "ellipses"), torch.arange(n) % 2
    r = classes + torch.rand(n, generator=draw)
    t = 2 * pi * torch.rand(n, generator=draw)
    return _shuffled(torch.stack([r * t.cos(), 0.4 * r * t.sin()], 1), classes, draw)


def swiss_roll(n: int, *, seed: int) -> tuple[Tensor, Labels]:
    """Draw points of two spirals, one inside the other, two turns each.

        (r cos 4 pi t, r sin 4 pi t),   0 <= t <= 1,   r = t (class 0) or r = 0.2 + t (class 1)

    One t is drawn in each of equal parts of the spiral, so that no stretch of it is left out.

    Shapes:    (n, 2), labels (n,)
    Raises:    ConfigError for fewer than one point
    Reference: Meganet.m, setupSwissRoll, which takes equal steps; Haber and Ruthotto, Stable architectures,
               2017, arXiv:1705.03341
    """
    check_count("n", n)
    draw, classes = generator(seed, "swiss_roll"), torch.arange(n) % 2
    parts = 1 + (n - 1) // 2
    t = (torch.arange(n) // 2 + torch.rand(n, generator=draw)) / parts
    r = t + 0.2 * classes
    return _shuffled(torch.stack([r * (4 * pi * t).cos(), r * (4 * pi * t).sin()], 1), classes, draw)


def peaks(n: int, *, seed: int) -> tuple[Tensor, Labels]:
    """Draw points whose class is the height of three hills and hollows, in five equal bands.

        f = 3 (1 - x)^2 exp(-x^2 - (y + 1)^2) - 10 (x / 5 - x^3 - y^5) exp(-x^2 - y^2)
            - exp(-(x + 1)^2 - y^2) / 3

    Points of a grid of 256 by 256 over [-3, 3]^2, drawn with replacement.

    Shapes:    (n, 2), labels (n,)
    Raises:    ConfigError for fewer than one point
    Reference: Meganet.m, setupPeaks; Haber and Ruthotto, Stable architectures, 2017, arXiv:1705.03341
    """
    check_count("n", n)
    draw, classes = generator(seed, "peaks"), torch.arange(n) % _BANDS
    side = torch.linspace(-3, 3, _GRID, dtype=torch.float64)
    grid = torch.cartesian_prod(side, side)
    height = _height(*grid.T)
    low, high = float(height.min()), float(height.max())
    edges = torch.linspace(low, high, _BANDS + 1, dtype=torch.float64)[1:-1]
    band, y = torch.bucketize(height, edges), torch.empty(n, 2)
    for k in range(_BANDS):
        here, there = classes == k, grid[band == k]
        picked = torch.randint(len(there), (int(here.sum()),), generator=draw)
        y[here] = there[picked].float()
    return _shuffled(y, classes, draw)


def _height(x: Tensor, y: Tensor) -> Tensor:
    around = 10 * (x / 5 - x**3 - y**5) * (-(x**2) - y**2).exp()
    return 3 * (1 - x) ** 2 * (-(x**2) - (y + 1) ** 2).exp() - around - (-((x + 1) ** 2) - y**2).exp() / 3


def _shuffled(y: Tensor, classes: Tensor, draw: torch.Generator) -> tuple[Tensor, Labels]:
    """Return the same in random order, so that any part of them holds all classes."""
    order = torch.randperm(len(y), generator=draw)
    return y[order], Labels(classes[order])
