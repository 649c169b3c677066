"""The five-field form of a tariff, and the TariffType that it stands for.

The fields: price of a kWh, start fee, price of a minute of charging, price of an idle minute (after some free
ones, with a cap), price of a kWh at night; all with tax, as decimal strings. What the form cannot say is
given as TariffType.
"""

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from voltgate.csms.tariffs.conditions import TIME_OF_DAY, TariffFault
from voltgate.csms.tariffs.tariff import VENDOR, Tariff, number

_DECIMAL = re.compile(r"[0-9]{1,8}(?:\.[0-9]{1,6})?")
_FIELDS = {
    "currency", "tax_percent", "energy_kwh", "start", "minute", "idle_minute", "idle_after_minutes",
    "idle_cap", "night",
}  # fmt: skip
# Members of TariffType, with the field and the member of its one element that hold the same price.
_MEMBERS = {
    "energy": ("energy_kwh", "priceKwh"),
    "fixedFee": ("start", "priceFixed"),
    "chargingTime": ("minute", "priceMinute"),
    "idleTime": ("idle_minute", "priceMinute"),
}
_NIGHT = {"from", "to", "energy_kwh"}


def read(id: str, given: Mapping[str, Any]) -> Tariff:
    """The tariff of what ``PUT /api/v1/tariffs/{id}`` was given: the form, or a TariffType under ``ocpp``.

    TariffFault for what is not one; its pointer is into ``given``.
    """
    if "ocpp" not in given:
        return Tariff.read(_tariff_type(id, given))
    if set(given) != {"ocpp"}:
        raise TariffFault("", "has other members beside ocpp")
    body = given["ocpp"]
    if not isinstance(body, Mapping):
        raise TariffFault("/ocpp", "is not an object")
    if body.get("tariffId", id) != id:
        raise TariffFault("/ocpp/tariffId", "is not the id in the address")
    try:
        return Tariff.read({**body, "tariffId": id})
    except TariffFault as fault:
        raise TariffFault(f"/ocpp{fault.pointer}", fault.reason) from None


def write(tariff: Tariff) -> dict[str, Any] | None:
    """The form of a tariff; None for one that says more than a form can."""
    body = {name: value for name, value in tariff.body.items() if name != "description"}
    form = _form(body)
    try:
        return form if _tariff_type(tariff.id, form) == body else None
    except TariffFault:
        return None


def _tariff_type(id: str, form: Mapping[str, Any]) -> dict[str, Any]:
    for name in set(form) - _FIELDS:
        raise TariffFault(f"/{name}", "is not a field of the form")
    currency = form.get("currency")
    if not isinstance(currency, str):
        raise TariffFault("/currency", "is not an ISO 4217 code such as EUR")
    percent = _decimal(form, "tax_percent")
    if percent is not None and percent > 100:
        raise TariffFault("/tax_percent", "is not a percentage")
    tax = {} if percent is None else {"taxRates": [{"type": "VAT", "tax": number(percent)}]}
    members = {
        "energy": _energy(form),
        "fixedFee": _simple(form, "start", "priceFixed"),
        "chargingTime": _simple(form, "minute", "priceMinute"),
        "idleTime": _idle(form),
    }
    priced = {name: {"prices": prices, **tax} for name, prices in members.items() if prices}
    extra: dict[str, Any] = {}
    if priced and tax:
        extra["taxIncluded"] = True
    cap = _decimal(form, "idle_cap")
    if cap is not None:
        extra["idleCap"] = number(cap)
    custom = {"customData": {"vendorId": VENDOR, **extra}} if extra else {}
    return {"tariffId": id, "currency": currency, **priced, **custom}


def _energy(form: Mapping[str, Any]) -> list[dict[str, Any]]:
    prices, night = _simple(form, "energy_kwh", "priceKwh"), form.get("night")
    if night is None:
        return prices
    if not isinstance(night, Mapping) or set(night) != _NIGHT:
        raise TariffFault("/night", "does not have from, to and energy_kwh")
    if not prices:
        raise TariffFault("/energy_kwh", "is missing: a night has a price beside that of the day")
    cheaper = _decimal(night, "energy_kwh", "/night")
    if cheaper is None:
        raise TariffFault("/night/energy_kwh", "is missing")
    times = {"startTimeOfDay": _clock(night, "from"), "endTimeOfDay": _clock(night, "to")}
    return [{"priceKwh": number(cheaper), "conditions": times}, *prices]


def _idle(form: Mapping[str, Any]) -> list[dict[str, Any]]:
    prices, free = _simple(form, "idle_minute", "priceMinute"), form.get("idle_after_minutes")
    for name in ("idle_after_minutes", "idle_cap"):
        if not prices and form.get(name) is not None:
            raise TariffFault(f"/{name}", "stands without idle_minute")
    if free is not None and (not isinstance(free, int) or isinstance(free, bool) or not 0 <= free <= 10_080):
        raise TariffFault("/idle_after_minutes", "is not a number of minutes within a week")
    if free:
        prices[0]["conditions"] = {"minIdleTime": 60 * free}
    return prices


def _simple(form: Mapping[str, Any], field: str, member: str) -> list[dict[str, Any]]:
    price = _decimal(form, field)
    return [] if price is None else [{member: number(price)}]


def _decimal(form: Mapping[str, Any], field: str, pointer: str = "") -> Decimal | None:
    text = form.get(field)
    if text is None:
        return None
    if not isinstance(text, str) or not _DECIMAL.fullmatch(text):
        raise TariffFault(f"{pointer}/{field}", 'is not a decimal string such as "0.39"')
    return Decimal(text)


def _clock(night: Mapping[str, Any], field: str) -> str:
    text = night[field]
    if not isinstance(text, str) or not TIME_OF_DAY.fullmatch(text):
        raise TariffFault(f"/night/{field}", "is not a time of day such as 22:00")
    return text


def _form(body: Mapping[str, Any]) -> dict[str, Any]:
    """What of a TariffType has a field in the form, one way or another."""
    prices = {name: body[name]["prices"] for name in _MEMBERS if name in body}
    rates = [rate for name in prices for rate in body[name].get("taxRates", [])]
    form: dict[str, Any] = {"currency": body["currency"]}
    if rates:
        form["tax_percent"] = _text(rates[0]["tax"])
    for name, (field, member) in _MEMBERS.items():
        if name in prices:
            form[field] = _text(prices[name][-1][member])
    if "idleCap" in body.get("customData", {}):
        form["idle_cap"] = _text(body["customData"]["idleCap"])
    seconds = prices.get("idleTime", [{}])[-1].get("conditions", {}).get("minIdleTime")
    if seconds is not None:
        form["idle_after_minutes"] = seconds // 60
    night = prices.get("energy", [{}])[0]
    times = night.get("conditions", {})
    if {"startTimeOfDay", "endTimeOfDay"} <= set(times):
        form["night"] = {
            "from": times["startTimeOfDay"],
            "to": times["endTimeOfDay"],
            "energy_kwh": _text(night["priceKwh"]),
        }
    return form


def _text(value: float) -> str:
    """15 becomes "15", 0.3 "0.3"."""
    return format(Decimal(str(value)), "f")
