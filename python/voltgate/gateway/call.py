"""One CALL or SEND of a charger on its way to its answer, and what is remembered of answered ones."""

from dataclasses import dataclass
from typing import NamedTuple

from voltgate._core import Fact, Frame, Violation
from voltgate.gateway.ports import Ack
from voltgate.policy import Rule

# CONTRACT 3.4: "a bounded memory of the session". Answers above the size are rare and not worth holding.
_REMEMBERED_ANSWERS = 8
_REMEMBERED_BYTES = 4096
_REMEMBERED_KEYS = 50_000


@dataclass(frozen=True, slots=True)
class Answer:
    """What a charger gets: a CALLRESULT's payload, or (``code``) a CALLERROR. ``by`` is a metric label."""

    by: str
    payload: bytes = b"{}"
    code: str = ""
    description: str = ""

    @property
    def has_content(self) -> bool:
        """Whether it says more than ``{}``."""
        return bool(self.code) or self.payload.translate(None, b" \t\r\n") != b"{}"


class Refused(NamedTuple):
    """A violation the gateway itself found, with the fields of one the core found."""

    code: str
    pointer: str
    reason: str


class Call:
    """Where a CALL stands: each field is set once, when that step is done."""

    __slots__ = (
        "ack",
        "answer",
        "asked_at",
        "asks",
        "begun",
        "fact",
        "frame",
        "message_id",
        "raw",
        "read_at",
        "recorded",
        "refusal",
        "replayed",
        "rule",
        "violation",
    )

    def __init__(self, frame: Frame, raw: bytes, rule: Rule | None, read_at: float) -> None:
        self.frame, self.raw, self.rule, self.read_at = frame, raw, rule, read_at
        self.message_id = frame.message_id
        self.refusal: Violation | Refused | None = None
        self.violation = ""  # the text of ocpp-violation, where a violation is passed on
        self.begun = self.asks = False
        self.asked_at = 0.0
        self.fact: Fact | None = None
        self.ack: Ack | None = None
        self.answer: Answer | None = None
        self.replayed = False
        self.recorded = False


class Answered:
    """The last answers of a session: a repeat (same id, action and payload) gets the same bytes again."""

    __slots__ = ("_answers",)

    def __init__(self) -> None:
        self._answers: dict[str, tuple[int, bytes]] = {}

    def add(self, frame: Frame, answer: bytes) -> None:
        """Remember ``answer``, a ready-made websocket frame."""
        if frame.message_id is None or len(answer) > _REMEMBERED_BYTES:
            return
        self._answers.pop(frame.message_id, None)
        self._answers[frame.message_id] = (_fingerprint(frame), answer)
        if len(self._answers) > _REMEMBERED_ANSWERS:
            del self._answers[next(iter(self._answers))]

    def find(self, frame: Frame) -> bytes | None:
        """The answer to the same message, or None."""
        found = self._answers.get(frame.message_id or "")
        return found[1] if found is not None and found[0] == _fingerprint(frame) else None


def _fingerprint(frame: Frame) -> int:
    # Python's hash of bytes is keyed per process: no charger can make two payloads collide on purpose.
    return hash((frame.action, frame.payload))


class TransactionKeys:
    """The last TransactionEvent keys of this process: one may come back with other bytes (CONTRACT 3.3)."""

    def __init__(self) -> None:
        self._seen: dict[int, int] = {}

    def conflicts(self, fact: Fact) -> bool:
        """Whether ``fact.key`` was seen with another message; remembers this one."""
        key, message = hash(fact.key), hash(fact.nats_id)
        before = self._seen.setdefault(key, message)
        if len(self._seen) > _REMEMBERED_KEYS:
            del self._seen[next(iter(self._seen))]
        return before != message
