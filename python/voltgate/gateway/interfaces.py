"""What a session needs from outside: its socket, the bus, the clock. Shapes and protocols, no behaviour.

The worker connects them to the real ones, tests to a virtual world.
"""

from collections.abc import Callable, Mapping
from enum import Enum, auto
from typing import Generic, Literal, NamedTuple, Protocol, TypeVar, TypeVarTuple

from voltgate.gateway.reasons import Reason, Refusal


class Ack(NamedTuple):
    """A PubAck: the message is stored, or was before (``duplicate``; then ``seq`` is that of the first)."""

    stream: str
    seq: int
    duplicate: bool


LIVE = Ack("", 0, False)  # for a message that is not to be stored


class NotStored(Enum):
    """Why a publish has no PubAck."""

    REFUSED = "refused"  # by the stream, which would refuse it again
    UNKNOWN = "unknown"  # no PubAck: it may be stored or not


class NotRead(Enum):
    """Why reading back gave nothing."""

    MISSING = "missing"  # there is no such message
    UNREADABLE = "unreadable"  # the stream did not answer, or what it holds cannot be parsed


class Reply(NamedTuple):
    """How a question ended. ``headers`` and ``data`` belong to outcome ``reply``."""

    outcome: Literal["reply", "no_responders", "timeout", "away"]
    headers: Mapping[str, str]
    data: bytes


class Stored(NamedTuple):
    """A message read back from a stream."""

    seq: int
    headers: Mapping[str, str]
    data: bytes
    at: float = 0.0
    """When, in seconds since the Unix epoch by the server's clock; 0 if it was not asked for."""


class PeerLink(NamedTuple):
    """A charger's link that is up at another gateway."""

    epoch: int
    session: str
    gateway: str


class Request(NamedTuple):
    """A backend's command as NATS delivered it; ``reply`` is "" if no reply is awaited."""

    subject: str
    reply: str
    headers: Mapping[str, str]
    data: bytes


class Change:
    """A new password on its way to a charger, and what the registry had when it left (docs/contract.md 3.8).

    ``random``: the sender declares that it holds at least 128 random bits.
    """

    before: tuple[str, ...] = ()
    hash = ""
    added = False  # to the record, as second hash

    def __init__(self, token: str, password: bytes, random: bool) -> None:
        self.token, self.password, self.random = token, password, random


class Verdict(Enum):
    """What a charger's answer decides about a new password."""

    TAKEN = auto()
    REFUSED = auto()
    AT_REBOOT = auto()


class Timer(Protocol):
    """What a clock returns for a callback that is due later."""

    def cancel(self) -> None:
        """Never fire; may be called at any time and more than once."""


A = TypeVar("A")
R = TypeVar("R")
Ts = TypeVarTuple("Ts")


class Ticket(Generic[A, R]):
    """A reserved reply subject and its callback: a message is built with ``reply``, then handed over."""

    kind: Literal["store", "ask", "read"] = "store"
    hpub = b""
    sent = deadline = 0.0
    tx = again = False
    timer: Timer | None = None

    def __init__(self, token: int, reply: str, done: Callable[[A, R], None], arg: A) -> None:
        self.token, self.reply, self.done, self.arg = token, reply, done, arg


class Bus(Protocol):
    """Callbacks get ``(arg, result)``, once, possibly before the call returns when the bus is away.

    ``hpub`` is a whole NATS publish command with headers. A store and a question take two calls, because
    their message holds the reply subject of the ticket.
    """

    def ticket(self, done: Callable[[A, R], None], arg: A) -> Ticket[A, R]:
        """Reserve a reply subject."""

    def store(self, ticket: Ticket[A, Ack | NotStored], hpub: bytes, tx: bool = False) -> None:
        """Publish and wait for the PubAck. ``tx``: an outage is judged by its stream.

        See docs/contract.md 2.3.
        """

    def ask(self, ticket: Ticket[A, Reply], hpub: bytes, timeout: float) -> None:
        """Publish a question and wait for its reply, ``timeout`` seconds at most."""

    def emit(self, hpub: bytes) -> None:
        """Publish without waiting for anything."""

    def read(
        self, stream: str, seq: int, subject: str | None, done: Callable[[A, Stored | NotRead], None], arg: A
    ) -> None:
        """Read the message at ``seq``, or the next of ``subject`` from there (0: its last)."""


class Link(Protocol):
    """The charger's socket."""

    def write(self, frame: bytes) -> None:
        """Send ready-made websocket frames."""

    def close(self, reason: Reason) -> None:
        """End the connection the way ``reason`` says; nothing is written after it."""

    def hold(self, size: int) -> None:
        """Bytes of the large messages in the session; they count towards ``limits.max_buffered_bytes``."""

    def pause(self) -> None:
        """Stop reading from the socket."""

    def resume(self) -> None:
        """Read from it again."""


class Newcomer(Protocol):
    """A socket whose upgrade is being decided."""

    @property
    def gone(self) -> bool:
        """Whether the socket is closed or closing."""


class Holder(Newcomer, Protocol):
    """The connection that holds an identity."""

    def close(self, reason: Reason) -> None:
        """End the connection the way ``reason`` says."""

    def probe(self, alive: Callable[[], None]) -> None:
        """Send a ping and call ``alive`` at the next frame, whatever it is (docs/contract.md 3.6)."""


# Why the identity stays taken; or None, and the session that was replaced, if there was one.
Decided = Callable[[Refusal | None, str | None], None]


class Claim(NamedTuple):
    """A newcomer that wants an identity."""

    identity: str
    token: str
    newcomer: Newcomer
    authenticated: bool
    decided: Decided


class Clock(Protocol):
    """Time and timers."""

    now: float
    """Monotonic seconds."""
    time_ms: int
    """Milliseconds since the Unix epoch."""

    def after(self, seconds: float, fire: Callable[[*Ts], None], *args: *Ts) -> Timer:
        """Call ``fire(*args)`` in ``seconds``."""


class Rotation(Protocol):
    """Keeps a charger's record in step with its password."""

    def begin(self, change: Change, done: Callable[[A, str], None], arg: A) -> None:
        """Prepare the record before the password is sent: ``done(arg, why not)``, "" if it may be sent."""

    def settle(self, change: Change, verdict: Verdict) -> None:
        """The charger has answered: bring its record up to date."""


class Outside(NamedTuple):
    """What outlives a socket."""

    bus: Bus
    clock: Clock
    rotation: Rotation
