"""Which tariffs are read and which refused, and what is made of a tariff for others."""

from decimal import Decimal
from typing import Any

import orjson
import pytest

from csms.tariffs.sessions import BERLIN, CHARGING, tariff, taxed, used
from voltgate import Codec
from voltgate.csms.tariffs.conditions import TariffFault
from voltgate.csms.tariffs.price import price
from voltgate.csms.tariffs.tariff import Tariff

MINIMAL = {"tariffId": "t", "currency": "EUR"}


@pytest.mark.parametrize(
    ("members", "pointer"),
    [
        ({"currency": "Euro"}, "/currency"),  # the schema
        ({"currency": "eur"}, "/currency"),
        ({"currency": "E"}, "/currency"),
        ({"tariffId": "x" * 61}, "/tariffId"),
        ({"energy": {"prices": []}}, "/energy/prices"),
        ({"energy": {"prices": [{"priceKwh": "0.39"}]}}, "/energy/prices/0/priceKwh"),
        ({"energy": {"prices": [{"priceKwh": -0.1}]}}, "/energy/prices/0/priceKwh"),
        ({"unknown": 1}, "/unknown"),
        ({"reservationTime": {"prices": [{"priceMinute": 1}]}}, "/reservationTime"),
        (
            {"idleTime": {"prices": [{"priceMinute": 1, "conditions": {"startTimeOfDay": "25:00"}}]}},
            "/idleTime/prices/0/conditions/startTimeOfDay",
        ),
        ({"energy": {**taxed(119, {"priceKwh": 1})}}, "/energy/taxRates/0/tax"),
        ({"minCost": {}}, "/minCost"),
        ({"maxCost": {"inclTax": -1}}, "/maxCost"),
        ({"customData": {"vendorId": "v", "zone": "Europe/Atlantis"}}, "/customData/zone"),
        ({"customData": {"vendorId": "v", "zone": "../etc/passwd"}}, "/customData/zone"),
        ({"customData": {"vendorId": "v", "zone": 1}}, "/customData/zone"),
        ({"customData": {"vendorId": "v", "idleCap": "12"}}, "/customData/idleCap"),
        ({"customData": {"vendorId": "v", "idleCap": True}}, "/customData/idleCap"),
        ({"customData": {"vendorId": "v", "taxIncluded": 1}}, "/customData/taxIncluded"),
    ],
)
def test_refused(members: dict[str, Any], pointer: str) -> None:
    with pytest.raises(TariffFault) as caught:
        Tariff.read({**MINIMAL, **members})
    assert caught.value.pointer == pointer
    assert str(caught.value).startswith(pointer)


def test_prices_are_the_shortest_decimals() -> None:
    (component,) = tariff(energy=[{"priceKwh": 0.1}]).components
    assert component.prices[0].price == Decimal("0.1")


@pytest.mark.parametrize("included", [True, False])
def test_a_charger_gets_the_prices_that_are_billed(included: bool) -> None:
    """It adds tax rates to prices, so a tariff whose prices are with tax goes without rates."""
    sold = tariff(energy=taxed(19, {"priceKwh": 0.39}), customData={"vendorId": "v", "taxIncluded": included})
    sent = sold.for_charger()
    request = orjson.dumps({"evseId": 0, "tariff": sent})
    assert Codec("ocpp2.1").check("SetDefaultTariff", "request", request) is None
    assert ("taxRates" in sent["energy"]) is not included
    billed = Tariff.read({name: part for name, part in sent.items() if name != "customData"})
    usage = used("2026-06-01 10:00", (60, 21.3, CHARGING))
    assert price(usage, billed, BERLIN).total == price(usage, sold, BERLIN).total


def test_the_tax_of_the_site_is_inside_prices_without_rates() -> None:
    usage = used("2026-06-01 10:00", (60, 10, CHARGING))
    sold = tariff(fixedFee=[{"priceFixed": 1}], energy=[{"priceKwh": 0.39}])
    plain, site = price(usage, sold, BERLIN), price(usage, sold.with_tax(Decimal("19")), BERLIN)
    assert (plain.cost, plain.tax) == ("4.90", 0)
    assert (site.cost, site.tax) == ("4.90", 780_000)
    own = tariff(energy=taxed(7, {"priceKwh": 0.39}))
    assert own.with_tax(Decimal("19")) is own
