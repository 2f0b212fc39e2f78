"""Tests run side by side, so each computes on one thread."""

import sys

import pytest


@pytest.fixture(autouse=True)
def _one_thread():
    # Compiled code that wakes up, and a run that was told, leave torch with all cores: two processes that
    # do so wait for one another at every small operation.
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.set_num_threads(1)
