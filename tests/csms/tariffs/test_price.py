"""Bills. The documented examples of OCPI 2.2.1 are in test_ocpi_examples.py."""

from typing import Any

import pytest

from csms.tariffs.sessions import BERLIN, CHARGING, IDLE, WAITING, lines, tariff, taxed, used
from voltgate.csms.tariffs.price import price
from voltgate.csms.tariffs.tariff import Tariff
from voltgate.csms.tariffs.usage import Usage

TWICE = {"startTimeOfDay": "02:30", "endTimeOfDay": "03:00"}
DAYTIME = {"startTimeOfDay": "07:00", "endTimeOfDay": "22:00"}
CHRISTMAS_EVE = {"validFromDate": "2026-12-24", "validToDate": "2026-12-25"}
FEDERAL, STATE = {"type": "Federal", "tax": 5}, {"type": "State", "tax": 5}
NIGHT = {"startTimeOfDay": "22:00", "endTimeOfDay": "06:00"}
GRACE = {"minIdleTime": 900}


def bill(sold: Tariff, usage: Usage) -> list[tuple[str, str, str, int, int]]:
    return lines(price(usage, sold, BERLIN))


def test_a_bill_of_every_kind_of_line() -> None:
    sold = tariff(
        fixedFee=[{"priceFixed": 1}],
        energy=[{"priceKwh": 0.39}],
        chargingTime=[{"priceMinute": 0.02}],
        idleTime=[{"priceMinute": 0.1, "conditions": GRACE}],
        customData={"vendorId": "voltgate", "idleCap": 12},
    )
    usage = used("2026-06-01 10:00", (5, 0, WAITING), (60, 20.5, CHARGING), (200, 0, IDLE))
    made = price(usage, sold, BERLIN)
    assert lines(made) == [
        ("start", "1 session", "1", 100, 0),
        ("energy", "20.5 kWh", "0.39", 800, 0),  # 7.995: half to even
        ("charging", "60 min", "0.02", 120, 0),
        ("idle", "185 min", "0.1", 1850, 0),
        ("idle_cap", "1 session", "-6.5", -650, 0),
    ]
    assert (made.total, made.tax, made.currency, made.cost) == (22_200_000, 0, "EUR", "22.20")


def test_lines_say_from_when_to_when() -> None:
    usage = used("2026-06-01 19:00", (120, 10, CHARGING), (10, 0, IDLE))
    sold = tariff(
        energy=[{"priceKwh": 0.29, "conditions": NIGHT}, {"priceKwh": 0.39}], idleTime=[{"priceMinute": 1}]
    )
    times = [(one.kind, f"{one.start:%H:%M}", f"{one.end:%H:%M}") for one in price(usage, sold, BERLIN).lines]
    assert times == [("energy", "19:00", "20:00"), ("energy", "20:00", "21:00"), ("idle", "21:00", "21:10")]


# -- conditions: (members of the tariff, usage, lines) --------------------------------------------------

