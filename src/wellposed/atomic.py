"""Files and folders that appear under their name only when they are whole, and what JSON can hold."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from math import isfinite
from pathlib import Path
from typing import Any

from wellposed.errors import FileError


@contextmanager
def written_whole(path: str | Path) -> Iterator[Path]:
    """Give a temporary name in the same folder; move it to `path` when the body has ended well.

    What the body wrote may be a file or a folder. An interruption leaves what was there before, whole.

    Raises:    FileError where the disk is full or the place cannot be written
    """
    path = Path(path)
    partial = path.with_name(f"{path.name}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _remove(partial)
        yield partial
        if partial.is_file():
            with partial.open("rb") as f:
                os.fsync(f.fileno())
        if partial.is_dir():
            _exchange(partial, path)
        else:
            os.replace(partial, path)
    except OSError as e:
        raise FileError(
            f"{path.name} cannot be written",
            given=f"{path}: {e.strerror or e}",
            expected="a folder that can be written, with room on its disk",
            way_out="free some space, or choose another place",
        ) from e
    finally:
        _remove(partial)


def plain(value: Any) -> Any:
    """Return the same as JSON has it: what is no finite number becomes null, a tuple a list."""
    if isinstance(value, Mapping):
        return {key: plain(v) for key, v in value.items()}
    if isinstance(value, list | tuple):
        return [plain(v) for v in value]
    return None if isinstance(value, float) and not isfinite(value) else value


def _exchange(partial: Path, path: Path) -> None:
    """A folder can only be moved to a place that is free: the old one steps aside, and back if that fails."""
    aside = path.with_name(f"{path.name}.old")
    if path.exists():
        _remove(aside)
        os.replace(path, aside)
    try:
        os.replace(partial, path)
    except OSError:
        if aside.exists():
            os.replace(aside, path)
        raise
    _remove(aside)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    elif path.exists():
        path.unlink()
