"""Toys and image sets, the share of labels that is kept, and the score."""

import io
from dataclasses import FrozenInstanceError
from math import isnan, pi

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import wellposed as wp
from refusals import four_lines
from wellposed.errors import ConfigError, FileError, ShapeError, StepError
from wellposed.learning import Labels, Score

TOYS = {"ellipses": 2, "swiss_roll": 2, "peaks": 5}


# ---- toys


@pytest.mark.parametrize(("name", "classes"), TOYS.items())
def test_toys_are_seeded_and_balanced_and_draw_nothing_global(name, classes):
    toy, before = getattr(wp.data, name), torch.get_rng_state()
    (y, labels), (again, same) = toy(123, seed=3), toy(123, seed=3)
    assert torch.equal(before, torch.get_rng_state())
    assert y.shape == (123, 2)
    assert y.dtype == torch.float32
    assert labels.values.shape == (123,)
    assert labels.values.dtype == torch.int64
    assert bool(labels.known.all())
    assert torch.equal(y, again)
    assert torch.equal(labels.values, same.values)
    assert not torch.equal(y, toy(123, seed=4)[0])
    counts = torch.bincount(labels.values)
    assert len(counts) == classes
    assert counts.max() - counts.min() <= 1
    assert len(toy(1, seed=0)[1]) == 1
    # Shuffled: any part of them holds every class.
    assert len(labels.values[:40].unique()) == classes
    with pytest.raises(ConfigError) as error:
        toy(0, seed=0)
    assert "`n` counts something" in four_lines(error)


def of_ellipses(y):
    return (torch.hypot(y[:, 0], y[:, 1] / 0.4) > 1).long()


def of_swiss_roll(y):
    """The curve whose angle 4 pi t is that of the point, for t = r and for t = r - 0.2; -1 for neither."""
    r, angle = torch.hypot(*y.T), torch.atan2(y[:, 1], y[:, 0])
    off = [(1 - torch.cos(4 * pi * (r - start) - angle)).abs() for start in (0.0, 0.2)]
    return torch.where(torch.minimum(*off) < 1e-5, (off[1] < off[0]).long(), -1)


def of_peaks(y):
    """Bands of the height as the formula is printed for MATLAB's `peaks`; its extremes over the plane."""
    x, y = y.double().numpy().T
    z = 3 * (1 - x) ** 2 * np.exp(-(x**2) - (y + 1) ** 2)
    z -= 10 * (x / 5 - x**3 - y**5) * np.exp(-(x**2) - y**2)
    z -= 1 / 3 * np.exp(-((x + 1) ** 2) - y**2)
    low, high = -6.5511, 8.1062
    return torch.from_numpy(np.clip((5 * (z - low) / (high - low)).astype(np.int64), 0, 4))


CLASS_OF = {"ellipses": of_ellipses, "swiss_roll": of_swiss_roll, "peaks": of_peaks}


@pytest.mark.parametrize("name", TOYS)
def test_toys_lie_where_the_formula_says(name):
    y, labels = getattr(wp.data, name)(2000, seed=0)
    agree = (CLASS_OF[name](y) == labels.values).double().mean()
    # The grid of the peaks meets their extremes to three digits: a point on an edge may fall to either side.
    assert agree > (0.998 if name == "peaks" else 0.9999)
    assert (CLASS_OF[name](y.flip(1)) == labels.values).double().mean() < 0.9
    reach = {"ellipses": 2.0, "swiss_roll": 1.2, "peaks": 3.0}[name]
    assert 0.95 * reach < y.abs().max() <= reach + 1e-6


def test_no_stretch_of_the_swiss_roll_is_left_out():
    y, labels = wp.data.swiss_roll(400, seed=1)
    for k in (0, 1):
        r = torch.hypot(*y[labels.values == k].T).sort().values
        assert torch.diff(r).max() <= 2 / 200 + 1e-6


# ---- Q-tips

GREYS = {64: 0.0, 128: 3.0, 255: 3 * 191 / 64, 1: -3 * 63 / 64}


