"""What the chargers of a swarm have seen, counted so that processes can add theirs up."""

from collections import Counter
from dataclasses import dataclass, field, fields
from typing import Any

from voltgate.charger.behaviour import Latencies


@dataclass(slots=True)
class Tally:
    """``sent`` = ``answered`` + ``callerror`` + ``invalid`` + ``timeout`` + ``lost`` + ``dropped`` + open."""

    due: int = 0
    """CALLs of the plan whose time has come."""
    sent: int = 0
    """CALLs on the wire, resends included."""
    answered: int = 0
    """Valid CALLRESULTs."""
    callerror: int = 0
    invalid: int = 0
    """CALLRESULTs that violate their schema."""
    timeout: int = 0
    lost: int = 0
    """Open when the other side ended the connection."""
    dropped: int = 0
    """Open when the storm ended the connection: nobody's fault."""
    disconnects: int = 0
    """Connections that the other side ended."""
    unanswered: int = 0
    """Of the plan, still open or queued when the swarm ended."""
    late: int = 0
    """Answers to no open CALL."""
    commands: int = 0
    """CALLs from the CSMS."""
    refused: Counter[str] = field(default_factory=Counter)
    """Upgrades that did not succeed, by reason."""
    start: Latencies = field(default_factory=Latencies)
    """Of what is said after a connect: boot, statuses; from sending to answer."""
    load: Latencies = field(default_factory=Latencies)
    """Of the plan: from when the CALL was due to its answer."""
    storm: Latencies = field(default_factory=Latencies)
    """As ``start``, after the storm."""

    @property
    def errors(self) -> int:
        """CALLs that did not get what they should."""
        return self.callerror + self.invalid + self.timeout + self.lost + self.unanswered

    def told(self) -> dict[str, Any]:
        """Everything, as JSON can carry it to :meth:`merge` in another process."""
        values = ((f.name, getattr(self, f.name)) for f in fields(self))
        return {name: v.told() if isinstance(v, Latencies) else v for name, v in values}

    def merge(self, told: dict[str, Any]) -> None:
        """Count what another one counted too."""
        for name, theirs in told.items():
            ours = getattr(self, name)
            if isinstance(ours, int):
                setattr(self, name, ours + theirs)
            elif isinstance(ours, Latencies):
                ours.merge(theirs)
            else:
                ours.update(theirs)
