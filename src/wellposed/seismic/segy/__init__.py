"""SEG-Y: what the bytes say (`file`), where the traces are (`layout`), and writing (`write`)."""

from wellposed.seismic.segy.file import SegyFile, open_segy
from wellposed.seismic.segy.layout import Layout, find_layout
from wellposed.seismic.segy.write import write_segy

__all__ = ["Layout", "SegyFile", "find_layout", "open_segy", "write_segy"]
