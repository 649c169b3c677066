"""``voltgate check``: each finding, what makes it fail, and its remedy."""

import asyncio
import json
import signal
import socket
import tomllib
from collections.abc import Callable
from pathlib import Path

import nats
import pytest

from cli.configuration import OPEN, SMALL
from jetstream import NatsServer
from processes import Start, status
from voltgate.config import load, printable

Run = Callable[..., tuple[int, str, str]]
Failing = Callable[[Path], dict[str, str]]
Findings = Callable[..., dict[str, tuple[str, str]]]


@pytest.fixture
def failing(findings: Findings) -> Callable[[Path], dict[str, str]]:
    """The texts of the findings that fail."""
    return lambda config: {
        name: text for name, (verdict, text) in findings(config).items() if verdict == "fail"
    }


def test_check_passes_where_serve_would_run(
    voltgate: Run, failing: Failing, file: Callable[[str], Path], nats_server: NatsServer
) -> None:
    config = file(f"{OPEN}{SMALL}[nats]\nurl='{nats_server.url}'\n[limits]\nmax_connections=100\n")
    before = failing(config)
    assert "OCPP_TX" in before
    assert "voltgate streams apply" in before["OCPP_TX"], "the line has the remedy"
    voltgate("streams", "apply", "--config", config)
    assert failing(config) == {}
    _, out, _ = voltgate("check", "--config", config)
    assert {line.split()[0] for line in out.splitlines()} == {"ok", "hint"}


