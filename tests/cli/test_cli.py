"""The command line as a whole: help, wrong usage, faults that every command has (docs/contract.md 4.1)."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from cli.configuration import OPEN
from voltgate import __version__

Run = Callable[..., tuple[int, str, str]]

WRONG = [
    (["worker", "--control", "99"], "is only for `voltgate serve --workers N` to start", "not for users"),
    (["serve", "--workers", "0"], "--workers", "no process at all"),
    (["serve", "--config", "absent.toml"], "absent.toml", "no such file"),
    (["nonsense"], "nonsense", "no such command"),
    (["tail", "--nonsense"], "--nonsense", "no such option"),
    (["tail", "ocpprpc.ask.>"], "must not be below ocpprpc", "a subscriber would count as a responder"),
    (["tail", "ocpprpc"], "must not be below ocpprpc", "likewise"),
    (["tail", "Heartbeat"], "FILTER Heartbeat", "an action is not a subject"),
    (["tail", "tx.>.x"], "FILTER tx.>.x", "no pattern of NATS"),
    (["tail", "tx..x"], "FILTER tx..x", "an empty token"),
    (["send", "CP1", "No.Action"], "ACTION No.Action", "it is a part of a subject"),
    (["send", "", "Reset"], "IDENTITY", "likewise"),
    (["send", "CP1", "Reset", "--timeout", "0"], "--timeout", "no time at all"),
    (["policy", "--version", "1.5"], "1.6, 2.0.1, 2.1", "an unknown version"),
    (["validate", "--version", "3"], "1.6, 2.0.1, 2.1", "likewise"),
    (["validate", "absent.txt"], "absent.txt", "no such file"),
    (["validate", "--sender", "car"], "--sender", "not a sender"),
    (["dev", "--port", "0"], "--port", "chargers need a fixed port"),
    (["dev", "--port", "9464"], "--port are both 9464", "two servers on one port"),
    (["charger", "--version", "1.5"], "1.6, 2.0.1, 2.1", "an unknown version"),
    (["charger", "--url", "http://127.0.0.1"], "--url http://127.0.0.1", "not a websocket"),
    (["dev", "--faults", "kwH"], "--faults kwH: no such fault; the faults are", "not in the list"),
    (["swarm", "--faults", "stop_lost,stop"], "--faults stop: no such fault", "one of them is not"),
    (["dev", "--host", "no.such.host.invalid"], "--host", "no such host"),
]


@pytest.mark.parametrize(("arguments", "told", "why"), WRONG, ids=[" ".join(a) for a, *_ in WRONG])
def test_wrong_usage_exits_with_2_and_says_why(
    voltgate: Run, arguments: list[str], told: str, why: str
) -> None:
    code, out, err = voltgate(*arguments)
    assert (code, out) == (2, ""), why
    assert told in err, why


def test_a_worker_of_another_release_than_its_supervisor_prints_the_remedy(voltgate: Run) -> None:
    """A worker restarts after an upgrade under a running supervisor; its configuration is not read."""
    code, out, err = voltgate("worker", "--control=99", "--release=0.0.9", "--config=/absent.toml")
    assert (code, out) == (1, "")
    assert "its supervisor 0.0.9" in err
    assert "restart `voltgate serve`" in err


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
    assert f"voltgate: {config}:2: nats.url: NATS at nats://***@127.0.0.1:{port}" in err
    assert "secret" not in err


COMMANDS = [
    "dev", "charger", "serve", "backend", "tail", "send", "validate", "policy", "actions", "schema",
    "permissions", "violations", "check", "swarm", "version", "config example",
    "streams plan", "streams apply", "chargers online",
]  # fmt: skip


def test_help_and_version_are_data(voltgate: Run) -> None:
    assert voltgate("--version") == (0, f"voltgate {__version__}\n", "")
    code, out, _ = voltgate("--help")
    assert code == 0
    assert "Exit codes: 0 done, 1 failed, 2 usage or config." in out
    for command in COMMANDS:
        code, text, _ = voltgate(*command.split(), "--help")
        assert (code, command.split()[0] in out, "--config" in text) == (0, True, True), command
        assert "Exit codes:" in " ".join(text.split())


def test_a_shell_completes_commands() -> None:
    """`voltgate --install-completion` makes the shell ask like this."""
    asked = {"_VOLTGATE_COMPLETE": "complete_bash", "COMP_WORDS": "voltgate streams p", "COMP_CWORD": "2"}
    command = [sys.executable, "-m", "voltgate"]
    told = subprocess.run(command, env=os.environ | asked, capture_output=True, text=True, check=True)
    assert told.stdout.split() == ["plan"]


def test_what_only_some_commands_need_is_imported_by_them() -> None:
    """Each of these takes longer to import than ``voltgate validate`` has to do."""
    heavy = {"nats", "aiohttp", "websockets", "uvloop", "cryptography", "prometheus_client", "sqlite3"}
    script = "import sys, voltgate.cli; print(*{name.split('.')[0] for name in sys.modules})"
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert heavy & set(loaded.stdout.split()) == set()
