"""Receipts: what is on them, in two languages, for whom; texts of chargers and people are shown as text."""

from typing import Any

import pytest

from csms.console.desk import Books, Desk
from voltgate.csms.console.receipts import page

HOSTILE = "<script>alert('{1}')</script>&\""
SESSION = {
    "id": "s1", "charger": "CP1", "started": "2026-05-01T10:00:00.000Z", "ended": None, "energy_wh": 1500.4,
    "currency": "EUR", "cost": "1.00",
}  # fmt: skip
LINE = {
    "kind": "energy", "from": "2026-05-01T10:00:00.000Z", "to": "2026-05-01T11:00:00.000Z",
    "quantity": "1.500000", "unit": "kWh", "price": "0.39", "amount": "0.59", "tax": "0.10",
}  # fmt: skip
START = LINE | {
    "kind": "start",
    "to": "2026-05-02T09:00:00.000Z",
    "quantity": "1.000000",
    "unit": "session",
    "amount": "0.41",
    "tax": "0.07",
}
INVOICE = {
    "kind": "invoice", "number": "north-2026-3", "issued": "2026-05-02T00:00:00.000Z", "cost": "1.00",
    "currency": "EUR",
}  # fmt: skip
CREDIT = INVOICE | {"kind": "credit", "number": "north-2026-4", "cost": "-1.00"}


def printed(session: dict[str, Any] = SESSION, *documents: dict[str, Any], language: int = 0) -> str:
    return page(session, [LINE, START], [*documents], language=language, styles="")


def test_lines_their_sum_and_the_tax_in_it() -> None:
    text = printed()
    assert "1.500 kWh" in text
    assert "<td>1.5 kWh</td>" in text
    assert "<td>1</td>" in text, "a start is one"
    assert '<th scope="col">Price (EUR)</th>' in text
    assert "<td>0.39</td>" in text
    assert "2026-05-01 10:00:00 &ndash; 11:00:00" in text
    assert "2026-05-01 10:00:00 &ndash; 2026-05-02 09:00:00" in text
    assert "<b>1.00 EUR</b>" in text
    assert "together: 0.17 EUR" in text
    assert "Receipt (provisional)" in text, "no document was issued"


def test_the_number_is_that_of_the_last_invoice_and_credits_are_listed() -> None:
    text = printed(SESSION, CREDIT, INVOICE)
    assert "<h1>Receipt north-2026-3</h1>" in text
    assert text.index('<td>Credit</td><td class="long">north-2026-4</td>') < text.index("<td>Invoice</td>")
    assert "<td>-1.00 EUR</td>" in text


def test_german() -> None:
    text = printed(SESSION, CREDIT, language=1)
    assert '<html lang="de">' in text
    for word in ("Beleg (vorläufig)", "Energie", "Summe", "Gutschrift"):
        assert word in text


@pytest.mark.parametrize("member", ["charger", "id", "started", "cost"])
def test_a_hostile_text_is_text(member: str) -> None:
    text = printed(SESSION | {member: HOSTILE}, INVOICE | {"number": HOSTILE})
    assert "<script" not in text
    assert "&lt;script&gt;" in text


def test_a_session_without_energy_or_cost() -> None:
    text = page(SESSION | {"energy_wh": None, "cost": None, "currency": None}, [], [], language=0, styles="")
    assert "<b>- </b>" in text
    assert "<dd>-</dd>" in text


async def test_it_is_for_whoever_sees_the_session(console: Desk, books: Books) -> None:
    books.charger()
    books.session(currency="EUR", cost=590_000, state="settled")
    books.cdr()
    where = f"{console.url}/receipts/s1"
    async with console.http.get(where, allow_redirects=False) as answer:
        assert (answer.status, answer.headers["Location"]) == (303, "/login")
    for sites, status in ((None, 200), (["north"], 200), (["south"], 404), ([], 404)):
        key = {"Authorization": f"Bearer {await console.key('viewer', sites)}"}
        async with console.http.get(where, headers=key) as answer:
            assert answer.status == status
            assert ("north-2026-c1" in await answer.text()) == (status == 200)
        async with console.http.get(f"{console.url}/receipts/none", headers=key) as answer:
            assert answer.status == 404
    german = {"Authorization": f"Bearer {await console.key('viewer')}", "Accept-Language": "de-DE,en;q=0.5"}
    async with console.http.get(where, headers=german) as answer:
        assert "<h1>Beleg north-2026-c1</h1>" in await answer.text()


@pytest.mark.parametrize(
    ("price", "shown"), [("1", "1.00"), ("0.3900", "0.39"), ("0.3875", "0.3875"), ("1E+1", "10.00")]
)
def test_a_price_has_two_digits_at_least(price: str, shown: str) -> None:
    assert f"<td>{shown}</td>" in page(SESSION, [LINE | {"price": price}], [], language=0, styles="")
