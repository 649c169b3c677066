"""What a charger's log holds, by action and fault. Memory is bounded, whatever the log holds."""

import re
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import Literal

from voltgate import Violation
from voltgate.schemas import Codec

MAX_KINDS = 1000
"""Rows; all further kinds are one row."""
MAX_OPEN = 10_000
"""CALLs whose answers are awaited, to know the action of a CALLRESULT."""

UNKNOWN, OTHERS = "-", "(others)"
Sender = Literal["charger", "csms", "both"]


class Kind(IntEnum):
    """The first member of a frame (docs/ocpp.md A)."""

    CALL = 2
    RESULT = 3
    ERROR = 4
    RESULT_ERROR = 5
    SEND = 6


@dataclass(slots=True)
class Row:
    """One kind of frame: how many there were, and the line of the first."""

    count: int
    first: int


class Summary:
    """Judges frames of a log, and counts them."""

    def __init__(self, codec: Codec, sender: Sender) -> None:
        """``sender``: who may have sent the CALLs."""
        self.frames = self.failed = self.strange = 0
        """Frames; those with a violation; and those whose action only the other side sends."""
        self._codec, self._sender = codec, sender
        self._open: OrderedDict[str, str] = OrderedDict()
        self._rows: dict[tuple[str, str, str], Row] = {}

    def add(self, number: int, text: bytes) -> None:
        """The frame in line ``number``."""
        sender = "charger" if self._sender == "both" else self._sender
        frame = self._codec.decode(text, sender)
        if self._is_foreign(frame.violation) and frame.known:
            if self._sender == "both":
                frame = self._codec.decode(text, "csms")
            else:
                self.strange += 1
        violation, action, fault = frame.violation, UNKNOWN, ""
        match frame.type:
            case Kind.CALL | Kind.SEND:
                action = (frame.action if frame.known else None) or UNKNOWN
                if frame.type == Kind.CALL and frame.message_id is not None:
                    self._opened(frame.message_id, action)
            case Kind.RESULT:
                action = self._answered(frame.message_id)
                if violation is None and action != UNKNOWN:
                    violation = self._codec.check(action, "response", frame.payload)
                action += " result"
            case Kind.ERROR | Kind.RESULT_ERROR:
                action = self._answered(frame.message_id)
                fault = f"{'CALLERROR' if frame.type == Kind.ERROR else 'CALLRESULTERROR'} {frame.code}"
            case _:
                pass
        self.frames += 1
        self.failed += violation is not None
        if violation is None:
            self._count(number, action, fault[:80], "")
        else:
            self._count(number, action, violation.code, re.sub(r"/\d+(?=/|$)", "/*", violation.pointer))

    @property
    def rows(self) -> Iterator[tuple[str, str, str, int, int]]:
        """Action, fault, pointer, number of frames, and the line of the first; the most frequent first."""
        for kind, row in sorted(self._rows.items(), key=lambda item: (-item[1].count, item[0])):
            yield (*kind, row.count, row.first)

    def _is_foreign(self, violation: Violation | None) -> bool:
        """Whether the action is one that only the other side may send."""
        return violation is not None and violation.code == "NotSupported"

    def _opened(self, message_id: str, action: str) -> None:
        self._open[message_id] = action
        self._open.move_to_end(message_id)
        if len(self._open) > MAX_OPEN:
            self._open.popitem(last=False)

    def _answered(self, message_id: str | None) -> str:
        """The action of the CALL that this answers; unknown where the log does not hold it."""
        return self._open.pop(message_id, UNKNOWN) if message_id is not None else UNKNOWN

    def _count(self, number: int, *kind: str) -> None:
        action, fault, pointer = kind
        if len(self._rows) >= MAX_KINDS and (action, fault, pointer) not in self._rows:
            action, fault, pointer = OTHERS, "", ""
        row = self._rows.setdefault((action, fault, pointer), Row(0, number))
        row.count += 1
