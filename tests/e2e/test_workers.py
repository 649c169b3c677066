"""``voltgate serve --workers N``: real processes, real signals. What dies takes only itself."""

import asyncio
import itertools
import json
import os
import re
import signal
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg
from prometheus_client.parser import text_string_to_metric_families
from websockets import InvalidMessage, InvalidStatus

from e2e.house import PATIENCE, Gateway, config
from e2e.strangers import Charger, dial, settle, until
from jetstream import NatsServer, free_port
from processes import Voltgate, is_free, status
from voltgate import __version__

STATUS = '[2,"s","StatusNotification",{"connectorId":1,"errorCode":"NoError","status":"Available"}]'
_numbers = itertools.count(1)

Crews = Callable[..., "Crew"]


class Crew:
    """A supervisor with two workers."""

    def __init__(self, folder: Path, nats: NatsServer, **settings: Any) -> None:
        self.port, self.admin = settings.get("port") or free_port(), settings.get("admin") or free_port()
        streams, grace = settings.get("streams", "OCPP"), settings.get("grace", 0.0)
        (url,) = config(nats, nats={"stream_prefix": streams}).nats.urls
        self.file = folder / "voltgate.toml"
        self.file.write_text(
            f'[nats]\nurl = "{url}"\nstream_prefix = "{streams}"\n[registry]\nrequired = false\n'
            f'[admin]\nport = {self.admin}\n[[listeners]]\nhost = "127.0.0.1"\nport = {self.port}\n'
            f"allow_unauthenticated = true\n[drain]\ngrace = {grace}\n"
        )
        self.serve = Voltgate(folder, "serve", "--workers", "2", "--config", str(self.file))

    def ready(self) -> "Crew":
        """Once both workers are."""
        self.serve.until(lambda: all(self.check(worker, "listeners") == "ok" for worker in "01"), "ready")
        return self

    def check(self, worker: str, name: str) -> str:
        """What /readyz?verbose says of one worker: ``ok``, or what is wrong."""
        _, text = status(self.admin, "/readyz?verbose")
        found = re.search(rf"^\[[+-]\] worker {worker} {name}(?:: | )(.*)$", text, re.MULTILINE)
        return found[1] if found else ""

    def sample(self, name: str, **labels: str) -> list[tuple[str, float]]:
        """(worker, value) of each sample with these labels."""
        _, text = status(self.admin, "/metrics")
        return [
            (sample.labels.get("worker", ""), sample.value)
            for family in text_string_to_metric_families(text)
            for sample in family.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        ]

    @property
    def pids(self) -> set[int]:
        """Its workers'."""
        return {child.pid for child in psutil.Process(self.serve.process.pid).children()}

    def events(self, name: str) -> list[dict[str, Any]]:
        """Its log lines of this event."""
        lines = [json.loads(line) for line in self.serve.err.splitlines() if line.startswith("{")]
        return [line for line in lines if line["event"] == name]

    async def exit_code(self) -> int:
        return await asyncio.to_thread(self.serve.process.wait, PATIENCE)

    def end(self) -> None:
        with suppress(psutil.NoSuchProcess):
            for child in psutil.Process(self.serve.process.pid).children():
                child.kill()
        self.serve.process.kill()
        self.serve.process.wait()


class Links:
    """The newest link of every charger, as NATS tells it."""

    def __init__(self) -> None:
        self.last: dict[str, dict[str, Any]] = {}

    async def hear(self, message: Msg) -> None:
        link = json.loads(message.data)
        self.last[link["identity"]] = link

    def state(self, identity: str) -> str:
        return str(self.last.get(identity, {}).get("state", ""))

    def pid(self, identity: str) -> int:
        """Of the process that holds it: a gateway's name is host, pid, chance."""
        return int(self.last[identity]["gateway"].split("-")[-2])


@pytest.fixture(scope="module", autouse=True)
def streams(house: Gateway) -> None:
    """Are there: the house has made them."""


@pytest.fixture
def crews(tmp_path: Path, nats_server: NatsServer) -> Iterator[Crews]:
    """Make one of the test's own."""
    made: list[Crew] = []

    def make(**settings: Any) -> Crew:
        made.append(Crew(tmp_path, nats_server, **settings))
        return made[-1]

    yield make
    for crew in made:
        crew.end()


