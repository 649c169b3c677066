"""Decides who may connect: identity, subprotocol, credentials, admission (docs/contract.md 2.1).

The checks are in the order of their price: what costs nothing comes first, so that a storm is refused before
it is expensive. After the upgrade the listener has no part in the connection.
"""

import hmac
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Protocol
from urllib.parse import unquote_to_bytes

from websockets.http11 import Request

from voltgate import _core, config
from voltgate.gateway.edge.socket import Shared
from voltgate.gateway.edge.upgrade import Upgrade
from voltgate.gateway.interfaces import Claim, NotRead
from voltgate.gateway.rates import HandshakeRate
from voltgate.gateway.reasons import Reason, Refusal
from voltgate.gateway.registry.credentials import Judgement, Passwords, basic
from voltgate.gateway.registry.record import ALIAS, ALIAS_OF, Found, Known, Record, is_identity
from voltgate.gateway.registry.security import Security
from voltgate.schemas import VERSIONS

# Seconds after the request at which wrong credentials are refused, whatever is wrong with them: the time says
# nothing about the reason, and guessing is slow.
REFUSED_AFTER = 0.5
_NO_RECORD = Record(enabled=True)


@dataclass(frozen=True, slots=True)
class Admission:
    """A charger that may connect. ``known``: its record, if any; ``needs_record``: it must have one."""

    identity: str
    subprotocol: str
    security_profile: int
    authenticated: bool
    known: Known | None
    needs_record: bool

    @property
    def record(self) -> Record:
        """Its record, or the one that stands for none."""
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


class Records(Protocol):
    """The registry."""

    def find(self, identity: str, found: Found) -> None:
        """Call ``found`` with the charger's record, now or later."""


class Ownership(Protocol):
    """One live connection per identity."""

    def claim(self, claim: Claim) -> None:
        """Make room for a newcomer, or refuse it: ``claim.decided``, now or later (docs/contract.md 3.6)."""


