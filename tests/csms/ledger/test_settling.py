"""Invoices, credits, numbers, tariffs frozen at the start, and what people decide."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from csms.ledger.world import KEY, Said, World
from voltgate.csms.ledger import documents, explaining

START = datetime(2026, 12, 31, 22, 0, tzinfo=UTC)
TARIFF = {"currency": "EUR", "energy_kwh": "0.40"}


def at(minutes: float) -> datetime:
    return START + timedelta(minutes=minutes)


def stamp(minutes: float) -> str:
    return at(minutes).isoformat().replace("+00:00", "Z")


def event(kind: str, number: int, minutes: float, wh: int | None, tx: str = "A", **more: Any) -> Said:
    context = {"Started": "Transaction.Begin", "Ended": "Transaction.End"}.get(kind, "Sample.Periodic")
    body = {
        "eventType": kind, "seqNo": number, "timestamp": stamp(minutes), "evse": {"id": 1},
        "transactionInfo": {"transactionId": tx},
    } | more  # fmt: skip
    if wh is not None:
        sampled = [{"value": wh, "context": context}]
        body["meterValue"] = [{"timestamp": stamp(minutes), "sampledValue": sampled}]
    return Said(at(minutes), "TransactionEvent", body, version="v201")


def world(**csms: Any) -> World:
    made = World(**csms)
    made.decide("tariff", "T", TARIFF, at(-600))
    made.decide("assignment", "default", {"tariff": "T"}, at(-600))
    return made


def session(tx: str = "A", begin: float = 0, wh: int = 8000) -> list[Said]:
    return [event("Started", 0, begin, 1000, tx), event("Ended", 1, begin + 60, 1000 + wh, tx)]


def test_a_correction_is_a_credit_and_another_invoice_with_the_name_of_who_decided() -> None:
    books = world()
    books.run(session(), at(70))
    (settled,) = books.sessions()
    books.decide("correction", settled["id"], {"energy_wh": 5000}, at(80), why="meter defect")
    books.run([], at(85))
    (corrected,) = books.sessions()
    assert (corrected["wh"], corrected["cost"], corrected["revision"]) == (5000.0, "2.00", 2)
    assert corrected["flags"] == ["corrected"]
    assert [(kind, cost, revision) for _, kind, cost, revision in books.cdrs()] == [
        ("invoice", "3.20", 1), ("credit", "-3.20", 1), ("invoice", "2.00", 2),
    ]  # fmt: skip
    with books.books.begin() as tx:
        credit = documents.document(tx, f"{settled['id']}/1/credit")
    assert credit is not None
    assert credit["why"] == "meter defect (ann)"


def test_what_is_corrected_in_review_is_settled_then() -> None:
    books = world()
    books.run([event("Ended", 1, 60, 9000)], at(70))
    (waiting,) = books.sessions()
    assert (waiting["state"], waiting["cost"], books.cdrs()) == ("review", None, [])
    books.decide("correction", waiting["id"], {"energy_wh": 5000}, at(80), why="display of the charger")
    books.run([], at(85))
    (settled,) = books.sessions()
    assert (settled["state"], settled["wh"]) == ("settled", 5000.0)


def test_a_waiver_costs_nothing_and_takes_the_invoice_back() -> None:
    books = world()
    books.run(session(), at(70))
    books.decide("waiver", books.sessions()[0]["id"], {}, at(80), why="our fault")
    books.run([], at(85))
    (waived,) = books.sessions()
    assert (waived["cost"], waived["flags"]) == ("0.00", ["waived"])
    assert sum(float(cost) for _, _, cost, _ in books.cdrs()) == 0


def test_numbers_have_no_gap_and_begin_anew_with_the_year_of_the_site() -> None:
    """The year of Berlin ends an hour before that of UTC."""
    books = world(timezone="Europe/Berlin")
    books.decide("site", "S", {"timezone": "Europe/Berlin"}, at(-600))
    books.decide("charger", "CP1", {"site": "S"}, at(-600))
    books.run(session("A", -30) + session("B", 90, 100) + session("C", 200, 200), at(300))
    assert [number for number, *_ in books.cdrs()] == ["S-2026-000001", "S-2027-000001", "S-2027-000002"]


def test_a_tariff_is_frozen_at_the_start_of_a_session() -> None:
    books = world()
    books.run([event("Started", 0, 0, 1000)], at(5))
    books.decide("tariff", "T", TARIFF | {"energy_kwh": "9.99"}, at(6))
    books.run([event("Ended", 1, 60, 9000), event("Started", 0, 70, 9000, "B")], at(75))
    books.run([event("Ended", 1, 80, 10_000, "B")], at(90))
    assert [one["cost"] for one in books.sessions()] == ["3.20", "9.99"]


@pytest.mark.parametrize(
    ("scopes", "cost"),
    [
        (["default"], "0.08"),
        (["default", "site:S"], "0.16"),
        (["default", "site:S", "charger:CP1"], "0.24"),
        (["default", "site:S", "charger:CP1", "connector:CP1/1/1"], "0.32"),
        (["default", "site:S", "charger:CP1", "connector:CP1/1/1", "group:fleet"], "0.40"),
    ],
)
def test_the_nearest_assignment_counts(scopes: list[str], cost: str) -> None:
    books = World()
    books.decide("charger", "CP1", {"site": "S"}, at(-600))
    books.decide("group", KEY.of("CAFE"), {"group": "fleet"}, at(-600))
    for number, scope in enumerate(scopes):
        books.decide("tariff", f"T{number}", TARIFF | {"energy_kwh": f"0.0{number + 1}"}, at(-600))
        books.decide("assignment", scope, {"tariff": f"T{number}"}, at(-600))
    started = event("Started", 0, 0, 1000, idToken={"idToken": "CAFE", "type": "ISO14443"})
    books.run([started, event("Ended", 1, 60, 9000)], at(70))
    assert books.sessions()[0]["cost"] == cost


def test_a_decision_on_the_past_changes_nothing_that_is_settled() -> None:
    books = world()
    books.run(session(), at(70))
    books.decide("tariff", "T", TARIFF | {"energy_kwh": "9.99"}, at(-300))
    books.run([], at(85))
    assert [one["cost"] for one in books.sessions()] == ["3.20"]
    assert len(books.cdrs()) == 1


def test_an_invoice_follows_from_its_document_alone() -> None:
    books = world()
    books.run(session(), at(70))
    (settled,) = books.sessions()
    with books.books.begin() as tx:
        document = documents.document(tx, f"{settled['id']}/1")
        assert document is not None
        assert explaining.recomputed(document).agrees
        forged = document | {"cdr": document["cdr"] | {"cost": document["cdr"]["cost"] + 1}}
        assert not explaining.recomputed(forged).agrees
        found = explaining.explained(tx, settled["id"])
    assert found is not None
    assert [one["used_for"] for one in found["facts"]] == ["start", "end"]
    assert [(one["kind"], one["amount"]) for one in found["lines"]] == [("energy", "3.20")]


def test_no_token_is_in_the_database() -> None:
    books = world()
    token: dict[str, Any] = {"idToken": {"idToken": "DEADBEEF", "type": "ISO14443"}}
    books.run([event("Started", 0, 0, 1000, **token), event("Ended", 1, 60, 9000, **token)], at(70))
    (settled,) = books.sessions()
    with books.books.begin() as tx:
        tables = [name for (name,) in tx.all("SELECT name FROM sqlite_master WHERE type = 'table'")]
        rows = repr([tx.all(f"SELECT * FROM {name}") for name in tables])
        facts = repr(documents.facts(tx, f"{settled['id']}/1"))
    assert KEY.of("DEADBEEF") in rows
    assert KEY.of("DEADBEEF") in facts
    assert "DEADBEEF" not in rows + facts
