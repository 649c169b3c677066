"""Gateways of one NATS in virtual time: what they know of each other's links, without sockets or sessions."""

import asyncio
from collections.abc import Callable

import orjson

from voltgate import _core
from voltgate.gateway.bus.follow import Took
from voltgate.gateway.clock import TICK, Wheel
from voltgate.gateway.cluster.link import LinkFact
from voltgate.gateway.cluster.links import Heard, Links
from voltgate.gateway.cluster.liveness import Liveness
from voltgate.gateway.cluster.ownership import Ownership
from voltgate.gateway.cluster.peers import Peers
from voltgate.gateway.interfaces import Claim, Holder, Request, Stored
from voltgate.gateway.reasons import Reason, Refusal
from world import EPOCH, LINKS, Bus


class Time:
    """A clock that only tests move, and what happens as it moves."""

    def __init__(self) -> None:
        self.seconds = 1000.0
        self.clock = Wheel(lambda: self.seconds, lambda: self.wall)
        self.bus = Bus(self.clock)
        self.gateways: list[Gateway] = []

    @property
    def wall(self) -> float:
        return EPOCH + self.seconds

    def settle(self) -> None:
        """NATS answers, and every gateway that follows learns of it; until nothing more happens."""
        while self.bus.waiting and not self.bus.hold:
            self.bus.release()
            for gateway in self.gateways:
                gateway.feed.deliver()

    def go_on(self, seconds: float) -> None:
        """Let time pass, with all that is due."""
        end = self.seconds + seconds
        while self.seconds < end:
            self.seconds = min(self.seconds + TICK, end)
            self.clock.advance()
            self.settle()


class Feed:
    """follow.Feed of a stream in memory. ``follows`` is false while messages do not arrive."""

    def __init__(self, time: Time, stream: str) -> None:
        self.stream, self._time = stream, time
        self.caught_up = asyncio.Event()
        self.caught_up.set()
        self.follows = True
        self._took: Took
        self._anew: Callable[[], None]
        self._at = 0

    @property
    def keeps_up(self) -> bool:
        return self.follows

    def listen(self, took: Took, anew: Callable[[], None] = lambda: None) -> None:
        self._took, self._anew = took, anew

    async def run(self) -> None:
        await asyncio.Event().wait()

    def deliver(self) -> None:
        """What the in-memory bus stored since the last time."""
        messages = self._time.bus.streams.get(self.stream, [])
        while self.follows and self._at < len(messages):
            message = messages[self._at]
            self._at += 1
            self._took(message.subject, Stored(self._at, message.headers, message.data, self._time.wall))

    def miss(self) -> None:
        """What was stored so far was overwritten, but for the last message."""
        self._at = max(self._at, len(self._time.bus.streams[self.stream]) - 1)

    def read_anew(self) -> None:
        self.begin_anew()
        self.deliver()

    def begin_anew(self) -> None:
        """The stream was deleted and made again."""
        self._at = 0
        self._anew()

    def give(self, subject: str, at: float, **headers: str) -> None:
        """One message of a stream that the in-memory bus does not keep; stored at ``at``."""
        self._took(subject, Stored(1, headers, b"", at))


class Socket:
    """interfaces.Holder: a charger that answers pings, or does not."""

    def __init__(self, answers: bool = True) -> None:
        self.answers = answers
        self.closed: Reason | None = None
        self.probes: list[Callable[[], None]] = []
        self.untold: Callable[[], None] | None = None  # its end, which nobody has been told yet

    @property
    def gone(self) -> bool:
        return self.closed is not None

    def close(self, reason: Reason) -> None:
        assert self.closed is None, "closed once"
        self.closed = reason

    def settle(self) -> None:
        told, self.untold = self.untold, None
        if told is not None:
            told()

    def probe(self, alive: Callable[[], None]) -> None:
        self.probes.append(alive)
        if self.answers:
            alive()


class Gateway:
    """The cluster's rooms of one gateway; it notes what they report about the chargers connected here."""

    def __init__(self, time: Time, name: str) -> None:
        self.time, self.name = time, name
        self.feed, self.signs = Feed(time, LINKS), Feed(time, "KV_ocpp_gateways")
        self.events: list[tuple[object, ...]] = []
        self.links = Links(time.bus, time.clock, "ocpp", LINKS, self)
        self.peers = Peers(self.feed, name, self, time.bus.garbage)
        self.ownership = Ownership(time.clock, time.bus, self.peers, "ocpprpc", self.move)
        self.liveness = Liveness(self.signs, time.bus, time.clock, self.peers, self.links)
        self.alive: Callable[[], bool] = lambda: True
        self.busy = False
        self._sessions = 0
        time.gateways.append(self)
        self.feed.deliver()

    # what chargers do
    def link(self, identity: str = "CP", replaces: str | None = None) -> LinkFact:
        """The link of a new connection."""
        self._sessions += 1
        session = f"{self.name}-{self._sessions}"
        return LinkFact(identity, _core.token(identity), "v16", session, "peer:1", replaces, 1, self.name)

    def up(self, identity: str = "CP", replaces: str | None = None) -> LinkFact:
        """Such a link, written."""
        link = self.link(identity, replaces)
        self.links.up(link)
        self.time.settle()
        return link

    def claim(
        self, socket: Socket, authenticated: bool, identity: str = "CP", source: str = "192.0.2.1"
    ) -> list[object]:
        """A new connection claims its identity: the decision, once there is one."""
        decisions: list[object] = []

        def decided(refusal: Refusal | None, replaced: str | None) -> None:
            decisions.append(refusal or replaced)
            if refusal is None:
                self._sessions += 1
                self.ownership.hold(identity, socket, f"{self.name}-{self._sessions}")

        self.ownership.claim(Claim(identity, _core.token(identity), socket, authenticated, decided, source))
        self.time.settle()
        return decisions

    def requested(self, verb: str, socket: Socket, reply: str = "_INBOX.x") -> None:
        """A probe or kick of ``socket`` arrives."""
        request = Request(f"ocpprpc.link.{verb}.CP", reply, {}, b"")
        self.ownership.requested(socket, "a session", request)

    def move(self, holder: Holder) -> bool:
        """As the roster: ends the connection unless something is open on it."""
        self.events.append(("move", holder))
        if self.busy:
            return False
        holder.close(Reason.REBALANCED)
        return True

    # links.Connected, peers.Local
    def link_known(self, link: LinkFact, known: bool) -> None:
        self.events.append(("known" if known else "unknown", link.session))

    def link_superseded(self, link: LinkFact) -> None:
        self.events.append(("superseded", link.session))
        self.links.end(link, "superseded", superseded=True)

    def heard(self, token: str, heard: Heard) -> None:
        if self.alive():
            self.links.heard(token, heard)

    def changed_hands(self, identity: str) -> None:
        self.events.append(("changed_hands", identity))
        self.ownership.changed_hands(identity)

    def links_lost(self) -> None:
        self.links.lost()

    def links_missing(self) -> None:
        self.events.append(("missing",))
        self.peers.read_anew()


def states(time: Time) -> list[tuple[str, str, str | None]]:
    """What was stored about links: state, session, reason."""
    bodies = [orjson.loads(message.data) for message in time.bus.streams.get(LINKS, [])]
    return [(body["state"], body["session"], body["reason"]) for body in bodies]
