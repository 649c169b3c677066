"""What a stream already holds about a message: read back after a PubAck that said duplicate.

The PubAck names the sequence of the first copy; what was recorded about it follows it in the same stream.
``PastAnswer`` looks for the answer to a charger's CALL (docs/contract.md 3.4), ``PastOutcome`` for what
became of a backend's command (docs/contract.md 3.5); both work across processes.
"""

from collections.abc import Callable
from enum import Enum, auto
from typing import Any

import orjson
import structlog

from voltgate import _core
from voltgate.gateway.interfaces import Ack, Bus, NotRead, Stored
from voltgate.gateway.reasons import Outcome
from voltgate.gateway.session.call import Answer, Call
from voltgate.gateway.session.command import Command, Said
from voltgate.gateway.session.steps import guarded

log = structlog.get_logger()

READS = 16  # messages of the subject that are looked at

_OUTCOMES = {outcome.label: outcome for outcome in Outcome}


# Bus.read or Bus.read_leader
Get = Callable[[str, int, str | None, Callable[[Any, Stored | NotRead], None], Any], None]


class _Reading:
    """Reads messages until ``look(stored)`` returns True; without that it calls ``end(why)``, once."""

    closed = False

    def __init__(
        self, get: Get, stream: str, look: Callable[[Stored], bool], end: Callable[[NotRead], None]
    ) -> None:
        self._get, self._stream, self._look, self._end = get, stream, look, end
        self._left = READS

    def read(self, seq: int) -> None:
        """Read the message at ``seq`` alone."""
        self._get(self._stream, seq, None, self._found, None)

    def search(self, seq: int, subject: str) -> None:
        """Read the messages of ``subject`` from ``seq`` on, READS at most."""
        self._get(self._stream, seq, subject, self._found, subject)

    def failed(self) -> None:
        """A fault of ours: what the stream holds is not known."""
        log.exception("readback.failed", stream=self._stream)
        self._end(NotRead.UNREADABLE)

    @guarded
    def _found(self, subject: str | None, stored: Stored | NotRead) -> None:
        self._left -= 1
        if not isinstance(stored, Stored):
            self._end(stored)
        elif not self._look(stored):
            if self._left and subject is not None:
                self.search(stored.seq + 1, subject)
            else:
                self._end(NotRead.MISSING)


class PastAnswer:
    """Calls ``done(call, found)`` once; UNREADABLE if it is not known whether there is an answer."""

    __slots__ = ("_bus", "_call", "_done", "_stream")

    def __init__(
        self, call: Call, stream: str, bus: Bus, done: Callable[[Call, Answer | NotRead], None]
    ) -> None:
        self._call, self._stream, self._bus, self._done = call, stream, bus, done

    def search(self, seq: int, subject: str) -> None:
        """Find the first message of ``subject`` from ``seq`` on that is a CALLRESULT to this call."""
        _Reading(self._bus.read, self._stream, self._is_answer, self._end).search(seq, subject)

    def read(self, seq: int) -> None:
        """Read the Response at ``seq``: two were written, and the first one counts."""
        _Reading(self._bus.read, self._stream, self._was_first, lambda _: self._end(NotRead.UNREADABLE)).read(
            seq
        )

    def _is_answer(self, stored: Stored) -> bool:
        assert self._call.fact is not None
        ours = stored.headers.get("ocpp-key") == self._call.fact.key
        if not ours or "ocpp-error-code" in stored.headers or not _is_payload(stored.data):
            return False
        if stored.headers.get("ocpp-answered-by") == "fallback" and stored.data == b"{}":
            return False  # kept for its ocpp-reply-violation only: a backend may have an answer by now
        self._done(self._call, Answer("replay", stored.data))
        return True

    def _was_first(self, stored: Stored) -> bool:
        # A payload that no charger can be given was not given to this one either.
        own = self._call.answer or NotRead.MISSING
        self._done(self._call, Answer("replay", stored.data) if _is_payload(stored.data) else own)
        return True

    def _end(self, why: NotRead) -> None:
        self._done(self._call, why)


def _is_payload(data: bytes) -> bool:
    # Not validated again: another release may have other schemas, and it was validated by those.
    try:
        return isinstance(orjson.loads(data), dict)
    except orjson.JSONDecodeError:
        return False


class Recall(Enum):
    """What was found about a command id, if not an outcome."""

    OWN = auto()  # the stored fact is this command's own, published twice
    UNSENT = auto()  # the command that was stored was never sent, so this one may be


OutcomeDone = Callable[[Command, Said | Recall], None]


class PastOutcome:
    """Calls ``done(command, found)`` once.

    It asks the leader: a replica that lags may not have the outcome yet, and its command would be ``lost``.
    """

    __slots__ = ("_bus", "_command", "_done", "_key", "_prefix", "_said", "_stream", "_token")

    def __init__(self, command: Command, bus: Bus, prefix: str, token: str, done: OutcomeDone) -> None:
        """``prefix`` and ``token``: the first and the last of the subject's tokens."""
        self._command, self._bus, self._prefix, self._token, self._done = command, bus, prefix, token, done
        self._stream = ""
        self._key: str | None = None  # of the first command, if its fact has one
        self._said = Said(Outcome.LOST)  # until more is known

    def find(self, ack: Ack) -> None:
        """Read the first command's fact, then its Response."""
        self._stream = ack.stream
        _Reading(self._bus.read_leader, self._stream, self._is_first, self._end).read(ack.seq)

    def _is_first(self, stored: Stored) -> bool:
        command, headers = self._command, stored.headers
        version, action = [*headers.get("ce-type", "").split("."), "", "", ""][1:3]
        if headers.get("ocpp-message-id") == command.message_id:
            self._done(command, Recall.OWN)
        elif not action:  # not the fact of a command
            return False
        elif action != command.action or _masked(stored.data) != command.shown:
            # Passwords are masked in the fact: two commands that differ in nothing else count as one.
            self._done(command, Said(Outcome.INVALID))
        else:
            self._key = headers.get("ocpp-key")
            ids = (headers.get("ocpp-message-id", ""), version, headers.get("ocpp-session", ""))
            self._said = Said(Outcome.LOST, b"", *ids)
            subject = f"{self._prefix}.command.{version}.{action}Response.{self._token}"
            _Reading(self._bus.read_leader, self._stream, self._is_response, self._end).search(
                stored.seq, subject
            )
        return True

    def _is_response(self, stored: Stored) -> bool:
        headers = stored.headers
        if self._key is None or headers.get("ocpp-key") != self._key:
            return False
        # An outcome of a later release: it is not known whether the command was sent.
        outcome = _OUTCOMES.get(headers.get("ocpp-outcome", ""), Outcome.LOST)
        if not outcome.value.sent:
            self._done(self._command, Recall.UNSENT)
            return True
        if outcome in (Outcome.TIMEOUT, Outcome.LOST):
            self._said = self._said._replace(outcome=outcome)
            return False  # a late answer may follow, and says more
        self._done(self._command, self._said._replace(outcome=outcome, body=stored.data))
        return True

    def _end(self, _: NotRead) -> None:
        self._done(self._command, self._said)


def _masked(body: bytes) -> bytes:
    """A fact's body as facts of this release hold it: a release that masked less may have written it."""
    masked = _core.masked(body)
    return body if masked is None else masked
