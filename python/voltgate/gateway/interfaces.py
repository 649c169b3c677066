"""What a session asks of the outside: its socket, the bus, the clock. Shapes and protocols, no behaviour.

The worker joins them to the real things; tests join them to a virtual world.
"""

from collections.abc import Callable, Mapping
from enum import Enum
from typing import Any, Literal, NamedTuple, Protocol

from voltgate.gateway.reasons import Reason, Refusal


class Ack(NamedTuple):
    """A PubAck: the message is stored, or was before (``duplicate``; then ``seq`` is the original's)."""

    stream: str
    seq: int
    duplicate: bool


LIVE = Ack("", 0, False)  # of what is not stored


class NotStored(Enum):
    """Why a publish has no PubAck."""

    REFUSED = "refused"  # by the stream, which would refuse it again
    UNKNOWN = "unknown"  # not stored, or stored without our knowing


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
    """When, in seconds since the Unix epoch by the server's clock; 0 where it was not asked for."""


class PeerLink(NamedTuple):
    """A charger's link that is up at another gateway."""

    epoch: int
    session: str
    gateway: str


class Request(NamedTuple):
    """A backend's command as NATS brought it; ``reply`` is "" where nobody waits."""

    subject: str
    reply: str
    headers: Mapping[str, str]
    data: bytes


class Change:
    """A new password on its way to a charger, and what the registry had when it left (CONTRACT 3.8).

    ``random``: whoever made it says that it holds at least 128 random bits.
    """

    before: tuple[str, ...] = ()
    hash = ""
    added = False  # to the record, as second hash

    def __init__(self, token: str, password: bytes, random: bool) -> None:
        self.token, self.password, self.random = token, password, random


class Ticket:
    """A reserved reply subject and what waits on it; a command is built with ``reply``, then handed over."""

    kind: Literal["store", "ask", "read"] = "store"
    command = b""
    sent = deadline = 0.0
    tx = again = False
    timer: Any = None

    def __init__(self, token: int, reply: str, done: Callable[[Any, Any], None], arg: Any) -> None:
        self.token, self.reply, self.done, self.arg = token, reply, done, arg


class Bus(Protocol):
    """Callbacks get ``(arg, result)``, once, possibly before the call returns when the bus is away."""

    def ticket(self, done: Callable[[Any, Any], None], arg: Any) -> Ticket:
        """Reserve a reply subject."""

    def store(self, ticket: Ticket, command: bytes, tx: bool = False) -> None:
        """Publish and wait for the PubAck: ``done(arg, Ack | NotStored)``.

        ``tx``: the stream behind it is the one an outage is judged by (CONTRACT 2.3).
        """

    def ask(self, ticket: Ticket, command: bytes, timeout: float) -> None:
        """Publish a question: ``done(arg, Reply)``."""

    def emit(self, command: bytes) -> None:
        """Publish and wait for nothing."""

    def read(
        self, stream: str, seq: int, subject: str | None, done: Callable[[Any, Any], None], arg: Any
    ) -> None:
        """Read the message at ``seq``, or the next of ``subject`` from there (0: its last).

        ``done(arg, Stored | NotRead)``.
        """


class Link(Protocol):
    """The charger's socket."""

    def write(self, frame: bytes) -> None:
        """Send ready-made websocket frames."""

    def close(self, reason: Reason) -> None:
        """End the connection the way ``reason`` says; nothing is written after it."""

    def hold(self, size: int) -> None:
        """Bytes of large messages the session holds; they count towards ``limits.max_buffered_bytes``."""

    def pause(self) -> None:
        """Stop reading from the socket."""

    def resume(self) -> None:
        """Read from it again."""


class Holder(Protocol):
    """The connection of an identity, as far as ownership is concerned."""

    @property
    def gone(self) -> bool:
        """Whether it has ended."""

    def close(self, reason: Reason) -> None:
        """End it."""

    def probe(self, alive: Callable[[], None]) -> None:
        """Send a ping and call ``alive`` at the next sign of life, if there is one (docs/contract.md 3.6)."""


# Why the identity stays taken; or None, and the session that was ended for the new one, if there was one.
Decided = Callable[[Refusal | None, str | None], None]


class Clock(Protocol):
    """Time and timers."""

    now: float
    """Monotonic seconds."""
    time_ms: int
    """Milliseconds since the Unix epoch."""

    def after(self, seconds: float, fire: Callable[..., None], *args: Any) -> Any:
        """Call ``fire(*args)`` in ``seconds``; what comes back has ``cancel()``."""


class Rotation(Protocol):
    """Keeps a charger's record in step with its password."""

    def begin(self, change: Change, done: Callable[[Any, str], None], arg: Any) -> None:
        """Before it is sent: ``done(arg, why not)``, "" when it may be."""

    def settle(self, change: Change, verdict: Any) -> None:
        """The charger has said what becomes of it."""


class Outside(NamedTuple):
    """What stays while sockets come and go."""

    bus: Bus
    clock: Clock
    rotation: Rotation
