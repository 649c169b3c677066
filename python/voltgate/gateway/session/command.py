"""One command of a backend to a charger, and what is written about it: its facts and its replies.

Values in, bytes out (docs/contract.md 3.3, 3.5); when a command moves on is decided in ``commands``.
"""

import math
import re
import uuid
from collections.abc import Sequence
from datetime import datetime
from enum import Enum, auto
from typing import NamedTuple

import orjson

from voltgate import _core
from voltgate._core import Frame, Publisher, Violation
from voltgate.config import Level
from voltgate.gateway import cloudevents
from voltgate.gateway.interfaces import Ack, Change, Clock, NotStored, Outside, Request, Timer
from voltgate.gateway.reasons import Outcome
from voltgate.gateway.session import payloads
from voltgate.gateway.session.decisions import tag
from voltgate.schemas import Codec

TIMEOUT = 30.0  # seconds, where ocpp-timeout says nothing
_MAX_TIMEOUT = 86_400.0
_MAX_ID = 255  # characters of ocpp-command-id
AGAIN = 2.0  # seconds until a Response fact that was not stored is written again
TRIES = 30  # about a minute: by then the caller has given up, and a repeat gets ``lost``


class Fault(NamedTuple):
    """Why a command is invalid: the body of its reply. ``pointer`` is a JSON pointer into its payload."""

    code: str
    pointer: str
    reason: str

    @property
    def body(self) -> bytes:
        """As JSON."""
        return orjson.dumps(self._asdict())


class Said(NamedTuple):
    """How a command ended, and what the backend gets with it; the ids are those of the CALL it is about."""

    outcome: Outcome
    body: bytes = b""
    message_id: str = ""
    version: str = ""
    session: str = ""
    late: bool = False  # it had ended with ``timeout`` before
    violation: str = ""  # the text of ocpp-violation, where a result was passed on
    odd: bool = False  # the result violates its schema


class Stage(Enum):
    """Where a command stands; drawn in ``commands``, and changed there."""

    QUEUED = auto()
    PREPARING = auto()  # its fact is being stored, then a password's record
    WAITING = auto()  # prepared, until the charger's own CALL is answered (quirk half_duplex)
    SENT = auto()


class Standing(Enum):
    """What the charger's last link says about the session (``fence``)."""

    OURS = auto()  # it is this session's ``up``
    HIDDEN = auto()  # it is a ``down``, or of an earlier session of this process: ``up`` is written again
    OTHER = auto()  # another gateway's ``up``
    UNKNOWN = auto()  # it could not be read


class Command:
    """One command, and what its stages have brought so far. Class attributes are the defaults."""

    stage = Stage.QUEUED
    key = ""  # ocpp-key, once its fact is written
    timer: Timer | None = None
    attempt = 1  # of storing it under its command id
    standing = Standing.UNKNOWN
    change: Change | None = None  # of the charger's password
    recorded = False  # the charger's record has the new password
    violation = ""  # the text of ocpp-violation, where its payload is passed on
    traceparent = ""  # of its facts, where tracing is on (``traced``)

    def __init__(self, request: Request, action: str, clock: Clock) -> None:
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.action, self.arrived = action, clock.now
        self.replies = [request.reply]
        # No body, which tools make easy to send, and the null of 1.6 are the empty payload (docs/ocpp.md A9).
        self.body = b"{}" if request.data.strip() in (b"", b"null") else request.data
        self.command_id = headers.get("ocpp-command-id", "")
        self.continues = headers.get("traceparent", "")
        self.message_id = str(uuid.uuid4())  # collides with no other id (docs/ocpp.md A20)
        self.redacted = _core.masked(self.body)
        timeout, deadline = headers.get("ocpp-timeout"), headers.get("ocpp-deadline")
        seconds = _seconds(timeout) if deadline is None else _ahead(deadline, clock.time_ms)
        self.timeout = math.nan if seconds is None else seconds
        """Seconds from its arrival; not above 0 if its deadline had passed by then."""
        self._deadline = deadline is not None
        self.random_key = headers.get("ocpp-random-key", "").strip().lower() == "true"

    @property
    def shown(self) -> bytes:
        """The payload as facts hold it."""
        return self.body if self.redacted is None else self.redacted

    def fault(self, codec: Codec, levels: dict[str, Level], max_bytes: int) -> Fault | None:
        """Why it cannot be sent in this version, whatever the charger's state; sets ``violation``."""
        level = levels.get(self.action)
        if level is None:
            return Fault("NotSupported", "", f"no action a CSMS may send in {codec.subprotocol}")
        if math.isnan(self.timeout):
            deadline = f"ocpp-deadline: a time of RFC 3339, at most {_MAX_TIMEOUT:.0f} s ahead"
            timeout = f"ocpp-timeout: seconds above 0, at most {_MAX_TIMEOUT:.0f}"
            return Fault("", "", deadline if self._deadline else timeout)
        if len(self.command_id) > _MAX_ID:
            return Fault("", "", f"ocpp-command-id: at most {_MAX_ID} characters")
        if len(self.body) > max_bytes:
            return Fault("", "", f"more than {max_bytes} bytes (limits.max_message_bytes)")
        violation = codec.check(self.action, "request", self.body)
        if violation is not None and level != "strict":
            # As a frame, it also shows what no level passes on (docs/contract.md 2.2).
            frame = codec.decode(b'[2,"","%s",%s]' % (self.action.encode(), self.body), "csms")
            if level == "lenient":
                self.violation = tag(violation)
            self.redacted = payloads.masked_report(self.body, odd=True)
            violation = frame.fatal
        return Fault(violation.code, violation.pointer, violation.reason) if violation else None

    def ended(self, outcome: Outcome) -> None:
        """It has its outcome."""

    def joined(self) -> None:
        """It repeats an open command, and gets the outcome of that one."""

    def same(self, other: "Command") -> bool:
        """Whether ``other``, under the same command id, asks for the same thing."""
        return (self.action, self.body) == (other.action, other.body)


