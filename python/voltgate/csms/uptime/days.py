"""Days: energy, revenue, utilisation, peak and uptime of a port by local day, from quarter hours.

A row of ``day`` is computed from sessions, attempts, outages and exclusions, and anew whenever one of them
changes it; it is never added to. The day of a charger ends at midnight of its site; its uptime is there then.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from voltgate.csms.ledger import times
from voltgate.csms.ledger.store import Tx
from voltgate.csms.uptime import exclusions, history, nevi
from voltgate.csms.uptime.exclusions import Exclusion
from voltgate.csms.uptime.places import Places
from voltgate.csms.uptime.slots import Sample, slots
from voltgate.csms.uptime.spans import Span
from voltgate.csms.uptime.watch import Session

A_TICK = 1000
"""Rows computed at one tick: at midnight every port has one, and facts must not wait for them."""

SLOT = """CREATE TABLE slot (
    session TEXT NOT NULL, at TEXT NOT NULL, charger TEXT NOT NULL, evse INTEGER NOT NULL,
    mwh INTEGER NOT NULL, busy_s INTEGER NOT NULL, peak_w INTEGER NOT NULL, sessions INTEGER NOT NULL,
    cost INTEGER NOT NULL, PRIMARY KEY (session, at))"""

DAY = """CREATE TABLE day (
    charger TEXT NOT NULL, evse INTEGER NOT NULL, date TEXT NOT NULL, mwh INTEGER NOT NULL,
    sessions INTEGER NOT NULL, revenue INTEGER NOT NULL, busy_s INTEGER NOT NULL, up_s INTEGER NOT NULL,
    excluded_s INTEGER NOT NULL, attempts INTEGER NOT NULL, successes INTEGER NOT NULL,
    peak_w INTEGER NOT NULL, PRIMARY KEY (charger, evse, date))"""

STALE = """CREATE TABLE stale (
    charger TEXT NOT NULL, evse INTEGER NOT NULL, date TEXT NOT NULL, PRIMARY KEY (date, charger, evse))"""

TICKED = "CREATE TABLE ticked (number INTEGER PRIMARY KEY, at TEXT NOT NULL)"


class Days:
    """See the module."""

    tables: tuple[str, ...] = (
        SLOT,
        DAY,
        STALE,
        TICKED,
        "CREATE INDEX slot_by_port ON slot (charger, evse, at)",
        "CREATE INDEX slot_by_time ON slot (at)",
        "CREATE INDEX day_by_date ON day (date, charger, evse)",
    )

    def tick(
        self, tx: Tx, at: datetime, places: Places,
        sessions: Sequence[Session], attempts: Iterable[tuple[str, int, str]],
    ) -> None:  # fmt: skip
        """Mark the days that changed or ended, and compute the oldest of them."""
        for session in sessions:
            _spread(tx, session, places)
        for charger, evse, moment in attempts:
            _mark(tx, charger, evse, times.parsed(moment), places)
        self._close(tx, at, places)
        known = exclusions.every(tx)
        for charger, evse, day in tx.all(
            "SELECT charger, evse, date FROM stale ORDER BY date, charger, evse LIMIT ?", A_TICK
        ):
            _compute(tx, charger, evse, date.fromisoformat(day), at, places, known)
            tx.run("DELETE FROM stale WHERE charger = ? AND evse = ? AND date = ?", charger, evse, day)

    def excluded(self, tx: Tx) -> None:
        """An exclusion was decided: any day that is there can change."""
        tx.run(
            "INSERT INTO stale (charger, evse, date) SELECT charger, evse, date FROM day WHERE evse > 0"
            " ON CONFLICT (date, charger, evse) DO NOTHING"
        )

    def appeared(self, tx: Tx, charger: str, evse: int) -> None:
        """A port is heard of: days that were computed before did not count it."""
        tx.run(
            "INSERT INTO stale (charger, evse, date) SELECT charger, evse, date FROM day"
            " WHERE charger = ? AND evse = ? ON CONFLICT (date, charger, evse) DO NOTHING",
            charger, evse,
        )  # fmt: skip

    def _close(self, tx: Tx, at: datetime, places: Places) -> None:
        """Mark the days that have ended since the last tick."""
        row = tx.one("SELECT at FROM ticked")
        tx.run(
            "INSERT INTO ticked (number, at) VALUES (1, ?)"
            " ON CONFLICT (number) DO UPDATE SET at = excluded.at",
            times.text(at),
        )
        if row is None:
            return
        ended = {zone: list(_dates(times.parsed(row[0]), at, zone)) for zone in places.zones()}
        if not any(ended.values()):
            return
        for port in history.ports(tx):
            for day in ended[places.of(port.charger).zone]:
                _stale(tx, port.charger, port.evse, day)


def _dates(last: datetime, at: datetime, zone: ZoneInfo) -> Iterable[date]:
    day = last.astimezone(zone).date()
    while day < at.astimezone(zone).date():
        yield day
        day += timedelta(days=1)


def bounds(day: date, zone: ZoneInfo) -> Span:
    """A local day: 23 or 25 hours where the clocks change."""
    following = day + timedelta(days=1)
    start, end = (datetime(one.year, one.month, one.day, tzinfo=zone) for one in (day, following))
    return start.astimezone(UTC), end.astimezone(UTC)


def _stale(tx: Tx, charger: str, evse: int, day: date) -> None:
    tx.run(
        "INSERT INTO stale (charger, evse, date) VALUES (?, ?, ?)"
        " ON CONFLICT (date, charger, evse) DO NOTHING",
        charger, evse, day.isoformat(),
    )  # fmt: skip


def _mark(tx: Tx, charger: str, evse: int, at: datetime, places: Places) -> None:
    _stale(tx, charger, evse, at.astimezone(places.of(charger).zone).date())


def _spread(tx: Tx, session: Session, places: Places) -> None:
    """Replace the quarter hours of a session, and mark its days, old and new."""
    samples = _samples(tx, session) if session.ended is not None else []  # an open one has no slot
    before = tx.all("SELECT at, charger, evse FROM slot WHERE session = ?", session.id)
    tx.run("DELETE FROM slot WHERE session = ?", session.id)
    now = slots(session, samples)
    for slot in now:
        tx.run(
            "INSERT INTO slot (session, at, charger, evse, mwh, busy_s, peak_w, sessions, cost)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            session.id, times.text(slot.at), session.charger, session.evse, slot.mwh, slot.busy_s,
            slot.peak_w, slot.sessions, slot.cost,
        )  # fmt: skip
    moments = {(times.parsed(at), evse) for at, _, evse in before} | {(slot.at, session.evse) for slot in now}
    for at, evse in sorted(moments):
        _mark(tx, session.charger, evse, at, places)


def _samples(tx: Tx, session: Session) -> list[Sample]:
    rows = tx.all("SELECT at, wh, w FROM sample WHERE session = ? ORDER BY at", session.id)
    return [Sample(times.parsed(at), register, w) for at, register, w in rows]


def _compute(  # noqa: PLR0913, PLR0917 - the key of a row and what it is computed from
    tx: Tx, charger: str, evse: int, day: date, now: datetime, places: Places, known: Sequence[Exclusion]
) -> None:
    place = places.of(charger)
    start, end = bounds(day, place.zone)
    span = times.text(start), times.text(end)
    energy = tx.one(
        "SELECT COALESCE(SUM(mwh), 0), COALESCE(SUM(sessions), 0), COALESCE(SUM(cost), 0),"
        " COALESCE(SUM(busy_s), 0), COALESCE(MAX(peak_w), 0) FROM slot"
        " WHERE charger = ? AND evse = ? AND at >= ? AND at < ?",
        charger, evse, *span,
    )  # fmt: skip
    tries = tx.one(
        "SELECT COUNT(*), COALESCE(SUM(CASE WHEN outcome = 'success' THEN 1 ELSE 0 END), 0) FROM attempt"
        " WHERE charger = ? AND evse = ? AND at >= ? AND at < ? AND outcome <> 'open'",
        charger, evse, *span,
    )  # fmt: skip
    assert energy is not None
    assert tries is not None
    mwh, sessions, revenue, busy, peak = (int(value) for value in energy)
    up, excluded = _up(tx, charger, evse, (start, end), places, known) if end <= now else (0, 0)
    tx.run("DELETE FROM day WHERE charger = ? AND evse = ? AND date = ?", charger, evse, day.isoformat())
    tx.run(
        "INSERT INTO day (charger, evse, date, mwh, sessions, revenue, busy_s, up_s, excluded_s, attempts,"
        " successes, peak_w) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        charger, evse, day.isoformat(), mwh, sessions, revenue, busy, up, excluded, *map(int, tries), peak,
    )  # fmt: skip


def _up(  # noqa: PLR0913, PLR0917 - as _compute
    tx: Tx, charger: str, evse: int, window: Span, places: Places, known: Sequence[Exclusion]
) -> tuple[int, int]:
    """(Seconds of the day in which the port was not out, seconds out that do not count)."""
    port = next((port for port in history.ports(tx, charger) if port.evse == evse), None)
    if port is None or window[1] <= max(window[0], port.since):
        return 0, 0
    place = places.of(charger)
    covering = [one for one in known if one.covers(charger, place.site, evse)]
    found = nevi.uptime(
        history.outages(tx, port, window, window[1]), covering, window, port.since, place.zone
    )
    lasted = (window[1] - max(window[0], port.since)) // timedelta(seconds=1)
    out, excluded = _seconds(found.outage + found.ours), _seconds(sum(found.excluded.values()) + found.ours)
    return lasted - out, excluded


def _seconds(minutes: Decimal | int) -> int:
    return int(minutes * 60)
