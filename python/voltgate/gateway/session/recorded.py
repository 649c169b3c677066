"""What a command id was used for before, on whatever process: read from OCPP_COMMANDS (CONTRACT 3.5).

The PubAck named the sequence of the first command's fact; its Response, if there is one, follows it.
"""

from collections.abc import Callable

import structlog

from voltgate.gateway.interfaces import Ack, Bus, NotRead, Stored
from voltgate.gateway.reasons import Outcome
from voltgate.gateway.session import redact
from voltgate.gateway.session.command import Command, Said
from voltgate.gateway.session.steps import guarded

log = structlog.get_logger()

READS = 16  # Responses of the action that are looked at

Done = Callable[[Command, Said | bool], None]
_OUTCOMES = {outcome.label: outcome for outcome in Outcome}


class Recorded:
    """Calls ``done(command, said)`` once.

    True: the fact is this command's own. False: what was stored was never sent, so this one may be.
    """

    closed = False

    def __init__(self, command: Command, bus: Bus, prefix: str, token: str, done: Done) -> None:
        self._command, self._bus, self._prefix, self._token, self._done = command, bus, prefix, token, done
        self._stream = self._subject = ""
        self._key: str | None = None  # of the first command, where its fact says so
        self._left = READS
        self._said = Said(Outcome.LOST)  # what is said when nobody knows

    def find(self, ack: Ack) -> None:
        """Read the fact that was first."""
        self._stream = ack.stream
        self._bus.read(ack.stream, ack.seq, None, self._first, None)

    def failed(self) -> None:
        """A fault of ours: what became of the command is not known."""
        log.exception("recorded.failed", action=self._command.action)
        self._done(self._command, self._said)

    @guarded
    def _first(self, _: None, stored: Stored | NotRead) -> None:
        command = self._command
        if not isinstance(stored, Stored):
            self._done(command, self._said)
            return
        headers = stored.headers
        version, action = [*headers.get("ce-type", "").split("."), "", "", ""][1:3]
        if headers.get("ocpp-message-id") == command.message_id:
            self._done(command, True)
        elif not action:  # no fact of a command
            self._done(command, self._said)
        elif action != command.action or _shown(action, stored.data) != command.shown:
            # Passwords are masked in the fact: two commands that differ in nothing else count as one.
            self._done(command, Said(Outcome.INVALID))
        else:
            self._key = headers.get("ocpp-key")
            ids = (headers.get("ocpp-message-id", ""), version, headers.get("ocpp-session", ""))
            self._said = Said(Outcome.LOST, b"", *ids)
            self._subject = f"{self._prefix}.command.{version}.{action}Response.{self._token}"
            self._next(stored.seq)

    def _next(self, seq: int) -> None:
        self._bus.read(self._stream, seq, self._subject, self._found, None)

    @guarded
    def _found(self, _: None, stored: Stored | NotRead) -> None:
        self._left -= 1
        if isinstance(stored, Stored):
            headers = stored.headers
            if self._key is not None and headers.get("ocpp-key") == self._key:
                # An outcome of a later release: nobody here knows whether the command was sent.
                outcome = _OUTCOMES.get(headers.get("ocpp-outcome", ""), Outcome.LOST)
                if not outcome.value.sent:
                    self._done(self._command, False)
                    return
                self._said = self._said._replace(outcome=outcome, body=stored.data)
                if outcome not in (Outcome.TIMEOUT, Outcome.LOST):
                    self._done(self._command, self._said)
                    return
                self._said = self._said._replace(body=b"")  # a late answer may follow, and says more
            if self._left:
                self._next(stored.seq + 1)
                return
        self._done(self._command, self._said)


def _shown(action: str, body: bytes) -> bytes:
    """A fact's body as facts of this release hold it: one that masked less may have written it."""
    masked = redact.request(action, body)
    return body if masked is None else masked
