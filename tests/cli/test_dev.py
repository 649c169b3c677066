"""``voltgate dev`` as a process: what it starts, what it prints, and that nothing is left of it."""

import json
import signal
import socket
from collections.abc import Callable
from pathlib import Path

import nats
import psutil
import pytest

from processes import PATIENCE, Start, Voltgate, is_free, status

pytestmark = pytest.mark.usefixtures("clean_environment")


@pytest.fixture
def dev(start: Start, ports: tuple[int, int, int], tmp_path: Path) -> Start:
    def one(*arguments: str, shell: str = "") -> Voltgate:
        options = zip(("--port", "--admin-port", "--nats-port"), map(str, ports), strict=True)
        flat = [word for pair in options for word in pair]
        return start("dev", *flat, "--data-dir", str(tmp_path / "data"), *arguments, shell=shell)

    return one


def are_gone(children: list[psutil.Process]) -> bool:
    return not psutil.wait_procs(children, PATIENCE)[1]


async def test_dev_is_everything_on_one_machine_and_leaves_nothing_but_its_data(
    dev: Start, ports: tuple[int, int, int], tmp_path: Path
) -> None:
    port, admin, nats_port = ports
    running = dev("--chargers", "3", "--tail")
    running.until(lambda: status(admin, "/readyz")[0] == 200, "ready")
    client = await nats.connect(f"nats://127.0.0.1:{nats_port}")
    stored = await client.jetstream().subscribe("ocpp.event.>", ordered_consumer=True)
    boots = set[str]()
    while len(boots) < 3:
        message = await stored.next_msg(PATIENCE)
        if ".BootNotificationResponse." in message.subject:
            assert json.loads(message.data)["status"] == "Accepted", "by the reference backend"
            boots.add(message.subject.split(".")[2])
    assert boots == {"v16", "v201", "v21"}, "simulated chargers of every version"
    answer = await client.request("ocpprpc.ask.v16.Authorize.CP001", b'{"idTag":"04A2B3C4"}', timeout=5)
    assert json.loads(answer.data) == {"idTagInfo": {"status": "Accepted"}} or answer.data, (
        "the third thing to try"
    )
    await client.close()
    running.until(lambda: "BootNotification" in running.out, "live messages behind the banner")
    assert f"ws://127.0.0.1:{port}/ocpp/<identity>" in running.out
    assert f"VOLTGATE_NATS__URL=nats://127.0.0.1:{nats_port} voltgate tail" in running.out
    assert f"nats -s nats://127.0.0.1:{nats_port} sub" in running.out
    assert "accepts any charger" in running.err, "it says that no password is needed"
    children = psutil.Process(running.process.pid).children(recursive=True)
    assert [child.name() for child in children] == ["nats-server"]
    assert running.ends(signal.SIGINT) == 0
    assert are_gone(children)
    assert [port for port in ports if not is_free(port)] == []
    assert {path.name for path in (tmp_path / "data").iterdir()} == {"jetstream", "nats.conf", "nats.log"}
    assert "Traceback" not in running.err


def test_dev_works_with_stdin_closed_and_stdout_gone_and_ends_by_sigterm(
    dev: Start, ports: tuple[int, int, int]
) -> None:
    running = dev(shell="<&- >&-")
    running.until(lambda: status(ports[1], "/readyz")[0] == 200, "ready")
    assert running.ends(signal.SIGTERM) == 0
    assert "Traceback" not in running.err


def test_nats_dies_with_dev_however_it_dies(dev: Start, ports: tuple[int, int, int]) -> None:
    running = dev()
    running.until(lambda: status(ports[1], "/readyz")[0] == 200, "ready")
    children = psutil.Process(running.process.pid).children(recursive=True)
    assert len(children) == 1
    running.ends(signal.SIGKILL)
    assert are_gone(children)
    again = dev()
    again.until(lambda: status(ports[1], "/readyz")[0] == 200, "ready on the data that was left")


def test_dev_ends_and_says_so_when_nats_ends(dev: Start, ports: tuple[int, int, int]) -> None:
    running = dev()
    running.until(lambda: status(ports[1], "/readyz")[0] == 200, "ready")
    (server,) = psutil.Process(running.process.pid).children(recursive=True)
    server.kill()
    assert running.process.wait(PATIENCE) == 1
    assert "voltgate: nats-server has ended" in running.err
    assert "nats.log" in running.err


@pytest.mark.parametrize(("position", "option"), [(0, "--port"), (1, "--admin-port"), (2, "--nats-port")])
def test_a_port_in_use_is_named_with_its_option_before_anything_starts(
    dev: Start, ports: tuple[int, int, int], tmp_path: Path, position: int, option: str
) -> None:
    with socket.create_server(("127.0.0.1", ports[position])):
        running = dev()
        assert running.process.wait(PATIENCE) == 1
    assert f"port {ports[position]} of 127.0.0.1" in running.err
    assert f"with {option}\n" in running.err
    assert not (tmp_path / "data").exists()


def test_two_devs_do_not_share_a_data_directory(
    dev: Start, start: Start, ports: tuple[int, int, int], free_port: Callable[[], int], tmp_path: Path
) -> None:
    running = dev()
    running.until(lambda: status(ports[1], "/readyz")[0] == 200, "ready")
    options = [f"{name}={free_port()}" for name in ("--port", "--admin-port", "--nats-port")]
    second = start("dev", *options, "--data-dir", str(tmp_path / "data"))
    assert second.process.wait(PATIENCE) == 1
    assert "in use by another voltgate dev" in second.err
    assert status(ports[1], "/readyz")[0] == 200, "the first goes on"
