"""Decisions of people and policies: messages of ``OPS_SET``, folded at ticks only.

A decision is the whole new document of its (kind, id). Its revision is its sequence in the stream. One whose
``valid_from`` lies before the tick that folds it never changes what is settled.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

import orjson

from voltgate.csms.ledger import times
from voltgate.csms.ledger.facts import Message, UnreadableError, identity, parsed, token


class Kind(StrEnum):
    """Second-last token of the subject: ``ops.set.<kind>.<token of the id>``."""

    SITE = "site"
    CHARGER = "charger"
    TARIFF = "tariff"
    ASSIGNMENT = "assignment"
    GROUP = "group"
    RULE = "rule"
    CORRECTION = "correction"
    WAIVER = "waiver"
    EXCLUSION = "exclusion"
    PAYMENT = "payment"
    MUTE = "mute"


@dataclass(frozen=True, slots=True)
class Decision:
    """``valid_from``: since ever for the first revision of an id that names no time."""

    kind: str
    id: str
    seq: int
    valid_from: datetime
    by: str
    at: datetime
    why: str
    body: dict[str, Any]


def subject(prefix: str, kind: str, id_: str) -> str:
    """The subject of a decision."""
    return f"{prefix}.set.{kind}.{token(id_)}"


def encoded(
    *, by: str, at: datetime, body: dict[str, Any], why: str = "", valid_from: datetime | None = None
) -> bytes:
    """The body of a decision's message."""
    document = {"by": by, "at": times.text(at), "why": why, "body": body}
    if valid_from is not None:
        document["valid_from"] = times.text(valid_from)
    return orjson.dumps(document)


def decoded(message: Message, first: bool) -> Decision:
    """The decision of a message. ``first``: no earlier revision of its id. Raises UnreadableError."""
    tokens = message.subject.split(".")
    try:
        document = parsed(message.data)
        body, by, why = document["body"], document["by"], document.get("why", "")
        at = times.parsed(document["at"])
        given = document.get("valid_from")
        valid_from = times.parsed(given) if given else times.EPOCH if first else at
        kind = Kind(tokens[-2])
    except (KeyError, ValueError, TypeError, AttributeError) as error:
        raise UnreadableError(f"is not a decision: {type(error).__name__}") from None
    if not isinstance(body, dict):
        raise UnreadableError("its body is not an object")
    return Decision(kind, identity(tokens[-1]), message.seq, valid_from, str(by), at, str(why), body)
