"""Is it well posed? A saved network, or that of a run with its horizons in noise: numbers and pictures."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wellposed.atomic import plain, written_whole
from wellposed.errors import RunError, StepError, StructureError
from wellposed.project.inputs import Say
from wellposed.project.run import RECORD, Run, open_run

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from torch import Tensor

    from wellposed.network import Network
    from wellposed.stability import StageVerdict

RESULT = "check.json"
PICTURES = {"regions.png", "growth.png", "view.png", "noise.png"}
SAMPLES = 64  # of a section that a network is looked at on, at the most, along each axis
EXAMPLES = 16  # of the input, as many as `well_posedness` looks at
SLOW = 0.5  # of the fastest eigenvalue: up to that a change of the Jacobian is slow; it resounds at 2
Result = dict[str, Any]


def check(
    target: str | Path, out: str | Path | None = None, *, input_: str | None = None, say: Say = print
) -> Result:
    """Check a run of interpret or a saved network; pictures and check.json go to `out`.

    The verdict on a run goes into its report too.

    Raises:    RunError where the target is neither, or a run without a network; FileError for a damaged
               network, an input that cannot be read, or an `out` that holds something else
    """
    target = Path(target)
    kind = kind_of(target)
    if kind == "run":
        return _check_run(target, out, input_, say)
    from wellposed.network import load
    from wellposed.project.check_input import network_input

    folder = _free(Path(f"{target.resolve().stem}-check") if out is None else Path(out))
    net = load(target).eval()
    y, words = network_input(net, input_)
    result, figures = _network(net, y, words)
    result = {"kind": "network", "name": target.name, **result}
    return _written(folder, result, figures, _text(result))


def kind_of(target: Path) -> str:
    """Return "run" or "network".

    Raises:    RunError for what is neither
    """
    if (target / RECORD).is_file():
        return "run"
    if target.is_file() or (target / "network.json").is_file():
        return "network"
    raise RunError(
        f"{target} is neither a run nor a network",
        given="no such file or folder" if not target.exists() else f"a folder without {RECORD}",
        expected="the folder that `interpret` wrote with --out, or a network that `save` wrote",
        way_out="name the folder of the run, or the file of the network",
    )


def _check_run(target: Path, out: str | Path | None, input_: str | None, say: Say) -> Result:
    """The network that a run used, on a section of its survey; its horizons in noise of the survey."""
    from wellposed.interpretation.noise import window_about
    from wellposed.interpretation.shipped import shipped
    from wellposed.project import check_figures
    from wellposed.project.check_input import read_input, section_of
    from wellposed.project.inputs import open_survey, project_picks
    from wellposed.project.report import put_verdict
    from wellposed.project.surfaces import read_surfaces
    from wellposed.project.threads import use_threads

    run, learned = _opened(target), shipped()
    folder = _free(run.path("check") if out is None else Path(out))
    use_threads(run.project.run.threads, networks=True)
    volume = open_survey(run.project)
    run.require_inputs()
    surfaces, picks = read_surfaces(run, volume.survey), project_picks(run.project, volume.survey)
    window = window_about(volume, list(surfaces), picks)
    result: Result = {"kind": "run", "name": target.resolve().name, "window": window.words}
    figures: dict[str, Figure] = {}
    if learned.net is not None:
        y, words = read_input(input_) if input_ else section_of(window, list(surfaces), SAMPLES)
        say(f"the network of the run, on {words}")
        found, figures = _network(learned.net, y, words)
        result |= found
    result["horizons"] = _in_noise(run, surfaces, picks, window, learned, say)
    figures["noise"] = check_figures.noise(result["horizons"], volume.survey.step_ms)
    written = _written(folder, result, figures, _text(result))
    put_verdict(run, written, figures["noise"])
    say(f"the verdict stands in {run.path('report.html')}")
    return written


def _opened(target: Path) -> Run:
    """The run, finished, of a command that uses a network."""
    run = open_run(target)
    run.require_finished()
    if run.record.get("verb") != "interpret":
        raise RunError(
            f"{target} holds a run without a network",
            given=f"a run of {run.record.get('verb')}",
            expected="a run of interpret",
            way_out="interpret the survey, and check that run",
        )
    return run


def _in_noise(run: Run, surfaces: Any, picks: Any, window: Any, learned: Any, say: Say) -> Result:
    """How far each horizon moves, by name."""
    from wellposed.interpretation.noise import Asked, moved
    from wellposed.interpretation.terms import Terms
    from wellposed.stability.certificate import RATIOS_DB

    told = run.record["horizons"]
    asked = [Asked(p, surfaces[p.name], Terms(**told[p.name]["terms"]), told[p.name]["width"]) for p in picks]
    say(f"horizons in noise of {len(RATIOS_DB)} strengths, in {window.words}")
    found = moved(window, asked, learned, RATIOS_DB, seed=run.project.run.seed)
    return {p.name: plain(asdict(each)) for p, each in zip(picks, found, strict=True)}


def _network(net: Network, y: Tensor, words: str) -> tuple[Result, dict[str, Figure]]:
    """What the instruments say of a network, and their pictures."""
    from wellposed.network.part import still
    from wellposed.project.check_attacks import under_attack
    from wellposed.project.check_figures import network_figures
    from wellposed.stability import jacobian_drift, spectrum_outline, well_posedness
    from wellposed.stability.growth import worst_example
    from wellposed.stability.verdict import looked_at

    verdict = well_posedness(net, y)
    finite = isfinite(verdict.growth) and all(isfinite(s.growth) for s in verdict.stages)
    with still(net):
        seen = looked_at(net, y[:EXAMPLES])[1]
        seen = [worst_example(p) if finite else p.only(0) for p in seen]
        more = [
            {
                "drift": float(jacobian_drift(p.stage, p.start).max()),
                "fastest": float(spectrum_outline(p.stage, p.start, products=12).abs().max()),
            }
            for p in seen
        ]
    stages = [_stage(s, m) for s, m in zip(verdict.stages, more, strict=True)]
    result = {
        "input": words,
        "well_posed": verdict.well_posed,
        "growth": plain(verdict.growth),
        "bound": plain(verdict.bound),
        "stages": stages,
        "certificate": _certificate(net, y),
        "attacks": under_attack(net, y),
        "verdict": str(verdict),
    }
    return result, network_figures(net, y, seen) if finite else {}


def _stage(stage: StageVerdict, more: Mapping[str, float]) -> Result:
    """Numbers and sentence of a stage."""
    told = {**asdict(stage), **more, "sentence": stage.sentence, "way_out": stage.way_out}
    return {name: plain(value) for name, value in told.items()}


def _certificate(net: Network, y: Tensor) -> Result:
    """The certificate, or why there is none."""
    from wellposed.stability import certificate

    try:
        found = certificate(net, y[:1])
    except (StructureError, StepError) as e:
        return {"refused": f"{e.wrong}: {e.given}; expected {e.expected}"}
    return {**plain(asdict(found)), "slack": plain(found.slack), "text": str(found)}


def _text(result: Result) -> str:
    """All of it for a reader at a terminal."""
    lines = []
    if "verdict" in result:
        lines += [f"{result['name']}, {result['input']}", "", result["verdict"], ""]
        for stage in result["stages"]:
            lines.append(f"{stage['name']} {_drifts(stage)}")
        for word, no in (("certificate", "no certificate"), ("attacks", "not attacked")):
            told = result[word]
            lines += [told["text"] if "text" in told else f"{no}: {told['refused']}"]
            lines += [f"warning: {said}" for said in told.get("warnings", ())]
    for name, told in result.get("horizons", {}).items():
        std = "unknown" if told["std_ms"] is None else f"{told['std_ms']:.1f} ms"
        lines += ["", f"{name} in noise of the survey's spectrum; its std {std}; led by {told['led_by']}"]
        lines += [f"  {_in_words(c)}" for c in told["curve"]]
    if "window" in result:
        lines.append(f"Horizons were found anew in {result['window']}.")
    return "\n".join(lines)


def _drifts(stage: Mapping[str, Any]) -> str:
    """Whether the Jacobian of a stage changes slowly, in words."""
    drift, fastest = stage["drift"], stage["fastest"]
    if drift is None or fastest is None:
        return "changes its Jacobian by no number"
    slow = drift <= SLOW * fastest
    so = "slowly, its eigenvalues may be believed" if slow else "not slowly, its eigenvalues alone say little"
    told = f"changes its Jacobian by {100 * drift:.3g} % a unit of time"
    return f"{told}, where its fastest eigenvalue is {fastest:.3g}: {so}"


def _in_words(c: Mapping[str, float | None]) -> str:
    if c["mean_ms"] is None or c["share"] is None or c["lost"] is None:
        return f"{c['ratio_db']:>3.0f} dB  nothing of it is left"
    gone = f", {100 * c['lost']:.0f} % lost" if c["lost"] else ""
    return (
        f"{c['ratio_db']:>3.0f} dB  moves by {c['mean_ms']:.2f} ms on average, "
        f"{100 * c['share']:.1f} % of the traces by more than a sample{gone}"
    )


def _free(folder: Path) -> Path:
    """The folder, if nothing else would be lost in it.

    Raises:    RunError where it holds something else
    """
    strange = (
        []
        if not folder.exists()
        else [folder.name]
        if not folder.is_dir()
        else sorted(p.name for p in folder.iterdir() if p.name not in {RESULT, *PICTURES})
    )
    if strange:
        raise RunError(
            "a check does not take the place of something else",
            given=f"{folder}, with {', '.join(strange[:4])}",
            expected="a folder that does not exist yet, is empty, or holds a check",
            way_out="choose another --out",
        )
    return folder


def _written(folder: Path, result: Result, figures: Mapping[str, Figure], text: str) -> Result:
    """Write pictures, and the result last; what an earlier check left goes."""
    for name in PICTURES - {f"{name}.png" for name in figures}:
        if (folder / name).exists():
            (folder / name).unlink()
    for name, figure in figures.items():
        with written_whole(folder / f"{name}.png") as partial:
            figure.savefig(partial, format="png")
    result = {**result, "pictures": [str(folder / f"{name}.png") for name in figures], "text": text}
    with written_whole(folder / RESULT) as partial:
        partial.write_text(json.dumps(result, indent=1), encoding="utf-8")
    return result
