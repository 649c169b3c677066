"""Tariffs in words."""

from dataclasses import replace
from typing import Any

import pytest

from csms.tariffs.sessions import tariff, taxed
from voltgate.csms.tariffs import form
from voltgate.csms.tariffs.sentence import ENGLISH, sentence
from voltgate.csms.tariffs.tariff import Kind, Tariff

FULL = {
    "currency": "EUR",
    "tax_percent": "19",
    "energy_kwh": "0.39",
    "start": "0.5",
    "minute": "0.0225",
    "idle_minute": "0.1",
    "idle_after_minutes": 15,
    "idle_cap": "12",
    "night": {"from": "22:00", "to": "06:00", "energy_kwh": "0.29"},
}
PLAIN = [{"priceKwh": 2}, {"priceKwh": 3}]
DAYTIME = {"startTimeOfDay": "07:00", "endTimeOfDay": "22:00"}
MIDDLE = ["Monday", "Wednesday", "Tuesday"]
CHRISTMAS = {"validFromDate": "2026-12-24", "validToDate": "2026-12-27"}
MAX = {"inclTax": 11}


def test_a_form_in_words() -> None:
    assert sentence(form.read("t", FULL)) == (
        "0.29 €/kWh 22:00-06:00, otherwise 0.39 €/kWh; 0.50 € per session; 0.0225 €/min of charging; "
        "0.10 €/min without charging after the first 15 min; at most 12.00 € for time without charging; "
        "prices include 19 % tax"
    )


@pytest.mark.parametrize(
    ("members", "words"),
    [
        ({}, "free of charge"),
        ({"energy": [{"priceKwh": 0}]}, "free of charge"),
        (
            {"energy": [{"priceKwh": 0, "conditions": {"maxTime": 1800}}, {"priceKwh": 0.4}]},
            "0.00 €/kWh in the first 30 min, otherwise 0.40 €/kWh",
        ),
        (
            {"energy": [{"priceKwh": 1, "conditions": {"minEnergy": 10000, "maxEnergy": 20500}}]},
            "1.00 €/kWh between 10 kWh and 20.5 kWh",
        ),
        (
            {"energy": [{"priceKwh": 1, "conditions": {"minPower": 11000}}, *PLAIN]},
            "1.00 €/kWh at 11 kW or more, otherwise 2.00 €/kWh",
        ),
        (
            {"idleTime": [{"priceMinute": 1, "conditions": {**DAYTIME, "dayOfWeek": MIDDLE}}]},
            "1.00 €/min without charging 07:00-22:00 Mon-Wed",
        ),
        (
            {"fixedFee": [{"priceFixed": 1, "conditions": {"dayOfWeek": ["Saturday", "Sunday", "Tuesday"]}}]},
            "1.00 € per session Tue, Sat, Sun",
        ),
        (
            {"fixedFee": [{"priceFixed": 1, "conditions": CHRISTMAS}]},
            "1.00 € per session from 2026-12-24 until 2026-12-26",
        ),
        (
            {"energy": taxed(10, {"priceKwh": 0.25}), "minCost": {"exclTax": 0.5}, "maxCost": MAX},
            "0.275 €/kWh; at least 0.50 € without tax per session; at most 11.00 € per session; "
            "prices include 10 % tax",
        ),
        (
            {"energy": taxed(10, {"priceKwh": 0.2}), "fixedFee": taxed(20, {"priceFixed": 0.5})},
            "0.22 €/kWh; 0.60 € per session",
        ),
    ],
)  # fmt: skip
def test_sentences(members: dict[str, Any], words: str) -> None:
    assert sentence(tariff(**members)) == words


def test_currencies() -> None:
    def of(currency: str) -> str:
        body = {"tariffId": "t", "currency": currency, "energy": {"prices": [{"priceKwh": 31}]}}
        return sentence(Tariff.read(body))

    assert [of("JPY"), of("GBP"), of("KWD")] == ["31 JPY/kWh", "31.00 £/kWh", "31.000 KWD/kWh"]


def test_another_language() -> None:
    """The function knows no English."""
    prices = {kind: "{}/" + kind.value[::-1] for kind in Kind}
    words = replace(ENGLISH, prices=prices, otherwise="sonst {}", tax_included="inkl. {} % USt.")
    night = {"startTimeOfDay": "22:00", "endTimeOfDay": "06:00"}
    sold = tariff(energy=taxed(0.5, {"priceKwh": 1, "conditions": night}, {"priceKwh": 2}))
    assert sentence(sold, words) == "1.005 €/ygrene 22:00-06:00, sonst 2.01 €/ygrene; inkl. 0.5 % USt."
