"""Links: who is online. An ``up`` and a ``down`` per connection in ``OCPP_LINKS`` (CONTRACT 3.6).

The sequence of the ``up`` is the connection's epoch; ``down`` is written only where no newer ``up`` stands
after it, so a superseded connection can never mark its successor as offline. Ownership inside this process
is here too: one live connection per identity.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson

from voltgate import _core
from voltgate.gateway.ports import Ack, Bus, Clock, Stored

AGAIN = 5.0  # seconds until a fact the bus did not take is written again


@dataclass(slots=True)
class LinkFact:
    """One connection's facts; ``epoch`` is known once ``up`` is stored."""

    identity: str
    token: str
    version: str
    session: str
    remote: str
    replaces: str | None
    security_profile: int
    epoch: int | None = None
    ended: str = ""
    on_up: Callable[[], None] | None = None
    """Called once, when the ``up`` is stored and the connection still stands."""
    facts: int = 0


class Links:
    """Writes the link facts of one process, again and again until the bus has taken them."""

    def __init__(self, bus: Bus, clock: Clock, prefix: str, stream: str, gateway: str) -> None:
        self._bus, self._clock = bus, clock
        self._prefix, self._stream, self._gateway = prefix, stream, gateway
        # By token, so that no outage makes it longer than there are chargers.
        self._owed: dict[str, LinkFact] = {}
        self._waiting = False

    def up(self, link: LinkFact) -> None:
        """Store the ``up``; the epoch comes with its PubAck."""
        self._write(link, "up", None, (), self._up_stored)

    def down(self, link: LinkFact, reason: str) -> None:
        """Store the ``down``, at once or as soon as the epoch is known."""
        link.ended = reason
        if link.epoch is not None:
            expected = ("Nats-Expected-Last-Subject-Sequence", str(link.epoch))
            self._write(link, "down", reason, (expected,), self._down_stored)

    def _up_stored(self, link: LinkFact, ack: Ack | bool | None) -> None:
        if not isinstance(ack, Ack):
            self._owe(link)
            return
        link.epoch = ack.seq
        on_up, link.on_up = link.on_up, None
        if link.ended:
            self.down(link, link.ended)
        elif on_up is not None:
            on_up()

    def _down_stored(self, link: LinkFact, ack: Ack | bool | None) -> None:
        # Refused is as good as stored: a newer connection stands behind our epoch.
        if ack is None:
            self._owe(link)

    def _owe(self, link: LinkFact) -> None:
        other = self._owed.get(link.token)
        if link.ended and other is not None and other is not link:
            return  # its successor is owed already, and hides it
        self._owed[link.token] = link
        if not self._waiting:
            self._waiting = True
            self._clock.after(AGAIN, self._settle)

    def _settle(self) -> None:
        """Write what the bus did not take."""
        self._waiting = False
        owed, self._owed = self._owed, {}
        for link in owed.values():
            if link.epoch is not None:
                self.down(link, link.ended)
            elif link.ended:
                # Its `up` may be stored or not: a blind second one could hide a newer connection's.
                self._bus.read(self._stream, 1, f"{self._prefix}.link.{link.token}", self._last_read, link)
            else:
                self.up(link)

    def _last_read(self, link: LinkFact, stored: Stored | bool | None) -> None:
        if stored is False:
            self._owe(link)
        elif isinstance(stored, Stored) and stored.headers.get("ocpp-session") == link.session:
            link.epoch = stored.seq
            self.down(link, link.ended)

    def _write(
        self, link: LinkFact, state: str, reason: str | None, headers: tuple[tuple[str, str], ...], done: Any
    ) -> None:
        link.facts += 1
        at = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        body = {
            "state": state,
            "identity": link.identity,
            "version": link.version,
            "session": link.session,
            "replaces": link.replaces,
            "epoch": link.epoch,
            "gateway": self._gateway,
            "remote": link.remote,
            "security_profile": link.security_profile,
            "at": at,
            "reason": reason,
        }
        events = (
            ("ce-specversion", "1.0"),
            ("ce-id", f"{link.session}/{state}-{link.facts}"),
            ("ce-source", f"/chargers/{link.token}"),
            ("ce-type", f"ocpp.link.{state}"),
            ("ce-subject", link.identity),
            ("ce-time", at),
            ("ce-datacontenttype", "application/json"),
            ("ocpp-session", link.session),
        )
        ticket = self._bus.ticket(done, link)
        subject = f"{self._prefix}.link.{link.token}"
        self._bus.store(ticket, _core.publish(subject, ticket.reply, [*events, *headers], orjson.dumps(body)))