@dataclass(frozen=True, slots=True)
class Entrance:
    """What all listeners of a process decide with."""

    records: Records
    passwords: Passwords
    ownership: Ownership
    security: Security
    rate: HandshakeRate
    closed: Callable[[], Refusal | None]
    """Why nobody may connect now, or None."""
    start_session: Callable[[Admission, Upgrade, str | None], None]
    """Accept the upgrade and begin its session, in place of the session named last if there was one."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """A request that is being decided. ``wanted``: the subprotocols offered, or the assumed one."""

    upgrade: Upgrade
    identity: str
    offered: list[str]
    wanted: list[str]
    at: float


class Listener:
    """One configured address."""

    def __init__(
        self, settings: config.Listener, registry: config.Registry, entrance: Entrance, shared: Shared
    ) -> None:
        self._settings, self._entrance, self._shared = settings, entrance, shared
        self._authenticates = not settings.allow_unauthenticated
        self._needs_record = registry.required or self._authenticates

    def decide(self, upgrade: Upgrade) -> None:
        """Accept or refuse one upgrade request, now or later."""
        entrance, now = self._entrance, self._shared.clock.now
        refusal = entrance.closed()
        if refusal is None and not entrance.rate.take(now, self._shared.limits.handshakes_per_second):
            refusal = Refusal.RATE
        identity = identity_of(upgrade.request.path) if refusal is None else None
        if identity is None:
            upgrade.refuse(refusal or Refusal.BAD_IDENTITY)
            return
        offered = _offered(upgrade.request)
        attempt = Attempt(upgrade, identity, offered, offered or [self._settings.assume_version], now)
        if any(name in VERSIONS or name == ALIAS for name in attempt.wanted):
            entrance.records.find(identity, partial(self._found, attempt))
        else:
            self._unmatched(upgrade, Refusal.UNSERVED_SUBPROTOCOL if offered else Refusal.NO_SUBPROTOCOL)

    def _found(self, attempt: Attempt, found: Known | NotRead) -> None:
        if attempt.upgrade.gone:
            return
        known = found if isinstance(found, Known) else None
        if found is NotRead.UNREADABLE:
            attempt.upgrade.refuse(Refusal.BUS_AWAY)
        elif self._authenticates:
            self._authenticate(attempt, known)
        elif self._needs_record if known is None else not known.record.enabled:
            self._refuse(attempt, Refusal.NOT_REGISTERED, known)
        elif known is not None and not known.record.allows_profile(self._settings.security_profile):
            self._refuse(attempt, Refusal.WRONG_PROFILE, known)
        else:
            self._admit(attempt, known)

    def _authenticate(self, attempt: Attempt, known: Known | None) -> None:
        upgrade = attempt.upgrade
        user, password = basic(upgrade.request.headers.get_all("Authorization")) or (None, b"")
        refusal = None
        if user is None:
            refusal = Refusal.NO_CREDENTIALS
        elif not hmac.compare_digest(user, attempt.identity.encode()):  # docs/ocpp.md A23
            refusal = Refusal.WRONG_USER
        elif known is None:
            refusal = Refusal.UNKNOWN_IDENTITY
        elif not known.record.enabled:
            refusal = Refusal.DISABLED
        elif not known.record.allows_profile(self._settings.security_profile):
            refusal = Refusal.WRONG_PROFILE

        def judged(judgement: Judgement) -> None:
            if upgrade.gone:
                return
            if judgement is Judgement.CROWDED:
                upgrade.refuse(Refusal.RATE)
            elif judgement is Judgement.PASSED:
                self._admit(attempt, known)
            else:
                clock = self._shared.clock
                wait = max(attempt.at + REFUSED_AFTER - clock.now, 0.0)
                clock.after(wait, self._refuse, attempt, refusal or Refusal.WRONG_PASSWORD, known)

        address = upgrade.peer.rpartition(":")[0]
        self._entrance.passwords.judge(known if refusal is None else None, password, address, judged)

    def _admit(self, attempt: Attempt, known: Known | None) -> None:
        upgrade, headers, entrance = attempt.upgrade, attempt.upgrade.request.headers, self._entrance
        record = known.record if known is not None else _NO_RECORD
        chosen = next((name for name in attempt.wanted if _serves(record, name)), None)
        if chosen is None:
            self._unmatched(upgrade, Refusal.UNSERVED_SUBPROTOCOL)
            return
        if "no_compression" in record.quirks and "Sec-WebSocket-Extensions" in headers:
            del headers["Sec-WebSocket-Extensions"]
        if not upgrade.prepare(chosen if attempt.offered else None):
            return
        identity = attempt.identity
        admission = Admission(
            identity,
            ALIAS_OF if chosen == ALIAS else chosen,
            self._settings.security_profile,
            self._authenticates,
            known,
            self._needs_record,
        )

        def decided(refusal: Refusal | None, replaced: str | None) -> None:
            if upgrade.gone:
                return
            refusal = refusal or entrance.closed()  # a drain may have begun while the charger waited
            if refusal is not None:
                self._refuse(attempt, refusal, known)
            else:
                entrance.start_session(admission, upgrade, replaced)

        token = _core.token(identity)
        entrance.ownership.claim(Claim(identity, token, upgrade, self._authenticates, decided))

    def _refuse(self, attempt: Attempt, refusal: Refusal, known: Known | None) -> None:
        upgrade = attempt.upgrade
        if upgrade.gone:
            return
        if refusal.is_security:
            self._entrance.security.note(refusal.label, known, upgrade.peer)
        upgrade.refuse(refusal)

    def _unmatched(self, upgrade: Upgrade, refusal: Refusal) -> None:
        if self._settings.unmatched == "refuse":
            upgrade.refuse(refusal)
        elif upgrade.prepare(None):
            upgrade.close_unmatched(refusal)


def _serves(record: Record, name: str) -> bool:
    if name == ALIAS:
        return "subprotocol_alias" in record.quirks and record.serves(VERSIONS[ALIAS_OF])
    return name in VERSIONS and record.serves(VERSIONS[name])


def identity_of(path: str) -> str | None:
    """The charger's identity: the last non-empty segment of the path, percent-decoded once (docs/ocpp.md A3).

    None where that is not a legal identity, or not UTF-8.
    """
    segments = [segment for segment in path.split("?", 1)[0].split("#", 1)[0].split("/") if segment]
    if not segments:
        return None
    # websockets reads the request line as ASCII, with surrogates for all other bytes.
    raw = unquote_to_bytes(segments[-1].encode("ascii", "surrogateescape"))
    try:
        identity = raw.decode()
    except UnicodeDecodeError:
        return None
    return identity if is_identity(identity) else None


def _offered(request: Request) -> list[str]:
    """The offered subprotocols in the charger's order; an empty header counts as none (docs/ocpp.md B)."""
    values = request.headers.get_all("Sec-WebSocket-Protocol")
    return [name for value in values for part in value.split(",") if (name := part.strip())]
