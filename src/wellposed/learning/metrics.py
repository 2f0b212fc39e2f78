"""How well a network tells classes apart."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from wellposed.errors import ConfigError, ShapeError, StepError
from wellposed.learning.labels import Labels
from wellposed.learning.objective import check_places
from wellposed.network.part import still


@dataclass(frozen=True)
class Score:
    """From counts M[i, j] of known places of class i that were taken for class j, over all examples at once.

        accuracy     sum_i M[i, i] / places
        by_class     M[i, i] / sum_j M[i, j], NaN for a class that does not occur in the truth
        mean_iou     intersection over union, M[i, i] / (sum_j M[i, j] + sum_j M[j, i] - M[i, i]); its mean
                     over the classes that occur in the truth or the prediction
        places       sum M

    Reference: Long, Shelhamer, Darrell, Fully convolutional networks, 2015, arXiv:1411.4038
    """

    accuracy: float
    by_class: tuple[float, ...]
    mean_iou: float
    places: int

    def __str__(self) -> str:
        each = " ".join(f"{share:.3f}" for share in self.by_class)
        of = f"of {self.places} places"
        return f"accuracy {self.accuracy:.4f}  by class {each}  mean IoU {self.mean_iou:.4f}  {of}"


def score(net: nn.Module, inputs: Tensor, truth: Labels, *, batch: int = 64) -> Score:
    """Return how often the class with the largest logit is the true one, over the known places only.

    The network is left as it was: no gradient, and no norm learns from what it sees.

    Shapes:    inputs (n, channel, *space), predictions (n, class, *space), truth integers (n, *space)
    Raises:    ShapeError when the truth is no classes, does not fit, or nothing is known; StepError when
               a prediction is no finite number; ConfigError for a batch below 1
    Cost:      a forward pass an example
    """
    if batch < 1:
        raise ConfigError(
            "a score runs over whole batches",
            given=f"batch={batch}",
            expected="at least 1",
            way_out="raise it",
        )
    if len(inputs) != len(truth) or not bool(truth.known.any()):
        known = f"{len(inputs)} inputs, {len(truth)} labels, {int(truth.known.sum())} known places"
        raise ShapeError(
            "a score compares predictions with known labels",
            given=known,
            expected="as many labels as inputs, at least one known place",
            way_out="score where something is known",
        )
    parts = (slice(start, start + batch) for start in range(0, len(inputs), batch))
    with still(net), torch.no_grad():
        counts = [_confusion(net(inputs[part]), truth.take(part)) for part in parts]
    return _summed(torch.stack(counts).sum(0))


def _summed(counts: Tensor) -> Score:
    """Return the score of a whole confusion matrix."""
    counts = counts.double()
    right, true, taken = counts.diagonal(), counts.sum(1), counts.sum(0)
    iou = right / (true + taken - right)
    by_class = tuple((right / true).tolist())
    accuracy = float(right.sum() / counts.sum())
    return Score(accuracy, by_class, float(iou.nanmean()), int(counts.sum()))


def _confusion(prediction: Tensor, truth: Labels) -> Tensor:
    """Count the known places by true class (rows) and by the class that they are taken for (columns)."""
    first = prediction.movedim(1, 0)
    fits = first.shape[1:] == truth.values.shape
    check_places("a score", tuple(prediction.shape), "(n, class, *space) and (n, *space)", truth, fits)
    logits, classes, count = first[:, truth.known], truth.values[truth.known], len(first)
    _check_classes(truth, classes, count)
    if not bool(logits.isfinite().all()):
        raise StepError(
            "a prediction is no finite number, and so of no class",
            given=f"{int((~logits.isfinite()).sum())} of {logits.numel()} logits at known places",
            expected="finite numbers",
            way_out="go back to weights from before the network left them, or look at the inputs",
        )
    pairs = count * classes.long() + logits.argmax(0)
    return torch.bincount(pairs, minlength=count * count).reshape(count, count)


def _check_classes(truth: Labels, classes: Tensor, count: int) -> None:
    whole = not classes.is_floating_point() and truth.std is None
    if len(classes) and not (whole and 0 <= classes.min() <= classes.max() < count):
        told = "" if truth.std is None else " with a std"
        raise ShapeError(
            "these labels are no classes of the prediction",
            given=f"{classes.dtype} from {float(classes.min()):g} to {float(classes.max()):g}{told}",
            expected=f"integers from 0 to {count - 1} without std, one for each channel of the prediction",
            way_out="number the classes from 0; real values and positions are judged by their own errors",
        )