@pytest.fixture(scope="module")
def crew(tmp_path_factory: pytest.TempPathFactory, nats_server: NatsServer) -> Iterator[Crew]:
    """The one that survives its tests."""
    one = Crew(tmp_path_factory.mktemp("crew"), nats_server)
    yield one
    one.end()


@pytest.fixture
async def links(client: Client) -> Links:
    heard = Links()
    await client.subscribe("ocpp.link.*", cb=heard.hear)
    await settle(client)
    return heard


@pytest.fixture
async def dialled() -> AsyncIterator[AsyncExitStack]:
    """Chargers hang up at the end of the test."""
    async with AsyncExitStack() as stack:
        yield stack


async def when_let_in(port: int, identity: str, dialled: AsyncExitStack) -> Charger:
    """Dial until a worker has room. What the kernel gave to the socket of a dead one is reset: dial again."""
    async with asyncio.timeout(PATIENCE):
        while True:
            with suppress(InvalidStatus, InvalidMessage, ConnectionError):
                return await dialled.enter_async_context(dial(port, identity))


async def spread(crew: Crew, links: Links, dialled: AsyncExitStack) -> dict[int, tuple[str, Charger]]:
    """Chargers dial until each worker has one: pid -> identity and charger."""
    held: dict[int, tuple[str, Charger]] = {}
    async with asyncio.timeout(PATIENCE):
        while len(held) < 2:
            identity = f"crew {next(_numbers)}"
            charger = await when_let_in(crew.port, identity, dialled)
            await until(lambda who=identity: links.state(who) == "up")  # type: ignore[misc]
            held.setdefault(links.pid(identity), (identity, charger))
    return held


async def test_workers_share_the_port_and_the_admin_pages_speak_for_all(
    crew: Crew, links: Links, dialled: AsyncExitStack
) -> None:
    """Both take chargers; numbers of both stand under their label, each family once."""
    crew.ready()
    held = await spread(crew, links, dialled)
    assert set(held) == crew.pids
    for pid in crew.pids:  # a package that was changed under the supervisor is known by it
        assert f"--release={__version__}" in psutil.Process(pid).cmdline()
    for _, charger in held.values():
        assert await charger.ask(STATUS) == '[3,"s",{}]'
    online = crew.sample("voltgate_connections")
    assert {worker for worker, _ in online} == {"0", "1"}
    await until(lambda: sum(n for _, n in crew.sample("voltgate_connections")) == len(links.last))
    assert crew.sample("voltgate_workers_running") == [("", 2.0)]
    assert crew.sample("voltgate_worker_scraped") == [("0", 1.0), ("1", 1.0)]
    _, text = status(crew.admin, "/metrics")
    families = re.findall(r"^# TYPE (\S+)", text, re.MULTILINE)
    assert len(families) == len(set(families))
    code, text = status(crew.admin, "/readyz?verbose")
    assert (code, text.splitlines()[-1]) == (200, "ok")
    assert "[+] worker 0 nats ok\n" in text
    assert "[+] worker 1 listeners ok\n" in text
    assert status(crew.admin, "/livez") == (200, "ok\n")


async def test_a_killed_worker_is_replaced_and_the_other_notices_nothing(
    crew: Crew, links: Links, dialled: AsyncExitStack
) -> None:
    """Its chargers lose their socket and dial again; the same label, another process."""
    crew.ready()
    held = await spread(crew, links, dialled)
    (dead, (identity, orphan)), (alive, (_, other)) = held.items()
    before = sum(n for _, n in crew.sample("voltgate_worker_restarts_total", reason="killed"))
    os.kill(dead, signal.SIGKILL)
    assert await orphan.closed() == 1006
    again = await when_let_in(crew.port, identity, dialled)
    assert await again.ask(STATUS) == '[3,"s",{}]', "whoever is left takes it"
    await until(lambda: len(crew.pids - {dead}) == 2)
    crew.ready()
    assert alive in crew.pids
    assert await other.ask(STATUS) == '[3,"s",{}]', "untouched"
    assert sum(n for _, n in crew.sample("voltgate_worker_restarts_total", reason="killed")) == before + 1
    ended = crew.events("worker.exited")[-1]
    assert (ended["reason"], ended["signal"]) == ("killed", "SIGKILL")
    assert set(await spread(crew, links, dialled)) == crew.pids, "the new one serves"


