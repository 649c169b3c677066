"""Reading the outages of ports back from the table, one port after the other."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from voltgate.csms.ledger import times
from voltgate.csms.ledger.store import Tx
from voltgate.csms.uptime.outages import Kind
from voltgate.csms.uptime.spans import Span


@dataclass(frozen=True, slots=True, order=True)
class Port:
    """``since``: the first sign of its charger. EVSE 0: a charger that has named no port yet."""

    charger: str
    evse: int
    since: datetime


def ports(tx: Tx, charger: str | None = None) -> Iterator[Port]:
    """Every port, or those of one charger, in order."""
    one = () if charger is None else (charger,)
    rows = tx.all(
        "SELECT DISTINCT p.charger, p.evse, f.first FROM port p"
        " JOIN port f ON f.charger = p.charger AND f.evse = 0 AND f.connector = 0"
        f"{' WHERE p.charger = ?' if one else ''} ORDER BY p.charger, p.evse",
        *one,
    )
    named = {name for name, evse, _ in rows if evse}
    for name, evse, first in rows:
        if evse or name not in named:
            yield Port(name, evse, times.parsed(first))


def outages(tx: Tx, port: Port, window: Span, now: datetime) -> list[tuple[Kind, Span]]:
    """Of a port within a window: its own and those of its charger; open ones last until now."""
    start, end = window
    rows = tx.all(
        "SELECT kind, begins, ends FROM outage WHERE charger = ? AND evse IN (0, ?) AND begins < ?"
        " AND (ends IS NULL OR ends > ?) ORDER BY begins, kind",
        port.charger, port.evse, times.text(min(end, now)), times.text(start),
    )  # fmt: skip
    return [
        (Kind(kind), (times.parsed(begins), times.parsed(ends) if ends else now))
        for kind, begins, ends in rows
    ]
