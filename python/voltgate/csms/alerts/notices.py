"""Notices: one message for everything that a rule has to say at a time, with the names of all chargers.

JSON: ``{"id", "rule", "kind", "at", "title", "text", "raised": [entry], "still": [entry], "cleared": [entry],
"channels": [ids] | null}``; an entry: ``{"subject", "charger", "evse", "since", "count"}``. ``text`` is what
Slack, Mattermost and ntfy show.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self

import orjson

from voltgate.csms.ledger import times

_MOST = 30_000
"""Characters of names in the text; Slack cuts messages at 40,000. The entries are complete."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One alert in a notice."""

    subject: str
    charger: str
    evse: int
    since: str
    count: int

    def json(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "subject": self.subject, "charger": self.charger, "evse": self.evse, "since": self.since,
            "count": self.count,
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Notice:
    """``channels``: ids; None for every channel."""

    id: str
    rule: str
    kind: str
    title: str
    at: datetime
    raised: tuple[Entry, ...] = ()
    still: tuple[Entry, ...] = ()
    cleared: tuple[Entry, ...] = ()
    channels: tuple[str, ...] | None = None

    @property
    def subject(self) -> str:
        """One line: what, and how many."""
        parts = [
            f"{len(entries)} {word}"
            for entries, word in ((self.raised, ""), (self.still, "still"), (self.cleared, "cleared"))
            if entries
        ]
        return f"{self.title}: {', '.join(part.strip() for part in parts)}" if parts else self.title

    @property
    def text(self) -> str:
        """The message for people."""
        lines = [self.subject]
        for entries, word in ((self.raised, "new"), (self.still, "still"), (self.cleared, "cleared")):
            if entries:
                lines.append(f"{word}: {_names(entries)}")
        return "\n".join(lines)

    def json(self) -> bytes:
        """As it is published, and sent to webhooks."""
        return orjson.dumps(
            {
                "id": self.id,
                "rule": self.rule,
                "kind": self.kind,
                "at": times.text(self.at),
                "title": self.title,
                "text": self.text,
                "raised": [one.json() for one in self.raised],
                "still": [one.json() for one in self.still],
                "cleared": [one.json() for one in self.cleared],
                "channels": self.channels,
            }
        )

    @classmethod
    def parsed(cls, body: bytes) -> Self:
        """Of a published message. Raises ValueError."""
        try:
            found = orjson.loads(body)
            raised, still, cleared = (
                tuple(Entry(**one) for one in found[name]) for name in ("raised", "still", "cleared")
            )
            at, channels = times.parsed(found["at"]), found["channels"]
            return cls(
                found["id"], found["rule"], found["kind"], found["title"], at, raised, still, cleared,
                None if channels is None else tuple(channels),
            )  # fmt: skip
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"is not a notice: {type(error).__name__}") from None


def _names(entries: Sequence[Entry]) -> str:
    """Every name, with its count where there is more than one of it; as many as fit."""
    names: list[str] = []
    size = 0
    for one in entries:
        name = one.subject if one.count == 1 else f"{one.subject} ({one.count})"
        size += len(name) + 2
        if size > _MOST:
            return f"{', '.join(names)} and {len(entries) - len(names)} more"
        names.append(name)
    return ", ".join(names)
