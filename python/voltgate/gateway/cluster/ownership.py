"""One connection per identity on all gateways: which one stays when there are two (docs/contract.md 3.6)."""

from collections import deque
from collections.abc import Callable
from typing import NamedTuple

import orjson

from voltgate import _core
from voltgate.gateway.cluster.peers import Peers
from voltgate.gateway.interfaces import Bus, Claim, Clock, Holder, Reply, Request
from voltgate.gateway.reasons import Reason, Refusal

PROBE = 2.0  # seconds an old connection has to show a sign of life
_ANSWER = 0.5  # seconds more for the answer of another gateway
TAKEOVERS_A_MINUTE = 5
FLAPPING = 60.0  # seconds an identity that is taken over too often is refused


class Owner(NamedTuple):
    """The connection that has an identity, and its session."""

    connection: Holder
    session: str


class Ownership:
    """Identity -> its connection here.

    An authenticated newcomer wins at once. Without authentication it waits while the old connection is
    probed, here or at another gateway: knowing a charger's identity must not be enough to disconnect it.
    """

    def __init__(self, clock: Clock, bus: Bus, peers: Peers, rpc_prefix: str) -> None:
        self._clock, self._bus, self._peers, self._rpc_prefix = clock, bus, peers, rpc_prefix
        self._owners: dict[str, Owner] = {}
        self._takeovers: dict[str, deque[float]] = {}
        self._refused_until: dict[str, float] = {}

    # -- coming in ----------------------------------------------------------------------------------

    def claim(self, claim: Claim) -> None:
        """Call ``decided`` once no other connection has the identity, or one that has it is alive."""
        if self._refused_until.get(claim.identity, 0.0) > self._clock.now:
            claim.decided(Refusal.FLAPPING, None)
        elif (owner := self._owners.get(claim.identity)) is None:
            self._claim_from_peers(claim)
        elif claim.authenticated:
            self._take_over(claim, owner)
        else:
            self._probe(claim, owner)

    def _probe(self, claim: Claim, owner: Owner) -> None:
        def probed(alive: bool) -> None:
            if claim.newcomer.gone:
                return
            if alive:
                claim.decided(Refusal.IDENTITY_IN_USE, None)
            elif self._owners.get(claim.identity) is not owner:
                self.claim(claim)  # another newcomer won meanwhile, or the old one has left
            else:
                self._take_over(claim, owner)

        self._is_alive(owner.connection, probed)

    def _take_over(self, claim: Claim, owner: Owner) -> None:
        if self._flaps(claim.identity):
            claim.decided(Refusal.FLAPPING, None)
        else:
            owner.connection.close(Reason.SUPERSEDED)
            claim.decided(None, owner.session)

    def _claim_from_peers(self, claim: Claim) -> None:
        """The charger is not connected here. Another gateway ends its connection when it sees our epoch."""
        other = self._peers.find(claim.token)
        if other is None and (claim.authenticated or self._peers.keeps_up):
            claim.decided(None, None)
        elif claim.authenticated:
            self._win(claim)
        else:
            ticket = self._bus.ticket(self._probed_by_peer, claim)
            subject = f"{self._rpc_prefix}.link.probe.{claim.token}"
            self._bus.ask(ticket, _core.publish(subject, ticket.reply, [], b""), PROBE + _ANSWER)

    def _probed_by_peer(self, claim: Claim, reply: Reply) -> None:
        if claim.newcomer.gone:
            return
        if reply.outcome == "reply" and _says_alive(reply.data):
            claim.decided(Refusal.IDENTITY_IN_USE, None)
        elif reply.outcome == "away":
            claim.decided(Refusal.BUS_AWAY, None)
        elif claim.identity in self._owners:
            self.claim(claim)  # another newcomer won meanwhile
        else:
            self._win(claim)

    def _win(self, claim: Claim) -> None:
        other = self._peers.find(claim.token)
        if other is None:
            claim.decided(None, None)
        elif self._flaps(claim.identity):
            claim.decided(Refusal.FLAPPING, None)
        else:
            claim.decided(None, other.session)

    # -- being here ---------------------------------------------------------------------------------

    def holder(self, identity: str) -> Holder | None:
        """The connection of ``identity``, if it is here."""
        owner = self._owners.get(identity)
        return owner.connection if owner is not None else None

    def hold(self, identity: str, connection: Holder, session: str) -> None:
        """``connection`` is the one of ``identity`` from now on."""
        self._owners[identity] = Owner(connection, session)

    def release(self, identity: str, connection: Holder) -> None:
        """``connection`` ended; its successor, if there is one, stays."""
        owner = self._owners.get(identity)
        if owner is not None and owner.connection is connection:
            del self._owners[identity]

    def requested(self, connection: Holder, session: str, request: Request) -> None:
        """``<rpc_prefix>.link.kick`` and ``.probe``: end the connection, or check whether it is alive."""
        verb = request.subject.split(".")[2]
        about: dict[str, str | bool] = {"session": session, "gateway": self._peers.gateway}
        if verb == "kick":
            connection.close(Reason.KICKED)
            self._reply(request, about)
        elif verb == "probe" and request.reply:
            self._is_alive(connection, lambda alive: self._reply(request, {"alive": alive, **about}))

    def _is_alive(self, connection: Holder, probed: Callable[[bool], None]) -> None:
        """Call ``probed`` once: True at its next sign of life, False when there is none in time."""
        done = False

        def end(alive: bool) -> None:
            nonlocal done
            if not done:
                done = True
                probed(alive)

        self._clock.after(PROBE, end, False)
        connection.probe(lambda: end(True))

    def _reply(self, request: Request, body: dict[str, str | bool]) -> None:
        if request.reply:
            self._bus.emit(_core.publish(request.reply, "", [], orjson.dumps(body)))

    # -- changing hands -----------------------------------------------------------------------------

    def changed_hands(self, identity: str) -> None:
        """Another gateway took it over: takeovers count on all gateways together."""
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
        """Entries expire after a minute."""
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
