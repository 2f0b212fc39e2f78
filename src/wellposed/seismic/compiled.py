"""Compiled inner loops: kept in the user's cache folder, so that nothing is written beside the package."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba

# Where a person says NUMBA_CACHE_DIR, that holds.
if not numba.config.CACHE_DIR:
    home = {"win32": "LOCALAPPDATA"}.get(sys.platform, "XDG_CACHE_HOME")
    folder = Path(os.environ.get(home) or Path.home() / ".cache") / "wellposed" / "compiled"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        numba.config.CACHE_DIR = str(folder)
    except OSError:
        pass  # no folder of the user's can be written: numba looks for another place itself


def compiled(**options: Any) -> Callable[[Any], Any]:
    """Compile a function of arrays and numbers on its first call; other threads go on while it runs."""
    return numba.njit(cache=True, nogil=True, **options)
