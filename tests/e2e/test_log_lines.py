"""The log of a real process: one event a line, whatever ends it, and not filled by a charger."""

import asyncio
import json
import signal
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from e2e.serving import ANYBODY, serving
from e2e.strangers import dial
from jetstream import NatsServer
from processes import Start
from voltgate.log_rates import LINES

pytestmark = pytest.mark.usefixtures("clean_environment")


def events(log: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.splitlines()]


FATAL = [
    ("", "[nats]\nurl='nats://127.0.0.1:1'\n", 1, "127.0.0.1:1"),
    ("", "[nats]\nno_such_key=1\nnor_this=2\n", 2, "no_such_key"),
    ("", "[drain]\ngrace='long'\n", 2, "drain.grace"),
    ("", "[admin]\nhost='192.0.2.1'\n", 1, "192.0.2.1"),
    ("backend", "[nats]\nurl='nats://127.0.0.1:1'\n", 1, "127.0.0.1:1"),
    ("--workers=2", "[admin]\nhost='192.0.2.1'\n", 1, "192.0.2.1"),
]


@pytest.mark.parametrize(("argument", "section", "code", "names"), FATAL, ids=[str(row[:2]) for row in FATAL])
def test_what_ends_a_service_is_an_event(
    start: Start, tmp_path: Path, argument: str, section: str, code: int, names: str
) -> None:
    file = tmp_path / "voltgate.toml"
    admin = "" if "[admin]" in section else "[admin]\nport=0\n"
    file.write_text(
        f"{section}[log]\nformat='json'\n{admin}"
        "[[listeners]]\nhost='127.0.0.1'\nport=0\nallow_unauthenticated=true\n"
    )
    words = ["backend"] if argument == "backend" else ["serve", *([argument] if argument else [])]
    running = start(*words, "--config", str(file))
    assert running.process.wait(30) == code
    failed = [line for line in events(running.err) if line["event"] == "process.failed"]
    assert {(line["level"], line["code"]) for line in failed} == {("critical", code)}
    assert names in failed[0]["error"]
    assert len(failed) == (2 if "nor_this" in section else 1), "an event for each fault"
    assert running.out == ""


def test_as_text_it_is_a_line_for_people(start: Start, tmp_path: Path) -> None:
    file = tmp_path / "voltgate.toml"
    file.write_text("[log]\nformat='text'\n[nats]\nno_such_key=1\n")
    running = start("serve", "--config", str(file))
    assert running.process.wait(30) == 2
    assert running.err.startswith("voltgate: ")


@pytest.mark.usefixtures("house")  # it makes the streams
async def test_a_charger_cannot_fill_the_log(nats_server: NatsServer, tmp_path: Path, identity: str) -> None:
    door = f"[log]\nlevel = 'debug'\n{ANYBODY}"
    async with serving(nats_server.url, tmp_path, door) as (process, port):
        for _ in range(2 * LINES):
            async with dial(port, identity):
                pass
        async with dial(port, f"{identity} other"):
            pass
        process.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(process.wait, 30) == 0
    written = events((tmp_path / "err").read_text())
    about = Counter(line["event"] for line in written if line.get("identity") == identity)
    assert about.pop("suppression.began") == 1
    assert sum(about.values()) == LINES
    assert len([line for line in written if line.get("identity") == f"{identity} other"]) == 2
    (ended,) = [line for line in written if line["event"] == "suppression.ended"]
    assert ended["lines"] == 2 * 2 * LINES - LINES, "two lines a connection; said when the process ends"
