"""Log lines: format, level, and the lines of libraries."""

import json
import logging
import subprocess
import sys
from collections import Counter

import pytest
import structlog

from voltgate import logs
from voltgate.config import Log
from voltgate.log_rates import LINES

pytestmark = pytest.mark.usefixtures("clean_environment", "own_logs")


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    out, err = capsys.readouterr()
    assert out == "", "stdout is for data"
    return [json.loads(line) for line in err.splitlines()]


def test_lines_are_json_where_stderr_is_not_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(Log())
    structlog.get_logger().info("gateway.ready", listeners=["127.0.0.1:9000"])
    (line,) = lines(capsys)
    assert str(line.pop("timestamp")).endswith("Z"), "UTC"
    assert line == {"event": "gateway.ready", "level": "info", "listeners": ["127.0.0.1:9000"]}


def test_lines_below_the_level_are_not_written(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(Log(level="warning"))
    structlog.get_logger().info("quiet")
    structlog.get_logger().warning("loud")
    assert [line["event"] for line in lines(capsys)] == ["loud"]


def test_text_has_no_colour_where_stderr_is_not_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(Log(format="text"))
    structlog.get_logger().warning("loud", number=1)
    told = capsys.readouterr().err
    assert "loud" in told
    assert "\x1b" not in told


LIBRARIES = [
    ("websockets.server", logging.ERROR, True, "a charger's fault is a line, never a traceback"),
    ("asyncio", logging.ERROR, False, "our own fault keeps its traceback"),
]


@pytest.mark.parametrize(("name", "level", "short", "why"), LIBRARIES)
def test_lines_of_libraries_have_the_same_form(
    capsys: pytest.CaptureFixture[str], name: str, level: int, short: bool, why: str
) -> None:
    logs.configure(Log())
    try:
        raise ValueError("what came was no HTTP")
    except ValueError:
        logging.getLogger(name).log(level, "opening handshake %s", "failed", exc_info=True)
    (line,) = lines(capsys)
    assert (line["event"], line["logger"], line["level"]) == ("library.reported", name, "error")
    assert ("Traceback" not in json.dumps(line)) == short, why
    assert "what came was no HTTP" in json.dumps(line), "the cause is logged either way"


def test_only_warnings_and_errors_of_libraries_are_written(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(Log(level="debug"))
    logging.getLogger("websockets.client").info("connection open")
    logging.getLogger("nats").warning("slow")
    assert [line["error"] for line in lines(capsys)] == ["slow"]


SECRETS = [
    ({"error": "no servers at nats://gateway:s3cret@10.0.0.1:4222"}, "nats://***@10.0.0.1:4222"),
    ({"error": "wss://a:s3cret@x@b/ and https://s3cret@c/d"}, "wss://***@b/ and https://***@c/d"),
    ({"urls": ["tls://s3cret@a", {"one": "tls://s3cret@b"}]}, "tls://***@b"),
    ({"password": "s3cret", "Authorization": ["Basic s3cret"]}, '"***"'),
]


@pytest.mark.parametrize(("keys", "kept"), SECRETS)
def test_secrets_are_masked(capsys: pytest.CaptureFixture[str], keys: dict[str, object], kept: str) -> None:
    logs.configure(Log())
    structlog.get_logger().warning("nats.failed", **keys)
    logging.getLogger("nats").warning("%s", keys.get("error", "tls://s3cret@a"))
    try:
        raise ValueError("nats://gateway:s3cret@10.0.0.1")
    except ValueError:
        structlog.get_logger().exception("timer.failed")
    told = capsys.readouterr().err
    assert kept in told
    assert "s3cret" not in told
    assert len(told.splitlines()) == 3, "one event a line"


def test_a_source_that_writes_too_much_is_cut_off_also_if_it_is_a_library(
    capsys: pytest.CaptureFixture[str],
) -> None:
    logs.configure(Log(level="debug"))
    for _ in range(3 * LINES):
        structlog.get_logger().debug("charger.connected", identity="CP 1")
        logging.getLogger("asyncio").warning("socket.send() raised exception")
    structlog.get_logger().debug("charger.connected", identity="CP 2")
    events = Counter((line["event"], line.get("identity"), line.get("logger")) for line in lines(capsys))
    assert events == {
        ("charger.connected", "CP 1", None): LINES,
        ("library.reported", None, "asyncio"): LINES,
        ("suppression.began", "CP 1", None): 1,
        ("suppression.began", None, "asyncio"): 1,
        ("charger.connected", "CP 2", None): 1,
    }


@pytest.mark.parametrize(
    ("settings", "lasting", "event"),
    [(Log(format="json"), True, True), (Log(format="json"), False, False), (Log(), True, False)],
    ids=["a service", "a command's faults are for people", "as text, unless it is asked for"],
)
def test_what_ends_the_process_is_an_event_of_a_service_that_logs_json(
    capsys: pytest.CaptureFixture[str], settings: Log, lasting: bool, event: bool
) -> None:
    logs.configure(settings, lasting)
    assert logs.fatal("one fault\nanother", 2) == event
    told = [(line["event"], line["level"], line["error"], line["code"]) for line in lines(capsys)]
    fatal = ("process.failed", "critical")
    assert told == ([(*fatal, "one fault", 2), (*fatal, "another", 2)] if event else [])


def test_a_closed_stderr_stops_no_logging_call() -> None:
    script = (
        "import os, structlog; from voltgate import logs; from voltgate.config import Log\n"
        "logs.configure(Log()); os.close(2); structlog.get_logger().error('x'); print('went on')"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "went on\n"
