"""How a charger connects: with which security profile, directly or through a load balancer."""

from dataclasses import dataclass
from enum import Enum

PASSWORD = "0123456789abcdef0123456789abcdef01234567"
ORGANIZATION = "Strangers"


class Road(Enum):
    """What a charger dials."""

    DIRECT = "direct"
    HAPROXY = "HAProxy"


@dataclass(frozen=True)
class Way:
    """``profile``: 1, 2 or 3; 0 for a listener that asks for no credentials (docs/ocpp.md A22)."""

    profile: int
    road: Road = Road.DIRECT

    @property
    def shown(self) -> str:
        """The profile as the table shows it."""
        return str(self.profile or "none")

    @property
    def scheme(self) -> str:
        """Of the URL."""
        return "wss" if self.profile > 1 else "ws"


OPEN = Way(0)
DIRECT = [Way(profile) for profile in (1, 2, 3)]
WAYS = [*DIRECT, *(Way(profile, Road.HAPROXY) for profile in (1, 2, 3))]
