"""The last release and this tree, both running against one NATS, with chargers moving between them.

``make test-upgrade`` builds the last release first. Golden messages of it: test_releases.py.
"""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from nats.aio.client import Client

import last_release
from e2e.commanding import commandable, heard_call, send
from e2e.house import PATIENCE
from e2e.logins import KEY, charger, fast
from e2e.strangers import START, Backend, Charger, Facts, connected, started
from jetstream import NatsServer, free_port
from processes import Voltgate

pytestmark = pytest.mark.skipif(
    os.environ.get("TEST_UPGRADE") != "1", reason="builds the last release: make test-upgrade"
)
METER = (
    '{"connectorId":1,"meterValue":[{"timestamp":"2026-03-01T10:00:%02dZ","sampledValue":[{"value":"1"}]}]}'
)
CROWD = 10


@dataclass
class Running:
    """A gateway process and its port."""

    serve: Voltgate
    port: int

    def ready(self) -> bool:
        return any(
            event in self.serve.err for event in ("gateway.ready", "gateway.started")
        )  # 0.1.0, and since


@pytest.fixture(scope="module")
def site() -> Path:
    try:
        built = last_release.build()
    except last_release.UnavailableError as reason:
        pytest.skip(f"the last release: {reason}")
    command = [sys.executable, "-c", "import voltgate; print(voltgate.__file__)"]
    found = subprocess.check_output(command, env=os.environ | {"PYTHONPATH": str(built)}, text=True)
    assert Path(found).is_relative_to(built), "the package of this tree would be tested against itself"
    return built


def run(folder: Path, server: NatsServer, site: Path | None) -> Running:
    """``voltgate serve`` of this tree, or of the release in ``site``."""
    folder.mkdir()
    file, port = folder / "voltgate.toml", free_port()
    file.write_text(
        f'[nats]\nurl = "{server.url}"\n[registry]\nrequired = true\n'
        f'[[listeners]]\nhost = "127.0.0.1"\nport = {port}\n[drain]\ngrace = 0\n[admin]\nport = 0\n'
    )
    of = {"PYTHONPATH": str(site)} if site else {}
    serve = Voltgate(folder, "serve", "--config", str(file), **of)
    return Running(serve, port)


@pytest.fixture(params=["old to new", "new to old"])
async def pair(
    request: pytest.FixtureRequest, server: NatsServer, site: Path, tmp_path: Path, clean_environment: None
) -> AsyncIterator[tuple[Running, Running]]:
    """Where chargers are, and where they go. Streams first, with the newest release."""
    apply = Voltgate(tmp_path, "streams", "apply", VOLTGATE_NATS__URL=server.url)
    assert await asyncio.to_thread(apply.process.wait, PATIENCE) == 0, apply.err
    both = [run(tmp_path / "old", server, site), run(tmp_path / "new", server, None)]
    try:
        for one in both:
            await asyncio.to_thread(one.serve.until, one.ready, "ready")
        yield (both[0], both[1]) if request.param == "old to new" else (both[1], both[0])
    finally:
        for one in both:
            one.serve.process.kill()
            one.serve.process.wait()


@pytest.fixture
async def wire(server: NatsServer) -> AsyncIterator[Client]:
    client = await connected(server.url)
    yield client
    await client.close()


async def obeys(wire: Client, who: str, at: Charger, job: str) -> None:
    """A command reaches the charger, and its outcome the backend."""
    sending = asyncio.create_task(send(wire, who, "Reset", {"type": "Soft"}, ocpp_command_id=job))
    await at.send(f'[3,"{await heard_call(at)}",{{"status":"Accepted"}}]')
    assert (await sending)[0] == "result"


async def test_chargers_move_between_the_releases_and_nothing_is_lost(
    pair: tuple[Running, Running], wire: Client, request: pytest.FixtureRequest
) -> None:
    """Takeovers, resends, command ids, and the drain of the gateway they came from."""
    before, after = pair
    bucket = await wire.jetstream().key_value("ocpp_chargers")

    async def live(number: int) -> None:
        who = f"CP {request.node.callspec.id} {number}"
        facts = Facts(wire, who)
        record = {"enabled": True, "password_hashes": [fast(KEY)], "unknown to both": 1}
        await bucket.put(facts.token, json.dumps(record).encode())
        backend = Backend(wire, who, {"StartTransaction": started(number)})
        await backend.listen()
        start = START.replace("A1", f"A{number}")
        async with charger(before.port, who) as old:
            assert await old.ask(f'[2,"1","StartTransaction",{start}]') == f'[3,"1",{started(number)}]'
            assert await old.ask(f'[2,"2","MeterValues",{METER % 2}]') == '[3,"2",{}]'
            await commandable(wire, who)
            await obeys(wire, who, old, "job 1")
            first = await facts.kept_link(state="up")
            async with charger(after.port, who) as new:
                assert await old.closed() == 1008
                second = await facts.kept_link(state="up", replaces=first.json["session"])
                backend.answers["StartTransaction"] = started(999)
                assert await new.ask(f'[2,"3","StartTransaction",{start}]') == f'[3,"3",{started(number)}]'
                assert await new.ask(f'[2,"4","MeterValues",{METER % 2}]') == '[3,"4",{}]'
                assert await new.ask(f'[2,"5","MeterValues",{METER % 5}]') == '[3,"5",{}]'
                await commandable(wire, who)
                again = await send(wire, who, "Reset", {"type": "Soft"}, ocpp_command_id="job 1")
                assert again[0] == "result", "not sent twice"
                await obeys(wire, who, new, "job 2")
        assert (await facts.kept_link(state="down")).json["epoch"] == second.seq
        kept = [fact.data.decode() for fact in await facts.stored("TX")]
        assert kept == [start, started(number), METER % 2, METER % 5]
        assert len(backend.questions) == 1

    await asyncio.gather(*(live(number) for number in range(CROWD)))
    drained = Facts(wire, f"CP {request.node.callspec.id} 0")
    async with charger(before.port, drained.identity) as leaving:
        await drained.kept_link(state="up")
        before.serve.process.send_signal(signal.SIGTERM)
        assert await leaving.closed() == 1001
    assert await asyncio.to_thread(before.serve.process.wait, PATIENCE) == 0
    assert (await drained.kept_link(state="down")).json["reason"] == "drain"


async def test_the_links_of_a_killed_gateway_are_set_down_by_the_other_release(
    pair: tuple[Running, Running], wire: Client, request: pytest.FixtureRequest
) -> None:
    killed, _ = pair
    facts = Facts(wire, f"dies {request.node.callspec.id}")
    bucket = await wire.jetstream().key_value("ocpp_chargers")
    await bucket.put(facts.token, json.dumps({"enabled": True, "password_hashes": [fast(KEY)]}).encode())
    async with charger(killed.port, facts.identity):
        await facts.kept_link(state="up")
        killed.serve.process.kill()
    async with asyncio.timeout(60):
        while (await facts.stored("LINKS"))[-1].json["state"] == "up":
            await asyncio.sleep(0.1)
    assert (await facts.stored("LINKS"))[-1].json["reason"] == "gateway_lost"
