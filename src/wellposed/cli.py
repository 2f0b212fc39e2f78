"""The command `wellposed`: one typed function a verb. Results on stdout, everything else on stderr."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from wellposed.errors import ConfigError, UserError

INTERRUPTED = 130

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Seismic horizons from few picks, by well-posed networks.",
)


@app.callback(invoke_without_command=True)
def about(
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, help="the version, and nothing else")
    ] = False,
) -> None:
    """Seismic horizons from few picks, by well-posed networks."""
    if version:
        from wellposed import __version__

        print(f"wellposed {__version__}")
        raise typer.Exit


Survey = Annotated[str, typer.Argument(help="SEG-Y file")]
Folder = Annotated[str, typer.Argument(help="folder of a run")]
Out = Annotated[str, typer.Option("--out", help="folder of the run; the same command continues it")]
InlineByte = Annotated[int | None, typer.Option(help="first byte of the inline number, from 1")]
CrosslineByte = Annotated[int | None, typer.Option(help="first byte of the crossline number, from 1")]
StdMs = Annotated[float | None, typer.Option(help="std of picks whose file holds none; 4 unless told")]
Unit = Annotated[str | None, typer.Option(help="unit of the times: ms, s, us or samples")]
Negative = Annotated[bool, typer.Option("--negative-down", help="times are negative downwards")]
Threads = Annotated[int | None, typer.Option(help="threads; all cores unless told")]
Json = Annotated[bool, typer.Option("--json", help="one JSON document on stdout")]


@app.command()
def interpret(
    survey: Annotated[str, typer.Argument(help="SEG-Y file, or a project file (.toml)")],
    picks: Annotated[list[str] | None, typer.Argument(help="files of picks")] = None,
    out: Out = ...,  # type: ignore[assignment]
    minutes: Annotated[float | None, typer.Option(help="wall-clock target of the whole command")] = None,
    epochs: Annotated[int | None, typer.Option(help="epochs of adaptation; makes the run repeat")] = None,
    std_ms: StdMs = None,
    seed: Annotated[int | None, typer.Option(help="seed of everything random; 0 unless told")] = None,
    threads: Threads = None,
    inline_byte: InlineByte = None,
    crossline_byte: CrosslineByte = None,
    unit: Unit = None,
    negative_down: Negative = False,
) -> None:
    """Interpret a whole survey from a few picks.

    Example: wellposed interpret survey.segy picks.csv --out run
    """
    from wellposed.project.asked import from_file, from_flags
    from wellposed.project.job import interpret_project

    if survey.lower().endswith(".toml"):
        told = {"minutes": minutes, "epochs": epochs, "threads": threads, "unit": unit, "seed": seed}
        told |= {"inline_byte": inline_byte, "crossline_byte": crossline_byte, "std_ms": std_ms}
        told |= {"negative_down": negative_down or None}
        project = from_file(survey, picks, told)
    else:
        budget = {"minutes": minutes, "epochs": epochs, "seed": seed, "threads": threads}
        project = from_flags(survey, picks, inline_byte, crossline_byte, std_ms, unit, negative_down, budget)
    run = interpret_project(project, out, _say)
    print(run.path("report.html"))


@app.command()
def track(
    survey: Survey,
    picks: Annotated[list[str], typer.Argument(help="files of picks; a single pick will do")],
    out: Out,
    std_ms: StdMs = None,
    threads: Threads = None,
    inline_byte: InlineByte = None,
    crossline_byte: CrosslineByte = None,
    unit: Unit = None,
    negative_down: Negative = False,
) -> None:
    """Track horizons by correlation alone: the classical tracker.

    Example: wellposed track survey.segy picks.csv --out tracked
    """
    from wellposed.project.asked import from_flags
    from wellposed.project.track import track_project

    budget = {"threads": threads}
    project = from_flags(survey, picks, inline_byte, crossline_byte, std_ms, unit, negative_down, budget)
    run = track_project(project, out, _say)
    print(run.path("surfaces"))


@app.command()
def scan(
    survey: Survey, json_: Json = False, inline_byte: InlineByte = None, crossline_byte: CrosslineByte = None
) -> None:
    """Say in one screen what is in a SEG-Y file.

    Example: wellposed scan survey.segy
    """
    from wellposed.project.scan import scan as scanned
    from wellposed.project.scan import screen

    found = scanned(survey, inline_byte=inline_byte, crossline_byte=crossline_byte)
    print(json.dumps({"result": found}) if json_ else screen(found))


@app.command()
def evaluate(
    run: Folder,
    truth: Annotated[list[str], typer.Option(help="FILE, or NAME=FILE where the run has several horizons")],
    json_: Json = False,
    unit: Unit = None,
    negative_down: Negative = False,
) -> None:
    """Compare a run with a truth, beside interpolation and the classical tracker.

    Example: wellposed evaluate run --truth truth.csv
    """
    from wellposed.project.evaluate import evaluate_run, screen

    result = evaluate_run(run, truth, unit=unit, negative_down=negative_down)
    print(json.dumps({"result": result}) if json_ else screen(result))


@app.command()
def export(
    run: Folder,
    dialect: Annotated[str, typer.Option(help="charisma")],
    out: Annotated[str | None, typer.Option(help="folder; RUN/export unless told")] = None,
) -> None:
    """Write the surfaces of a run for other interpretation systems.

    Example: wellposed export run --dialect charisma
    """
    from wellposed.project.export import export_run

    for path in export_run(run, dialect, out):
        print(path)


@app.command()
def pretrain(
    out: Annotated[str, typer.Option(help="folder of the weights")],
    recipe: Annotated[str, typer.Option(help="imex, residual, unet, or texture: no network")] = "imex",
    earths: Annotated[int, typer.Option(help="simulated earths to learn from")] = 70,
    epochs: Annotated[int, typer.Option(help="epochs of the features")] = 50,
    seed: Annotated[int, typer.Option(help="seed of everything random")] = 0,
    continuation: Annotated[
        str, typer.Option(help="none; or begin with less in time, space or both")
    ] = "none",
) -> None:
    """Learn the shipped weights again, from simulated earths alone.

    Example: wellposed pretrain --out weights
    """
    from wellposed.interpretation.pretrain import pretrain as learn

    given = {"earths": earths, "epochs": epochs, "seed": seed}
    learn(Path(out), recipe=recipe, continuation=continuation, say=_say, **given)
    print(out)


@app.command()
def check(
    run_or_archive: Annotated[str, typer.Argument(help="folder of a run of interpret, or a saved network")],
    out: Annotated[str | None, typer.Option(help="folder of pictures and check.json; RUN/check")] = None,
    input_: Annotated[str | None, typer.Option("--input", help="FILE.npy to look at, of a network")] = None,
    json_: Json = False,
) -> None:
    """Say whether a network is well posed, and how far noise moves the horizons of a run.

    Example: wellposed check run
    """
    from wellposed.project.check import check as checked

    found = checked(run_or_archive, out, input_=input_, say=_say)
    print(json.dumps({"result": found}) if json_ else found["text"])


@app.command()
def reproduce(
    name: Annotated[str | None, typer.Argument(help="name of the experiment")] = None,
    list_: Annotated[bool, typer.Option("--list", help="the names, one a line")] = False,
    out: Annotated[str | None, typer.Option(help="folder of the results; NAME unless told")] = None,
    seeds: Annotated[int | None, typer.Option(min=1, help="seeds, where chance has a part")] = None,
    quick: Annotated[bool, typer.Option("--quick", help="one seed, everything small: seconds")] = False,
    deep: Annotated[bool, typer.Option("--deep", help="the long form, where there is one")] = False,
    data: Annotated[str | None, typer.Option(help="folder of images, where an experiment reads any")] = None,
) -> None:
    """Run an experiment on a claim of the field, and judge it by its rule.

    Example: wellposed reproduce stability-regions --out results
    """
    from wellposed.experiments import names
    from wellposed.experiments.reproduce import reproduce as judged
    from wellposed.experiments.reproduce import screen

    if list_:
        print("\n".join(names()))
        return
    if name is None:
        raise ConfigError(
            "no experiment is named",
            given="wellposed reproduce",
            expected="one of: " + ", ".join(names()),
            way_out="name one, or ask for all names by --list",
        )
    try:
        verdict = judged(name, out or name, seeds=seeds, quick=quick, deep=deep, data=data, say=_say)
    except KeyboardInterrupt:
        raise typer.Exit(INTERRUPTED) from None
    print(screen(name, verdict, quick))


def main() -> None:
    """Run the command; a user's mistake ends it with four lines and exit status 2."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Run the command on its arguments; the exit status."""
    from typer.exceptions import TyperException

    try:
        status = app(arguments or ["--help"], standalone_mode=False) or 0
    except UserError as e:
        print(e, file=sys.stderr)
        return 2
    except TyperException as e:
        print(_usage(e, arguments), file=sys.stderr)
        return 2
    if status == INTERRUPTED:
        print(f"interrupted; to continue: {shlex.join(['wellposed', *arguments])}", file=sys.stderr)
    return int(status)


def _usage(e: Any, arguments: list[str]) -> UserError:
    """Flags and arguments that do not fit, in the form of every other mistake."""
    known = {
        command.name or command.callback.__name__ for command in app.registered_commands if command.callback
    }
    verb = " ".join(["wellposed", *(a for a in arguments[:1] if a in known)])
    return ConfigError(
        e.format_message().rstrip("."),
        given=shlex.join(arguments),
        expected=f"what `{verb} --help` lists",
        way_out=f"see `{verb} --help`",
    )


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
