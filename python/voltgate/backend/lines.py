"""A text file of rules, a few words on each line, read again when it changes."""

from collections.abc import Callable, Iterable, Mapping
from itertools import takewhile
from pathlib import Path
from typing import Generic, TypeVar
from urllib.parse import unquote

import structlog

from voltgate import _core

log = structlog.get_logger()

Rule = TypeVar("Rule")
OTHERS = "*"
"""The word for every charger that is not named."""


class Lines(Generic[Rule]):
    """The rules of a file. ``parse`` makes rules with their keys of the words of a line.

    ``#`` opens a comment. ValueError (with file and line) or OSError for a file that cannot be read at the
    start; later the last good content stays in force.
    """

    def __init__(self, path: Path, parse: Callable[[list[str]], Iterable[tuple[str, Rule]]]) -> None:
        self._path, self._parse = path, parse
        self._changed = -1
        self._rules: dict[str, Rule] = {}
        self._read()

    def rules(self) -> Mapping[str, Rule]:
        """Those of the file as it is now."""
        try:
            self._read()
        except (OSError, ValueError) as error:
            log.warning("reload.failed", error=str(error), kept="previous rules")
        return self._rules

    def _read(self) -> None:
        try:
            changed = self._path.stat().st_mtime_ns
        except OSError:
            changed = 0  # reading it says why
        if changed == self._changed:
            return
        self._changed = changed  # a broken file is reported once, not at every question
        rules: dict[str, Rule] = {}
        for number, line in enumerate(self._path.read_text(encoding="utf-8").splitlines(), 1):
            words = list(takewhile(lambda word: not word.startswith("#"), line.split()))
            try:
                rules.update(self._parse(words) if words else ())
            except ValueError as error:
                raise ValueError(f"{self._path}:{number}: {error}") from None
        self._rules = rules


def charger(word: str) -> str:
    """The token of a charger that a file names as a URL does: percent-encoded where it has a space."""
    return word if word == OTHERS else _core.token(unquote(word))


def number(word: str) -> float:
    """A number from 0. Raises ValueError."""
    try:
        value = float(word)
    except ValueError:
        value = -1.0
    if not 0 <= value < 1e9:
        raise ValueError(f"{word} is not a number from 0")
    return value
