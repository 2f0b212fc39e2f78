"""Filters that learn: parabolic networks started as Perona-Malik and as total variation, on noisy sections.

Beside them the filters themselves, and a residual network of as many weights. Noise is as strong as the
signal and in its band: white across traces, with the mean spectrum of the training sections along time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cache, partial
from itertools import product
from math import log10, sqrt
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from wellposed.control import Control
from wellposed.dynamics import FirstOrder, Parabolic, Residual
from wellposed.experiments.filtering_pictures import (
    FILTERS,
    PATCH,
    SECTION,
    TWIN,
    Row,
    best,
    draw_learning,
    draw_sections,
    score_of,
)
from wellposed.experiments.setting import Outcome, Setting
from wellposed.integrators import Euler
from wellposed.learning import Labels, LeastSquares, OneCycle, derive_seed, fit, generator
from wellposed.learning.batches import Batch
from wellposed.network import Network, Opening, Part, Readout, Stage
from wellposed.network.part import seeded
from wellposed.operators import Conv
from wellposed.seismic.synthetic.earth import grow
from wellposed.seismic.synthetic.settings import SETTINGS

Flow = Callable[[Conv, str, str], FirstOrder]

SILENT = replace(
    SETTINGS["middle"], signal_to_noise=(1e6, 1e6), dipping=(0.0, 0.0), footprint=(0.0, 0.0), dead=0.0
)
WIDE = {"edge": 1.0, "channel": 1000**-0.25}  # of the differences, so that g begins at one
CONTRASTS, SHARES = (0.2, 0.4, 0.8, 1.6), (0.0, 0.25)  # tried on validation
SPAN, SPANS = 0.2, 40  # steps of the untrained filter
STEPS, MANY, FEW = 8, 17, 5  # of all networks; filters of the parabolic, channels of the residual ones
TIME = 1.0  # of the residual network
RATES, TWIN_RATES = (3e-3, 1e-2, 3e-2), (1e-3, 3e-3, 1e-2, 3e-2, 1e-1, 3e-1)  # of two filters; of one twin
LONG = 3  # a pass of the twin takes a third of the time: how many it makes for one
TWINS = ("twin", "twin, as long")
SCORES = ("before training, dB", "validation, dB", "test, dB")
COLUMNS = ("seed", "name", "kind", "weights", "passes", "rate", "contrast", "share", "time", *SCORES)


@dataclass(frozen=True)
class Data:
    """Patches to learn from, noisy sections to choose by, and others to test on.

    Shapes:    (section, 1, crossline, twt)
    """

    patches: Tensor
    spectrum: Tensor
    validation: tuple[Tensor, Tensor]  # noisy, and the same without noise
    test: tuple[Tensor, Tensor]

    def epoch(self, units: float, seed: int) -> Batch:
        """Return all patches, with noise of this seed."""
        noisy = self.patches + noise(self.patches, self.spectrum, seed)
        return units * noisy, Labels(units * self.patches)


@dataclass(frozen=True)
class Start:
    """A filter: which, the difference at which it slows down, what differences along time count, how long."""

    name: str
    contrast: float
    share: float
    time: float = SPAN * SPANS

    def units(self, filters: int = 4) -> float:
        """Return what amplitudes are multiplied by, so that where the filter slows down is fixed."""
        return sqrt(filters / 4) * WIDE[FILTERS[self.name]] / self.contrast

    def stage(self, steps: int, flow: Flow = Parabolic, filters: int = 4, seed: int = 0) -> Stage:
        """Return the filter as a stage; filters beyond the four differences begin small, and with g = 0."""
        K = 0.01 * torch.randn(filters, 1, 5, 5, generator=generator(seed, "filters"))
        K[:4] = differences(self.share)
        norm, alive = FILTERS[self.name], (torch.arange(filters) < 4).float()
        theta = {"K": WIDE[norm] * K, "g": alive, "b": torch.zeros(filters)}
        control = Control.constant(theta, [self.time * k / steps for k in range(steps)])
        f = flow(Conv(1, 5, out=filters), "identity", norm)
        return Stage(f, Euler(), time=self.time, steps=steps, control=control, bound="report")


def run(setting: Setting, flow: Flow = Parabolic) -> Outcome:
    """Measure what filters, parabolic networks started as them, and a residual network leave of the noise.

    The rate of each network is the one that is best on the validation sections of the first seed.
    """
    rates: dict[str, Sequence[float]] = dict.fromkeys(FILTERS, setting.pick(RATES, (5e-3,)))
    rates |= dict.fromkeys(TWINS, setting.pick(TWIN_RATES, (5e-3,)))
    rows: list[Row] = []
    for seed in setting.seeds:
        found = _seed(setting, seed, flow, rates)
        rates = {_tuned(row): (row["rate"],) for row in found if "rate" in row}
        rows += [{"seed": seed, **row} for row in found]
    measures: dict[str, Any] = {
        kind: [best(rows, kind, seed)["test, dB"] for seed in setting.seeds]
        for kind in ("untrained", "trained", *TWINS)
    }
    measures["ahead in equal time"] = min(measures["trained"]) - max(measures["twin, as long"])
    table = [{key: row.get(key, "") for key in COLUMNS} for row in rows]
    drawn = {"sections": draw_sections(rows), "learning": draw_learning(rows)}
    return Outcome(measures, {"filters": table}, drawn)


def _tuned(row: Row) -> str:
    """Return under which word its rate is kept."""
    return str(row["kind"] if row["name"] == TWIN else row["name"])


def _seed(setting: Setting, seed: int, flow: Flow, rates: Mapping[str, Sequence[float]]) -> list[Row]:
    """Return a row for what is put in, for each filter, and for each network at its best rate."""
    data = cache(partial(make_data, seed, *setting.pick((64, 16, 48), (2, 1, 1))))
    passes, contrasts = setting.pick((10, CONTRASTS), (8, CONTRASTS[1:2]))
    names = tuple(FILTERS)[setting.pick(0, 1) :]
    rows: list[Row] = setting.piece(f"untrained {seed}", lambda: _untrained(data(), names, contrasts))
    starts = {row["name"]: Start(**row["start"]) for row in rows if "start" in row}

    def learned(name: str, kind: str, rate: float, passes: int) -> Row:
        label = f"{name} {passes} passes {rate:g} {seed}"
        net, units = _network(starts.get(name), flow, seed)
        learn = partial(_learn, net, units, data, rate, passes, seed, setting.checkpoint(label))
        return {"name": name, "kind": kind, **setting.piece(label, learn)}

    whole = setting.pick(LONG, 1) * passes
    runs = [(name, "trained", passes) for name in names] + [(TWIN, TWINS[0], passes), (TWIN, TWINS[1], whole)]
    for name, kind, many in runs:
        tried = [learned(name, kind, rate, many) for rate in rates[name if name in starts else kind]]
        rows.append(max(tried, key=score_of))
    return rows


def make_data(seed: int, train: int, validation: int, test: int) -> Data:
    """Return sections of simulated earths; those to test on, and their noise, are the same for all seeds."""
    clean = _sections(train, seed, "train")
    spectrum = torch.fft.rfft(clean, dim=-1).abs().square().mean((0, 1, 2)).sqrt()
    patches = clean.unfold(2, PATCH[0], PATCH[0]).unfold(3, PATCH[1], PATCH[1])
    scored = []
    for count, own, purpose in ((validation, seed, "validation"), (test, 0, "test")):
        truth = _sections(count, own, purpose)
        scored.append((truth + noise(truth, spectrum, derive_seed(own, purpose, "noise")), truth))
    return Data(patches.reshape(-1, 1, *PATCH), spectrum, *scored)


def _sections(count: int, seed: int, purpose: str) -> Tensor:
    """Return sections of variance one, each of an earth of its own."""
    earths = (grow((1, *SECTION), SILENT, derive_seed(seed, purpose, k), 4.0, "silent") for k in range(count))
    return torch.stack([torch.from_numpy(earth.volume.to_xarray().to_numpy()) for earth in earths])


def noise(like: Tensor, spectrum: Tensor, seed: int) -> Tensor:
    """Return noise of variance one: white across traces, of a spectrum along time that is told."""
    white = torch.randn(*like.shape[:-1], SECTION[1], generator=generator(seed, "noise"))
    coloured = torch.fft.irfft(torch.fft.rfft(white) * spectrum, SECTION[1])[..., : like.shape[-1]]
    return coloured / coloured.std()


def differences(share: float) -> Tensor:
    """Return kernels of differences forward and backward, across traces and, times a share, along time."""
    K = torch.zeros(4, 1, 5, 5)
    for k, (step, size) in enumerate(product((1, -1), (1.0, share))):
        neighbour = (2 + step, 2) if k % 2 == 0 else (2, 2 + step)
        K[k, 0, neighbour[0], neighbour[1]], K[k, 0, 2, 2] = step * size, -step * size
    return K / sqrt(2)


def decibels(found: Tensor, truth: Tensor) -> float:
    """Return the power of the truth over that of the error."""
    return 10 * log10(float(truth.square().sum() / (found - truth).square().sum()))


@torch.no_grad()
def _untrained(data: Data, names: Sequence[str], contrasts: Sequence[float]) -> list[Row]:
    """Return what is put in, and each filter with the settings and the stopping time best on validation."""
    scores = {f"{part}, dB": decibels(*getattr(data, part)) for part in ("validation", "test")}
    drawn = {"section": _section(data.test[0]), "truth": _section(data.test[1])}
    rows: list[Row] = [{"name": "noisy", "kind": "input", **scores, **drawn}]
    for name in names:
        best, at, (noisy, truth) = Start(name, 1.0, 0.0), -torch.inf, data.validation
        for contrast, share in product(contrasts, SHARES):
            start = Start(name, contrast, share)
            for k, y in enumerate(start.stage(SPANS).trajectory(start.units() * noisy)[1:]):
                score = decibels(y / start.units(), truth)
                if score > at:
                    best, at = replace(start, time=SPAN * (k + 1)), score
        found = best.stage(round(best.time / SPAN))(best.units() * data.test[0]) / best.units()
        scores = {"validation, dB": at, "test, dB": decibels(found, data.test[1])}
        row = {"name": name, "kind": "untrained", "start": asdict(best), **scores, **asdict(best)}
        rows.append({**row, "section": _section(found)})
    return rows


def _section(y: Tensor) -> list[Any]:
    """Return the first section, to draw it."""
    return [[round(value, 3) for value in trace] for trace in y[0, 0].tolist()]


def _network(start: Start | None, flow: Flow, seed: int) -> tuple[Part, float]:
    """Return the parabolic network that is a filter, or without one the residual network, and its units."""
    if start is not None:
        return start.stage(STEPS, flow, MANY, seed), start.units(MANY)
    with seeded(derive_seed(seed, TWIN)):
        stage = Stage(Residual(Conv(FEW)), Euler(), time=TIME, steps=STEPS)
        net = Network(Opening(1, FEW), stage, Readout(FEW, 1))
    with torch.no_grad():  # it begins by what it is given, in the first channel, and moves from there
        for weight in (*net.parts[0].parameters(), *net.parts[-1].parameters()):
            weight.zero_()
            if weight.ndim > 1:
                weight[0, 0] = 1
    return net, 1.0


def _learn(
    net: Part, units: float, data: Callable[[], Data], rate: float, passes: int, seed: int, checkpoint: Path
) -> Row:
    """Return how a network filters before training, on the way, and at its best on validation."""
    held, (noisy, truth) = data(), data().validation
    before, labels = _filtered(net, units, held.test[0]), Labels(units * truth)
    schedule: dict[str, Any] = {"epochs": passes, "rate": OneCycle(rate, passes), "checkpoint": checkpoint}
    source = partial(held.epoch, units)
    learned = fit(net, LeastSquares(), source, seed=seed, held_out=(units * noisy, labels), **schedule)
    for _ in learned:
        pass
    assert learned.best is not None
    net.load_state_dict(learned.best.weights)
    found = _filtered(net, units, held.test[0])
    return {
        "rate": rate,
        "passes": passes,
        "weights": sum(weight.numel() for weight in net.parameters()),
        "before training, dB": decibels(before, held.test[1]),
        "validation, dB": decibels(_filtered(net, units, noisy), truth),
        "test, dB": decibels(found, held.test[1]),
        # Half the mean square error in units of the network, of sections of variance one.
        "curve": [10 * log10(units**2 / 2 / (record.held_out or 1.0)) for record in learned.records],
        "section": _section(found),
    }


@torch.no_grad()
def _filtered(net: Part, units: float, noisy: Tensor) -> Tensor:
    """Return what a network makes of sections."""
    out: Tensor = net(units * noisy) / units
    return out