def _seconds(text: str | None) -> float | None:
    """None if it is not a valid timeout."""
    try:
        seconds = TIMEOUT if text is None else float(text)
    except ValueError:
        return None
    return seconds if 0 < seconds <= _MAX_TIMEOUT else None


def _ahead(text: str, now_ms: int) -> float | None:
    """Seconds until the time ``text``; None if it is not a valid deadline."""
    try:
        deadline = datetime.fromisoformat(text.upper())
        seconds = deadline.timestamp() - now_ms / 1000
    except (ValueError, OverflowError):
        return None
    return seconds if deadline.tzinfo is not None and seconds <= _MAX_TIMEOUT else None


def answer(codec: Codec, action: str, frame: Frame, level: Level) -> tuple[Said, Violation | None]:
    """How a command of ``action`` ends that was answered with ``frame``, and what is wrong with it."""
    broken = frame.violation
    if frame.type == 4:
        details = b"{}" if broken else frame.payload
        head = orjson.dumps({"code": frame.code or "", "description": frame.description or ""})
        return Said(Outcome.ERROR, b'%s,"details":%s}' % (head[:-1], details)), None
    violation = broken or codec.check(action, "response", frame.payload)
    if broken or (violation and level == "strict"):
        return Said(Outcome.BAD_RESULT, frame.payload or _as_it_came(frame)), violation
    passed_on = tag(violation) if level == "lenient" else ""
    return Said(Outcome.RESULT, frame.payload, violation=passed_on, odd=violation is not None), violation


_HEAD = re.compile(rb'\s*\[\s*3\s*,\s*"(?:[^"\\]|\\.)*"\s*,?\s*', re.DOTALL)


def _as_it_came(frame: Frame) -> bytes:
    """What follows the message id, of a CALLRESULT whose JSON is broken."""
    head = _HEAD.match(frame.raw)
    return frame.raw[head.end() :].rstrip().removesuffix(b"]") if head else b""


class _Shown(NamedTuple):
    """What differs between the fact and its Response."""

    kind: str
    body: bytes
    redacted: bool
    violation: str
    unique: str = ""
    more: Sequence[tuple[str, str]] = ()


