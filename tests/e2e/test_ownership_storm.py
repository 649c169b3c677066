"""Chargers that move between two gateways while a backend sends a command on sight of each ``up``.

docs/contract.md 3.5 and 3.6 with real processes: the outcome is ``result``, or ``gone`` and then ``result``
under the same id. With ``TEST_FULL=1`` (make test-full) there are 672 connects, 336 of them takeovers.
"""

import asyncio
import json
import os
import signal
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from subprocess import Popen

import orjson
import pytest
import websockets
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import NoRespondersError
from nats.js.errors import KeyNotFoundError

from e2e.guarded import Guarded, with_user
from e2e.house import PATIENCE, config
from e2e.logins import KEY, charger, fast, login
from e2e.serving import KNOWN, serving
from e2e.strangers import Charger, Facts, answer_of, connected, request, token, until
from proxy import Proxy
from voltgate.gateway.bus import streams

FULL = os.environ.get("TEST_FULL") == "1"


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Gateways refuse a variable that is not a key of theirs."""
    monkeypatch.delenv("TEST_FULL", raising=False)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Guarded]:
    """A NATS of this test's own: its gateways know no others."""
    server = Guarded(tmp_path / "store")
    yield server
    server.kill()


@pytest.fixture
async def wire(server: Guarded) -> AsyncIterator[Client]:
    """A client of it; the streams are there."""
    client = await connected(server.url)
    await streams.apply(client, config(server))
    yield client
    await client.close()


async def add(wire: Client, *identities: str) -> None:
    """Chargers with records."""
    bucket = await wire.jetstream().key_value("ocpp_chargers")
    record = orjson.dumps({"enabled": True, "password_hashes": [fast(KEY)]})
    for identity in identities:
        await bucket.put(token(identity), record)


class Socket:
    """A charger's connection; it accepts every command and counts the CALLs by ``vendorId``."""

    def __init__(self, charger: Charger) -> None:
        self._charger = charger
        self.calls: Counter[str] = Counter()
        self.closed: int | None = None
        self.task = asyncio.create_task(self._serve())

    async def _serve(self) -> None:
        socket = self._charger.socket
        try:
            while True:
                _, message_id, _, payload = json.loads(await socket.recv())
                self.calls[payload["vendorId"]] += 1
                await socket.send(f'[3,"{message_id}",{{"status":"Accepted"}}]')
        except websockets.ConnectionClosed as end:
            self.closed = end.rcvd.code if end.rcvd else 1006


@asynccontextmanager
async def charger_at(port: int, identity: str) -> AsyncIterator[Socket]:
    async with charger(port, identity) as opened:
        socket = Socket(opened)
        try:
            yield socket
        finally:
            socket.task.cancel()
            with suppress(asyncio.CancelledError):
                await socket.task


async def command(client: Client, identity: str, command_id: str, timeout: float = PATIENCE) -> Msg:
    body = json.dumps({"vendorId": command_id}).encode()
    subject = f"ocpprpc.send.DataTransfer.{token(identity)}"
    return await client.request(subject, body, timeout=timeout, headers={"ocpp-command-id": command_id})


