"""``voltgate dev`` as a process: what it starts, what it prints, and that nothing is left of it."""

import json
import re
import signal
import socket
from collections.abc import Callable
from pathlib import Path

import nats
import psutil
import pytest
from websockets.asyncio.client import connect
from websockets.typing import Subprotocol

from processes import PATIENCE, Start, Voltgate, is_free, status

SAMPLES = [
    {
        "timestamp": f"2026-03-01T{n // 3600:02}:{n // 60 % 60:02}:{n % 60:02}Z",
        "sampledValue": [{"value": str(n)}],
    }
    for n in range(9_000)
]
STOP = {"transactionId": 7, "meterStop": 1, "timestamp": "2026-03-01T10:00:00Z", "transactionData": SAMPLES}
LONG = json.dumps([2, "1", "StopTransaction", STOP])
assert len(LONG) > 636_000

pytestmark = pytest.mark.usefixtures("clean_environment")


@pytest.fixture
def dev(start: Start, ports: tuple[int, int, int], tmp_path: Path) -> Start:
    def one(*arguments: str, shell: str = "") -> Voltgate:
        options = zip(("--port", "--admin-port", "--nats-port"), map(str, ports), strict=True)
        flat = [word for pair in options for word in pair]
        if not any("csms" in argument for argument in arguments):
            flat.append("--no-csms")
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
    # A StopTransaction with the meter values of a long session (docs/contract.md 2.2).
    async with connect(f"ws://127.0.0.1:{port}/ocpp/LONG", subprotocols=[Subprotocol("ocpp1.6")]) as charger:
        await charger.send(LONG)
        assert json.loads(await charger.recv())[:2] == [3, "1"]
    running.until(lambda: "BootNotification" in running.out, "live messages behind the banner")
    assert f"ws://127.0.0.1:{port}/ocpp/<identity>" in running.out
    assert f"VOLTGATE_NATS__URL=nats://127.0.0.1:{nats_port} voltgate tail" in running.out
    assert f"nats -s nats://127.0.0.1:{nats_port} sub" in running.out
    assert "accepts any charger" in running.err, "it prints that no password is needed"
    children = psutil.Process(running.process.pid).children(recursive=True)
    assert [child.name() for child in children] == ["nats-server"]
    assert running.ends(signal.SIGINT) == 0
    assert are_gone(children)
    assert [port for port in ports if not is_free(port)] == []
    assert {path.name for path in (tmp_path / "data").iterdir()} == {"jetstream", "nats.conf", "nats.log"}
    assert "Traceback" not in running.err


async def test_dev_runs_the_csms(
    dev: Start, ports: tuple[int, int, int], free_port: Callable[[], int], tmp_path: Path
) -> None:
    """Its link logs in once; a fault of the simulated chargers is in what its ledger has folded."""
    csms = free_port()
    running = dev("--csms-port", str(csms), "--chargers", "1", "--faults", "phases_only,no_clock")
    running.until(lambda: "/login?link=" in running.out, "the banner")
    running.until(lambda: status(csms, "/api/v1/health")[0] == 200, "healthy")
    (link,) = re.findall(r"(http://127\.0\.0\.1:\d+/login\?link=\S+)", running.out)
    assert f":{csms}/" in link
    client = await nats.connect(f"nats://127.0.0.1:{ports[2]}")
    statuses = await client.jetstream().subscribe(
        "ocpp.event.v16.StatusNotification.*", ordered_consumer=True
    )
    assert json.loads((await statuses.next_msg(PATIENCE)).data)["timestamp"].startswith("1970-")
    await client.close()
    assert running.ends(signal.SIGINT) == 0
    assert (tmp_path / "data" / "csms.db").is_file()
    assert "Traceback" not in running.err
    assert is_free(csms)


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


@pytest.mark.parametrize("csms", [False, True], ids=["without the CSMS", "with it"])
def test_dev_exits_with_a_message_when_nats_ends(
    dev: Start, ports: tuple[int, int, int], free_port: Callable[[], int], csms: bool
) -> None:
    running = dev("--csms-port", str(free_port())) if csms else dev()
    running.until(lambda: "Point a charger" in running.out, "the banner")
    (server,) = psutil.Process(running.process.pid).children(recursive=True)
    server.kill()
    assert running.process.wait(PATIENCE) == 1
    assert "voltgate: nats-server has ended" in running.err
    assert "nats.log" in running.err
    assert "bug in voltgate" not in running.err


def test_of_two_ledgers_one_says_so_and_one_ends_without_nats(
    dev: Start,
    start: Start,
    ports: tuple[int, int, int],
    free_port: Callable[[], int],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The ledger of ``dev`` is fenced; its NATS ends with it, and the other ledger stops all the same."""
    running = dev("--csms-port", str(free_port()))
    running.until(lambda: "Point a charger" in running.out, "the banner")
    monkeypatch.setenv("VOLTGATE_NATS__URL", f"nats://127.0.0.1:{ports[2]}")
    monkeypatch.setenv("VOLTGATE_CSMS__DATABASE", f"sqlite:///{tmp_path}/data/csms.db")
    monkeypatch.setenv("VOLTGATE_CSMS__TICK_SECONDS", "1")
    other = start("csms", "ledger")
    assert running.process.wait(PATIENCE) == 1
    assert "voltgate: another ledger writes to this database" in running.err
    assert "bug in voltgate" not in running.err
    other.until(lambda: "feed.failed" in other.err, "it has noticed that NATS is away")
    assert other.ends(signal.SIGTERM) == 0
    assert "bug in voltgate" not in other.err


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
    second = start("dev", "--no-csms", *options, "--data-dir", str(tmp_path / "data"))
    assert second.process.wait(PATIENCE) == 1
    assert "in use by another voltgate dev" in second.err
    assert status(ports[1], "/readyz")[0] == 200, "the first one keeps running"


@pytest.mark.parametrize("options", [["--no-backend"], ["--backend-except", "Authorize,DataTransfer"]])
async def test_dev_leaves_questions_to_another_backend(
    dev: Start, ports: tuple[int, int, int], options: list[str]
) -> None:
    running = dev(*options)
    running.until(lambda: status(ports[1], "/readyz")[0] == 200, "ready")
    if options != ["--no-backend"]:
        running.until(lambda: "backend.started" in running.err, "its own backend")
    client = await nats.connect(f"nats://127.0.0.1:{ports[2]}")
    with pytest.raises(nats.errors.NoRespondersError):
        await client.request("ocpprpc.ask.v16.Authorize.CP001", b"{}", timeout=5)
    if options != ["--no-backend"]:
        await client.request("ocpprpc.ask.v16.StopTransaction.CP001", b"{}", timeout=5)
    await client.close()
    assert running.ends(signal.SIGINT) == 0


def test_dev_refuses_an_exception_that_is_not_an_action(dev: Start) -> None:
    running = dev("--backend-except", "Authorise")
    assert running.process.wait(PATIENCE) == 2
    assert "did you mean Authorize?" in running.err
