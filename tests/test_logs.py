"""Log lines: format, level, and the lines of libraries."""

import json
import logging
import subprocess
import sys

import pytest
import structlog

from voltgate import logs
from voltgate.config import Log

pytestmark = pytest.mark.usefixtures("clean_environment", "own_logs")


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    out, err = capsys.readouterr()
    assert out == "", "stdout is for data"
    return [json.loads(line) for line in err.splitlines()]


def test_a_line_is_json_where_no_person_reads(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(Log())
    structlog.get_logger().info("gateway.ready", listeners=["127.0.0.1:9000"])
    (line,) = lines(capsys)
    assert str(line.pop("timestamp")).endswith("Z"), "UTC"
    assert line == {"event": "gateway.ready", "level": "info", "listeners": ["127.0.0.1:9000"]}


def test_what_is_below_the_level_is_not_said(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(Log(level="warning"))
    structlog.get_logger().info("quiet")
    structlog.get_logger().warning("loud")
    assert [line["event"] for line in lines(capsys)] == ["loud"]


def test_text_has_no_colour_where_no_terminal_is(capsys: pytest.CaptureFixture[str]) -> None:
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
def test_libraries_end_in_the_same_form(
    capsys: pytest.CaptureFixture[str], name: str, level: int, short: bool, why: str
) -> None:
    logs.configure(Log())
    try:
        raise ValueError("what came was no HTTP")
    except ValueError:
        logging.getLogger(name).log(level, "opening handshake %s", "failed", exc_info=True)
    (line,) = lines(capsys)
    assert (line["logger"], line["level"]) == (name, "error")
    assert ("Traceback" not in json.dumps(line)) == short, why
    assert "what came was no HTTP" in json.dumps(line), "the cause is logged either way"


def test_libraries_tell_warnings_and_worse_only(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(Log(level="debug"))
    logging.getLogger("websockets.client").info("connection open")
    logging.getLogger("nats").warning("slow")
    assert [line["event"] for line in lines(capsys)] == ["slow"]


def test_a_closed_stderr_stops_no_logging_call() -> None:
    script = (
        "import os, structlog; from voltgate import logs; from voltgate.config import Log\n"
        "logs.configure(Log()); os.close(2); structlog.get_logger().error('x'); print('went on')"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "went on\n"
