"""Which unit and sign the times of a pick file have: told, or ms positive down, or refused."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from wellposed.errors import ConfigError, PickError
from wellposed.seismic.survey import Survey
from wellposed.seismic.tables import Table

Floats = NDArray[np.float64]

FACTORS = {"ms": 1.0, "s": 1000.0, "us": 0.001}
NEAR_ZERO = 10  # sample intervals: times that all lie so near zero are seconds, if those lie on the axis


def times_in_ms(
    table: Table, survey: Survey, unit: str | None, negative_down: bool, notes: list[str]
) -> tuple[Floats, float]:
    """Times in ms, positive down, on the time axis; and ms per unit.

    The flags bind. A header that names another unit is followed, and said. Otherwise the numbers must be
    right as ms, positive down: a column called `twt_ms` does not overrule them.

    Raises:    PickError with the flag to add; ConfigError where there is no such unit
    """
    if unit is not None and unit not in (*FACTORS, "samples"):
        raise ConfigError(
            "no such unit of time", given=unit, expected="ms, s, us or samples", way_out="give one of these"
        )
    raw = table.columns["time"] * (-1.0 if negative_down else 1.0)
    told = unit or (table.unit if table.unit != "ms" else None)
    if unit is None and told is not None:
        notes.append(f"times of {table.file} are in {told}, as its header says")
    if told == "samples":
        twt = survey.twt_ms[0] + raw * survey.step_ms
        return _checked(twt, table, survey, "remove those picks, or give another --unit"), survey.step_ms
    factor = FACTORS[told or "ms"]
    twt = raw * factor
    seconds = told is None and (np.abs(raw) <= NEAR_ZERO * survey.step_ms).all()
    below = not negative_down and bool((raw < 0).all())
    if seconds and _mostly_on_axis(1000 * raw, survey):
        raise _unlikely(table, survey, "seconds", "--unit s (or --unit ms, if they are ms)")
    if seconds and below and _mostly_on_axis(-1000 * raw, survey):
        raise _unlikely(table, survey, "seconds, negative down", "--unit s --negative-down")
    if below and not on_axis(twt, survey, edge=0) and on_axis(-twt, survey):
        raise _unlikely(table, survey, "negative down", "--negative-down")
    flags = [flag for flag, told in (("--unit", unit), ("--negative-down", negative_down)) if not told]
    ways = ["remove those picks", *(f"say {flag}" for flag in flags)]
    if negative_down:
        ways.append("leave --negative-down away")
    return _checked(twt, table, survey, ", or ".join(ways)), factor


def on_axis(twt: Floats, survey: Survey, edge: float = 0.5) -> bool:
    """Whether all times lie on the survey's time axis, `edge` samples beyond its ends included."""
    return not _off(twt, survey, edge).any()


def _mostly_on_axis(twt: Floats, survey: Survey) -> bool:
    """Whether one reading fits half of the picks or more: a single one that is wrong must not hide it."""
    return bool(_off(twt, survey).mean() <= 0.5)


def _off(twt: Floats, survey: Survey, edge: float = 0.5) -> NDArray[np.bool_]:
    beyond = edge * survey.step_ms
    return np.asarray((twt < survey.twt_ms[0] - beyond) | (twt > survey.twt_ms[-1] + beyond))


def _checked(twt: Floats, table: Table, survey: Survey, way_out: str) -> Floats:
    off = _off(twt, survey)
    if not off.any():
        return twt
    where = table.lines[off]
    if on_axis(table.columns["time"] / 1000, survey):
        way_out = "add --unit us, if these are microseconds"
    raise PickError(
        f"{table.file}: picks lie off the time axis",
        given=f"{int(off.sum())} of {len(twt)} (from line {where[0]}): {twt.min():g} to {twt.max():g} ms",
        expected=_axis(survey),
        way_out=way_out,
    )


def _unlikely(table: Table, survey: Survey, looks: str, flags: str) -> PickError:
    raw = table.columns["time"]
    return PickError(
        f"{table.file}: the times look like {looks}",
        given=f"{len(raw)} picks from {raw.min():g} to {raw.max():g}",
        expected=f"{_axis(survey)}, positive down",
        way_out=f"add {flags}",
    )


def _axis(survey: Survey) -> str:
    return f"ms on the axis {survey.twt_ms[0]:g} to {survey.twt_ms[-1]:g} ms, by {survey.step_ms:g} ms"
