"""Closed lists: why an upgrade was refused, why a connection or a command ended; each with its answer.

The names are metric labels and ``reason`` of link facts (docs/contract.md 3.6, 4.4); docs/reference.md lists
them.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum


# eq=False: members with the same answer are still different reasons, not aliases of one another.
@dataclass(frozen=True, slots=True, eq=False)
class HttpAnswer:
    """The HTTP answer to a refused upgrade. ``retry``: bounds of a jittered ``Retry-After`` in seconds."""

    status: int
    text: str
    retry: tuple[int, int] | None = None
    header: tuple[str, str] | None = None
    """That the status, or RFC 6455, asks for."""

    def fields(self) -> Iterator[tuple[str, str]]:
        """Its own headers."""
        if self.retry is not None:
            yield "Retry-After", str(random.randint(*self.retry))  # noqa: S311 - jitter
        if self.header is not None:
            yield self.header


# The same text for all of them: it does not say which check failed (docs/contract.md 2.1).
_UNAUTHORIZED = 401, "credentials are missing or wrong", None, ("WWW-Authenticate", 'Basic realm="voltgate"')


class Refusal(Enum):
    """Why an upgrade was refused (docs/contract.md 2.1); ``name.lower()`` is the ``result`` label."""

    TLS_ON_PLAIN = HttpAnswer(400, "TLS on a plain port")  # never sent: its sender reads TLS
    BAD_REQUEST = HttpAnswer(400, "the first line must be: GET /<path>/<identity> HTTP/1.1")
    HTTP_VERSION = HttpAnswer(505, "the request must be HTTP/1.1")
    BAD_HEADER = HttpAnswer(400, "a header cannot be read, or announces a body")
    HEAD_TOO_LARGE = HttpAnswer(431, "the request line and headers are too large or too many")
    BAD_METHOD = HttpAnswer(405, "the method must be GET", header=("Allow", "GET"))
    NOT_WEBSOCKET = HttpAnswer(
        426, "for chargers only: the header 'Upgrade: websocket' is missing", header=("Upgrade", "websocket")
    )
    WEBSOCKET_VERSION = HttpAnswer(
        400, "Sec-WebSocket-Version must be 13", header=("Sec-WebSocket-Version", "13")
    )
    WEBSOCKET_KEY = HttpAnswer(400, "Sec-WebSocket-Key must be 16 bytes in base64")
    BAD_IDENTITY = HttpAnswer(
        400, "the last path segment must be the charger's identity: 1 to 48 characters, no ':'"
    )
    NO_SUBPROTOCOL = HttpAnswer(400, "no subprotocol offered: ocpp1.6, ocpp2.0.1 and ocpp2.1 are served")
    UNSERVED_SUBPROTOCOL = HttpAnswer(
        400,
        "no offered subprotocol is served: ocpp1.6, ocpp2.0.1 and ocpp2.1 are, or what the record names",
    )
    NO_CREDENTIALS = HttpAnswer(*_UNAUTHORIZED)
    WRONG_USER = HttpAnswer(*_UNAUTHORIZED)  # the user name is not the identity
    WRONG_PASSWORD = HttpAnswer(*_UNAUTHORIZED)
    UNKNOWN_IDENTITY = HttpAnswer(*_UNAUTHORIZED)
    DISABLED = HttpAnswer(*_UNAUTHORIZED)
    WRONG_PROFILE = HttpAnswer(*_UNAUTHORIZED)
    NO_CERTIFICATE = HttpAnswer(*_UNAUTHORIZED)  # these three: security profile 3
    WRONG_ORGANIZATION = HttpAnswer(*_UNAUTHORIZED)
    WRONG_COMMON_NAME = HttpAnswer(*_UNAUTHORIZED)
    NOT_REGISTERED = HttpAnswer(404, "no such charger")  # on a listener without credentials
    BUS_AWAY = HttpAnswer(503, "not ready", (30, 60))
    DRAINING = HttpAnswer(503, "going away", (1, 5))
    FULL = HttpAnswer(503, "connection limit reached", (30, 60))
    RATE = HttpAnswer(503, "too many handshakes", (1, 10))
    FAILED_LOGINS = HttpAnswer(503, "too many failed logins", (10, 60))
    IDENTITY_IN_USE = HttpAnswer(503, "this identity is connected and alive", (30, 60))
    FLAPPING = HttpAnswer(503, "this identity reconnects too often", (60, 90))

    @property
    def label(self) -> str:
        """The ``result`` label of ``voltgate_handshakes_total``."""
        return self.name.lower()

    @property
    def is_security(self) -> bool:
        """Whether it is also a security fact: the identity was claimed without the right to it."""
        return self.value.status in (401, 404) or self in (Refusal.FAILED_LOGINS, Refusal.IDENTITY_IN_USE)


@dataclass(frozen=True, slots=True, eq=False)
class Close:
    """How a connection is closed: the websocket close code and text; no code: the socket is reset."""

    code: int | None
    text: str = ""


class Reason(Enum):
    """Why a connection ended; ``label`` is the ``reason`` of metrics and link facts."""

    CLIENT = Close(None)  # the charger closed it, or its TCP connection ended
    UNMATCHED = Close(1002, "no subprotocol agreed")  # docs/ocpp.md A2
    PROTOCOL = Close(None)  # websockets' ServerProtocol failed it with the code RFC 6455 names
    TOO_BIG = Close(1009, "message too big")
    BINARY = Close(1003, "text messages only")
    NOT_UTF8 = Close(1007, "invalid UTF-8")
    FRAGMENTS = Close(1008, "too many fragments")
    BUFFER_FULL = Close(1009, "too many bytes unfinished")
    NOT_STORED = Close(1013, "not stored, try again later")
    OUTAGE = Close(1013, "message bus away, try again later")
    UNANSWERED = Close(1013, "no backend answered, try again later")
    BAD_REPLY = Close(1013, "the backend's answer was invalid, try again later")
    BACKEND_FAILED = Close(1013, "the backend failed, try again later")
    SUPERSEDED = Close(1008, "a newer connection of this identity")
    KICKED = Close(1012, "ended by the operator, connect again")
    DISABLED = Close(1008, "disabled")
    REMOVED = Close(1008, "no longer registered")
    RECORD_CHANGED = Close(1012, "its record has changed, connect again")
    DRAIN = Close(1001, "going away")
    REBALANCED = Close(1001, "connect again, to a gateway with fewer chargers")
    AGED = Close(1001, "connected for long, connect again")
    SLOW_READER = Close(None)
    SILENT = Close(None)
    INTERNAL = Close(1011, "internal error")

    @property
    def label(self) -> str:
        """The ``reason`` label of ``voltgate_disconnects_total``."""
        return self.name.lower()


@dataclass(frozen=True, slots=True, eq=False)
class CommandReply:
    """The reply to a backend's command: the service error's code and text (none: a result)."""

    code: int | None
    text: str
    sent: bool = True


class Outcome(Enum):
    """How a command ended (docs/contract.md 3.5); ``label`` is ``ocpp-outcome`` and the metric's label."""

    RESULT = CommandReply(None, "the charger answered")
    ERROR = CommandReply(502, "the charger answered CALLERROR")
    BAD_RESULT = CommandReply(502, "the charger's result violates its schema")
    INVALID = CommandReply(400, "not sent: the command cannot be sent as it is", sent=False)
    BUSY = CommandReply(429, "not sent: the charger's queue of commands is full", sent=False)
    EXPIRED = CommandReply(408, "not sent: the deadline passed while it was queued", sent=False)
    TIMEOUT = CommandReply(504, "sent, no answer in time: effect unknown")
    LOST = CommandReply(410, "sent, then the connection or the gateway went away: effect unknown")
    GONE = CommandReply(503, "not sent: the connection or the gateway ended while it was queued", sent=False)
    UNAVAILABLE = CommandReply(503, "not sent: the command's fact could not be stored", sent=False)

    @property
    def label(self) -> str:
        """The ``outcome`` label of ``voltgate_commands_total``."""
        return self.name.lower()
