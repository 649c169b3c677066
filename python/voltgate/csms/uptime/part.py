"""The part of the ledger that folds uptime, attempts and days."""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from voltgate.config_csms import Csms
from voltgate.csms.ledger.decisions import Decision
from voltgate.csms.ledger.facts import Fact
from voltgate.csms.ledger.store import Tx
from voltgate.csms.uptime.attempts import Attempts
from voltgate.csms.uptime.days import Days
from voltgate.csms.uptime.outages import Outages
from voltgate.csms.uptime.places import Places
from voltgate.csms.uptime.watch import Watch


class Uptime:
    """See Part. Stands behind the sessions in the ledger's list of parts: at a tick it reads their rows."""

    tables: tuple[str, ...] = (*Outages.tables, *Watch.tables, *Attempts.tables, *Days.tables)

    def __init__(self, csms: Csms) -> None:
        self._zone = ZoneInfo(csms.timezone)
        self._attempts = Attempts(timedelta(seconds=csms.attempt_wait))
        self._watch, self._days = Watch(), Days()
        self._outages = Outages(timedelta(seconds=csms.ours_last), self._days.appeared)

    def fact(self, tx: Tx, fact: Fact) -> None:
        """See Part."""
        self._outages.fact(tx, fact)
        self._watch.fact(tx, fact)
        self._attempts.fact(tx, fact)

    def tick(self, tx: Tx, at: datetime) -> None:
        """See Part."""
        self._outages.tick(tx, at)
        sessions = self._watch.changed(tx, at)
        attempts = self._attempts.tick(tx, at, sessions)
        self._days.tick(tx, at, Places(tx, self._zone), sessions, sorted(attempts))

    def decision(self, tx: Tx, decision: Decision) -> None:
        """See Part."""
        self._outages.decision(tx, decision)
        self._watch.decision(tx, decision)
        if decision.kind == "exclusion":
            self._days.excluded(tx)
