"""Links: who is online. An ``up`` and a ``down`` per connection in ``OCPP_LINKS`` (CONTRACT 3.6).

The sequence of the ``up`` is the connection's epoch; ``down`` is written only where no newer ``up`` stands
after it, so a superseded connection can never mark its successor as offline. Ownership inside this process
is here too: one live connection per identity.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson

from voltgate import _core
from voltgate.gateway.ports import Ack, Bus


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
    tries_left: int = 3


class Links:
    """Writes the link facts of one process."""

    def __init__(self, bus: Bus, prefix: str, gateway: str) -> None:
        self._bus, self._prefix, self._gateway = bus, prefix, gateway
        self._owed: list[LinkFact] = []

    def up(self, link: LinkFact) -> None:
        """Store the ``up``; the epoch comes with its PubAck."""
        self._write(link, "up", None, (), self._up_stored)

    def down(self, link: LinkFact, reason: str) -> None:
        """Store the ``down``, at once or as soon as the epoch is known."""
        link.ended = reason
        if link.epoch is not None:
            expected = ("Nats-Expected-Last-Subject-Sequence", str(link.epoch))
            self._write(link, "down", reason, (expected,), self._down_stored)

    def settle(self) -> None:
        """The bus is back: write what it did not take, once more."""
        owed, self._owed = self._owed, []
        for link in owed:
            if link.epoch is not None:
                self.down(link, link.ended)
            elif not link.ended:
                self.up(link)

    def _up_stored(self, link: LinkFact, ack: Ack | None) -> None:
        if ack is None:
            self._owe(link)
            return
        link.epoch = ack.seq
        if link.ended:
            self.down(link, link.ended)

    def _down_stored(self, link: LinkFact, ack: Ack | None) -> None:
        # Refused is fine too: a newer connection stands. Which of the two it was, the second time tells.
        if ack is None:
            self._owe(link)

    def _owe(self, link: LinkFact) -> None:
        if link.tries_left:
            link.tries_left -= 1
            self._owed.append(link)

    def _write(
        self, link: LinkFact, state: str, reason: str | None, headers: tuple[tuple[str, str], ...], done: Any
    ) -> None:
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
            ("ce-id", f"{link.session}/{state}"),
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
