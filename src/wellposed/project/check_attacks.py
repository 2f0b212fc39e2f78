"""How many classes a network keeps where its input is moved against it; nobody's labels are needed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from wellposed.errors import UserError
from wellposed.learning import Labels
from wellposed.network import Classify, Network
from wellposed.network.part import still
from wellposed.stability import (
    FGSM,
    Attack,
    ProjectedGradient,
    SquareAttack,
    TransferAttack,
    robustness,
)

if TYPE_CHECKING:
    from torch import Tensor

SHARE = 0.1  # of the std of the input, that each sample may move by
STEPS, RESTARTS, QUERIES = 10, 2, 100
EXAMPLES = 16


def under_attack(net: Network, y: Tensor) -> dict[str, Any]:
    """Return which share of the predicted classes stays where each sample moves by a tenth of their std.

    As it predicts without an attack counts as right, so that it is asked of stability and not of truth. An
    attack is transferred from the same equation in twice the steps: what fools only one of the two is an
    error of its discretisation. `refused` says why where there is nothing to attack.
    """
    last = list(net.parts)[-1]
    if not isinstance(last, Classify):
        return {"refused": f"the network ends with {type(last).__name__}, which tells no classes apart"}
    y = y[:EXAMPLES]
    radius = SHARE * float(y.std(correction=0))
    with still(net), torch.no_grad():
        logits = net(y)
    if radius == 0:
        return {"refused": "the input is one number everywhere, so that nothing says how far to move it"}
    if bool((logits == logits[:, :1]).all()):
        return {"refused": "all classes are equal to it, as before any training"}
    try:
        by = ProjectedGradient(radius, steps=STEPS, restarts=RESTARTS)
        attacks: dict[str, Attack] = {
            "FGSM": FGSM(radius),
            "projected gradient": by,
            "square": SquareAttack(radius, queries=QUERIES),
            "transfer": TransferAttack(by, net.replace(bound="report").refine().eval()),
        }
        found = robustness(net, y, Labels(logits.argmax(1)), attacks)
    except UserError as e:
        return {"refused": f"{e.wrong}: {e.given}"}
    kept = {name: found.accuracy[name] for name in attacks}
    return {"radius": radius, "kept": kept, "warnings": list(found.warnings), "text": _text(kept)}


def _text(kept: dict[str, float]) -> str:
    told = ", ".join(f"{name} {100 * share:.1f} %" for name, share in kept.items())
    return f"keeps its classes where each sample moves by {SHARE:g} of their std: {told}"
