"""``voltgate swarm`` as processes, against ``voltgate dev``."""

import asyncio
import json
import resource
import signal
import ssl
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import jsonschema
import psutil
import pytest
import trustme

from jetstream import free_port
from processes import PATIENCE, Start, Voltgate, status
from scripted_csms import Csms
from voltgate import __version__
from voltgate.charger.tally import Tally
from voltgate.cli.swarm.course import obstacle

pytestmark = pytest.mark.usefixtures("clean_environment")

SCHEMA = json.loads((Path(__file__).parents[3] / "docs" / "swarm.schema.json").read_text())


@dataclass(frozen=True)
class Dev:
    """A gateway with all that belongs to it: what chargers dial, admin address, configuration for NATS."""

    url: str
    admin: str
    config: Path


@pytest.fixture(scope="module")
def dev(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dev]:
    folder = tmp_path_factory.mktemp("dev")
    port, admin, nats = free_port(), free_port(), free_port()
    options = {"--port": port, "--admin-port": admin, "--nats-port": nats, "--data-dir": folder / "data"}
    flat = [str(word) for pair in options.items() for word in pair]
    config = folder / "swarm.toml"
    config.write_text(f'[nats]\nurl = "nats://127.0.0.1:{nats}"\n')
    running = Voltgate(folder, "dev", "--no-csms", *flat)
    try:
        running.until(lambda: status(admin, "/readyz")[0] == 200, "ready")
        yield Dev(f"ws://127.0.0.1:{port}/ocpp", f"http://127.0.0.1:{admin}", config)
    finally:
        running.process.terminate()
        running.process.wait(PATIENCE)


def figures(out: str) -> Any:
    """The output of --json, which follows its schema."""
    result = json.loads(out)
    jsonschema.Draft202012Validator(SCHEMA).validate(result)
    return result


def swarm(*arguments: str | Path, descriptors: int = 0) -> tuple[int, str, str]:
    """Run one to its end: exit code, stdout, stderr. ``descriptors``: with so few of them."""

    def few() -> None:
        if descriptors:
            resource.setrlimit(resource.RLIMIT_NOFILE, (descriptors, descriptors))

    done = subprocess.run(
        [sys.executable, "-m", "voltgate", "swarm", *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        preexec_fn=few,
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode, done.stdout, done.stderr


def test_a_small_swarm_of_two_processes_gets_every_call_answered(dev: Dev) -> None:
    code, out, err = swarm(
        *(
            "--url",
            dev.url,
            "--chargers",
            "20",
            "--processes",
            "2",
            "--rate",
            "40",
            "--duration",
            "2",
            "--json",
        )
    )
    result = figures(out)
    assert (code, result["errors"], result["refused_upgrades"]) == (0, 0, {}), (out, err)
    assert (result["connected"], result["chargers"], result["processes"]) == (20, 20, 2)
    assert result["sent"] == result["answered"] >= 60, "each boots and sends two statuses; and the load"
    assert result["connect"]["count"] >= 60
    assert result["storm"] is None
    assert 10 < result["rate_achieved"] < 80, "40 a second at random moments"
    assert 0 < result["p50_ms"] <= result["p95_ms"] <= result["p99_ms"] <= result["max_ms"]
    assert [line.split()[0] for line in err.splitlines()] == ["connecting", "load", "ending"]


def test_a_storm_drops_everybody_and_everybody_comes_back(dev: Dev) -> None:
    code, out, err = swarm(
        *("--url", dev.url, "--chargers", "12", "--rate", "20", "--duration", "2", "--storm", "--json"),
        *("--identity-prefix", "STORM ", "--version", "1.6", "--source-addresses", "3"),
    )
    result = figures(out)
    assert (code, result["errors"], result["connected"]) == (0, 0, 12), (out, err)
    storm = result["storm"]
    assert storm["all_returned"]
    assert storm["count"] == 3 * 12, "BootNotification and two StatusNotifications each"
    assert 0 < storm["seconds"] < PATIENCE
    assert 0 < storm["p50_ms"] <= storm["p99_ms"]
    assert result["sent"] == result["answered"] + result["interrupted"], "what it cut off was sent again"


def test_people_get_a_table_and_ctrl_c_ends_early_with_it(dev: Dev, start: Start) -> None:
    running = start("swarm", "--url", dev.url, "--chargers", "6", "--rate", "10", "--duration", "600")
    running.until(lambda: "\nload " in running.err, "the load has begun")
    workers = psutil.Process(running.process.pid).children()
    assert running.ends(signal.SIGINT) == 0, running.err
    lines = dict(line.split(maxsplit=1) for line in running.out.splitlines())
    assert lines["connected"] == "6 of 6"
    assert lines["errors"] == "0"
    assert lines["sent"] == lines["answered"]
    assert "p99" in lines["connect"]
    assert float(lines["seconds"]) < 60
    assert psutil.wait_procs(workers, PATIENCE)[1] == []
    assert "Traceback" not in running.err


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM])
def test_its_processes_end_with_it_however_it_ends(dev: Dev, start: Start, end: signal.Signals) -> None:
    running = start("swarm", "--url", dev.url, "--chargers", "4", "--processes", "2", "--duration", "600")
    running.until(lambda: "\nload " in running.err, "the load has begun")
    workers = psutil.Process(running.process.pid).children()
    assert len(workers) == 2
    running.ends(end)
    assert psutil.wait_procs(workers, PATIENCE)[1] == []


