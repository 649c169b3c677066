"""The native frame path (Rust, ``rust/core``). The stub of ``rust/py``, checked by stubtest."""

from collections.abc import Callable
from typing import Any, Protocol, Self, final

from typing_extensions import disjoint_base

__all__ = [
    "Budget",
    "Codec",
    "Fact",
    "Frame",
    "Inbox",
    "Lane",
    "Now",
    "Outgoing",
    "Plan",
    "PubAcks",
    "Publisher",
    "TransactionKeys",
    "Version",
    "Violation",
    "__version__",
    "actions",
    "error_code",
    "error_codes",
    "header_value",
    "identity",
    "key",
    "masked",
    "may_hold_secrets",
    "publish",
    "subscribe",
    "token",
    "unsubscribe",
    "versions",
]

__version__: str

def versions() -> list[Version]:
    """The served versions, oldest first."""

def actions(version: str) -> list[tuple[str, str, str, str]]:
    """Every action of a version token (``v16``, ``v201``, ``v21``), sorted by name.

    Rows are ``(action, sender, class, answer)``: sender ``charger|csms|both``, class
    ``tx|event|live|command``, answer ``gateway|backend|backend-if-idtoken|none`` (``none``: a command
    answered by the charger, or a SEND, which has no answer). ValueError for another token.
    """

def error_codes(version: str) -> list[str]:
    """The CALLERROR codes of a version in its own spelling (docs/ocpp.md A15)."""

def error_code(version: str, code: str) -> str | None:
    """``code`` in the version's own spelling, also from another version's; None if it is not a code."""

def token(identity: str) -> str:
    """The identity as NATS token and KV key (docs/contract.md 3.1): ``RDAM 1.2*`` is ``RDAM=201=2E2=2A``."""

def identity(token: str) -> str:
    """The inverse of :func:`token`. ValueError for a text that is not a token."""

def header_value(text: str) -> str:
    """``text`` as a NATS header value: printable ASCII stays, the rest (and ``%``) is ``%XX`` of UTF-8."""

def publish(subject: str, reply: str, headers: list[tuple[str, str]], payload: bytes) -> bytes:
    """One whole ``HPUB`` command; ``reply`` may be ``""``.

    Header values are escaped as :func:`header_value` does, ``ce-`` ones as the CloudEvents NATS binding asks
    (space and ``"`` too). ValueError for an empty, spaced or long subject or reply, or a header name that is
    none.
    """

def subscribe(subject: str, queue: str, id: int) -> bytes:
    """The ``SUB`` line of subscription ``id``; ``queue`` may be ``""``. ValueError as of :func:`publish`."""

def unsubscribe(id: int) -> bytes:
    """The ``UNSUB`` line of subscription ``id``."""

@final
class Inbox:
    """Reply subjects of one process that cannot be guessed: ``<prefix>.<counter>.<64-bit keyed tag>``."""

    def __new__(cls, prefix: str, key: bytes) -> Self:
        """``key``: 16 random bytes. ValueError for another length, and a prefix that is no subject."""
    def subject(self, counter: int) -> str:
        """The reply subject of ``counter``. OverflowError beyond 64 bits."""
    def counter(self, subject: bytes) -> int | None:
        """The counter of a reply subject; None for any that was not made here."""

