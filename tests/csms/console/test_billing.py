"""Previews, statements and OCPI through the API."""

import csv
import io
import json

from csms.console.desk import SOLD, USAGE, Books, Desk
from csms.tariffs import ocpi221
from csms.tariffs.documents import billed, document

MAY = {"from": "2026-05-01T00:00:00Z", "to": "2026-06-01T00:00:00Z"}
TARIFF = {"currency": "EUR", "energy_kwh": "0.40", "start": "0.50"}


def decide(books: Books, kind: str, id: str, body: object, seq: int = 1) -> None:
    books.put(
        "decision", kind=kind, id=id, seq=seq, valid_from="1970-01-01T00:00:00.000Z", body=json.dumps(body),
        by="ann", at="2026-04-01T10:00:00.000Z", why="", tick="2026-04-01T10:01:00.000Z",
    )  # fmt: skip


async def test_a_preview(console: Desk, books: Books) -> None:
    """1.5 kWh at 0.82 are 1.23, and 1.10 by the other tariff."""
    books.cdr("c1", session="s1")
    books.cdr("c2", "south", session="s2")
    answer = await console.ask("POST", "/tariffs/preview", {"tariff": TARIFF, **MAY})
    assert answer.json == {
        "sentence": "0.40 €/kWh; 0.50 € per session",
        "currency": "EUR",
        "before": "2.46",
        "after": "2.20",
        "percent": -10.57,
        "less": 2,
        "more": 0,
        "same": 0,
        "other_currency": 0,
        "complete": True,
    }
    some = await console.ask("POST", "/tariffs/preview", {"tariff": TARIFF, "site": "south", **MAY})
    assert some.json["before"] == "1.23"
    none = await console.ask("POST", "/tariffs/preview", {"tariff": TARIFF, "to": "2026-05-01T00:00:00Z"})
    assert (none.json["before"], none.json["percent"]) == ("0.00", None)


async def test_a_preview_of_what_is_not_a_tariff(console: Desk) -> None:
    answer = await console.ask(
        "POST", "/tariffs/preview", {"tariff": {"currency": "EUR", "energy_kwh": "-1"}}
    )
    assert answer.status == 422
    assert "/tariff/energy_kwh" in answer.text


async def test_a_statement(console: Desk, books: Books) -> None:
    decide(books, "site", "north", {"timezone": "Europe/Berlin"})
    books.cdr("c1", payment="paid")
    credit = document(billed(USAGE, SOLD).credited(), kind="credit", credits="c1")
    books.cdr("c2", kind="credit", document=credit)
    books.cdr("c3", issued="2026-04-30T21:59:59.000Z")  # April in Berlin too
    books.cdr("c4", "south")
    answer = await console.ask("GET", "/sites/north/statement?month=2026-05")
    assert answer.headers["Content-Disposition"] == 'attachment; filename="statement.csv"'
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert [(row["kind"], row["cost"], row["payment"]) for row in rows] == [
        ("invoice", "1.23", "paid"),
        ("credit", "-1.23", "due"),
        ("", "0.00", "due -1.23"),
    ]
    for month in ("2026-13", "may"):
        assert (await console.ask("GET", f"/sites/north/statement?month={month}")).status == 422


async def test_ocpi(console: Desk, books: Books) -> None:
    books.cdr()
    decide(books, "site", "north", {"name": "North", "address": "Am Kai 1"})
    decide(books, "tariff", "t/1", {"currency": "EUR", "energy_kwh": "0.39"})
    decide(books, "tariff", "t/1", TARIFF, seq=2)
    cdr = await console.get("/cdrs/c1/ocpi?party=DE*VGT")
    assert ocpi221.faults(cdr["object"], ocpi221.CDR) == []
    assert (cdr["object"]["party_id"], cdr["object"]["cdr_location"]["address"]) == ("VGT", "Am Kai 1")
    assert [one["name"] for one in cdr["lost"]] == ["TAX_UNKNOWN", "TOKEN", "LOCATION"]
    tariff = await console.get("/tariffs/t%2F1/ocpi?party=DE*VGT")
    assert ocpi221.faults(tariff["object"], ocpi221.TARIFF) == []
    assert tariff["object"]["last_updated"] == "2026-04-01T10:00:00.000Z"
    assert len(tariff["object"]["elements"]) == 2
    assert (await console.ask("GET", "/cdrs/none/ocpi?party=DE*VGT")).status == 404
    assert (await console.ask("GET", "/tariffs/none/ocpi?party=DE*VGT")).status == 404
    assert (await console.ask("GET", "/cdrs/c1/ocpi?party=Germany")).status == 422
    assert (await console.ask("GET", "/cdrs/c1/ocpi")).status == 422