def ends_decide(images, labels):
    """Whether every stick has its class all over, and the ends that its class says, one on either side."""
    for image, label in zip(images[:, 0], labels.values, strict=True):
        kind = int(label.max())
        if not torch.equal((image == 0), (label == 0)) or not bool(((label == 0) | (label == kind)).all()):
            return False
        white, black = (image > 3), (image < 0)
        if bool(white.any()) != (kind in (1, 2)) or bool(black.any()) != (kind in (2, 3)):
            return False
    return True


@pytest.mark.parametrize("size", [32, 33, 64])
def test_qtips_are_sticks_whose_ends_decide(size):
    images, labels = wp.data.qtips(60, seed=0, size=size)
    assert images.shape == (60, 1, size, size)
    assert images.dtype == torch.float32
    assert labels.values.shape == (60, size, size)
    kinds = labels.values.flatten(1).max(1).values
    assert torch.bincount(kinds).tolist() == [0, 20, 20, 20]
    assert ends_decide(images, labels)
    assert not ends_decide(images, Labels(labels.values % 3 + (labels.values > 0)))
    # Nothing touches the rim.
    assert not labels.values[:, [0, -1]].any()
    assert not labels.values[:, :, [0, -1]].any()


def test_qtips_are_as_the_published_ones():
    """Shares and sizes of the 1024 images that were published, which are no part of this package."""
    images, labels = wp.data.qtips(512, seed=1)
    stick = labels.values > 0
    assert float(stick.double().mean()) == pytest.approx(0.0615, rel=0.05)
    places = stick.flatten(1).sum(1)
    assert 112 <= places.min()
    assert places.max() <= 59 * 7 + 20
    shares = {128: 193388, 255: 31098, 1: 33310}
    for grey, count in shares.items():
        here = (images - GREYS[grey]).abs() < 1e-5
        assert float(here.double().mean()) == pytest.approx(count / 1024 / 64**2, rel=0.1)
    assert sum(int(((images - level).abs() < 1e-5).sum()) for level in GREYS.values()) == images.numel()
    assert float(images.mean()) == pytest.approx(0.2, abs=0.03)
    assert float(images.std()) == pytest.approx(1.0, abs=0.05)


def test_the_middle_of_a_stick_sees_no_end():
    """In a window of 15 around the centre all images have the same three greys: it cannot tell the class."""
    images, labels = wp.data.qtips(90, seed=0)
    window = images[:, 0, 25:40, 25:40]
    assert set(window.unique().tolist()) == {0.0, 3.0}
    assert bool((labels.values[:, 32, 32] > 0).all())


def test_qtips_repeat_and_draw_nothing_global():
    before = torch.get_rng_state()
    (images, labels), (again, same) = wp.data.qtips(5, seed=2), wp.data.qtips(5, seed=2)
    assert torch.equal(before, torch.get_rng_state())
    assert torch.equal(images, again)
    assert torch.equal(labels.values, same.values)
    assert not torch.equal(images, wp.data.qtips(5, seed=3)[0])


def test_qtips_refuse_what_cannot_be_drawn():
    with pytest.raises(ConfigError) as error:
        wp.data.qtips(4, seed=0, size=16)
    assert "size=16" in four_lines(error)
    with pytest.raises(ConfigError) as error:
        wp.data.qtips(0, seed=0)
    assert "n=0" in four_lines(error)


# ---- the reader of the published images


def write(folder, images, labels, split="train"):
    np.savez_compressed(folder / f"qtips_{split}.npz", images=images, labels=labels)
    return folder


def published():
    images = np.full((2, 6, 6), 64, np.uint8)
    images[:, 2, 1:5] = 255, 128, 128, 1
    return images, np.where(images == 64, 0, 2).astype(np.uint8)


def test_read_qtips_gives_what_qtips_gives(tmp_path):
    greys, classes = published()
    images, labels = wp.data.read_qtips(write(tmp_path, greys, classes, "val"), split="val")
    assert images.shape == (2, 1, 6, 6)
    assert images.dtype == torch.float32
    expected = [0.0, GREYS[255], 3.0, 3.0, GREYS[1], 0.0]
    assert images[0, 0, 2].tolist() == pytest.approx(expected)
    assert labels.values.dtype == torch.int64
    assert torch.equal(labels.values, torch.from_numpy(classes).long())
    assert bool(labels.known.all())
    assert ends_decide(images, labels)


