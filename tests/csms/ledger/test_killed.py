"""SIGKILL of the ledger's process under load, of NATS and of PostgreSQL: nothing is lost or happens twice."""

import asyncio
import json
import signal
from collections.abc import Iterator
from pathlib import Path

import nats
import pytest

import postgres
from csms.keeping import derived, rows, until
from csms.ledger.test_service import configured, publish, session_16
from jetstream import NatsServer
from processes import PATIENCE, Start
from voltgate.config import Config
from voltgate.csms.ledger import lasting, rebuild
from voltgate.csms.ledger.store import StoreError
from voltgate.gateway.bus import streams

pytestmark = pytest.mark.usefixtures("clean_environment")

KILLS = 6
SESSIONS = 60


@pytest.fixture(params=["sqlite", "postgres"])
def server(request: pytest.FixtureRequest) -> Iterator[postgres.PostgresServer | None]:
    """A PostgreSQL to be killed; none for SQLite."""
    if request.param == "sqlite":
        yield None
        return
    postgres.installed()
    running = postgres.PostgresServer()
    running.start()
    yield running
    running.remove()


async def test_kills_under_load_lose_and_repeat_nothing(
    nats_server: NatsServer, start: Start, tmp_path: Path, server: postgres.PostgresServer | None
) -> None:
    config = configured(f"sqlite:///{tmp_path}/live.db" if server is None else server.new_database())
    client = await nats.connect(nats_server.url, reconnect_time_wait=0.1, max_reconnect_attempts=-1)
    await streams.apply(client, Config())
    file = tmp_path / "voltgate.toml"
    file.write_text(
        f'[nats]\nurl = "{nats_server.url}"\n[csms]\ndatabase = "{config.csms.database}"\n'
        "tick_seconds = 0.2\nsettle_after = 0.3\n"
    )
    process = start("csms", "ledger", "--config", str(file))
    facts = [one for n in range(SESSIONS) for one in session_16(n + 1, f"CP{n}", 0, 5000 + n)]
    size = len(facts) // KILLS
    for number in range(KILLS):
        await publish(client, facts[number * size : (number + 1) * size])
        folded = number * size // 12
        await until(lambda folded=folded: len(rows(config, "SELECT id FROM session")) > folded)  # type: ignore[misc]
        await until(lambda process=process: "ledger.started" in process.err)  # type: ignore[misc]
        if number == KILLS // 2:
            nats_server.kill()
            nats_server.start()
        if server is not None and number % 2:  # the ledger outlives it
            server.kill()
            server.start()
            continue
        process.ends(signal.SIGKILL)
        process = start("csms", "ledger", "--config", str(file))
    settled = "SELECT id FROM session WHERE state = 'settled'"
    await until(lambda: len(rows(config, settled)) == SESSIONS)
    await until(lambda: not rows(config, "SELECT id FROM outbox"))
    assert process.ends(signal.SIGTERM) == 0
    assert ("database.lost" in process.err) == (server is not None)
    assert rows(config, "SELECT COUNT(*), COUNT(DISTINCT session) FROM cdr") == [(SESSIONS, SESSIONS)]
    assert sorted(rows(config, "SELECT number FROM cdr"))[-1][0].endswith(f"{SESSIONS:06}")
    messages = (await client.jsm().stream_info("OPS_CDR")).state.messages
    assert messages == SESSIONS
    live = await derived(client, config)
    rebuilt = start("csms", "rebuild", "--json", "--config", str(file))
    assert await asyncio.to_thread(rebuilt.process.wait, PATIENCE) == 0, rebuilt.err
    assert json.loads(rebuilt.out) == {"documents": SESSIONS, "sessions": SESSIONS, "digest": live}
    assert await rebuild.digest(client, config) == live
    await client.close()


async def test_a_database_that_was_never_there_is_not_waited_for(
    nats_server: NatsServer, tmp_path: Path
) -> None:
    client = await nats.connect(nats_server.url)
    await streams.apply(client, Config())
    config = configured(f"postgresql://test@/nothing?host={tmp_path}")
    with pytest.raises(StoreError, match=r"csms\.database: "):
        await lasting.run(client, config, asyncio.Event())
    await client.close()