@final
class Outgoing:
    """What leaves this process for NATS: bytes that wait to be written, publishes that wait for their PubAck.

    Not thread-safe. Nothing leaves, and nothing is taken but lines, before :meth:`opened`.
    """

    def __new__(cls, inbox: Inbox, tx: str, event: str, domain: str, bounds: list[float]) -> Self:
        """``tx``, ``event``: the streams that keep what lanes publish, in ``domain`` ("": in any).

        ``bounds``: of the buckets of :meth:`ack_seconds`.
        """
    def on_due(self, due: Callable[[], None]) -> None:
        """Call ``due`` when bytes wait behind none, and when they have become 32 KiB."""
    def opened(self, max_payload: int, max_waiting: int) -> None:
        """NATS is connected: it takes so many bytes of one command, and so many may wait."""
    def closed(self) -> None:
        """NATS is away: what waits is dropped."""
    @property
    def written(self) -> Any:
        """Set only: bytes that were written and have not left yet."""
    @written.setter
    def written(self, bytes: int) -> None: ...
    @property
    def size(self) -> int:
        """Bytes that wait to be written."""
    def take(self) -> bytes:
        """All of them."""
    def send(self, command: bytes) -> bool:
        """Whether a command waits now: NATS is connected, and no bound exceeded."""
    def add(self, line: bytes) -> None:
        """A line that no bound holds back."""
    def ticket(self) -> tuple[int, str]:
        """The next counter, and its reply subject."""
    def put(self, counter: int, ticket: object, command: bytes, tx: bool, now: float) -> None:
        """``ticket`` waits for the PubAck of ``command``; ``tx``: its class."""
    def command(self, counter: int) -> bytes | None:
        """The command that waits under ``counter``."""
    def sent(self, counter: int) -> float | None:
        """When it was sent."""
    def settle(self, counter: int, now: float) -> Any:
        """It is stored: the ticket or :class:`Lane` that waited, None if nothing did."""
    def fail(self, counter: int) -> tuple[Any, bool] | None:
        """It waits no longer: who waited, and whether it is of class tx."""
    def fail_all(self) -> list[Any]:
        """Nothing waits any longer: who waited, in order."""
    def overdue(self, late: float, silent: float) -> tuple[list[int], list[int]]:
        """The counters of those sent at ``late`` or before, and of those of class tx sent at ``silent`` or
        before that this did not return yet.
        """
    @property
    def stores(self) -> int:
        """How many wait for their PubAck."""
    @property
    def tx_acks(self) -> int:
        """PubAcks of class tx so far."""
    def ack_seconds(self) -> tuple[list[int], float]:
        """Publish to PubAck, by bucket, and the sum, since the last call."""

@final
class PubAcks:
    """Takes the PubAcks of one inbox out of the bytes of one connection to NATS. Not thread-safe."""

    def __new__(cls, inbox: Inbox, id: int, outgoing: Outgoing | None = None) -> Self:
        """``id``: of the inbox's subscription. OverflowError beyond 64 bits. ``outgoing``: has the lanes."""
    def begin(self) -> None:
        """A new connection: what is held of the last one is dropped."""
    def feed(
        self, data: bytes, now: float = 0.0
    ) -> tuple[list[tuple[int, str, str, int, bool, bytes]], bytes]:
        """Hold ``data``; return the PubAcks at the front, and the bytes for nats-py up to the next one.

        A PubAck: counter of its reply subject, stream, domain ("" for none), sequence, whether it is a
        duplicate, body. Those that a lane waits for are not among them: their CALLs are answered. Whatever is
        not a plain one is among the bytes, as it came and in its place.
        """
    @property
    def more(self) -> bool:
        """Whether there is more behind what the last ``feed`` returned: ``feed(b"")`` returns it."""

@final
class Plan:
    """Which CALLs of a version lanes take, and what they count. The session takes what has no route."""

    def __new__(cls, codec: Codec, bounds: list[float]) -> Self:
        """``bounds``: of the buckets of the seconds in :meth:`read`."""
    def live(self, action: int, clock: bool) -> None:
        """Answer it at once, with the time (``clock``) or ``{}``; ``action``: place in :func:`actions`."""
    def stored(self, action: int, class_: str, remembers: bool, keyed: bool, may_ask: bool) -> None:
        """Answer it ``{}`` when its fact is stored; ``class_``: ``tx`` or ``event``.

        ``remembers``: not a repeat; ``keyed``: count keys that return with other bytes; ``may_ask``: not one
        with an idToken, nor the end of a transaction.
        """
    def limit(self, open: bool, calls: float, calls_burst: float, stored: float, stored_burst: float) -> None:
        """Whether lanes may take anything, and the limits of all chargers."""
    def sample(self, bound: int, flags: int) -> None:
        """Tracing is on. Sampled: what has a trace id whose last 64 bits are less than ``bound``.

        ``flags``: of the others. OverflowError: more than 128 and 8 bits.
        """
    def read(
        self,
    ) -> tuple[
        list[int],
        list[int],
        tuple[int, int, int, int, int],
        tuple[tuple[list[int], float], tuple[list[int], float], tuple[list[int], float]],
    ]:
        """What was counted since the last call: CALLs received and answered, by action.

        Then bytes in and out, duplicates of class tx and event, conflicts of keys. Then CALL read to answer
        written, by bucket, and the sum, of class tx, event and live.
        """

