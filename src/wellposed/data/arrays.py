"""Arrays of a user's file, or what is wrong with it."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from wellposed.errors import FileError

_DAMAGE = (LookupError, ValueError, TypeError, AttributeError, EOFError, zipfile.BadZipFile, zlib.error)


@contextmanager
def arrays(path: Path, another: Callable[[Path, str], FileError]) -> Iterator[Any]:
    """Open arrays by name (.npz); what goes wrong inside becomes the error that `another` makes."""
    try:
        with np.load(path, allow_pickle=False) as file:
            yield file
    except OSError as e:
        raise another(path, e.strerror or "it cannot be read") from e
    except _DAMAGE as e:
        raise another(path, f"{type(e).__name__}: {e}".splitlines()[0]) from e
