"""Links: who is online. An ``up`` and a ``down`` per connection in ``OCPP_LINKS`` (CONTRACT 3.6).

The sequence of the ``up`` is the connection's epoch; ``down`` is written only where no newer ``up`` stands
after it, so a superseded connection can never mark its successor as offline. Ownership inside this process
is here too: one live connection per identity.
"""

from dataclasses import dataclass, field
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
    ended: str = field(default="", repr=False)


class Links:
    """Writes the link facts of one process."""

    def __init__(self, bus: Bus, prefix: str, gateway: str) -> None:
        self._bus, self._prefix, self._gateway = bus, prefix, gateway

    def up(self, link: LinkFact) -> None:
        """Store the ``up``; the epoch comes with its PubAck."""
        self._write(link, "up", None, (), self._stored)

    def down(self, link: LinkFact, reason: str) -> None:
        """Store the ``down``, at once or as soon as the epoch is known."""
        link.ended = reason
        if link.epoch is not None:
            expected = ("Nats-Expected-Last-Subject-Sequence", str(link.epoch))
            self._write(link, "down", reason, (expected,), _ignore)

    def _stored(self, link: LinkFact, ack: Ack | None) -> None:
        if ack is not None:
            link.epoch = ack.seq
            if link.ended:
                self.down(link, link.ended)

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


def _ignore(link: LinkFact, ack: Ack | None) -> None:
    """A ``down`` was refused: a newer connection stands, or the bus is away and liveness decides (3.6)."""
