"""Ticks: time as a fact. Message of ``OPS_TICK``: ``{"at", "positions", "gauges"}``.

What joins two streams, and whatever depends on the time, acts at ticks only. A tick names the position of
every stream that was folded before it, so a rebuild folds exactly as much before it acts.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

import orjson

from voltgate.csms.ledger import times
from voltgate.csms.ledger.facts import Message, UnreadableError


@dataclass(frozen=True, slots=True)
class Position:
    """The last message folded of one stream; ``created``: of the stream, since one made anew starts at 1."""

    created: str
    seq: int


@dataclass(frozen=True, slots=True)
class Tick:
    """``seq``: its own in ``OPS_TICK``. ``gauges``: how full streams were, and how late the ledger."""

    seq: int
    at: datetime
    positions: Mapping[str, Position]
    gauges: Mapping[str, int] = field(default_factory=dict)


def encoded(
    at: datetime, positions: Mapping[str, Position], gauges: Mapping[str, int] | None = None
) -> bytes:
    """The body of a tick's message."""
    shown = {name: {"created": one.created, "seq": one.seq} for name, one in sorted(positions.items())}
    return orjson.dumps({"at": times.text(at), "positions": shown, "gauges": dict(gauges or {})})


def decoded(message: Message) -> Tick:
    """The tick of a message. Raises UnreadableError."""
    try:
        body = orjson.loads(message.data)
        positions = {
            name: Position(str(one["created"]), int(one["seq"])) for name, one in body["positions"].items()
        }
        gauges = {str(name): int(value) for name, value in body.get("gauges", {}).items()}
        return Tick(message.seq, times.parsed(body["at"]), positions, gauges)
    except (KeyError, ValueError, TypeError, AttributeError) as error:
        raise UnreadableError(f"is not a tick: {type(error).__name__}") from None
