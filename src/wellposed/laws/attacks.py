"""The law of attacks: they stay in their ball, repeat by seed, and never make better what they ask."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from wellposed.laws.law import hold, pure
from wellposed.learning import Labels
from wellposed.stability.attack import Attack


def attacked(attack: Attack, net: nn.Module, y: Tensor, labels: Labels, *, allowed: float = 1e-12) -> float:
    """Attacked inputs lie in the ball, are the same for the same seed, and no easier to get right.

    The last is asked of attacks that ask the network. Returns how far they leave the ball.

    Shapes:    y (batch, channel, *space) in float64
    Raises:    LawError
    """
    name = type(attack).__name__

    def call(inputs: Tensor, seed: Any) -> Tensor:
        return attack(net, inputs, labels, seed=seed)

    pure(call, y, 1)
    x, ball = call(y, 0), attack.ball
    low, high = ball.limits or (-torch.inf, torch.inf)
    beyond = (x - y).abs() - ball.radius
    miss = float(torch.stack([beyond.max(), low - x.min(), x.max() - high]).max())
    hold("attacked", name, f"a ball of radius {ball.radius:g}", "inputs beyond", miss=miss, allowed=allowed)
    if attack.sees != "nothing":
        losses = attack.losses(net, labels)
        with torch.no_grad():
            lost = float((losses(y) - losses(x)).max())
        hold("attacked", name, "a loss at the inputs", "less of it attacked", miss=lost, allowed=allowed)
    return miss
