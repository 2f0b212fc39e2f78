"""What a run will take, said before it starts; what will not fit is refused."""

from __future__ import annotations

import os
from dataclasses import dataclass

import numpy as np

from wellposed.errors import ResourceError
from wellposed.project.config import Project
from wellposed.seismic.links import link_memory
from wellposed.seismic.picks import Picks
from wellposed.seismic.survey import Survey

GB = 1e9
BASE = 0.6 * GB  # the interpreter with its libraries
BYTES_A_SAMPLE = 40.0  # conditioned volume with its dips, features, sections on the way
BYTES_A_PLACE = 40.0  # of a band beside links and heads: messages, costs, density
START = 10.0  # seconds until everything is imported and compiled code is loaded
SECONDS_A_SAMPLE = 8.5e-6  # conditioning and features, one thread
SECONDS_A_PLACE = 9e-6  # texture, heads, hidden picks, one surface with its marginals, one thread


@dataclass(frozen=True)
class Plan:
    """Seconds of the fixed steps, bytes at the peak, and the minutes that were asked for."""

    seconds: float
    memory: float
    minutes: float

    def __str__(self) -> str:
        time = f"{self.seconds:.0f} s" if self.seconds < 120 else f"{self.seconds / 60:.0f} min"
        text = f"expects about {time} for the fixed steps, {self.memory / GB:.1f} GB of memory"
        if self.seconds > 60 * self.minutes:
            text += f"; that is more than the {self.minutes:g} min asked for, and nothing will be adapted"
        return text


def plan(project: Project, survey: Survey, horizons: list[Picks]) -> Plan:
    """Time and memory that the run will take on this machine.

    Raises:    ResourceError where the memory will not be enough
    """
    from wellposed.interpretation.hold_out import folds
    from wellposed.interpretation.horizons import margin_of
    from wellposed.seismic.band import band_about
    from wellposed.seismic.tracker import seeds

    traces, samples = int(np.prod(survey.shape[:2])), survey.shape[2]
    places, largest = [], 0.0
    for picks in horizons:
        at, parts = seeds(picks, survey), folds(picks, survey, project.run.seed)
        size = band_about(at.i, at.x, at.sample, survey.exists).size + 2 * margin_of(at, parts)
        places.append(traces * size)
        heads = 1 + len(parts)  # one byte each
        largest = max(largest, (BYTES_A_PLACE + heads) * traces * size + link_memory(traces, size))
    memory = BASE + BYTES_A_SAMPLE * traces * samples + largest
    # Messages between traces go one after the other: of the work at a place only a part is shared by threads.
    threads = min(project.run.threads, os.cpu_count() or 1)
    seconds = START + SECONDS_A_SAMPLE * traces * samples / threads
    seconds += SECONDS_A_PLACE * sum(places) * (0.5 + 0.5 / threads)
    found = Plan(seconds, memory, project.run.minutes)
    room = free_memory()
    if found.memory > room:
        raise ResourceError(
            "the survey will not fit into memory",
            given=f"{traces} traces of {samples} samples: {found.memory / GB:.1f} GB at the peak",
            expected=f"at most {room / GB:.1f} GB",
            way_out="cut the survey to a window of time or of lines, or use a machine with more memory",
        )
    return found


def free_memory() -> float:
    """Bytes of memory that can be used: of the machine, or of the group the process is limited to."""
    room = float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    try:
        with open("/proc/meminfo", encoding="ascii") as f:
            lines = dict(line.split(":", 1) for line in f)
        room = float(lines["MemAvailable"].split()[0]) * 1024
        with open("/sys/fs/cgroup/memory.max", encoding="ascii") as f:
            room = min(room, float(f.read()))
    except (OSError, KeyError, ValueError):
        pass  # no such files on this system, or no limit: what the machine has
    return room
