"""One CALL or SEND of a charger on its way to its answer, and what is remembered of answered ones."""

from typing import NamedTuple

from voltgate._core import Fact, Frame, Violation
from voltgate.gateway.interfaces import Ack
from voltgate.gateway.metrics import ActionCounts
from voltgate.policy import Rule

# CONTRACT 3.4: "a bounded memory of the session". Answers above the size are rare and not worth holding.
_REMEMBERED_ANSWERS = 8
_REMEMBERED_BYTES = 4096
_REMEMBERED_KEYS = 25_000  # a generation


class Answer(NamedTuple):
    """What a charger gets: a CALLRESULT's payload, or (``code``) a CALLERROR. ``by`` is a metric label."""

    by: str
    payload: bytes = b"{}"
    code: str = ""
    description: str = ""

    @property
    def has_content(self) -> bool:
        """Whether it says more than ``{}``."""
        if self.payload == b"{}":
            return bool(self.code)
        return bool(self.code) or self.payload.translate(None, b" \t\r\n") != b"{}"


EMPTY = Answer("gateway")  # what the gateway says to nearly everything


class Refused(NamedTuple):
    """A violation the gateway itself found, with the fields of one the core found."""

    code: str
    pointer: str
    reason: str


class Plain:
    """An action the gateway answers itself, with the counters its CALLs add to: no look-up on their way."""

    __slots__ = ("answered", "beat", "class_", "may_ask", "received", "rule", "seconds", "tx")

    def __init__(self, rule: Rule, counts: ActionCounts) -> None:
        self.rule, self.class_, self.tx = rule, rule.class_, rule.class_ == "tx"
        self.beat, self.may_ask = rule.action == "Heartbeat", rule.answer != "gateway"
        self.received, self.answered, self.seconds = counts.received, counts.cell("gateway"), counts.seconds


class Call:
    """Where a CALL stands: each field is set once, when that step is done.

    Plain class attributes are the defaults: most CALLs set four of them, and live for a millisecond.
    """

    begun = False
    time_ms = 0  # when it was read, since the Unix epoch: ce-time
    refusal: Violation | Refused | None = None
    violation = ""  # the text of ocpp-violation, where a violation is passed on
    asks = False
    asked = False
    gone = False  # the charger has left: nobody waits for it any more
    plain: Plain | None = None
    fact: Fact | None = None
    ack: Ack | None = None
    answer: Answer | None = None
    replayed = False
    recorded = False

    def __init__(self, frame: Frame, message_id: str | None, rule: Rule | None, read_at: float) -> None:
        self.frame, self.message_id, self.rule, self.read_at = frame, message_id, rule, read_at

    def same(self, message_id: str | None, action: str | None) -> bool:
        """Whether a CALL with this id and action is this one; another action under a used id is another."""
        frame = self.frame
        return self.message_id == message_id and frame.action == action and frame.type == 2


class Answered:
    """The last answers of a session: a repeat (same id, action and payload) is answered as before."""

    __slots__ = ("_answers",)

    def __init__(self) -> None:
        self._answers: dict[str, tuple[int, Answer]] = {}

    def add(self, message_id: str, frame: Frame, answer: Answer) -> None:
        """Remember what was answered."""
        if len(answer.payload) > _REMEMBERED_BYTES:
            return
        answers = self._answers
        answers.pop(message_id, None)
        answers[message_id] = (_fingerprint(frame), answer)
        if len(answers) > _REMEMBERED_ANSWERS:
            del answers[next(iter(answers))]

    def __contains__(self, message_id: str) -> bool:
        return message_id in self._answers

    def find(self, message_id: str, frame: Frame) -> Answer | None:
        """The answer to the same message, or None."""
        found = self._answers.get(message_id)
        return found[1] if found is not None and found[0] == _fingerprint(frame) else None


def _fingerprint(frame: Frame) -> int:
    # Python's hash of bytes is keyed per process: no charger can make two payloads collide on purpose.
    return hash((frame.action, frame.payload))


class TransactionKeys:
    """The last TransactionEvent keys of this process: one may come back with other bytes (CONTRACT 3.3).

    Two generations: when the younger is full the older is forgotten, at no cost for any one message.
    """

    def __init__(self) -> None:
        self._young: dict[int, int] = {}
        self._old: dict[int, int] = {}

    def conflicts(self, fact: Fact) -> bool:
        """Whether ``fact.key`` was seen with another message; remembers this one."""
        key, message = hash(fact.key), hash(fact.nats_id)
        before = self._young.get(key)
        if before is None:
            before = self._old.get(key, message)
            if len(self._young) >= _REMEMBERED_KEYS:
                self._old, self._young = self._young, {}
            self._young[key] = before
        return before != message
