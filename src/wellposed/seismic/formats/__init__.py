"""Dialects of horizon files that other systems read: one file a dialect."""

from collections.abc import Callable
from pathlib import Path

from wellposed.seismic.formats.charisma import charisma_table, is_charisma, write_charisma
from wellposed.seismic.horizons import Horizon

WRITERS: dict[str, Callable[[str | Path, Horizon], None]] = {"charisma": write_charisma}

__all__ = ["WRITERS", "charisma_table", "is_charisma", "write_charisma"]
