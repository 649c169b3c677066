"""What a resent transaction message was answered the first time, on whatever worker (CONTRACT 3.4).

The PubAck named the sequence of the first request; its Response, if there is one, follows it in the stream.
"""

from collections.abc import Callable

import orjson

from voltgate.gateway.interfaces import Bus, NotRead, Stored
from voltgate.gateway.reasons import Reason
from voltgate.gateway.session.call import Answer, Call

READS = 16  # messages of the subject that are looked at

Done = Callable[[Call, Answer | Reason | None], None]


class Replay:
    """Calls ``done(call, answer)`` once: None where there is none, or why the socket must be closed."""

    __slots__ = ("_bus", "_call", "_done", "_left", "_stream", "_subject")

    def __init__(self, call: Call, stream: str, bus: Bus, done: Done) -> None:
        self._call, self._stream, self._bus, self._done = call, stream, bus, done
        self._subject = ""
        self._left = READS

    def find(self, subject: str, seq: int) -> None:
        """The first message of ``subject`` from ``seq`` on with the key of the call that is no CALLERROR."""
        self._subject = subject
        self._bus.read(self._stream, seq, subject, self._found, None)

    def read(self, seq: int) -> None:
        """The message at ``seq``: a Response whose PubAck said duplicate, so that one counts."""
        self._bus.read(self._stream, seq, None, self._was_read, None)

    def _found(self, _: None, stored: Stored | NotRead) -> None:
        assert self._call.fact is not None
        if not isinstance(stored, Stored):
            self._done(self._call, Reason.NOT_STORED if stored is NotRead.UNREADABLE else None)
            return
        headers = stored.headers
        self._left -= 1
        ours = headers.get("ocpp-key") == self._call.fact.key and "ocpp-error-code" not in headers
        if ours and _is_payload(stored.data):
            self._done(self._call, Answer("replay", stored.data))
        elif self._left:
            self.find(self._subject, stored.seq + 1)
        else:
            self._done(self._call, None)

    def _was_read(self, _: None, stored: Stored | NotRead) -> None:
        if not isinstance(stored, Stored):
            self._done(self._call, Reason.NOT_STORED)
        elif _is_payload(stored.data):
            self._done(self._call, Answer("replay", stored.data))
        else:  # what cannot be said to a charger never was
            self._done(self._call, self._call.answer)


def _is_payload(data: bytes) -> bool:
    """No more is asked of it: another release may know other schemas, and it was judged by those."""
    try:
        return isinstance(orjson.loads(data), dict)
    except orjson.JSONDecodeError:
        return False
