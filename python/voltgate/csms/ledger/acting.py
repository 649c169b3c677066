"""What everything that acts at a tick needs: the transaction, the time, and the settings."""

from dataclasses import dataclass
from datetime import datetime

from voltgate.config_csms import Csms
from voltgate.csms.ledger.store import Tx


@dataclass(frozen=True, slots=True)
class Settings:
    """``prefix``: of the subjects of the CSMS."""

    csms: Csms
    prefix: str = "ops"


@dataclass(frozen=True, slots=True)
class Acting:
    """At one tick."""

    tx: Tx
    at: datetime
    settings: Settings

    @property
    def csms(self) -> Csms:
        """The section of the configuration."""
        return self.settings.csms
