"""Traces of what chargers and backends send, exported over OTLP/HTTP (docs/tracing.md).

Without ``tracing.endpoint`` :func:`start` returns None, and nothing of OpenTelemetry is imported. The SDK
makes spans and decides which are sampled; a thread exports them. What it cannot export is dropped and
counted: the event loop never waits for a collector. Spans hold ids, actions and outcomes, never a payload.
Which spans a CALL or a command has is decided in ``session/traced``.
"""

import contextlib
import logging
import threading
import time
from collections import deque
from collections.abc import Mapping
from enum import Enum
from importlib.util import find_spec
from typing import TYPE_CHECKING

import structlog

from voltgate import __version__
from voltgate.config import Tracing as Settings
from voltgate.gateway.telemetry.metrics import Metrics

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.sdk.trace.export import SpanExporter
    from opentelemetry.trace import Span as OtelSpan

log = structlog.get_logger()

OUTCOMES = ("exported", "dropped", "failed")  # labels of voltgate_spans_total
QUEUE = 4096  # spans that wait to be exported; about 8 MB
BATCH = 512  # spans in one request
EVERY = 1.0  # seconds between two requests, at most
GOODBYE = 2.0  # seconds for the last spans when the process stops
MINUTE = 60.0  # between two log lines about a collector that is away

_EXPORTER = "opentelemetry.exporter.otlp.proto.http.trace_exporter"


class Kind(Enum):
    """Whose work a span is; the names are those of OpenTelemetry."""

    SERVER = "SERVER"  # a CALL of a charger, a command of a backend
    CLIENT = "CLIENT"  # a question, a CALL to a charger
    PRODUCER = "PRODUCER"  # a fact until its PubAck
    INTERNAL = "INTERNAL"


class Span:
    """A span that has begun. ``traceparent`` continues it elsewhere (W3C Trace Context)."""

    __slots__ = ("_span", "_tracing", "traceparent")

    def __init__(self, tracing: "Tracing", span: "OtelSpan") -> None:
        context = span.get_span_context()
        self._span, self._tracing = span, tracing
        self.traceparent = f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"

    def child(self, name: str, kind: Kind) -> "Span":
        """Begin a span within this one; what is within an unsampled span needs none of its own."""
        if not self._span.is_recording():
            return self
        return self._tracing.begin(name, kind, {}, self)

    def end(self, error: str = "", **attributes: str) -> None:
        """End it. ``error``: what failed; the attributes are written as ``ocpp.<name>``."""
        span = self._span
        if span.is_recording():
            span.set_attributes({f"ocpp.{name}": value for name, value in attributes.items() if value})
            if error:
                span.set_status(self._tracing.failed, error)
        span.end()

    @property
    def otel(self) -> "OtelSpan":
        """The SDK's own."""
        return self._span


class Tracing:
    """Makes spans; one per process. See :func:`start`."""

    def __init__(self, settings: Settings, gateway: str, queue: "Queue") -> None:
        from opentelemetry.context import Context  # noqa: PLC0415 - of the extra
        from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
        from opentelemetry.sdk.trace import SpanProcessor, TracerProvider  # noqa: PLC0415
        from opentelemetry.sdk.trace.id_generator import RandomIdGenerator  # noqa: PLC0415
        from opentelemetry.sdk.trace.sampling import ParentBasedTraceIdRatio, TraceIdRatioBased  # noqa: PLC0415
        from opentelemetry.trace import SpanKind, StatusCode, set_span_in_context  # noqa: PLC0415
        from opentelemetry.trace.propagation.tracecontext import (  # noqa: PLC0415
            TraceContextTextMapPropagator,
        )

        class Processor(SpanProcessor):
            def on_end(self, span: "ReadableSpan") -> None:
                queue.add(span)

        class Ids(RandomIdGenerator):
            given: tuple[int, int] | None = None
            """Of the next span; None for random ones."""

            def generate_trace_id(self) -> int:
                return self.given[0] if self.given else super().generate_trace_id()

            def generate_span_id(self) -> int:
                return self.given[1] if self.given else super().generate_span_id()

        names = {
            "service.name": settings.service_name,
            "service.version": __version__,
            "service.instance.id": gateway,
        }
        # Without shutdown_on_exit: the queue is stopped by the worker, and bounds the time that takes.
        self._ids = ids = Ids()
        provider = TracerProvider(
            ParentBasedTraceIdRatio(settings.ratio),
            Resource.create(names),
            shutdown_on_exit=False,
            id_generator=ids,
        )
        # Newer versions of the SDK say in a flag that the id is random (W3C Trace Context, level 2).
        random = getattr(ids, "is_trace_id_random", bool)()
        self.sampling = (TraceIdRatioBased.get_bound_for_rate(settings.ratio), 2 * random)
        """As the sampler has it, for the lanes (``Plan.sample``)."""
        provider.add_span_processor(Processor())
        self._tracer = provider.get_tracer("voltgate", __version__)
        self._kinds = {kind: SpanKind[kind.value] for kind in Kind}
        self._inside, self._root = set_span_in_context, Context()
        self._continued = TraceContextTextMapPropagator().extract
        self._queue, self.failed = queue, StatusCode.ERROR

    def begin(
        self,
        name: str,
        kind: Kind,
        attributes: Mapping[str, str],
        parent: "Span | str" = "",
        ids: tuple[int, int] | None = None,
    ) -> Span:
        """Begin a span. ``parent``: a span, or the ``traceparent`` of a message; ignored if invalid.

        ``ids``: of its trace and its own, random without; for a span without a parent.
        """
        if isinstance(parent, Span):
            context = self._inside(parent.otel, self._root)
        else:
            context = self._continued({"traceparent": parent}, self._root) if parent else self._root
        told = {f"ocpp.{key}": value for key, value in attributes.items() if value}
        self._ids.given = ids
        span = self._tracer.start_span(name, context, self._kinds[kind], told)
        self._ids.given = None
        return Span(self, span)

    def stop(self) -> None:
        """Export what is left, for at most ``GOODBYE`` seconds. Blocks."""
        self._queue.stop()