@disjoint_base
class Budget:
    """What one charger has spent and not regained: CALLs and stored bytes (docs/contract.md 2.2)."""

    def __new__(cls) -> Self: ...
    @property
    def calls(self) -> float: ...
    @calls.setter
    def calls(self, value: float) -> None: ...
    @property
    def calls_at(self) -> float:
        """Of which second ``calls`` is."""
    @property
    def stored(self) -> float: ...
    @stored.setter
    def stored(self, value: float) -> None: ...
    @property
    def stored_at(self) -> float: ...
    def count(self, now: float, calls: float, plan: Plan) -> bool:
        """Count so many CALLs: whether too much of either is spent now."""
    def store(self, now: float, size: float, per_second: float) -> None:
        """Count a fact of ``size`` bytes."""

@final
class TransactionKeys:
    """The last TransactionEvent keys of this process (docs/contract.md 3.3)."""

    def __new__(cls) -> Self: ...
    def conflicts(self, fact: Fact) -> bool:
        """Whether ``fact.key`` was seen with another message; remembers this one."""

@disjoint_base
class Now:
    """The time as of the last :meth:`refresh`, of which there is one per chunk, not one per use."""

    def __new__(cls, monotonic: Callable[[], float], wall: Callable[[], float]) -> Self:
        """``monotonic``: seconds that never go back. ``wall``: seconds since the Unix epoch."""
    @property
    def read(self) -> Callable[[], float]:
        """``monotonic`` itself, to measure what is shorter than a chunk."""
    now: float
    """Monotonic seconds."""
    time_ms: int
    """Milliseconds since the Unix epoch."""
    def refresh(self) -> None:
        """Read the clock."""
    def follow(self) -> None:
        """Follow the wall clock, which may have been set; read the clock."""

class _Connection(Protocol):
    """Whom :meth:`Lane.receive` works for; as with a session, it may call back."""

    def take(self, data: bytes) -> None:
        """Bytes that do not go straight through the lane (``direct`` is False)."""
    def took(self, piece: Frame | bytes | None) -> None:
        """What :meth:`Lane.feed` has returned; not called where that leaves nothing to do."""
    def failed(self, fault: BaseException) -> None:
        """The lane, or one of these, has raised."""

class _Session(Protocol):
    """What a lane calls; not while it is called itself, but while it calls back."""

    def overdrawn(self) -> None:
        """The charger has spent too much."""
    def serve(self) -> None:
        """The open CALL is answered, and the gate is closed."""
    def not_stored(self) -> None:
        """The fact of the open CALL could not be stored."""
    def failed(self, fault: BaseException) -> None:
        """A callback has raised."""

