"""The native frame path (Rust, ``rust/core``). The stub of ``rust/py``, checked by stubtest."""

from typing import Protocol, Self, final

from typing_extensions import disjoint_base

__all__ = [
    "Codec",
    "Fact",
    "Frame",
    "Inbox",
    "PubAcks",
    "Publisher",
    "Slicer",
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
class PubAcks:
    """Takes the PubAcks of one inbox out of the bytes of one connection to NATS. Not thread-safe."""

    def __new__(cls, inbox: Inbox, id: int) -> Self:
        """``id``: of the inbox's subscription. OverflowError beyond 64 bits."""
    def begin(self) -> None:
        """A new connection: what is held of the last one is dropped."""
    def feed(self, data: bytes) -> tuple[list[tuple[int, str, str, int, bool, bytes]], bytes]:
        """Hold ``data``; return the PubAcks at the front, and the bytes for nats-py up to the next one.

        A PubAck: counter of its reply subject, stream, domain ("" for none), sequence, whether it is a
        duplicate, body. Whatever is not a plain one is among the bytes, as it came and in its place.
        """
    @property
    def more(self) -> bool:
        """Whether there is more behind what the last ``feed`` returned: ``feed(b"")`` returns it."""

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
    """One OCPP version: its schemas compiled to flat tables, its envelope rules, its spellings. Immutable."""

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
    def encode_call(self, message_id: str, action: str, payload: bytes) -> bytes:
        """``[2,id,action,payload]`` as one unmasked websocket text frame."""
    def answer(self, frame: Frame, payload: bytes) -> bytes:
        """:meth:`encode_result` for the id of ``frame``."""
    def encode_result(self, message_id: str, payload: bytes) -> bytes:
        """``[3,id,payload]``, likewise."""
    def encode_error(self, message_id: str, code: str, description: str) -> bytes:
        """``[4,id,code,description,{}]``, likewise; description is cut at 255 characters."""
    def encode_result_error(self, message_id: str, code: str, description: str) -> bytes:
        """``[5,id,code,description,{}]`` (2.1), likewise."""

@final
class Slicer:
    """Splits one connection's bytes into whole frames. Not thread-safe.

    All other frames are passed to websockets' ``ServerProtocol``, the only judge of RFC 6455: an item of
    bytes may make it fail, or close; later items of the list are then void.
    """

    def __new__(cls, codec: Codec, max_message_bytes: int, latin1: bool = False) -> Self:
        """OverflowError beyond 32 bits."""
    def feed(self, data: bytes) -> Frame | bytes | None:
        """Hold ``data`` and return the next piece of all that is held; None if no frame is complete.

        One item per call, nothing is decoded in advance: ``feed(b"")`` returns the next. A Frame for an
        unfragmented, masked text frame without RSV bits outside of a fragmented message, decoded
        (``is_text`` False: close with 1007; ``latin1`` as in ``Codec.decode``). Bytes for the
        ``ServerProtocol``: any other frame; as soon as it is complete, the header of one that fails by its
        header alone, and of any within a fragmented message (the rest follows). After such a failure or a
        Close nothing is returned. RuntimeError: an internal fault; nothing is returned after it.
        """
    def hold(self, data: bytes) -> None:
        """Hold ``data``, return nothing, decode nothing."""
    @property
    def front(self) -> bytes:
        """What has come of the frame that is not whole, or that failed by its header: at most 4,110 bytes."""
    @property
    def unfinished(self) -> int:
        """Bytes held: whole frames that are still to be returned, and one that is incomplete."""

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
    def live(self, frame: Frame, time_ms: int) -> bytes:
        """The command of a ``live`` fact, without a reply subject."""
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
