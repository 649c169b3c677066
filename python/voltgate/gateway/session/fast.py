"""The short path of a CALL: answered in one step, without a place in the queue.

It may be taken by a CALL without violations, of class ``live``, that the gateway answers itself, while no
other CALL is open, and neither a boot status nor a leaving connection gates it. Every other CALL takes the
steps of ``session``; test_fast.py drives the same conversations through both and compares everything.
"""

from functools import lru_cache

from voltgate._core import Frame
from voltgate.gateway.session import decisions
from voltgate.gateway.telemetry.metrics import ActionCounts, FrameCells
from voltgate.policy import gateway_answer
from voltgate.schemas import Codec


class Live:
    """An action whose CALLs may take the short path, with the counters they add to."""

    __slots__ = ("_answered", "_cells", "_clock", "_codec", "_received", "observe")

    def __init__(self, codec: Codec, clock: bool, counts: ActionCounts, cells: FrameCells) -> None:
        """``clock``: the answer holds the time (Heartbeat)."""
        self._codec, self._clock, self._cells = codec, clock, cells
        self._received, self._answered = counts.received, counts.cell("gateway")
        self.observe = counts.seconds.observe
        """Takes the seconds from CALL read to answer written."""

    def answer(self, frame: Frame, time_ms: int) -> bytes:
        """The answer to ``frame`` as a websocket frame; both are counted."""
        payload = _time(time_ms) if self._clock else b"{}"
        answer, cells = self._codec.answer(frame, payload), self._cells
        self._received[0] += 1
        self._answered[0] += 1
        cells.results[0] += 1
        cells.bytes_in[0] += frame.size
        cells.bytes_out[0] += len(answer)
        return answer


@lru_cache(maxsize=1)
def _time(time_ms: int) -> bytes:
    """In a storm many Heartbeats have the same time."""
    return gateway_answer("Heartbeat", decisions.time_text(time_ms))