@final
class Lane:
    """One connection's bytes: plain CALLs are answered, all else is split into frames. Not thread-safe.

    Frames that are not whole text messages go to websockets' ``ServerProtocol``, the only judge of RFC 6455:
    an item of bytes may make it fail, or close; later items are then void. Drawn in rust/core/src/lane.rs.
    """

    def __new__(cls, codec: Codec, max_message_bytes: int, latin1: bool = False) -> Self:
        """OverflowError beyond 32 bits. The gate is closed."""
    def begin(
        self,
        publisher: Publisher,
        plan: Plan,
        outgoing: Outgoing,
        keys: TransactionKeys,
        budget: Budget,
        session: _Session,
        write: Callable[[bytes], None],
        read: Callable[[], float],
        empty: object,
    ) -> None:
        """What plain CALLs are answered with, once the gate is open; ``empty``: see :meth:`recall`.

        ``read``: the clock, for what is shorter than a chunk.
        """
    def listen(self, clock: Now, connection: _Connection) -> None:
        """Whom :meth:`receive` works for, until the end."""
    direct: bool
    """Whether :meth:`receive` feeds the lane itself."""
    def receive(self, data: bytes) -> None:
        """The transport's ``data_received``: a chunk of plain CALLs costs no frame of Python."""
    def feed(self, data: bytes, now: float, time_ms: int) -> Frame | bytes | None:
        """Begin a turn: take ``data`` and the plain CALLs of all that is held, up to the first other frame.

        That is returned; None if no frame is complete, if the turn is used up (``spent``), or if the charger
        has spent too much. A Frame for an unfragmented, masked text frame without RSV bits outside of a
        fragmented message (``is_text`` False: close with 1007; ``latin1`` as in ``Codec.decode``). Bytes for
        the ``ServerProtocol``: any other frame; as soon as it is complete, the header of one that fails by
        its header alone, and of any within a fragmented message (the rest follows). After such a failure or a
        Close nothing is returned. RuntimeError: an internal fault; nothing is returned after it.
        """
    def go_on(self, now: float, time_ms: int) -> Frame | bytes | None:
        """The same in the same turn, with what is held."""
    def turn(self) -> None:
        """Begin a turn."""
    def weigh(self, size: int) -> None:
        """A frame of this turn has brought ``size`` bytes more than its own (inflated ones)."""
    @property
    def spent(self) -> bool:
        """Whether this turn is used up."""
    @property
    def idle(self) -> bool:
        """Whether nothing is held, and this turn not used up."""
    @property
    def pieces(self) -> int:
        """Whole frames so far."""
    @property
    def trace(self) -> tuple[int, int]:
        """Ids of a CALL in the last of them: of its trace, and of its span. RuntimeError at the end."""
    seen: float
    """When the last one came; may be set to a later time."""
    def hold(self, data: bytes) -> None:
        """Hold ``data``, return nothing, decode nothing."""
    @property
    def front(self) -> bytes:
        """What has come of the frame that is not whole, or that failed by its header: at most 4,110 bytes."""
    @property
    def unfinished(self) -> int:
        """Bytes held: whole frames that are still to be returned, and one that is incomplete."""
    @property
    def open(self) -> bool:
        """Whether a CALL waits here for its PubAck."""
    def gate(self, closed: bool) -> None:
        """Closed: every frame is returned, and the session is told when the open CALL is done."""
    def same(self, frame: Frame) -> bool:
        """Whether ``frame`` has the id and action of the open CALL."""
    def remember(self, frame: Frame, answer: object) -> None:
        """The session has answered ``frame``; the last eight are kept."""
    def recall(self, frame: Frame) -> Any:
        """The answer to the same message (id, action, payload), ``empty`` if given here; None: no answer."""
    def stored(self, counter: int, duplicate: bool, now: float) -> None:
        """The fact under ``counter`` is stored: answer the open CALL that waits for it."""
    def not_stored(self) -> None:
        """It could not be stored: the session is told."""
    def end(self) -> None:
        """The conversation is over: nothing is returned, answered or called any more."""

@final
class Version:
    """The rules of one OCPP version; its schemas and actions are elsewhere."""

    @property
    def token(self) -> str:
        """``v16``, ``v201`` or ``v21``: in subjects, metric labels and config."""
    @property
    def subprotocol(self) -> str:
        """``ocpp1.6``, ``ocpp2.0.1`` or ``ocpp2.1`` (docs/ocpp.md A1)."""
    @property
    def signed(self) -> bool:
        """Whether ``-Signed`` may follow any action (docs/ocpp.md A16)."""
    @property
    def result_errors(self) -> bool:
        """Whether there are CALLRESULTERROR and SEND (docs/ocpp.md A13, A14)."""
    @property
    def answers_unknown_type(self) -> bool:
        """Whether an unknown message type is answered (docs/ocpp.md A10)."""
    @property
    def unknown_type_code(self) -> str:
        """The error code of such a message type."""
    @property
    def unreadable_id(self) -> str | None:
        """The id of the CALLERROR for an unreadable id; None: no answer (docs/ocpp.md A11)."""
    @property
    def passes_while_pending(self) -> tuple[str, ...]:
        """CALLs of a charger that pass while its BootNotification is Pending (docs/ocpp.md A18)."""
    @property
    def transaction_event(self) -> bool:
        """Whether transactions are TransactionEvents of an EVSE, not StartTransaction and StopTransaction."""

