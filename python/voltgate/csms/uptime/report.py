"""What is reported: uptime by month, outages, the funnel of attempts, load; the sheets of 23 CFR 680.112(a).

Functions read the tables of this package in a transaction; they write nothing.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import date, datetime
from decimal import ROUND_HALF_EVEN, Decimal
from zoneinfo import ZoneInfo

from voltgate.csms.ledger import times
from voltgate.csms.ledger.store import Tx
from voltgate.csms.uptime import exclusions, history, nevi
from voltgate.csms.uptime.history import Port
from voltgate.csms.uptime.nevi import Interval, Uptime
from voltgate.csms.uptime.places import Place, Places
from voltgate.csms.uptime.spans import Span

Row = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PortUptime:
    """Uptime of one port over the 12 months that end with a month (or now, in the month that goes on)."""

    port: Port
    place: Place
    uptime: Uptime


def uptimes(
    tx: Tx, month: date, now: datetime, zone: ZoneInfo, charger: str | None = None
) -> Iterator[PortUptime]:
    """Of every port, or those of one charger."""
    places, known = Places(tx, zone), exclusions.every(tx)
    for port in history.ports(tx, charger):
        place = places.of(port.charger)
        window = nevi.year(month, place.zone)
        covering = [one for one in known if one.covers(port.charger, place.site, port.evse)]
        found = history.outages(tx, port, window, now)
        yield PortUptime(port, place, nevi.uptime(found, covering, window, port.since, place.zone))


def outages(
    tx: Tx, window: Span, now: datetime, zone: ZoneInfo, charger: str | None = None
) -> Iterator[tuple[Port, Interval]]:
    """Every outage within a window, cut where its kind or its exclusion changes."""
    places, known = Places(tx, zone), exclusions.every(tx)
    for port in history.ports(tx, charger):
        place = places.of(port.charger)
        covering = [one for one in known if one.covers(port.charger, place.site, port.evse)]
        for interval in nevi.intervals(history.outages(tx, port, window, now), covering, window, place.zone):
            yield port, interval


# -- attempts ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Funnel:
    """Attempts of one maker, model and firmware that came at least so far. Open ones are not counted."""

    vendor: str
    model: str
    firmware: str
    attempts: int
    plugged: int
    started: int
    energy: int
    successes: int

    @property
    def rate(self) -> Decimal:
        """Percent of attempts that succeeded."""
        return Decimal(self.successes * 100) / self.attempts


def funnel(tx: Tx, window: Span, sites: Collection[str] | None = None) -> list[Funnel]:
    """The worst first. ``sites``: None for all chargers."""
    among, of = _at(sites)
    rows = tx.all(
        "SELECT vendor, model, firmware, COUNT(*),"
        " SUM(CASE WHEN stage <> 'authorized' THEN 1 ELSE 0 END),"
        " SUM(CASE WHEN stage IN ('started', 'energy', 'ended') THEN 1 ELSE 0 END),"
        " SUM(CASE WHEN stage IN ('energy', 'ended') THEN 1 ELSE 0 END),"
        " SUM(CASE WHEN outcome = 'success' THEN 1 ELSE 0 END)"
        f" FROM attempt WHERE at >= ? AND at < ? AND outcome <> 'open'{among}"
        " GROUP BY vendor, model, firmware",
        *map(times.text, window),
        *of,
    )
    found = [Funnel(vendor, model, firmware, *map(int, counts)) for vendor, model, firmware, *counts in rows]
    return sorted(found, key=lambda one: (one.rate, -one.attempts, one.vendor, one.model, one.firmware))


# -- load -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Hour:
    """One hour of the week, weekday 1 is Monday; all ports together."""

    weekday: int
    hour: int
    mwh: int
    busy_s: int
    peak_w: int


def hours(tx: Tx, window: Span, zone: ZoneInfo, sites: Collection[str] | None = None) -> list[Hour]:
    """The week of some sites, or of all, by local hour; ``peak_w``: the highest mean of a quarter hour."""
    found: dict[tuple[int, int], tuple[int, int, int]] = {}
    among, of = _at(sites)
    for at, mwh, busy in tx.all(
        "SELECT at, SUM(mwh), SUM(busy_s) FROM slot WHERE at >= ? AND at < ?"
        f"{among} GROUP BY at ORDER BY at",
        *map(times.text, window), *of,
    ):  # fmt: skip
        local = times.parsed(at).astimezone(zone)
        energy, occupied, peak = found.get(key := (local.isoweekday(), local.hour), (0, 0, 0))
        found[key] = energy + int(mwh), occupied + int(busy), max(peak, int(mwh) // 250)
    return [Hour(*key, *values) for key, values in sorted(found.items())]


def _at(sites: Collection[str] | None) -> tuple[str, tuple[str, ...]]:
    """A condition for rows of chargers at these sites, and its arguments."""
    if sites is None:
        return "", ()
    places = ", ".join("?" * len(sites))
    return f" AND charger IN (SELECT id FROM charger WHERE site IN ({places}))", tuple(sorted(sites))


# -- 23 CFR 680.112(a) ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Sheet:
    """Named columns and rows of text, as CSV is written from."""

    columns: Row
    rows: Iterator[Row]


def uptime_sheet(tx: Tx, months: list[date], now: datetime, zone: ZoneInfo) -> Sheet:
    """(a)(7): uptime, T_outage and T_excluded of each port and month, in minutes."""
    columns = (
        "station_id", "port_id", "uptime_reporting_start", "uptime_reporting_end", "uptime", "total_outage",
        "total_outage_excl",
        *(f"excluded_{reason}" for reason in exclusions.Reason), "outage_ours",
    )  # fmt: skip

    def rows() -> Iterator[Row]:
        for month in months:
            for one in uptimes(tx, month, now, zone):
                found = one.uptime
                yield (
                    *_port(one.port), times.text(found.start), times.text(found.end), _text(found.percent),
                    _text(found.outage), _text(sum(found.excluded.values(), Decimal(0))),
                    *(_text(found.excluded.get(reason, Decimal(0))) for reason in exclusions.Reason),
                    _text(found.ours),
                )  # fmt: skip

    return Sheet(columns, rows())


def outage_sheet(tx: Tx, window: Span, now: datetime, zone: ZoneInfo) -> Sheet:
    """(a)(8): each outage with its minutes; ``outage_id`` is its start."""
    columns = (
        "station_id", "port_id", "outage_id", "outage_duration", "excluded_outage",
        "excluded_outage_reason", "kind",
    )  # fmt: skip
    rows = (
        (
            *_port(port), times.text(one.start), _text(Decimal((one.end - one.start).total_seconds()) / 60),
            str(one.excluded is not None).upper(), one.excluded or "", one.kind,
        )
        for port, one in outages(tx, window, now, zone)
    )  # fmt: skip
    return Sheet(columns, rows)


def session_sheet(tx: Tx, window: Span) -> Sheet:
    """(a)(3) to (6): each session with its error, energy, peak power and how it was paid for."""
    columns = (
        "station_id", "port_id", "session_id", "session_start", "session_end", "session_error", "energy_kwh",
        "power_kw", "payment_method",
    )  # fmt: skip
    rows = (
        (
            charger, str(evse), id_, started, ended, reason if outcome == "failed" else "",
            _text(Decimal(mwh) / 1_000_000), _text(Decimal(peak or 0) / 1000), how or "",
        )
        for charger, evse, id_, started, ended, mwh, peak, outcome, reason, how in tx.all(
            "SELECT s.charger, s.evse, s.id, s.started, s.ended, s.mwh, s.peak_w, a.outcome, a.reason, a.how"
            " FROM session s LEFT JOIN attempt a ON a.session = s.id AND a.session <> ''"
            " WHERE s.ended IS NOT NULL AND s.started >= ? AND s.started < ? ORDER BY s.started, s.id",
            *map(times.text, window),
        )
    )  # fmt: skip
    return Sheet(columns, rows)


def _port(port: Port) -> tuple[str, str]:
    return port.charger, str(port.evse)


def _text(number: Decimal) -> str:
    return str(number.quantize(Decimal("0.0001"), ROUND_HALF_EVEN))
