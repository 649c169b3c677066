"""What a target is set up with, and where it listens."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Conditions:
    """An attack under other conditions than the last one's gets a target of its own."""

    tx_bytes: int = 1 << 30
    """Of OCPP_TX."""
    descriptors: int = 0
    """How many files each process of the gateway may have open; 0: as many as this process."""


USUAL = Conditions()


@dataclass(frozen=True)
class Ports:
    """Where everything listens on 127.0.0.1.

    ``closed`` wants credentials, ``open`` does not; ``tls`` is security profile 2, ``mutual`` profile 3, and
    ``balanced`` profile 3 behind a load balancer at the address TRUSTED. ``certificates`` is the folder of
    :mod:`attack.certificates`.
    """

    certificates: str
    open: int
    closed: int
    tls: int
    mutual: int
    balanced: int
    admin: int
    nats: int

    def nats_url(self, user: str) -> str:
        """The nats-server for one of its users."""
        return f"nats://{user}:{user}@127.0.0.1:{self.nats}"
