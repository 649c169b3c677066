"""One connection per identity on all gateways: which one stays when there are two (docs/contract.md 3.6)."""

from collections import deque
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import orjson

from voltgate import _core
from voltgate.gateway.cluster.peers import Peers
from voltgate.gateway.interfaces import Bus, Claim, Clock, Holder, Reply, Request
from voltgate.gateway.rates import Key
from voltgate.gateway.reasons import Reason, Refusal

PROBE = 2.0  # seconds an old connection has to show a sign of life
_ANSWER = 0.5  # seconds more for the answer of another gateway
TAKEOVERS_A_MINUTE = 5
FLAPPING = 60.0  # seconds an identity that is taken over too often is refused


class Owner(NamedTuple):
    """The connection that has an identity, and its session."""

    connection: Holder
    session: str


class Probe:
    """One ping and those who wait for its outcome."""

    __slots__ = ("_alive", "_waiting")

    def __init__(self) -> None:
        self._alive = False
        self._waiting: list[Callable[[bool], None]] = []

    def join(self, probed: Callable[[bool], None]) -> None:
        """Call ``probed`` with the outcome, now if it is known."""
        if self._alive:
            probed(True)
        else:
            self._waiting.append(probed)

    def end(self, alive: bool) -> None:
        """A sign of life, or the end of the time for it; what was known before stays."""
        self._alive = self._alive or alive
        waiting, self._waiting = self._waiting, []
        for probed in waiting:
            probed(alive)


class Ownership:
    """Identity -> its connection here.

    An authenticated newcomer wins at once. Without authentication it waits while the old connection is
    probed, here or at another gateway: knowing a charger's identity must not be enough to disconnect it.
    """

    def __init__(
        self, clock: Clock, bus: Bus, peers: Peers, rpc_prefix: str, move: Callable[[Holder], bool]
    ) -> None:
        """``move``: end a connection on which nothing is open; False where something is."""
        self._move = move
        self.requests = 0
        """Kicks, moves and probes that came."""
        self._clock, self._bus, self._peers, self._rpc_prefix = clock, bus, peers, rpc_prefix
        self._owners: dict[str, Owner] = {}
        self._probes: dict[Holder, Probe] = {}
        self._asked: dict[str, list[Claim]] = {}  # by token: who waits for the answer of another gateway
        self._takeovers: dict[Key, deque[float]] = {}
        self._refused_until: dict[Key, float] = {}

    # -- coming in ----------------------------------------------------------------------------------

    def claim(self, claim: Claim) -> None:
        """Call ``decided`` once no other connection has the identity, or one that has it is alive."""
        if (held := self.holder(claim.identity)) is not None:
            held.settle()  # a charger that is back before the end of its last connection was counted
        if self._refused_until.get(_key(claim), 0.0) > self._clock.now:
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
        if self._flaps(_key(claim)):
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
            self._ask_peer(claim)

    def _ask_peer(self, claim: Claim) -> None:
        """Ask whether the charger is alive there; all newcomers share one question."""
        claims = self._asked.setdefault(claim.token, [])
        claims.append(claim)
        if len(claims) == 1:
            ticket = self._bus.ticket(self._peer_answered, claim.token)
            subject = f"{self._rpc_prefix}.link.probe.{claim.token}"
            self._bus.ask(ticket, _core.publish(subject, ticket.reply, [], b""), PROBE + _ANSWER)

    def _peer_answered(self, token: str, reply: Reply) -> None:
        for claim in self._asked.pop(token):
            self._probed_by_peer(claim, reply)

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
        elif self._flaps(_key(claim)):
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
        """``<rpc_prefix>.link.<verb>``: ``kick`` ends the connection, ``move`` where nothing is open on it,
        ``probe`` checks whether it is alive.
        """
        self.requests += 1
        verb = request.subject.split(".")[2]
        about: dict[str, str | bool] = {"session": session, "gateway": self._peers.gateway}
        if verb == "kick":
            connection.close(Reason.KICKED)
            self._reply(request, about)
        elif verb == "move":
            self._reply(request, {"moved": self._move(connection), **about})
        elif verb == "probe" and request.reply:
            self._is_alive(connection, lambda alive: self._reply(request, {"alive": alive, **about}))

    def _is_alive(self, connection: Holder, probed: Callable[[bool], None]) -> None:
        """Call ``probed`` once: True at its next sign of life, False when there is none in time.

        All who ask within :data:`PROBE` seconds share one ping and its outcome: dials of strangers must not
        become a flood for the charger.
        """
        probe = self._probes.get(connection)
        if probe is not None:
            probe.join(probed)
            return
        probe = self._probes[connection] = Probe()
        probe.join(probed)
        self._clock.after(PROBE, self._end_probe, connection)
        connection.probe(partial(probe.end, True))

    def _end_probe(self, connection: Holder) -> None:
        self._probes.pop(connection).end(False)

    def _reply(self, request: Request, body: dict[str, str | bool]) -> None:
        if request.reply:
            self._bus.emit(_core.publish(request.reply, "", [], orjson.dumps(body)))

    # -- changing hands -----------------------------------------------------------------------------

    def changed_hands(self, identity: str) -> None:
        """Another gateway took it over: takeovers count on all gateways together."""
        self._flaps(identity)

    def _flaps(self, key: Key) -> bool:
        now = self._clock.now
        times = self._takeovers.setdefault(key, deque(maxlen=TAKEOVERS_A_MINUTE + 1))
        times.append(now)
        while now - times[0] > 60:
            times.popleft()
        if len(times) <= TAKEOVERS_A_MINUTE:
            self._clock.after(60.1, self._forget, key)
            return False
        self._refused_until[key] = now + FLAPPING
        self._clock.after(FLAPPING + 0.1, self._forget, key)
        return True

    def _forget(self, key: Key) -> None:
        """Entries expire after a minute."""
        now = self._clock.now
        if self._refused_until.get(key, 0.0) <= now:
            self._refused_until.pop(key, None)
        times = self._takeovers.get(key)
        if times is not None and now - times[-1] >= 60:
            del self._takeovers[key]


def _key(claim: Claim) -> Key:
    """Whose takeovers are counted: without credentials nobody can lock out another (docs/contract.md 2.2)."""
    return claim.identity if claim.authenticated else (claim.source, claim.identity)


def _says_alive(data: bytes) -> bool:
    try:
        body = orjson.loads(data)
    except orjson.JSONDecodeError:
        return False
    return isinstance(body, dict) and body.get("alive") is True
