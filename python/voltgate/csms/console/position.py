"""How far the ledger has folded the streams: the ETag of what is read from its tables, and its lag."""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256

from voltgate.csms.console.reader import Query

BEHIND = 10.0  # seconds of lag until the ledger counts as behind
SAMPLES = 3600


@dataclass(frozen=True, slots=True)
class Position:
    """Of all streams together. It only grows while the streams are the same: ``epoch`` stands for them."""

    epoch: str
    total: int
    streams: Mapping[str, int]

    def __str__(self) -> str:
        return f"{self.epoch}-{self.total}"

    @property
    def etag(self) -> str:
        """As a header has it. Weak: two processes may write the same document differently."""
        return f'W/"{self}"'


def read(query: Query) -> Position:
    """The ledger's."""
    rows = query("SELECT stream, created, seq FROM position ORDER BY stream")
    epoch = sha256("".join(f"{stream} {created}\n" for stream, created, _ in rows).encode()).hexdigest()[:12]
    return Position(epoch, sum(row[2] for row in rows), {stream: seq for stream, _, seq in rows})


def parsed(text: str) -> tuple[str, int] | None:
    """Epoch and total of an event's id or an ETag; None: it is neither."""
    epoch, _, total = text.strip().removeprefix("W/").strip('"').partition("-")
    return (epoch, int(total)) if epoch and total.isascii() and total.isdecimal() else None


class Lag:
    """How old the oldest message is that the ledger has not folded.

    Samples say what was in the streams at a time; the first one that the position has not reached is as
    old as the lag. Without samples, because NATS is away, the lag grows with the time.
    """

    def __init__(self) -> None:
        self._samples: deque[tuple[float, Mapping[str, int]]] = deque(maxlen=SAMPLES)
        self._last = 0.0

    def sample(self, now: float, last: Mapping[str, int]) -> None:
        """The last sequence of every stream."""
        self._samples.append((now, last))
        self._last = now

    def seconds(self, now: float, position: Mapping[str, int]) -> float:
        """The lag of the ledger at ``position``."""
        while self._samples and _reached(self._samples[0][1], position):
            self._samples.popleft()
        behind = now - self._samples[0][0] if self._samples else 0.0
        unknown = now - self._last
        return max(behind, unknown if unknown > BEHIND else 0.0)


def _reached(last: Mapping[str, int], position: Mapping[str, int]) -> bool:
    return all(position.get(stream, 0) >= seq for stream, seq in last.items())
