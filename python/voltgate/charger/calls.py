"""One CALL of a charger, and how it ends."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto

from voltgate.charger.messages import Payload, Transaction
from voltgate.charger.tally import Latencies


@dataclass(frozen=True, slots=True)
class Answer:
    """A CALLRESULT; or if ``code`` is not empty a CALLERROR, or a CALLRESULT that violates its schema."""

    payload: Payload
    code: str = ""
    description: str = ""
    seconds: float = 0.0


class Unanswered(Enum):
    """A CALL ended without an answer: by its deadline, or with the connection."""

    TIMEOUT = auto()
    LOST = auto()


End = Answer | Unanswered


@dataclass(slots=True, eq=False)
class Queued:
    """One CALL. Its body is fixed when it is first sent, so every resend is identical."""

    action: str
    payload: Payload
    transaction: Transaction | None = None
    kept: bool = False
    """Whether it stays in the outbox until it is answered."""
    done: Callable[[End], None] | None = None
    latencies: Latencies | None = None
    since: float = 0.0
    """Start of its latency."""
    due: float = 0.0
    """Earliest time of sending."""
    id: str = ""
    body: bytes = b""
    sends: int = 0
    failures: int = 0
    sent_at: float = 0.0
