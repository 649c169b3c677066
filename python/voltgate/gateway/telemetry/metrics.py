"""The families of one worker, and the cells of the frame path. See docs/contract.md 4.4.

Label values come from closed sets only, never from an identity. How a family is kept is in ``families``.
"""

from collections.abc import Callable, Iterator
from typing import Literal, get_args

from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from voltgate import __version__, _core
from voltgate.config import Class, Version
from voltgate.gateway.reasons import Outcome, Reason, Refusal
from voltgate.gateway.telemetry import process
from voltgate.gateway.telemetry.families import Cell, Counter, Family, Gauge, Histogram, Total

Origin = Literal["gateway", "backend", "fallback", "replay", "refused"]
AskOutcome = Literal["reply", "error", "invalid", "failed", "no_responders", "timeout"]
Cause = Literal["away", "full", "no_responders", "refused", "timeout"]
Paused = Literal["calls_per_second", "open_calls", "stored_bytes", "turn"]

# Bounds of buckets, in seconds. A live answer takes 30 us, a PubAck from 0.5 ms to nats.publish_timeout, a
# question up to nats.ask_timeout, a command as long as its caller says.
_ANSWER = (0.0001, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 12.0, 30.0)
_ACK = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 6.0, 12.0)
_ASK = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0)
_COMMAND = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 120.0, 600.0, 3600.0)
_HANDSHAKE = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_LAG = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
_PAUSE = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0)

_SIGNED = "-Signed"
# Of a payload, and of the action in it; in the spelling of each version (docs/contract.md 2.2).
_IN_PAYLOAD = (
    "TypeConstraintViolation", "OccurenceConstraintViolation", "OccurrenceConstraintViolation",
    "FormationViolation", "FormatViolation", "PropertyConstraintViolation",
)  # fmt: skip
# Of a frame whose action is not known (docs/ocpp.md A10, A11).
_OF_FRAME = ("ProtocolError", "RpcFrameworkError", "MessageTypeNotSupported")
# By who answers an action, where its answers may come from.
_ORIGINS: dict[str, tuple[Origin, ...]] = {
    "gateway": ("gateway", "replay", "refused"),
    "backend": ("backend", "fallback", "replay", "refused"),
    "backend-if-idtoken": get_args(Origin),
    "none": (),
}


