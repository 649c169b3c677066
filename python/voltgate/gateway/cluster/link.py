"""One link fact: the connection that it is about, and its message (docs/contract.md 3.6).

Values in, bytes out; when which is written is decided in ``links``.
"""

from dataclasses import dataclass
from typing import Literal, TypeGuard

import orjson

from voltgate import _core
from voltgate.gateway import cloudevents
from voltgate.gateway.interfaces import Stored
from voltgate.gateway.registry.record import is_identity

LONGEST = 1024  # characters of a field


def is_name(value: object) -> TypeGuard[str]:
    """Whether a field of a link can be one that a gateway wrote: nobody else's fills memory or a body."""
    return isinstance(value, str) and len(value) <= LONGEST


@dataclass(slots=True, eq=False)
class LinkFact:
    """The facts of one connection; ``epoch`` is known once ``up`` is stored."""

    identity: str
    token: str
    version: str
    session: str
    remote: str
    replaces: str | None
    security_profile: int
    gateway: str
    epoch: int | None = None
    behind: int | None = None
    """The sequence its next ``up`` must follow directly, where that matters."""
    ended: str = ""
    facts: int = 0
    foreign: int = 0
    """The last message of another gateway's session that was heard while the epoch was not known."""
    ours: int = 0
    """The same of an earlier session of this process, or of a ``down`` of its own."""
    stored: int = 0
    """The last ``up`` of its own that was heard."""
    at: str = ""
    """When its first ``up`` was written, by the clock of its gateway; "" for never."""
    rolled_back: bool = False
    """The stream that held its ``up`` was restored from a backup, or made anew."""

    @classmethod
    def parse(cls, token: str, stored: Stored) -> "LinkFact | None":
        """The link of an ``up`` read back; None where it is not one. Requires only what ownership depends on.

        The other fields are passed on as another gateway, maybe of another release, wrote them.
        """
        try:
            identity, link = _core.identity(token), orjson.loads(stored.data)
            state, session, gateway = link["state"], link["session"], link["gateway"]
        except (ValueError, KeyError, TypeError):
            return None
        if state != "up" or not (is_name(session) and is_name(gateway)):
            return None
        if not is_identity(identity):
            return None  # NATS disconnects a client that publishes to a subject beyond its bounds
        # What does not fit is left out: a `down` must be storable whatever its `up` held.
        version, remote = (text if is_name(text) else "" for text in map(link.get, ("version", "remote")))
        replaces, profile = link.get("replaces"), link.get("security_profile")
        return cls(
            identity,
            token,
            version,
            session,
            remote,
            replaces if is_name(replaces) else None,
            profile if type(profile) is int else 0,
            gateway,
            stored.seq,
            at=link["at"] if is_name(link.get("at")) else "",
        )

    def publish(
        self, prefix: str, state: Literal["up", "down"], behind: int | None, time_ms: int, reply: str
    ) -> bytes:
        """The whole NATS publish command.

        ``behind``: stored only where the charger's last link has this sequence (0: where it has none).
        """
        self.facts += 1
        at = cloudevents.time_text(time_ms)
        self.at = self.at or at
        body = {
            "state": state,
            "identity": self.identity,
            "version": self.version,
            "session": self.session,
            "replaces": self.replaces,
            "epoch": self.epoch,
            "gateway": self.gateway,
            "remote": self.remote,
            "security_profile": self.security_profile,
            "at": at,
            "reason": None if state == "up" else self.ended,
        }
        more = [("ocpp-session", self.session)]
        if behind is not None:
            more.append(("Nats-Expected-Last-Subject-Sequence", str(behind)))
        headers = cloudevents.headers(
            f"{self.session}/{state}-{self.facts}",
            f"chargers/{self.token}",
            f"ocpp.link.{state}",
            at,
            identity=self.identity,
            extra=more,
        )
        return _core.publish(f"{prefix}.link.{self.token}", reply, headers, orjson.dumps(body))
