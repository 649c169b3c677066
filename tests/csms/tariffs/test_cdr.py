"""Documents: they survive, and their amounts follow from their contents."""

from dataclasses import replace

import orjson
import pytest

from csms.tariffs.documents import billed, document
from csms.tariffs.sessions import CHARGING, IDLE, tariff, taxed, used
from voltgate.csms.tariffs.cdr import Billed, CdrKind, read
from voltgate.csms.tariffs.price import Bill
from voltgate.csms.tariffs.tariff import Tariff

SOLD = tariff(
    fixedFee=taxed(20, {"priceFixed": 0.5}),
    energy=taxed(10, {"priceKwh": 0.333}),
    idleTime=[{"priceMinute": 0.07}],
    minCost={"inclTax": 20},
)
USAGE = used("2026-03-29T00:30:00.125", (61.5, 12.345678, CHARGING, 31.9), (7.123, 0, IDLE))


def test_a_document_survives() -> None:
    written = document(billed(USAGE, SOLD))
    cdr = read(written)
    assert cdr.billed == billed(USAGE, SOLD)
    assert (cdr.number, cdr.kind, cdr.site, cdr.credits) == ("HH-2026-000001", CdrKind.INVOICE, "HH", "")
    assert orjson.dumps(cdr.billed.json()) == orjson.dumps(orjson.loads(written)["bill"])


def test_what_others_read() -> None:
    bill = billed(USAGE, SOLD).json()
    named = (bill["cost"], bill["tax"], bill["currency"], bill["energy_wh"])
    assert named == ("20.00", "1.82", "EUR", "12345.678")
    assert bill["lines"][1] == {
        "kind": "energy",
        "from": "2026-03-29T00:30:00.125Z",
        "to": "2026-03-29T01:31:30.125Z",
        "quantity": "12.345678",
        "unit": "kWh",
        "price": "0.3663",
        "amount": "4.52",
        "tax": "0.41",
    }


def test_the_bill_follows_from_the_contents() -> None:
    kept = read(document(billed(USAGE, SOLD))).billed
    assert kept.recomputed() == kept.bill
    free = replace(billed(USAGE, SOLD), tariff={}, bill=Bill((), 0, 0, "EUR"))
    assert Billed.of(free.json()).recomputed() == free.bill


def test_a_credit_takes_everything_back() -> None:
    invoice = billed(USAGE, SOLD)
    credit = read(document(invoice.credited(), kind="credit", credits="the invoice", why="a stop came late"))
    assert (credit.kind, credit.credits, credit.why) == (CdrKind.CREDIT, "the invoice", "a stop came late")
    assert credit.billed.bill.cost == "-20.00"
    for taken, one in zip(credit.billed.bill.lines, invoice.bill.lines, strict=True):
        assert (taken.amount, taken.tax, taken.quantity) == (-one.amount, -one.tax, -one.quantity)
        assert taken.price == one.price
    assert credit.billed.credited() == invoice


@pytest.mark.parametrize("currency", ["JPY", "KWD"])
def test_amounts_of_other_currencies_survive(currency: str) -> None:
    sold = Tariff.read({"tariffId": "t", "currency": currency, "energy": {"prices": [{"priceKwh": 1.2345}]}})
    assert Billed.of(billed(USAGE, sold).json()) == billed(USAGE, sold)


@pytest.mark.parametrize("broken", [b"", b"[]", b"{}", b'{"cdr":{}}', b'{"cdr":null}'])
def test_what_is_not_a_document(broken: bytes) -> None:
    with pytest.raises((KeyError, TypeError, ValueError)):
        read(broken)
