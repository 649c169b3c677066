"""CDRs as OCPI 2.2.1, judged by the schema and by a calculator of their own."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given

from csms.tariffs import ocpi221
from csms.tariffs.documents import billed, document
from csms.tariffs.sessions import BERLIN, CHARGING, IDLE, WAITING, tariff, taxed, used
from csms.tariffs.test_cut import usages
from voltgate.csms.tariffs import money, ocpi_cdr
from voltgate.csms.tariffs.cdr import read
from voltgate.csms.tariffs.ocpi import Exported, Lost, Party
from voltgate.csms.tariffs.ocpi_cdr import Location, Token
from voltgate.csms.tariffs.price import Bill
from voltgate.csms.tariffs.tariff import Tariff
from voltgate.csms.tariffs.usage import Usage

PARTY = Party("DE", "VGT")
TOKEN = Token("DE", "EMP", "04A2B3", "RFID", "DE-EMP-C12345678-X")
PLACE = Location(
    "HH",
    "Hafen",
    "Am Kai 1",
    "Hamburg",
    "DEU",
    "53.54100",
    "9.98400",
    "DE*VGT*E1*1",
    "CHADEMO",
    "CABLE",
    "DC",
)
NIGHT = {"startTimeOfDay": "22:00", "endTimeOfDay": "06:00"}
SOLD = tariff(
    fixedFee=taxed(20, {"priceFixed": 0.5}),
    energy=taxed(10, {"priceKwh": 0.2, "conditions": NIGHT}, {"priceKwh": 0.4}),
    chargingTime=taxed(10, {"priceMinute": 0.01, "conditions": {"minTime": 1800}}),
    idleTime=taxed(20, {"priceMinute": 0.05}),
)
USAGE = used("2026-06-01 19:30", (60, 12, CHARGING), (20, 0, IDLE))  # 21:30 in Berlin


def export(usage: Usage, sold: Tariff, **head: Any) -> Exported:
    one = billed(usage, sold)
    cdr = read(document(one.credited() if head.get("kind") == "credit" else one, **head))
    exported = ocpi_cdr.export(cdr, PARTY, PLACE, TOKEN)
    assert ocpi221.faults(exported.body, ocpi221.CDR) == []
    return exported


def test_an_invoice() -> None:
    exported = export(USAGE, SOLD)
    body = exported.body
    assert exported.lost == (Lost.ID,)  # a session's UUID and a revision are 38 characters
    assert body["charging_periods"] == [
        {
            "start_date_time": "2026-06-01T19:30:00.000Z",
            "dimensions": [{"type": "ENERGY", "volume": 6}, {"type": "TIME", "volume": 0.5}],
            "tariff_id": "t",
        },
        {
            "start_date_time": "2026-06-01T20:00:00.000Z",
            "dimensions": [{"type": "ENERGY", "volume": 6}, {"type": "TIME", "volume": 0.5}],
            "tariff_id": "t",
        },
        {
            "start_date_time": "2026-06-01T20:30:00.000Z",
            "dimensions": [{"type": "ENERGY", "volume": 0}, {"type": "PARKING_TIME", "volume": 0.3333}],
            "tariff_id": "t",
        },
    ]
    sums = {name: value for name, value in body.items() if name.startswith("total")}
    assert sums == {
        "total_cost": {"excl_vat": 5.4, "incl_vat": 6.09},
        "total_fixed_cost": {"excl_vat": 0.5, "incl_vat": 0.6},
        "total_energy": 12,
        "total_energy_cost": {"excl_vat": 3.6, "incl_vat": 3.96},
        "total_time": 1.3333,
        "total_time_cost": {"excl_vat": 0.3, "incl_vat": 0.33},
        "total_parking_time": 0.3333,
        "total_parking_cost": {"excl_vat": 1, "incl_vat": 1.2},
    }
    assert (body["cdr_token"]["uid"], body["invoice_reference_id"]) == ("04A2B3", "HH-2026-000001")


def test_a_credit_is_the_invoice_with_a_negative_total() -> None:
    invoice = export(USAGE, SOLD).body
    credit = export(
        USAGE, SOLD, id="credit", kind="credit", credits=f"{invoice['session_id']}/1", why="late stop"
    ).body
    assert credit == {
        **invoice,
        "id": "credit",
        "total_cost": {"excl_vat": -5.4, "incl_vat": -6.09},
        "credit": True,
        "credit_reference_id": invoice["id"],
        "remark": "late stop",
    }


def test_what_the_books_do_not_know() -> None:
    sold = tariff(energy=[{"priceKwh": 0.4}])
    usage = used("2026-06-01 19:30", (5, 0, WAITING), (60, 12, CHARGING))
    exported = ocpi_cdr.export(read(document(billed(usage, sold))), PARTY, Location(), None)
    assert ocpi221.faults(exported.body, ocpi221.CDR) == []
    assert exported.lost == (Lost.TAX_UNKNOWN, Lost.ID, Lost.TOKEN, Lost.LOCATION, Lost.WAITING)


def test_a_session_without_a_tariff() -> None:
    one = replace(billed(USAGE, SOLD), tariff={}, bill=Bill((), 0, 0, "EUR"))
    exported = ocpi_cdr.export(read(document(one)), PARTY, PLACE, TOKEN)
    assert ocpi221.faults(exported.body, ocpi221.CDR) == []
    assert exported.body["tariffs"] == []
    assert exported.body["charging_periods"] == [
        {"start_date_time": "2026-06-01T19:30:00.000Z", "dimensions": [{"type": "ENERGY", "volume": 12}]}
    ]


LOSSLESS = [
    SOLD,
    tariff(
        energy=taxed(0, {"priceKwh": 50, "conditions": {"maxEnergy": 2}}, {"priceKwh": 90}),
        chargingTime=taxed(0, {"priceMinute": 0.01, "conditions": {"maxTime": 3600}}),
    ),
    tariff(energy=taxed(10, {"priceKwh": 0.4}), minCost={"exclTax": 1, "inclTax": 1.1}),
    tariff(
        idleTime=taxed(
            10, {"priceMinute": 0.05, "conditions": {"startTimeOfDay": "02:30", "endTimeOfDay": "03:00"}}
        )
    ),
]


@pytest.mark.parametrize("sold", LOSSLESS, ids=range(len(LOSSLESS)))
@given(both=usages())
def test_another_calculator_comes_to_the_same_cost(sold: Tariff, both: tuple[Usage, Usage]) -> None:
    """From the exported CDR alone, but for what rounding to four decimals and to cents takes."""
    usage = both[1]
    bill = billed(usage, sold).bill
    exported = export(usage, sold)
    assert set(exported.lost) <= {Lost.ID, Lost.WAITING}
    if any(one.mwh or one.charging for one in usage.periods):  # else there is no start fee
        expected = ocpi221.cost(exported.body, BERLIN)
        parts = len(exported.body["charging_periods"])
        slack = Decimal("0.005") * max(len(bill.lines), 1) + parts * Decimal("0.0001") * 100
        assert abs(expected - money.decimal(bill.total, "EUR")) <= slack