class Queue:
    """Spans on their way to the collector: bounded; what is beyond the bound is dropped and counted."""

    def __init__(self, exporter: "SpanExporter", endpoint: str, metrics: Metrics) -> None:
        self._exporter, self._endpoint = exporter, endpoint
        self._spans: deque[ReadableSpan] = deque()
        # Each cell is written by one thread.
        self._exported, self._dropped, self._failed = map(metrics.spans.cell, OUTCOMES)
        self._thread: threading.Thread | None = None
        self._wake, self._stopping = threading.Event(), threading.Event()
        self._cause = _Cause()
        logging.getLogger(_EXPORTER).addFilter(self._cause)
        self._lost_since_line, self._line_due, self._away = 0, 0.0, False

    def add(self, span: "ReadableSpan") -> None:
        """A span has ended."""
        if len(self._spans) >= QUEUE or self._stopping.is_set():
            self._dropped[0] += 1
            return
        self._spans.append(span)
        if self._thread is None:
            # With the first span: a process that is forked or never serves has no thread.
            self._thread = threading.Thread(target=self._run, name="otlp", daemon=True)
            self._thread.start()
        elif len(self._spans) == BATCH:
            self._wake.set()

    def stop(self) -> None:
        """See Tracing.stop."""
        self._stopping.set()
        self._wake.set()
        if self._thread is not None:
            self._thread.join(GOODBYE)
        self._exporter.shutdown()
        logging.getLogger(_EXPORTER).removeFilter(self._cause)

    def _run(self) -> None:
        while self._spans or not self._stopping.is_set():
            self._wake.wait(EVERY)
            if not self._stopping.is_set():
                self._wake.clear()
            batch = [self._spans.popleft() for _ in range(min(len(self._spans), BATCH))]
            if batch:
                self._export(batch)

    def _export(self, batch: "list[ReadableSpan]") -> None:
        if self._taken(batch):
            self._exported[0] += len(batch)
            if self._away:
                self._away = False
                log.info("export.resumed", endpoint=self._endpoint)
            return
        self._failed[0] += len(batch)
        self._lost_since_line += len(batch)
        now = time.monotonic()
        if not self._away or now >= self._line_due:
            self._away, self._line_due = True, now + MINUTE
            log.warning(
                "export.failed", endpoint=self._endpoint, error=self._cause.text, spans=self._lost_since_line
            )
            self._lost_since_line = 0

    def _taken(self, batch: "list[ReadableSpan]") -> bool:
        try:
            return self._exporter.export(batch).name == "SUCCESS"
        except Exception as error:  # of the exporter: the thread goes on with the next batch
            self._cause.text = f"{type(error).__name__}: {error}"
            return False


class _Cause(logging.Filter):
    """Keeps the exporter's last line, which is the only place where it says why: one line here has it."""

    text = ""

    def filter(self, record: logging.LogRecord) -> bool:
        self.text = record.getMessage()
        return False


def missing(settings: Settings) -> str:
    """Why tracing cannot be on as configured, and what to do; "" if it can."""
    if not settings.endpoint:
        return ""
    with contextlib.suppress(ModuleNotFoundError):  # of a package above it
        if find_spec(_EXPORTER) is not None:
            return ""
    return "tracing.endpoint is set, but OpenTelemetry is not installed: pip install 'voltgate[otel]'"


def start(settings: Settings, metrics: Metrics, gateway: str) -> Tracing | None:
    """The traces of this process; None where they are off. ``gateway``: its name."""
    for outcome in OUTCOMES:
        metrics.spans.cell(outcome)
    if not settings.endpoint:
        return None
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import (  # noqa: PLC0415 - of the extra
        OTLPSpanExporter,
    )

    exporter = OTLPSpanExporter(f"{settings.endpoint.rstrip('/')}/v1/traces")
    return Tracing(settings, gateway, Queue(exporter, settings.shown, metrics))
