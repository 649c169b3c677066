"""docs/contract.md 3.6 and 4.5: who is online, since when, and how a gateway leaves."""

import asyncio
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from urllib.parse import quote

import pytest

from e2e.guarded import Guarded
from e2e.house import Gateway, config, own_gateway
from e2e.strangers import (
    TEXT,
    Backend,
    Facts,
    Upgrade,
    answer_of,
    attribute,
    close_code,
    dial,
    frame,
    knock,
    read_frame,
    request,
    token,
    until,
)
from jetstream import free_port

Backends = Callable[..., Awaitable[Backend]]
BEAT = '[2,"1","Heartbeat",{}]'
STATUS = '[2,"s","StatusNotification",{"connectorId":1,"errorCode":"NoError","status":"Available"}]'
FIELDS = {
    "state", "identity", "version", "session", "replaces", "epoch", "gateway", "remote", "security_profile",
    "at", "reason",
}  # fmt: skip


@pytest.mark.parametrize(("version", "identity"), [("v16", "L 1"), ("v201", "L.2"), ("v21", "充電器")])
async def test_up_and_down(house: Gateway, identity: str, facts: Facts, version: str) -> None:
    """Both say who, where and when; ``down`` names the epoch, the sequence of its ``up``."""
    async with dial(house.port, identity, version) as charger:
        assert (await charger.ask(BEAT)).startswith("[3")
        up = await facts.kept_link(state="up")
        host, port = charger.socket.local_address[:2]
    down = await facts.kept_link(state="down")
    assert set(up.json) == set(down.json) == FIELDS
    common = {
        "identity": identity,
        "version": version,
        "session": up.json["session"],
        "replaces": None,
        "gateway": house.worker.name,
        "remote": f"{host}:{port}",
        "security_profile": 1,
    }
    assert up.json == up.json | common | {"state": "up", "epoch": None, "reason": None}
    assert down.json == down.json | common | {"state": "down", "epoch": up.seq, "reason": "client"}
    for fact in (up, down):
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", fact.json["at"])
        assert fact.headers["ce-subject"] == attribute(identity)
        assert fact.headers["ce-source"] == f"/chargers/{token(identity)}"
        assert fact.headers["ocpp-session"] == up.json["session"]
    assert down.headers["Nats-Expected-Last-Subject-Sequence"] == str(up.seq)


async def test_the_last_link_is_who_is_online(house: Gateway, identity: str, facts: Facts) -> None:
    """Comes, goes, comes: one message is kept, and it says up."""
    sessions = []
    for _ in range(3):
        async with dial(house.port, identity):
            sessions.append((await facts.link("up"))["session"])
        await facts.link("down")
    async with dial(house.port, identity):
        last = await facts.link("up")
        await facts.kept_link(state="up", session=last["session"])
    assert len({*sessions, last["session"]}) == 4


async def test_a_charger_that_comes_and_goes_at_once(house: Gateway, identity: str, facts: Facts) -> None:
    """Gone before the epoch is known: up, then down."""
    for _ in range(20):
        async with knock(house.port, request(f"/{quote(identity)}")) as answer:
            assert answer.status == 101
        await facts.link("down")
    await facts.kept_link(state="down")
    states = [fact.json["state"] for fact in facts.about(".link.")]
    assert states == ["up", "down"] * 20


async def test_a_paused_charger_is_not_closed_as_silent(
    nats_server: Guarded, identity: str, backend: Backends
) -> None:
    """Held back by open_calls it cannot pong; that does not let a stranger take its place.

    See docs/contract.md 3.6.
    """
    withheld = (await backend(SignCertificate=None)).withheld
    settings = config(nats_server, nats={"ask_timeout": 20.0})
    async with own_gateway(settings) as patient, dial(patient.port, identity) as old:
        await old.send(*(f'[2,"{number}","SignCertificate",{{"csr":"{number}"}}]' for number in range(8)))
        await until(lambda: patient.metric("voltgate_reads_paused_total", bound="open_calls") == 1)
        async with knock(patient.port, request(f"/{quote(identity)}")) as answer:
            assert answer.status == 503
        await withheld[0].respond(b'{"status":"Accepted"}')
        assert await old.hear() == '[3,"0",{"status":"Accepted"}]'


# -- leaving (docs/contract.md 4.5) ------------------------------------------------------------------


async def test_a_drain_answers_what_is_in_flight_and_closes_with_1001(
    nats_server: Guarded, identity: str, facts: Facts, backend: Backends
) -> None:
    """Readiness false, upgrades refused, the open question still answered, then Close 1001 and a down."""
    withheld = (await backend(Authorize=None)).withheld
    settings = config(nats_server, drain={"grace": 1.0}, nats={"ask_timeout": 10.0})
    async with own_gateway(settings) as leaving:
        async with dial(leaving.port, identity) as busy, dial(leaving.port, identity + "-idle") as idle:
            await busy.send('[2,"1","Authorize",{"idTag":"a"}]', '[2,"2","Heartbeat",{}]')
            await until(lambda: withheld)
            leaving.sigterm()
            await until(lambda: leaving.worker.draining)
            assert leaving.worker.checks()["draining"]
            async with knock(leaving.port, request("/newcomer")) as answer:
                assert answer.status == 503
                assert int(answer.headers["retry-after"]) > 0
            assert (await idle.ask(STATUS)) == '[3,"s",{}]'
            assert await idle.closed() == 1001
            await withheld[0].respond(b'{"idTagInfo":{"status":"Accepted"}}')
            assert await busy.hear() == '[3,"1",{"idTagInfo":{"status":"Accepted"}}]'
            assert (await busy.hear()).startswith('[3,"2"')
            assert await busy.closed() == 1001
        await asyncio.to_thread(leaving.join)
    assert (await facts.link("down"))["reason"] == "drain"


