"""The session's environment (socket, bus, clock) as shapes and protocols, without behaviour.

The worker supplies the real objects, tests a virtual world.
"""

from collections.abc import Callable, Mapping
from enum import Enum, auto
from typing import Generic, Literal, NamedTuple, Protocol, TypeVar, TypeVarTuple

from voltgate._core import Lane, Outgoing
from voltgate.gateway.reasons import Reason, Refusal


class Ack(NamedTuple):
    """A PubAck: the message is stored. ``duplicate``: it was already stored, at ``seq``."""

    stream: str
    seq: int
    duplicate: bool


LIVE = Ack("", 0, False)  # for a message that is published without being stored


class NotStored(Enum):
    """Why a publish has no PubAck."""

    REFUSED = "refused"  # by the stream; a retry would be refused too
    UNKNOWN = "unknown"  # no PubAck: the message may or may not be stored


class NotRead(Enum):
    """Why a message could not be read back."""

    MISSING = "missing"  # there is no such message
    UNREADABLE = "unreadable"  # the stream did not answer, or the message cannot be parsed


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
    """Seconds since the Unix epoch by the server's clock; 0 if not requested."""


# What a message from NATS was to be, where it is not: the label of voltgate_bus_garbage_total.
Garbage = Literal[
    "token", "ack", "read", "reply_subject", "request", "link", "record", "gateway", "stream", "service"
]


class PeerLink(NamedTuple):
    """A charger's link that is up at another gateway."""

    epoch: int
    session: str
    gateway: str


class Request(NamedTuple):
    """A backend's command as NATS delivered it; ``reply`` is "" if no reply is expected."""

    subject: str
    reply: str
    headers: Mapping[str, str]
    data: bytes


class Change:
    """A password change in progress, and the record's hashes before it (docs/contract.md 3.8).

    ``random``: the sender declares that the password has at least 128 random bits.
    """

    before: tuple[str, ...] = ()
    hash = ""
    added = False  # to the record, as second hash

    def __init__(self, token: str, password: bytes, random: bool) -> None:
        self.token, self.password, self.random = token, password, random


class Verdict(Enum):
    """The effect of a charger's answer on a new password."""

    TAKEN = auto()
    REFUSED = auto()
    AT_REBOOT = auto()


class Timer(Protocol):
    """A scheduled callback of a clock."""

    def cancel(self) -> None:
        """Never fire; may be called at any time and more than once."""


A = TypeVar("A")
R = TypeVar("R")
Ts = TypeVarTuple("Ts")


class Ticket(Generic[A, R]):
    """A reserved reply subject and its callback. The message is built with ``reply``, then published."""

    kind: Literal["store", "ask", "read", "read_leader"] = "store"
    stream = ""  # of a read; and the subject of the message that is read, where only one will do
    subject: str | None = None
    command = b""  # what asks for it, how often it has, and when it does so again
    asked = 0
    again: Timer | None = None
    timer: Timer | None = None  # the deadline

    def __init__(self, token: int, reply: str, done: Callable[[A, R], None], arg: A) -> None:
        self.token, self.reply, self.done, self.arg = token, reply, done, arg


class Bus(Protocol):
    """Callbacks get ``(arg, result)`` once; during an outage, possibly before the call returns.

    ``hpub`` is a whole NATS publish command with headers. A store and a question take two calls, because
    their message contains the reply subject of the ticket.
    """

    @property
    def outgoing(self) -> Outgoing:
        """Where lanes put what they publish."""

    def ticket(self, done: Callable[[A, R], None], arg: A) -> Ticket[A, R]:
        """Reserve a reply subject."""

    def store(self, ticket: Ticket[A, Ack | NotStored], hpub: bytes, tx: bool = False) -> None:
        """Publish and wait for the PubAck. ``tx``: the stream that decides about outages.

        See docs/contract.md 2.3.
        """

    def ask(self, ticket: Ticket[A, Reply], hpub: bytes, timeout: float) -> None:
        """Publish a question and wait for its reply, ``timeout`` seconds at most."""

    def await_reply(self, ticket: Ticket[A, Reply], timeout: float) -> None:
        """Wait for a further reply to a question, ``timeout`` seconds at most; it is not asked again."""

    def emit(self, hpub: bytes) -> None:
        """Publish without waiting for an acknowledgement."""

    def garbage(self, kind: Garbage, what: str) -> None:
        """Count a message from NATS that is not what it should be; a line about it now and then."""

    def read(
        self, stream: str, seq: int, subject: str | None, done: Callable[[A, Stored | NotRead], None], arg: A
    ) -> None:
        """Read the message at ``seq``, or the next one of ``subject`` from there (0: the last one)."""

    def read_leader(
        self, stream: str, seq: int, subject: str | None, done: Callable[[A, Stored | NotRead], None], arg: A
    ) -> None:
        """The same, from the stream's leader alone: it has all that was stored before."""


class Link(Protocol):
    """The charger's socket."""

    @property
    def lane(self) -> Lane:
        """What its bytes go through first."""

    @property
    def writer(self) -> Callable[[bytes], None]:
        """:meth:`write`, for as long as the lane has not ended."""

    def write(self, frame: bytes) -> None:
        """Send ready-made websocket frames."""

    def close(self, reason: Reason) -> None:
        """End the connection as ``reason`` requires; nothing is written after it."""

    def hold(self, size: int) -> None:
        """Report the bytes of large messages held; they count towards ``limits.max_buffered_bytes``."""

    def pause(self) -> None:
        """Stop reading from the socket."""

    def resume(self) -> None:
        """Resume reading from the socket."""


class Newcomer(Protocol):
    """A socket whose upgrade is being decided."""

    @property
    def gone(self) -> bool:
        """Whether the socket is closed or closing."""


class Holder(Newcomer, Protocol):
    """The connection that holds an identity."""

    def close(self, reason: Reason) -> None:
        """End the connection as ``reason`` requires."""

    def probe(self, alive: Callable[[], None]) -> None:
        """Send a ping and call ``alive`` at the next frame of any kind (docs/contract.md 3.6)."""

    def settle(self) -> None:
        """If it has ended, and whoever counts it has not been told yet, tell them now."""


# The refusal; or None and the replaced session, if there was one.
Decided = Callable[[Refusal | None, str | None], None]


class Claim(NamedTuple):
    """A new connection's claim to an identity."""

    identity: str
    token: str
    newcomer: Newcomer
    authenticated: bool
    decided: Decided
    source: str = ""
    """The address it dials from."""


class Clock(Protocol):
    """Time and timers."""

    now: float
    """Monotonic seconds."""
    time_ms: int
    """Milliseconds since the Unix epoch."""

    @property
    def read(self) -> Callable[[], float]:
        """Reads the source of ``now``, which is as old as the last chunk from a socket."""

    def after(self, seconds: float, fire: Callable[[*Ts], None], *args: *Ts) -> Timer:
        """Call ``fire(*args)`` in ``seconds``."""


class Rotation(Protocol):
    """Keeps a charger's record in step with its password."""

    def begin(self, change: Change, done: Callable[[A, str], None], arg: A) -> None:
        """Prepare the record before the password is sent: ``done(arg, fault)``, "" if it may be sent."""

    def settle(self, change: Change, verdict: Verdict) -> None:
        """Update the record after the charger's answer."""


class Outside(NamedTuple):
    """The objects that outlive a socket."""

    bus: Bus
    clock: Clock
    rotation: Rotation
    gateway: str = ""
    """The name of this process, as links hold it."""
