"""The cost of tracing in the session: decode, steps and answer of a CALL, without sockets and NATS.

Plain CALLs take the lane where tracing is off or does not sample them, which is not measured here. Rounds are
interleaved: compare the ratios, not the times. Run: ``python benchmarks/tracing.py``
"""

import argparse
import gc
import statistics
import time
from collections.abc import Callable
from typing import Any

from voltgate._core import Codec, Inbox, Lane, Outgoing, Publisher, TransactionKeys
from voltgate.config import Config, load
from voltgate.gateway.clock import Wheel
from voltgate.gateway.interfaces import Ack, Outside, Ticket
from voltgate.gateway.rates import Allowance
from voltgate.gateway.session.context import Context
from voltgate.gateway.session.session import Session
from voltgate.gateway.telemetry.metrics import Metrics
from voltgate.policy import rules

CALLS = 2000
ROUNDS = 40
MUCH = 10**15
UNBOUNDED = {
    "calls_per_second": MUCH,
    "calls_burst": MUCH,
    "stored_bytes_per_second": MUCH,
    "stored_bytes_burst": MUCH,
}
FRAMES = {
    "MeterValues (tx)": '[2,"%d","MeterValues",{"connectorId":1,"meterValue":'
    '[{"timestamp":"2026-03-01T10:00:00Z","sampledValue":[{"value":"%d","unit":"Wh"}]}]}]',
    "Heartbeat (live)": '[2,"%d%d","Heartbeat",{}]',
}


class Bus:
    """Stores everything at once."""

    seq = 0
    outgoing = Outgoing(Inbox("_VOLTGATE.x", bytes(16)), "OCPP_TX", "OCPP_EVENTS", "", [1.0])

    def ticket(self, done: Callable[..., None], arg: Any) -> Ticket[Any, Any]:
        """See interfaces.Bus."""
        return Ticket(0, "_VOLTGATE.x.7", done, arg)

    def store(self, ticket: Ticket[Any, Any], hpub: bytes, tx: bool = False) -> None:
        """See interfaces.Bus."""
        self.seq += 1
        ticket.done(ticket.arg, Ack("OCPP_TX", self.seq, False))

    def emit(self, hpub: bytes) -> None:
        """See interfaces.Bus."""


class Link:
    """Takes every answer."""

    def __init__(self, codec: Codec) -> None:
        self.lane, self.writer = Lane(codec, 1 << 16), self.write

    def write(self, frame: bytes) -> None:
        """See interfaces.Link."""


def session(config: Config, link: Any = None, **options: Any) -> tuple[Session, Callable[[bytes], Any]]:
    """A session, and what decodes its frames."""
    context = Context.of("v16", config, rules(config)["v16"], Metrics(), TransactionKeys(), **options)
    outside: Any = Outside(Bus(), Wheel(time.monotonic, time.time), None)  # type: ignore[arg-type]
    link = link or Link(context.codec)
    return Session(Publisher("v16", "CP1", "s1"), context, link, outside, Allowance()), context.codec.decode


def seconds(session: Session, decode: Callable[[bytes], Any], frames: list[bytes]) -> float:
    """For all frames, one after the other."""
    gc.collect()
    gc.disable()
    began = time.perf_counter()
    for frame in frames:
        session.received(decode(frame))
    spent = time.perf_counter() - began
    gc.enable()
    return spent


def contenders(config: Config) -> dict[str, tuple[Session, Callable[[bytes], Any]]]:
    """Off, and on with the traces that are sampled and those that are not."""
    from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult  # noqa: PLC0415 - off needs none

    from voltgate.config import Tracing as Settings  # noqa: PLC0415
    from voltgate.gateway.telemetry.tracing import Queue, Tracing  # noqa: PLC0415

    class Nowhere(SpanExporter):
        def export(self, spans: Any) -> SpanExportResult:
            return SpanExportResult.SUCCESS

    def traced(ratio: float) -> Tracing:
        return Tracing(Settings(ratio=ratio), "gw", Queue(Nowhere(), "nowhere", Metrics()))

    return {
        "off": session(config),
        "off, again": session(config),
        "on, not sampled": session(config, tracing=traced(0.0)),
        "on, sampled": session(config, tracing=traced(1.0)),
    }


def main() -> None:
    """Print microseconds a CALL, and the ratio to off."""
    parser = argparse.ArgumentParser(description="The cost of tracing on the frame path.")
    parser.add_argument("--off", action="store_true", help="Off only, to compare two trees.")
    given = parser.parse_args()
    config = load(limits=UNBOUNDED)
    all_ = {"off": session(config)} if given.off else contenders(config)
    for name, frame in FRAMES.items():
        spent: dict[str, list[float]] = {contender: [] for contender in all_}
        for number in range(ROUNDS + 1):
            frames = [(frame % (n, number)).encode() for n in range(CALLS)]
            for contender, (own, decode) in all_.items():
                spent[contender].append(seconds(own, decode, frames) / CALLS * 1e6)
        for contender, times in spent.items():
            ratios = [one / off for one, off in zip(times[1:], spent["off"][1:], strict=True)]
            ratio = f"{statistics.median(ratios):6.3f} x off"
            low, middle = min(times[1:]), statistics.median(times[1:])
            print(f"{name:18}  {contender:16} {low:6.2f} us a CALL at best, median {middle:6.2f}  {ratio}")


if __name__ == "__main__":
    main()
