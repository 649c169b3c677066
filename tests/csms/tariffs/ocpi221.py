"""OCPI 2.2.1 for a judge: the tables of mod_tariffs, mod_cdrs and types as JSON schemas, and a calculator.

Both are written from the specification and share nothing with the exporter.
"""

import json
from dataclasses import dataclass
from datetime import datetime, time
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from jsonschema import Draft202012Validator

Schema = dict[str, Any]


def text(most: int, pattern: str = "") -> Schema:
    return {"type": "string", "maxLength": most, **({"pattern": pattern} if pattern else {})}


def ci(most: int, least: int = 1) -> Schema:
    """CiString: printable ASCII."""
    return {"type": "string", "minLength": least, "maxLength": most, "pattern": "^[\\x20-\\x7e]*$"}


def obj(required: Schema, **optional: Schema) -> Schema:
    properties = {**required, **optional}
    return {
        "type": "object",
        "properties": properties,
        "required": [*required],
        "additionalProperties": False,
    }


def several(items: Schema, least: int = 0) -> Schema:
    return {"type": "array", "items": items, "minItems": least}


def one_of(*values: str) -> Schema:
    return {"enum": list(values)}


NUMBER: Schema = {"type": "number", "multipleOf": Decimal("0.0001")}
INT: Schema = {"type": "integer"}
DATE_TIME = text(25, r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,3})?Z?$")
CLOCK = text(5, r"^([0-1][0-9]|2[0-3]):[0-5][0-9]$")
DATE = text(10, r"^([12][0-9]{3})-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])$")
PRICE = obj({"excl_vat": NUMBER}, incl_vat=NUMBER)
DAY = one_of("MONDAY", "TUESDAY", "WEDNESDAY", "THURSDAY", "FRIDAY", "SATURDAY", "SUNDAY")
RESTRICTIONS = obj(
    {},
    start_time=CLOCK,
    end_time=CLOCK,
    start_date=DATE,
    end_date=DATE,
    min_kwh=NUMBER,
    max_kwh=NUMBER,
    min_current=NUMBER,
    max_current=NUMBER,
    min_power=NUMBER,
    max_power=NUMBER,
    min_duration=INT,
    max_duration=INT,
    day_of_week=several(DAY),
    reservation=one_of("RESERVATION", "RESERVATION_EXPIRES"),
)
COMPONENT = obj(
    {"type": one_of("ENERGY", "FLAT", "PARKING_TIME", "TIME"), "price": NUMBER, "step_size": INT}, vat=NUMBER
)
TARIFF = obj(
    {
        "country_code": ci(2, 2),
        "party_id": ci(3, 3),
        "id": ci(36),
        "currency": text(3),
        "elements": several(obj({"price_components": several(COMPONENT, 1)}, restrictions=RESTRICTIONS), 1),
        "last_updated": DATE_TIME,
    },
    type=one_of("AD_HOC_PAYMENT", "PROFILE_CHEAP", "PROFILE_FAST", "PROFILE_GREEN", "REGULAR"),
    tariff_alt_text=several(obj({"language": text(2), "text": text(512)})),
    tariff_alt_url=text(255),
    min_price=PRICE,
    max_price=PRICE,
    start_date_time=DATE_TIME,
    end_date_time=DATE_TIME,
)
TOKEN = obj(
    {
        "country_code": ci(2, 2),
        "party_id": ci(3, 3),
        "uid": ci(36),
        "type": one_of("AD_HOC_USER", "APP_USER", "OTHER", "RFID"),
        "contract_id": ci(36),
    }
)
LOCATION = obj(
    {
        "id": ci(36),
        "address": text(45),
        "city": text(45),
        "country": text(3),
        "coordinates": obj(
            {
                "latitude": text(10, r"^-?[0-9]{1,2}\.[0-9]{5,7}$"),
                "longitude": text(11, r"^-?[0-9]{1,3}\.[0-9]{5,7}$"),
            }
        ),
        "evse_uid": ci(36),
        "evse_id": ci(48),
        "connector_id": ci(36),
        "connector_standard": one_of(
            "IEC_62196_T1", "IEC_62196_T2", "IEC_62196_T2_COMBO", "CHADEMO"
        ),  # of 40
        "connector_format": one_of("SOCKET", "CABLE"),
        "connector_power_type": one_of("AC_1_PHASE", "AC_2_PHASE", "AC_2_PHASE_SPLIT", "AC_3_PHASE", "DC"),
    },
    name=text(255),
    postal_code=text(10),
    state=text(20),
)
DIMENSION = one_of(
    "ENERGY",
    "MAX_CURRENT",
    "MIN_CURRENT",
    "MAX_POWER",
    "MIN_POWER",
    "PARKING_TIME",
    "RESERVATION_TIME",
    "TIME",
)
PERIOD = obj(
    {"start_date_time": DATE_TIME, "dimensions": several(obj({"type": DIMENSION, "volume": NUMBER}), 1)},
    tariff_id=ci(36),
)
CDR = obj(
    {
        "country_code": ci(2, 2),
        "party_id": ci(3, 3),
        "id": ci(39),
        "start_date_time": DATE_TIME,
        "end_date_time": DATE_TIME,
        "cdr_token": TOKEN,
        "auth_method": one_of("AUTH_REQUEST", "COMMAND", "WHITELIST"),
        "cdr_location": LOCATION,
        "currency": text(3),
        "charging_periods": several(PERIOD, 1),
        "total_cost": PRICE,
        "total_energy": NUMBER,
        "total_time": NUMBER,
        "last_updated": DATE_TIME,
    },
    session_id=ci(36),
    authorization_reference=ci(36),
    meter_id=text(255),
    tariffs=several(TARIFF),
    total_fixed_cost=PRICE,
    total_energy_cost=PRICE,
    total_time_cost=PRICE,
    total_parking_time=NUMBER,
    total_parking_cost=PRICE,
    total_reservation_cost=PRICE,
    remark=text(255),
    invoice_reference_id=ci(39),
    credit={"type": "boolean"},
    credit_reference_id=ci(39),
    home_charging_compensation={"type": "boolean"},
)


