"""What all sessions of one OCPP version share: codec, policy, bounds, counters."""

from dataclasses import dataclass, field, replace

import orjson

from voltgate import _core
from voltgate._core import Frame, Plan, Publisher, TransactionKeys, Violation
from voltgate.config import Config, Level, Limits, Nats
from voltgate.gateway.interfaces import Link, Outside
from voltgate.gateway.rates import Allowance
from voltgate.gateway.session.call import Answer, GatewayViolation, Handling
from voltgate.gateway.session.plan import LanePlan
from voltgate.gateway.session.violations import ReplyFaults, Violations, model
from voltgate.gateway.telemetry.metrics import ActionCounts, FrameCells, Metrics
from voltgate.gateway.telemetry.tracing import Tracing
from voltgate.policy import Rules, command_levels
from voltgate.schemas import SUBPROTOCOLS, Codec

_TYPES = {2: "call", 3: "result", 4: "error", 5: "result_error", 6: "send", None: "unreadable"}


@dataclass(slots=True)
class Context:
    """See the module; made with :meth:`of`. ``limits`` may be exchanged while sessions live."""

    codec: Codec
    nats: Nats
    limits: Limits
    metrics: Metrics
    keys: TransactionKeys
    cells: FrameCells
    actions: dict[str | None, Handling]
    """Every action a charger may send."""
    lanes: LanePlan
    commands: dict[str, Level]
    """Actions a CSMS may send as a CALL, and how strictly they and their results are validated."""
    violations: Violations = field(default_factory=Violations)
    reply_faults: ReplyFaults = field(default_factory=ReplyFaults)
    tracing: Tracing | None = None
    """None where tracing is off."""
    half_duplex: bool = False
    """Whether a command waits while a CALL of the charger is open (docs/contract.md 3.8, quirk)."""
    open_calls: int = 0
    """``limits.open_calls``."""
    stored_per_second: float = 0.0
    """``limits.stored_bytes_per_second``."""

    def __post_init__(self) -> None:
        self.take(self.limits)

    def take(self, limits: Limits) -> None:
        """Use these limits from now on, in every session of this context."""
        self.limits, self.open_calls = limits, limits.open_calls
        self.stored_per_second = limits.stored_bytes_per_second
        # The lane holds one CALL: the session must have room for another, or decide when to read on.
        self.plan.limit(
            limits.open_calls > 1,
            limits.calls_per_second,
            limits.calls_burst,
            limits.stored_bytes_per_second,
            limits.stored_bytes_burst,
        )

    @property
    def plan(self) -> Plan:
        """Of the lanes of its chargers."""
        return self.lanes.plan

    @classmethod
    def of(  # noqa: PLR0913, PLR0917 - once per version
        cls,
        version: str,
        config: Config,
        rules: Rules,
        metrics: Metrics,
        keys: TransactionKeys,
        tracing: Tracing | None = None,
    ) -> "Context":
        """The context of ``version``."""
        codec, cells = Codec(SUBPROTOCOLS[version]), FrameCells(metrics, version)
        actions: dict[str | None, Handling] = {
            name: Handling(rule, ActionCounts(metrics, version, name, rule.class_, rule.answer))
            for name, rule in rules.items()
        }
        lanes, commands = LanePlan(codec, actions, metrics, cells), command_levels(version, config)
        if tracing is not None:
            lanes.plan.sample(*tracing.sampling)
        return cls(
            codec, config.nats, config.limits, metrics, keys, cells, actions, lanes, commands, tracing=tracing
        )

    def at(self, level: Level | None, half_duplex: bool) -> "Context":
        """The same with what a charger's record says: one level for every action, commands too; quirks.

        See docs/contract.md 2.2.
        """
        actions, commands = self.actions, self.commands
        if level is not None:
            actions = {
                name: Handling(replace(handling.rule, validation=level), handling.counts)
                for name, handling in actions.items()
            }
            commands = dict.fromkeys(commands, level)
        return replace(self, actions=actions, commands=commands, half_duplex=half_duplex)

    def note_violation(
        self, about: "Surroundings", action: str | None, violation: Violation | GatewayViolation
    ) -> None:
        """A violation of one charger; ``action``: a known one."""
        prefix, version = self.nats.prefix, self.codec.version
        self.violations.note(about.publisher, about.outside, prefix, version, action or "-", violation)

    def note_model(self, about: "Surroundings", boot: bytes) -> None:
        """Keep what a charger says it is (docs/contract.md 2.2)."""
        if (found := model(boot)) is not None:
            bucket = f"{self.nats.stream_prefix.lower()}_models"
            subject = f"$KV.{bucket}.{about.publisher.token}"
            about.outside.bus.emit(_core.publish(subject, "", [], orjson.dumps(found)))

    def encoded(self, message_id: str, answer: Answer) -> bytes:
        """``answer`` as a frame, which is counted."""
        if answer.code:
            self.cells.errors[0] += 1
            frame = self.codec.encode_error(message_id, answer.code, answer.description)
        else:
            self.cells.results[0] += 1
            frame = self.codec.encode_result(message_id, answer.payload)
        self.cells.bytes_out[0] += len(frame)
        return frame

    def count_unknown(self, by: str) -> None:
        """Count an answer to a CALL of an unknown action."""
        self.metrics.answered.add(self.codec.version, "unknown", by)

    def count_unsound(self, frame: Frame, about: "Surroundings") -> None:
        """Count a frame that is not a CALL without violations."""
        version, action = self.codec.version, (frame.action if frame.known else None)
        label = action or ("unknown" if frame.action else "-")
        self.metrics.frames.add(version, "in", _TYPES[frame.type], label)
        if frame.violation is not None:
            self.metrics.violations.add(version, label, frame.violation.code)
            if frame.type not in (3, 4, 5):  # those are noted with their command
                self.note_violation(about, action, frame.violation)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the parts of one session work with."""

    publisher: Publisher
    context: Context
    link: Link
    outside: Outside
    allowance: Allowance
