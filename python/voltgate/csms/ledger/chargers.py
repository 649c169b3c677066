"""Chargers and connectors as they are now: links, boots, statuses; all of it from ``OPS_STATE``.

Statuses count by receipt: the time in one may be that of the fault, not of the report.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from voltgate.csms.ledger import times
from voltgate.csms.ledger.decisions import Decision, Kind
from voltgate.csms.ledger.facts import Fact, token
from voltgate.csms.ledger.store import Tx
from voltgate.csms.ledger.told import OCPP16

_KEPT = timedelta(days=35)
_AFTER_BOOT = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class _Status:
    evse: int
    connector: int
    status: str
    error: str = ""


class Chargers:
    """See Part."""

    tables: tuple[str, ...] = ()

    def __init__(self) -> None:
        self._known: set[str] = set()

    def fact(self, tx: Tx, fact: Fact) -> None:
        """See Part."""
        if fact.charger not in self._known:
            tx.run(
                "INSERT INTO charger (id, token) VALUES (?, ?) ON CONFLICT (id) DO NOTHING",
                fact.charger, token(fact.charger),
            )  # fmt: skip
            self._known.add(fact.charger)
        match fact.action:
            case "link":
                _link(tx, fact)
            case "BootNotification":
                _boot(tx, fact)
            case "StatusNotification":
                _clock(tx, fact)
                _status(tx, fact, _of_notification(fact))
            case "NotifyEvent":
                for status in _of_events(fact.body):
                    _status(tx, fact, status)
            case _:
                pass

    def tick(self, tx: Tx, at: datetime) -> None:
        """See Part."""

    def decision(self, tx: Tx, decision: Decision) -> None:
        """See Part."""
        if decision.kind == Kind.CHARGER:
            tx.run(
                "INSERT INTO charger (id, token, site) VALUES (?, ?, ?) "
                "ON CONFLICT (id) DO UPDATE SET site = excluded.site",
                decision.id, token(decision.id), str(decision.body.get("site") or ""),
            )  # fmt: skip


def _link(tx: Tx, fact: Fact) -> None:
    body = fact.body
    up = body.get("state") == "up"
    epoch = _number(_sequence(fact.headers) if up else body.get("epoch"))
    version = body.get("version")
    at = times.of_charger(body.get("at")) or fact.at
    tx.run(
        "UPDATE charger SET link = ?, link_at = ?, epoch = ?, version = ? WHERE id = ? AND epoch <= ?",
        "up" if up else "down", times.text(at), epoch, version if isinstance(version, str) else "",
        fact.charger, epoch,
    )  # fmt: skip


def _sequence(headers: Mapping[str, str]) -> str:
    """Of a link in ``OCPP_LINKS``: the headers of a copy, republished or sourced, have it."""
    source = headers.get("Nats-Stream-Source", "").split()
    return headers.get("Nats-Sequence") or (source[1] if len(source) > 1 else "")


def _boot(tx: Tx, fact: Fact) -> None:
    station = fact.body.get("chargingStation")
    if fact.version == OCPP16:
        names = ("chargePointVendor", "chargePointModel", "firmwareVersion")
        words = [_text(fact.body.get(name)) for name in names]
    else:
        station = station if isinstance(station, dict) else {}
        words = [_text(station.get(name)) for name in ("vendorName", "model", "firmwareVersion")]
    tx.run(
        "UPDATE charger SET vendor = ?, model = ?, firmware = ?, booted = ?, booted_at = ? WHERE id = ?",
        *words, fact.headers.get("ocpp-session", ""), times.text(fact.at), fact.charger,
    )  # fmt: skip
    tx.run("DELETE FROM clock WHERE charger = ? AND at < ?", fact.charger, times.text(fact.at - _KEPT))


def _clock(tx: Tx, fact: Fact) -> None:
    """A status right after a boot is new: the difference of its times is that of the clocks."""
    at = times.of_charger(fact.body.get("timestamp"))
    connection = fact.headers.get("ocpp-session", "")
    row = tx.one("SELECT booted, booted_at FROM charger WHERE id = ?", fact.charger)
    if at is None or row is None or not connection or row[0] != connection:
        return
    if fact.at - times.parsed(row[1]) > _AFTER_BOOT:
        return
    offset = times.ms(fact.at - at)
    tx.run(
        "INSERT INTO clock (charger, connection, seq, at, offset_ms) VALUES (?, ?, ?, ?, ?) "
        "ON CONFLICT (charger, connection, seq) DO NOTHING",
        fact.charger, connection, fact.seq, times.text(fact.at), offset,
    )  # fmt: skip
    tx.run("UPDATE charger SET clock_offset_ms = ? WHERE id = ?", offset, fact.charger)


def _of_notification(fact: Fact) -> _Status:
    body = fact.body
    if fact.version == OCPP16:
        evse, connector = _number(body.get("connectorId")), 1
        error = _text(body.get("errorCode"))
        error = "" if error == "NoError" else error
        return _Status(evse, connector if evse else 0, _text(body.get("status")), error)
    status = _text(body.get("connectorStatus"))
    return _Status(_number(body.get("evseId")), _number(body.get("connectorId")), status)


def _of_events(body: dict[str, Any]) -> Iterator[_Status]:
    """2.1 may report a status as the variable AvailabilityState of a Connector."""
    data = body.get("eventData")
    for one in data if isinstance(data, list) else ():
        component, variable = (one.get(name) if isinstance(one, dict) else None for name in _PLACES)
        if not isinstance(component, dict) or not isinstance(variable, dict):
            continue
        evse = component.get("evse")
        if component.get("name") != "Connector" or variable.get("name") != "AvailabilityState":
            continue
        if isinstance(evse, dict):
            connector = _number(evse.get("connectorId")) or 1
            yield _Status(_number(evse.get("id")), connector, _text(one.get("actualValue")))


_PLACES = ("component", "variable")


def _status(tx: Tx, fact: Fact, one: _Status) -> None:
    if not one.status:
        return
    at = times.text(fact.at)
    tx.run(
        "INSERT INTO connector (charger, evse, connector, status, error, since, heard) "
        "VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (charger, evse, connector) DO UPDATE SET "
        "since = CASE WHEN connector.status = excluded.status THEN connector.since ELSE excluded.since END, "
        "status = excluded.status, error = excluded.error, heard = excluded.heard "
        "WHERE connector.heard <= excluded.heard",
        fact.charger, one.evse, one.connector, one.status, one.error, at, at,
    )  # fmt: skip
    tx.run(
        "INSERT INTO status (charger, evse, at, seq, status) VALUES (?, ?, ?, ?, ?) "
        "ON CONFLICT (charger, evse, at, seq) DO NOTHING",
        fact.charger, one.evse, at, fact.seq, one.status,
    )  # fmt: skip
    tx.run(
        "DELETE FROM status WHERE charger = ? AND evse = ? AND at < ?",
        fact.charger, one.evse, times.text(fact.at - _KEPT),
    )  # fmt: skip


def _number(value: object) -> int:
    if isinstance(value, str) and value.isdigit():
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else 0


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
