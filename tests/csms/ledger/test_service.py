"""The ledger on a real NATS: what a rebuild makes is what the live run made; a second ledger is fenced."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import nats
import nats.errors
import pytest
from nats.aio.client import Client
from nats.js.api import DiscardPolicy

from csms.keeping import derived, rows, running, until
from csms.ledger.world import Said, World
from jetstream import NatsServer
from voltgate.config import Config
from voltgate.config_csms import Csms
from voltgate.csms.ledger import copies, decisions, rebuild
from voltgate.csms.ledger.service import Ledger
from voltgate.csms.ledger.store import FencedError, Row, StoreError
from voltgate.gateway.bus import streams

PATIENCE = 30.0
NOW = datetime.now(UTC).replace(microsecond=0)
WORLD = World()  # makes the headers of facts


def at(minutes: float) -> datetime:
    return NOW + timedelta(minutes=minutes - 120)


def stamp(minutes: float) -> str:
    return at(minutes).isoformat().replace("+00:00", "Z")


@pytest.fixture
async def client(nats_server: NatsServer) -> AsyncIterator[Client]:
    made = await nats.connect(nats_server.url)
    await streams.apply(made, Config())
    yield made
    await made.close()


@pytest.fixture
def config(new_database: Callable[[str], str]) -> Config:
    return configured(new_database("sqlite"))


@pytest.fixture
def either(database_url: str) -> Config:
    return configured(database_url)


def configured(url: str) -> Config:
    csms = Csms(database=url, tick_seconds=0.2, settle_after=0.3)
    return Config().model_copy(update={"csms": csms})  # given to Config() the URL would be masked


async def publish(client: Client, facts: Iterable[Said]) -> None:
    """As a gateway does: again until it is acknowledged."""
    for said in facts:
        message = WORLD.fact(said)
        async with asyncio.timeout(PATIENCE):
            while True:
                with suppress(nats.errors.Error):
                    await client.jetstream().publish(
                        message.subject, message.data, headers=dict(message.headers), timeout=2
                    )
                    break


def session_16(tx: int, charger: str, begin: float, wh: int) -> list[Said]:
    key = f"{charger}/{tx}"
    return [
        Said(at(begin), "StatusNotification", {"connectorId": 1, "status": "Charging"}, charger=charger),
        Said(
            at(begin),
            "StartTransaction",
            {"connectorId": 1, "idTag": "CAFE", "meterStart": 0, "timestamp": stamp(begin)},
            charger=charger,
            key=key,
        ),
        Said(
            at(begin), "StartTransactionResponse",
            {"transactionId": tx, "idTagInfo": {"status": "Accepted"}}, charger=charger, key=key,
        ),
        Said(
            at(begin + 10), "MeterValues",
            {
                "connectorId": 1,
                "transactionId": tx,
                "meterValue": [{"timestamp": stamp(begin + 10), "sampledValue": [{"value": str(wh // 2)}]}],
            },
            charger=charger,
        ),
        Said(
            at(begin + 20),
            "StopTransaction",
            {"transactionId": tx, "meterStop": wh, "timestamp": stamp(begin + 20)},
            charger=charger,
        ),
        Said(
            at(begin + 21), "StatusNotification", {"connectorId": 1, "status": "Available"}, charger=charger
        ),
    ]  # fmt: skip


SETTLED = "SELECT id FROM session WHERE state = 'settled'"


async def test_a_rebuild_makes_what_the_live_run_made(
    client: Client, either: Config, new_database: Callable[[str], str]
) -> None:
    """One stream comes later than the other, a session is open, one has no start; two databases, one hash."""
    config, other = either, configured(new_database("sqlite"))
    sessions = [one for n in range(6) for one in session_16(n + 1, f"CP{n}", 0, 5000 + n)]
    unfinished = session_16(77, "CP7", 50, 4000)[:4]
    orphan = session_16(88, "CP8", 50, 4000)[4:5]
    async with running(client, config):
        facts = sessions + unfinished + orphan
        await publish(client, [said for said in facts if said.stream == "OCPP_TX"])
        await until(lambda: len(rows(config, SETTLED)) == 6)
        await publish(client, [said for said in facts if said.stream != "OCPP_TX"])
        await until(lambda: len(rows(config, "SELECT at FROM status")) == 13)
        await until(lambda: rows(config, "SELECT id FROM session WHERE state = 'review'"))
        await until(lambda: not rows(config, "SELECT id FROM outbox"))
    live = await derived(client, config)
    made = await rebuild.rebuild(client, other, asyncio.Event())
    assert (made.documents, made.sessions) == (6, 8)
    tables = [name for (name,) in rows(other, "SELECT name FROM sqlite_master WHERE type = 'table'")]
    differing = {}
    for table in set(tables) - {"position", "outbox", "migration"}:
        both = [sorted(map(repr, rows(one, f"SELECT * FROM {table}"))) for one in (config, other)]
        if both[0] != both[1]:
            differing[table] = both
    assert differing == {}
    assert made.digest == live


async def test_a_restart_goes_on_where_the_last_run_was(client: Client, either: Config) -> None:
    config = either
    async with running(client, config):
        await publish(client, session_16(1, "CP1", 0, 5000)[:4])
        await until(lambda: rows(config, "SELECT id FROM session WHERE mwh > 0"))
    await publish(client, session_16(1, "CP1", 0, 5000)[4:])
    async with running(client, config):
        await until(lambda: rows(config, SETTLED))
        assert rows(config, "SELECT mwh, flags FROM session") == [(5_000_000, "no_tariff")]
        await until(lambda: not rows(config, "SELECT id FROM outbox"))
    assert (await client.jsm().stream_info("OPS_CDR")).state.messages == 1


def session_21(readings: int) -> list[dict[str, Any]]:
    """The events of a session that goes on."""
    kinds = ["Started", *["Updated"] * readings]
    return [
        {
            "eventType": kind, "timestamp": stamp(n / 60), "triggerReason": "MeterValuePeriodic", "seqNo": n,
            "transactionInfo": {"transactionId": "T"}, "evse": {"id": 1, "connectorId": 1},
            "meterValue": [{"timestamp": stamp(n / 60), "sampledValue": [{"value": 10 * n}]}],
        }
        for n, kind in enumerate(kinds)
    ]  # fmt: skip


async def test_questions_for_costs_do_not_put_the_fold_behind(client: Client, config: Config) -> None:
    """They take a part of the ledger's time; those beyond it have an empty reply."""
    said = session_21(readings=300)
    facts = [
        Said(at(n / 60), "TransactionEvent", body, "v21", "CP1", key=f"CP1/T/{n}")
        for n, body in enumerate(said)
    ]
    async with running(client, config):
        await publish(client, facts)
        await until(lambda: rows(config, "SELECT COUNT(*) FROM said") == [(len(facts),)])
        for kind, id_, body in (
            ("tariff", "T", {"currency": "EUR", "energy_kwh": "0.40"}),
            ("assignment", "default", {"tariff": "T"}),
        ):
            data = decisions.encoded(by="ann", at=NOW, body=body)
            await client.jetstream().publish(decisions.subject("ops", kind, id_), data)
        await until(lambda: rows(config, "SELECT id FROM decision WHERE kind = 'assignment'"))
        question = json.dumps({"charger": "CP1", "transaction": "T", "event": said[-1]}).encode()

        async def cost() -> str | None:
            reply = await client.request("ops.ask.cost", question, timeout=PATIENCE)
            found: str | None = json.loads(reply.data).get("cost")
            return found

        assert await cost() == "1.20"
        costs = await asyncio.gather(*(cost() for _ in range(1000)))
    assert set(costs) == {"1.20", None}


