"""Everything that the package learns before it sees a survey, from simulated earths alone.

features   sections: find the horizon of a pick in other columns (matching)
head       its prior, through Newton's method on picks, judged on other columns
terms      weights of the learned terms, by the error of surfaces
trust      std and existence, by the errors of surfaces
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from wellposed.errors import ConfigError, FileError
from wellposed.interpretation import horizons as h
from wellposed.interpretation.calibrate import calibrated
from wellposed.interpretation.features import BODIES, feature_network, network_features
from wellposed.interpretation.features import STEPS as STEPS_A_STAGE
from wellposed.interpretation.head import Columns, HeadPrior, information, log_density
from wellposed.interpretation.lessons import Lesson, Question, lesson, questions, section_batch
from wellposed.interpretation.matching import matching
from wellposed.interpretation.shipped import HEAD, NET, Shipped, write_shipped
from wellposed.interpretation.terms import Terms
from wellposed.interpretation.trust import SIGNS, Trust
from wellposed.learning import Continuation, OneCycle, Stochastic, derive_seed
from wellposed.network import Network

Floats = NDArray[np.float64]
Say = Callable[[str], None]

EARTHS, EPOCHS, SECTIONS = 70, 50, 96  # of the features; sections of an epoch
TEXTURE = "texture"  # the recipe without a network
HELD_OUT = 8  # earths that features and head are never fitted on
STEPS, BATCH = 400, 6  # of the head's prior; horizons of a step
NO_WAVEFORM = 4  # of the horizons of a step: those whose picks are no waveform teach the head most
KINDS = 4
# What is refined from the first half of the epochs of the features to the second.
CONTINUATIONS: dict[str, tuple[str, ...]] = {
    "none": (),
    "time": ("time",),
    "space": ("space",),
    "both": ("both",),
}


def pretrain(
    out: Path,
    *,
    recipe: str = "imex",
    earths: int = EARTHS,
    seed: int = 0,
    epochs: int = EPOCHS,
    continuation: str = "none",
    say: Say = print,
) -> Shipped:
    """Learn from `earths` simulated earths, and write weights and manifest into a folder.

    The recipe `texture` has no network: its head reads texture alone. With continuation the first half of the
    epochs belongs to a network of half the steps ("time"), to sections of half the resolution ("space"), or
    to both; in time the last network has four steps a stage in place of three.

    Raises:    ConfigError for numbers or a recipe with which nothing can be learned; FileError where the
               folder cannot be written
    Cost:      about 25 minutes on two cores with the default numbers; 15 MB an earth
    """
    _check(out, recipe, earths, epochs, seed, continuation)
    start = time.monotonic()

    def told(text: str) -> None:
        say(f"{(time.monotonic() - start) / 60:5.1f} min  {text}")

    lessons = [lesson(seed, n) for n in range(earths)]
    told(f"{earths} earths made")
    learned, held_out = lessons[:-HELD_OUT], lessons[-HELD_OUT:]
    net: Network | None = None
    loss: float | None = None
    if recipe != TEXTURE:
        net, loss = features(learned, held_out, recipe, epochs, seed, told, continuation)
    prior, scale, gain = head(learned, held_out, net, seed, told)
    blank = Shipped(
        net,
        prior,
        scale,
        Terms(),
        Trust(tuple(np.eye(len(SIGNS))[1]), (5.0,) + (0.0,) * 5),
    )
    shipped = calibrated(blank, held_out, seed, told)
    about = {
        "command": f"wellposed pretrain --recipe {recipe} --earths {earths} --epochs {epochs} --seed {seed}"
        + (f" --continuation {continuation}" if continuation != "none" else ""),
        "minutes": round((time.monotonic() - start) / 60, 1),
        "matching_loss": None if loss is None else round(loss, 4),
        "nats_a_trace": gain,
    }
    write_shipped(shipped, out, about | versions())
    files = [n for n in (NET, HEAD) if (out / n).exists()]
    write_shipped(shipped, out, about | versions() | {"hash": {n: _hash(out / n) for n in files}})
    told(f"written to {out}")
    return shipped


def _check(out: Path, recipe: str, earths: int, epochs: int, seed: int, continuation: str) -> None:
    """Refuse at once what would fail after minutes; make the folder."""
    known = [*BODIES, TEXTURE]
    fewest = 1 if continuation == "none" else 2
    least = (("earths", earths, HELD_OUT + 1), ("epochs", epochs, fewest), ("seed", seed, 0))
    wrong = [(f"--{name} {n}", f"at least {few}") for name, n, few in least if n < few]
    if recipe not in known:
        wrong.append((f"--recipe {recipe}", ", ".join(known)))
    if continuation != "none" and recipe in ("unet", TEXTURE):
        wrong.append(
            (f"--continuation {continuation} --recipe {recipe}", "a recipe with steps: imex, residual")
        )
    if continuation not in CONTINUATIONS:
        wrong.append((f"--continuation {continuation}", ", ".join(CONTINUATIONS)))
    for given, expected in wrong:
        raise ConfigError(
            "nothing can be learned so", given=given, expected=expected, way_out="give another value"
        )
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as e:
        raise FileError(
            "the weights cannot be written",
            given=f"{out}: {e.strerror}",
            expected="a folder that can be written",
            way_out="choose another --out",
        ) from e


def features(
    learned: Sequence[Lesson],
    held_out: Sequence[Lesson],
    recipe: str,
    epochs: int,
    seed: int,
    say: Say,
    continuation: str = "none",
) -> tuple[Network, float]:
    """Network of the features, and its matching loss on held-out earths."""
    refined = CONTINUATIONS[continuation]
    net = feature_network(recipe, seed, steps=2 if {"time", "both"} & {*refined} else STEPS_A_STAGE)
    counts = [epochs // 2, epochs - epochs // 2] if refined else [epochs]
    test = section_batch(held_out, 32, derive_seed(seed, "held out"))

    def sections(epoch_seed: int) -> tuple[Tensor, Any]:
        return section_batch(learned, SECTIONS, epoch_seed)

    levels = [(Stochastic(rate=OneCycle(3e-3, n)), n) for n in counts]
    run = Continuation(levels, refined).fit(net, matching(), sections, seed=seed, held_out=test)
    for record in run:
        if record.epoch % 5 == 4:
            say(f"features {record}")
    assert run.best is not None
    net = run.net
    net.load_state_dict(run.best.weights)
    return net.requires_grad_(False).eval(), float(run.best.record.held_out or 0.0)


def head(
    learned: Sequence[Lesson], held_out: Sequence[Lesson], net: nn.Module | None, seed: int, say: Say
) -> tuple[HeadPrior, tuple[NDArray[np.float32], NDArray[np.float32]], dict[str, float]]:
    """Prior of the head, scale of its channels, and the nats a trace that it gains on held-out earths."""

    def asked(some: Lesson) -> list[Question]:
        found = None if net is None else network_features(net, some.conditioned)
        return questions(some, found, seed)

    train = [q for some in learned for q in asked(some)]
    test = [q for some in held_out for q in asked(some)]
    say(f"{len(train)} questions for the head, {len(test)} held out")
    values = np.concatenate([q.asked[::8, ::5].reshape(-1, q.asked.shape[2]) for q in train]).astype(
        np.float32
    )
    scale = values.mean(axis=0), values.std(axis=0) + np.float32(1e-3)
    prior = HeadPrior(values.shape[1], KINDS, seed=seed)
    width = nn.Parameter(torch.tensor([0.5, 0.5]))
    optimizer = torch.optim.Adam([*prior.parameters(), width], 0.02)
    rng = np.random.default_rng(seed)
    hard = [q for q in train if q.waveform < 0.5]
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # thousands of small Newton steps: threads only wait for one another
    for step in range(STEPS):
        for group in optimizer.param_groups:
            group["lr"] = 0.02 * (1 - 0.95 * step / STEPS)
        optimizer.zero_grad()
        for n in range(BATCH):
            pool = hard if n < NO_WAVEFORM and hard else train
            after, before = _answered(prior, pool[int(rng.integers(len(pool)))], scale, width)
            (-(after + 0.3 * before) / BATCH).backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(prior.parameters(), 1.0)
        optimizer.step()
    torch.set_num_threads(threads)
    prior.requires_grad_(False)
    gain: dict[str, list[float]] = {"waveform": [], "no waveform": []}
    with torch.no_grad():
        for q in test:
            after, before = _answered(prior, q, scale, width)
            gain["waveform" if q.waveform >= 0.5 else "no waveform"].append(float(after - before))
    means = {kind: round(float(np.mean(v)), 3) for kind, v in gain.items() if v}
    say(f"head gains {means} nats a trace over the interpolation")
    return prior, scale, means


def _answered(
    prior: HeadPrior, q: Question, scale: tuple[NDArray[np.float32], NDArray[np.float32]], width: Tensor
) -> tuple[Tensor, Tensor]:
    """Information of the head's density in the asked columns, and of the interpolation alone."""
    read = torch.from_numpy(h.scaled(q.picked, scale))
    place = torch.from_numpy(q.picked_place.astype(np.float32))
    fitted = prior.fit(Columns(read, torch.zeros(read.shape[:2]), place, torch.ones_like(place)))
    near, far = torch.nn.functional.softplus(width)
    spread = near + far * torch.from_numpy(q.distance.astype(np.float32)).sqrt()
    base = -torch.from_numpy(q.lag) / spread[:, None]
    truth = torch.from_numpy(q.asked_place.astype(np.float32))
    columns = Columns(torch.from_numpy(h.scaled(q.asked, scale)), base, truth, torch.ones_like(truth))
    after = information(log_density(*fitted, columns.features, base), columns)
    return after, information(torch.log_softmax(base, dim=1), columns)


def versions() -> dict[str, str]:
    """Of this package and of torch."""
    from wellposed import __version__

    return {"wellposed": __version__, "torch": torch.__version__.split("+")[0]}


def _hash(path: Path) -> str:
    return hashlib.blake2b(path.read_bytes(), digest_size=16).hexdigest()
