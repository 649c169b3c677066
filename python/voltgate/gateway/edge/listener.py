"""Decides who may connect: identity, subprotocol, credentials, admission (docs/contract.md 2.1).

The checks are in the order of their price: what costs nothing comes first, so that a storm is refused before
it is expensive. After the upgrade the listener has no part in the connection.
"""

import hmac
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Protocol, TypeVar, assert_never

from voltgate import _core, config
from voltgate.gateway.edge.front import Front
from voltgate.gateway.edge.head import offered
from voltgate.gateway.edge.paced import Stage
from voltgate.gateway.edge.socket import Shared
from voltgate.gateway.edge.tls import CertificateFault
from voltgate.gateway.edge.upgrade import Upgrade
from voltgate.gateway.interfaces import Claim, NotRead
from voltgate.gateway.rates import Allowance, Bucket, Budgets, source_of
from voltgate.gateway.reasons import Reason, Refusal
from voltgate.gateway.registry.credentials import REFUSED_AFTER, Judgement, Passwords, basic
from voltgate.gateway.registry.record import ALIAS, ALIAS_OF, Found, Known, Record
from voltgate.gateway.registry.security import Security
from voltgate.schemas import VERSIONS

T = TypeVar("T")

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
        if self.security_profile == 3:
            fits = fits and record.certificate_cn == before.certificate_cn
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
    rate: Bucket
    logins: Budgets
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

    @property
    def address(self) -> str:
        """The source's address, without its port."""
        return self.upgrade.peer.rpartition(":")[0]


class Listener:
    """One configured address."""

    def __init__(
        self,
        settings: config.Listener,
        registry: config.Registry,
        entrance: Entrance,
        shared: Shared,
        front: Front,
    ) -> None:
        self._front = front
        self._settings, self._entrance, self._shared = settings, entrance, shared
        self._authenticates = not settings.allow_unauthenticated
        self._needs_record = registry.required or self._authenticates

    def decide(self, upgrade: Upgrade) -> None:
        """Accept or refuse one upgrade request, now or later."""
        entrance, now = self._entrance, self._shared.clock.now
        rate = self._shared.limits.handshakes_per_second
        refusal = entrance.closed()
        if refusal is None and not entrance.rate.take(now, rate, max(rate, 1.0)):
            refusal = Refusal.RATE
        identity = upgrade.identity
        if refusal is not None or identity is None:
            upgrade.refuse(refusal or Refusal.BAD_IDENTITY)
            return
        names = offered(upgrade.request)
        attempt = Attempt(upgrade, identity, names, names or [self._settings.assume_version], now)
        if any(name in VERSIONS or name == ALIAS for name in attempt.wanted):
            entrance.records.find(identity, self._later(partial(self._found, attempt)))
        else:
            self._unmatched(upgrade, Refusal.UNSERVED_SUBPROTOCOL if names else Refusal.NO_SUBPROTOCOL)

    def _later(self, step: Callable[[T], None]) -> Callable[[T], None]:
        """``step``, when there is time for sockets that are not connected: answers arrive many at once."""
        return lambda answer: self._shared.paced.run(Stage.DECISION, partial(step, answer))

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
        elif self._is_other_profile(attempt, known):
            self._refuse(attempt, Refusal.WRONG_PROFILE, known)
        else:
            self._admit(attempt, known)

    def _is_other_profile(self, attempt: Attempt, known: Known | None) -> bool:
        """Whether its record names another profile, or its connection lacks what this one demands."""
        profile = self._settings.security_profile
        allowed = known is None or known.record.allows_profile(profile)
        return not (allowed and self._front.is_secured(attempt.upgrade.transport))

    def _authenticate(self, attempt: Attempt, known: Known | None) -> None:
        limits = self._shared.limits
        source = source_of(attempt.upgrade.peer)
        logins = self._entrance.logins.of(attempt.identity, source, attempt.at, limits)
        if not logins.login(attempt.at, limits):
            self._refuse(attempt, Refusal.FAILED_LOGINS, known)
            return
        refusal = None
        if known is None:
            refusal = Refusal.UNKNOWN_IDENTITY
        elif not known.record.enabled:
            refusal = Refusal.DISABLED
        elif self._is_other_profile(attempt, known):
            refusal = Refusal.WRONG_PROFILE
        if self._settings.security_profile == 3:
            self._by_certificate(attempt, known, refusal, logins)
        else:
            self._by_password(attempt, known, refusal, logins)

    def _by_certificate(
        self, attempt: Attempt, known: Known | None, refusal: Refusal | None, logins: Allowance
    ) -> None:
        """Security profile 3: TLS has verified the certificate, and it must be this charger's."""
        name = known.record.certificate_cn if known is not None else None
        fault = self._front.certificate_fault(attempt.upgrade.transport, attempt.identity, name)
        refusal = refusal or _refusal_of(fault)
        if refusal is not None:
            self._refuse_when_due(attempt, refusal, known)
        else:
            logins.logged_in(self._shared.limits)
            self._admit(attempt, known)

    def _by_password(
        self, attempt: Attempt, known: Known | None, refusal: Refusal | None, logins: Allowance
    ) -> None:
        upgrade = attempt.upgrade
        user, password = basic(upgrade.request.headers.get_all("Authorization")) or (None, b"")
        # Neither of these two depends on the record.
        if user is None or not hmac.compare_digest(user, attempt.identity.encode()):  # docs/ocpp.md A23
            wrong = Refusal.NO_CREDENTIALS if user is None else Refusal.WRONG_USER
            self._refuse_when_due(attempt, wrong, known)
            return

        def judged(judgement: Judgement) -> None:
            if judgement is Judgement.PASSED:
                logins.logged_in(self._shared.limits)
            if upgrade.gone:
                return
            match judgement:
                case Judgement.PASSED:
                    self._admit(attempt, known)
                case Judgement.CROWDED:
                    upgrade.refuse(Refusal.RATE)
                case Judgement.WRONG:
                    self._refuse(attempt, refusal or Refusal.WRONG_PASSWORD, known)
                case _:
                    assert_never(judgement)

        asked = known if refusal is None else None
        self._entrance.passwords.judge(asked, password, attempt, self._later(judged))

    def _refuse_when_due(self, attempt: Attempt, refusal: Refusal, known: Known | None) -> None:
        """At the time at which a wrong password is refused."""
        wait = max(attempt.at + REFUSED_AFTER - self._shared.clock.now, 0.0)
        refuse = self._later(partial(self._refuse, attempt, refusal))
        self._shared.clock.after(wait, refuse, known)

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
        claim = Claim(identity, token, upgrade, self._authenticates, decided, source_of(upgrade.peer))
        entrance.ownership.claim(claim)

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


def _refusal_of(fault: CertificateFault | None) -> Refusal | None:
    match fault:
        case None:
            return None
        case CertificateFault.NONE:
            return Refusal.NO_CERTIFICATE
        case CertificateFault.ORGANIZATION:
            return Refusal.WRONG_ORGANIZATION
        case CertificateFault.COMMON_NAME:
            return Refusal.WRONG_COMMON_NAME
        case _:
            assert_never(fault)