def test_read_qtips_refuses_another_split_or_no_file(tmp_path):
    with pytest.raises(ConfigError) as error:
        wp.data.read_qtips(tmp_path, split="trian")
    assert "write train" in four_lines(error)
    with pytest.raises(FileError) as error:
        wp.data.read_qtips(tmp_path / "none")
    assert "No such file" in four_lines(error)
    assert "qtips_train.npz" in str(error.value)
    (tmp_path / "qtips_train.npz").write_text("nothing of the kind")
    with pytest.raises(FileError) as error:
        wp.data.read_qtips(tmp_path)
    four_lines(error)
    whole = write(tmp_path, *published()) / "qtips_train.npz"
    damaged = bytearray(whole.read_bytes())
    damaged[60:70] = bytes(10)
    whole.write_bytes(damaged)
    with pytest.raises(FileError) as error:
        wp.data.read_qtips(tmp_path)
    four_lines(error)
    np.save(tmp_path / "one.npy", np.zeros(3))
    (tmp_path / "one.npy").rename(tmp_path / "qtips_train.npz")
    with pytest.raises(FileError) as error:
        wp.data.read_qtips(tmp_path)
    four_lines(error)
    np.savez(tmp_path / "qtips_train.npz", images=np.zeros((1, 2, 2)))
    with pytest.raises(FileError) as error:
        wp.data.read_qtips(tmp_path)
    assert "labels" in four_lines(error)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda x, y: (x, y[:, :5]), "labels of shape (2, 5, 6)"),
        (lambda x, y: (x[0], y[0]), "images of shape (6, 6)"),
        (lambda x, y: (x[:0], y[:0]), "images of shape (0, 6, 6)"),
        (lambda x, y: (x, 2 * y), "labels of uint8, from 0 to 4"),
        (lambda x, y: (x / 255, y), "images of float64"),
        (lambda x, y: (x.astype(str), y), "images of <U"),
        (lambda x, y: (x.astype(int) + 1, y), "images of int64, from 2 to 256"),
    ],
)
def test_read_qtips_refuses_wrong_shapes_and_values(tmp_path, change, said):
    with pytest.raises(FileError) as error:
        wp.data.read_qtips(write(tmp_path, *change(*published())))
    assert said in four_lines(error)


# ---- the reader of CIFAR-10


def photographs(n=3):
    return np.random.default_rng(0).integers(256, size=(n, 3, 32, 32), dtype=np.uint8), np.arange(
        n, dtype=np.uint8
    )


def write_binary(folder, name="data_batch_1.bin", n=3):
    images, classes = photographs(n)
    (folder / name).write_bytes(np.hstack([classes[:, None], images.reshape(n, -1)]).tobytes())
    return images, classes


def write_packed(folder, **changes):
    # Grey all over: JPEG keeps that.
    greys = [40, 90, 200]
    files = []
    for grey in greys:
        file = io.BytesIO()
        Image.new("RGB", (32, 32), (grey, grey, grey)).save(file, "JPEG")
        files.append(np.frombuffer(file.getvalue(), np.uint8))
    offsets = np.cumsum([0, *map(len, files)])
    given = {"blob": np.concatenate(files), "offsets": offsets, "labels": np.array([4, 2, 9], np.uint8)}
    np.savez(folder / "cifar10_train_jpeg.npz", **{**given, **changes})
    images, classes = photographs()
    whole = {"test_images": images.transpose(0, 2, 3, 1), "test_labels": classes}
    np.savez(folder / "cifar10_lossless_part.npz", **{**whole, **changes})
    return greys, images, classes


def test_read_cifar10_gives_the_published_photographs_in_their_order(tmp_path):
    images, classes = write_binary(tmp_path)
    write_binary(tmp_path, "data_batch_2.bin", 2)
    y, labels = wp.data.read_cifar10(tmp_path, count=3)
    assert torch.equal((255 * y).round().to(torch.uint8), torch.from_numpy(images))
    assert labels.values.tolist() == classes.tolist()
    y, labels = wp.data.read_cifar10(tmp_path, count=5)
    assert labels.values.tolist() == [0, 1, 2, 0, 1]
    write_binary(tmp_path, "test_batch.bin", 4)
    assert len(wp.data.read_cifar10(tmp_path, split="test")[0]) == 4


