"""What is wrong, what was given, what was expected, and the way out: one class per remedy."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from numbers import Integral

__all__ = [
    "ConfigError",
    "FileError",
    "PickError",
    "ResourceError",
    "RunError",
    "ShapeError",
    "StepError",
    "StructureError",
    "SurveyError",
    "UserError",
]


class UserError(Exception):
    """A mistake that the user can mend; it prints as four short lines and carries no traceback.

    Shapes:    wrong, given, expected, way_out are one sentence each, without a final stop
    Raises:    nothing; subclasses say which kind of thing has to be mended
    """

    def __init__(self, wrong: str, *, given: str, expected: str, way_out: str) -> None:
        super().__init__(wrong)
        self.wrong, self.given, self.expected, self.way_out = wrong, given, expected, way_out

    def __str__(self) -> str:
        return (
            f"error: {self.wrong}\ngiven : {self.given}\nexpected : {self.expected}\nway out : {self.way_out}"
        )


class FileError(UserError):
    """Choose another file or folder: it is absent, of another kind, damaged, or cannot be written."""


class SurveyError(UserError):
    """Say where the traces are: header bytes, duplicates, an axis that makes no sense."""


class PickError(UserError):
    """Mend the picks, or say what their numbers mean."""


class ConfigError(UserError):
    """Mend the project file or the flag."""


class RunError(UserError):
    """Choose another run folder, or finish the run that is in it."""


class ResourceError(UserError):
    """Ask for less, or give more memory or disk."""


class StructureError(UserError):
    """Compose parts that fit one another."""


class StepError(UserError):
    """Choose a smaller step, or a smaller operator: the step lies beyond its bound of stability."""


class ShapeError(UserError):
    """Hand over arrays of the shape that the part works on."""


def close_match(word: str, known: Iterable[str]) -> str | None:
    """Return the known word that `word` was probably meant to be, or None."""
    found = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return found[0] if found else None


def check_name(what: str, given: object, known: Iterable[str]) -> None:
    """Raise StructureError, with the close match, unless a name is known.

    Shapes:    what is the word that the user writes, as in boundary="reflecting"
    """
    names = list(known)
    if isinstance(given, str) and given in names:
        return
    # torch.relu and nn.ReLU() were meant to be "relu".
    word = given if isinstance(given, str) else getattr(given, "__name__", type(given).__name__)
    near = close_match(word.lower(), names)
    raise StructureError(
        f"no {what} of this name",
        given=f"{what}={given!r}",
        expected=", ".join(names),
        way_out=f"write {near!r}" if near else "choose one of them",
    )


def check_count(what: str, given: object, least: int = 1) -> None:
    """Raise ConfigError unless a number is whole, and large enough."""
    if isinstance(given, Integral) and int(given) >= least:
        return
    raise ConfigError(
        f"`{what}` counts something",
        given=f"{what}={given!r}",
        expected=f"a whole number, at least {least}",
        way_out="give another number",
    )


def check_kind(what: str, given: object, kind: type, way_out: str) -> None:
    """Raise StructureError unless a value is of this kind.

    Shapes:    what is the word that the user writes, as in integrator=Leapfrog()
    """
    if isinstance(given, kind):
        return
    if isinstance(given, type):
        shown, fits = f"the class {given.__name__} itself", issubclass(given, kind)
        way_out = f"write {given.__name__}(...), with brackets" if fits else way_out
    else:
        shown = f"something of type {type(given).__name__}"
    article = "an" if kind.__name__[0] in "AEIO" else "a"
    raise StructureError(
        f"`{what}` has to be {article} {kind.__name__}",
        given=f"for `{what}` {shown}",
        expected=f"{article} {kind.__name__}",
        way_out=way_out,
    )
