"""One CALL or SEND of a charger on its way to its answer."""

from enum import Enum, auto
from typing import Final, NamedTuple, assert_never

from voltgate._core import Fact, Frame, Violation
from voltgate.gateway.interfaces import LIVE, Ack
from voltgate.gateway.session.payloads import may_be_reported
from voltgate.gateway.telemetry.metrics import ActionCounts
from voltgate.policy import Rule

# Larger answers are rare and not worth remembering for repeats (docs/contract.md 3.4).
REMEMBERED_BYTES = 4096


class Step(Enum):
    """Where a CALL stands; drawn in ``session``, and changed in ``Session._advance`` alone."""

    QUEUED = auto()  # behind the CALL that is served
    REFUSING = auto()  # its reject fact is being stored
    STORING = auto()  # its fact is being stored; if it is of class event, its question is out as well
    READING = auto()  # the answer that the same message had before is being read back
    ASKING = auto()  # a backend's answer is awaited
    RECORDING = auto()  # its Response fact is being stored
    DONE = auto()  # answered, without an answer, or abandoned because the charger is gone


class At:
    """The members of ``Step`` for the frame path: Python 3.11 takes five times as long for ``Step.X``."""

    QUEUED: Final = Step.QUEUED
    REFUSING: Final = Step.REFUSING
    STORING: Final = Step.STORING
    READING: Final = Step.READING
    ASKING: Final = Step.ASKING
    RECORDING: Final = Step.RECORDING
    DONE: Final = Step.DONE


class Answer(NamedTuple):
    """What a charger gets: a CALLRESULT's payload, or (``code``) a CALLERROR. ``by`` is a metric label."""

    by: str
    payload: bytes = b"{}"
    code: str = ""
    description: str = ""
    reply_violation: str = ""
    """``<code> <pointer>`` of a backend's reply that could not be used."""

    @property
    def has_content(self) -> bool:
        """Whether it says more than ``{}``."""
        if self.payload == b"{}":
            return bool(self.code)
        return bool(self.code) or self.payload.translate(None, b" \t\r\n") != b"{}"


EMPTY = Answer("gateway")  # the gateway's answer to nearly everything


class GatewayViolation(NamedTuple):
    """A violation that the gateway itself found, with the fields of one that the core found."""

    code: str
    pointer: str
    reason: str


class Handling:
    """How CALLs of one action are handled: its rule, spelled out for the frame path, and its counters."""

    __slots__ = (
        "answered", "boots", "class_", "clock", "counts", "id_token", "in_lane", "keyed", "live", "may_ask",
        "received", "remembers", "reports", "rule", "seconds", "silent", "tx",
    )  # fmt: skip

    def __init__(self, rule: Rule, counts: ActionCounts) -> None:
        unsigned = rule.action.removesuffix("-Signed")
        self.rule, self.class_, self.counts = rule, rule.class_, counts
        self.received, self.answered, self.seconds = counts.received, counts.answered, counts.seconds
        self.tx, self.live = rule.class_ == "tx", rule.class_ == "live"
        self.silent = rule.answer == "none"  # a SEND
        self.may_ask = rule.answer in ("backend", "backend-if-idtoken")
        # A backend is asked about an idToken, or what the transaction cost (docs/contract.md 3.4).
        self.id_token = rule.answer == "backend-if-idtoken"
        self.reports = may_be_reported(rule.action)  # its payload may hold a secret
        self.boots = unsigned == "BootNotification"
        self.clock = rule.action == "Heartbeat"  # the gateway's answer has content: the time
        self.keyed = rule.action == "TransactionEvent"  # its key may come back with other bytes
        self.remembers = rule.class_ == "event" and unsigned not in ("BootNotification", "Heartbeat")
        # Whether the lane may take its CALLs: those that are answered {} when stored, or at once if not.
        by_gateway = rule.answer == "gateway" or (self.id_token and not self.live)
        needs_steps = self.reports or self.boots or (self.keyed and not self.tx)
        self.in_lane = by_gateway and not needs_steps and (self.live or not self.clock)

    def asks(self, frame: Frame) -> bool:
        """Whether a backend answers this CALL."""
        return self.may_ask and (not self.id_token or frame.has_id_token or frame.ends_online)


class Call:
    """One CALL or SEND, and what its steps have brought so far.

    Class attributes are the defaults: most CALLs set five of them, and live for a millisecond.
    """

    step: Step = Step.QUEUED
    sound = True  # its frame has no violation
    refusal: Violation | GatewayViolation | None = None
    violation = ""  # the text of ocpp-violation, for a violation that is passed on
    asks = False  # a backend answers it
    asked = False
    fact: Fact | None = None
    ack: Ack = LIVE  # of the fact or the Response fact that was stored last
    answer: Answer | None = None
    read_back = False  # ``answer`` is the recorded one
    traceparent = ""  # of its facts, where tracing is on (``traced``)

    def __init__(
        self, frame: Frame, message_id: str | None, handling: Handling | None, now: float, time_ms: int
    ) -> None:
        """``now`` and ``time_ms``: when it was read, by the monotonic clock and since the Unix epoch."""
        self.frame, self.message_id, self.handling = frame, message_id, handling
        self.read_at, self.time_ms = now, time_ms

    def following(self) -> Step:
        """The step after the one that has just ended: all transitions of the drawing in ``session``."""
        match self.step:
            case At.QUEUED:
                if self.refusal is not None:
                    return At.REFUSING
                return At.STORING if self.answer is None else At.DONE
            case At.STORING | At.READING | At.ASKING:
                answer, handling = self.answer, self.handling
                assert handling is not None
                if answer is None:
                    if not self.asks and not handling.clock:
                        return At.DONE  # without an answer, or with {}
                    if self.step is At.STORING and handling.tx and self.ack.duplicate:
                        return At.READING
                    if self.asks:
                        return At.ASKING
                elif self.read_back or not (answer.has_content or answer.reply_violation):
                    return At.DONE
                return At.DONE if handling.live else At.RECORDING
            case At.RECORDING:
                return At.READING if self.ack.duplicate else At.DONE
            case At.REFUSING | At.DONE:
                return At.DONE
            case _:
                assert_never(self.step)

    def question_began(self) -> str:
        """It is asked: the ``traceparent`` of the question, "" where tracing is off."""
        return ""

    def question_ended(self, outcome: str) -> None:
        """The question has ended; ``outcome`` as in voltgate_asks_total."""

    def same(self, message_id: str | None, action: str | None) -> bool:
        """Whether a CALL with this id and action is this one; another action under a used id is another, and
        so is one whose id cannot be read.
        """
        frame, known = self.frame, message_id is not None
        return known and self.message_id == message_id and frame.action == action and frame.type == 2
