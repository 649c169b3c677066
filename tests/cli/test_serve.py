"""``voltgate serve`` and ``backend`` as processes: how they start, and how they end."""

import json
import signal
import socket
from pathlib import Path

import nats
import pytest

from cli.configuration import SMALL
from jetstream import NatsServer
from processes import PATIENCE, Start, is_free, status
from voltgate.cli import main

pytestmark = pytest.mark.usefixtures("clean_environment", "own_logs")


@pytest.fixture
def served(tmp_path: Path, ports: tuple[int, int, int], nats_server: NatsServer) -> Path:
    """A configuration file that serves, its streams not applied yet."""
    file = tmp_path / "voltgate.toml"
    file.write_text(
        f"[nats]\nurl='{nats_server.url}'\n[registry]\nrequired=false\n[admin]\nport={ports[1]}\n"
        f"[[listeners]]\nhost='127.0.0.1'\nport={ports[0]}\nallow_unauthenticated=true\n"
        f"{SMALL}[drain]\ngrace=0.0\n"
    )
    return file


def apply(file: Path) -> None:
    assert main(["streams", "apply", "--config", str(file)]) == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_serve_drains_and_exits_with_0(
    start: Start, served: Path, ports: tuple[int, int, int], number: signal.Signals
) -> None:
    apply(served)
    running = start("serve", "--config", str(served))
    running.until(lambda: status(ports[1], "/readyz")[0] == 200, "ready")
    assert "[+] listeners ok" in status(ports[1], "/readyz?verbose")[1]
    assert running.ends(number) == 0
    assert [json.loads(line)["event"] for line in running.err.splitlines()][-1] == "gateway.stopped"
    assert is_free(ports[0])
    assert running.out == "", "words go to stderr"


def test_sighup_takes_new_limits_and_a_bad_file_changes_nothing(
    start: Start, served: Path, ports: tuple[int, int, int]
) -> None:
    apply(served)
    running = start("serve", "--config", str(served))
    running.until(lambda: status(ports[1], "/readyz")[0] == 200, "ready")
    good = served.read_text()
    served.write_text(good + "[limits]\nno_such_key=1\n")
    running.process.send_signal(signal.SIGHUP)
    running.until(lambda: "limits.no_such_key: no such key" in running.err, "the fault is named")
    assert "reload.failed" in running.err
    served.write_text(good + "[limits]\nmax_connections=1\n")
    running.process.send_signal(signal.SIGHUP)
    running.until(lambda: "limits.reloaded" in running.err, "taken")
    assert status(ports[1], "/readyz")[0] == 200
    assert running.ends(signal.SIGTERM) == 0


def test_a_second_signal_ends_the_grace(start: Start, served: Path, ports: tuple[int, int, int]) -> None:
    served.write_text(served.read_text().replace("grace=0.0", "grace=600.0"))
    apply(served)
    running = start("serve", "--config", str(served))
    running.until(lambda: status(ports[1], "/readyz")[0] == 200, "ready")
    running.process.send_signal(signal.SIGTERM)
    running.until(lambda: status(ports[1], "/readyz")[0] == 503, "not ready, and still serving")
    assert status(ports[1], "/livez") == (200, "ok\n")
    assert "[-] draining" in status(ports[1], "/readyz?verbose")[1]
    assert running.ends(signal.SIGTERM) == 0


def test_serve_is_alive_and_not_ready_while_nats_is_silent(
    start: Start, served: Path, ports: tuple[int, int, int], nats_server: NatsServer
) -> None:
    apply(served)
    nats_server.freeze()
    running = start("serve", "--config", str(served))
    running.until(lambda: status(ports[1], "/livez")[0] == 200, "alive")
    assert status(ports[1], "/readyz")[0] == 503
    assert is_free(ports[0]), "no charger may come in yet"
    assert running.ends(signal.SIGTERM) == 0
    assert "Traceback" not in running.err


def test_serve_never_edits_streams_and_reports_missing_ones(start: Start, served: Path) -> None:
    running = start("serve", "--config", str(served))
    assert running.process.wait(PATIENCE) == 1
    assert "voltgate: stream OCPP_TX is missing: run `voltgate streams apply" in running.err


@pytest.mark.parametrize(("position", "name"), [(0, "listeners.0.port"), (1, "admin.port")])
def test_serve_names_an_address_it_cannot_have(
    start: Start, served: Path, ports: tuple[int, int, int], position: int, name: str
) -> None:
    apply(served)
    with socket.create_server(("127.0.0.1", ports[position])):
        running = start("serve", "--config", str(served))
        assert running.process.wait(PATIENCE) == 1
    assert f": {name}: 127.0.0.1:{ports[position]} is in use: " in running.err
    assert "Traceback" not in running.err


# backend


async def test_the_backend_answers_until_a_signal_and_checks_tokens(
    start: Start, nats_server: NatsServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VOLTGATE_NATS__URL", nats_server.url)
    (tmp_path / "tokens").write_text("04A2 Blocked\n")
    running = start("backend", "--tokens", str(tmp_path / "tokens"), "--interval", "77")
    running.until(lambda: "backend" in running.err, "it logs that it answers")
    client = await nats.connect(nats_server.url)
    reply = await client.request("ocpprpc.ask.v16.Authorize.CP1", b'{"idTag":"04A2"}', timeout=5)
    assert json.loads(reply.data)["idTagInfo"]["status"] == "Blocked"
    reply = await client.request("ocpprpc.ask.v16.BootNotification.CP1", b"{}", timeout=5)
    assert json.loads(reply.data)["interval"] == 77
    await client.close()
    assert running.ends(signal.SIGTERM) == 0


def test_a_broken_token_file_is_named_with_its_line(
    start: Start, nats_server: NatsServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VOLTGATE_NATS__URL", nats_server.url)
    (tmp_path / "tokens").write_text("04A2 Sometimes\n")
    running = start("backend", "--tokens", str(tmp_path / "tokens"))
    assert running.process.wait(PATIENCE) == 2
    assert f"{tmp_path}/tokens:1" in running.err