async def test_a_worker_told_to_end_drains_and_is_replaced(
    crew: Crew, links: Links, dialled: AsyncExitStack
) -> None:
    """SIGTERM to one worker is a rolling restart: 1001 to its chargers, and another takes its place."""
    crew.ready()
    (leaving, (_, charger)), (alive, _) = (await spread(crew, links, dialled)).items()
    os.kill(leaving, signal.SIGTERM)
    assert await charger.closed() == 1001
    await until(lambda: len(crew.pids - {leaving}) == 2)
    crew.ready()
    assert alive in crew.pids
    ended = crew.events("worker.exited")[-1]
    assert (ended["reason"], ended["code"]) == ("ended", 0)


async def test_sighup_gives_every_worker_the_new_limits(
    crew: Crew, links: Links, dialled: AsyncExitStack
) -> None:
    """Also the one that is started later; a bad file is refused once, and changes nothing."""
    crew.ready()
    held = await spread(crew, links, dialled)
    good = crew.file.read_text()
    crew.file.write_text(f"{good}[limits]\nno_such_key = 1\n")
    crew.serve.process.send_signal(signal.SIGHUP)
    await until(lambda: crew.events("reload.failed"))
    assert len(crew.events("reload.failed")) == 1
    crew.file.write_text(f"{good}[limits]\nmax_connections = 1\n")
    crew.serve.process.send_signal(signal.SIGHUP)
    await until(lambda: status(crew.admin, "/readyz")[0] == 503)
    assert crew.check("0", "connections") == crew.check("1", "connections") != "ok", "both are full"
    crew.file.write_text("broken")  # of no interest to a worker that is replaced now
    os.kill(next(iter(held)), signal.SIGKILL)
    await until(lambda: status(crew.admin, "/readyz")[0] == 200)
    crew.ready()
    newcomer = await when_let_in(crew.port, "newcomer", dialled)
    await until(lambda: status(crew.admin, "/readyz")[0] == 503)
    assert await newcomer.ask(STATUS) == '[3,"s",{}]'
    crew.file.write_text(good)
    crew.serve.process.send_signal(signal.SIGHUP)
    await until(lambda: status(crew.admin, "/readyz")[0] == 200)


async def test_a_worker_that_does_not_respond_is_killed_and_replaced(
    crew: Crew, links: Links, dialled: AsyncExitStack
) -> None:
    """SIGSTOP: its sockets stay open, so somebody must end it. Until then the rest is shown without it."""
    crew.ready()
    (frozen, (_, orphan)), (alive, (_, other)) = (await spread(crew, links, dialled)).items()
    os.kill(frozen, signal.SIGSTOP)
    await until(lambda: {n for _, n in crew.sample("voltgate_worker_scraped")} == {0.0, 1.0})
    assert len(crew.sample("voltgate_draining")) == 1, "the one that answers"
    assert await other.ask(STATUS) == '[3,"s",{}]'
    assert status(crew.admin, "/readyz")[0] == 200, "one worker is ready"
    await until(lambda: "silent" in status(crew.admin, "/readyz?verbose")[1])
    assert await orphan.closed() == 1006
    await until(lambda: len(crew.pids - {frozen}) == 2)
    crew.ready()
    assert alive in crew.pids
    assert crew.events("worker.exited")[-1]["reason"] == "silent"
    assert crew.sample("voltgate_worker_restarts_total", reason="silent") == [("", 1.0)]


async def test_a_drain_lets_every_worker_leave(crews: Crews, links: Links, dialled: AsyncExitStack) -> None:
    """SIGTERM to the supervisor: 1001 to all, every link down with reason drain, exit 0."""
    crew = crews().ready()
    await spread(crew, links, dialled)
    pids, held = crew.pids, [who for who in links.last if links.state(who) == "up"]
    held = [who for who in held if links.pid(who) in pids]
    crew.serve.process.send_signal(signal.SIGTERM)
    assert await crew.exit_code() == 0
    await until(lambda: all(links.state(who) == "down" for who in held))
    assert {links.last[who]["reason"] for who in held} == {"drain"}
    assert len(held) >= 2
    assert is_free(crew.port)
    assert "Traceback" not in crew.serve.err
    assert crew.serve.out == ""
    assert crew.events("worker.exited") == [], "nobody fell"


