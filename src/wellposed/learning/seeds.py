"""Random numbers of one purpose, from the one seed that the user gives."""

from __future__ import annotations

from hashlib import blake2b

import torch


def derive_seed(seed: int, *purpose: object) -> int:
    """Return the seed of one purpose: blake2 of (seed, *purpose), the same in every process.

    Python's own `hash` is salted, and `seed + epoch` would give two purposes the same numbers.
    """
    words = "\0".join(str(word) for word in (seed, *purpose))
    return int.from_bytes(blake2b(words.encode(), digest_size=7).digest(), "big")


def generator(seed: int, *purpose: object) -> torch.Generator:
    """Return a generator of its own for one purpose; the global one is never seeded nor drawn from."""
    return torch.Generator().manual_seed(derive_seed(seed, *purpose))
