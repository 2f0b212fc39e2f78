"""Every public class that a law may be asked of, found by walking the package: no list kept by hand."""

from __future__ import annotations

import inspect
import pkgutil
from collections.abc import Iterator
from importlib import import_module
from types import ModuleType
from typing import Any, NamedTuple

import wellposed
from wellposed.laws.law import LawError


class Entry(NamedTuple):
    """One example of one class: the subject, and what a law needs beside it (a shape, weights, a state)."""

    kind: type
    subject: Any
    context: tuple[Any, ...]

    def __str__(self) -> str:
        return f"{self.kind.__name__}{list(self.context)}"


def catalogue(noun: type | None = None, package: ModuleType = wellposed) -> list[Entry]:
    """Return the examples of every class of a noun, or of all nouns.

    A noun is a class that leaves `examples` abstract. Its public subclasses that leave nothing else
    abstract must show examples of their own: each the subject, or a tuple that begins with it.

    Raises:    LawError for a class without examples, or with examples of another class
    """
    public = sorted(set(_public_classes(package)), key=lambda kind: (kind.__module__, kind.__name__))
    nouns = tuple(kind for kind in public if _is_noun(kind))
    return [
        entry
        for kind in public
        if issubclass(kind, nouns) and (noun is None or issubclass(kind, noun)) and _is_whole(kind)
        for entry in _entries(kind)
    ]


def _public_classes(package: ModuleType) -> Iterator[type]:
    for found in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        if not any(part.startswith("_") for part in found.name.split(".")):
            module = import_module(found.name)
            for name, kind in inspect.getmembers(module, inspect.isclass):
                if kind.__module__ == found.name and not name.startswith("_"):
                    yield kind


def _is_noun(kind: type) -> bool:
    return getattr(vars(kind).get("examples"), "__isabstractmethod__", False)


def _is_whole(kind: type) -> bool:
    """Whether nothing is left abstract but perhaps the examples: a class that can be forgotten here."""
    open_methods: frozenset[str] = getattr(kind, "__abstractmethods__", frozenset())
    return not _is_noun(kind) and not open_methods - {"examples"}


def _entries(kind: type) -> list[Entry]:
    found = list(kind.examples()) if "examples" in vars(kind) else []  # type: ignore[attr-defined]
    entries = []
    for example in found:
        subject, *context = example if isinstance(example, tuple) else (example,)
        entries.append(Entry(kind, subject, tuple(context)))
    strangers = sum(type(entry.subject) is not kind for entry in entries)
    if strangers or not entries:
        raise LawError(
            "catalogue",
            kind.__name__,
            left=f"{len(entries)} examples, {strangers} of them of another class",
            right=f"expected at least one, all {kind.__name__}, from its own `examples`",
            miss=strangers or 1,
            allowed=0,
        )
    return entries
