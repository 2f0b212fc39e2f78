"""The story of a run as one self-contained page."""

from __future__ import annotations

import base64
import html
import io
import shlex
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from wellposed.atomic import written_whole
from wellposed.errors import FileError
from wellposed.project import figures
from wellposed.project.run import Run
from wellposed.seismic.horizons import Horizon
from wellposed.seismic.picks import Picks
from wellposed.seismic.volume import Volume

if TYPE_CHECKING:
    from matplotlib.figure import Figure

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 68rem; margin: 2rem auto; padding: 0 1rem;
color: #212529 }
h1 { font-size: 1.6rem } h2 { margin-top: 2.4rem; border-bottom: 1px solid #dee2e6 }
table { border-collapse: collapse; margin: 1rem 0 }
td, th { padding: .25rem .8rem; border-bottom: 1px solid #dee2e6;
text-align: right } td:first-child, th:first-child { text-align: left } img { max-width: 100% }
.pair { display: flex; flex-wrap: wrap; gap: 1rem } .pair img { flex: 1 1 20rem; min-width: 0 }
.note { color: #495057 } code { background: #f1f3f5; padding: .1rem .3rem }
"""


VERDICT, VERDICT_END = "<!-- verdict -->", "<!-- end of verdict -->"  # `check` writes between them


def write_report(run: Run, volume: Volume, horizons: list[tuple[Picks, Horizon]], notes: list[str]) -> Path:
    """Write RUN/report.html: sections, maps, tables; no file beside it is needed.

    Raises:    FileError where it cannot be written
    """
    name = volume.survey.name
    parts = [
        f"<h1>Horizons of {html.escape(name)}</h1>",
        f"<p class=note>{html.escape(volume.survey.describe())}; wellposed {run.record['version']}, "
        f"seed {run.project.run.seed}, {run.project.run.threads} threads.</p>",
        _list(notes),
        "<h2>Summary</h2>",
        _summary(run, horizons),
        _trust(),
        f"{VERDICT}{_unchecked(run)}{VERDICT_END}",
    ]
    for picks, horizon in horizons:
        parts += _chapter(run, volume, picks, horizon)
    page = f"<!doctype html><html lang=en><meta charset=utf-8><title>{html.escape(name)}</title>"
    path = run.path("report.html")
    with written_whole(path) as partial:
        text = f"{page}<style>{STYLE}</style>\n" + "\n".join(parts) + "\n</html>\n"
        partial.write_text(text, encoding="utf-8")
    return path


def _summary(run: Run, horizons: list[tuple[Picks, Horizon]]) -> str:
    rows = []
    for picks, h in horizons:
        told = run.record.get("horizons", {}).get(picks.name, {})
        held, typical = told.get("held_out") or {}, told.get("typical") or {}
        there = h.exists
        rows.append(
            [
                picks.name,
                len(picks),
                told.get("phase", ""),
                f"{100 * there.sum() / max(int(h.survey.exists.sum()), 1):.1f} %",
                f"{np.nanmin(h.twt_ms[there]):.0f} to {np.nanmax(h.twt_ms[there]):.0f}"
                if there.any()
                else "",
                f"{np.nanmedian(h.twt_std_ms[there]):.1f}" if there.any() else "",
                *(f"{_number(held.get(k))} ({_number(typical.get(k))})" for k in ("ours", "interpolation")),
                _number(told.get("width")),
            ]
        )
    head = [
        "horizon",
        "picks",
        "phase of the picks",
        "exists on",
        "time (ms)",
        "median std (ms)",
        "held-out error (typical, ms)",
        "the same of interpolation",
        "factor of the std",
    ]
    return _table(head, rows)


def put_verdict(run: Run, result: dict[str, Any], curve: Figure) -> None:
    """Write into RUN/report.html whether the network is well posed, and how far noise moves the horizons.

    Raises:    FileError where it cannot be written, or is not there
    """
    path = run.path("report.html")
    if not path.is_file():
        raise FileError(
            "the report of the run is not there",
            given=str(path),
            expected="the page that interpret wrote",
            way_out="run interpret again into another --out",
        )
    page = path.read_text(encoding="utf-8")
    start, end = page.find(VERDICT), page.find(VERDICT_END)
    before, after = (page[:start], page[end + len(VERDICT_END) :]) if 0 <= start < end else _split(page)
    with written_whole(path) as partial:
        text = f"{before}{VERDICT}{_verdict(result, curve)}{VERDICT_END}{after}"
        partial.write_text(text, encoding="utf-8")


def _split(page: str) -> tuple[str, str]:
    """A page of an earlier version before and behind the place of the verdict: its end."""
    head, end, tail = page.rpartition("</html>")
    return (head, end + tail) if end else (page, "")


def _unchecked(run: Run) -> str:
    words = f"wellposed check {shlex.quote(str(run.folder))}"
    return (
        "<h2>Is it well posed?</h2><p class=note>Not asked yet: "
        f"<code>{html.escape(words)}</code> says it here.</p>"
    )


def _verdict(result: dict[str, Any], curve: Figure) -> str:
    """The network in a sentence and a table, the horizons in noise in a picture."""
    parts = ["<h2>Is it well posed?</h2>"]
    if "well_posed" in result:
        word = "is" if result["well_posed"] else "is <b>not</b>"
        grown = "without bound" if result["growth"] is None else f"{result['growth']:.3g} times"
        parts.append(
            f"<p>The network of the features {word} well posed: from opening to head it enlarges the worst "
            f"small perturbation {grown} (on {html.escape(result['input'])}).</p>"
        )
        head = ["stage", "dynamics", "step over its bound", "growth", "change of its Jacobian", ""]
        parts.append(_table(head, [_stage(s) for s in result["stages"]]))
        told = result["certificate"]
        text = told.get("text") or f"No certificate: {told['refused']}."
        parts.append(f"<p class=note>{html.escape(text)}</p>")
    parts += [
        "<p>How far the horizons move when noise of the survey's own spectrum is added, found anew in "
        f"{html.escape(result['window'])}:</p>",
        _image(curve, "change of the horizons in noise"),
    ]
    return "\n".join(parts)


def _stage(s: dict[str, Any]) -> list[str]:
    ratio, drift = s["ratio"], s["drift"]
    return [
        s["name"],
        s["dynamics"],
        "no claim" if ratio is None else f"{ratio:.2f}",
        _number(s["growth"]),
        "" if drift is None else f"{100 * drift:.0f} % a unit of time",
        s["sentence"],
    ]


def _trust() -> str:
    return (
        "<p>The <b>phase of the picks</b> says what kind of event was picked; its resultant, 0 to 1, how "
        "alike it is at all of them. Near one the waveform leads the surface, near zero the texture above "
        "and below it. The <b>std</b> is that of the time, given that the horizon exists; about two thirds "
        "of the true times lie within one std. The <b>held-out error</b> is the mean absolute error at picks "
        "that were hidden, one after the other or block by block, and predicted from the others; in brackets "
        "the typical one, which a single block far off does not rule; how far "
        "they were missed has widened the std by the <b>factor of the std</b>. A horizon is "
        "absent where its probability is below one half.</p>"
    )


def _chapter(run: Run, volume: Volume, picks: Picks, horizon: Horizon) -> list[str]:
    told = run.record.get("horizons", {}).get(picks.name, {})
    pictures = [figures.section(volume, horizon, picks, **cut) for cut in _cuts(volume, picks)]
    parts = [f"<h2>{html.escape(picks.name)}</h2>", _list(told.get("notes", []))]
    parts += [_image(f, f"section through {picks.name}") for f in pictures]
    if volume.survey.is_line:
        parts.append(_image(figures.profile(horizon, picks), f"profile of {picks.name}"))
    else:
        maps = (figures.time_map(horizon, picks), figures.std_map(horizon, picks))
        parts.append(f"<div class=pair>{''.join(_image(f, f'map of {picks.name}') for f in maps)}</div>")
    records = told.get("epochs") or []
    if len(records) > 1:
        parts.append(_image(figures.epochs(records), "error at hidden picks by epoch"))
    parts.append(
        f"<p class=note>{html.escape(told.get('adaptation', 'Nothing was trained on this survey.'))}</p>"
    )
    return parts


def _cuts(volume: Volume, picks: Picks) -> list[dict[str, int | None]]:
    """The inline and the crossline with the most picks; on a line, the line."""
    ni, nx, _ = volume.survey.shape
    i, j = picks.at(volume.survey)
    cuts: list[dict[str, int | None]] = []
    if nx > 2:
        cuts.append({"inline": int(np.bincount(i, minlength=ni).argmax()), "crossline": None})
    if ni > 2:
        counts = np.bincount(j, minlength=nx)
        best = np.flatnonzero(counts == counts.max())
        cuts.append({"inline": None, "crossline": int(best[len(best) // 2])})
    return cuts


def _image(fig: Figure, text: str) -> str:
    data = io.BytesIO()
    fig.savefig(data, format="png")
    code = base64.b64encode(data.getvalue()).decode()
    return f'<img alt="{html.escape(text)}" src="data:image/png;base64,{code}">'


def _table(head: list[str], rows: Iterable[list[Any]]) -> str:
    def row(tag: str, cells: list[Any]) -> str:
        return "<tr>" + "".join(f"<{tag}>{html.escape(str(c))}</{tag}>" for c in cells) + "</tr>"

    return f"<table>{row('th', head)}{''.join(row('td', cells) for cells in rows)}</table>"


def _list(notes: Iterable[str]) -> str:
    items = "".join(f"<li>{html.escape(n)}</li>" for n in notes)
    return f"<ul class=note>{items}</ul>" if items else ""


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"
