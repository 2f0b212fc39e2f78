"""What is known of the truth, where, and how surely."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from wellposed.errors import ConfigError, PickError, ShapeError
from wellposed.learning.seeds import generator


@dataclass(frozen=True, eq=False, init=False)
class Labels:
    """Values at some places, each with the standard deviation of its noise.

    `known = False` is UNKNOWN, never background: whatever stands there counts for nothing. `std` is the noise
    of the label, not a blur of the truth; without it the labels are taken as exact, or, where all are equally
    uncertain, as of equal weight. Which values are meant is said by the objective: classes, real numbers, or
    positions in a column, where a known NaN is "absent".

    Shapes:    values, known, std (batch, *places); known and std may be smaller and are expanded
    Units:     std in the units of the values
    Raises:    ShapeError when the three do not fit; PickError for a known std that is not positive
    """

    values: Tensor
    known: Tensor
    std: Tensor | None

    def __init__(
        self, values: Tensor, known: Tensor | None = None, std: Tensor | float | None = None
    ) -> None:
        known = torch.ones((), dtype=torch.bool, device=values.device) if known is None else known
        if known.dtype != torch.bool:
            raise ShapeError(
                "`known` says yes or no at every place",
                given=f"an array of {known.dtype}",
                expected="torch.bool",
                way_out="compare it with something, for example known=(values >= 0)",
            )
        object.__setattr__(self, "values", values)
        object.__setattr__(self, "known", _expand("known", known, values))
        if std is not None:
            std = _expand("std", torch.as_tensor(std, device=values.device), values)
        object.__setattr__(self, "std", std)
        self._check_std()

    def __len__(self) -> int:
        """Examples in the batch."""
        return len(self.values)

    def take(self, index: Tensor | slice) -> Labels:
        """Return the labels of some examples."""
        return Labels(self.values[index], self.known[index], None if self.std is None else self.std[index])

    def cells(self, first: int) -> tuple[Tensor, Tensor, Tensor | None]:
        """Return values, known and std of the cells of half the resolution, cell members along a last axis.

        A cell holds two places along each axis from `first` on, as those of `Restrict`: one at the end of an
        odd axis, and along an axis of one place. What fills it up is not known.

        Shapes:    (batch, *places) -> (batch, *coarser places, member) each
        """
        parts = [_cells(part, first) for part in (self.values, self.known)]
        return parts[0], parts[1], None if self.std is None else _cells(self.std, first)

    def keep(self, share: float, seed: int) -> Labels:
        """Return the same labels with only a share of what is known, drawn at random, the rest UNKNOWN.

        Drawn in each example by itself, at least one place where any was known; labels of one value an
        example are drawn over the examples. The smaller of two shares under one seed is part of the larger.

        Raises:    ConfigError unless 0 < share <= 1
        """
        if not 0 < share <= 1:
            raise ConfigError(
                "this share of the labels cannot be kept",
                given=f"share={share}",
                expected="above 0 and at most 1",
                way_out="give a fraction: 0.02 keeps two of a hundred known places",
            )
        known = torch.zeros_like(self.known, memory_format=torch.contiguous_format)
        examples = [(self.known, known)] if known.ndim == 1 else zip(self.known, known, strict=True)
        for example, (before, after) in enumerate(examples):
            places = before.flatten().nonzero().squeeze(1)
            order = torch.randperm(len(places), generator=generator(seed, "keep", example))
            after.view(-1)[places[order[: max(1, round(share * len(places)))].to(places.device)]] = True
        return Labels(self.values, known, self.std)

    def _check_std(self) -> None:
        if self.std is None:
            return
        # What is absent (NaN) has no position, so its std says nothing and may be NaN too.
        told = self.std[self.known & ~self.values.isnan()]
        if not bool(((told > 0) & told.isfinite()).all()):
            raise PickError(
                "a label cannot have this std",
                given=f"{float(told[~((told > 0) & told.isfinite())][0])} at a known place",
                expected="a positive number",
                way_out="give the standard deviation of the label's noise, or mark the place as not known",
            )


def _cells(part: Tensor, first: int) -> Tensor:
    """Return pairs of places along each axis from `first` on, together along a last axis."""
    part = part[..., None]
    for axis in range(first, part.ndim - 1):
        odd = part.shape[axis] % 2
        if odd:  # zero is False where this is `known`
            part = torch.cat([part, torch.zeros_like(part.narrow(axis, 0, 1))], axis)
        shape = (*part.shape[:axis], part.shape[axis] // 2, 2, *part.shape[axis + 1 :])
        pairs = part.reshape(shape).movedim(axis + 1, -1)
        part = pairs.flatten(-2)
    return part


def _expand(name: str, part: Tensor, values: Tensor) -> Tensor:
    try:
        return part.expand(values.shape)
    except RuntimeError:
        raise ShapeError(
            f"`{name}` does not fit the values of the labels",
            given=f"{name} of shape {tuple(part.shape)}, values of shape {tuple(values.shape)}",
            expected=f"one shape (batch, *places), or a {name} that expands to it",
            way_out=f"give one entry of `{name}` for each value",
        ) from None
