"""A gateway with a full worker, and chargers that are moved: real processes, several workers."""

import asyncio
import json
import signal
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path

import pytest
from nats.aio.client import Client
from websockets import InvalidStatus

from e2e.crews import STATUS, Crew, Links, when_let_in
from e2e.guarded import Guarded
from e2e.house import Gateway
from e2e.strangers import Backend, Charger, dial, knock, request, until
from processes import Voltgate, status

MOST = 4  # chargers per worker


class Limited(Crew):
    """A supervisor with two workers whose limit of chargers changes."""

    def limit(self, most: int) -> None:
        """Let each worker have so many, once both are ready."""
        self.ready()
        self.file.write_text(
            f"{self.file.read_text().split('[limits]')[0]}[limits]\nmax_connections = {most}\n"
        )
        before = len(self.events("config.reloaded"))
        self.serve.process.send_signal(signal.SIGHUP)
        self.serve.until(lambda: len(self.events("config.reloaded")) > before, "reloaded")


@pytest.fixture(scope="module")
def crew(tmp_path_factory: pytest.TempPathFactory, nats_server: Guarded, house: Gateway) -> Iterator[Limited]:
    """The one of all tests here; the house has made the streams."""
    one = Limited(tmp_path_factory.mktemp("crew"), nats_server)
    yield one
    one.end()


def refused(crew: Crew) -> float:
    """Upgrades that were answered with 503 because a worker was full."""
    return sum(count for _, count in crew.sample("voltgate_handshakes_total", result="full"))


async def test_a_full_worker_hands_its_listening_over_while_another_has_room(
    crew: Limited, links: Links, dialled: AsyncExitStack
) -> None:
    """Nobody is refused as long as one has room; the last one answers 503, and room that comes is used."""
    crew.limit(MOST)
    held: dict[int, list[Charger]] = {pid: [] for pid in crew.pids}
    while max(map(len, held.values())) < MOST:
        identity = f"full {sum(map(len, held.values()))}"
        charger = await when_let_in(crew.port, identity, dialled)
        await until(lambda who=identity: links.state(who) == "up")  # type: ignore[misc]
        held[links.pid(identity)].append(charger)
    full = next(pid for pid, chargers in held.items() if len(chargers) == MOST)
    other = next(pid for pid in held if pid != full)
    for charger in held[other]:
        await charger.socket.close()
    await until(lambda: sum(n for _, n in crew.sample("voltgate_connections")) == MOST)
    held[other].clear()
    await until(lambda: any(line["sets"] == [] for line in crew.events("listening.assigned")))
    assert any(line["sets"] == [0, 1] for line in crew.events("listening.assigned"))
    before = refused(crew)
    for number in range(10):
        async with dial(crew.port, f"passing {number}") as charger:
            assert await charger.ask(STATUS) == '[3,"s",{}]'
        await until(lambda who=f"passing {number}": links.state(who) == "down")  # type: ignore[misc]
        assert links.pid(f"passing {number}") != full
    assert refused(crew) == before
    assert status(crew.admin, "/readyz")[0] == 200
    while sum(map(len, held.values())) < 2 * MOST:
        charger = await when_let_in(crew.port, f"last {sum(map(len, held.values()))}", dialled)
        held[other].append(charger)
    await until(lambda: status(crew.admin, "/readyz")[0] == 503)
    assert status(crew.admin, "/lbz")[0] == 200
    async with knock(crew.port, request("/one%20too%20many")) as answer:
        assert answer.status == 503
        assert 30 <= int(answer.headers["retry-after"]) <= 60
    await held[full][0].socket.close()
    await when_let_in(crew.port, "newcomer", dialled)
    await until(lambda: links.state("newcomer") == "up")
    assert links.pid("newcomer") == full


class Returning:
    """A charger that dials again whenever it is closed, and the codes it was closed with."""

    def __init__(self, port: int, identity: str) -> None:
        self.identity, self.codes = identity, Counter[int]()
        self._port = port
        self.charger: Charger

    async def run(self) -> None:
        while True:
            with suppress(InvalidStatus, ConnectionError):
                async with dial(self._port, self.identity) as charger:
                    self.charger = charger
                    await charger.socket.wait_closed()
                    self.codes[charger.socket.close_code or 0] += 1


@asynccontextmanager
async def on_one_worker(crew: Crew, links: Links, count: int) -> AsyncIterator[list[Returning]]:
    """So many chargers, all at the worker where the first one came in."""
    found: list[Returning] = []
    running: list[asyncio.Task[None]] = []
    for number in range(100):
        charger = Returning(crew.port, f"moved {number}")
        task = asyncio.ensure_future(charger.run())
        await until(lambda who=charger.identity: links.state(who) == "up")  # type: ignore[misc]
        if found and links.pid(charger.identity) != links.pid(found[0].identity):
            task.cancel()
            await asyncio.wait({task})
            continue
        found.append(charger)
        running.append(task)
        if len(found) == count:
            break
    await until(lambda: sum(links.state(who).count("up") for who in links.last if "moved" in who) == count)
    try:
        yield found
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)


async def test_chargers_are_moved_from_the_full_worker_to_the_empty_one(
    crew: Limited,
    links: Links,
    client: Client,
    nats_server: Guarded,
    tmp_path: Path,
) -> None:
    """Paced, with 1001, and only those without an open call; then the workers hold about as many."""
    crew.limit(15_000)
    async with on_one_worker(crew, links, 12) as chargers:
        busy = chargers[0]
        backend = Backend(client, busy.identity, {"Authorize": None})
        await backend.listen()
        await busy.charger.send('[2,"open","Authorize",{"idTag":"A1"}]')
        await until(lambda: backend.withheld)
        folder = tmp_path / "rebalance"
        folder.mkdir()
        host = str(links.last[busy.identity]["gateway"]).rsplit("-", 2)[0]
        among = [*(f"--gateway={host}-{pid}-" for pid in crew.pids), "--config", str(crew.file)]
        operator = {"VOLTGATE_NATS__URL": nats_server.url_of("operator")}
        moving = Voltgate(folder, "rebalance", "--rate", "100", "--json", *among, **operator)
        code = await asyncio.to_thread(moving.process.wait, 60)
        assert code == 0, moving.err
        rows = [json.loads(line) for line in moving.out.splitlines()]

        def holding() -> list[int]:
            held = Counter(links.pid(charger.identity) for charger in chargers)
            return sorted(held[pid] for pid in crew.pids)

        await until(lambda: holding() == sorted(row["after"] for row in rows), "links of those that moved")
        held = holding()
        assert "round 1" in moving.err
        assert held[-1] - held[0] <= 3, held
        assert busy.codes == Counter(), "it has an open call"
        assert set().union(*(charger.codes for charger in chargers)) == {1001}
        moved = sum(charger.codes.total() for charger in chargers)
        assert sum(n for _, n in crew.sample("voltgate_disconnects_total", reason="rebalanced")) == moved
        assert sorted(row["before"] for row in rows) == [0, len(chargers)]
        again = Voltgate(folder, "rebalance", "--dry-run", *among, **operator)
        assert await asyncio.to_thread(again.process.wait, 60) == 0
        await backend.withheld[0].respond(b'{"idTagInfo":{"status":"Accepted"}}')
        assert await busy.charger.hear() == '[3,"open",{"idTagInfo":{"status":"Accepted"}}]'
