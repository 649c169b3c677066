"""Who may come in: identity, subprotocol, credentials, admission (CONTRACT 2.1). Then it stands aside.

The order is the price: what costs nothing is checked first, so a storm is refused before it is expensive.
TLS has its place before all of it.
"""

import hmac
from dataclasses import dataclass
from functools import partial
from typing import Protocol
from urllib.parse import unquote_to_bytes

from websockets.http11 import Request

from voltgate import config
from voltgate.gateway.clock import Wheel
from voltgate.gateway.edge.connection import Connection
from voltgate.gateway.interfaces import Decided, NotRead
from voltgate.gateway.reasons import Reason, Refusal
from voltgate.gateway.registry.credentials import Judged, Judgement, basic
from voltgate.gateway.registry.record import ALIAS, Found, Known, Record, is_identity
from voltgate.schemas import VERSIONS

# Seconds after which credentials are refused, whatever was found out how soon: who measures learns nothing,
# and who guesses waits.
REFUSED_AFTER = 0.5
_NO_RECORD = Record(enabled=True)


@dataclass(frozen=True, slots=True)
class Admission:
    """A charger that may come in. ``known``: its record, if it has one; ``needs_record``: it must."""

    identity: str
    subprotocol: str
    security_profile: int
    authenticated: bool
    known: Known | None
    needs_record: bool

    @property
    def record(self) -> Record:
        """What its record says, or says by its absence."""
        return self.known.record if self.known is not None else _NO_RECORD

    def ended_by(self, known: Known | None) -> Reason | None:
        """Why the connection cannot stay as it is now that ``known`` is the charger's record."""
        if known is None and self.needs_record:
            return Reason.REMOVED
        record, before = known.record if known is not None else _NO_RECORD, self.record
        if not record.enabled:
            return Reason.DISABLED
        fits = record.allows_profile(self.security_profile) and record.serves(VERSIONS[self.subprotocol])
        same = (record.validation, record.quirks) == (before.validation, before.quirks)
        return None if fits and same else Reason.RECORD_CHANGED


@dataclass(frozen=True, slots=True)
class Upgrade:
    """A request that is being decided. ``offered``: subprotocols, an assumed one if there were none."""

    connection: Connection
    request: Request
    identity: str
    offered: list[str]
    at: float


