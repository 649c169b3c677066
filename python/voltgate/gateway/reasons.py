"""Closed lists: why a handshake was refused, why a connection ended; each with the answer that goes out.

The names are metric labels and ``reason`` of link facts (CONTRACT 3.6, 4.4); docs/reference.md lists them.
"""

from dataclasses import dataclass
from enum import Enum


# eq=False: members with the same answer are still different reasons, not aliases of one another.
@dataclass(frozen=True, slots=True, eq=False)
class Refused:
    """The HTTP answer to a refused upgrade. ``retry``: bounds of a jittered ``Retry-After`` in seconds."""

    status: int
    text: str
    retry: tuple[int, int] | None = None


# The same words for all of them: who asks learns nothing (CONTRACT 2.1).
_UNAUTHORIZED = "credentials are missing or wrong"


class Refusal(Enum):
    """Why an upgrade was refused (CONTRACT 2.1); ``name.lower()`` is the ``result`` label."""

    BAD_REQUEST = Refused(400, "not a websocket upgrade")
    BAD_IDENTITY = Refused(
        400, "the last path segment must be the charger's identity: 1 to 48 characters, no ':'"
    )
    NO_SUBPROTOCOL = Refused(400, "no subprotocol offered: ocpp1.6, ocpp2.0.1 and ocpp2.1 are served")
    UNSERVED_SUBPROTOCOL = Refused(
        400, "no offered subprotocol is served: ocpp1.6, ocpp2.0.1 and ocpp2.1 are"
    )
    NO_CREDENTIALS = Refused(401, _UNAUTHORIZED)
    WRONG_USER = Refused(401, _UNAUTHORIZED)  # another name than the identity
    WRONG_PASSWORD = Refused(401, _UNAUTHORIZED)
    UNKNOWN_IDENTITY = Refused(401, _UNAUTHORIZED)
    DISABLED = Refused(401, _UNAUTHORIZED)
    WRONG_PROFILE = Refused(401, _UNAUTHORIZED)
    NOT_REGISTERED = Refused(404, "no such charger")  # where no credentials are wanted
    BUS_AWAY = Refused(503, "not ready", (30, 60))
    DRAINING = Refused(503, "going away", (1, 5))
    FULL = Refused(503, "connection limit reached", (30, 60))
    RATE = Refused(503, "too many handshakes", (1, 10))
    IDENTITY_IN_USE = Refused(503, "this identity is connected and alive", (30, 60))
    FLAPPING = Refused(503, "this identity reconnects too often", (60, 90))

    @property
    def label(self) -> str:
        """The ``result`` label of ``voltgate_handshakes_total``."""
        return self.name.lower()

    @property
    def is_security(self) -> bool:
        """Whether it is told under ``ocpp.security`` too: somebody tried to be who he is not."""
        return self.value.status in (401, 404) or self is Refusal.IDENTITY_IN_USE


@dataclass(frozen=True, slots=True, eq=False)
class Ended:
    """How a connection is closed: the websocket close code and text; no code: the socket is reset."""

    code: int | None
    text: str = ""


class Reason(Enum):
    """Why a connection ended; ``label`` is the ``reason`` of metrics and link facts."""

    CLIENT = Ended(None)  # the charger closed it, or its TCP connection ended
    UNMATCHED = Ended(1002, "no subprotocol agreed")  # OCPP.md A2
    PROTOCOL = Ended(None)  # websockets' ServerProtocol failed it with the code RFC 6455 names
    BINARY = Ended(1003, "text messages only")
    NOT_UTF8 = Ended(1007, "invalid UTF-8")
    FRAGMENTS = Ended(1008, "too many fragments")
    BUFFER_FULL = Ended(1009, "too many bytes unfinished")
    NOT_STORED = Ended(1013, "not stored, try again later")
    OUTAGE = Ended(1013, "message bus away, try again later")
    UNANSWERED = Ended(1013, "no backend answered, try again later")
    SUPERSEDED = Ended(1008, "a newer connection of this identity")
    KICKED = Ended(1012, "ended by the operator, connect again")
    DISABLED = Ended(1008, "disabled")
    REMOVED = Ended(1008, "no longer registered")
    RECORD_CHANGED = Ended(1012, "its record has changed, connect again")
    DRAIN = Ended(1001, "going away")
    SLOW_READER = Ended(None)
    SILENT = Ended(None)
    INTERNAL = Ended(1011, "internal error")

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
    """How a command ended (CONTRACT 3.5); ``label`` is ``ocpp-outcome`` and the metric's label."""

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
