"""A console on a real nats-server and a real database, and a client that asks it."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp
import nats
from nats.aio.client import Client
from nats.js.api import StreamConfig
from nats.js.errors import BadRequestError, NotFoundError
from yarl import URL

from e2e.strangers import until
from jetstream import NatsServer
from voltgate.config import Config, load
from voltgate.csms.alerts.part import Alerts
from voltgate.csms.console import persons
from voltgate.csms.console.console import Console
from voltgate.csms.console.roles import RoleName
from voltgate.csms.console.server import served
from voltgate.csms.ledger import store, streams, tables
from voltgate.csms.ledger.store import Database
from voltgate.csms.tariffs.payments import Payments
from voltgate.csms.uptime.part import Uptime

AT = "2026-05-01T10:00:00.000Z"
SUBJECTS = {"TX": "tx", "COMMANDS": "command", "EVENTS": "event"}


TABLES = (*tables.TABLES, *Payments.tables, *Uptime.tables, *Alerts.tables)


class Books:
    """The ledger's tables, filled by the test."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._database: Database = store.opened(url)
        store.prepare(self._database, TABLES)

    def put(self, table: str, **row: Any) -> None:
        columns, places = ", ".join(row), ", ".join("?" * len(row))
        with self._database.begin() as tx:
            tx.run(f"INSERT INTO {table} ({columns}) VALUES ({places})", *row.values())

    def run(self, sql: str, *args: object) -> None:
        with self._database.begin() as tx:
            tx.run(sql, *args)

    def charger(self, id: str = "CP1", site: str = "north", **row: Any) -> None:
        given = {"token": id, "version": "v16", "link": "up", "link_at": AT}
        self.put("charger", **({"id": id, "site": site} | given | row))

    def connector(self, charger: str = "CP1", **row: Any) -> None:
        given = {"evse": 1, "connector": 1, "status": "Available", "since": AT, "heard": AT}
        self.put("connector", **({"charger": charger} | given | row))

    def session(self, id: str = "s1", charger: str = "CP1", **row: Any) -> None:
        given = {
            "evse": 1,
            "connector": 1,
            "tx": "7",
            "started": AT,
            "state": "open",
            "mwh": 1_500_000,
            "version": "ocpp1.6",
        }
        self.put(
            "session", **({"id": id, "charger": charger} | given | {"first_heard": AT, "heard": AT} | row)
        )

    def cdr(self, id: str = "c1", site: str = "north", **row: Any) -> None:
        given = {"number": f"{site}-2026-{id}", "session": "s1", "charger": "CP1", "revision": 1}
        money = {"kind": "invoice", "cost": 1_230_000, "currency": "EUR", "mwh": 1_500_000}
        said = {"issued": AT, "document": b"{}"}
        self.put("cdr", **({"id": id, "site": site} | given | money | said | row))

    def alert(self, **row: Any) -> None:
        given = {"rule": "faulted", "subject": "CP1", "charger": "CP1", "evse": 0, "since": AT}
        self.put("alert", **(given | {"count": 1, "state": "raised", "changed": AT} | row))

    def uptime(self) -> None:
        """An outage of an hour, a day, an attempt, an hour of load, at CP1 EVSE 1."""
        for evse, connector in ((0, 0), (1, 1)):
            self.put(
                "port", charger="CP1", evse=evse, connector=connector, condition="up",
                first="2026-01-01T00:00:00.000Z",
            )  # fmt: skip
        self.put(
            "outage", charger="CP1", evse=1, kind="faulted", begins="2026-05-01T10:00:00.000Z",
            ends="2026-05-01T11:00:00.000Z",
        )  # fmt: skip
        self.put(
            "day", charger="CP1", evse=1, date="2026-05-01", mwh=1_500_000, sessions=1, revenue=590_000,
            busy_s=3600, up_s=82_800, excluded_s=0, attempts=2, successes=1, peak_w=7400,
        )  # fmt: skip
        lately = (datetime.now(UTC) - timedelta(hours=2)).isoformat(timespec="milliseconds")
        self.put(
            "attempt", id="a", charger="CP1", evse=1, at=lately.replace("+00:00", "Z"), stage="energy",
            outcome="success", token="", how="card", vendor="V", model="M", firmware="1",
        )  # fmt: skip
        self.put(
            "slot", session="s1", at=lately.replace("+00:00", "Z"), charger="CP1", evse=1, mwh=500_000,
            busy_s=900, peak_w=7400, sessions=1, cost=0,
        )  # fmt: skip

    def position(self, seq: int, stream: str = "OCPP_TX") -> None:
        self.run(
            "INSERT INTO position (stream, created, seq) VALUES (?, ?, ?)"
            " ON CONFLICT (stream) DO UPDATE SET seq = excluded.seq",
            stream, AT, seq,
        )  # fmt: skip

    def close(self) -> None:
        self._database.close()


