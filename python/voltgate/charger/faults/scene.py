"""What a fault is, and what it may know about the message that it changes."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum, auto

from voltgate.charger.messages import Message

ALL = ("v16", "v201", "v21")
OLD = ("v16",)
NEW = ("v201", "v21")


class Moment(Enum):
    """The part of a transaction that a message is. ``SAMPLE``: a meter value of one; ``OTHER``: of none."""

    BEGIN = auto()
    SAMPLE = auto()
    END = auto()
    OTHER = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """The truth behind one message."""

    version: str
    moment: Moment = Moment.OTHER
    booted: datetime = datetime(2026, 1, 1, tzinfo=UTC)
    """When the charger was switched on."""
    readings: tuple[int, ...] = ()
    """Wh: the true register at the begin of the transaction and in each message since, this one included."""

    @property
    def place(self) -> int:
        """The number of the message in its transaction, from 0."""
        return len(self.readings) - 1


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault: its line of help, what it makes of a message, and of the charger's behaviour."""

    help: str
    rewrite: Callable[[Message, Scene], list[Message]] = lambda message, scene: [message]
    """May change its argument. Drops or adds messages of transactions only."""
    versions: tuple[str, ...] = ALL
    provable: bool = True
    """Whether the messages that are left still prove 99 % of the energy."""
    away: bool = False
    """The connection is down from the begin of a transaction to its end."""
    stubborn: bool = False
    """Charges although the CSMS refuses the token."""
    repeats_ids: bool = False
    """Its transactions have the ids 1 and 2 in turn."""
