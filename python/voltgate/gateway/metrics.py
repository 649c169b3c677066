"""The gateway's metrics, kept in lists of integers and read by one collector at scrape.

See docs/contract.md 4.4.

Hot paths keep a cell (a one-element list, or a histogram's counts) and add to it. Label values come from
closed sets only, never from an identity.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from voltgate import __version__

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 30.0, 60.0)

Cell = list[int]


class Counter:
    """A counter family; ``cell(*labels)`` is a list whose first element is the count."""

    def __init__(self, name: str, text: str, labels: tuple[str, ...] = ()) -> None:
        self.name, self.text, self.labels = name, text, labels
        self._cells: dict[tuple[str, ...], Cell] = {}

    def cell(self, *labels: str) -> Cell:
        """The count of these label values, created at first use."""
        return self._cells.setdefault(labels, [0])

    def add(self, *labels: str, count: int = 1) -> None:
        """For paths that are not hot."""
        self.cell(*labels)[0] += count

    def family(self) -> Metric:
        """The family as the scrape sees it."""
        family = CounterMetricFamily(self.name.removesuffix("_total"), self.text, labels=self.labels)
        for labels, cell in self._cells.items():
            family.add_metric(labels, cell[0])
        return family


class Gauge:
    """A gauge read at scrape: ``read`` gives label values -> value."""

    def __init__(self, name: str, text: str, labels: tuple[str, ...] = ()) -> None:
        self.name, self.text, self.labels = name, text, labels
        self.read: Callable[[], Iterable[tuple[tuple[str, ...], float]]] = tuple

    def family(self) -> Metric:
        """The family as the scrape sees it."""
        family = GaugeMetricFamily(self.name, self.text, labels=self.labels)
        for labels, value in self.read():
            family.add_metric(labels, value)
        return family


class Histogram:
    """A histogram family in seconds."""

    def __init__(self, name: str, text: str, labels: tuple[str, ...] = ()) -> None:
        self.name, self.text, self.labels = name, text, labels
        self._cells: dict[tuple[str, ...], HistogramCell] = {}

    def cell(self, *labels: str) -> "HistogramCell":
        """The distribution of these label values, created at first use."""
        found = self._cells.get(labels)
        if found is None:
            found = self._cells[labels] = HistogramCell()
        return found

    def family(self) -> Metric:
        """The family as the scrape sees it."""
        family = HistogramMetricFamily(self.name, self.text, labels=self.labels)
        for labels, cell in self._cells.items():
            family.add_metric(labels, *cell.buckets())
        return family


class HistogramCell:
    """Counts per bucket of seconds, and their sum."""

    __slots__ = ("_sum", "counts")

    def __init__(self) -> None:
        self.counts = [0] * (len(_SECONDS) + 1)
        self._sum = 0.0

    def observe(self, seconds: float) -> None:
        """Add one observation."""
        self.counts[bisect_left(_SECONDS, seconds)] += 1
        self._sum += seconds

    def buckets(self) -> tuple[list[tuple[str, float]], float]:
        """Cumulative buckets and the sum, as prometheus_client takes them."""
        total, buckets = 0, []
        for bound, count in zip((*map(str, _SECONDS), "+Inf"), self.counts, strict=True):
            total += count
            buckets.append((bound, float(total)))
        return buckets, self._sum


class ActionCounts:
    """The cells of one version and action, resolved once: the frame path only adds."""

    __slots__ = ("_answered", "_labels", "_metrics", "received", "seconds")

    def __init__(self, metrics: "Metrics", version: str, action: str, class_: str) -> None:
        self._metrics, self._labels = metrics, (version, action)
        self._answered: dict[str, Cell] = {}
        self.received = metrics.frames.cell(version, "in", "call", action)
        self.seconds = metrics.answer_seconds.cell(class_)

    def answered(self, by: str) -> None:
        """One CALL was answered."""
        cell = self._answered.get(by)
        if cell is None:
            cell = self._answered[by] = self.cell(by)
        cell[0] += 1

    def cell(self, by: str) -> Cell:
        """The count of CALLs answered by ``by``."""
        return self._metrics.answered.cell(*self._labels, by)


class FrameCells:
    """The cells of one version that every frame adds to, resolved once."""

    __slots__ = ("bytes_in", "bytes_out", "errors", "results")

    def __init__(self, metrics: "Metrics", version: str) -> None:
        self.bytes_in, self.bytes_out = metrics.frame_bytes.cell("in"), metrics.frame_bytes.cell("out")
        self.results = metrics.frames.cell(version, "out", "result", "-")
        self.errors = metrics.frames.cell(version, "out", "error", "-")


class Metrics(Collector):
    """Every family of one worker."""

    def __init__(self, worker: str = "0") -> None:
        self._worker = worker
        c, g, h = Counter, Gauge, Histogram
        version = ("version",)
        self.connections = g("voltgate_connections", "Connected chargers.", version)
        self.handshakes = c("voltgate_handshakes_total", "Upgrades by result.", ("result",))
        self.disconnects = c("voltgate_disconnects_total", "Ended connections by reason.", ("reason",))
        self.frames = c("voltgate_frames_total", "OCPP frames.", ("version", "direction", "type", "action"))
        self.frame_bytes = c("voltgate_frame_bytes_total", "Bytes of OCPP frames.", ("direction",))
        self.violations = c(
            "voltgate_violations_total",
            "Violations found, refused or passed on.",
            ("version", "action", "code"),
        )
        self.rejects_unstored = c(
            "voltgate_rejects_unstored_total",
            "Refused frames over limits.rejects_per_minute: counted only.",
            version,
        )
        self.answered = c(
            "voltgate_calls_answered_total",
            "Answered CALLs by origin of the answer.",
            ("version", "action", "by"),
        )
        self.answer_seconds = h("voltgate_answer_seconds", "CALL read to answer written.", ("class",))
        self.publish_ack_seconds = h("voltgate_publish_ack_seconds", "Publish to PubAck.")
        self.publish_failures = c(
            "voltgate_publish_failures_total", "Stores that failed, by cause.", ("cause",)
        )
        self.publish_retries = c(
            "voltgate_publish_retries_total", "Publishes sent again after a 503 or silence."
        )
        self.asks = c("voltgate_asks_total", "Questions by outcome.", ("outcome",))
        self.reply_violations = c(
            "voltgate_reply_violations_total",
            "Replies of backends that could not be used.",
            ("version", "action", "code"),
        )
        self.ask_seconds = h("voltgate_ask_seconds", "Question to its answer or fallback.")
        self.duplicates = c("voltgate_duplicates_total", "Repeated CALLs, by class.", ("class",))
        self.key_conflicts = c(
            "voltgate_key_conflicts_total", "TransactionEvents with a known key and other bytes."
        )
        self.paused = c(
            "voltgate_reads_paused_total", "Times a socket was not read for a while, by bound.", ("bound",)
        )
        self.budgets_shared = c(
            "voltgate_budgets_shared_total",
            "Connections beyond limits.remembered_chargers: they share the budget of their source.",
        )
        self.commands = c(
            "voltgate_commands_total", "Commands of backends by outcome.", ("action", "outcome")
        )
        self.command_seconds = h("voltgate_command_seconds", "Command received to its outcome.")
        self.bus_connected = g("voltgate_bus_connected", "1 while NATS is connected.")
        self.bus_pending = g("voltgate_bus_pending", "Publishes and questions awaiting their answer.")
        self.bus_dropped = c(
            "voltgate_bus_dropped_total", "Messages from NATS dropped by the client (slow consumer)."
        )
        self.bus_garbage = c(
            "voltgate_bus_garbage_total", "Messages from NATS that are not what they should be.", ("kind",)
        )
        self.stream_fill = g("voltgate_stream_fill_ratio", "Bytes of a stream over its limit.", ("stream",))
        self.loop_lag = h("voltgate_loop_lag_seconds", "How late the event loop runs a timer.")
        self.gc_pause = h("voltgate_gc_pause_seconds", "Pauses of the garbage collector.", ("generation",))
        self.ready = g("voltgate_ready", "1 while this check of readiness passes.", ("check",))
        self.outage = g("voltgate_outage", "1 while NATS cannot store, for this reason.", ("reason",))
        self.outages = c("voltgate_outages_total", "Outages that began, by reason.", ("reason",))
        self.reload_successful = g(
            "voltgate_config_reload_successful", "1 unless the last reload of the configuration failed."
        )
        self.reload_at = g(
            "voltgate_config_reload_success_timestamp_seconds",
            "When the configuration was last loaded, in seconds since the Unix epoch.",
        )
        self.spans = c("voltgate_spans_total", "Spans of traces by what became of them.", ("outcome",))
        self.tls_handshakes = c(
            "voltgate_tls_handshakes_total", "TLS handshakes that succeeded.", ("version", "resumed")
        )
        self.certificate_expiry = g(
            "voltgate_certificate_expiry_timestamp_seconds",
            "When a file of a listener's TLS is no longer valid, Unix time.",
            ("certificate",),
        )
        self.certificate_reloads = c(
            "voltgate_certificate_reloads_total",
            "Reloads of a listener's TLS files: taken, or kept as they were because one cannot be used.",
            ("result",),
        )
        self.draining = g("voltgate_draining", "1 while the process drains.")
        self.build_info = g("voltgate_build_info", "The running release.", version)
        self.build_info.read = lambda: [((__version__,), 1.0)]

    def collect(self) -> Iterator[Metric]:
        """All families, read now, each sample with the label ``worker``."""
        for family in self.families():
            metric = family.family()
            metric.samples = [
                sample._replace(labels={**sample.labels, "worker": self._worker}) for sample in metric.samples
            ]
            yield metric

    def families(self) -> list[Counter | Gauge | Histogram]:
        """Every family, in the order of their definition."""
        return [family for family in vars(self).values() if isinstance(family, Counter | Gauge | Histogram)]
