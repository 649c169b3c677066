"""What all sessions of one OCPP version share: codec, policy, bounds, counters."""

from dataclasses import dataclass, replace

from voltgate import _core
from voltgate._core import Frame, Publisher
from voltgate.config import Config, Level, Limits, Nats
from voltgate.gateway.interfaces import Link, Outside
from voltgate.gateway.metrics import ActionCounts, FrameCells, Metrics
from voltgate.gateway.session.call import Handling
from voltgate.gateway.session.fast import Live
from voltgate.gateway.session.keys import TransactionKeys
from voltgate.policy import Rules
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
    fast: dict[str | None, Live]
    """The actions among them whose CALLs may be answered in one step."""
    commands: frozenset[str]
    """Actions a CSMS may send as a CALL."""
    half_duplex: bool = False
    """Whether a command waits while a CALL of the charger is open (docs/contract.md 3.8, quirk)."""
    open_calls: int = 0
    """``limits.open_calls``."""
    interval: float = 0.0
    """Seconds one CALL is worth at ``limits.calls_per_second``."""
    burst: float = 0.0
    """Seconds the CALLs of a burst are worth."""

    def __post_init__(self) -> None:
        self.take(self.limits)

    def take(self, limits: Limits) -> None:
        """Use these limits from now on, in every session of this context."""
        self.limits, self.open_calls = limits, limits.open_calls
        self.interval = 1 / limits.calls_per_second
        self.burst = limits.calls_burst / limits.calls_per_second

    @classmethod
    def of(
        cls, version: str, config: Config, rules: Rules, metrics: Metrics, keys: TransactionKeys
    ) -> "Context":
        """The context of ``version``."""
        codec, cells = Codec(SUBPROTOCOLS[version]), FrameCells(metrics, version)
        actions: dict[str | None, Handling] = {
            name: Handling(rule, ActionCounts(metrics, version, name, rule.class_))
            for name, rule in rules.items()
        }
        fast: dict[str | None, Live] = {
            name: Live(codec, handling.clock, handling.counts, cells)
            for name, handling in actions.items()
            if handling.live and handling.rule.answer == "gateway"
        }
        commands = frozenset(name for name, sender, *_ in _core.actions(version) if sender != "charger")
        return cls(codec, config.nats, config.limits, metrics, keys, cells, actions, fast, commands)

    def at(self, level: Level | None, half_duplex: bool) -> "Context":
        """The same with what a charger's record says: one level for every action, quirks.

        See docs/contract.md 2.2.
        """
        actions = self.actions
        if level is not None:
            actions = {
                name: Handling(replace(handling.rule, validation=level), handling.counts)
                for name, handling in actions.items()
            }
        return replace(self, actions=actions, half_duplex=half_duplex)

    def count_unknown(self, by: str) -> None:
        """Count an answer to a CALL of an unknown action."""
        self.metrics.answered.add(self.codec.version, "unknown", by)

    def count_unsound(self, frame: Frame) -> None:
        """Count a frame that is not a CALL without violations."""
        version, action = self.codec.version, (frame.action if frame.known else None)
        label = action or ("unknown" if frame.action else "-")
        self.metrics.frames.add(version, "in", _TYPES[frame.type], label)
        if frame.violation is not None:
            self.metrics.violations.add(version, label, frame.violation.code)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the parts of one session work with."""

    publisher: Publisher
    context: Context
    link: Link
    outside: Outside
