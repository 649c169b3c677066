"""One live connection per identity, wherever it is, and who wins when a second one comes (CONTRACT 3.6)."""

from collections import deque
from collections.abc import Callable
from typing import Protocol

import orjson

from voltgate import _core
from voltgate.gateway.clock import Wheel
from voltgate.gateway.interfaces import Bus, Claim, Held, Holder, Reply, Request
from voltgate.gateway.reasons import Reason, Refusal

PROBE = 2.0  # seconds an old connection has to show a sign of life
_ANSWER = 0.5  # seconds more that another gateway has to tell
TAKEOVERS_A_MINUTE = 5
FLAPPING = 60.0  # seconds an identity that changes hands too often is refused


class Others(Protocol):
    """What the other gateways hold."""

    @property
    def keeps_up(self) -> bool:
        """Whether nothing is missing, but for what is on its way."""

    def find(self, token: str) -> Held | None:
        """Where else the charger is."""


class Owners:
    """Identity -> its connection.

    An authenticated newcomer wins at once. Without authentication it must wait while the old connection is
    probed, here or at another gateway: nobody may throw a live charger out by knowing its name.
    """

    def __init__(self, clock: Wheel, bus: Bus, elsewhere: Others, rpc_prefix: str, gateway: str) -> None:
        self._clock, self._bus, self._elsewhere = clock, bus, elsewhere
        self._rpc_prefix, self._gateway = rpc_prefix, gateway
        self._held: dict[str, tuple[Holder, str]] = {}
        self._takeovers: dict[str, deque[float]] = {}
        self._refused_until: dict[str, float] = {}

    # -- coming in ----------------------------------------------------------------------------------

    def claim(self, claim: Claim) -> None:
        """Call ``decided`` once nobody else holds the identity, or it is clear that somebody alive does."""
        if self._refused_until.get(claim.identity, 0.0) > self._clock.now:
            claim.decided(Refusal.FLAPPING, None)
        elif (held := self._held.get(claim.identity)) is None:
            self._claim_elsewhere(claim)
        elif claim.authenticated:
            self._take_over(claim, held)
        else:
            self._probe(claim, held)

    def _probe(self, claim: Claim, held: tuple[Holder, str]) -> None:
        def told(alive: bool) -> None:
            if claim.newcomer.gone:
                return
            if alive:
                claim.decided(Refusal.IDENTITY_IN_USE, None)
            elif self._held.get(claim.identity) is not held:
                self.claim(claim)  # somebody else won meanwhile, or it has left
            else:
                self._take_over(claim, held)

        self._is_alive(held[0], told)

    def _take_over(self, claim: Claim, held: tuple[Holder, str]) -> None:
        old, session = held
        if self._flaps(claim.identity):
            claim.decided(Refusal.FLAPPING, None)
        else:
            old.close(Reason.SUPERSEDED)
            claim.decided(None, session)

    def _claim_elsewhere(self, claim: Claim) -> None:
        """The charger is not here. Its link at another gateway ends when that one sees our epoch."""
        other = self._elsewhere.find(claim.token)
        if other is None and (claim.authenticated or self._elsewhere.keeps_up):
            claim.decided(None, None)
        elif claim.authenticated:
            self._win(claim)
        else:
            ticket = self._bus.ticket(self._told_elsewhere, claim)
            subject = f"{self._rpc_prefix}.link.probe.{claim.token}"
            self._bus.ask(ticket, _core.publish(subject, ticket.reply, [], b""), PROBE + _ANSWER)

    def _told_elsewhere(self, claim: Claim, reply: Reply) -> None:
        if claim.newcomer.gone:
            return
        if reply.outcome == "reply" and _says_alive(reply.data):
            claim.decided(Refusal.IDENTITY_IN_USE, None)
        elif reply.outcome == "away":
            claim.decided(Refusal.BUS_AWAY, None)
        elif claim.identity in self._held:
            self.claim(claim)  # somebody else won meanwhile
        else:
            self._win(claim)

    def _win(self, claim: Claim) -> None:
        other = self._elsewhere.find(claim.token)
        if other is None:
            claim.decided(None, None)
        elif self._flaps(claim.identity):
            claim.decided(Refusal.FLAPPING, None)
        else:
            claim.decided(None, other.session)

    # -- being here ---------------------------------------------------------------------------------

    def holder(self, identity: str) -> Holder | None:
        """The connection of ``identity``, if it is here."""
        held = self._held.get(identity)
        return held[0] if held is not None else None

    def hold(self, identity: str, connection: Holder, session: str) -> None:
        """``connection`` is the one of ``identity`` from now on."""
        self._held[identity] = connection, session

    def release(self, identity: str, connection: Holder) -> None:
        """``connection`` ended; its successor, if there is one, stays."""
        held = self._held.get(identity)
        if held is not None and held[0] is connection:
            del self._held[identity]

    def asked(self, connection: Holder, session: str, request: Request) -> None:
        """``<rpc_prefix>.link.kick`` and ``.probe``: end the connection, or see whether it lives."""
        verb = request.subject.split(".")[2]
        about: dict[str, str | bool] = {"session": session, "gateway": self._gateway}
        if verb == "kick":
            connection.close(Reason.KICKED)
            self._reply(request, about)
        elif verb == "probe" and request.reply:
            self._is_alive(connection, lambda alive: self._reply(request, {"alive": alive, **about}))

    def _is_alive(self, connection: Holder, told: Callable[[bool], None]) -> None:
        """Call ``told`` once: True with its next sign of life, False when there is none in time."""
        verdict: list[bool] = []

        def tell(alive: bool) -> None:
            if not verdict:
                verdict.append(alive)
                told(alive)

        self._clock.after(PROBE, tell, False)
        connection.probe(lambda: tell(True))

    def _reply(self, request: Request, body: dict[str, str | bool]) -> None:
        if request.reply:
            self._bus.emit(_core.publish(request.reply, "", [], orjson.dumps(body)))

    # -- changing hands -----------------------------------------------------------------------------

    def changed_hands(self, identity: str) -> None:
        """Another gateway took it over: that counts here too."""
        self._flaps(identity)

    def _flaps(self, identity: str) -> bool:
        now = self._clock.now
        times = self._takeovers.setdefault(identity, deque(maxlen=TAKEOVERS_A_MINUTE + 1))
        times.append(now)
        while now - times[0] > 60:
            times.popleft()
        if len(times) <= TAKEOVERS_A_MINUTE:
            self._clock.after(60.1, self._forget, identity)
            return False
        self._refused_until[identity] = now + FLAPPING
        self._clock.after(FLAPPING + 0.1, self._forget, identity)
        return True

    def _forget(self, identity: str) -> None:
        """Memory ends with the minute it is about."""
        now = self._clock.now
        if self._refused_until.get(identity, 0.0) <= now:
            self._refused_until.pop(identity, None)
        times = self._takeovers.get(identity)
        if times is not None and now - times[-1] >= 60:
            del self._takeovers[identity]


def _says_alive(data: bytes) -> bool:
    try:
        body = orjson.loads(data)
    except orjson.JSONDecodeError:
        return False
    return isinstance(body, dict) and body.get("alive") is True