@final
class Violation:
    """Why a frame or payload was refused."""

    @property
    def code(self) -> str:
        """The CALLERROR code in the version's spelling (docs/contract.md 2.2)."""
    @property
    def pointer(self) -> str:
        """JSON pointer into the payload; ``""`` is the payload, or the envelope."""
    @property
    def reason(self) -> str:
        """A readable sentence; never quotes the user's value."""

@final
class Frame:
    """One decoded OCPP-J frame. Attributes are made on demand from the bytes it holds."""

    @property
    def type(self) -> int | None:
        """2, 3, 4, 5, 6, or None if unreadable or unknown in this version."""
    @property
    def message_id(self) -> str | None:
        """Unescaped; None if unreadable (or longer than 255 characters)."""
    @property
    def action(self) -> str | None:
        """Types 2 and 6, as the charger wrote it, also if unknown. Known actions are interned."""
    @property
    def known(self) -> bool:
        """Whether ``action`` is one of the version's (with ``-Signed`` where OCPP allows it)."""
    @property
    def payload(self) -> bytes:
        """The payload's original bytes (details for types 4 and 5); ``{}`` for a 1.6 ``null``;
        ``b""`` without a payload, and if its JSON is broken."""
    @property
    def code(self) -> str | None:
        """Types 4 and 5: the error code, unchanged."""
    @property
    def description(self) -> str | None:
        """Types 4 and 5."""
    @property
    def violation(self) -> Violation | None:
        """The first violation in text order."""
    @property
    def fatal(self) -> Violation | None:
        """The first violation that no validation level passes on (docs/contract.md 2.2, last lines)."""
    @property
    def plain(self) -> str | None:
        """The action of a CALL with a known action and without a violation; else None."""
    @property
    def size(self) -> int:
        """Bytes of the whole frame."""
    @property
    def raw(self) -> bytes:
        """The whole frame, unchanged."""
    @property
    def is_text(self) -> bool:
        """False if the bytes are not valid UTF-8 (websocket close 1007)."""
    @property
    def latin1(self) -> bool:
        """Whether the frame came as Latin-1 and was made UTF-8 (docs/contract.md 3.8, quirk)."""
    @property
    def has_id_token(self) -> bool:
        """Whether the payload has a member ``idToken``: then a backend answers a TransactionEvent."""
    @property
    def ends_online(self) -> bool:
        """Whether the payload ends a transaction and is not flagged ``offline``: likewise."""

@disjoint_base
class Codec:
    """One OCPP version: its schemas compiled to flat tables, its envelope rules, its spellings. Immutable.

    Any thread may call any method at any time; a call holds the interpreter's lock (docs/codec.md).
    """

    def __new__(cls, version: str, schemas: list[tuple[str, bytes]]) -> Self:
        """``schemas``: (file name without ``.json``, bytes) of every file of the version.

        ValueError for an unknown version token, and if a file does not compile, belongs to no action, or is
        missing.
        """
    @property
    def ocpp(self) -> Version:
        """The rules of the version."""
    @property
    def subprotocol(self) -> str: ...
    @property
    def version(self) -> str:
        """``v16``, ``v201`` or ``v21``."""
    @property
    def nodes(self) -> int:
        """The number of schema nodes in the tables."""
    def decode(self, frame: bytes, sender: str = "charger", latin1: bool = False) -> Frame:
        """Never raises for any bytes. ``sender`` is ``charger`` or ``csms``, else ValueError.

        ``latin1``: what is not UTF-8 is read as Latin-1; ``raw`` and all else is then UTF-8.
        """
    def check(self, action: str, kind: str, payload: bytes) -> Violation | None:
        """``kind`` is ``request`` or ``response``, else ValueError. An unknown action is a violation."""
    def encode_call(self, message_id: str, action: str, payload: bytes, websocket: bool = True) -> bytes:
        """``[2,id,action,payload]`` as one unmasked websocket text frame, or its text if not ``websocket``.

        Nothing is checked: ``payload`` is copied as it is.
        """
    def encode_result(self, message_id: str, payload: bytes, websocket: bool = True) -> bytes:
        """``[3,id,payload]``, likewise."""
    def encode_error(self, message_id: str, code: str, description: str, websocket: bool = True) -> bytes:
        """``[4,id,code,description,{}]``, likewise; description is cut at 255 characters."""
    def encode_result_error(
        self, message_id: str, code: str, description: str, websocket: bool = True
    ) -> bytes:
        """``[5,id,code,description,{}]`` (2.1), likewise."""

