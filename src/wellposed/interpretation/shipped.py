"""What the package has learned on simulated earths and carries with it, with a manifest."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from wellposed.atomic import written_whole
from wellposed.interpretation.head import HeadPrior
from wellposed.interpretation.terms import Terms
from wellposed.interpretation.trust import Trust
from wellposed.network import Network, load, save

Array = NDArray[np.float32]

FOLDER = Path(__file__).parent / "weights"
NET, HEAD, MANIFEST = "features.zip", "head.safetensors", "manifest.json"


@dataclass(frozen=True, eq=False)
class Shipped:
    """Network of the features, prior of the head, scale of its channels, weights of terms, trust."""

    net: Network | None
    prior: HeadPrior
    scale: tuple[Array, Array]
    terms: Terms
    trust: Trust


@lru_cache(maxsize=1)
def shipped() -> Shipped:
    """What was installed with the package."""
    return read_shipped(FOLDER)


def read_shipped(folder: Path) -> Shipped:
    """Read what `write_shipped` wrote.

    Raises:    FileError where the network cannot be read
    """
    from safetensors.torch import load_file

    facts = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    tensors = load_file(folder / HEAD)
    scale = tensors.pop("scale.mean").numpy(), tensors.pop("scale.std").numpy()
    kinds, channels = tensors["mean"].shape
    prior = HeadPrior(channels, kinds)
    prior.load_state_dict(tensors)
    net = load(folder / NET) if (folder / NET).exists() else None
    trust = Trust(tuple(facts["trust"]["std"]), tuple(facts["trust"]["existence"]))
    return Shipped(net, prior.requires_grad_(False), scale, Terms(**facts["terms"]), trust)


def write_shipped(s: Shipped, folder: Path, about: dict[str, Any]) -> None:
    """Write all of it, and a manifest with the facts `about` its making.

    Raises:    FileError where it cannot be written
    """
    from safetensors.torch import save_file

    if s.net is not None:
        save(s.net, folder / NET)
    else:
        (folder / NET).unlink(missing_ok=True)  # of other weights that lay here
    tensors = {k: v.detach().contiguous() for k, v in s.prior.state_dict().items()}
    tensors |= {"scale.mean": torch.from_numpy(s.scale[0]), "scale.std": torch.from_numpy(s.scale[1])}
    with written_whole(folder / HEAD) as partial:
        save_file(tensors, partial)
    facts = {**about, "terms": asdict(s.terms), "trust": asdict(s.trust)}
    with written_whole(folder / MANIFEST) as partial:
        partial.write_text(json.dumps(facts, indent=1), encoding="utf-8")
