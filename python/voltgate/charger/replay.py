"""Recorded frames of chargers, for ``voltgate swarm --replay``.

A file has a JSON object per line: ``at`` (seconds), ``identity``, ``version``, ``action``, ``payload``; or it
is the output of ``voltgate tail --json``, of which only the CALLs of chargers are used.
"""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import orjson

from voltgate.charger.messages import Payload, utc
from voltgate.schemas import SUBPROTOCOLS

CLASSES = ("tx", "event", "live")


@dataclass(frozen=True, slots=True)
class Recorded:
    """One CALL of a charger."""

    at: float
    """Seconds, counted from any moment."""
    identity: str
    version: str
    action: str
    payload: Payload


def read(file: str | Path) -> list[Recorded]:
    """All CALLs of a file, by time. Raises OSError, and ValueError with the line's number."""
    found: list[Recorded] = []
    with Path(file).open("rb") as lines:
        for number, line in enumerate(lines, 1):
            try:
                found += _recorded(orjson.loads(line)) if line.strip() else []
            except (ValueError, KeyError, TypeError, AttributeError):
                raise ValueError(f"line {number} is not a frame") from None
    return sorted(found, key=lambda frame: frame.at)


def _recorded(record: dict[str, Any]) -> Iterable[Recorded]:
    if "subject" in record:
        return _of_tail(record)
    version, payload = record["version"], record["payload"]
    if version not in SUBPROTOCOLS or not isinstance(payload, dict):
        raise ValueError
    return [Recorded(float(record["at"]), str(record["identity"]), version, str(record["action"]), payload)]


def _of_tail(record: dict[str, Any]) -> Iterator[Recorded]:
    tokens, headers = record["subject"].split("."), record["headers"]
    if len(tokens) != 5 or tokens[1] not in CLASSES or tokens[3].endswith("Response"):
        return
    at = datetime.fromisoformat(headers["ce-time"]).timestamp()
    yield Recorded(at, unquote(headers["ce-subject"]), tokens[2], tokens[3], record["payload"])


def refreshed(payload: Any) -> Any:
    """A copy with the current time in each ``timestamp``: an identical message would be a duplicate."""
    if isinstance(payload, list):
        return [refreshed(item) for item in payload]
    if not isinstance(payload, dict):
        return payload
    fresh = {name: refreshed(value) for name, value in payload.items()}
    with suppress(KeyError):
        if isinstance(fresh["timestamp"], str):
            fresh["timestamp"] = utc()
    return fresh
