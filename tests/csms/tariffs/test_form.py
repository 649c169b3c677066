"""The form, the TariffType that it stands for, and back."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from csms.tariffs.sessions import tariff
from voltgate.csms.tariffs import form
from voltgate.csms.tariffs.conditions import TariffFault

FULL = {
    "currency": "EUR",
    "tax_percent": "19",
    "energy_kwh": "0.39",
    "start": "0.5",
    "minute": "0.02",
    "idle_minute": "0.1",
    "idle_after_minutes": 15,
    "idle_cap": "12",
    "night": {"from": "22:00", "to": "06:00", "energy_kwh": "0.29"},
}


def test_the_tariff_type_of_a_form() -> None:
    tax = {"taxRates": [{"type": "VAT", "tax": 19}]}
    night = {"startTimeOfDay": "22:00", "endTimeOfDay": "06:00"}
    assert form.read("day and night", FULL).body == {
        "tariffId": "day and night",
        "currency": "EUR",
        "energy": {"prices": [{"priceKwh": 0.29, "conditions": night}, {"priceKwh": 0.39}], **tax},
        "fixedFee": {"prices": [{"priceFixed": 0.5}], **tax},
        "chargingTime": {"prices": [{"priceMinute": 0.02}], **tax},
        "idleTime": {"prices": [{"priceMinute": 0.1, "conditions": {"minIdleTime": 900}}], **tax},
        "customData": {"vendorId": "voltgate", "taxIncluded": True, "idleCap": 12},
    }


def test_only_a_currency_is_free_and_null_is_absent() -> None:
    sold = form.read("free", {"currency": "EUR", "energy_kwh": None, "night": None})
    assert sold.body == {"tariffId": "free", "currency": "EUR"}
    assert form.write(sold) == {"currency": "EUR"}


DECIMALS = st.decimals(0, 99, places=4, allow_nan=False).map(lambda value: f"{value.normalize():f}")
CLOCKS = st.times().map(lambda value: f"{value:%H:%M}")
IDLE = st.fixed_dictionaries(
    {"idle_minute": DECIMALS},
    optional={"idle_after_minutes": st.integers(1, 300), "idle_cap": DECIMALS},
)
FORMS = st.builds(
    lambda *parts: {name: value for part in parts for name, value in part.items()},
    st.fixed_dictionaries({"currency": st.sampled_from(["EUR", "JPY"])}),
    st.fixed_dictionaries({}, optional={"tax_percent": DECIMALS, "start": DECIMALS, "minute": DECIMALS}),
    st.just({}) | IDLE,
    st.just({})
    | st.fixed_dictionaries(
        {"energy_kwh": DECIMALS},
        optional={"night": st.fixed_dictionaries({"from": CLOCKS, "to": CLOCKS, "energy_kwh": DECIMALS})},
    ),
)


@given(FORMS)
def test_a_form_survives(given: dict[str, Any]) -> None:
    written = form.write(form.read("t", given))
    # Tax without anything that is taxed has no place in a TariffType.
    taxed = {"start", "minute", "idle_minute", "energy_kwh"} & set(given)
    assert written == {name: value for name, value in given.items() if taxed or name != "tax_percent"}


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"currency": None}, "/currency"),
        ({"currency": "eur"}, "/currency"),
        ({"energy_kwh": 0.39}, "/energy_kwh"),
        ({"energy_kwh": "-0.39"}, "/energy_kwh"),
        ({"energy_kwh": "0.1234567"}, "/energy_kwh"),
        ({"energy_kwh": "1e3"}, "/energy_kwh"),
        ({"energy_kwh": None}, "/energy_kwh"),
        ({"tax_percent": "101"}, "/tax_percent"),
        ({"idle_after_minutes": "15"}, "/idle_after_minutes"),
        ({"idle_after_minutes": True}, "/idle_after_minutes"),
        ({"idle_after_minutes": -1}, "/idle_after_minutes"),
        ({"idle_minute": None}, "/idle_after_minutes"),
        ({"night": {"from": "22:00"}}, "/night"),
        ({"night": "22-6"}, "/night"),
        ({"night": {"from": "22", "to": "06:00", "energy_kwh": "0.29"}}, "/night/from"),
        ({"night": {"from": "22:00", "to": "06:00", "energy_kwh": None}}, "/night/energy_kwh"),
        ({"night": {"from": "22:00", "to": "06:00", "energy_kwh": 1}}, "/night/energy_kwh"),
        ({"discount": "1"}, "/discount"),
        ({"ocpp": {}}, ""),
    ],
)
def test_refused(change: dict[str, Any], pointer: str) -> None:
    with pytest.raises(TariffFault) as caught:
        form.read("t", {**FULL, **change})
    assert caught.value.pointer == pointer


def test_a_tariff_type_is_taken_as_it_is() -> None:
    body = {"currency": "EUR", "energy": {"prices": [{"priceKwh": 0.39}]}}
    assert form.read("t", {"ocpp": body}).body == {"tariffId": "t", **body}
    assert form.read("t", {"ocpp": {"tariffId": "t", **body}}).id == "t"
    with pytest.raises(TariffFault, match="/ocpp/tariffId"):
        form.read("t", {"ocpp": {"tariffId": "u", **body}})
    with pytest.raises(TariffFault, match="/ocpp/energy/prices"):
        form.read("t", {"ocpp": {**body, "energy": {"prices": []}}})
    with pytest.raises(TariffFault, match="/ocpp"):
        form.read("t", {"ocpp": []})


@pytest.mark.parametrize(
    "members",
    [
        {"energy": [{"priceKwh": 0.5, "conditions": {"maxEnergy": 10000}}, {"priceKwh": 0.3}]},
        {"minCost": {"inclTax": 1}},
        {
            "idleTime": [
                {"priceMinute": 1, "conditions": {"startTimeOfDay": "07:00", "endTimeOfDay": "22:00"}}
            ]
        },
        {"idleTime": [{"priceMinute": 1, "conditions": {"minIdleTime": 90}}]},
        {"energy": [{"priceKwh": 0.1234567}]},
        {"customData": {"vendorId": "voltgate", "zone": "Europe/Berlin"}},
    ],
)
def test_what_a_form_cannot_say_has_none(members: dict[str, Any]) -> None:
    assert form.write(tariff(**members)) is None