async def test_a_drain_is_paced(nats_server: Guarded, identity: str) -> None:
    """60 chargers at 60 a second take about one second."""
    async with own_gateway(config(nats_server, drain={"rate": 60.0})) as leaving:
        sockets = [await asyncio.open_connection("127.0.0.1", leaving.port) for _ in range(60)]
        try:
            for number, (reader, writer) in enumerate(sockets):
                writer.write(request(f"/{quote(identity)}-{number}"))
                assert (await answer_of(reader, writer)).status == 101
            leaving.sigterm()
            ends = [asyncio.ensure_future(_closed_at(reader)) for reader, _ in sockets]
            codes, times = zip(*await asyncio.gather(*ends), strict=True)
            assert set(codes) == {1001}
            assert max(times) - min(times) > 0.5
        finally:
            for _, writer in sockets:
                writer.transport.abort()


async def _closed_at(reader: asyncio.StreamReader) -> tuple[int, float]:
    return await close_code(reader), time.monotonic()


async def test_the_process_ends_although_a_charger_keeps_its_socket_open(
    nats_server: Guarded, identity: str
) -> None:
    """After the drain the process ends, whatever the charger's side of the socket does."""
    async with (
        own_gateway(config(nats_server)) as leaving,
        knock(leaving.port, request(f"/{quote(identity)}")) as rude,
    ):
        leaving.sigterm()
        assert await close_code(rude.reader) == 1001
        await asyncio.wait_for(asyncio.to_thread(leaving.join), 10)


async def test_a_second_sigterm_ends_at_once(
    nats_server: Guarded, identity: str, facts: Facts, backend: Backends
) -> None:
    """A grace of a minute and an open question: nobody waits for them any more."""
    asked = await backend(Authorize=None)
    settings = config(nats_server, drain={"grace": 60.0}, nats={"ask_timeout": 60.0})
    async with own_gateway(settings) as leaving, dial(leaving.port, identity) as charger:
        await charger.send('[2,"1","Authorize",{"idTag":"a"}]')
        await until(lambda: asked.questions)
        leaving.sigterm()
        await until(lambda: leaving.worker.draining)
        leaving.sigterm()
        assert await charger.closed() in (1001, 1006)
        await asyncio.wait_for(asyncio.to_thread(leaving.join), 10)
    assert (await facts.link("down"))["reason"] == "drain"


# -- the command itself ------------------------------------------------------------------------------


async def test_serve_is_this_gateway(
    house: Gateway, nats_server: Guarded, tmp_path: Path, identity: str, facts: Facts
) -> None:
    """``voltgate serve`` as a process: serves, drains on SIGTERM with 1001, exits 0 without a traceback."""
    port, url = free_port(), nats_server.url_of("gateway")
    file = tmp_path / "voltgate.toml"
    file.write_text(
        f'[nats]\nurl = "{url}"\n[registry]\nrequired = false\n'
        f'[[listeners]]\nhost = "127.0.0.1"\nport = {port}\nallow_unauthenticated = true\n'
        "[drain]\ngrace = 0\n[admin]\nport = 0\n"
    )
    command = [sys.executable, "-m", "voltgate", "serve", "--config", str(file)]
    process = await asyncio.create_subprocess_exec(
        *command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={**os.environ, "NO_COLOR": "1"}
    )
    try:
        charger = await _first_connection(port, identity, process)
        async with charger as answer:
            assert answer.status == 101
            answer.writer.write(frame(TEXT, STATUS.encode()))
            assert await read_frame(answer.reader) == (0x81, b'[3,"s",{}]')
            assert (await facts.link("up"))["gateway"] != house.worker.name
            process.send_signal(signal.SIGTERM)
            assert await close_code(answer.reader) == 1001
            async with asyncio.timeout(15):
                out, words = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert (process.returncode, out) == (0, b"")
    assert b"Traceback" not in words
    assert (await facts.link("down"))["reason"] == "drain"


async def _first_connection(
    port: int, identity: str, process: asyncio.subprocess.Process
) -> AbstractAsyncContextManager[Upgrade]:
    """Knock as soon as somebody is at home."""
    async with asyncio.timeout(15):
        while process.returncode is None:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                continue
            writer.close()
            return knock(port, request(f"/{quote(identity)}"))
    words = await process.stderr.read() if process.stderr else b""
    raise AssertionError(words.decode())
