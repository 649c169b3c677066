"""A CDR as OCPI 2.2.1 CDR object, and what got lost on the way."""

from collections.abc import Iterator
from dataclasses import dataclass, fields
from decimal import Decimal
from itertools import groupby
from typing import Any
from zoneinfo import ZoneInfo

from voltgate.csms.ledger import times
from voltgate.csms.tariffs import money, ocpi
from voltgate.csms.tariffs.cdr import Billed, Cdr, CdrKind
from voltgate.csms.tariffs.cut import MICROSECOND, Segment, cut
from voltgate.csms.tariffs.ocpi import Exported, Lost, Party, in_order, rounded, short_id
from voltgate.csms.tariffs.price import LineKind
from voltgate.csms.tariffs.tariff import Price, Tariff

_TOTALS = {
    "total_fixed_cost": (LineKind.START,),
    "total_energy_cost": (LineKind.ENERGY,),
    "total_time_cost": (LineKind.CHARGING,),
    "total_parking_cost": (LineKind.IDLE, LineKind.IDLE_CAP),
}
_HOUR = Decimal(3_600_000_000)  # microseconds


@dataclass(frozen=True, slots=True)
class Location:
    """Of the connector. The defaults say nothing, and an export with one of them lost its location."""

    id: str = "#NA"
    name: str = "#NA"
    address: str = "#NA"
    city: str = "#NA"
    country: str = "#NA"
    latitude: str = "0.00000"
    longitude: str = "0.00000"
    evse_id: str = "#NA"
    connector_standard: str = "IEC_62196_T2"
    connector_format: str = "SOCKET"
    connector_power_type: str = "AC_3_PHASE"


@dataclass(frozen=True, slots=True)
class Token:
    """Who charged. The books hold a pseudonym, so whoever exports adds what its own list of people has."""

    country_code: str
    party_id: str
    uid: str
    type: str
    contract_id: str


def export(cdr: Cdr, party: Party, location: Location, token: Token | None) -> Exported:
    """The CDR object; of a credit it is the whole invoice with negative ``total_cost``, as OCPI asks for."""
    lost: set[Lost] = set()
    billed = cdr.billed if cdr.kind is CdrKind.INVOICE else cdr.billed.credited()
    if any(getattr(location, field.name) == field.default for field in fields(Location)):
        lost.add(Lost.LOCATION)
    tariffs, periods = [], [_whole(billed)]
    if billed.tariff:
        tariff = Tariff.read(billed.tariff)
        exported = ocpi.export(tariff, party, billed.started)
        lost |= set(exported.lost)
        tariffs = [exported.body]
        periods = list(_periods(billed, tariff, exported.body["id"])) or periods
    body: dict[str, Any] = {
        "country_code": party.country_code,
        "party_id": party.party_id,
        "id": short_id(cdr.id, lost),
        "start_date_time": times.text(billed.started),
        "end_date_time": times.text(billed.ended),
        "session_id": cdr.session,
        "cdr_token": _token(billed, token, party, lost),
        "auth_method": "WHITELIST",
        "cdr_location": _location(cdr, location, lost),
        "currency": billed.bill.currency,
        "tariffs": tariffs,
        "charging_periods": periods,
        "total_cost": _cost(cdr.billed.bill.total, cdr.billed.bill.tax, billed),
        **_totals(billed, lost),
        "invoice_reference_id": short_id(cdr.number, lost),
        "last_updated": times.text(cdr.issued),
    }
    if cdr.kind is CdrKind.CREDIT:
        body |= {"credit": True, "credit_reference_id": short_id(cdr.credits, lost)}
    if cdr.why:
        body["remark"] = cdr.why[:255]
    return Exported(body, in_order(lost))


def _totals(billed: Billed, lost: set[Lost]) -> dict[str, Any]:
    """Sums by what was paid for; a minimum or maximum is in ``total_cost`` alone."""
    total = Decimal((billed.ended - billed.started) // MICROSECOND)
    parking = total - billed.charging_s * 1_000_000
    if parking > billed.idle_s * 1_000_000:
        lost.add(Lost.WAITING)
    found: dict[str, Any] = {
        "total_energy": rounded(Decimal(billed.mwh) / 1_000_000),
        "total_time": rounded(total / _HOUR),
        "total_parking_time": rounded(parking / _HOUR),
    }
    for name, kinds in _TOTALS.items():
        lines = [one for one in billed.bill.lines if one.kind in kinds]
        if lines:
            found[name] = _cost(sum(one.amount for one in lines), sum(one.tax for one in lines), billed)
    return found


def _cost(amount: int, tax: int, billed: Billed) -> dict[str, Any]:
    currency = billed.bill.currency
    return {
        "excl_vat": rounded(money.decimal(amount - tax, currency)),
        "incl_vat": rounded(money.decimal(amount, currency)),
    }


def _token(billed: Billed, token: Token | None, party: Party, lost: set[Lost]) -> dict[str, Any]:
    if token is None:
        lost.add(Lost.TOKEN)
        uid = short_id(billed.token or "#NA", lost)
        token = Token(party.country_code, party.party_id, uid, "OTHER", "#NA")
    return {field.name: getattr(token, field.name) for field in fields(Token)}


def _location(cdr: Cdr, location: Location, lost: set[Lost]) -> dict[str, Any]:
    return {
        "id": short_id(location.id, lost),
        "name": location.name[:255],
        "address": location.address[:45],
        "city": location.city[:45],
        "country": location.country,
        "coordinates": {"latitude": location.latitude, "longitude": location.longitude},
        "evse_uid": short_id(f"{cdr.charger}*{cdr.billed.evse}", lost),
        "evse_id": location.evse_id,
        "connector_id": str(cdr.billed.connector),
        "connector_standard": location.connector_standard,
        "connector_format": location.connector_format,
        "connector_power_type": location.connector_power_type,
    }


def _whole(billed: Billed) -> dict[str, Any]:
    """The session without a tariff: one period."""
    energy = {"type": "ENERGY", "volume": rounded(Decimal(billed.mwh) / 1_000_000)}
    return {"start_date_time": times.text(billed.started), "dimensions": [energy]}


def _periods(billed: Billed, tariff: Tariff, id: str) -> Iterator[dict[str, Any]]:
    """A period wherever a price changes. Sums are rounded, not periods, so that the periods add up."""
    sums = {"ENERGY": Decimal(0), "TIME": Decimal(0), "PARKING_TIME": Decimal(0)}
    for (_, charging, idle), group in groupby(cut(billed.usage, tariff, ZoneInfo(billed.zone)), _alike):
        segments = list(group)
        start = billed.usage.periods[0].start + segments[0].begin * MICROSECOND
        hours = sum(one.length for one in segments) / _HOUR
        added = {"ENERGY": Decimal(sum(one.mwh for one in segments)) / 1_000_000}
        if charging or idle:
            added["TIME" if charging else "PARKING_TIME"] = hours
        dimensions = []
        for name, volume in added.items():
            before, sums[name] = sums[name], sums[name] + volume
            share = Decimal(str(rounded(sums[name]))) - Decimal(str(rounded(before)))
            dimensions.append({"type": name, "volume": rounded(share)})
        yield {"start_date_time": times.text(start), "dimensions": dimensions, "tariff_id": id}


def _alike(segment: Segment) -> tuple[tuple[Price | None, ...], bool, bool]:
    return segment.prices, segment.period.charging, segment.period.billable_idle
