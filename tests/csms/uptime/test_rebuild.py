"""What the live run made and what a rebuild makes: sessions from their documents, the rest folded again."""

from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest

from csms.ledger.world import Said, World

FIRST = datetime(2026, 5, 1, 20, tzinfo=UTC)
TABLES = ("outage", "port", "trial", "plug", "attempt", "slot", "day", "watched", "alert")


def at(minutes: float) -> datetime:
    return FIRST + timedelta(minutes=minutes)


def stamp(minutes: float) -> str:
    return at(minutes).isoformat().replace("+00:00", "Z")


def shown(begin: float, token: str, charger: str) -> list[Said]:
    key = f"{charger}/auth/{begin}"
    return [
        Said(at(begin), "Authorize", {"idTag": token}, charger=charger, key=key),
        Said(at(begin), "AuthorizeResponse", {"idTagInfo": {"status": "Accepted"}}, charger=charger, key=key),
    ]


def session(
    tx: int, begin: float, minutes: float, wh: int, charger: str = "CP1", token: str = "A"
) -> list[Said]:
    """Shown, plugged, started, shown again to end it."""
    key = f"{charger}/StartTransaction/{tx}"
    start = {"connectorId": 1, "idTag": token, "meterStart": 100, "timestamp": stamp(begin + 1)}
    answer = {"transactionId": tx, "idTagInfo": {"status": "Accepted"}}
    over = begin + minutes
    stop = {"transactionId": tx, "meterStop": 100 + wh, "timestamp": stamp(over), "reason": "Local"}

    def status(moment: float, word: str) -> Said:
        body = {"connectorId": 1, "errorCode": "NoError", "status": word}
        return Said(at(moment), "StatusNotification", body, charger=charger)

    return [
        *shown(begin, token, charger),
        status(begin + 0.5, "Preparing"),
        Said(at(begin + 1), "StartTransaction", start, charger=charger, key=key),
        Said(at(begin + 1), "StartTransactionResponse", answer, charger=charger, key=key),
        *shown(over - 0.1, token, charger),
        Said(at(over), "StopTransaction", stop, charger=charger),
        status(over + 0.2, "Available"),
    ]


FACTS = [
    *session(1, 0, 30, 5000),
    *session(2, 40, 250, 20_000),  # over midnight
    *session(3, 300, 2, 0),
    *session(4, 310, 2, 0),
    *session(5, 320, 2, 0),  # broken
    *session(6, 400, 20, 3000),
    *session(7, 410, 30, 3000, "CP2", "B"),
    *shown(500, "B", "CP2"),  # nothing follows
    *session(8, 600, 4000, 3000, "CP2", "B")[:5],  # does not end
    Said(at(200), "link", {"state": "down", "reason": "client"}, charger="CP2"),
    Said(at(220), "link", {"state": "up"}, charger="CP2"),
]


def rows(world: World) -> dict[str, list[Any]]:
    with world.books.begin() as tx:
        return {table: sorted(map(repr, tx.all(f"SELECT * FROM {table}"))) for table in TABLES}


@pytest.mark.parametrize("documents", [0, 3, 7])
def test_a_rebuild_makes_what_the_live_run_made(documents: int) -> None:
    """Of a live run whose documents are all there, and of one from before some of them."""
    live = World()
    live.run(FACTS, at(700))
    with live.books.begin() as tx:
        sent = tx.all("SELECT body FROM outbox WHERE subject LIKE 'ops.cdr.%'")
    found = sorted((body for (body,) in sent), key=lambda body: orjson.loads(body)["cdr"]["issued"])
    assert len(found) == 7
    rebuilt = World()
    for body in found[:documents]:
        rebuilt.books.take_documents([body])
    rebuilt.run(FACTS, at(700))
    assert rows(rebuilt) == rows(live)
    outcomes = [row.split(", ")[5:7] for row in rows(live)["attempt"]]
    assert len(outcomes) == 9, "a token that is shown to end its session is no attempt"
    assert any("broken" in row for row in rows(live)["outage"])
    assert rebuilt.books.digest() == live.books.digest()