def faults(given: dict[str, Any], schema: Schema) -> list[str]:
    """What of an object is against the tables; 0.0003 is a multiple of 0.0001 in decimals alone."""
    exact = json.loads(json.dumps(given), parse_float=Decimal)
    return [f"{one.json_path}: {one.message}" for one in Draft202012Validator(schema).iter_errors(exact)]


# -- a calculator -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Moment:
    """What restrictions are about. ``kw``: None where a CDR does not say it."""

    local: datetime
    kwh: Decimal
    seconds: float
    kw: Decimal | None = None


def cost(cdr: dict[str, Any], zone: ZoneInfo) -> Decimal:
    """What the periods of a CDR cost with VAT by its tariff; no rounding, no ``step_size``, no power."""
    (tariff,) = cdr["tariffs"]
    total, energy = Decimal(0), Decimal(0)
    begin = datetime.fromisoformat(cdr["start_date_time"])
    for index, period in enumerate(cdr["charging_periods"]):
        start = datetime.fromisoformat(period["start_date_time"])
        volumes = {one["type"]: Decimal(str(one["volume"])) for one in period["dimensions"]}
        if index == 0:
            volumes["FLAT"] = Decimal(1)
        now = Moment(start.astimezone(zone), energy, (start - begin).total_seconds())
        for dimension, gross in prices(tariff, now).items():
            total += gross * volumes.get(dimension, Decimal(0))
        energy += volumes["ENERGY"]
    for name, clamp in (("min_price", max), ("max_price", min)):
        if name in tariff:
            total = clamp(total, Decimal(str(tariff[name]["incl_vat"])))
    return total


def prices(tariff: dict[str, Any], now: Moment) -> dict[str, Decimal]:
    """The price with VAT of each dimension: of the first element that matches."""
    found: dict[str, Decimal] = {}
    for element in tariff["elements"]:
        (part,) = element["price_components"]
        if _matches(element.get("restrictions", {}), now):
            gross = Decimal(str(part["price"])) * (1 + Decimal(str(part.get("vat", 0))) / 100)
            found.setdefault(part["type"], gross)
    return found


def _matches(given: dict[str, Any], now: Moment) -> bool:
    local, day = now.local.time(), now.local.strftime("%A").upper()
    start = time.fromisoformat(given.get("start_time", "00:00"))
    end = time.fromisoformat(given.get("end_time", "00:00"))
    inside = start <= local < end if start < end else local >= start or local < end
    return (
        inside
        and day in given.get("day_of_week", [day])
        and given.get("start_date", "0") <= now.local.date().isoformat() < given.get("end_date", "9")
        and _between(given, "kwh", now.kwh)
        and _between(given, "duration", Decimal(now.seconds))
        and (now.kw is None or _between(given, "power", now.kw))
    )


def _between(given: dict[str, Any], name: str, value: Decimal) -> bool:
    least, below = given.get(f"min_{name}", 0), given.get(f"max_{name}", "Infinity")
    return Decimal(str(least)) <= value < Decimal(str(below))
