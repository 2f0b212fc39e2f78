"""How many threads a run uses: results may depend on it in their last bits, so it is told, not found."""

from __future__ import annotations


def use_threads(threads: int, *, networks: bool) -> None:
    """Tell the compiled code, and torch where networks will run: other commands do not import it."""
    import numba

    numba.set_num_threads(min(threads, numba.config.NUMBA_NUM_THREADS))
    if networks:
        import torch

        torch.set_num_threads(threads)
