"""What all sessions of one version share: codec, policy, bounds, counters."""

from dataclasses import dataclass

from voltgate.config import Config, Limits, Nats
from voltgate.gateway.call import TransactionKeys
from voltgate.gateway.metrics import ActionCounts, FrameCells, Metrics
from voltgate.policy import Rules
from voltgate.schemas import SUBPROTOCOLS, Codec


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

    @classmethod
    def of(
        cls, version: str, config: Config, rules: Rules, metrics: Metrics, keys: TransactionKeys
    ) -> "Terms":
        """The terms of ``version``."""
        counts = {name: ActionCounts(metrics, version, name, rule.class_) for name, rule in rules.items()}
        return cls(
            Codec(SUBPROTOCOLS[version]),
            rules,
            config.nats,
            config.limits,
            metrics,
            keys,
            counts,
            FrameCells(metrics, version),
        )