async def test_of_two_ledgers_on_one_database_one_is_fenced(client: Client, either: Config) -> None:
    config = either
    stop = asyncio.Event()
    both = [asyncio.create_task(Ledger(client, config).run(stop)) for _ in range(2)]
    await publish(client, session_16(1, "CP1", 0, 5000))
    done, _ = await asyncio.wait(both, timeout=PATIENCE, return_when=asyncio.FIRST_COMPLETED)
    (fenced,) = done
    error = fenced.exception()
    # Where both have begun together one finds the tables locked, or a stream's position written.
    if not isinstance(error, StoreError | FencedError):
        assert isinstance(error, ExceptionGroup)
        assert error.subgroup(FencedError) is not None
    await until(lambda: rows(config, SETTLED))
    stop.set()
    await asyncio.wait(both)
    assert len(rows(config, "SELECT id FROM cdr")) == 1


async def test_a_tick_that_is_not_stored_is_written_again(client: Client, config: Config) -> None:
    """A stream without room refuses it, as NATS does that is away for a moment: nothing stands still."""
    async with running(client, config):
        await until(lambda: rows(config, "SELECT seq FROM tick"))
        info = (await client.jsm().stream_info("OPS_TICK")).config
        full = replace(info, max_msgs=1, discard=DiscardPolicy.NEW)
        await client.jsm().update_stream(full)
        ((before,),) = rows(config, "SELECT seq FROM tick")
        await (await client.subscribe("ops.tick")).next_msg(PATIENCE)
        assert rows(config, "SELECT seq FROM tick") == [(before,)]
        await client.jsm().update_stream(info)
        await until(lambda: rows(config, f"SELECT seq FROM tick WHERE seq > {before}"))