class ActionCounts:
    """The cells of one version and action, resolved once: the frame path only adds."""

    __slots__ = ("_answered", "_labels", "_metrics", "received", "seconds")

    def __init__(
        self, metrics: "Metrics", version: str, action: str, class_: str, answer: str = "gateway"
    ) -> None:
        """``answer``: of its rule (policy.Answer). A signed action is not shown until it comes."""
        self._metrics, self._labels = metrics, (version, action)
        self._answered: dict[str, Cell] = {}
        received = (version, "in", "send" if answer == "none" else "call", action)
        self.seconds = metrics.answer_seconds.cell(class_)
        if action.endswith(_SIGNED):
            self.received = metrics.frames.unseen(*received)
            return
        self.received = metrics.frames.cell(*received)
        for by in _ORIGINS[answer]:
            self.cell(by)
        for code in _codes(version):
            metrics.violations.cell(version, action, code)
            if answer.startswith("backend"):
                metrics.reply_violations.cell(version, action, code)

    def answered(self, by: str, count: int = 1) -> None:
        """So many CALLs were answered."""
        cell = self._answered.get(by)
        if cell is None:
            cell = self._answered[by] = self.cell(by)
        cell[0] += count

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
        self.counted: list[Callable[[], None]] = []
        """Each adds to the cells what the core has counted since the last scrape."""
        c, g, h = Counter, Gauge, Histogram
        version = ("version",)
        self.connections = g("voltgate_connections", "Connected chargers.", version)
        self.handshakes = c(
            "voltgate_handshakes_total",
            "Upgrades by result.",
            ("result",),
            [["accepted", "timeout", "sockets", *(refusal.label for refusal in Refusal)]],
        )
        self.handshake_seconds = h(
            "voltgate_handshake_seconds", "Accepted socket to its 101, where it got one.", _HANDSHAKE
        )
        self.handshakes_in_progress = g(
            "voltgate_handshakes_in_progress", "Sockets whose upgrade is not finished."
        )
        self.disconnects = c(
            "voltgate_disconnects_total",
            "Ended connections by reason.",
            ("reason",),
            [[reason.label for reason in Reason]],
        )
        self.frames = c("voltgate_frames_total", "OCPP frames.", ("version", "direction", "type", "action"))
        self.frame_bytes = c(
            "voltgate_frame_bytes_total", "Bytes of OCPP frames.", ("direction",), [["in", "out"]]
        )
        self.violations = c(
            "voltgate_violations_total",
            "Violations found, refused or passed on.",
            ("version", "action", "code"),
        )
        self.rejects_unstored = c(
            "voltgate_rejects_unstored_total",
            "Refused frames over limits.rejects_per_minute: counted only.",
            version,
            [get_args(Version)],
        )
        self.answered = c(
            "voltgate_calls_answered_total",
            "Answered CALLs by origin of the answer.",
            ("version", "action", "by"),
        )
        self.answer_seconds = h(
            "voltgate_answer_seconds", "CALL read to answer written.", _ANSWER, ("class",), [get_args(Class)]
        )
        self.publish_ack_seconds = h("voltgate_publish_ack_seconds", "Publish to PubAck.", _ACK)
        self.publish_failures = c(
            "voltgate_publish_failures_total",
            "Stores that failed, by cause.",
            ("cause",),
            [get_args(Cause)],
        )
        self.publish_retries = c(
            "voltgate_publish_retries_total", "Publishes sent again after a 503 or silence."
        )
        self.asks = c("voltgate_asks_total", "Questions by outcome.", ("outcome",), [get_args(AskOutcome)])
        self.reply_violations = c(
            "voltgate_reply_violations_total",
            "Replies of backends that could not be used.",
            ("version", "action", "code"),
        )
        self.ask_seconds = h("voltgate_ask_seconds", "Question to its answer or fallback.", _ASK)
        self.duplicates = c(
            "voltgate_duplicates_total", "Repeated CALLs, by class.", ("class",), [get_args(Class)]
        )
        self.key_conflicts = c(
            "voltgate_key_conflicts_total", "TransactionEvents with a known key and other bytes."
        )
        self.paused = c(
            "voltgate_reads_paused_total",
            "Times a socket was not read for a while, by bound.",
            ("bound",),
            [get_args(Paused)],
        )
        self.budgets_shared = c(
            "voltgate_budgets_shared_total",
            "Connections beyond limits.remembered_chargers: they share the budget of their source.",
        )
        self.commands = c(
            "voltgate_commands_total", "Commands of backends by outcome.", ("action", "outcome")
        )
        self.commands_queued = g("voltgate_commands_queued", "Commands that wait in a charger's queue.")
        self.queued: Cell = [0]
        """How many; what adds a command to a queue, or takes one out of it, counts here."""
        self.commands_queued.read = lambda: [((), float(self.queued[0]))]
        self.command_seconds = h("voltgate_command_seconds", "Command received to its outcome.", _COMMAND)
        self._describe_nats()
        self.limit = g("voltgate_limit", "The bound in force, in its own unit.", ("bound",))
        self.loop_lag = h("voltgate_loop_lag_seconds", "How late the event loop runs a timer.", _LAG)
        self.gc_pause = h(
            "voltgate_gc_pause_seconds", "Pauses of the garbage collector.", _PAUSE, ("generation",)
        )
        self._describe_readiness()
        self.spans = c("voltgate_spans_total", "Spans of traces by what became of them.", ("outcome",))
        self.tls_handshakes = c(
            "voltgate_tls_handshakes_total",
            "TLS handshakes that succeeded.",
            ("version", "resumed"),
            [["TLSv1.2", "TLSv1.3"], ["true", "false"]],
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
            [["taken", "kept"]],
        )
        self.draining = g("voltgate_draining", "1 while the process drains.")
        self.build_info = g("voltgate_build_info", "The running release.", version)
        self.build_info.read = lambda: [((__version__,), 1.0)]
        self._read_process()
        self._name_actions()

    def _describe_readiness(self) -> None:
        c, g = Counter, Gauge
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

    def _describe_nats(self) -> None:
        c, g = Counter, Gauge
        self.bus_connected = g("voltgate_bus_connected", "1 while NATS is connected.")
        self.bus_reconnects = Total("voltgate_bus_reconnects_total", "Connections to NATS after the first.")
        self.bus_info = g("voltgate_bus_info", "1: the NATS server of the connection.", ("server", "version"))
        self.bus_rtt = g("voltgate_bus_rtt_seconds", "The last ping of NATS and its pong.")
        self.bus_pending = g("voltgate_bus_pending", "Publishes and questions awaiting their answer.")
        self.bus_pending_bytes = g("voltgate_bus_pending_bytes", "Bytes that wait to be written to NATS.")
        self.bus_dropped = c(
            "voltgate_bus_dropped_total", "Messages from NATS dropped by the client (slow consumer)."
        )
        self.bus_garbage = c(
            "voltgate_bus_garbage_total", "Messages from NATS that are not what they should be.", ("kind",)
        )
        self.stream_fill = g("voltgate_stream_fill_ratio", "Bytes of a stream over its limit.", ("stream",))
        self.consumer_pending = g(
            "voltgate_consumer_pending_messages",
            "Messages that a consumer of nats.watched_consumers has not acknowledged.",
            ("stream", "consumer"),
        )

    def _read_process(self) -> None:
        g = Gauge
        self.cpu = _of_process(Total("voltgate_process_cpu_seconds_total", "User and system time."))
        self.memory = _of_process(g("voltgate_process_resident_memory_bytes", "Memory in RAM."))
        self.open_fds = _of_process(g("voltgate_process_open_fds", "Open file descriptors."))
        self.max_fds = _of_process(g("voltgate_process_max_fds", "Most open file descriptors."))
        self.start_time = _of_process(
            g("voltgate_process_start_time_seconds", "Start of the process since the Unix epoch.")
        )

    def _name_actions(self) -> None:
        """Count 0 for what is in no rule of an action; the rest follows with its rule (ActionCounts)."""
        for ocpp in _core.versions():
            version = ocpp.token
            self.answered.cell(version, "unknown", "refused")
            self._name_frames(ocpp)
            for code in ("NotImplemented", *(code for code in _codes(version) if code.startswith("Form"))):
                self.violations.cell(version, "unknown", code)
            for action, sender, _, answer in _core.actions(version):
                if answer == "none":  # a command, or a SEND: no CALL of a charger
                    self.frames.cell(version, "in", "call", action)
                    self.violations.cell(version, action, "NotSupported")
                if sender != "charger":
                    self.frames.cell(version, "out", "call", action)
                    for outcome in Outcome:
                        self.commands.cell(action, outcome.label)
        self.commands.cell("unknown", Outcome.INVALID.label)

    def _name_frames(self, ocpp: _core.Version) -> None:
        """Frames without a known action."""
        version, kinds = ocpp.token, ["call", "result", "error", "unreadable"]
        if ocpp.result_errors:
            kinds.append("result_error")
            self.frames.cell(version, "out", "result_error", "-")
            self.frames.cell(version, "in", "send", "unknown")
        for kind in kinds:
            self.frames.cell(version, "in", kind, "-")
        self.frames.cell(version, "in", "call", "unknown")
        for code in _core.error_codes(version):
            if code.startswith("Form") or code in _OF_FRAME:
                self.violations.cell(version, "-", code)

    def collect(self) -> Iterator[Metric]:
        """All families, read now, each sample with the label ``worker``."""
        for add in self.counted:
            add()
        common = {"worker": self._worker}
        return (family.family(common) for family in self.families())

    def families(self) -> list[Family]:
        """Every family, in the order of their definition."""
        return [family for family in vars(self).values() if isinstance(family, Family)]


def _codes(version: str) -> list[str]:
    return [code for code in _core.error_codes(version) if code in _IN_PAYLOAD]


def _of_process(gauge: Gauge) -> Gauge:
    """With the function of ``process`` that its name ends with, and no label."""
    name = gauge.name.removeprefix("voltgate_process_").removesuffix("_total")
    read = getattr(process, name)
    gauge.read = lambda: [((), float(read()))]
    return gauge
