"""Spans, their sampling and their way to a collector; the exporter is replaced, the SDK is real."""

import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from structlog.testing import capture_logs

from voltgate.config import Tracing as Settings
from voltgate.gateway.telemetry import tracing
from voltgate.gateway.telemetry.metrics import Metrics
from voltgate.gateway.telemetry.tracing import BATCH, QUEUE, Kind, Queue, Tracing

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
PATIENCE = 30.0


class Collector(SpanExporter):
    """Takes what is exported, or refuses it; ``gate`` holds it back."""

    def __init__(self) -> None:
        self.spans: list[ReadableSpan] = []
        self.takes, self.breaks, self.gate = True, False, threading.Event()
        self.gate.set()
        self.exporting = threading.Event()

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        self.exporting.set()
        assert self.gate.wait(PATIENCE)
        if self.breaks:
            raise ValueError("no encoding for this")
        if not self.takes:
            return SpanExportResult.FAILURE
        self.spans += spans
        return SpanExportResult.SUCCESS


def until(holds: Callable[[], object]) -> None:
    """Wait for what another thread does."""
    deadline = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.005)


class Traced:
    """A process's traces, with the collector they go to."""

    def __init__(self, ratio: float = 1.0) -> None:
        self.collector, self.metrics = Collector(), Metrics()
        self.queue = Queue(self.collector, "http://collector:4318", self.metrics)
        self.tracing = Tracing(Settings(ratio=ratio), "gw-1", self.queue)

    def counted(self, outcome: str) -> int:
        return self.metrics.spans.cell(outcome)[0]

    def spans(self) -> list[ReadableSpan]:
        """All spans that were exported."""
        self.tracing.stop()
        return self.collector.spans