class Writer:
    """Writes the NATS messages of one connection's commands."""

    def __init__(self, publisher: Publisher, version: str, prefix: str) -> None:
        self._token, self._version, self._prefix = publisher.token, version, prefix
        self._identity, self._session = _core.identity(publisher.token), _core.identity(publisher.session)
        self._count = 0

    def fact(self, command: Command, time_ms: int, reply: str) -> bytes:
        """The command as it goes to the charger, secrets masked; sets ``command.key``."""
        command.key = _core.key(
            self._version, command.action, self._identity, self._session, command.message_id, command.body
        )
        shown = _Shown(command.action, command.shown, command.redacted is not None, command.violation)
        return self._publish(command, shown, time_ms, reply)

    def response(self, command: Command, said: Said, time_ms: int, reply: str) -> bytes:
        """How it ended, under ``<Action>Response``."""
        body, quoted = said.body or b"{}", command.redacted is not None
        secret = quoted or payloads.may_answer_secrets(command.action) or _core.may_hold_secrets(body)
        if secret and said.body and (said.outcome is not Outcome.RESULT or said.late or said.odd):
            # Chargers quote what they refuse, and a result of another form may have a secret anywhere.
            masked: bytes | None = payloads.MASKED
        else:
            masked = _core.masked(body, quoted)
        more = [("ocpp-outcome", said.outcome.label), *([("ocpp-late", "true")] if said.late else [])]
        unique = f"{self._token}/{command.message_id}/{'late' if said.late else 'response'}"
        kind, redacted = f"{command.action}Response", masked is not None
        shown = _Shown(kind, masked or body, redacted, said.violation, unique, more)
        return self._publish(command, shown, time_ms, reply)

    def _publish(self, command: Command, shown: "_Shown", time_ms: int, reply: str) -> bytes:
        self._count += 1
        own = (
            ("ocpp-message-id", command.message_id),
            ("ocpp-session", self._session),
            ("ocpp-key", command.key),
            ("Nats-Msg-Id", shown.unique or self._unique(command)),
            *shown.more,
        )
        headers = cloudevents.headers(
            f"{self._session}/command-{self._count}",
            f"chargers/{self._token}",
            f"ocpp.{self._version}.{shown.kind}",
            cloudevents.time_text(time_ms),
            identity=self._identity,
            extra=own,
        )
        if command.command_id:
            headers.append(("ocpp-command-id", command.command_id))
        if command.traceparent:
            headers.append(("traceparent", command.traceparent))
        if shown.violation:
            headers.append(("ocpp-violation", shown.violation))
        if shown.redacted:
            headers.append(("ocpp-redacted", "true"))
        subject = f"{self._prefix}.command.{self._version}.{shown.kind}.{self._token}"
        return _core.publish(subject, reply, headers, shown.body)

    def _unique(self, command: Command) -> str:
        parts = [self._token, _core.token(command.command_id or command.message_id)]
        return "/".join(parts if command.attempt == 1 else [*parts, str(command.attempt)])

    def reply(self, command: Command, said: Said, subject: str) -> bytes:
        """The reply to the backend."""
        reply = said.outcome.value
        headers = [
            ("ocpp-outcome", said.outcome.label),
            ("ocpp-message-id", said.message_id or command.message_id),
            ("ocpp-version", said.version or self._version),
            ("ocpp-session", said.session or self._session),
        ]
        if reply.code is not None:
            headers += [("Nats-Service-Error-Code", str(reply.code)), ("Nats-Service-Error", reply.text)]
        return _core.publish(subject, "", headers, said.body)


class Report:
    """The end of a command, written until NATS has stored it: Response fact and replies.

    See docs/contract.md 3.5.

    What a charger answered is known to this process alone: a NATS that is away for a moment must not lose it.
    Only a command that was sent is written again, so an outage does not accumulate reports.
    """

    def __init__(self, command: Command, said: Said, writer: Writer, outside: Outside) -> None:
        self._command, self._said, self._writer = command, said, writer
        self._bus, self._clock = outside.bus, outside.clock
        self._time_ms = outside.clock.time_ms
        self._replies = () if said.late else tuple(command.replies)
        # Outcomes that sent nothing are not remembered, and their number is not bounded.
        self._left = TRIES if said.outcome.value.sent else 1

    def send(self) -> None:
        """Write them: the replies do not wait for the fact, but are repeated with it."""
        if self._command.key:
            ticket = self._bus.ticket(self._stored, None)
            response = self._writer.response(self._command, self._said, self._time_ms, ticket.reply)
            self._bus.store(ticket, response)
        for reply in self._replies:
            self._bus.emit(self._writer.reply(self._command, self._said, reply))

    def _stored(self, _: None, ack: Ack | NotStored) -> None:
        self._left -= 1
        if ack is NotStored.UNKNOWN and self._left:
            self._clock.after(AGAIN, self.send)
