"""``voltgate serve`` and ``backend`` as processes: how they start, and how they end."""

import json
import re
import signal
import socket
from pathlib import Path
from typing import Any

import nats
import pytest

from cli.configuration import SMALL
from jetstream import NatsServer, free_port
from processes import PATIENCE, Start, Voltgate, is_free, status
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


def events(running: Voltgate, name: str) -> list[dict[str, Any]]:
    """Its log lines of this event."""
    lines = [json.loads(line) for line in running.err.splitlines() if line.startswith("{")]
    return [line for line in lines if line["event"] == name]


def reloaded(port: int) -> tuple[str, str]:
    """The two metrics of reloads: whether the last one succeeded, and when one did."""
    _, text = status(port, "/metrics")
    found = dict(re.findall(r"^voltgate_config_reload_(\w+)\{.*\} (\S+)$", text, re.MULTILINE))
    return found["successful"], found["success_timestamp_seconds"]


def test_sighup_says_what_changed_and_what_needs_a_restart(
    start: Start, served: Path, ports: tuple[int, int, int]
) -> None:
    """A file that is broken, or that NATS contradicts, changes nothing; the metrics show it."""
    apply(served)
    running = start("serve", "--config", str(served))
    running.until(lambda: status(ports[1], "/readyz")[0] == 200, "ready")
    successful, started = reloaded(ports[1])
    assert float(successful) == 1
    good = served.read_text()
    for number, (wrong, why) in enumerate(
        [
            ("no_such_key=1", "limits.no_such_key: no such key"),
            ("max_message_bytes=4000000", "limits.max_message_bytes is 4000000, but NATS accepts"),
        ],
        1,
    ):
        served.write_text(f"{good}[limits]\n{wrong}\n")
        running.process.send_signal(signal.SIGHUP)
        running.until(lambda: len(events(running, "reload.failed")) == number, "refused")  # noqa: B023
        assert why in events(running, "reload.failed")[-1]["error"]
        assert reloaded(ports[1]) == ("0.0", started)
    served.write_text(
        good.replace("grace=0.0", "grace=0.5") + "[limits]\nmax_connections=7\n[log]\nlevel='debug'\n"
    )
    running.process.send_signal(signal.SIGHUP)
    running.until(lambda: events(running, "config.reloaded"), "taken")
    (line,) = events(running, "config.reloaded")
    assert line["changed"] == ["limits.max_connections: 15000 -> 7", "drain.grace: 0.0 -> 0.5"]
    assert line["needs_restart"] == ["log.level"]
    successful, at = reloaded(ports[1])
    assert float(successful) == 1
    assert float(at) > float(started)
    served.write_text(good)
    running.process.send_signal(signal.SIGHUP)
    running.until(lambda: len(events(running, "config.reloaded")) == 2, "back again")
    assert events(running, "config.reloaded")[1]["changed"] == [
        "limits.max_connections: 7 -> 15000", "drain.grace: 0.5 -> 0.0",
    ]  # fmt: skip
    assert events(running, "config.reloaded")[1]["needs_restart"] == []
    assert running.ends(signal.SIGTERM) == 0


def test_a_service_manager_is_told_when_it_is_ready_reloads_and_stops(
    start: Start,
    served: Path,
    ports: tuple[int, int, int],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    apply(served)
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(PATIENCE)
        running = start("serve", "--config", str(served))
        assert manager.recv(99) == b"READY=1"
        assert not is_free(ports[0])
        running.process.send_signal(signal.SIGHUP)
        assert manager.recv(99).startswith(b"RELOADING=1\nMONOTONIC_USEC=")
        assert manager.recv(99) == b"READY=1"
        running.process.send_signal(signal.SIGTERM)
        assert manager.recv(99).startswith(b"STOPPING=1\n")
        assert running.process.wait(PATIENCE) == 0


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


def test_serve_waits_for_nats_and_for_streams_and_not_for_what_contradicts(
    start: Start, served: Path, ports: tuple[int, int, int], tmp_path: Path
) -> None:
    """The start order does not matter: the gateway, then NATS, then `streams apply`."""
    nats_port = free_port()
    served.write_text(re.sub(r"url='.*'", f"url='nats://127.0.0.1:{nats_port}'", served.read_text()))
    running = start("serve", "--wait", "60", "--config", str(served))
    running.until(lambda: len(events(running, "start.delayed")) == 1, "NATS is awaited")
    (delayed,) = events(running, "start.delayed")
    assert delayed["reason"].startswith(f"NATS at nats://127.0.0.1:{nats_port} cannot be reached: ")
    assert status(ports[1], "/livez") == (200, "ok\n")
    assert status(ports[1], "/lbz") == (503, "not open yet\n")
    nats = NatsServer(tmp_path / "nats", port=nats_port)
    running.until(lambda: len(events(running, "start.delayed")) == 2, "streams are awaited")
    assert "stream OCPP_TX is missing" in events(running, "start.delayed")[1]["reason"]
    apply(served)
    running.until(lambda: status(ports[1], "/readyz")[0] == 200, "ready")
    assert running.ends(signal.SIGTERM) == 0
    served.write_text(f"{served.read_text()}[limits]\nmax_message_bytes=4000000\n")
    running = start("serve", "--wait", "60", "--config", str(served))
    assert running.process.wait(PATIENCE) == 1
    assert events(running, "start.delayed") == []
    nats.kill()


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


# Option, content of its file, what is said about it.
WRONG = [
    ("--tokens", "04A2 Sometimes", "rules:1: the status must be"),
    ("--boots", "CP001 Later", "rules:1: a line is an identity"),
    ("--sites", "depot 100", "rules:1: a line is a site"),
    ("--prices", "CP001 dear", "rules:1: dear is not a number"),
    ("--issuers", "text", "issuers: nobody is asked"),
]


@pytest.mark.parametrize(("option", "content", "said"), WRONG)
def test_a_file_of_the_backend_that_cannot_be_used_is_named(
    start: Start,
    nats_server: NatsServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    option: str,
    content: str,
    said: str,
) -> None:
    monkeypatch.setenv("VOLTGATE_NATS__URL", nats_server.url)
    (tmp_path / "rules").write_text(f"{content}\n")
    running = start("backend", option, str(tmp_path / "rules"))
    assert running.process.wait(PATIENCE) == 2
    assert said in running.err
    assert "Traceback" not in running.err


def test_the_backend_signs_with_the_authority_that_it_has_made(
    start: Start, nats_server: NatsServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VOLTGATE_NATS__URL", nats_server.url)
    running = start("backend", "--ca", str(tmp_path))
    running.until(lambda: "backend" in running.err, "it logs that it answers")
    assert (tmp_path / "ca.pem").exists()
    assert running.ends(signal.SIGTERM) == 0
    running = start("backend", "--ca", str(tmp_path / "absent"))
    assert running.process.wait(PATIENCE) in (1, 2)
    assert "absent" in running.err
    assert "Traceback" not in running.err
