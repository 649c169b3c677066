"""``voltgate serve --workers N``: real processes, real signals. What dies takes only itself."""

import asyncio
import os
import re
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import psutil
import pytest

from e2e.crews import STATUS, Crew, Crews, Links, spread, when_let_in
from e2e.house import PATIENCE, Gateway
from e2e.secured import Pki
from e2e.strangers import until
from jetstream import NatsServer, free_port
from processes import is_free, status
from voltgate import __version__


@pytest.fixture(scope="module", autouse=True)
def streams(house: Gateway) -> None:
    """Are there: the house has made them."""


@pytest.fixture(scope="module")
def crew(tmp_path_factory: pytest.TempPathFactory, nats_server: NatsServer) -> Iterator[Crew]:
    """The one that survives its tests."""
    one = Crew(tmp_path_factory.mktemp("crew"), nats_server)
    yield one
    one.end()


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
    await until(lambda: sum(n for _, n in crew.sample("voltgate_connections")) == len(links.up))
    assert crew.sample("voltgate_workers_running") == [("", 2.0)]
    assert crew.sample("voltgate_worker_scraped") == [("0", 1.0), ("1", 1.0)]
    _, text = status(crew.admin, "/metrics")
    families = re.findall(r"^# TYPE (\S+)", text, re.MULTILINE)
    assert len(families) == len(set(families))
    code, text = status(crew.admin, "/readyz?verbose")
    assert (code, text.splitlines()[-1]) == (200, "ok")
    assert "[+] worker 0 nats ok\n" in text
    assert "[+] worker 1 listeners ok\n" in text
    assert {int(pid) for pid in re.findall(r"^worker \d: pid (\d+)$", text, re.MULTILINE)} == crew.pids
    assert status(crew.admin, "/lbz") == (200, "ok\n")
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
    reloaded = "voltgate_config_reload_successful"
    await until(lambda: crew.sample(reloaded) == [("0", 0.0), ("1", 0.0)])
    crew.file.write_text(f"{good}[limits]\nmax_connections = 1\n")
    crew.serve.process.send_signal(signal.SIGHUP)
    await until(lambda: status(crew.admin, "/readyz")[0] == 503)
    assert crew.check("0", "connections") == crew.check("1", "connections") != "ok", "both are full"
    assert crew.sample(reloaded) == [("0", 1.0), ("1", 1.0)]
    (line,) = crew.events("config.reloaded")
    assert line["changed"] == ["limits.max_connections: 15000 -> 1"]
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


async def test_a_session_of_tls_is_resumed_by_every_worker_and_by_none_after_a_reload(
    crews: Crews, tmp_path: Path
) -> None:
    pki, port = Pki.made_in(tmp_path), free_port()
    pairs = [list(pki.servers.issue("gateway").pair)]
    crew = crews(
        more=f'[[listeners]]\nhost = "127.0.0.1"\nport = {port}\nsecurity_profile = 2\n'
        f"allow_unauthenticated = true\ntls_certificates = {pairs}\n"
    ).ready()
    context, session = pki.context(), None

    def dialled() -> bool:
        nonlocal session
        with (
            socket.create_connection(("127.0.0.1", port)) as raw,
            context.wrap_socket(raw, server_hostname="localhost", session=session) as wrapped,
        ):
            wrapped.write(b"GET / HTTP/1.1\r\n\r\n")
            while wrapped.read():  # the ticket comes first
                pass
            session = wrapped.session
            return bool(wrapped.session_reused)

    def by_worker() -> dict[str, float]:
        return dict(crew.sample("voltgate_tls_handshakes_total", resumed="true"))

    assert not await asyncio.to_thread(dialled)
    while len(by_worker()) < 2:
        assert await asyncio.to_thread(dialled)
    crew.serve.process.send_signal(signal.SIGHUP)
    await until(lambda: len(crew.events("certificates.reloaded")) == 2)
    assert not await asyncio.to_thread(dialled)
    assert await asyncio.to_thread(dialled)


async def test_a_drain_lets_every_worker_leave(crews: Crews, links: Links, dialled: AsyncExitStack) -> None:
    """SIGTERM to the supervisor: 1001 to all, every link down with reason drain, exit 0."""
    crew = crews().ready()
    await spread(crew, links, dialled)
    pids, held = crew.pids, links.up
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
    ends = crew.events("drain.ended")
    assert (len(ends), sum(end["closed"] for end in ends)) == (2, len(held))
    assert {(end["cut"], end["seconds"] < PATIENCE) for end in ends} == {(0, True)}


async def test_a_second_sigterm_ends_all_at_once(crews: Crews, links: Links, dialled: AsyncExitStack) -> None:
    """A grace of ten minutes: not ready and still serving, until the second signal."""
    crew = crews(grace=600.0).ready()
    held = await spread(crew, links, dialled)
    crew.serve.process.send_signal(signal.SIGTERM)
    await until(lambda: status(crew.admin, "/readyz")[0] == 503)
    assert "[-] draining: leaving\n" in status(crew.admin, "/readyz?verbose")[1]
    for pid in held:  # as a service manager may do: the wish that the supervisor has passed on already
        os.kill(pid, signal.SIGTERM)
    assert status(crew.admin, "/lbz") == (503, "leaving\n")
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
    (end,) = crew.events("drain.ended")
    assert end["closed"] + end["cut"] >= 1, "of the one that did not fall"


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
    assert (
        crew.serve.err.count("voltgate: stream KV_none_chargers is missing: run `voltgate streams apply") == 1
    )
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
    key = {"listener": "listeners.0.port", "admin": "admin.port"}[whose]
    assert f"{key}: 127.0.0.1:{port} is in use" in line
