"""Dialects of horizon files that other systems read: one file a dialect."""

from collections.abc import Callable
from pathlib import Path

from wellposed.seismic.formats.charisma import read_charisma, write_charisma
from wellposed.seismic.horizons import Horizon

WRITERS: dict[str, Callable[[str | Path, Horizon], None]] = {"charisma": write_charisma}

__all__ = ["WRITERS", "read_charisma", "write_charisma"]
