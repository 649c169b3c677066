"""Every command that talks to NATS, on real servers with and without TLS: it connects, or says why not."""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import typer

from certificates import Authority
from cli.configuration import OPEN, SMALL
from jetstream import NatsServer
from nats_users import operated, user
from processes import Start
from voltgate.cli import app, main

pytestmark = pytest.mark.usefixtures("clean_environment", "own_logs")

# What each command prints where it reaches NATS: its exit code, and a pattern in what it says.
SHORT: dict[str, tuple[int, str]] = {
    "streams apply": (0, "OCPP_TX +created"),
    "streams plan": (0, "OCPP_TX +ok"),
    "check": (0, "ok +nats +nats-server"),
    "chargers add CP1": (0, r"^[0-9a-f]{40}\n"),
    "chargers import fleet.csv": (0, "1 added"),
    "chargers list": (0, "CP1\tenabled"),
    "chargers show CP1": (0, "identity +CP1"),
    "chargers set CP1 --new-key": (0, "the old password passes too"),
    "chargers disable CP1": (0, "^$"),
    "chargers enable CP1": (0, "^$"),
    "chargers export": (0, '"identity":"CP1"'),
    "chargers restore registry.jsonl": (0, "1 added"),
    "chargers kick CP1": (1, "CP1 is not connected"),
    "chargers online": (0, "^state"),
    "chargers remove CP1": (0, "^$"),
    "send CP1 Reset": (1, "the charger is not connected"),
    "tail --since 1m --no-follow": (0, "^$"),
    "violations": (0, "^"),
    "rebalance": (0, "^gateway"),
    "csms key add desk --role viewer": (0, "^vg_"),
    "csms key list": (0, "desk\tviewer\tall"),
    "csms link boss --role admin": (0, "/login"),
    "csms key remove desk": (0, "^$"),
    "csms rebuild": (0, "^0 sessions, 0 documents imported"),
    "swarm fan-out --url ws://127.0.0.1:9": (1, "cannot connect to ws://127.0.0.1:9"),
}
LASTING = {
    "serve": "gateway.started",
    "backend": "backend.started",
    "csms ledger": "ledger.started",
    "csms console": "the console is at",
}
SWARMS = {f"swarm {name}" for name in ("compare", "day", "half-open", "slow-consumer", "steady", "storm")}
WITHOUT_NATS = {
    "asyncapi", "dev", "charger", "validate", "policy", "permissions", "worker", "version", "actions",
    "schema", "config example", "csms explain", "csms backup", "csms restore", *SWARMS,
}  # fmt: skip


def commands(group: Any, prefix: str = "") -> Iterator[str]:
    """The name of every command, with that of its group."""
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, f"{prefix}{name} ")
        else:
            yield f"{prefix}{name}"


def test_every_command_is_in_the_tables() -> None:
    named = {*commands(typer.main.get_command(app))} - WITHOUT_NATS
    group = r"^(?:(?:streams|chargers|swarm|csms key|csms) )?[\w-]+"
    assert named == {*LASTING, *(" ".join(re.findall(group, one)) for one in SHORT)}


class Place(NamedTuple):
    """A nats-server, and what logs in to it: keys of [nats]."""

    server: NatsServer
    keys: dict[str, str]


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Callable[[str], Place]]:
    """Start the server of one of WAYS."""
    started: list[NatsServer] = []

    def start(way: str) -> Place:
        authority = Authority(tmp_path)
        certificate, key = authority.issue("server").pair
        verify = f"ca_file: {authority.file!r}; verify: true" if way == "mutual" else ""
        tls = f"tls {{ cert_file: {certificate!r}; key_file: {key!r}; {verify} }}\n"
        lines, keys = "", {"tls_ca": authority.file}
        match way:
            case "plain":
                tls, keys = "", {}
            case "mutual":
                keys["tls_cert"], keys["tls_key"] = authority.issue("client").pair
            case "nkey":
                one = user()
                lines, keys["nkey_seed"] = (
                    f"authorization {{ users: [{{ nkey: {one.public} }}] }}\n",
                    one.seed,
                )
            case "creds":
                lines, creds = operated(tmp_path)
                keys["credentials"] = str(creds)
        file = tmp_path / "nats.conf"
        file.write_text(f"{tls}{lines}jetstream {{ store_dir: {str(tmp_path / 'js')!r} }}\n")
        started.append(NatsServer(tmp_path / "nats", ["-c", str(file)]))
        scheme = "nats" if way in ("plain", "tls asked for by the server") else "tls"
        return Place(started[-1], keys | {"url": f"{scheme}://127.0.0.1:{started[-1].port}"})

    yield start
    for server in started:
        server.kill()


WAYS = ("plain", "tls", "tls asked for by the server", "mutual", "nkey", "creds")


