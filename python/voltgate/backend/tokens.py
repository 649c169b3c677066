"""The tokens that may charge: a text file, one token per line, read again when it changes."""

from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import Protocol

import structlog

# Those that 1.6 and 2.x have in common.
STATUSES = ("Accepted", "Blocked", "Expired", "Invalid")

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Standing:
    """``status``: one of ``STATUSES``. ``group``: the token of its group, empty: none."""

    status: str
    group: str = ""


class Standings(Protocol):
    """Who may charge."""

    def standing(self, token: str) -> Standing:
        """Of an idTag (1.6) or idToken (2.x); letter case does not matter."""


class Tokens:
    """The authorization status of an idTag (1.6) or idToken (2.x).

    ``04A2B3C4`` is accepted, ``04A2B3C4 Blocked`` has another status, ``#`` opens a comment. Letter case
    does not matter (1.6 CiString, 2.x identifierString). A token that is not in the file is ``Invalid``;
    without a file every token is ``Accepted``. ValueError or OSError for a file that cannot be read at
    the start; later the last good content stays in force.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self._changed = 0
        self._statuses: dict[str, str] = {}
        if path:
            self._read(path)

    def standing(self, token: str) -> Standing:
        """See Standings; a file has no groups."""
        return Standing(self.status(token))

    def status(self, token: str) -> str:
        """One of ``STATUSES``."""
        if not self._path:
            return "Accepted"
        try:
            self._read(self._path)
        except (OSError, ValueError) as error:
            log.warning("reload.failed", error=str(error), kept="previous tokens")
        return self._statuses.get(token.lower(), "Invalid")

    def _read(self, path: Path) -> None:
        changed = path.stat().st_mtime_ns
        if changed == self._changed:
            return
        self._changed = changed  # a broken file is reported once, not at every question
        statuses = {}
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            words = list(takewhile(lambda word: not word.startswith("#"), line.split()))
            if not words:
                continue
            token, status = words[0], " ".join(words[1:]) or "Accepted"
            if status not in STATUSES:
                raise ValueError(f"{path}:{number}: the status must be one of {', '.join(STATUSES)}")
            statuses[token.lower()] = status
        self._statuses = statuses