def test_check_knows_the_streams_of_a_later_release(
    voltgate: Run,
    failing: Failing,
    findings: Findings,
    file: Callable[[str], Path],
    nats_server: NatsServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """`serve` starts on them; by the same release it would be a contradiction (docs/compatibility.md)."""
    config = file(f"{OPEN}{SMALL}[nats]\nurl='{nats_server.url}'\n")
    voltgate("streams", "apply", "--config", config)
    config.write_text(f"{config.read_text()}[limits]\nmax_connections=100\n")
    other = file(config.read_text().replace("[streams]", "[streams]\ntx_max_age_days=20"))
    assert "max_age" in failing(other)["OCPP_TX"]
    monkeypatch.setattr("voltgate.gateway.bus.streams._SIGNED", {"voltgate_release": "0.999.0"})
    voltgate("streams", "apply", "--config", other)
    config = file(other.read_text().replace("tx_max_age_days=20", ""))
    verdict, text = findings(config)["OCPP_TX"]
    assert (verdict, "0.999.0" in text) == ("hint", True)


def test_check_points_out_records_that_differ_in_case_only(
    voltgate: Run, findings: Findings, file: Callable[[str], Path], nats_server: NatsServer
) -> None:
    config = file(f"{OPEN}{SMALL}[nats]\nurl='{nats_server.url}'\nstream_prefix='CASES'\nprefix='cases'\n")
    voltgate("streams", "apply", "--config", config)
    for identity in ("CP1", "cp1", "CP2", "cp2"):
        voltgate("chargers", "add", identity, "--config", config)
    voltgate("chargers", "remove", "CP2", "--config", config)
    verdict, text = findings(config)["records"]
    assert (verdict, text) == ("hint", "CP1 and cp1 differ only in letter case: they are different chargers")
    voltgate("chargers", "remove", "cp1", "--config", config)
    assert "records" not in findings(config)


CONDITIONS = [
    ("[[listeners]]\nclient_ca='ca.pem'\n", ["-js"], "serve", "serve would refuse"),
    (OPEN + "[limits]\nmax_connections=1000000000\n", ["-js"], "descriptors", "more than a process may open"),
    (OPEN + "[limits]\nmax_message_bytes=1048576\n", ["-js"], "max_payload", "headers need room too"),
    (OPEN, [], "jetstream", "switched off in the server"),
]


@pytest.mark.parametrize(("text", "arguments", "name", "why"), CONDITIONS)
def test_check_finds_what_is_missing(
    failing: Failing,
    file: Callable[[str], Path],
    start_nats: Callable[..., NatsServer],
    tmp_path: Path,
    text: str,
    arguments: list[str],
    name: str,
    why: str,
) -> None:
    server = start_nats(*arguments, *(["-sd", str(tmp_path / "js")] if arguments else []))
    assert name in failing(file(f"{text}[nats]\nurl='{server.url}'\n")), why


def test_check_reports_an_absent_nats_and_missing_permissions(
    failing: Failing,
    file: Callable[[str], Path],
    start_nats: Callable[..., NatsServer],
    free_port: Callable[[], int],
    tmp_path: Path,
) -> None:
    assert "nats" in failing(file(f"{OPEN}[nats]\nurl='nats://127.0.0.1:{free_port()}'\n"))
    rules = tmp_path / "nats.conf"
    rules.write_text(
        f'jetstream {{store_dir: "{tmp_path}/js"}}\n'
        "authorization {users: [{user: u, password: p, permissions: {publish: {deny: '$JS.API.>'}}}]}\n"
    )
    url = start_nats("-c", str(rules)).url.replace("//", "//u:p@")
    told = failing(file(f"{OPEN}[nats]\nurl='{url}'\n"))
    assert "$JS.API.>" in told["permissions"]
    wrong = failing(file(f"{OPEN}[nats]\nurl='{url.replace('u:p@', 'u:wrong@')}'\n"))
    assert "nats" in wrong
    assert "wrong" not in wrong["nats"]


def test_check_finds_a_stream_that_would_answer_questions(
    voltgate: Run, failing: Failing, file: Callable[[str], Path], nats_server: NatsServer
) -> None:
    config = file(f"{OPEN}{SMALL}[nats]\nurl='{nats_server.url}'\nprefix='ocpprpc'\nrpc_prefix='other'\n")
    voltgate("streams", "apply", "--config", config)
    config.write_text(f"{OPEN}{SMALL}[nats]\nurl='{nats_server.url}'\n")
    assert "OCPP_" in failing(config)["questions"]


def test_the_printed_configuration_could_be_its_file(voltgate: Run, file: Callable[[str], Path]) -> None:
    config = file(f"{OPEN}[nats]\nurl=['nats://u:secret@a:1']\n[policy.v16.Heartbeat]\nclass='tx'")
    code, out, _ = voltgate("check", "--print-config", "--config", config)
    assert code == 0
    assert "secret" not in out
    shown = tomllib.loads(out)
    assert shown["nats"]["url"] == ["nats://***@a:1"]
    assert shown["policy"]["v16"]["Heartbeat"] == {"class": "tx"}
    config.write_text(out)
    assert {key for key, value in printable(load(config)).items()} == set(shown)
    _, as_json, _ = voltgate("check", "--print-config", "--json", "--config", config)
    assert json.loads(as_json)["limits"] == shown["limits"]


def test_check_warns_of_a_stream_that_is_smaller_than_what_flows_in(
    findings: Findings,
    voltgate: Run,
    file: Callable[[str], Path],
    nats_server: NatsServer,
) -> None:
    small = SMALL.replace("tx_max_bytes=67108864", "tx_max_bytes=1048576")
    config = file(f"{OPEN}{small}[nats]\nurl='{nats_server.url}'\n[limits]\nmax_connections=100\n")
    voltgate("streams", "apply", "--config", config)
    assert findings(config)["OCPP_TX"] == ("ok", "as configured")

    async def filled_by_half() -> None:
        client = await nats.connect(nats_server.url)
        for number in range(6):
            await client.jetstream().publish(f"ocpp.tx.v16.MeterValues.CP{number}", bytes(100_000))
        await client.close()

    asyncio.run(filled_by_half())
    verdict, text = findings(config)["OCPP_TX"]
    assert verdict == "hint"
    assert "1.0 MiB are full after 0.0 of 30 days: set streams.tx_max_bytes to " in text


def test_check_beside_a_running_gateway(
    findings: Findings,
    voltgate: Run,
    file: Callable[[str], Path],
    nats_server: NatsServer,
    start: Start,
    ports: tuple[int, int, int],
) -> None:
    """Its own ports are in use, which is no fault; without the gateway it is one."""
    text = OPEN.replace("port=0", f"port={ports[0]}")
    nats_url = f"[nats]\nurl='{nats_server.url}'\n[admin]\nport={ports[1]}\n[drain]\ngrace=0.0\n"
    config = file(f"{text}{SMALL}{nats_url}[limits]\nmax_connections=100\n")
    voltgate("streams", "apply", "--config", config)
    assert findings(config)["addresses"][0] == "ok"
    running = start("serve", "--config", str(config))
    running.until(lambda: status(ports[1], "/readyz")[0] == 200, "ready")
    assert findings(config)["addresses"][0] == "hint"
    assert findings(config)["copies"][0] == "ok"
    assert running.ends(signal.SIGTERM) == 0
    with socket.create_server(("127.0.0.1", ports[0])):
        verdict, line = findings(config)["addresses"]
    assert (verdict, f"127.0.0.1:{ports[0]} is in use" in line) == ("fail", True)