def configured(folder: Path, keys: dict[str, str]) -> str:
    """A configuration file with these keys of [nats]."""
    rows = "".join(f"{key} = {json.dumps(value)}\n" for key, value in keys.items())
    file = folder / "voltgate.toml"
    file.write_text(
        f"[limits]\nmax_connections = 100\n[admin]\nport = 0\n[csms]\nport = 0\n[nats]\n{rows}{OPEN}{SMALL}"
    )
    return str(file)


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What some commands read, in the working directory."""
    monkeypatch.chdir(tmp_path)
    Path("fleet.csv").write_text("identity\nCP2\n")
    Path("registry.jsonl").write_text('{"identity":"CP3","enabled":true}\n')


@pytest.mark.usefixtures("files")
@pytest.mark.parametrize("way", WAYS)
def test_every_command_connects(
    place: Callable[[str], Place],
    way: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    start: Start,
) -> None:
    config = configured(tmp_path, place(way).keys)
    for command, (code, told) in SHORT.items():
        assert main([*command.split(), "--config", config]) == code, (command, capsys.readouterr())
        out, err = capsys.readouterr()
        assert re.search(told, out + err, re.MULTILINE), (command, out, err)
    for command, line in LASTING.items() if way in ("mutual", "creds") else ():
        running = start(*command.split(), "--config", config)
        running.until(lambda running=running, line=line: line in running.err, line)  # type: ignore[misc]


class Fault(NamedTuple):
    """Keys of [nats] that differ from the right ones, the exit code, and the line."""

    keys: dict[str, str]
    code: int
    told: str
    way: str = "tls"


FAULTS = {
    "tls:// without TLS": Fault({"url": "tls://{}"}, 1, "NATS at tls://{} offers no TLS", "plain"),
    "tls_ca without TLS": Fault({"tls_ca": "authority.pem"}, 1, "NATS at nats://{} offers no TLS", "plain"),
    "another CA": Fault({"tls_ca": "another.pem"}, 2, "nats.tls_ca: another.pem: not the CA of"),
    "no CA": Fault({"tls_ca": ""}, 2, "nats.tls_ca: must name the CA of"),
    "CA is missing": Fault({"tls_ca": "absent"}, 2, "nats.tls_ca: absent: No such file or directory"),
    "not a CA": Fault({"tls_ca": "fleet.csv"}, 2, "nats.tls_ca: fleet.csv: holds no certificate"),
    "certificate is missing": Fault({"tls_cert": "absent"}, 2, "nats.tls_cert: absent: No such file"),
    "another key": Fault(
        {"tls_cert": "server.pem", "tls_key": "other.key"}, 2, "nats.tls_key: other.key is not the key of"
    ),
    "no certificate": Fault(
        {"tls_cert": "", "tls_key": ""}, 1, "NATS at tls://{} cannot be reached: ", "mutual"
    ),
    "creds are missing": Fault({"credentials": "absent"}, 2, "nats.credentials: absent: No such file"),
    "creds are a folder": Fault({"credentials": "."}, 2, "nats.credentials: .: Is a directory"),
    "not creds": Fault({"credentials": "fleet.csv"}, 2, "nats.credentials: fleet.csv: is not a .creds file"),
    "damaged creds": Fault({"credentials": "bad.creds"}, 2, "nats.credentials: bad.creds: its seed is"),
    "a bad seed": Fault({"nkey_seed": "SUAbad"}, 2, "nats.nkey_seed: must be the seed of a NATS user"),
    "another seed": Fault({"nkey_seed": "{seed}"}, 1, "NATS at tls://{} refuses the login", "nkey"),
    "no seed": Fault({"nkey_seed": ""}, 1, "NATS at tls://{} refuses the login", "nkey"),
    "no creds": Fault({"credentials": ""}, 1, "NATS at tls://{} refuses the login", "creds"),
}


@pytest.mark.usefixtures("files")
@pytest.mark.parametrize("name", FAULTS)
def test_every_command_says_why_it_does_not_connect(
    place: Callable[[str], Place], name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fault = FAULTS[name]
    right = place(fault.way)
    authority = Authority(tmp_path, "another")
    authority.issue("other")
    (tmp_path / "bad.creds").write_text(operated(tmp_path)[1].read_text().replace("\nSU", "\nSUA"))
    address = f"127.0.0.1:{right.server.port}"
    wrong = {
        key: value.replace("{seed}", user().seed).replace("{}", address) for key, value in fault.keys.items()
    }
    config = configured(tmp_path, right.keys | wrong)
    for command in (*SHORT, *LASTING):
        code = main([*command.split(), "--config", config])
        out, err = capsys.readouterr()
        said: Any = out if command == "check" and fault.code == 1 else err
        assert (code, fault.told.replace("{}", address) in said) == (fault.code, True), (command, out, err)
        words = [line for line in err.splitlines() if line.startswith("voltgate: ")]
        assert command == "check" or (out, len(words)) == ("", 1), (command, err)
        assert "bug in voltgate" not in err
        assert "SUA" not in err, "no seed is shown"
