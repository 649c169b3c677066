"""What a target is set up with."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Conditions:
    """An attack under other conditions than the last one's gets a target of its own."""

    tx_bytes: int = 1 << 30
    """Of OCPP_TX."""
    descriptors: int = 0
    """How many files each process of the gateway may have open; 0: as many as this process."""


USUAL = Conditions()
