"""The tokens that may charge: a text file, one token per line, read again when it changes."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from voltgate.backend.lines import Lines

# Those that 1.6 and 2.x have in common.
STATUSES = ("Accepted", "Blocked", "Expired", "Invalid")


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
    """The authorization status and group of an idTag (1.6) or idToken (2.x).

    ``04A2B3C4`` is accepted, ``04A2B3C4 Blocked`` has another status, ``04A2B3C4 Accepted FLEET`` belongs to
    a group. Letter case of a token does not matter (1.6 CiString, 2.x identifierString). A token that is not
    in the file is ``Invalid``; without a file every token is ``Accepted``. Errors: see Lines.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._lines = Lines(path, standings) if path else None

    def standing(self, token: str) -> Standing:
        """See Standings."""
        if self._lines is None:
            return Standing("Accepted")
        return self._lines.rules().get(token.lower(), Standing("Invalid"))

    def status(self, token: str) -> str:
        """One of ``STATUSES``."""
        return self.standing(token).status


def standings(words: list[str]) -> Iterable[tuple[str, Standing]]:
    """Of a line: TOKEN [STATUS [GROUP]]. Raises ValueError."""
    if len(words) > 3 or words[1:2] not in ([], *([status] for status in STATUSES)):
        raise ValueError(
            f"the status must be one of {', '.join(STATUSES)}, with a group of one word behind it"
        )
    status, group = [*words[1:], *("Accepted", "")[len(words) - 1 :]]
    yield words[0].lower(), Standing(status, group)