def test_logins_come_from_a_file_by_line_or_by_json(dev: Dev, tmp_path: Path) -> None:
    (tmp_path / "logins").write_text('CP A,secret\n{"identity":"CP B","password":"a,b"}\n')
    code, out, err = swarm(
        *("--url", dev.url, "--chargers", "2", "--rate", "0", "--duration", "0"),
        *("--password-file", str(tmp_path / "logins")),
    )
    assert (code, out.splitlines()[0].split(maxsplit=1)[1]) == (0, "2 of 2"), err


def test_few_descriptors_mean_more_processes(dev: Dev) -> None:
    code, out, err = swarm(
        *("--url", dev.url, "--chargers", "60", "--rate", "0", "--duration", "0", "--json"), descriptors=140
    )
    result = figures(out)
    assert (code, result["processes"], result["answered"] >= 180) == (0, 2, True), err


def test_more_chargers_than_descriptors_is_said_before_anything_starts(dev: Dev) -> None:
    code, out, err = swarm("--url", dev.url, "--chargers", "100", "--processes", "1", descriptors=140)
    assert (code, out) == (2, "")
    assert "ulimit -n" in err
    assert "--processes 3" in err


def test_without_a_gateway_the_swarm_fails_with_a_remedy() -> None:
    port = free_port()
    code, out, err = swarm("--url", f"ws://127.0.0.1:{port}/ocpp", "--chargers", "2")
    assert (code, out) == (1, "")
    (line,) = err.splitlines()
    assert line.startswith(f"voltgate: cannot connect to ws://127.0.0.1:{port}/ocpp (Connection refused)")
    assert "voltgate dev" in line


def test_chargers_that_are_not_let_in_are_an_error_with_its_reason(dev: Dev) -> None:
    code, out, err = swarm("--url", dev.url, "--chargers", "2", "--identity-prefix", "a:b")
    assert (code, out) == (1, "")
    assert err.splitlines()[-1] == "voltgate: no charger was admitted: HTTP 400"


# What it measures


def test_thresholds_series_report_commands_and_the_gateways_version(dev: Dev, tmp_path: Path) -> None:
    series, page = tmp_path / "run.jsonl", tmp_path / "run.html"
    code, out, err = swarm(
        *("--url", dev.url, "--chargers", "6", "--rate", "30", "--duration", "3", "--json"),
        *("--threshold", "errors==0", "--threshold", "actions.BootNotification.p99_ms < 0.001"),
        *(
            "--commands",
            "20",
            "--config",
            dev.config,
            "--admin",
            dev.admin,
            "--series",
            series,
            "--report",
            page,
        ),
        *("--mix", "heartbeat=1,authorize=1,data=1", "--version", "2.0.1"),
    )
    result = figures(out)
    assert code == 1, "one of the thresholds does not hold"
    assert [one["held"] for one in result["thresholds"]] == [True, False]
    boot = result["actions"]["BootNotification"]["p99_ms"]
    assert f"threshold actions.BootNotification.p99_ms < 0.001 does not hold: {boot}" in err
    assert (result["gateway"], result["errors"]) == (__version__, 0)
    assert {"Authorize", "DataTransfer", "Heartbeat"} <= result["actions"].keys()
    commands = result["commands"]
    assert commands["outcomes"] == {"result": commands["count"]}
    assert result["commands_received"] == commands["count"] > 20
    assert result["upgrade"]["count"] == 6

    rows = [json.loads(line) for line in series.read_text().splitlines()]
    assert sum(row["phase"] == "load" for row in rows) >= 2
    assert all(after["t"] > before["t"] for before, after in pairwise(rows))
    assert len(rows) <= rows[-1]["t"] - rows[0]["t"] + 2, "one a second, also where one came late"
    assert rows[-1]["connected"] == 6
    assert len(result["windows"]) == sum(row["phase"] == "load" for row in rows)
    text = page.read_text()
    assert text.count("<svg") >= 3
    assert "http:" not in text.replace(dev.admin, "").replace("http://www.w3.org", ""), "it loads nothing"
    assert "actions.BootNotification.p99_ms &lt; 0.001: missed" in text


SCENARIOS: list[tuple[str, list[str], str]] = [
    ("steady", [], "upgrade"),
    ("storm", [], "storm"),
    ("half-open", ["--half-open", "0.5"], "half_open"),
    ("slow-consumer", [], "slow_consumers"),
    ("fan-out", ["--commands", "100"], "commands"),
    ("day", ["--speed", "86400", "--rate", "0.0003", "--reconnect-rate", "1"], "mix"),
]


