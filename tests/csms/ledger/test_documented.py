"""Which facts documents have: most by their sequence, all of them by their id."""

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from csms.ledger.test_books import Watched
from voltgate.config_csms import Csms
from voltgate.csms.ledger import store
from voltgate.csms.ledger.acting import Settings
from voltgate.csms.ledger.books import parts_of
from voltgate.csms.ledger.documented import Documented
from voltgate.csms.ledger.facts import Fact
from voltgate.csms.ledger.store import Tx

STREAM, COUNT = "OCPP_TX", 5000


@pytest.fixture
def asked() -> list[str]:
    """The statements since the database was filled."""
    return []


@pytest.fixture
def tx(asked: list[str]) -> Iterator[Tx]:
    """A ledger's database with the facts of a document, every second one of a stream."""
    database = store.opened("sqlite:///:memory:")
    store.prepare(database, [table for part in parts_of(Settings(Csms())) for table in part.tables])
    with Watched(database, lambda _, sql, __: asked.append(sql)).begin() as made:
        made.many(
            "INSERT INTO said (stream, seq, session, id, key, charger, at, connection, version, action, "
            "subject)"
            " VALUES (?, ?, 's', ?, '', 'CP1', '', '', '', '', '')",
            [(STREAM, seq, f"id{seq}") for seq in range(2, COUNT + 1, 2)],
        )
        asked.clear()
        yield made


def fact(seq: int, id_: str = "", stream: str = STREAM) -> Fact:
    at = datetime(2026, 5, 1, tzinfo=UTC)
    return Fact(stream, seq, id_ or f"id{seq}", "", None, "CP1", at, "ocpp1.6", "MeterValues", {}, {})


def test_facts_of_documents_are_known_by_a_query_for_thousands(tx: Tx, asked: list[str]) -> None:
    documented = Documented()
    assert all(documented.has(tx, fact(seq)) for seq in range(2, COUNT + 1, 2))
    assert len(asked) <= 4


def test_a_fact_without_a_document_is_none_of_them(tx: Tx, asked: list[str]) -> None:
    documented = Documented()
    assert not any(documented.has(tx, fact(seq)) for seq in (1, 3, COUNT - 1))
    asked.clear()
    assert not any(documented.has(tx, fact(seq)) for seq in range(COUNT + 1, COUNT + 100))
    assert asked == [], "behind the last of them nothing is asked"


def test_a_fact_of_a_restored_stream_is_known_by_its_id(tx: Tx) -> None:
    assert Documented().has(tx, fact(7, "id4000"))
    assert not Documented().has(tx, fact(4000, "id7"))


def test_another_stream_has_others(tx: Tx) -> None:
    documented = Documented()
    assert documented.has(tx, fact(2))
    assert not documented.has(tx, fact(2, stream="SITE_TX"))
