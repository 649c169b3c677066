"""``voltgate swarm`` against ``voltgate dev`` as processes, and one process of it with a scripted CSMS."""

import asyncio
import json
import resource
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from processes import PATIENCE, Start, Voltgate, status
from scripted_csms import SILENCE, VERSIONS, Call, Csms, accept, wait_until
from voltgate.charger.plan import Plan
from voltgate.charger.swarm import Swarm
from voltgate.charger.tally import Tally

pytestmark = pytest.mark.usefixtures("clean_environment")

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def dev(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL chargers dial, of a gateway with all that belongs to it."""
    folder = tmp_path_factory.mktemp("dev")
    ports = [str(port) for port in _free(3)]
    options = zip(("--port", "--admin-port", "--nats-port"), ports, strict=True)
    flat = [word for pair in options for word in pair]
    running = Voltgate(folder, "dev", *flat, "--data-dir", str(folder / "data"))
    try:
        running.until(lambda: status(int(ports[1]), "/readyz")[0] == 200, "ready")
        yield f"ws://127.0.0.1:{ports[0]}/ocpp"
    finally:
        running.process.terminate()
        running.process.wait(PATIENCE)


def _free(count: int) -> list[int]:
    import socket

    with_ports = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    numbers = [server.getsockname()[1] for server in with_ports]
    for server in with_ports:
        server.close()
    return numbers


def swarm(*arguments: str, descriptors: int = 0) -> tuple[int, str, str]:
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


# The command


def test_a_small_swarm_of_two_processes_gets_every_call_answered(dev: str) -> None:
    code, out, err = swarm(
        *("--url", dev, "--chargers", "20", "--processes", "2", "--rate", "40", "--duration", "2", "--json")
    )
    result = json.loads(out)
    assert (code, result["errors"], result["refused_upgrades"]) == (0, 0, {}), (out, err)
    assert (result["connected"], result["chargers"], result["processes"]) == (20, 20, 2)
    assert result["sent"] == result["answered"] >= 60, "each boots and sends two statuses; and the load"
    assert result["connect"]["count"] >= 60
    assert result["storm"] is None
    assert 10 < result["rate_achieved"] < 80, "40 a second at random moments"
    assert 0 < result["p50_ms"] <= result["p95_ms"] <= result["p99_ms"] <= result["max_ms"]
    assert [line.split()[0] for line in err.splitlines()] == ["connecting", "load", "ending"]


def test_a_storm_drops_everybody_and_everybody_comes_back(dev: str) -> None:
    code, out, err = swarm(
        *("--url", dev, "--chargers", "12", "--rate", "20", "--duration", "2", "--storm", "--json"),
        *("--identity-prefix", "STORM ", "--version", "1.6", "--source-addresses", "3"),
    )
    result = json.loads(out)
    assert (code, result["errors"], result["connected"]) == (0, 0, 12), (out, err)
    storm = result["storm"]
    assert storm["all_returned"]
    assert storm["count"] == 3 * 12, "BootNotification and two StatusNotifications each"
    assert 0 < storm["seconds"] < PATIENCE
    assert 0 < storm["p50_ms"] <= storm["p99_ms"]
    assert result["sent"] == result["answered"] + result["interrupted"], "what it cut off was sent again"


def test_people_get_a_table_and_ctrl_c_ends_early_with_it(dev: str, start: Start) -> None:
    running = start("swarm", "--url", dev, "--chargers", "6", "--rate", "10", "--duration", "600")
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
def test_its_processes_end_with_it_however_it_ends(dev: str, start: Start, end: signal.Signals) -> None:
    running = start("swarm", "--url", dev, "--chargers", "4", "--processes", "2", "--duration", "600")
    running.until(lambda: "\nload " in running.err, "the load has begun")
    workers = psutil.Process(running.process.pid).children()
    assert len(workers) == 2
    running.ends(end)
    assert psutil.wait_procs(workers, PATIENCE)[1] == []


def test_logins_come_from_a_file_by_line_or_by_json(dev: str, tmp_path: Path) -> None:
    (tmp_path / "logins").write_text('CP A,secret\n{"identity":"CP B","password":"a,b"}\n')
    code, out, err = swarm(
        *("--url", dev, "--chargers", "2", "--rate", "0", "--duration", "0"),
        *("--password-file", str(tmp_path / "logins")),
    )
    assert (code, out.splitlines()[0].split(maxsplit=1)[1]) == (0, "2 of 2"), err


def test_few_descriptors_mean_more_processes(dev: str) -> None:
    code, out, err = swarm(
        *("--url", dev, "--chargers", "60", "--rate", "0", "--duration", "0", "--json"), descriptors=140
    )
    result = json.loads(out)
    assert (code, result["processes"], result["answered"] >= 180) == (0, 2, True), err


def test_more_chargers_than_descriptors_is_said_before_anything_starts(dev: str) -> None:
    code, out, err = swarm("--url", dev, "--chargers", "100", "--processes", "1", descriptors=140)
    assert (code, out) == (2, "")
    assert "ulimit -n" in err
    assert "--processes 3" in err


def test_without_a_gateway_the_swarm_fails_with_a_remedy() -> None:
    (port,) = _free(1)
    code, out, err = swarm("--url", f"ws://127.0.0.1:{port}/ocpp", "--chargers", "2")
    assert (code, out) == (1, "")
    (line,) = err.splitlines()
    assert line.startswith(f"voltgate: cannot connect to ws://127.0.0.1:{port}/ocpp (Connection refused)")
    assert "voltgate dev" in line


def test_chargers_that_are_not_let_in_are_an_error_with_its_reason(dev: str) -> None:
    code, out, err = swarm("--url", dev, "--chargers", "2", "--identity-prefix", "a:b")
    assert (code, out) == (1, "")
    assert err.splitlines()[-1] == "voltgate: no charger was admitted: HTTP 400"


WRONG = [
    (["--url", "http://127.0.0.1:9"], "ws://HOST:PORT/PATH", "no websocket URL"),
    (["--version", "1.5"], "must be one of 1.6, 2.0.1, 2.1", "no such version"),
    (["--chargers", "0"], "--chargers", "no charger"),
    (["--url", "ws://192.0.2.1:9/", "--source-addresses", "2"], "on this machine", "no loopback there"),
    (["--password-file", "absent.csv"], "absent.csv: No such file", "no such file"),
    (["--password-file", "short.csv"], "1 logins for 1000 chargers", "too few"),
    (["--password-file", "odd.csv"], "lines must be 'identity,password'", "not a login"),
]


@pytest.mark.parametrize(("options", "words", "why"), WRONG, ids=[row[2] for row in WRONG])
def test_a_usage_error_is_a_line_and_exit_code_2(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: list[str], words: str, why: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "short.csv").write_text("CP1,secret\n")
    (tmp_path / "odd.csv").write_text("CP1,secret,secret\n")
    code, out, err = swarm(*options)
    assert (code, out) == (2, ""), why
    assert words in err
    assert "secret" not in err


# The swarm of one process, with a scripted CSMS


@asynccontextmanager
async def stations(csms: Csms, *versions: str, rate: float = 0.0) -> AsyncIterator[Swarm]:
    """Connected, or trying to; all ends with the block."""
    chargers: list[tuple[str, str, str | None, str]] = [
        (f"S {number}", version, None, "") for number, version in enumerate(versions)
    ]
    url = await csms.start()
    made = Swarm(Plan(url=url, chargers=chargers, rate=rate, connect_rate=1000, storm_spread=0))
    await made.connect()
    try:
        yield made
    finally:
        made.hurry(0)
        await made.finish()
        await made.leave()
        await csms.stop()


async def joined(made: Swarm, count: int = 1) -> None:
    async with asyncio.timeout(PATIENCE):
        await wait_until(lambda: made.report().joined >= count)


def balanced(tally: Tally) -> bool:
    """Every CALL has one end."""
    ends = (tally.answered, tally.callerror, tally.invalid, tally.timeout, tally.lost, tally.interrupted)
    return tally.sent == sum(ends)


async def test_a_slow_answer_does_not_slow_the_plan_and_is_counted_from_when_it_was_due() -> None:
    async def slowly(seconds: float) -> None:
        await asyncio.sleep(seconds)

    class Slow(Csms):
        async def _answer(self, socket: Any, call: Call) -> None:
            await slowly(0.05)
            await super()._answer(socket, call)

    async with stations(Slow(), "v201", rate=100) as made:
        await joined(made)
        made.load()
        async with asyncio.timeout(PATIENCE):
            await wait_until(lambda: made.tally.due >= 60)
        answered = len(made.tally.load)
        assert answered < 30, "the plan is far ahead of a CSMS that answers 20 a second"
        made.hurry(PATIENCE)
        await made.finish()
        assert made.tally.unanswered == 0, "and yet every CALL of it was made"
        assert made.tally.due == len(made.tally.load)
        assert made.tally.load.longest > 1.0, "the wait of a CALL is included"
        assert balanced(made.tally)


@pytest.mark.parametrize("version", VERSIONS)
async def test_its_messages_are_valid_and_in_order(version: str) -> None:
    csms = Csms()  # checks every request against its schema
    async with stations(csms, version, rate=200) as made:
        await joined(made)
        made.load()
        spoken = {"MeterValues", "StatusNotification", "Heartbeat", "BootNotification"}
        spoken = spoken if version == "v16" else spoken - {"MeterValues"} | {"TransactionEvent"}
        await csms.until(lambda: {call.action for call in csms.received} >= spoken)
        assert [call.action for call in csms.received[:3]] == ["BootNotification"] + [
            "StatusNotification"
        ] * 2
        ends = "StopTransaction" if version == "v16" else "TransactionEvent"
        await csms.until(
            lambda: any(version == "v16" or c.payload["eventType"] == "Ended" for c in csms.all(ends))
        )
        if version == "v16":
            assert {call.payload["transactionId"] for call in csms.all(ends)} == {7}, "what the CSMS gave"
        made.hurry(PATIENCE)
        await made.finish()
        assert made.tally.errors == 0
        assert balanced(made.tally)


async def test_a_refused_upgrade_is_repeated_after_retry_after() -> None:
    class Busy(Csms):
        async def _admit(self, socket: Any, request: Any) -> Any:
            response = await super()._admit(socket, request)
            if response is not None:
                response.headers["Retry-After"] = "0"
            return response

    csms = Busy()
    csms.refuse = 2
    async with stations(csms, "v16") as made:
        await joined(made)
        assert made.tally.refused == {"HTTP 503": 2}
        assert made.tally.errors == 0


@pytest.mark.parametrize("version", VERSIONS)
async def test_what_a_storm_cuts_off_is_sent_again_after_boot_and_statuses(version: str) -> None:
    start = "StartTransaction" if version == "v16" else "TransactionEvent"

    def decide(call: Call) -> Any:
        return SILENCE if call.action == start and len(csms.all(start)) == 1 else accept(call)

    csms = Csms(decide)
    async with stations(csms, version) as made:
        first = await csms.wait_for(start)
        made.storm()
        again = await csms.wait_for(start, 2)
        assert (again.payload, again.id != first.id) == (first.payload, True), "same body, new id"
        actions = [call.action for call in csms.received]
        assert actions[4:7] == ["BootNotification", "StatusNotification", "StatusNotification"]
        async with asyncio.timeout(PATIENCE):
            await wait_until(lambda: balanced(made.tally))
        assert (made.tally.interrupted, made.tally.errors, len(made.tally.storm)) == (1, 0, 3)


async def test_the_plan_goes_on_when_the_csms_ends_a_transaction() -> None:
    csms = Csms()
    async with stations(csms, "v16", rate=200) as made:
        await csms.wait_for("StartTransaction")
        await wait_until(lambda: len(made.tally.start) >= 3 and made.tally.answered >= 4)
        answer = await csms.command("RemoteStopTransaction", {"transactionId": 7})
        assert answer[2] == {"status": "Accepted"}
        assert (await csms.wait_for("StopTransaction")).payload["reason"] == "Remote"
        made.load()
        await csms.wait_for("StartTransaction", 2)
        made.hurry(PATIENCE)
        await made.finish()
        assert made.tally.errors == 0
        assert balanced(made.tally)


def test_tallies_of_processes_add_up_as_json() -> None:
    one, other = Tally(sent=2, answered=1), Tally(sent=3)
    one.load.add(0.1)
    other.load.add(0.3)
    other.refused["HTTP 503"] += 4
    one.merge(json.loads(json.dumps(other.dump())))
    assert (one.sent, one.answered, one.refused) == (5, 1, {"HTTP 503": 4})
    assert (len(one.load), one.load.longest) == (2, 0.3)
    assert one.load.percentile(0.5) == pytest.approx(0.1, rel=0.03)
    assert one.load.percentile(1.0) == 0.3, "never above the longest"
