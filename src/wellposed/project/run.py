"""What was done: a run folder that can be interrupted at any moment and continued."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wellposed.atomic import written_whole
from wellposed.errors import FileError, RunError
from wellposed.project.config import Project, read_project, settings, write_project

if TYPE_CHECKING:
    from wellposed.project.evaluate import Result
    from wellposed.project.surfaces import Surfaces
    from wellposed.seismic.volume import Volume

RECORD = "run.json"
PROJECT = "project.toml"
LOCK = "lock"
PIECE = 1 << 20  # bytes at each end of a large file that its hash covers


@dataclass
class Run:
    """A run folder: the project, the record of what is finished, and where its results lie."""

    folder: Path
    project: Project
    record: dict[str, Any]
    _since: float = field(default_factory=time.monotonic, repr=False)

    @property
    def finished(self) -> bool:
        """Whether all of it is done."""
        return bool(self.record.get("finished"))

    @property
    def seconds(self) -> float:
        """Wall-clock time spent, before interruptions included."""
        return float(self.record["seconds"]) + time.monotonic() - self._since

    def path(self, *parts: str) -> Path:
        """A place inside the run folder."""
        return self.folder.joinpath(*parts)

    def predict(self, volume: Volume) -> Surfaces:
        """The horizons of this run on its survey.

        Raises:    RunError where the run is not finished; FileError where the volume is another survey
        """
        from wellposed.project.surfaces import read_surfaces

        return read_surfaces(self, volume.survey)

    def evaluate(self, truth: str | Path | Sequence[str | Path]) -> Result:
        """Scores against a truth, as the command `evaluate` gives them."""
        from wellposed.project.evaluate import evaluate_run

        given = [truth] if isinstance(truth, str | Path) else truth
        return evaluate_run(self.folder, [str(t) for t in given])

    def require_finished(self) -> None:
        """Raise RunError where the run was interrupted."""
        if not self.finished:
            raise RunError(
                f"{self.folder} is not finished",
                given="a run that was interrupted",
                expected="a finished run",
                way_out="give the same command again; it continues",
            )

    def require_inputs(self) -> None:
        """Raise RunError where the survey or the picks are no longer those that the run was made from."""
        if self.record["inputs"] != inputs(self.project):
            raise RunError(
                f"{self.folder} was made from other files",
                given="a survey or picks that have changed since the run",
                expected="the files as they were",
                way_out="bring them back, or run again into another --out",
            )

    def __repr__(self) -> str:
        return f"Run({str(self.folder)!r}, {'finished' if self.finished else 'not finished'})"

    def note(self, **kept: Any) -> None:
        """Remember something in the run's record, and the time spent until now."""
        self.record.update(kept, seconds=round(self.seconds, 3))
        self._since = time.monotonic()
        _write_json(self.path(RECORD), self.record)


def open_run(folder: str | Path) -> Run:
    """Open a run that exists.

    Raises:    RunError where the folder is no run
    """
    folder = Path(folder)
    if not folder.is_dir() or not (folder / RECORD).is_file() or not (folder / PROJECT).is_file():
        raise RunError(
            f"{folder} is not a run",
            given="no such folder" if not folder.exists() else f"a folder without {RECORD}, or a file",
            expected="the folder that interpret or track wrote with --out",
            way_out="name the run folder",
        )
    try:
        record = json.loads((folder / RECORD).read_text(encoding="utf-8"))
    except ValueError as e:
        raise RunError(
            f"the record of {folder} is damaged",
            given=f"{RECORD}: {e}",
            expected="the file as it was written",
            way_out="remove the folder and run again",
        ) from e
    return Run(folder, read_project(folder / PROJECT), record)


def check_folder(folder: str | Path, verb: str, project: Project) -> bool:
    """Whether the folder holds this run already; refuse one that holds something else.

    Raises:    RunError where it is another run's, or holds files of the user; FileError where it is a file
    """
    folder = Path(folder)
    if folder.exists() and not folder.is_dir():
        raise FileError(
            "the run needs a folder",
            given=f"{folder}, which is a file",
            expected="a folder that does not exist yet, or holds this run",
            way_out="choose another --out",
        )
    if not folder.exists() or _begun_anew(folder):
        return False
    if not (folder / RECORD).is_file():
        raise RunError(
            f"{folder} holds something that is no run",
            given=", ".join(sorted(p.name for p in folder.iterdir())[:4]),
            expected="a folder that does not exist yet, is empty, or holds this run",
            way_out="choose another --out",
        )
    run = open_run(folder)
    if run.record.get("verb") != verb:
        raise RunError(
            f"{folder} holds a run of another command",
            given=f"a run of {run.record.get('verb')}",
            expected=f"a run of {verb}, or no run",
            way_out="choose another --out",
        )
    changed = _differences(run, project)
    if changed:
        raise RunError(
            f"{folder} holds a run that was asked for otherwise",
            given="; ".join(changed)[:200],
            expected="the same command, to continue it",
            way_out="choose another --out, or remove the folder",
        )
    return True


