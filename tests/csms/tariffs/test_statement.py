"""The statement of a month."""

import csv
from datetime import UTC, date, datetime

from csms.tariffs.documents import billed, document
from csms.tariffs.sessions import BERLIN, CHARGING, tariff, taxed, used
from voltgate.csms.tariffs import statement
from voltgate.csms.tariffs.cdr import read
from voltgate.csms.tariffs.payments import Payment
from voltgate.csms.tariffs.statement import Entry, Sum
from voltgate.csms.tariffs.tariff import Tariff

SOLD = tariff(energy=taxed(19, {"priceKwh": 1}))
NOK = Tariff.read({"tariffId": "t", "currency": "NOK", "energy": {"prices": [{"priceKwh": 5}]}})
USAGE = used("2026-06-01 10:00", (60, 20.0005, CHARGING))


def entries() -> list[Entry]:
    one, other = billed(USAGE, SOLD), billed(USAGE, NOK)
    credit = document(one.credited(), 3, kind="credit", credits="HH/1", id="HH/1/credit")
    return [
        Entry(read(document(one, 1)), Payment.PAID),
        Entry(read(document(one, 2, charger="=cmd")), Payment.DUE),
        Entry(read(credit), Payment.DUE),
        Entry(read(document(other, 4)), Payment.WAIVED),
    ]


def test_rows_and_sums() -> None:
    rows = list(csv.DictReader("".join(statement.csv(entries())).splitlines()))
    assert [row["number"] for row in rows] == [
        "HH-2026-000001", "HH-2026-000002", "HH-2026-000003", "HH-2026-000004", "total", "total",
    ]  # fmt: skip
    assert rows[0] == {
        "number": "HH-2026-000001",
        "kind": "invoice",
        "issued": "2026-06-01T11:00:00.000Z",
        "session": read(document(billed(USAGE, SOLD))).session,
        "charger": "RDAM 1",
        "started": "2026-06-01T10:00:00.000Z",
        "ended": "2026-06-01T11:00:00.000Z",
        "energy_kwh": "20.0005",
        "currency": "EUR",
        "net": "20.00",
        "tax": "3.80",
        "cost": "23.80",
        "payment": "paid",
        "credits": "",
    }
    assert rows[1]["charger"] == "'=cmd"
    assert [rows[2][name] for name in ("kind", "energy_kwh", "cost", "tax")] == [
        "credit", "-20.0005", "-23.80", "-3.80",
    ]  # fmt: skip
    total = {name: rows[4][name] for name in ("energy_kwh", "currency", "net", "tax", "cost", "payment")}
    assert total == {
        "energy_kwh": "20.0005",
        "currency": "EUR",
        "net": "20.00",
        "tax": "3.80",
        "cost": "23.80",
        "payment": "0.00 due",
    }
    assert (rows[5]["currency"], rows[5]["cost"]) == ("NOK", "100.00")


def test_sums() -> None:
    eur, nok = statement.sums(entries())
    assert eur == Sum("EUR", 3, 20_000_500, 23_800_000, 3_800_000, 0)
    assert (nok.documents, nok.cost, nok.open) == (1, 100_000_000, 0)


def test_a_month_is_that_of_the_site() -> None:
    june = statement.period(date(2026, 6, 17), BERLIN)
    assert june == (datetime(2026, 5, 31, 22, tzinfo=UTC), datetime(2026, 6, 30, 22, tzinfo=UTC))
    december = statement.period(date(2026, 12, 1), BERLIN)
    assert december[1] == datetime(2026, 12, 31, 23, tzinfo=UTC)