class Commander:
    """A backend that sends a command as soon as it sees an ``up``, and repeats it while it is ``gone``."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self.outcomes: Counter[str] = Counter()
        self.last: dict[str, tuple[str, str]] = {}  # state and session of each charger
        self.done: set[str] = set()  # sessions
        self._tasks: set[asyncio.Task[None]] = set()

    async def listen(self) -> None:
        await self._client.subscribe("ocpp.link.*", cb=self._seen)
        await self._client.flush()

    async def _seen(self, message: Msg) -> None:
        link = json.loads(message.data)
        identity, session = link["identity"], link["session"]
        self.last[identity] = link["state"], session
        if link["state"] == "up":
            task = asyncio.create_task(self._send(identity, session))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _send(self, identity: str, session: str) -> None:
        outcome = "gone"
        while outcome == "gone":
            try:
                headers = (await command(self._client, identity, session)).headers or {}
            except NoRespondersError:
                outcome = "no responders"
            else:
                outcome = headers["ocpp-outcome"]
                if headers["ocpp-session"] != session and outcome != "gone":
                    outcome += " of another session"
            self.outcomes[outcome] += 1
        self.done.add(session)

    async def commanded(self, identity: str, before: str = "") -> str:
        """The session after ``before``, once its command has ended."""
        await until(lambda: self.last.get(identity, ("", ""))[0] == "up" and self.last[identity][1] != before)
        session = self.last[identity][1]
        await until(lambda: session in self.done)
        return session


@asynccontextmanager
async def pair(server: Guarded, folder: Path) -> AsyncIterator[list[tuple[Popen[bytes], int, Proxy]]]:
    """Two gateways: process, port, and the proxy before their NATS."""
    proxies = [Proxy(server.port) for _ in range(2)]
    try:
        async with (
            serving(with_user(proxies[0].nats, "gateway"), folder / "one", KNOWN) as one,
            serving(with_user(proxies[1].nats, "gateway"), folder / "other", KNOWN) as other,
        ):
            yield [(*one, proxies[0]), (*other, proxies[1])]
    finally:
        for proxy in proxies:
            proxy.stop()


async def test_a_command_on_sight_of_each_up_is_answered_by_that_session(
    server: Guarded, wire: Client, tmp_path: Path
) -> None:
    """Half of the dials are takeovers: the former socket is open at the other gateway."""
    chargers, rounds = (
        (28, 4) if FULL else (6, 2)
    )  # in three phases; more than 5 takeovers a minute are flapping
    commander = Commander(wire)
    await commander.listen()

    async def moves(identity: str, doors: list[int]) -> None:
        for _ in range(rounds):
            async with charger_at(doors[0], identity) as old:
                before = await commander.commanded(identity)
                async with charger_at(doors[1], identity) as new:
                    session = await commander.commanded(identity, before)
                    assert (old.calls[session], new.calls[session]) == (0, 1)
                    await asyncio.wait([old.task], timeout=PATIENCE)
                    assert (old.closed, new.closed) == (1008, None)
            await until(lambda: commander.last[identity][0] == "down")
            doors.reverse()

    async with pair(server, tmp_path) as ((_, one, older), (_, other, newer)):
        for phase in range(3):
            older.down.latency = 0.05 if phase == 1 else 0  # it learns late of links
            newer.up.latency = 0.05 if phase == 2 else 0  # its `up` is stored late
            identities = [f"CP {phase}-{number}" for number in range(chargers)]
            await add(wire, *identities)
            await asyncio.gather(*(moves(identity, [one, other]) for identity in identities))
    assert set(commander.outcomes) <= {"result", "gone"}, commander.outcomes
    assert commander.outcomes["result"] == 2 * 3 * chargers * rounds


async def test_a_command_that_reaches_a_gateway_before_the_newer_link_is_gone(
    server: Guarded, wire: Client, tmp_path: Path
) -> None:
    """Its consumer is held, so only the fence can keep the CALL from the older socket."""
    commander = Commander(wire)
    await commander.listen()
    identities = [f"CP {number}" for number in range(100 if FULL else 20)]
    await add(wire, *identities)

    async def hold(seconds: float) -> None:
        until = (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat()
        subject = f"$JS.API.CONSUMER.PAUSE.OCPP_LINKS.{consumer.name}"
        answer = await wire.request(subject, json.dumps({"pause_until": until}).encode())
        assert json.loads(answer.data)["paused"] == (seconds > 0)

    async with AsyncExitStack() as stack:
        url = server.url_of("gateway")
        _, one = await stack.enter_async_context(serving(url, tmp_path / "one", KNOWN))
        (consumer,) = await wire.jetstream().consumers_info("OCPP_LINKS")
        _, other = await stack.enter_async_context(serving(url, tmp_path / "other", KNOWN))
        before = {}
        olds = [await stack.enter_async_context(charger_at(one, identity)) for identity in identities]
        for identity in identities:
            before[identity] = await commander.commanded(identity)
        await hold(60)
        for identity, old in zip(identities, olds, strict=True):
            new = await stack.enter_async_context(charger_at(other, identity))
            session = await commander.commanded(identity, before[identity])
            assert (old.calls[session], new.calls[session]) == (0, 1)
        assert {old.closed for old in olds} == {None, 1008}
        await hold(-1)
        await asyncio.wait([old.task for old in olds], timeout=PATIENCE)
        assert {old.closed for old in olds} == {1008}
    assert commander.outcomes["result"] == 2 * len(identities)
    assert commander.outcomes["gone"] > 0
    assert set(commander.outcomes) == {"result", "gone"}


async def test_a_gateway_that_was_frozen_sends_no_command_a_second_time(
    server: Guarded, wire: Client, tmp_path: Path
) -> None:
    """It swallows commands until it goes on; their sender repeats them under their ids meanwhile."""
    await add(wire, "CP")
    ids = [f"c{number}" for number in range(50 if FULL else 10)]

    async def result(command_id: str) -> None:
        outcome = ""
        while outcome != "result":
            with suppress(TimeoutError):
                outcome = ((await command(wire, "CP", command_id, 0.5)).headers or {})["ocpp-outcome"]
                assert outcome in ("result", "gone", "busy")

    links = Facts(wire, "CP")
    async with pair(server, tmp_path) as ((frozen, one, _), (_, other, _)), charger_at(one, "CP") as old:
        await links.kept_link(state="up")
        frozen.send_signal(signal.SIGSTOP)
        try:
            async with charger_at(other, "CP") as new:
                await asyncio.gather(*map(result, ids))
                assert new.calls == dict.fromkeys(ids, 1)
                frozen.send_signal(signal.SIGCONT)
                await asyncio.wait([old.task], timeout=PATIENCE)
                assert (old.closed, new.closed, old.calls) == (1008, None, {})
                # What it had swallowed is answered by now: its session has ended, and no CALL came.
                await asyncio.gather(*map(result, ids))
                assert new.calls == dict.fromkeys(ids, 1)
        finally:
            frozen.send_signal(signal.SIGCONT)


async def test_an_up_that_is_held_behind_that_of_a_newer_session_ends_with_the_truth(
    server: Guarded, wire: Client, tmp_path: Path
) -> None:
    """The older socket has closed, so all that the other gateway sees behind its epoch is a ``down``.

    It shows the charger as offline, and it is: its connection there ends, and it dials again.
    """
    await add(wire, "CP")
    links = Facts(wire, "CP")
    async with pair(server, tmp_path) as ((_, one, wire_one), (_, other, _)):
        held = wire_one.up.aim(b"HPUB ocpp.link.CP ", wire_one.up.hold)
        async with charger_at(one, "CP"):
            await asyncio.to_thread(held.wait, PATIENCE)
        async with charger_at(other, "CP") as new:
            await links.kept_link(state="up")
            wire_one.up.heal()
            await asyncio.wait([new.task], timeout=PATIENCE)
            assert new.closed == 1008
        await links.kept_link(state="down", reason="client")
        async with charger_at(other, "CP") as again:
            await links.kept_link(state="up")
            assert ((await command(wire, "CP", "c")).headers or {})["ocpp-outcome"] == "result"
            assert again.calls == {"c": 1}


@pytest.mark.full
async def test_a_gateway_that_is_killed_costs_its_chargers_one_link_each(
    server: Guarded, wire: Client, tmp_path: Path
) -> None:
    """They dial the other one and are found there; when the first counts as dead, nothing is left to do."""
    identities = [f"CP{number}" for number in range(2000)]
    await add(wire, *identities)
    links: Counter[str] = Counter()
    others: Counter[str] = Counter()
    few = asyncio.Semaphore(100)
    sockets: list[asyncio.StreamWriter] = []

    async def count(message: Msg) -> None:
        links[json.loads(message.data)["state"]] += 1

    async def count_other(message: Msg) -> None:
        others[message.subject.partition(".CP")[0]] += 1

    async def dials(port: int, identity: str) -> None:
        async with few:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            sockets.append(writer)
            writer.write(request(f"/{identity}", Authorization=login(identity, KEY)))
            assert (await answer_of(reader, writer)).status == 101

    async with pair(server, tmp_path) as ((killed, one, _), (_, other, _)):
        await wire.subscribe("ocpp.link.*", cb=count)
        await wire.flush()
        await asyncio.gather(*(dials(one, identity) for identity in identities))
        await until(lambda: links["up"] == len(identities))  # they follow the answers
        links.clear()
        gone = (await Facts(wire, "CP0").kept_link(state="up")).json["gateway"]
        for subject in ("ocpprpc.>", "$JS.API.STREAM.MSG.GET.>"):
            await wire.subscribe(subject, cb=count_other)
        await wire.flush()
        killed.kill()
        await asyncio.gather(*(dials(other, identity) for identity in identities))
        signs = await wire.jetstream().key_value("ocpp_gateways")
        with suppress(KeyNotFoundError):  # it counts as dead then, and is forgotten
            async with asyncio.timeout(PATIENCE):
                while await signs.get(gone):
                    await asyncio.sleep(0.1)
        assert (links, others) == ({"up": len(identities)}, {})
    for writer in sockets:
        writer.transport.abort()
