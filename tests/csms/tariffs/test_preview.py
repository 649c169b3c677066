"""Sessions of the past by another tariff."""

from csms.tariffs.sessions import BERLIN, CHARGING, IDLE, tariff, used
from voltgate.csms.tariffs.preview import Past, Preview, preview
from voltgate.csms.tariffs.price import price

OLD = tariff(energy=[{"priceKwh": 0.4}])
NEW = tariff(energy=[{"priceKwh": 0.35}], idleTime=[{"priceMinute": 0.1}])
USAGES = [
    used("2026-06-01 10:00", (60, 20, CHARGING)),  # 8.00, 7.00
    used("2026-06-01 10:00", (60, 10, CHARGING), (10, 0, IDLE)),  # 4.00, 4.50
    used("2026-06-01 10:00", (60, 10, CHARGING), (5, 0, IDLE)),  # 4.00, 4.00
]


def past(currency: str = "EUR") -> list[Past]:
    return [Past(one, BERLIN, price(one, OLD, BERLIN).total, currency) for one in USAGES]


def test_who_pays_less() -> None:
    found = preview(past(), NEW)
    assert found == Preview("EUR", before=16_000_000, after=15_500_000, less=1, more=1, same=1)
    assert found.percent == -3.125


def test_nothing_to_compare_with() -> None:
    assert preview(past("NOK"), NEW) == Preview("EUR", other_currency=3)
    assert preview([], NEW).percent is None
