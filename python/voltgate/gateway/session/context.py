"""What all sessions of one version share: codec, policy, bounds, counters."""

from dataclasses import dataclass, replace

from voltgate import _core
from voltgate._core import Frame
from voltgate.config import Config, Level, Limits, Nats
from voltgate.gateway.metrics import ActionCounts, FrameCells, Metrics
from voltgate.gateway.session.call import Plain, TransactionKeys
from voltgate.policy import Rule, Rules
from voltgate.schemas import SUBPROTOCOLS, Codec

_TYPES = {2: "call", 3: "result", 4: "error", 5: "result_error", 6: "send", None: "unreadable"}


def _is_plain(rule: Rule) -> bool:
    if rule.answer == "backend-if-idtoken":
        return rule.class_ != "live"
    # A Heartbeat that is stored has an answer to be stored too: the long way.
    return rule.answer == "gateway" and (rule.action != "Heartbeat" or rule.class_ == "live")


@dataclass(slots=True)
class Terms:
    """See the module; made with :meth:`of`. ``limits`` may be exchanged while sessions live."""

    codec: Codec
    rules: Rules
    nats: Nats
    limits: Limits
    metrics: Metrics
    keys: TransactionKeys
    counts: dict[str, ActionCounts]
    cells: FrameCells
    plain: dict[str | None, Plain]
    commands: frozenset[str]
    """Actions a CSMS may send as a CALL."""
    half_duplex: bool = False
    """Whether a command waits while a CALL of the charger is open (CONTRACT 3.8, quirk)."""
    interval: float = 0.0
    """Seconds one CALL is worth at ``limits.calls_per_second``."""
    burst: float = 0.0
    """Seconds the CALLs of a burst are worth."""

    def __post_init__(self) -> None:
        self.take(self.limits)

    def take(self, limits: Limits) -> None:
        """These limits from now on."""
        self.limits = limits
        self.interval = 1 / limits.calls_per_second
        self.burst = limits.calls_burst / limits.calls_per_second

    @classmethod
    def of(
        cls, version: str, config: Config, rules: Rules, metrics: Metrics, keys: TransactionKeys
    ) -> "Terms":
        """The terms of ``version``."""
        counts = {name: ActionCounts(metrics, version, name, rule.class_) for name, rule in rules.items()}
        plain: dict[str | None, Plain] = {
            name: Plain(rule, counts[name]) for name, rule in rules.items() if _is_plain(rule)
        }
        codec, cells = Codec(SUBPROTOCOLS[version]), FrameCells(metrics, version)
        commands = frozenset(name for name, sender, *_ in _core.actions(version) if sender != "charger")
        return cls(codec, rules, config.nats, config.limits, metrics, keys, counts, cells, plain, commands)

    def at(self, level: Level | None, half_duplex: bool) -> "Terms":
        """The same as a charger's record says: every action judged at ``level`` (CONTRACT 2.2), quirks."""
        rules = self.rules
        if level is not None:
            rules = {action: replace(rule, validation=level) for action, rule in rules.items()}
        return replace(self, rules=rules, half_duplex=half_duplex)

    def class_of(self, action: str | None) -> str:
        """The class of an action; ``event`` for an unknown one."""
        rule = self.rules.get(action or "")
        return rule.class_ if rule else "event"

    def count_answered(self, rule: Rule | None, by: str, seconds: float) -> None:
        """Count an answered CALL, and how long it took."""
        if rule is None:
            self.metrics.answered.add(self.codec.version, "unknown", by)
        else:
            counts = self.counts[rule.action]
            counts.answered(by)
            counts.seconds.observe(seconds)

    def count_odd(self, frame: Frame) -> None:
        """Count what is no sound CALL."""
        version, action = self.codec.version, (frame.action if frame.known else None)
        label = action or ("unknown" if frame.action else "-")
        self.metrics.frames.add(version, "in", _TYPES[frame.type], label)
        if frame.violation is not None:
            self.metrics.violations.add(version, label, frame.violation.code)