WEEKEND = {"dayOfWeek": ["Saturday", "Sunday"]}
CASES: dict[str, tuple[dict[str, Any], Usage, list[tuple[str, str, str, int, int]]]] = {
    "night, in the zone of the site": (
        {"energy": [{"priceKwh": 0.2, "conditions": NIGHT}, {"priceKwh": 0.4}]},
        used("2026-06-01 19:00", (120, 12, CHARGING)),  # 21:00 to 23:00
        [("energy", "6 kWh", "0.4", 240, 0), ("energy", "6 kWh", "0.2", 120, 0)],
    ),
    "night, in a zone of the tariff's own": (
        {
            "energy": [{"priceKwh": 0.2, "conditions": NIGHT}, {"priceKwh": 0.4}],
            "customData": {"vendorId": "voltgate", "zone": "America/New_York"},
        },
        used("2026-06-02 01:00", (120, 12, CHARGING)),
        [("energy", "6 kWh", "0.4", 240, 0), ("energy", "6 kWh", "0.2", 120, 0)],
    ),
    "a night of seven hours": (  # 29 March 2026, 22:00 to 06:00
        {"chargingTime": [{"priceMinute": 1, "conditions": NIGHT}]},
        used("2026-03-28 20:00", (600, 60, CHARGING)),
        [("charging", "420 min", "1", 42000, 0)],
    ),
    "a night of nine hours": (  # 25 October 2026
        {"chargingTime": [{"priceMinute": 1, "conditions": NIGHT}]},
        used("2026-10-24 19:00", (720, 60, CHARGING)),
        [("charging", "540 min", "1", 54000, 0)],
    ),
    "half an hour that happens twice": (
        {"chargingTime": [{"priceMinute": 1, "conditions": TWICE}]},
        used("2026-10-24 23:00", (300, 60, CHARGING)),
        [("charging", "60 min", "1", 6000, 0)],
    ),
    "a weekend begins at midnight": (
        {"energy": [{"priceKwh": 0.1, "conditions": WEEKEND}, {"priceKwh": 0.3}]},
        used("2026-06-05 21:00", (120, 4, CHARGING)),  # Friday 23:00
        [("energy", "2 kWh", "0.3", 60, 0), ("energy", "2 kWh", "0.1", 20, 0)],
    ),
    "a day": (
        {"energy": [{"priceKwh": 1, "conditions": CHRISTMAS_EVE}]},
        used("2026-12-23 22:00", (26 * 60, 26, CHARGING)),
        [("energy", "24 kWh", "1", 2400, 0)],
    ),
    "tiers of energy": (
        {"energy": [{"priceKwh": 0.5, "conditions": {"maxEnergy": 10000}}, {"priceKwh": 0.3}]},
        used("2026-06-01 10:00", (7, 9.5, CHARGING), (13, 5.5, CHARGING)),
        [("energy", "10 kWh", "0.5", 500, 0), ("energy", "5 kWh", "0.3", 150, 0)],
    ),
    "a tier of energy ends in the middle of a minute": (
        {"chargingTime": [{"priceMinute": 1, "conditions": {"minEnergy": 1000}}]},
        used("2026-06-01 10:00", (3, 1.8, CHARGING)),
        [("charging", "1.333333 min", "1", 133, 0)],
    ),
    "power": (
        {"energy": [{"priceKwh": 0.2, "conditions": {"maxPower": 11000}}, {"priceKwh": 0.6}]},
        used("2026-06-01 10:00", (30, 5.499999, CHARGING), (30, 5.5, CHARGING)),
        [("energy", "5.499999 kWh", "0.2", 110, 0), ("energy", "5.5 kWh", "0.6", 330, 0)],
    ),
    "current; where it was not measured no condition on it holds": (
        {"chargingTime": [
            {"priceMinute": 1, "conditions": {"maxCurrent": 32}},
            {"priceMinute": 2, "conditions": {"minCurrent": 32}},
        ]},
        used("2026-06-01 10:00", (10, 1, CHARGING, 31.999), (10, 1, CHARGING, 32), (10, 1, CHARGING)),
        [("charging", "10 min", "1", 1000, 0), ("charging", "10 min", "2", 2000, 0)],
    ),
    "time since the start, pauses included": (
        {"energy": [{"priceKwh": 0, "conditions": {"maxTime": 1800}}, {"priceKwh": 0.5}]},
        used("2026-06-01 10:00", (10, 1, CHARGING), (10, 0, IDLE), (20, 4, CHARGING)),
        [("energy", "3 kWh", "0", 0, 0), ("energy", "2 kWh", "0.5", 100, 0)],
    ),
    "charging time, pauses excluded": (
        {"chargingTime": [{"priceMinute": 1, "conditions": {"minChargingTime": 1200}}]},
        used("2026-06-01 10:00", (15, 1, CHARGING), (60, 0, IDLE), (15, 4, CHARGING)),
        [("charging", "10 min", "1", 1000, 0)],
    ),
    "the grace is for each idle period": (
        {"idleTime": [{"priceMinute": 1, "conditions": GRACE}]},
        used("2026-06-01 10:00", (9, 1, CHARGING), (14, 0, IDLE), (9, 1, CHARGING), (20, 0, IDLE)),
        [("idle", "5 min", "1", 500, 0)],
    ),
    "a pause of the operator's interrupts the grace and does not use it up": (
        {"idleTime": [{"priceMinute": 1, "conditions": GRACE}]},
        used("2026-06-01 10:00", (9, 1, CHARGING), (10, 0, IDLE), (30, 0, WAITING), (10, 0, IDLE)),
        [("idle", "5 min", "1", 500, 0)],
    ),
    "quiet hours": (
        {"idleTime": [{"priceMinute": 1, "conditions": DAYTIME}]},
        used("2026-06-01 18:00", (60, 9, CHARGING), (720, 0, IDLE)),  # idle 21:00 to 09:00
        [("idle", "180 min", "1", 18000, 0)],
    ),
    "a cap that is not reached": (
        {"idleTime": [{"priceMinute": 1}], "customData": {"vendorId": "voltgate", "idleCap": 12}},
        used("2026-06-01 10:00", (10, 1, CHARGING), (12, 0, IDLE)),
        [("idle", "12 min", "1", 1200, 0)],
    ),
    "the start fee of the weekend": (
        {"fixedFee": [{"priceFixed": 2, "conditions": WEEKEND}, {"priceFixed": 1}]},
        used("2026-06-05 22:00", (10, 1, CHARGING)),
        [("start", "1 session", "2", 200, 0)],
    ),
    "no start fee on weekdays": (
        {"fixedFee": [{"priceFixed": 2, "conditions": WEEKEND}]},
        used("2026-06-05 21:59", (10, 1, CHARGING)),
        [],
    ),
    "free": (
        {"energy": [{"priceKwh": 0}]},
        used("2026-06-01 10:00", (10, 1, CHARGING)),
        [("energy", "1 kWh", "0", 0, 0)],
    ),
    "nothing delivered: neither start fee nor minimum": (
        {"fixedFee": [{"priceFixed": 1}], "minCost": {"inclTax": 5}},
        used("2026-06-01 10:00", (10, 0, WAITING)),
        [],
    ),
    "one line a price, rounded once": (
        {"energy": [{"priceKwh": 0.39, "conditions": {"minPower": 11000}}, {"priceKwh": 0.29}]},
        used("2026-06-01 10:00", *[(1, kwh, CHARGING) for kwh in (0.2, 0.01) * 60]),
        [("energy", "12 kWh", "0.39", 468, 0), ("energy", "0.6 kWh", "0.29", 17, 0)],
    ),
    "tax on top": (
        {"energy": taxed(19, {"priceKwh": 0.3})},
        used("2026-06-01 10:00", (10, 1.5, CHARGING)),
        [("energy", "1.5 kWh", "0.357", 54, 9)],
    ),
    "tax included": (
        {"energy": taxed(19, {"priceKwh": 0.39}), "customData": {"vendorId": "v", "taxIncluded": True}},
        used("2026-06-01 10:00", (10, 10, CHARGING)),
        [("energy", "10 kWh", "0.39", 390, 62)],  # 3.90 / 1.19 = 3.277
    ),
    "tax upon tax": (
        {"energy": {"prices": [{"priceKwh": 1}], "taxRates": [
            FEDERAL, STATE, {"type": "Eco", "tax": 10, "stack": 1},
        ]}},
        used("2026-06-01 10:00", (10, 10, CHARGING)),
        [("energy", "10 kWh", "1.21", 1210, 210)],
    ),
    "a minimum with tax": (
        {"energy": taxed(10, {"priceKwh": 0.25}), "minCost": {"inclTax": 1.1}},
        used("2026-06-01 10:00", (10, 1, CHARGING)),
        [("energy", "1 kWh", "0.275", 28, 3), ("minimum", "1 session", "0.82", 82, 7)],
    ),
    "a minimum without tax": (
        {"energy": taxed(10, {"priceKwh": 0.2}), "minCost": {"exclTax": 1}},
        used("2026-06-01 10:00", (10, 1, CHARGING)),
        [("energy", "1 kWh", "0.22", 22, 2), ("minimum", "1 session", "0.88", 88, 8)],
    ),
    "a minimum of a session that cost nothing": (
        {"energy": taxed(10, {"priceKwh": 0}), "minCost": {"inclTax": 1.1}},
        used("2026-06-01 10:00", (10, 1, CHARGING)),
        [("energy", "1 kWh", "0", 0, 0), ("minimum", "1 session", "1.1", 110, 10)],
    ),
    "a maximum": (
        {"energy": taxed(10, {"priceKwh": 1}), "maxCost": {"inclTax": 5.5}},
        used("2026-06-01 10:00", (10, 10, CHARGING)),
        [("energy", "10 kWh", "1.1", 1100, 100), ("maximum", "1 session", "-5.5", -550, -50)],
    ),
    "a minimum below a maximum": (
        {"energy": taxed(10, {"priceKwh": 0.1}), "minCost": {"inclTax": 5.5}, "maxCost": {"inclTax": 11}},
        used("2026-06-01 10:00", (10, 1, CHARGING)),
        [("energy", "1 kWh", "0.11", 11, 1), ("minimum", "1 session", "5.39", 539, 49)],
    ),
    "a minimum above a maximum: the maximum is what is announced as the most": (
        {"energy": taxed(10, {"priceKwh": 0.1}), "minCost": {"inclTax": 5.5}, "maxCost": {"exclTax": 1}},
        used("2026-06-01 10:00", (10, 1, CHARGING)),
        [
            ("energy", "1 kWh", "0.11", 11, 1),
            ("minimum", "1 session", "5.39", 539, 49),
            ("maximum", "1 session", "-4.4", -440, -40),
        ],
    ),
    "two kinds of tax and a maximum": (
        {
            "fixedFee": taxed(20, {"priceFixed": 1}),
            "energy": taxed(5, {"priceKwh": 1}),
            "maxCost": {"inclTax": 5},
        },
        used("2026-06-01 10:00", (10, 10, CHARGING)),
        [
            ("start", "1 session", "1.2", 120, 20),
            ("energy", "10 kWh", "1.05", 1050, 50),
            ("maximum", "1 session", "-6.7", -670, -40),
        ],
    ),
    "a weekday that is named twice": (
        {"energy": [{"priceKwh": 1, "conditions": {"dayOfWeek": ["Monday", "Monday"]}}]},
        used("2026-06-01 10:00", (10, 1, CHARGING)),
        [("energy", "1 kWh", "1", 100, 0)],
    ),
    "a maximum that is not reached": (
        {"energy": [{"priceKwh": 1}], "maxCost": {"inclTax": 10}},
        used("2026-06-01 10:00", (10, 10, CHARGING)),
        [("energy", "10 kWh", "1", 1000, 0)],
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_bills(case: str) -> None:
    members, usage, expected = CASES[case]
    assert bill(tariff(**members), usage) == expected


def test_a_currency_without_cents() -> None:
    sold = Tariff.read({"tariffId": "t", "currency": "JPY", "energy": {"prices": [{"priceKwh": 30.5}]}})
    made = price(used("2026-06-01 10:00", (10, 1, CHARGING)), sold, BERLIN)
    assert (made.cost, made.total) == ("30", 300_000)


def test_no_periods_no_bill() -> None:
    assert price(Usage(()), tariff(fixedFee=[{"priceFixed": 1}]), BERLIN).lines == ()