@contextmanager
def begun(
    folder: str | Path, verb: str, project: Project, kept: Callable[[], None] = lambda: None
) -> Iterator[Run]:
    """The run of this project in this folder, new or continued, held by a lock.

    `kept` writes what a new run keeps of its inputs, once the folder is held.

    Raises:    as check_folder; RunError where a living process holds it
    """
    from wellposed import __version__

    folder = Path(folder)
    check_folder(folder, verb, project)
    new = not folder.exists()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as e:
        raise _unwritable(folder, e) from e
    with _locked(folder):
        if not (folder / RECORD).exists():
            record = {"verb": verb, "version": __version__, "seconds": 0.0, "finished": False}
            try:
                kept()
                write_project(project, folder / PROJECT)
                _write_json(folder / RECORD, {**record, "inputs": inputs(project)})
            except BaseException:  # an interruption too: nothing half-written is left, and all of it is ours
                for path in [folder] if new else [p for p in folder.iterdir() if p.name != LOCK]:
                    _remove(path)
                raise
        run = open_run(folder)
        try:
            yield run
        finally:
            if not run.finished:
                run.note()


def inputs(project: Project) -> dict[str, str]:
    """Hash of every input file, by its name."""
    files = [project.survey.file, *(h.picks for h in project.horizons)]
    return {f"{n} {path.name}": file_hash(path) for n, path in enumerate(files)}


def file_hash(path: Path) -> str:
    """Hash of a file: of its size and both its ends where it is large."""
    size = path.stat().st_size
    digest = hashlib.blake2b(str(size).encode(), digest_size=16)
    with path.open("rb") as f:
        if size <= 64 * PIECE:
            digest.update(f.read())
        else:
            for start in (0, size // 2, size - PIECE):
                f.seek(start)
                digest.update(f.read(PIECE))
    return digest.hexdigest()


def _begun_anew(folder: Path) -> bool:
    """Whether nothing in the folder is whole: empty, or killed (the lock is left) before its first record."""
    inside = {p.name for p in folder.iterdir()}
    ours = {LOCK, PROJECT, "picks", "survey.segy"}
    killed = LOCK in inside and all(n in ours or n.endswith(".partial") for n in inside)
    return not inside or (RECORD not in inside and killed)


def _differences(run: Run, project: Project) -> list[str]:
    """What the command asks now and asked then; thread numbers count, because results depend on them."""
    then, now = settings(run.project), settings(project)
    out = [
        f"{key} {then.get(key, 'not told')} then, {now.get(key, 'not told')} now"
        for key in {**then, **now}
        if then.get(key) != now.get(key)
    ]
    if not out and run.record["inputs"] != inputs(project):
        out.append("the survey or the picks have changed since")
    return out


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold the folder by a lock that the system takes back when its process dies, however it does."""
    import fcntl

    lock = folder / LOCK
    while True:
        try:
            file = lock.open("a+", encoding="utf-8")
        except OSError as e:
            raise _unwritable(folder, e) from e
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.seek(0)
            holder = file.read()
            file.close()
            raise RunError(
                f"{folder} is in use",
                given=f"a run that is going on in process {holder}",
                expected="one run at a time in a folder",
                way_out="wait for it, or choose another --out",
            ) from None
        if lock.exists() and os.path.samestat(os.fstat(file.fileno()), lock.stat()):
            break
        file.close()  # removed by its holder between opening and locking
    file.truncate(0)
    file.write(f"{os.getpid()} on {socket.gethostname()}")
    file.flush()
    try:
        yield
    finally:
        lock.unlink(missing_ok=True)
        file.close()


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _unwritable(folder: Path, e: OSError) -> FileError:
    return FileError(
        "the run folder cannot be written",
        given=f"{folder}: {e.strerror}",
        expected="a folder that can be written, with room on its disk",
        way_out="choose another --out",
    )


def _write_json(path: Path, content: Any) -> None:
    with written_whole(path) as partial:
        partial.write_text(json.dumps(content, indent=1), encoding="utf-8")