@final
class Fact:
    """A fact ready to be published, with the values used by its Response fact and its question."""

    @property
    def hpub(self) -> bytes:
        """The whole NATS message, an ``HPUB`` line with headers and body."""
    @property
    def key(self) -> str:
        """``ocpp-key`` (docs/contract.md 3.3)."""
    @property
    def nats_id(self) -> str:
        """The ``Nats-Msg-Id`` of this message as a ``tx`` fact, 32 hex digits; independent of its class."""

class _Answered(Protocol):
    """An answer: a payload, or a CALLERROR if ``code`` is not empty."""

    @property
    def by(self) -> str:
        """``gateway``, ``backend`` or ``fallback``."""
    @property
    def payload(self) -> bytes: ...
    @property
    def code(self) -> str: ...
    @property
    def reply_violation(self) -> str:
        """The text of ``ocpp-reply-violation``; "" leaves the header out."""

class _Why(Protocol):
    """A :class:`Violation`, or one that the gateway found."""

    @property
    def code(self) -> str: ...
    @property
    def pointer(self) -> str: ...
    @property
    def reason(self) -> str: ...

@final
class Publisher:
    """Writes one connection's NATS messages, each as one ``HPUB`` line with headers and body.

    Subjects and headers: docs/contract.md 3.2, 3.3. Holds the constant parts and the counter of ``ce-id``.
    Times are milliseconds since the Unix epoch; ``reply`` may be ``""`` (no reply expected), ``traceparent``
    is the text of that header (``""``: none).
    """

    def __new__(
        cls, version: str, identity: str, session: str, prefix: str = "ocpp", rpc_prefix: str = "ocpprpc"
    ) -> Publisher: ...
    @property
    def token(self) -> str: ...
    @property
    def session(self) -> str:
        """The session id, escaped like a token."""
    def fact(
        self,
        class_: str,
        frame: Frame,
        time_ms: int,
        reply: str,
        violation: str = "",
        redacted: bytes | None = None,
        traceparent: str = "",
    ) -> Fact:
        """A CALL or SEND as a fact of ``class_`` (``tx|event|live``). ``Nats-Msg-Id`` on ``tx`` only.

        ``violation`` is the text of ``ocpp-violation``; "" leaves the header out. ``redacted`` is the body
        where the payload has secrets. ValueError for a frame without a known action.
        """
    def question(
        self, fact: Fact, time_ms: int, deadline_ms: int, reply: str, traceparent: str = ""
    ) -> bytes:
        """The message of ``fact`` on ``ocpprpc.ask.<v>.<Action>.<token>``, with ``ocpp-deadline``."""
    def response(
        self, fact: Fact, answer: _Answered, time_ms: int, reply: str, traceparent: str = ""
    ) -> bytes:
        """The answer to ``fact`` under ``<Action>Response``, with its class and key.

        ``Nats-Msg-Id`` on ``tx`` only: that of ``fact`` and ``/response``; none where the answer is an
        error or an empty fallback.
        """
    def reject(
        self,
        frame: Frame,
        raw: bytes,
        why: _Why,
        time_ms: int,
        reply: str,
        limit: int,
        size: int = 0,
        traceparent: str = "",
    ) -> bytes:
        """A refused frame: ``raw`` cut at ``limit`` (0: whole), its size in ``ocpp-reject-bytes`` if cut.

        ``raw`` that is not the frame's own is tagged ``ocpp-redacted``.
        ``size``: of the frame, where ``raw`` is only its beginning.
        """

def key(version: str, action: str, identity: str, session: str, message_id: str, payload: bytes) -> str:
    """The business key ``ocpp-key`` of a message (docs/contract.md 3.3)."""

def masked(body: bytes, quoted: bool = False) -> bytes | None:
    """The payload without its secrets (docs/contract.md 3.5); None if it has none.

    ``quoted``: it answers a command that holds a secret, which may be in any of its texts. A body that is no
    JSON and may hold a secret is ``***``.
    """

def may_hold_secrets(body: bytes) -> bool:
    """Whether the name of a secret or a login is in ``body``, of whatever form it is."""
