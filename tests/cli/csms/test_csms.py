"""The commands of the ledger that need no NATS; the others run in tests/csms/ledger and tests/e2e."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from csms.ledger.world import Said, World

Run = Callable[..., tuple[int, str, str]]
START = datetime(2026, 5, 1, 10, tzinfo=UTC)


def books(path: Path) -> str:
    """A database with one settled session; its id."""
    world = World(f"sqlite:///{path}")
    world.decide("tariff", "T", {"currency": "EUR", "energy_kwh": "0.40"}, START - timedelta(days=1))
    world.decide("assignment", "default", {"tariff": "T"}, START - timedelta(days=1))

    def event(kind: str, number: int, minutes: int, wh: int, context: str) -> Said:
        at = START + timedelta(minutes=minutes)
        stamp = at.isoformat().replace("+00:00", "Z")
        sampled = [{"value": wh, "context": context}]
        body = {
            "eventType": kind, "seqNo": number, "timestamp": stamp, "evse": {"id": 1},
            "transactionInfo": {"transactionId": "A"},
            "meterValue": [{"timestamp": stamp, "sampledValue": sampled}],
        }  # fmt: skip
        return Said(at, "TransactionEvent", body, version="v201")

    facts = [
        event("Started", 0, 0, 1000, "Transaction.Begin"),
        event("Ended", 1, 60, 9000, "Transaction.End"),
    ]
    world.run(facts, START + timedelta(minutes=70))
    (session,) = world.sessions()
    world.books.close()
    return str(session["id"])


def test_a_session_is_explained_down_to_its_facts(
    voltgate: Run, file: Callable[[str], Path], tmp_path: Path
) -> None:
    session = books(tmp_path / "csms.db")
    config = file(f'[csms]\ndatabase = "sqlite:///{tmp_path}/csms.db"\n')
    code, out, err = voltgate("csms", "explain", session, "--config", config)
    assert (code, err) == (0, "")
    assert "8.000 kWh (transaction)" in out
    assert "3.20 EUR" in out
    assert "follows from its facts" in out
    assert out.count("ocpp.tx.v201.TransactionEvent.CP1") == 2
    code, _, err = voltgate("csms", "explain", "nothing", "--config", config)
    assert (code, err) == (1, "voltgate: nothing: no such session\n")


def test_a_backup_is_a_database_and_can_be_put_back(
    voltgate: Run, file: Callable[[str], Path], tmp_path: Path
) -> None:
    session = books(tmp_path / "csms.db")
    config = file(f'[csms]\ndatabase = "sqlite:///{tmp_path}/csms.db"\n')
    copy = tmp_path / "copy.db"
    assert voltgate("csms", "backup", copy, "--config", config)[0] == 0
    assert voltgate("csms", "backup", copy, "--config", config) == (1, "", f"voltgate: {copy}: exists\n")
    (tmp_path / "csms.db").unlink()
    assert voltgate("csms", "restore", copy, "--config", config)[0] == 0
    assert voltgate("csms", "explain", session, "--config", config)[0] == 0


def test_a_database_that_is_not_there_is_not_made(
    voltgate: Run, file: Callable[[str], Path], tmp_path: Path
) -> None:
    absent = tmp_path / "absent.db"
    config = file(f'[csms]\ndatabase = "sqlite:///{absent}"\n')
    code, _, err = voltgate("csms", "explain", "x", "--config", config)
    assert (code, err.startswith(f"voltgate: csms.database: {absent}: no such file")) == (1, True), err
    assert not absent.exists()


def test_a_database_of_something_else_is_named(
    voltgate: Run, file: Callable[[str], Path], tmp_path: Path
) -> None:
    other = tmp_path / "other.db"
    other.touch()
    config = file(f'[csms]\ndatabase = "sqlite:///{other}"\n')
    code, _, err = voltgate("csms", "explain", "x", "--config", config)
    assert (code, err) == (1, f"voltgate: csms.database: {other}: no such table: session\n")
