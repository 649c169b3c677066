"""Who may come in: identity, subprotocol, admission (CONTRACT 2.1). After the upgrade it stands aside.

The order is the price: what costs nothing is checked first, so a storm is refused before it is expensive.
Credentials and TLS have their place in :meth:`Listener._decide`, behind the subprotocol and before ownership.
"""

from dataclasses import dataclass
from typing import Protocol
from urllib.parse import unquote_to_bytes

from websockets.http11 import Request

from voltgate import config
from voltgate.gateway.connection import Connection
from voltgate.gateway.owners import Decided
from voltgate.gateway.reasons import Refusal
from voltgate.gateway.wheel import Wheel
from voltgate.schemas import VERSIONS

MAX_CHARACTERS = 48  # OCPP.md A3
MAX_BYTES = 96


@dataclass(frozen=True, slots=True)
class Admission:
    """A charger that may come in."""

    identity: str
    subprotocol: str
    security_profile: int


class House(Protocol):
    """What the listener asks of the worker behind it."""

    def closed(self) -> Refusal | None:
        """Why nobody may come in now, or None."""

    def take_handshake(self) -> bool:
        """Whether ``limits.handshakes_per_second`` allows one more."""

    def claim(self, identity: str, connection: Connection, decided: Decided) -> None:
        """Make room for a connection of ``identity``; ``decided`` may be called later (CONTRACT 3.6)."""

    def start_session(self, admission: Admission, connection: Connection, replaced: str | None) -> None:
        """The 101 is out: begin the session, in place of session ``replaced`` if there was one."""


class HandshakeRate:
    """``limits.handshakes_per_second`` over the whole process, with a burst of one second."""

    def __init__(self, rate: float, clock: Wheel) -> None:
        self._rate, self._clock = rate, clock
        self._tokens, self._at = rate, clock.now

    def take(self) -> bool:
        """Whether one more may be answered now."""
        now = self._clock.now
        self._tokens = min(self._tokens + (now - self._at) * self._rate, max(self._rate, 1.0))
        self._at = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True


class Listener:
    """The door of one configured address."""

    def __init__(self, settings: config.Listener, house: House) -> None:
        self._settings, self._house = settings, house

    def door(self, connection: Connection, request: Request) -> None:
        """Decide one upgrade request."""
        decision = self._decide(request)
        if isinstance(decision, Refusal):
            if decision in (Refusal.NO_SUBPROTOCOL, Refusal.UNSERVED_SUBPROTOCOL):
                self._unmatched(connection, request, decision)
            else:
                connection.refuse(decision)
            return

        if not connection.prepare(request, decision.subprotocol if _offered(request) else None):
            return

        def decided(refusal: Refusal | None, replaced: str | None) -> None:
            if connection.gone:
                return
            refusal = refusal or self._house.closed()  # it may have begun to leave while the charger waited
            if refusal is not None:
                connection.refuse(refusal)
                return
            connection.accept()
            self._house.start_session(decision, connection, replaced)

        self._house.claim(decision.identity, connection, decided)

    def _decide(self, request: Request) -> Admission | Refusal:
        refusal = self._house.closed()
        if refusal is not None:
            return refusal
        if not self._house.take_handshake():
            return Refusal.RATE
        identity = identity_of(request.path)
        if identity is None:
            return Refusal.BAD_IDENTITY
        offered = _offered(request)
        if offered:
            subprotocol = next((name for name in offered if name in VERSIONS), "")
        else:
            subprotocol = self._settings.assume_version
        if not subprotocol:
            return Refusal.UNSERVED_SUBPROTOCOL if offered else Refusal.NO_SUBPROTOCOL
        return Admission(identity, subprotocol, self._settings.security_profile)

    def _unmatched(self, connection: Connection, request: Request, refusal: Refusal) -> None:
        if self._settings.unmatched == "refuse":
            connection.refuse(refusal)
        elif connection.prepare(request, None):
            connection.close_unmatched(refusal)


def identity_of(path: str) -> str | None:
    """The charger's identity: the last non-empty segment of the path, percent-decoded once (OCPP.md A3).

    None where it is no legal one: empty, over 48 characters or 96 bytes, with a control character or ``:``,
    invalid UTF-8.
    """
    segments = [segment for segment in path.split("?", 1)[0].split("#", 1)[0].split("/") if segment]
    if not segments:
        return None
    # websockets reads the request line as ASCII with surrogates for what is none.
    raw = unquote_to_bytes(segments[-1].encode("ascii", "surrogateescape"))
    try:
        identity = raw.decode()
    except UnicodeDecodeError:
        return None
    legal = identity and len(identity) <= MAX_CHARACTERS and len(raw) <= MAX_BYTES
    if not legal or any(c == ":" or c < " " or "\x7f" <= c <= "\x9f" for c in identity):
        return None
    return identity


def _offered(request: Request) -> list[str]:
    """The offered subprotocols in the charger's order; an empty header counts as none (OCPP.md B)."""
    values = request.headers.get_all("Sec-WebSocket-Protocol")
    return [name for value in values for part in value.split(",") if (name := part.strip())]
