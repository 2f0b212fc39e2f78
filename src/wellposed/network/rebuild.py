"""The same network with other stages."""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from typing import TypeVar, cast

from torch import nn

from wellposed.network.stage import Stage

M = TypeVar("M", bound=nn.Module)


def rebuilt(net: M, change: Callable[[Stage], Stage]) -> M:
    """Return a network with other stages; what is no stage, and holds none, is the same.

    Weights are shared. The names of weights stay as they are.
    """
    known: dict[int, nn.Module] = {}

    def again(module: nn.Module) -> nn.Module:
        if id(module) not in known:  # what stands in two places is one, and stays so
            known[id(module)] = changed(module)
        return known[id(module)]

    def changed(module: nn.Module) -> nn.Module:
        if isinstance(module, Stage):
            return change(module)
        if not any(isinstance(inner, Stage) for inner in module.modules()):
            return module
        other = copy(module)
        # Weights are shared, the tables of their names and of hooks are not.
        tables = {name: copy(held) for name, held in vars(module).items() if isinstance(held, dict)}
        vars(other).update(tables)
        other._modules = {name: child and again(child) for name, child in module._modules.items()}
        return other

    return cast("M", again(net))
