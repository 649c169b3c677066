"""Which chargers are accepted at their boot: a text file, a charger on each line (docs/csms/backend.md).

``CP001 Pending 30``: it boots again after 30 s; ``CP002 Rejected``: after a minute. ``*`` is any other one,
and a charger without a line is accepted.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from voltgate.backend.lines import OTHERS, Lines, charger, number
from voltgate.backend.payloads import Payload

STATUSES = ("Accepted", "Pending", "Rejected")
RETRY = 60  # seconds until the next boot of a charger that is not accepted
# What a pending charger is asked for: its configuration.
ASKED: dict[str, tuple[str, Payload]] = {
    "v16": ("GetConfiguration", {}),
    "v201": ("GetBaseReport", {"requestId": 1, "reportBase": "ConfigurationInventory"}),
    "v21": ("GetBaseReport", {"requestId": 1, "reportBase": "ConfigurationInventory"}),
}


@dataclass(frozen=True, slots=True)
class Boot:
    """``status``: one of ``STATUSES``. ``interval``: seconds until the next boot if it is not Accepted."""

    status: str = "Accepted"
    interval: int = RETRY


class Boots:
    """The file. Errors: see Lines."""

    def __init__(self, path: Path) -> None:
        self._lines = Lines(path, boots)

    def of(self, token: str) -> Boot:
        """Of a charger, by its token."""
        rules = self._lines.rules()
        return rules.get(token) or rules.get(OTHERS) or Boot()


def boots(words: list[str]) -> Iterable[tuple[str, Boot]]:
    """Of a line: IDENTITY STATUS [SECONDS]. Raises ValueError."""
    if len(words) not in (2, 3) or words[1] not in STATUSES:
        raise ValueError(f"a line is an identity, one of {', '.join(STATUSES)}, and seconds or nothing")
    yield charger(words[0]), Boot(words[1], int(number(words[2])) if len(words) == 3 else RETRY)
