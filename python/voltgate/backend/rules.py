"""What a backend decides by, apart from tokens: files and folders, each optional (docs/csms/backend.md).

And the commands that follow an answer: ``Later``.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, TypeVar

from voltgate.backend.authority import Authorities
from voltgate.backend.boots import Boots
from voltgate.backend.bounded import Bounded
from voltgate.backend.contracts import Contracts
from voltgate.backend.prices import Prices
from voltgate.backend.revocation import Revocation
from voltgate.backend.sites import Sites

Rule = TypeVar("Rule")
MOST = 10_000  # commands that wait


@dataclass(frozen=True, slots=True)
class Command:
    """What is sent to the charger after its answer."""

    action: str
    payload: dict[str, Any]


class Later:
    """Commands that are sent when the answer to a question is on its way, by the question's key.

    A charger may take a command as lost, or refuse it, that comes before the answer which announces it. The
    table is bounded: what is forgotten is asked for again by the charger.
    """

    def __init__(self) -> None:
        self._commands: Bounded[str, Command] = Bounded(MOST)

    def put(self, key: str, command: Command) -> None:
        """After the answer to the question with this ``ocpp-key``."""
        self._commands[key] = command

    def pop(self, key: str) -> Command | None:
        """The command, once."""
        return self._commands.pop(key, None)


class Costs(Protocol):
    """Who knows what a transaction costs: the books of a CSMS, or a flat price."""

    async def cost(self, charger: str, transaction: str, event: dict[str, Any]) -> float | None:
        """See Ledger."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """``concurrent``: a token may have several transactions. The rest: see the modules."""

    interval: int = 300
    """Seconds between heartbeats."""
    concurrent: bool = True
    cost_interval: float = 60.0
    """Seconds between two CostUpdated of one transaction, at least."""
    boots: Boots | None = None
    authorities: Authorities | None = None
    revocation: Revocation | None = None
    contracts: Contracts | None = None
    sites: Sites | None = None
    prices: Prices | None = None
    later: Later = field(default_factory=Later)

    def saw(self, charger: str, event: dict[str, Any]) -> None:
        """A TransactionEvent of a charger, named by its token."""
        for one in (self.sites, self.prices):
            if one is not None:
                one.saw(charger, event)


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Where the rules are. ``responders``: see Revocation; ``interval``, ``cost_interval``: see Rules."""

    interval: int = 300
    cost_interval: float = 60.0
    ca: Path | None = None
    boots: Path | None = None
    contracts: Path | None = None
    issuers: Path | None = None
    sites: Path | None = None
    prices: Path | None = None
    responders: tuple[str, ...] = ()

    def rules(self, concurrent: bool) -> Rules:
        """Read them. Raises ValueError or OSError for what cannot be used."""
        if self.issuers and not self.responders:
            raise ValueError("issuers: nobody is asked about their certificates: name responders")
        return Rules(
            interval=self.interval,
            cost_interval=self.cost_interval,
            concurrent=concurrent,
            boots=optional(Boots, self.boots),
            authorities=optional(Authorities, self.ca),
            revocation=Revocation(self.responders, self.issuers) if self.responders else None,
            contracts=optional(Contracts, self.contracts),
            sites=optional(Sites, self.sites),
            prices=optional(Prices, self.prices),
        )


def optional(rule: Callable[[Path], Rule], path: Path | None) -> Rule | None:
    """The rule, where there is a file for it."""
    return rule(path) if path else None