async def test_a_second_sigterm_ends_all_at_once(crews: Crews, links: Links, dialled: AsyncExitStack) -> None:
    """A grace of ten minutes: not ready and still serving, until the second signal."""
    crew = crews(grace=600.0).ready()
    held = await spread(crew, links, dialled)
    crew.serve.process.send_signal(signal.SIGTERM)
    await until(lambda: status(crew.admin, "/readyz")[0] == 503)
    assert "[-] draining: leaving\n" in status(crew.admin, "/readyz?verbose")[1]
    for pid in held:  # as a service manager may do: the wish that the supervisor has passed on already
        os.kill(pid, signal.SIGTERM)
    await until(lambda: len(crew.events("drain.began")) == 2)
    for _, charger in held.values():
        assert await charger.ask(STATUS) == '[3,"s",{}]'
    # One that falls now is not replaced.
    fallen = next(iter(held))
    os.kill(fallen, signal.SIGKILL)
    await until(lambda: crew.sample("voltgate_workers_running") == [("", 1.0)])
    crew.serve.process.send_signal(signal.SIGTERM)
    assert await crew.exit_code() == 1, "not all left well"
    assert crew.sample("voltgate_workers_running") == []


async def test_workers_end_with_their_supervisor(crews: Crews, links: Links, dialled: AsyncExitStack) -> None:
    """SIGKILL: they drain without grace, also the one that is frozen, and leave nothing."""
    crew = crews(grace=600.0).ready()
    held = await spread(crew, links, dialled)
    children = psutil.Process(crew.serve.process.pid).children()
    children[0].suspend()
    crew.serve.process.kill()
    for _, charger in held.values():
        assert await charger.closed() == 1001
    assert (await asyncio.to_thread(psutil.wait_procs, children, PATIENCE))[1] == []
    await until(lambda: {links.last[who]["reason"] for who, _ in held.values()} == {"drain"})
    assert is_free(crew.port)


def test_what_no_worker_can_do_is_said_once(crews: Crews) -> None:
    """Streams are missing: the first worker's words and its exit code, no second one, no restart."""
    crew = crews(streams="NONE")
    assert crew.serve.process.wait(PATIENCE) == 1
    assert crew.serve.err.count("voltgate: stream NONE_TX is missing: run `voltgate streams apply") == 1
    assert len(crew.events("gateway.stopped")) == 1
    assert crew.events("worker.exited") == []
    assert is_free(crew.port)


def test_a_signal_while_nats_is_silent_ends_it(start_nats: Callable[..., Any], tmp_path: Path) -> None:
    """No door is open yet, so nobody waits for anything."""
    nats = start_nats("-js", "-sd", str(tmp_path / "jetstream"))
    nats.process.send_signal(signal.SIGSTOP)
    crew = Crew(tmp_path, nats)
    try:
        crew.serve.until(lambda: crew.check("0", "process") == "ok", "its first worker beats")
        assert status(crew.admin, "/livez") == (200, "ok\n")
        assert status(crew.admin, "/readyz")[0] == 503
        assert crew.check("1", "process") == "not running", "the first shows whether the others can live"
        assert crew.serve.ends(signal.SIGTERM) == 0
    finally:
        crew.end()
    assert "Traceback" not in crew.serve.err


@pytest.mark.parametrize("whose", ["listener", "admin"])
def test_an_address_in_use_is_one_line_before_any_worker_starts(crews: Crews, whose: str) -> None:
    """Also where the other one would share it with us: two supervisors must not mix their chargers."""
    with socket.socket() as stranger:
        stranger.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        stranger.bind(("127.0.0.1", 0))
        stranger.listen()
        port = stranger.getsockname()[1]
        crew = crews(**{"port" if whose == "listener" else "admin": port})
        assert crew.serve.process.wait(PATIENCE) == 1
    (line,) = crew.serve.err.splitlines()
    assert line.startswith(f"voltgate: {whose} 127.0.0.1:{port}: ")
    assert line.lower().endswith("address already in use")