def test_without_an_endpoint_tracing_is_off_and_nothing_of_opentelemetry_is_imported() -> None:
    assert tracing.start(Settings(), Metrics(), "gw") is None
    script = (
        "import sys; from voltgate.config import load; from voltgate.gateway.worker import Worker\n"
        "Worker(load()); print([name for name in sys.modules if name.startswith('opentelemetry')])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_a_span_says_what_it_is_and_where_it_came_from() -> None:
    traced = Traced()
    span = traced.tracing.begin("CALL Authorize", Kind.SERVER, {"identity": "CP 1", "message_id": ""})
    child = span.child("ask Authorize", Kind.CLIENT)
    child.end("timeout", outcome="timeout")
    span.end(answered_by="fallback")
    inner, outer = traced.spans()
    assert outer.attributes == {"ocpp.identity": "CP 1", "ocpp.answered_by": "fallback"}, "nothing is empty"
    assert (outer.name, outer.kind.name, outer.status.status_code.name) == (
        "CALL Authorize",
        "SERVER",
        "UNSET",
    )
    assert (inner.name, inner.kind.name, inner.status.description) == (
        "ask Authorize",
        "CLIENT",
        "timeout",
    )
    resource = outer.resource.attributes
    assert (resource["service.name"], resource["service.instance.id"]) == ("voltgate", "gw-1")
    version, trace, own, flags = span.traceparent.split("-")
    assert (version, trace, own) == ("00", f"{outer.context.trace_id:032x}", f"{outer.context.span_id:016x}")
    assert int(flags, 16) & 1, "sampled"
    assert child.traceparent.split("-")[1:3] == [trace, f"{inner.context.span_id:016x}"]
    assert inner.parent is not None
    assert inner.parent.span_id == outer.context.span_id


@pytest.mark.parametrize(
    ("ratio", "header", "continues", "exported"),
    [
        (1.0, "", False, True),
        (0.0, "", False, False),
        (0.0, f"00-{TRACE}-{PARENT}-01", True, True),
        (1.0, f"00-{TRACE}-{PARENT}-00", True, False),
        (1.0, f"00-{TRACE}-{PARENT}", False, True),
        (1.0, f"00-{'0' * 32}-{PARENT}-01", False, True),
        (1.0, f"ff-{TRACE}-{PARENT}-01", False, True),
        (1.0, "\r\n" * 10_000, False, True),
    ],
    ids=[
        "a trace of our own",
        "one that is not sampled",
        "a sampled one is continued, whatever the ratio",
        "one that its sender did not sample stays so",
        "not of its form",
        "no trace",
        "the version that is forbidden",
        "garbage",
    ],
)
def test_a_traceparent_is_continued_if_it_is_one(
    ratio: float, header: str, continues: bool, exported: bool
) -> None:
    traced = Traced(ratio)
    span = traced.tracing.begin("command Reset", Kind.SERVER, {}, header)
    span.end()
    assert (span.traceparent.split("-")[1] == TRACE) == continues
    assert bool(int(span.traceparent[-2:], 16) & 1) == exported, "also an unsampled one is passed on"
    assert len(traced.spans()) == exported


def test_what_a_slow_collector_does_not_take_is_dropped_and_counted() -> None:
    traced, more = Traced(), 7
    traced.collector.gate.clear()
    traced.tracing.begin("first", Kind.INTERNAL, {}).end()
    assert traced.collector.exporting.wait(PATIENCE), "it is in the exporter's hands"
    for _ in range(QUEUE + more):
        traced.tracing.begin("one", Kind.INTERNAL, {}).end()
    assert traced.counted("dropped") == more
    traced.collector.gate.set()
    assert len(traced.spans()) == traced.counted("exported") == 1 + QUEUE


def test_a_collector_that_is_away_is_one_line_and_a_count() -> None:
    traced = Traced()
    traced.collector.takes = False
    with capture_logs() as lines:
        for _ in range(3 * BATCH):
            traced.tracing.begin("one", Kind.INTERNAL, {}).end()
        traced.tracing.stop()
    assert (traced.counted("failed"), traced.counted("exported")) == (3 * BATCH, 0)
    (line,) = lines
    assert (line["event"], line["endpoint"]) == ("export.failed", "http://collector:4318")


def test_an_exporter_that_raises_does_not_end_the_export() -> None:
    traced = Traced()
    traced.collector.breaks = True
    with capture_logs() as lines:
        traced.tracing.begin("one", Kind.INTERNAL, {}).end()
        until(lambda: lines)
        traced.collector.breaks = False
        traced.tracing.begin("two", Kind.INTERNAL, {}).end()
        assert [span.name for span in traced.spans()] == ["two"]
    assert lines[0]["error"] == "ValueError: no encoding for this"


def test_a_collector_that_is_back_is_a_line_too() -> None:
    traced = Traced()
    traced.collector.takes = False
    with capture_logs() as lines:
        traced.tracing.begin("one", Kind.INTERNAL, {}).end()
        until(lambda: lines)
        traced.collector.takes = True
        traced.tracing.begin("two", Kind.INTERNAL, {}).end()
        assert [span.name for span in traced.spans()] == ["two"]
    assert [line["event"] for line in lines] == ["export.failed", "export.resumed"]


def test_a_process_that_stops_waits_for_no_collector(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracing, "GOODBYE", 0.01)
    traced = Traced()
    traced.collector.gate.clear()
    traced.tracing.begin("one", Kind.INTERNAL, {}).end()
    traced.tracing.stop()
    assert traced.collector.spans == []
    traced.collector.gate.set()


def test_an_endpoint_without_the_extra_is_a_fault_that_says_what_to_install() -> None:
    script = (
        "import sys; sys.modules['opentelemetry'] = None\n"
        "from voltgate.config import Tracing; from voltgate.gateway.telemetry.tracing import missing\n"
        "print(repr(missing(Tracing())), missing(Tracing(endpoint='http://127.0.0.1:4318')))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert re.fullmatch(r"'' tracing\.endpoint .* pip install 'voltgate\[otel\]'\n", done.stdout)
    assert tracing.missing(Settings(endpoint="http://127.0.0.1:4318")) == "", "here it is installed"