def test_read_cifar10_reads_packed_ones(tmp_path):
    greys, images, classes = write_packed(tmp_path)
    y, labels = wp.data.read_cifar10(tmp_path)
    assert (255 * y).round().amax((1, 2, 3)).tolist() == greys
    assert labels.values.tolist() == [4, 2, 9]
    assert len(wp.data.read_cifar10(tmp_path, count=2)[0]) == 2
    y, labels = wp.data.read_cifar10(tmp_path, split="test", count=2)
    assert torch.equal((255 * y).round().to(torch.uint8), torch.from_numpy(images[:2]))
    assert labels.values.tolist() == classes[:2].tolist()


def test_read_cifar10_refuses_what_it_is_not(tmp_path):
    with pytest.raises(ConfigError) as error:
        wp.data.read_cifar10(tmp_path, split="val")
    assert "train or test" in four_lines(error)
    with pytest.raises(ConfigError) as error:
        wp.data.read_cifar10(tmp_path, count=0)
    four_lines(error)
    with pytest.raises(FileError) as error:
        wp.data.read_cifar10(tmp_path / "none")
    assert "No such file" in four_lines(error)
    write_packed(tmp_path)
    with pytest.raises(FileError) as error:
        wp.data.read_cifar10(tmp_path, count=4)
    assert "3 images where 4 are asked for" in four_lines(error)
    write_packed(tmp_path, blob=np.zeros(2000, np.uint8))
    with pytest.raises(FileError) as error:
        wp.data.read_cifar10(tmp_path)
    assert "it cannot be read" in four_lines(error)
    write_packed(tmp_path, test_labels=np.array([1, 2, 10], np.uint8))
    with pytest.raises(FileError) as error:
        wp.data.read_cifar10(tmp_path, split="test")
    assert "from 1 to 10" in four_lines(error)
    for wrong in ({"test_labels": np.array([1, 256, 2])}, {"test_labels": np.zeros(0, np.uint8)}):
        write_packed(tmp_path, **wrong)
        with pytest.raises(FileError) as error:
            wp.data.read_cifar10(tmp_path, split="test")
        four_lines(error)
    for name, wrong in (
        ("test_images", np.zeros((3, 32, 32, 3))),
        ("test_images", np.zeros(())),
        ("offsets", 0),
    ):
        write_packed(tmp_path, **{name: wrong})
        with pytest.raises(FileError) as error:
            wp.data.read_cifar10(tmp_path, split="train" if name == "offsets" else "test")
        four_lines(error)
    (tmp_path / "data_batch_1.bin").write_bytes(bytes(3074))
    with pytest.raises(FileError) as error:
        wp.data.read_cifar10(tmp_path)
    assert "3074 bytes" in four_lines(error)
    write_binary(tmp_path)
    with pytest.raises(FileError) as error:
        wp.data.read_cifar10(tmp_path, count=4)
    assert "data_batch_2.bin" in four_lines(error)


# ---- the share that is kept


def test_keep_draws_in_each_example_by_itself():
    known = torch.zeros(3, 20, 20, dtype=torch.bool)
    known[0], known[1, 0, :3] = True, True
    labels = Labels(torch.zeros(3, 20, 20, dtype=torch.long), known)
    kept = labels.keep(0.1, seed=0)
    assert kept.known.flatten(1).sum(1).tolist() == [40, 1, 0]
    assert not (kept.known & ~known).any()
    # What is drawn in an example does not depend on how many others there are.
    assert torch.equal(labels.take(slice(0, 2)).keep(0.1, seed=0).known, kept.known[:2])
    both = Labels(labels.values[:1].repeat(2, 1, 1)).keep(0.1, seed=0).known
    assert not torch.equal(both[0], both[1])


def test_keep_of_points_is_drawn_over_the_examples():
    _, labels = wp.data.swiss_roll(200, seed=0)
    assert int(labels.keep(0.1, seed=0).known.sum()) == 20
    assert int(labels.keep(1e-6, seed=0).known.sum()) == 1


# ---- the score


class Says(nn.Module):
    """A network that is sure of the class that its input says."""

    def __init__(self, classes):
        super().__init__()
        self.classes, self.saw = classes, []

    def forward(self, y):
        self.saw.append((len(y), torch.is_grad_enabled(), self.training))
        return nn.functional.one_hot(y.long(), self.classes).movedim(-1, 1).float()