class House(Protocol):
    """What the listener asks of the worker behind it."""

    def closed(self) -> Refusal | None:
        """Why nobody may come in now, or None."""

    def take_handshake(self) -> bool:
        """Whether ``limits.handshakes_per_second`` allows one more."""

    def find(self, identity: str, found: Found) -> None:
        """Look the charger up in the registry; ``found`` may be called later."""

    def judge(self, known: Known | None, password: bytes, peer: str, judged: Judged) -> None:
        """Check a password of ``peer``, at the same cost for nobody; ``judged`` may be called later."""

    def claim(self, admission: Admission, connection: Connection, decided: Decided) -> None:
        """Make room for a connection of its identity; ``decided`` may be called later (CONTRACT 3.6)."""

    def start_session(self, admission: Admission, connection: Connection, replaced: str | None) -> None:
        """The 101 is out: begin the session, in place of session ``replaced`` if there was one."""

    def suspect(self, refusal: Refusal, known: Known | None, peer: str) -> None:
        """Somebody was refused who may not be who he says."""


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

    def __init__(
        self, settings: config.Listener, registry: config.Registry, house: House, clock: Wheel
    ) -> None:
        self._settings, self._house, self._clock = settings, house, clock
        self._authenticates = not settings.allow_unauthenticated
        self._needs_record = registry.required or self._authenticates

    def door(self, connection: Connection, request: Request) -> None:
        """Decide one upgrade request, at once or later."""
        refusal = self._house.closed()
        if refusal is None and not self._house.take_handshake():
            refusal = Refusal.RATE
        identity = identity_of(request.path) if refusal is None else None
        if identity is None:
            connection.refuse(refusal or Refusal.BAD_IDENTITY)
            return
        offered = _offered(request)
        wanted = offered or [self._settings.assume_version]
        upgrade = Upgrade(connection, request, identity, wanted, self._clock.now)
        if any(name in VERSIONS or name == ALIAS for name in wanted):
            self._house.find(identity, partial(self._found, upgrade))
        else:
            self._unmatched(upgrade, Refusal.UNSERVED_SUBPROTOCOL if offered else Refusal.NO_SUBPROTOCOL)

    def _found(self, upgrade: Upgrade, found: Known | NotRead) -> None:
        if upgrade.connection.gone:
            return
        known = found if isinstance(found, Known) else None
        if found is NotRead.UNREADABLE:
            upgrade.connection.refuse(Refusal.BUS_AWAY)
        elif self._authenticates:
            self._authenticate(upgrade, known)
        elif self._needs_record if known is None else not known.record.enabled:
            self._refuse(upgrade, Refusal.NOT_REGISTERED, known)
        elif known is not None and not known.record.allows_profile(self._settings.security_profile):
            self._refuse(upgrade, Refusal.WRONG_PROFILE, known)
        else:
            self._admit(upgrade, known)

    def _authenticate(self, upgrade: Upgrade, known: Known | None) -> None:
        user, password = basic(upgrade.request.headers.get_all("Authorization")) or (None, b"")
        refusal = None
        if user is None:
            refusal = Refusal.NO_CREDENTIALS
        elif not hmac.compare_digest(user, upgrade.identity.encode()):  # OCPP.md A23
            refusal = Refusal.WRONG_USER
        elif known is None:
            refusal = Refusal.UNKNOWN_IDENTITY
        elif not known.record.enabled:
            refusal = Refusal.DISABLED
        elif not known.record.allows_profile(self._settings.security_profile):
            refusal = Refusal.WRONG_PROFILE

        def judged(judgement: Judgement) -> None:
            if upgrade.connection.gone:
                return
            if judgement is Judgement.CROWDED:
                upgrade.connection.refuse(Refusal.RATE)
            elif judgement is Judgement.PASSED:
                self._admit(upgrade, known)
            else:
                wait = max(upgrade.at + REFUSED_AFTER - self._clock.now, 0.0)
                self._clock.after(wait, self._refuse, upgrade, refusal or Refusal.WRONG_PASSWORD, known)

        peer = upgrade.connection.peer
        self._house.judge(known if refusal is None else None, password, peer, judged)

    def _admit(self, upgrade: Upgrade, known: Known | None) -> None:
        connection, request = upgrade.connection, upgrade.request
        record = known.record if known is not None else _NO_RECORD
        chosen = next((name for name in upgrade.offered if _serves(record, name)), None)
        if chosen is None:
            self._unmatched(upgrade, Refusal.UNSERVED_SUBPROTOCOL)
            return
        if "no_compression" in record.quirks and "Sec-WebSocket-Extensions" in request.headers:
            del request.headers["Sec-WebSocket-Extensions"]
        if not connection.prepare(request, chosen if _offered(request) else None):
            return
        admission = Admission(
            upgrade.identity,
            "ocpp1.6" if chosen == ALIAS else chosen,
            self._settings.security_profile,
            self._authenticates,
            known,
            self._needs_record,
        )

        def decided(refusal: Refusal | None, replaced: str | None) -> None:
            if connection.gone:
                return
            refusal = refusal or self._house.closed()  # it may have begun to leave while the charger waited
            if refusal is not None:
                self._refuse(upgrade, refusal, known)
                return
            connection.quirks = record.quirks
            connection.accept()
            self._house.start_session(admission, connection, replaced)

        self._house.claim(admission, connection, decided)

    def _refuse(self, upgrade: Upgrade, refusal: Refusal, known: Known | None) -> None:
        if upgrade.connection.gone:
            return
        if refusal.is_security:
            self._house.suspect(refusal, known, upgrade.connection.peer)
        upgrade.connection.refuse(refusal)

    def _unmatched(self, upgrade: Upgrade, refusal: Refusal) -> None:
        if self._settings.unmatched == "refuse":
            upgrade.connection.refuse(refusal)
        elif upgrade.connection.prepare(upgrade.request, None):
            upgrade.connection.close_unmatched(refusal)


def _serves(record: Record, name: str) -> bool:
    if name == ALIAS:
        return "subprotocol_alias" in record.quirks and record.serves("v16")
    return name in VERSIONS and record.serves(VERSIONS[name])


def identity_of(path: str) -> str | None:
    """The charger's identity: the last non-empty segment of the path, percent-decoded once (OCPP.md A3).

    None where it is no legal one, or invalid UTF-8.
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
    return identity if is_identity(identity) else None


def _offered(request: Request) -> list[str]:
    """The offered subprotocols in the charger's order; an empty header counts as none (OCPP.md B)."""
    values = request.headers.get_all("Sec-WebSocket-Protocol")
    return [name for value in values for part in value.split(",") if (name := part.strip())]
