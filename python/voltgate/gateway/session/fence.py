"""The fence before a CALL leaves: which session the charger's last link names (docs/contract.md 3.5).

The link is read from the leader of OCPP_LINKS while the command's fact is being stored, so it costs no time.
The read begins after the command has arrived: a command that was sent after a newer session's ``up`` was seen
never goes to an older socket.
"""

from collections.abc import Callable
from typing import NamedTuple

import orjson

from voltgate.gateway.interfaces import Ack, NotRead, NotStored, Stored
from voltgate.gateway.session.command import Command, Standing, Writer
from voltgate.gateway.session.context import Surroundings


def standing(last: Stored | NotRead, session: str, gateway: str) -> Standing:
    """What ``last``, the charger's last link, says about ``session`` of the process ``gateway``."""
    if not isinstance(last, Stored):
        return Standing.UNKNOWN if last is NotRead.UNREADABLE else Standing.HIDDEN
    try:
        link = orjson.loads(last.data)
        up, owner, holder = link["state"] == "up", link["session"], link["gateway"]
    except (ValueError, KeyError, TypeError):
        return Standing.HIDDEN  # not written by a gateway
    if not up:
        return Standing.HIDDEN
    if owner == session:
        return Standing.OURS
    return Standing.HIDDEN if holder == gateway else Standing.OTHER


class Fenced(NamedTuple):
    """What both are known to be."""

    ack: Ack | NotStored
    standing: Standing


class Fence:
    """Stores a command's fact and reads the link: ``done(command, fenced)`` once, when both have come."""

    def __init__(
        self, command: Command, surroundings: Surroundings, done: Callable[[Command, Fenced], None]
    ) -> None:
        self._command, self._done = command, done
        self._surroundings = surroundings
        self._ack: Ack | NotStored | None = None
        self._standing: Standing | None = None

    def ask(self, writer: Writer) -> None:
        """Send both to NATS."""
        nats, (bus, clock, *_) = self._surroundings.context.nats, self._surroundings.outside
        subject = f"{nats.prefix}.link.{self._surroundings.publisher.token}"
        bus.read_leader(f"{nats.stream_prefix}_LINKS", 0, subject, self._read, None)
        ticket = bus.ticket(self._stored, None)
        bus.store(ticket, writer.fact(self._command, clock.time_ms, ticket.reply))

    def _read(self, _: None, last: Stored | NotRead) -> None:
        session, gateway = self._surroundings.publisher.session, self._surroundings.outside.gateway
        self._standing = standing(last, session, gateway)
        self._join()

    def _stored(self, _: None, ack: Ack | NotStored) -> None:
        self._ack = ack
        self._join()

    def _join(self) -> None:
        if self._ack is not None and self._standing is not None:
            self._done(self._command, Fenced(self._ack, self._standing))
