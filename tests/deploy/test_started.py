"""What compose file, image and units start, started on loopback by their own commands (see ``stack``)."""

import asyncio
import json
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import urllib.parse
from collections.abc import Iterator, Sequence
from pathlib import Path
from time import monotonic, sleep

import pytest

from deploy.stack import COMPOSE, GATEWAYS, ROOT, Stack, needs
from jetstream import free_port
from processes import PATIENCE, status

UNITS = ROOT / "deploy" / "systemd"
pytestmark = pytest.mark.timeout(300)


def test_only_addresses_and_paths_differ_from_the_shipped_file(running: Stack) -> None:
    used = Path(running.command("haproxy")[-1]).read_text()
    shipped = (ROOT / "deploy" / "haproxy" / "haproxy.cfg").read_text()
    lines = zip(shipped.splitlines(), used.splitlines(), strict=True)
    assert {line.split()[0] for line, other in lines if line != other} == {"bind", "server", "#"}


def test_containers_without_a_program_here_are_named() -> None:
    """docs/deploy.md says that these were not run."""
    page = (ROOT / "docs" / "deploy.md").read_text()
    assert re.findall(r"(?m)^\| Grafana \| not run", page)


def test_gateways_pass_their_health_check(running: Stack) -> None:
    """The compose file's, with its port of this machine."""
    for gateway in GATEWAYS:
        words = running.services[gateway]["healthcheck"]["test"][1:]
        program = words[-1].replace(":9464", f":{running.port(gateway, 9464)}")
        assert words[0] == "python"
        subprocess.run([sys.executable, *words[1:-1], program], check=True)


def test_prometheus_scrapes_gateways_and_haproxy_and_loads_the_rules(running: Stack) -> None:
    needs("prometheus", "apt install prometheus")
    running.start("prometheus")
    port = running.port("prometheus", 9090)

    def up() -> dict[str, int]:
        code, text = status(port, f"/api/v1/query?query={urllib.parse.quote('sum by (job) (up)')}")
        rows = json.loads(text)["data"]["result"] if code == 200 else []
        return {row["metric"]["job"]: int(row["value"][1]) for row in rows}

    deadline = monotonic() + PATIENCE
    while up() != {"voltgate": 2, "haproxy": 1}:
        assert monotonic() < deadline, running.log("prometheus")
        sleep(0.2)
    groups = json.loads(status(port, "/api/v1/rules")[1])["data"]["groups"]
    files = {Path(group["file"]).name for group in groups}
    assert files == {"alerts.yaml", "recording.yaml", "slos.yaml"}


# -- units and image ------------------------------------------------------------------------------------


def unit(name: str) -> dict[str, str]:
    """The keys of a unit that are there once."""
    return dict(re.findall(r"(?m)^(\w+)=(.*)$", (UNITS / name).read_text()))


def image() -> list[str]:
    """Entry point and command of the Dockerfile."""
    text = (ROOT / "deploy" / "Dockerfile").read_text()
    return [
        word
        for key in ("ENTRYPOINT", "CMD")
        for word in json.loads(re.findall(rf"(?m)^{key} (.*)$", text)[0])
    ]


class Manager:
    """A service manager's socket, and the states that arrived."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "notify"
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(self.path))
        self._socket.settimeout(PATIENCE)

    def until(self, state: str) -> None:
        while state not in self._socket.recv(4096).decode().splitlines():
            pass

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Manager]:
    made = Manager(tmp_path)
    yield made
    made.close()


def started(
    words: list[str], running: Stack, user: str, folder: Path, within: Sequence[str] = (), **environment: str
) -> subprocess.Popen[bytes]:
    """A command of a unit or of the image, with this checkout's program and files of this machine."""
    assert Path(words[0]).name == "voltgate"
    file = folder / "voltgate.toml"
    file.write_text(
        f'[[listeners]]\nhost = "127.0.0.1"\nport = {free_port()}\n[admin]\nport = {free_port()}\n'
        "[streams]\nreplicas = 3\n[drain]\ngrace = 0\n"
    )
    (shown,) = [word for word in words if word.endswith(".toml")]
    assert shown.startswith("/etc/voltgate/")
    command = [
        *within,
        sys.executable,
        "-m",
        "voltgate",
        *(str(file) if word == shown else word for word in words[1:]),
    ]
    inherited = {key: text for key, text in os.environ.items() if not key.startswith("VOLTGATE_")}
    with (folder / "log").open("wb") as log:
        return subprocess.Popen(
            command,
            stdout=log,
            stderr=log,
            env=inherited | {"VOLTGATE_NATS__URL": running.nats(user)} | environment,
        )


# In a mount namespace of its own, in which the root file system can only be read.
READ_ONLY = ["unshare", "-rm", "sh", "-c", 'mount -o remount,ro,bind / && exec "$@"', "sh"]


@pytest.mark.parametrize(
    ("words", "within"),
    [(shlex.split(unit("voltgate.service")["ExecStart"]), []), (image(), READ_ONLY)],
    ids=["unit", "image"],
)
def test_the_gateway_of_unit_and_image_becomes_ready_and_stops(
    words: list[str], within: list[str], running: Stack, manager: Manager, tmp_path: Path
) -> None:
    """It reports to the service manager, as `Type=notify` needs it; the image's can write nothing."""
    if within:
        written = subprocess.run([*within, "touch", tmp_path / "x"], stderr=subprocess.PIPE, check=False)
        if b"Read-only file system" not in written.stderr:
            pytest.skip("no mount namespaces here")
    assert unit("voltgate.service")["Type"] == "notify"
    process = started(
        words, running, "gateway", tmp_path, within, NOTIFY_SOCKET=str(manager.path), WATCHDOG_USEC="1000000"
    )
    try:
        manager.until("READY=1")
        manager.until("WATCHDOG=1")
        reload = shlex.split(unit("voltgate.service")["ExecReload"])
        subprocess.run([word.replace("$MAINPID", str(process.pid)) for word in reload], check=True)
        manager.until("RELOADING=1")
        manager.until("READY=1")
        process.send_signal(signal.SIGTERM)
        manager.until("STOPPING=1")
        assert process.wait(PATIENCE) == 0, (tmp_path / "log").read_text()
    finally:
        process.kill()
        process.wait()


def test_the_backend_of_its_unit_starts_and_stops(running: Stack, tmp_path: Path) -> None:
    words = shlex.split(unit("voltgate-backend.service")["ExecStart"])
    process = started(words, running, "backend", tmp_path)
    try:
        deadline = monotonic() + PATIENCE
        while not (tmp_path / "log").read_text():
            assert process.poll() is None
            assert monotonic() < deadline
            sleep(0.05)
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE) == 0, (tmp_path / "log").read_text()
    finally:
        process.kill()
        process.wait()


async def test_a_node_of_nats_stops_as_its_unit_stops_it_and_no_outage_begins(running: Stack) -> None:
    """SIGUSR2 is lame duck mode: gateways leave for the other two before it closes."""
    stopped = unit("nats-server.service")["KillSignal"]
    running.processes["nats-3"].send_signal(signal.Signals[stopped])
    limit = int(unit("nats-server.service")["TimeoutStopSec"])
    await asyncio.to_thread(running.processes["nats-3"].wait, limit)
    for gateway in GATEWAYS:
        assert "outage.began" not in running.log(gateway)
        assert status(running.port(gateway, 9464), "/readyz")[0] == 200
    running.start("nats-3")


def test_the_compose_file_is_the_one_that_the_page_starts() -> None:
    page = (ROOT / "docs" / "deploy.md").read_text()
    assert f"cd {COMPOSE.parent.relative_to(ROOT)}\n" in page
