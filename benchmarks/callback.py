"""The cost of a plain CALL from the transport's callback to its answer, without sockets and NATS.

The lane is the callback itself (``Lane.receive``); against it, a callback in Python that reads the clock and
feeds the lane. Rounds are interleaved: compare the ratio, not the times.
Run: ``python benchmarks/callback.py``
"""

import gc
import statistics
import time
from collections.abc import Callable

from tracing import UNBOUNDED, Bus, Link, session
from websockets.frames import TEXT, Frame

from voltgate._core import Frame as OcppFrame
from voltgate.config import load
from voltgate.gateway.clock import Wheel
from voltgate.schemas import Codec

CALLS = 2000
ROUNDS = 100
METER = (
    b'[2,"00000000-0000-4000-8000-%012d","MeterValues",{"connectorId":1,"transactionId":7,"meterValue":[{"timestamp":'
    b'"2026-03-01T10:00:00Z","sampledValue":[{"value":"1234.5","context":"Sample.Periodic","unit":"Wh"}]}]}]'
)


class Charger(Link):
    """The connection of a session, and what the transport would call."""

    def __init__(self) -> None:
        super().__init__(Codec("ocpp1.6"))
        self.clock = Wheel(time.monotonic, time.time)
        self.answered = 0
        self.lane.listen(self.clock, self)
        self.lane.direct = True

    def write(self, frame: bytes) -> None:
        """The transport's."""
        self.answered += 1

    def take(self, data: bytes) -> None:
        """See _core._Connection."""
        raise AssertionError("it goes straight through")

    def took(self, piece: OcppFrame | bytes | None) -> None:
        """See _core._Connection."""
        raise AssertionError("a plain CALL is the lane's")

    def failed(self, fault: BaseException) -> None:
        """See _core._Connection."""
        raise fault

    def received(self, data: bytes) -> None:
        """A callback in Python."""
        clock, lane = self.clock, self.lane
        clock.refresh()
        piece = lane.feed(data, clock.now, clock.time_ms)
        if piece is not None or not lane.idle:
            self.took(piece)


def microseconds(callback: Callable[[bytes], None], chunks: list[bytes]) -> float:
    """For each of the chunks; what is for NATS is taken away behind them."""
    gc.collect()
    gc.disable()
    began = time.perf_counter()
    for chunk in chunks:
        callback(chunk)
    spent = time.perf_counter() - began
    gc.enable()
    Bus.outgoing.take()
    return spent / len(chunks) * 1e6


def main() -> None:
    """Print microseconds a CALL, and the ratio."""
    chunks = [Frame(TEXT, METER % n).serialize(mask=True) for n in range(CALLS)]
    config = load(limits=UNBOUNDED, policy={"v16": {"MeterValues": {"class": "live"}}})
    native, python = Charger(), Charger()
    for charger in (native, python):
        session(config, charger)  # belongs to the lane from now on
    Bus.outgoing.opened(1 << 20, 1 << 30)
    field = {"Lane.receive": native.lane.receive, "in Python": python.received}
    times: dict[str, list[float]] = {name: [] for name in field}
    for _ in range(ROUNDS + 1):
        for name, callback in field.items():
            times[name].append(microseconds(callback, chunks))
    assert native.answered == python.answered == CALLS * (ROUNDS + 1)
    print(f"{CALLS} MeterValues of class live, {ROUNDS} interleaved rounds; us a CALL: best, median; ratio")
    for name, rounds in times.items():
        ratio = statistics.median(a / b for a, b in zip(rounds[1:], times["Lane.receive"][1:], strict=True))
        print(f"  {name:14}{min(rounds[1:]):7.2f}{statistics.median(rounds[1:]):7.2f}{ratio:7.2f} x")


if __name__ == "__main__":
    main()
