"""Where a fit stands, as one file: tensors in safetensors, the rest as JSON in its header. No pickle."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from wellposed.errors import FileError, RunError


def write_checkpoint(path: Path, tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> None:
    """Write tensors and facts, whole or not at all: a killed write leaves the file of before.

    Raises:    FileError when the file cannot be written
    """
    # A copy each: tied weights share their memory, which the format refuses.
    copies = {name: tensor.detach().cpu().clone().contiguous() for name, tensor in tensors.items()}
    part = path.with_name(path.name + ".part")
    try:
        with open(part, "wb") as file:
            file.write(save(copies, {"fit": json.dumps(facts)}))
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise FileError(
            "the checkpoint of the fit cannot be written",
            given=str(path),
            expected=f"a folder that exists, with room on its disk ({error.strerror})",
            way_out="choose another place for the checkpoint",
        ) from error


def read_checkpoint(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Return tensors and facts of a checkpoint.

    Raises:    FileError when the file is none
    """
    try:
        with safe_open(path, framework="pt") as file:
            facts: dict[str, Any] = json.loads(file.metadata()["fit"])
            return {name: file.get_tensor(name) for name in file.keys()}, facts
    except (OSError, SafetensorError, TypeError, KeyError, json.JSONDecodeError) as error:
        raise FileError(
            "this file is no checkpoint of a fit",
            given=str(path),
            expected="a file that a fit wrote",
            way_out="remove it to begin anew, or choose another place for the checkpoint",
        ) from error


def check_facts(path: Path, written: Mapping[str, Any], asked: Mapping[str, Any]) -> None:
    """Raise RunError unless the checkpoint was written by a fit with the same settings."""
    for name, value in asked.items():
        if written.get(name) != value:
            raise RunError(
                "this checkpoint belongs to another fit",
                given=f"{path} with {name} = {written.get(name)}",
                expected=f"{name} = {value}, as asked now",
                way_out="ask for the same fit again, or choose another place for the checkpoint",
            )


def optimizer_tensors(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Return the state of the optimizer, a name "place/key" for each tensor."""
    state = optimizer.state_dict()["state"]
    return {f"{place}/{key}": tensor for place, part in state.items() for key, tensor in part.items()}


def load_optimizer(optimizer: torch.optim.Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """Put the state back; undoes `optimizer_tensors`."""
    state: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        place, key = name.split("/")
        state.setdefault(int(place), {})[key] = tensor
    optimizer.load_state_dict({**optimizer.state_dict(), "state": state})


def weights_of(net: nn.Module) -> dict[str, Tensor]:
    """Return a copy of the weights."""
    return {name: tensor.detach().clone() for name, tensor in net.state_dict().items()}
