"""A charge from a tap to the receipt: gateway, backend, ledger, console and simulated charger, by the API."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from nats.aio.client import Client

from csms.console.desk import Desk
from e2e.house import PATIENCE, config, gateway
from e2e.strangers import connected
from jetstream import NatsServer
from scripted_csms import QUICK
from voltgate.backend import service as backend
from voltgate.charger import Charger, Endpoint, Settings
from voltgate.config import Config
from voltgate.csms.console.server import served
from voltgate.csms.ledger.service import Ledger

TOKEN = "04DEADBEEF0102"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[NatsServer]:
    own = NatsServer(tmp_path / "jetstream")
    yield own
    own.kill()


@asynccontextmanager
async def whole(
    server: NatsServer, folder: Path, version: str
) -> AsyncIterator[tuple[Desk, Charger, Config]]:
    csms = {
        "database": f"sqlite:///{folder}/csms.db", "tick_seconds": 0.2, "settle_after": 0.3, "port": 0,
    }  # fmt: skip
    settings = config(server, csms=csms)
    async with AsyncExitStack() as stack:
        house = stack.enter_context(gateway(settings))
        clients: list[Client] = []
        for _ in range(3):
            clients.append(await connected(server.url))
            stack.push_async_callback(clients[-1].close)
        stop = asyncio.Event()
        tasks = await stack.enter_async_context(asyncio.TaskGroup())
        stack.callback(stop.set)
        ledger = Ledger(clients[0], settings)
        tasks.create_task(ledger.run(stop))
        tasks.create_task(backend.run(clients[1], stop))
        await ledger.caught_up.wait()
        console = await stack.enter_async_context(served(clients[2], settings))
        http = await stack.enter_async_context(aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()))
        endpoint = Endpoint(url=f"ws://127.0.0.1:{house.port}/ocpp")
        charger = Charger(
            Settings(
                identity="CP/1", version=version, endpoints=[endpoint],
                behaviour=replace(QUICK, meter_interval=0.5),
            )
        )  # fmt: skip
        charger.start()
        stack.push_async_callback(charger.stop)
        yield Desk(console, http, f"http://127.0.0.1:{console.port}", clients[2]), charger, settings


async def until(desk: Desk, path: str, holds: Any) -> Any:
    """What the API answers once it holds."""
    async with asyncio.timeout(PATIENCE):
        while True:
            answer = await desk.ask("GET", path)
            if answer.status == 200 and (found := holds(answer.json)):
                return found
            await asyncio.sleep(0.02)


@pytest.mark.parametrize("version", ["v16", "v201", "v21"])
async def test_from_a_tap_to_the_receipt(version: str, server: NatsServer, tmp_path: Path) -> None:
    async with whole(server, tmp_path, version) as (desk, charger, _):
        for path, body in {
            "/sites/home": {"name": "Home", "timezone": "Europe/Berlin", "tax_percent": "19"},
            "/tariffs/day": {"currency": "EUR", "energy_kwh": "0.40", "start": "1.00"},
            "/assignments/site:home": {"tariff": "day"},
            "/chargers/CP%2F1": {
                "name": "Left", "site": "home", "connectors": [{"evse": 1, "max_power_w": 3_000_000}],
            },
            f"/tokens/{TOKEN}": {"status": "Accepted"},
        }.items():  # fmt: skip
            assert (await desk.ask("PUT", path, body)).status == 200
        site: dict[str, Any] = {"role": "operator", "sites": ["home"]}
        await until(desk, "/chargers/CP%2F1", lambda one: one["online"] and one["site"] == "home")
        where = "/chargers/CP%2F1/do"
        start = await desk.ask("POST", where, {"do": "start", "evse": 1, "token": TOKEN}, **site)
        assert start.status == 200, start.text
        assert (start.json["outcome"], start.json["status"]) == ("result", "Accepted"), start.text
        running = await until(
            desk, "/sessions?state=open",
            lambda page: [one for one in page["items"] if one["transaction"] and one["energy_wh"]],
        )  # fmt: skip
        session = running[0]["id"]
        (connector,) = (await desk.get("/chargers/CP%2F1", **site))["connectors"]
        assert connector["session"] == session
        stop = await desk.ask("POST", where, {"do": "stop", "session": session}, **site)
        assert (stop.json["outcome"], stop.json["status"]) == ("result", "Accepted"), stop.text
        settled = await until(desk, f"/sessions/{session}", lambda one: one["state"] == "settled" and one)
        (truth,) = {charger.connectors[1].meter}
        assert (settled["energy_wh"], settled["token"], settled["flags"]) == (truth, TOKEN, [])
        expected = (Decimal(truth) * Decimal("0.0004")).quantize(Decimal("0.01")) + 1
        assert Decimal(settled["cost"]) == expected
        explained = await desk.get(f"/sessions/{session}/explain")
        assert sum(Decimal(line["amount"]) for line in explained["lines"]) == expected
        assert {fact["used_for"] for fact in explained["facts"]} - {""}
        (invoice,) = (await desk.get(f"/cdrs?session={session}"))["items"]
        assert (invoice["cost"], invoice["kind"], invoice["payment"]) == (settled["cost"], "invoice", "due")
        cheap = {"currency": "EUR", "energy_kwh": "0.20", "start": "0.50"}
        preview = (await desk.ask("POST", "/tariffs/preview", {"tariff": cheap})).json
        assert (preview["before"], preview["less"], preview["same"]) == (settled["cost"], 1, 0)
        assert Decimal(preview["after"]) == (Decimal(truth) * Decimal("0.0002")).quantize(
            Decimal("0.01")
        ) + Decimal("0.5")
        assert (await desk.ask("PUT", f"/payments/{invoice['id']}", {"state": "paid"})).status == 200
        await until(desk, f"/cdrs?session={session}", lambda page: page["items"][0]["payment"] == "paid")
        why = {"energy_wh": 1000, "why": "the meter was read by hand"}
        assert (await desk.ask("POST", f"/sessions/{session}/correct", why)).status == 200
        kinds = await until(
            desk, f"/cdrs?session={session}",
            lambda page: len(page["items"]) == 3 and {one["kind"]: one["cost"] for one in page["items"]},
        )  # fmt: skip
        assert kinds["credit"] == f"-{settled['cost']}"
        assert (await desk.get(f"/sessions/{session}"))["cost"] == "1.40"
        audit = (await desk.get("/audit?kind=correction"))["items"]
        assert [(one["id"], one["why"]) for one in audit] == [(session, "the meter was read by hand")]
        health = await desk.get("/health")
        assert health["status"] == "ok"


async def test_an_erased_token_leaves_no_trace(server: NatsServer, tmp_path: Path) -> None:
    """In no stream of the CSMS, no table and no answer: raw facts of chargers expire with their streams."""
    async with whole(server, tmp_path, "v16") as (desk, charger, settings):
        await desk.ask("PUT", f"/tokens/{TOKEN}", {"status": "Accepted", "group": "fleet"})
        await until(desk, "/chargers/CP%2F1", lambda one: one["online"])
        await desk.ask("POST", "/chargers/CP%2F1/do", {"do": "start", "evse": 1, "token": TOKEN})
        running = await until(
            desk, "/sessions", lambda page: [one for one in page["items"] if one["transaction"]]
        )
        session = running[0]["id"]
        assert running[0]["token"] == TOKEN
        await desk.ask("POST", "/chargers/CP%2F1/do", {"do": "stop", "session": session})
        await until(desk, f"/sessions/{session}", lambda one: one["state"] == "settled")
        assert (await desk.ask("DELETE", f"/tokens/{TOKEN}")).status == 204
        assert (await desk.get(f"/sessions/{session}"))["token"] != TOKEN
        jetstream: Any = desk.client.jetstream()
        for name in ("SET", "PEOPLE", "CDR", "ALERT", "TICK"):
            info = await jetstream.stream_info(f"OPS_{name}", subjects_filter=">")
            for subject in info.state.subjects or {}:
                message = await jetstream.get_last_msg(f"OPS_{name}", subject)
                # What says that it was removed names it for a minute more.
                assert TOKEN.encode() not in (message.data or b""), subject
        files = [file for file in tmp_path.iterdir() if file.name.startswith("csms.db")]  # noqa: ASYNC240
        assert files
        assert [file for file in files if TOKEN.encode() in file.read_bytes()] == []
        del charger, settings