@pytest.mark.parametrize(("name", "options", "part"), SCENARIOS, ids=[row[0] for row in SCENARIOS])
def test_each_scenario_is_a_command(dev: Dev, name: str, options: list[str], part: str) -> None:
    code, out, err = swarm(
        name,
        *("--url", dev.url, "--chargers", "8", "--duration", "1", "--config", dev.config, "--json"),
        *("--rate", "20", *options, "--identity-prefix", name),
    )
    result = figures(out)
    assert (code, result["scenario"], result["connected"], result["errors"]) == (0, name, 8, 0), (out, err)
    assert result[part]
    if name == "half-open":
        assert result["half_open"]["sockets"] == result["return"]["count"] == 4
    if name == "fan-out":
        assert result["commands"]["outcomes"] == {"result": 8}, "one to each charger"
    if name == "day":
        assert result["rate_planned"] == pytest.approx(0.0003 * 86400, rel=0.01)


def test_a_search_for_the_highest_rate_ends_where_no_rate_holds(dev: Dev) -> None:
    code, out, err = swarm(
        *("--url", dev.url, "--chargers", "6", "--json", "--find-rate", "--rate", "8", "--duration", "0.5"),
        *("--until", "max_ms<0.000001", "--identity-prefix", "FIND"),
    )
    found = figures(out)["find_rate"]
    assert (code, found["rate"]) == (1, 0), err
    assert [step["rate"] for step in found["steps"]] == [8, 4, 2, 1]


def test_what_tail_recorded_is_replayed(dev: Dev, tmp_path: Path) -> None:
    prefix = ("--identity-prefix", "REPLAYED ")
    code, out, _ = swarm(
        *("--url", dev.url, "--chargers", "3", "--rate", "20", "--duration", "1", *prefix, "--json"),
    )
    boots = figures(out)["actions"]["BootNotification"]["count"]
    command = [sys.executable, "-m", "voltgate", "tail", "--json", "--since", "10m", "--no-follow"]
    recorded = subprocess.run(
        [*command, "tx", "event", "--config", str(dev.config)], capture_output=True, check=True
    ).stdout
    mine = [line for line in recorded.splitlines(True) if b"REPLAYED" in line]
    (tmp_path / "frames.jsonl").write_bytes(b"".join(mine))
    code, out, err = swarm("--url", dev.url, "--replay", tmp_path / "frames.jsonl", "--speed", "4", "--json")
    result = figures(out)
    assert (code, result["chargers"], result["errors"]) == (0, 3, 0), (out, err)
    assert result["actions"]["BootNotification"]["count"] == 2 * boots, "the recorded ones, and its own"


async def test_tls_with_a_certificate_for_each_charger(tmp_path: Path) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(server)
    authority.configure_trust(server)
    server.verify_mode = ssl.CERT_REQUIRED
    for name in ("SW00001", "SW00002"):
        issued = authority.issue_cert(common_name=name)
        issued.private_key_pem.write_to_path(str(tmp_path / f"{name}.key"))
        issued.cert_chain_pems[0].write_to_path(str(tmp_path / f"{name}.pem"))
    csms = Csms()
    csms.tls = server
    url = await csms.start()
    try:
        options = ("--url", url, "--chargers", "2", "--rate", "0", "--duration", "0", "--json")
        files = ("--ca", tmp_path / "ca.pem", "--cert", tmp_path / "{identity}.pem")
        code, out, err = await asyncio.to_thread(
            swarm, *options, *files, "--key", tmp_path / "{identity}.key"
        )
        assert (code, figures(out)["connected"]) == (0, 2), err
        names = {dict(item[0] for item in one["subject"])["commonName"] for one in map(_peer, csms.sockets)}
        assert names == {"SW00001", "SW00002"}
        code, out, err = await asyncio.to_thread(swarm, *options)
        assert (code, out) == (1, "")
        assert "TLS: certificate not accepted" in err
    finally:
        await csms.stop()


def _peer(socket: Any) -> Any:
    return socket.transport.get_extra_info("ssl_object").getpeercert()


def test_tls_to_a_port_without_it_says_so(dev: Dev) -> None:
    code, out, err = swarm("--url", dev.url.replace("ws:", "wss:"), "--chargers", "1")
    assert (code, out) == (1, "")
    assert "does this port speak TLS?" in err


@pytest.mark.parametrize(
    ("tally", "words"),
    [
        (Tally(boots=Counter(Pending=3), sent=3, answered=3), "answered Pending (3 times)"),
        (Tally(sent=3), "no answer to BootNotification"),
        (Tally(refused=Counter({"HTTP 503": 2})), "HTTP 503"),
        (Tally(), "no answer"),
    ],
)
def test_why_no_charger_was_admitted(tally: Tally, words: str) -> None:
    assert words in obstacle(tally)
