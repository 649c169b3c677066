"""Documents of a ledger, read for previews and statements."""

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from csms.ledger.world import World
from csms.tariffs.documents import billed, document
from csms.tariffs.sessions import CHARGING, tariff, used
from csms.tariffs.test_settled import START, charge, documents, pay_and_correct
from voltgate.csms.ledger import documents as ledger_documents
from voltgate.csms.ledger import times
from voltgate.csms.ledger.documents import Cdr as Head
from voltgate.csms.tariffs import archive, statement
from voltgate.csms.tariffs.preview import preview

DAY = timedelta(days=1)
BERLIN = ZoneInfo("Europe/Berlin")


@pytest.fixture
def world() -> World:
    """An invoice of 6.90, its credit, and one of 3.70, all of June."""
    one = charge(World())
    pay_and_correct(one, documents(one)[0])
    return one


@pytest.fixture
def query(world: World) -> Iterator[Callable[..., list[Any]]]:
    with world.books.begin() as tx:
        yield tx.all


def test_a_preview_compares_with_what_counts_now(query: Callable[..., list[Any]]) -> None:
    new = tariff(energy=[{"priceKwh": 0.37}], fixedFee=[{"priceFixed": 0.5}])
    found = preview(archive.past(query, START - DAY, START + DAY), new)
    assert (found.before, found.after, found.more, found.less, found.same) == (3_700_000, 4_200_000, 1, 0, 0)
    assert preview(archive.past(query, START - DAY, START + DAY, "HH"), new) == found
    for since, until, site in ((START - DAY, START, None), (START - DAY, START + DAY, "elsewhere")):
        assert list(archive.past(query, since, until, site)) == []


def test_a_statement(query: Callable[..., list[Any]]) -> None:
    zone = archive.zone(query, "HH", "UTC")
    assert (zone, archive.zone(query, "elsewhere", "Asia/Tokyo")) == (BERLIN, ZoneInfo("Asia/Tokyo"))
    entries = list(archive.entries(query, "HH", date(2026, 6, 30), zone))
    assert [(one.cdr.kind, one.payment, one.cdr.billed.bill.cost) for one in entries] == [
        ("invoice", "paid", "6.90"),
        ("credit", "due", "-6.90"),
        ("invoice", "paid", "3.70"),
    ]
    assert [(one.cost, one.open) for one in statement.sums(entries)] == [(3_700_000, -6_900_000)]
    assert list(archive.entries(query, "HH", date(2026, 5, 1), zone)) == []
    assert list(archive.entries(query, "", date(2026, 6, 1), zone)) == []


def test_one_document(query: Callable[..., list[Any]]) -> None:
    ((id,),) = query("SELECT id FROM cdr WHERE kind = 'credit'")
    found = archive.document(query, id)
    assert found is not None
    assert (found.id, found.billed.bill.cost) == (id, "-6.90")
    assert archive.document(query, "none") is None


def test_more_documents_than_a_piece(monkeypatch: pytest.MonkeyPatch) -> None:
    """Some of them issued at the same tick."""
    monkeypatch.setattr(archive, "PIECE", 3)
    world = World()
    at = datetime(2026, 6, 1, tzinfo=UTC)
    body = document(billed(used("2026-06-01 10:00", (60, 1, CHARGING)), tariff()))
    with world.books.begin() as tx:
        for number in range(11):
            issued = times.text(at + number // 4 * DAY)
            head = Head(
                f"{number:02}", f"n-2026-{number}", "HH", "s", "c", number, "invoice", 0, "EUR", 0, issued
            )
            ledger_documents.keep(tx, head, body)
        assert len(list(archive.entries(tx.all, "HH", date(2026, 6, 1), ZoneInfo("UTC")))) == 11
        assert len(list(archive.past(tx.all, at, at + DAY))) == 4