async def test_a_decision_takes_effect_within_seconds(client: Client, config: Config) -> None:
    slow = config.model_copy(update={"csms": config.csms.model_copy(update={"tick_seconds": 600.0})})
    async with running(client, slow):
        await until(lambda: rows(slow, "SELECT seq FROM tick"))
        body = decisions.encoded(by="ann", at=datetime.now(UTC), body={"name": "Yard"})
        await client.jetstream().publish(decisions.subject("ops", "site", "S1"), body)
        assert await until(lambda: rows(slow, "SELECT kind, id FROM decision")) == [("site", "S1")]


async def test_the_id_of_a_transaction_is_known_before_a_tick(client: Client, config: Config) -> None:
    """A person can stop what has just begun."""
    slow = config.model_copy(update={"csms": config.csms.model_copy(update={"tick_seconds": 600.0})})
    async with running(client, slow):
        await until(lambda: rows(slow, "SELECT seq FROM tick"))
        await publish(client, session_16(7, "CP1", 119, 5000)[:3])
        assert await until(lambda: rows(slow, "SELECT tx FROM session WHERE tx <> ''")) == [("7",)]


async def test_a_stream_made_anew_is_read_from_its_beginning(client: Client, config: Config) -> None:
    async with running(client, config):
        await publish(client, session_16(1, "CP1", 0, 5000))
        await until(lambda: rows(config, SETTLED))
    await client.jsm().delete_stream("OCPP_TX")
    await streams.apply(client, Config())
    async with running(client, config):
        await publish(client, session_16(2, "CP1", 60, 7000))
        await until(lambda: len(rows(config, SETTLED)) == 2)


async def test_a_copy_is_restored_and_folds_what_came_since(
    client: Client, config: Config, tmp_path: Path
) -> None:
    async with running(client, config):
        await publish(client, session_16(1, "CP1", 0, 5000))
        await until(lambda: rows(config, SETTLED))
        copies.backup(config.csms.database, tmp_path / "copy")
        await publish(client, session_16(2, "CP2", 60, 7000))
        await until(lambda: len(rows(config, SETTLED)) == 2)
        await until(lambda: not rows(config, "SELECT id FROM outbox"))
    live = await derived(client, config)
    copies.restore(config.csms.database, tmp_path / "copy")
    assert len(rows(config, SETTLED)) == 1
    async with running(client, config):
        await until(lambda: len(rows(config, SETTLED)) == 2)
        await until(lambda: not rows(config, "SELECT id FROM outbox"))
    assert await rebuild.digest(client, config) != ""
    assert rows(config, "SELECT COUNT(*) FROM cdr") == [(2,)]
    assert live


def test_a_copy_never_overwrites(config: Config, tmp_path: Path) -> None:
    (tmp_path / "copy").write_bytes(b"x")
    with pytest.raises(StoreError, match="exists"):
        copies.backup(config.csms.database, tmp_path / "copy")
    with pytest.raises(StoreError, match="no such file"):
        copies.restore(config.csms.database, tmp_path / "nothing")


async def test_run_backup_restore_and_rebuild_on_either_database(
    client: Client, database_url: str, tmp_path: Path
) -> None:
    config = configured(database_url)

    def settled() -> list[Row]:
        return rows(config, f"{SETTLED} ORDER BY id")

    async with running(client, config):
        await publish(client, session_16(1, "CP1", 0, 5000))
        await until(lambda: len(settled()) == 1)
    copies.backup(database_url, tmp_path / "copy")
    async with running(client, config):
        await publish(client, session_16(2, "CP2", 60, 7000))
        await until(lambda: len(settled()) == 2)
    live = await derived(client, config)
    copies.restore(database_url, tmp_path / "copy")
    assert len(settled()) == 1
    with copies.anew(database_url) as url:
        made = await rebuild.rebuild(client, configured(url), asyncio.Event())
    assert len(settled()) == 2
    assert made.digest == live