TRUE = torch.tensor([[0, 0, 0, 1], [1, 2, 2, 0]])
SAID = torch.tensor([[0, 0, 1, 1], [2, 2, 2, 2]])


def test_score_counts_as_by_hand():
    found = wp.score(Says(4), SAID, Labels(TRUE))
    assert found.accuracy == pytest.approx(5 / 8)
    assert found.by_class[:3] == pytest.approx((2 / 4, 1 / 2, 2 / 2))
    assert isnan(found.by_class[3])  # occurs nowhere
    assert found.mean_iou == pytest.approx((2 / 4 + 1 / 3 + 2 / 4) / 3)
    assert found.places == 8
    assert str(found).count("\n") == 0
    assert "accuracy 0.6250" in str(found)
    with pytest.raises(FrozenInstanceError):
        found.accuracy = 1.0


def test_score_sees_known_places_only():
    known = TRUE == SAID
    wrong = Labels(torch.where(known, TRUE, -1), known)
    assert wp.score(Says(3), SAID, wrong) == Score(1.0, (1.0, 1.0, 1.0), 1.0, 5)
    assert wp.score(Says(3), SAID, Labels(TRUE)).accuracy < 1


def test_a_wrong_network_scores_less_and_a_class_that_is_only_predicted_costs():
    truth = Labels(torch.zeros(1, 4, dtype=torch.long))
    assert wp.score(Says(2), torch.tensor([[0, 0, 0, 1]]), truth).mean_iou == pytest.approx(0.75 / 2)
    assert wp.score(Says(2), torch.ones(1, 4), truth).accuracy == 0.0


def test_score_runs_in_batches_without_gradient_and_leaves_the_network():
    net = nn.Sequential(nn.BatchNorm1d(4), nn.Dropout(0.5), Says(3))
    net[1].eval()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    whole = wp.score(net[2], SAID.repeat(5, 1), Labels(TRUE.repeat(5, 1)))
    net[2].saw.clear()
    says = wp.score(net[2], SAID.repeat(5, 1), Labels(TRUE.repeat(5, 1)), batch=4)
    assert net[2].saw == [(4, False, False), (4, False, False), (2, False, False)]
    assert says == whole
    net[0].running_var.fill_(1 - net[0].eps)
    before["0.running_var"] = net[0].running_var.clone()
    assert wp.score(net, SAID.float(), Labels(TRUE)).accuracy == pytest.approx(5 / 8)
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    assert [part.training for part in net] == [True, False, True]


def test_score_of_points():
    y, labels = wp.data.ellipses(50, seed=0)
    net = nn.Linear(2, 2)
    nn.init.zeros_(net.weight)
    net.bias.data = torch.tensor([1.0, 0.0])
    assert wp.score(net, y, labels).by_class == (1.0, 0.0)


@pytest.mark.parametrize(
    ("truth", "said"),
    [
        (Labels(TRUE.double()), "torch.float64"),
        (Labels(TRUE, std=1.0), "with a std"),
        (Labels(TRUE + 1), "from 1 to 3"),
        (Labels(TRUE - 1), "from -1 to 1"),
        (Labels(TRUE[:, :3]), "labels of shape (2, 3)"),
        (Labels(TRUE[:1]), "2 inputs, 1 labels"),
        (Labels(TRUE, torch.tensor(False)), "0 known places"),
    ],
)
def test_score_refuses_labels_that_are_no_classes_or_do_not_fit(truth, said):
    with pytest.raises(ShapeError) as error:
        wp.score(Says(3), SAID, truth)
    assert said in four_lines(error)


def test_score_refuses_predictions_that_are_no_numbers():
    class Lost(nn.Module):
        def forward(self, y):
            return torch.full((len(y), 3, 4), torch.nan)

    with pytest.raises(StepError) as error:
        wp.score(Lost(), SAID, Labels(TRUE))
    assert "no finite number" in four_lines(error)
    with pytest.raises(ConfigError) as error:
        wp.score(Says(3), SAID, Labels(TRUE), batch=0)
    assert "batch=0" in four_lines(error)
