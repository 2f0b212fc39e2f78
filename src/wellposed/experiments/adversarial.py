"""Are networks that are differential equations harder to fool? Four attacks, at equal clean accuracy."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from wellposed.control import Control
from wellposed.data import read_cifar10
from wellposed.dynamics import Dynamics, Hamiltonian, Parabolic, Reaction, SingleReaction, SingleResidual
from wellposed.errors import StepError
from wellposed.experiments import adversarial_pictures as told
from wellposed.experiments.adversarial_pictures import FAR, GRADIENT, MAIN, Seen
from wellposed.experiments.setting import Outcome, Setting
from wellposed.integrators import IMEX, Euler, Integrator, Verlet
from wellposed.learning import CrossEntropy, Fit, Labels, OneCycle, derive_seed, fit, generator, score
from wellposed.learning.batches import Batch
from wellposed.learning.checkpoint import read_checkpoint, weights_of, write_checkpoint
from wellposed.network import Classify, Network, Normed, Part, Pool, Stage
from wellposed.network.part import seeded, still
from wellposed.operators import Conv, Stencil
from wellposed.stability import FGSM, Attack, ProjectedGradient, SquareAttack, TransferAttack

# One convolution a step, no norm inside, which would take from two of them what is known of their stability:
# the equation differs, and that operators of those two are kept within the bound of their steps.
KINDS: Mapping[str, tuple[Callable[[Conv], Dynamics], Integrator]] = {
    "residual": (lambda K: SingleResidual(K, "tanh"), Euler()),
    "parabolic": (lambda K: Parabolic(K, "tanh"), Euler()),
    "Hamiltonian": (lambda K: Hamiltonian(K, "tanh"), Verlet()),
    "diffusion-reaction": (lambda K: SingleReaction(K, Stencil(K.channels), "tanh"), IMEX()),
}
TIME, STEPS = 1.0, 4  # a quarter a step: |K| up to 2.8 keeps Euler within its bound for the parabolic network
BOX = (0.0, 1.0)  # of what an image holds
TOGETHER = 125  # images in an attack
WHAT = "CIFAR-10: the published binary files, or packed ones with 1,000 images of the test without loss"


class Size(NamedTuple):
    """How much is done."""

    channels: tuple[int, ...] = (16, 32, 64)
    classes: int = 10
    learn: int = 10_000
    choose: int = 2_000  # images by which rates are chosen, and where networks are stopped
    test: int = 1_000
    few: int = 200  # of these, for the attack without gradient
    batch: int = 64
    epochs: int = 14
    trial: int = 2  # epochs with each rate
    rates: tuple[float, ...] = (0.02, 0.06, 0.2)
    steps: int = 20
    restarts: int = 3
    queries: int = 500
    between: tuple[float, ...] = (0.5, 1.0, 4.0)  # radii of the curve, besides those of all attacks


QUICK = Size(
    (8,), 3, 256, 90, 80, 40, batch=16, epochs=3, rates=(0.1,), steps=4, restarts=1, queries=20, between=()
)


class Data(NamedTuple):
    """Images and classes to learn from, to choose by, and to be judged by."""

    learn: Batch
    choose: Batch
    test: Batch


def network(size: Size, kind: str, seed: int) -> nn.Module:
    """Return a network before training: opening, a stage at each resolution, mean over the image, head.

    Images stay as they are, from 0 to 1: the batch norm of the opening takes their mean away, so that
    radii are in pixels. theta(t) has a node at the start of each step, whatever the integrator asks for.
    """
    last = len(size.channels) - 1
    with seeded(seed):
        parts: list[Part] = [Normed(3, size.channels[0], width=3), Pool(size.channels[0])]
        for place, here in enumerate(size.channels):
            there = size.channels[min(place + 1, last)]
            parts += [_stage(kind, here), Normed(here, there), Pool(there, whole=place == last)]
        return Network(*parts, Classify(size.channels[-1], size.classes))


Build = Callable[[Size, str, int], nn.Module]
Nets = Mapping[str, nn.Module]


def run(setting: Setting, build: Build = network) -> Outcome:
    """Train each network on each seed, stop all at the accuracy that the weakest reaches, attack them."""
    size = setting.pick(Size(), QUICK)
    data = _drawn(size) if setting.quick else _photographs(setting, size)
    work = _Work(setting, size, data, build)
    found: dict[int, Seen] = {}
    for place, seed in enumerate(setting.seeds):
        others = setting.seeds[place + 1 :] + setting.seeds[:place]
        found[seed] = work.seen(seed, others[0] if others else seed + 1)
    tables = {"networks": told.networks(found), "attacks": told.table(found)}
    pictures = {"attacks": told.shares(found), "gains": told.gains(found), "radius": told.curve(found)}
    return Outcome(told.measures(found), tables, pictures)


def _stage(kind: str, channels: int) -> Stage:
    """Return a stage; `fit` keeps its steps within their bound, where there is one."""
    make, integrator = KINDS[kind]
    f = make(Conv(channels, boundary="zero"))
    theta = f.start()
    if "D" in theta:  # a stencil whose weights are all drawn would diffuse everything away
        theta["D"] = Reaction(Conv(channels), Stencil(channels)).start()["d"].sinh()
    control = Control.constant(theta, [TIME * step / STEPS for step in range(STEPS)])
    return Stage(f, integrator, time=TIME, steps=STEPS, control=control, bound="report")


def _photographs(setting: Setting, size: Size) -> Data:
    folder = setting.needs_data(WHAT)
    images, labels = read_cifar10(folder, split="train", count=size.learn + size.choose)
    first, rest = slice(0, size.learn), slice(size.learn, None)
    test = read_cifar10(folder, split="test", count=size.test)
    return Data((images[first], labels.take(first)), (images[rest], labels.take(rest)), test)


def _drawn(size: Size) -> Data:
    """Draw small noisy images, each a little red, green or blue."""
    draw = generator(0, "colours")

    def some(count: int) -> Batch:
        classes = torch.randint(size.classes, (count,), generator=draw)
        colour = nn.functional.one_hot(classes, 3)[:, :, None, None]
        noise = torch.randn(count, 3, 8, 8, generator=draw)
        return (0.5 + 0.05 * colour + 0.1 * noise).clamp(0, 1), Labels(classes)

    return Data(some(size.learn), some(size.choose), some(size.test))


@dataclass(frozen=True, eq=False)
class _Work:
    """What is done for a seed: networks are trained, stopped and attacked, each piece once."""

    setting: Setting
    size: Size
    data: Data
    build: Build

    def seen(self, seed: int, other: int) -> Seen:
        """Return what each network gets right under each attack, and how it was trained.

        Transferred are images that fool the network of the same kind of another seed, and those that fool
        the residual one of it, whose gradient is a plain one: an image has to survive both.
        """
        trained = {kind: self.trained(kind, seed) for kind in KINDS}
        mark = min(max(value["chosen by"]) for value in trained.values())
        nets, seen = {}, {}
        for kind, value in trained.items():
            epoch = next(k for k, share in enumerate(value["chosen by"], 1) if share >= mark)
            nets[kind] = self.at(kind, seed, epoch)
            seen[kind] = {**value, "epoch": epoch, "mark": mark}
        for kind in KINDS:
            self.trained(kind, other)
        for kind, net in nets.items():
            attacked = partial(self.attacked, net)
            seen[kind]["right"] = self.setting.piece(f"{_name(kind, seed)}, attacks", attacked)
        for radius in (MAIN, FAR):
            survived: dict[str, list[bool]] = {}
            for kind in KINDS:
                source = self.at(kind, other, self.size.epochs)
                fooled = nets if kind == "residual" else {kind: nets[kind]}
                name = f"transfer from {kind}, seed {seed}, {radius:g} of 255"
                moved = self.setting.piece(name, partial(self.transferred, fooled, source, radius))
                for name, right in moved.items():
                    before = survived.get(name, right)
                    survived[name] = [a and b for a, b in zip(before, right, strict=True)]
            for kind, right in survived.items():
                seen[kind]["right"][f"transfer {radius:g}"] = right
        return seen

    def trained(self, kind: str, seed: int) -> dict[str, Any]:
        """Return accuracies at the end of each epoch, and what else is known of the training."""
        rates = dict.fromkeys(self.size.rates, 0.0)
        for rate in rates if len(rates) > 1 else ():
            name = f"{kind}, rate {rate:g}"
            rates[rate] = self.setting.piece(name, partial(self.tried, kind, rate, name))
        rate = max(rates, key=lambda rate: rates[rate])
        return self.setting.piece(_name(kind, seed), partial(self.train, kind, rate, seed))

    def tried(self, kind: str, rate: float, name: str) -> float:
        """Return the accuracy with a rate after a short training; nothing where it is lost on the way."""
        net = self.build(self.size, kind, 0)
        try:
            for _ in self.fit(net, rate, 0, self.size.trial, name):
                pass
        except StepError:
            return 0.0
        self.settle(net)
        return score(net, *self.data.choose, batch=TOGETHER).accuracy

    def train(self, kind: str, rate: float, seed: int) -> dict[str, Any]:
        """Train a network and keep its weights at the end of each epoch."""
        net, name = self.build(self.size, kind, seed), _name(kind, seed)
        going = self.fit(net, rate, seed, self.size.epochs, name)

        def keep() -> None:
            self.settle(net)
            write_checkpoint(self.point(kind, seed, len(going.records)), weights_of(net), {})

        keep()  # of a run that was interrupted the last epoch may not have been kept
        for _ in going:
            keep()
        points = [self.at(kind, seed, epoch) for epoch in range(1, self.size.epochs + 1)]
        return {
            "chosen by": [score(point, *self.data.choose, batch=TOGETHER).accuracy for point in points],
            "rate": rate,
            "weights": sum(weight.numel() for weight in net.parameters()),
            "seconds": sum(record.seconds for record in going.records),
            "ratio": max((record.ratio or 0.0 for record in going.records), default=0.0),
        }

    def fit(self, net: nn.Module, rate: float, seed: int, epochs: int, name: str) -> Fit:
        """Return the fit: each image is shown as it is or mirrored, anew each epoch."""
        images, labels = self.data.learn

        def mirrored(seed: int) -> Batch:
            turn = torch.rand(len(images), 1, 1, 1, generator=generator(seed, "mirror")) < 0.5
            return torch.where(turn, images.flip(-1), images), labels

        go = partial(fit, net, CrossEntropy(), mirrored, batch=self.size.batch, optimizer="sgd", bound="keep")
        kept = self.setting.checkpoint(name)
        return go(epochs=epochs, seed=seed, rate=OneCycle(rate, epochs), checkpoint=kept)

    @torch.no_grad()
    def settle(self, net: nn.Module) -> None:
        """Let batch norms gather their averages anew: operators may have been made smaller since."""
        for part in torch.split(self.data.learn[0], self.size.batch)[:30]:
            net(part)

    def point(self, kind: str, seed: int, epoch: int) -> Path:
        return self.setting.checkpoint(f"{_name(kind, seed)}, epoch {epoch}")

    def at(self, kind: str, seed: int, epoch: int) -> nn.Module:
        """Return a network as it was at the end of an epoch."""
        net = self.build(self.size, kind, seed)
        net.load_state_dict(read_checkpoint(self.point(kind, seed, epoch))[0])
        return net.eval()

    def attacked(self, net: nn.Module) -> dict[str, list[bool]]:
        """Return which images are right as they are, and still right under each attack of this network."""
        size, clean = self.size, _right(net, *self.data.test)
        few = clean & (torch.arange(len(clean)) < size.few)
        once = partial(ProjectedGradient, limits=BOX, steps=size.steps, restarts=1)
        right = {"clean": clean}
        for radius in (MAIN, FAR):
            r = radius / 255
            square = SquareAttack(r, BOX, queries=size.queries)
            right[f"FGSM {radius:g}"] = self.survive(net, clean, [FGSM(r, BOX)])
            right[f"{GRADIENT} {radius:g}"] = self.survive(net, clean, [once(r)] * size.restarts)
            right[f"square {radius:g}"] = self.survive(net, few, [square])[: size.few]
        for radius in size.between:
            survives = self.survive(net, few, [once(radius / 255)] * size.restarts)
            right[f"{GRADIENT} {radius:g}"] = survives[: size.few]
        return {attack: values.tolist() for attack, values in right.items()}

    def survive(self, net: nn.Module, right: Tensor, attacks: Sequence[Attack]) -> Tensor:
        """Return which images are right still; one that was fooled is not attacked again."""
        images, labels = self.data.test
        right = right.clone()
        for number, attack in enumerate(attacks):
            for part in torch.split(right.nonzero()[:, 0], TOGETHER):
                truth = labels.take(part)
                moved = attack(net, images[part], truth, seed=derive_seed(number, int(part[0])))
                right[part] = _right(net, moved, truth)
        return right

    def transferred(self, nets: Nets, source: nn.Module, radius: float) -> dict[str, list[bool]]:
        """Return for each network which images it gets right that were made to fool another one."""
        images, labels = self.data.test
        by = ProjectedGradient(radius / 255, BOX, steps=self.size.steps, restarts=self.size.restarts)
        attack = TransferAttack(by, source)
        right: dict[str, list[bool]] = {kind: [] for kind in nets}
        for part in torch.split(torch.arange(len(images)), TOGETHER):
            truth = labels.take(part)
            moved = attack(source, images[part], truth, seed=int(part[0]))  # it asks no network but its own
            for kind, net in nets.items():
                right[kind] += (_right(net, moved, truth) & _right(net, images[part], truth)).tolist()
        return right


def _right(net: nn.Module, images: Tensor, labels: Labels) -> Tensor:
    """Return which images are taken for their class."""
    with still(net), torch.no_grad():
        said = [net(part).argmax(1) for part in torch.split(images, TOGETHER)]
    return torch.cat(said) == labels.values


def _name(kind: str, seed: int) -> str:
    return f"{kind}, seed {seed}"
