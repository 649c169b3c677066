"""Tariffs as OCPI 2.2.1."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given

from csms.tariffs import ocpi221
from csms.tariffs.sessions import BERLIN, tariff, taxed
from csms.tariffs.test_cut import TARIFFS, usages
from csms.tariffs.test_ocpi_examples import EXAMPLES
from voltgate.csms.tariffs import form, ocpi
from voltgate.csms.tariffs.cut import MICROSECOND, cut
from voltgate.csms.tariffs.ocpi import Exported, Lost, Party
from voltgate.csms.tariffs.tariff import Kind, Tariff
from voltgate.csms.tariffs.usage import Usage

UPDATED = datetime(2026, 6, 1, 12, 30, tzinfo=UTC)
PARTY = Party("DE", "VGT")


def export(sold: Tariff) -> Exported:
    exported = ocpi.export(sold, PARTY, UPDATED)
    assert ocpi221.faults(exported.body, ocpi221.TARIFF) == []
    return exported


def test_a_whole_tariff() -> None:
    night = {"startTimeOfDay": "22:00", "endTimeOfDay": "06:00", "dayOfWeek": ["Saturday", "Sunday"]}
    sold = tariff(
        energy=taxed(19, {"priceKwh": 0.29, "conditions": night}, {"priceKwh": 0.39}),
        fixedFee=taxed(19, {"priceFixed": 0.5}),
        chargingTime=taxed(19, {"priceMinute": 0.02, "conditions": {"maxPower": 11000, "minTime": 60}}),
        maxCost={"exclTax": 50, "inclTax": 59.5},
        validFrom="2026-06-01T00:00:00+02:00",
    )
    weekend = {"start_time": "22:00", "end_time": "06:00", "day_of_week": ["SATURDAY", "SUNDAY"]}
    assert export(sold) == Exported(
        {
            "country_code": "DE",
            "party_id": "VGT",
            "id": "t",
            "currency": "EUR",
            "elements": [
                {"price_components": [{"type": "FLAT", "price": 0.5, "step_size": 1, "vat": 19}]},
                {
                    "price_components": [{"type": "ENERGY", "price": 0.29, "step_size": 1, "vat": 19}],
                    "restrictions": weekend,
                },
                {"price_components": [{"type": "ENERGY", "price": 0.39, "step_size": 1, "vat": 19}]},
                {
                    "price_components": [{"type": "TIME", "price": 1.2, "step_size": 1, "vat": 19}],
                    "restrictions": {"max_power": 11, "min_duration": 60},
                },
            ],
            "max_price": {"excl_vat": 50, "incl_vat": 59.5},
            "start_date_time": "2026-05-31T22:00:00.000Z",
            "last_updated": "2026-06-01T12:30:00.000Z",
        },
        (),
    )


def test_a_form_loses_grace_cap_and_decimals() -> None:
    given = {"currency": "EUR", "tax_percent": "19", "energy_kwh": "0.39", "idle_minute": "0.1"}
    exported = export(form.read("t", {**given, "idle_after_minutes": 15, "idle_cap": "12"}))
    assert exported.lost == (Lost.IDLE_CONDITION, Lost.IDLE_CAP, Lost.PRICE_ROUNDED)
    assert exported.body["tariff_alt_text"] == [
        {
            "language": "en",
            "text": "0.10 €/min without charging after the first 15 min; "
            "at most 12.00 € for time without charging",
        }
    ]
    prices = [element["price_components"][0]["price"] for element in exported.body["elements"]]
    assert prices == [0.3277, 5.042]  # 0.39 / 1.19, and 6.00 an hour / 1.19


@pytest.mark.parametrize(
    ("members", "lost"),
    [
        ({}, ()),
        ({"energy": [{"priceKwh": 0}]}, ()),
        ({"energy": [{"priceKwh": 0.3}]}, (Lost.TAX_UNKNOWN,)),
        (
            {
                "energy": {
                    "prices": [{"priceKwh": 1}],
                    "taxRates": [{"type": "a", "tax": 5}, {"type": "b", "tax": 5}],
                }
            },
            (Lost.TAXES,),
        ),
        ({"energy": taxed(19, {"priceKwh": 0.12345})}, (Lost.PRICE_ROUNDED,)),
        (
            {"energy": taxed(19, {"priceKwh": 1}), "minCost": {"inclTax": 1}},
            (Lost.BOUND_COMPUTED,),
        ),
        ({"customData": {"vendorId": "v", "zone": "Europe/Berlin"}}, ()),
        (
            {
                "energy": taxed(19, {"priceKwh": 1, "conditions": {"startTimeOfDay": "12:00"}}),
                "customData": {"vendorId": "v", "zone": "Europe/Berlin"},
            },
            (Lost.ZONE,),
        ),
        (
            {"chargingTime": taxed(19, {"priceMinute": 1, "conditions": {"minChargingTime": 9}})},
            (Lost.CHARGING_CONDITION,),
        ),
    ],
)
def test_what_gets_lost(members: dict[str, Any], lost: tuple[Lost, ...]) -> None:
    assert export(tariff(**members)).lost == lost


def test_a_condition_that_cannot_be_said_never_announces_less() -> None:
    """Of the price and all behind it, the highest."""
    day = {"startTimeOfDay": "07:00", "endTimeOfDay": "22:00"}
    sold = tariff(
        idleTime=taxed(
            0,
            {"priceMinute": 0, "conditions": {"maxIdleTime": 900, **day}},
            {"priceMinute": 0.2, "conditions": day},
            {"priceMinute": 0.1},
        )
    )
    elements = export(sold).body["elements"]
    assert [(one["price_components"][0]["price"], "restrictions" in one) for one in elements] == [
        (12, True),
        (12, True),
        (6, False),
    ]


SLACK = Decimal("0.00011")  # four decimals, of an hour


@given(TARIFFS, usages())
def test_at_no_time_ocpi_announces_less_than_is_billed(sold: Tariff, both: tuple[Usage, Usage]) -> None:
    """Whatever conditions it cannot say; the calculator shares nothing with the exporter."""
    exported, usage = export(sold).body, both[1]
    names = {Kind.ENERGY: ("ENERGY", 1), Kind.CHARGING: ("TIME", 60), Kind.IDLE: ("PARKING_TIME", 60)}
    mwh = 0
    for segment in cut(usage, sold, BERLIN):
        period = segment.period
        hours = Decimal((period.end - period.start) // MICROSECOND) / 3_600_000_000
        now = ocpi221.Moment(
            local=(usage.periods[0].start + segment.begin * MICROSECOND).astimezone(BERLIN),
            kwh=Decimal(mwh) / 1_000_000,
            seconds=segment.begin / 1_000_000,
            kw=Decimal(period.mwh) / 1_000_000 / hours,
        )
        announced = ocpi221.prices(exported, now)
        for component, price in zip(sold.metered, segment.prices, strict=True):
            dimension, factor = names[component.kind]
            if price is not None:
                assert announced.get(dimension, Decimal(0)) + SLACK >= price.price * factor
        mwh += segment.mwh


def test_long_ids() -> None:
    sold = Tariff.read({"tariffId": "x" * 37, "currency": "EUR"})
    exported = export(sold)
    assert exported.lost == (Lost.ID,)
    assert exported.body["id"] == export(sold).body["id"] != export(tariff()).body["id"]


@pytest.mark.parametrize("example", EXAMPLES)
def test_the_examples_of_ocpi_come_back(example: str) -> None:
    """Their prices of an hour are not always a decimal number of a minute; the hour is right again."""
    exported = export(tariff(**EXAMPLES[example][0]))
    assert set(exported.lost) <= {Lost.PRICE_ROUNDED, Lost.TAX_UNKNOWN}
    prices = {part["price"] for element in exported.body["elements"] for part in element["price_components"]}
    assert prices <= {0, 0.2, 0.25, 0.35, 0.4, 0.5, 1, 1.2, 1.25, 1.9, 2, 2.4, 2.5, 3, 5, 6}


def test_every_loss_has_its_words() -> None:
    assert len({one.value for one in Lost}) == len(Lost)
    assert all(one.value.endswith(".") for one in Lost)