@dataclass
class Answer:
    status: int
    headers: Mapping[str, str]
    text: str
    json: Any


class Desk:
    """Asks one console."""

    def __init__(self, console: Console, http: aiohttp.ClientSession, url: str, client: Client) -> None:
        self.console, self.http, self.url, self.client = console, http, url, client
        self._making = asyncio.Lock()
        self._keys: dict[tuple[str, tuple[str, ...] | None], str] = {}

    async def key(self, role: RoleName = "admin", sites: list[str] | None = None) -> str:
        """A key with this role and these sites; the same for the same."""
        which = role, None if sites is None else tuple(sites)
        async with self._making:
            if which not in self._keys:
                name = f"{role} {sites} {id(self)}"
                self._keys[which] = await persons.new_key(self.console.writer, name, role, sites)
        return self._keys[which]

    async def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        role: RoleName | None = "admin",
        sites: list[str] | None = None,
        headers: dict[str, str] | None = None,
    ) -> Answer:
        """``path``: behind /api/v1, or the whole. ``role`` None: without a key."""
        given = dict(headers or {})
        if role is not None:
            given["Authorization"] = f"Bearer {await self.key(role, sites)}"
        where = self.url + (path if path.startswith(("/api", "/log")) else f"/api/v1{path}")
        async with self.http.request(
            method, URL(where, encoded=True), json=body, headers=given, allow_redirects=False
        ) as response:
            text = await response.text()
            is_json = (
                "json" in response.headers.get("Content-Type", "") and "jsonl" not in response.content_type
            )
            return Answer(
                response.status,
                response.headers,
                text,
                await response.json(content_type=None) if is_json else None,
            )

    async def get(self, path: str, **how: Any) -> Any:
        """What is answered with 200."""
        answer = await self.ask("GET", path, **how)
        assert answer.status == 200, answer.text
        return answer.json


def settings(server: NatsServer, database: str, **csms: Any) -> Config:
    return load(nats={"url": server.url}, csms={"database": database, "port": 0} | csms)


async def anew(client: Client, config: Config) -> None:
    """Empty streams of the CSMS."""
    for stream in streams.wanted(config):
        with suppress(NotFoundError):
            await client.jsm().delete_stream(str(stream.name))
    for facts in ("TX", "COMMANDS", "EVENTS"):
        stream = StreamConfig(name=f"OCPP_{facts}", subjects=[f"ocpp.{SUBJECTS[facts]}.>"])
        with suppress(BadRequestError):  # a gateway has made it, with settings of its own
            await client.jsm().add_stream(stream)


@asynccontextmanager
async def desk(server: NatsServer, books: Books, *, fresh: bool = True, **csms: Any) -> AsyncIterator[Desk]:
    """A console of the test's own. ``fresh``: with streams of its own, not those of another console."""
    async with AsyncExitStack() as stack:
        client = await nats.connect(server.url)
        stack.push_async_callback(client.close)
        config = settings(server, books.url, **csms)
        if fresh:
            await anew(client, config)
        console = await stack.enter_async_context(served(client, config))
        await until(lambda: console.people.known)
        http = await stack.enter_async_context(aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()))
        yield Desk(console, http, f"http://127.0.0.1:{console.port}", client)


def now() -> datetime:
    return datetime.now(UTC)
