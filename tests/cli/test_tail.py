"""``voltgate tail``: what it listens to, what it prints, and how it ends."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from time import monotonic

import nats
import pytest

from jetstream import NatsServer
from processes import PATIENCE, Start, Voltgate
from voltgate.cli.faults import Failure
from voltgate.cli.tail.command import subjects
from voltgate.config import Nats

pytestmark = pytest.mark.usefixtures("clean_environment")


async def published(running: Voltgate, url: str, subject: str, body: bytes, headers: dict[str, str]) -> None:
    """Publish until it is seen: a subscription of another process cannot be waited for otherwise."""
    client = await nats.connect(url)
    deadline = monotonic() + PATIENCE
    while not running.out:
        assert monotonic() < deadline, running.err
        await client.publish(subject, body, headers=headers)
        await client.flush()
    await client.close()


@pytest.mark.parametrize("as_json", [False, True])
async def test_tail_prints_a_line_for_a_message_at_once(
    start: Start, nats_server: NatsServer, monkeypatch: pytest.MonkeyPatch, as_json: bool
) -> None:
    monkeypatch.setenv("VOLTGATE_NATS__URL", nats_server.url)
    running = start("tail", "--charger", "CP 1", *(["--json"] if as_json else []))
    await published(running, nats_server.url, "ocpp.link.CP=201", b'{"state":"up"}', {"ce-id": "s/1"})
    line = running.out.splitlines()[0]
    if as_json:
        assert json.loads(line)["headers"] == {"ce-id": "s/1"}
    else:
        assert "CP 1" in line, "the identity is encoded by us"
    assert running.ends(signal.SIGINT) == 0, "the way to end it"
    assert running.err == ""


async def test_tail_ends_when_its_reader_leaves(
    nats_server: NatsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VOLTGATE_NATS__URL", nats_server.url)
    command = [sys.executable, "-m", "voltgate", "tail"]
    reader, writer = os.pipe()
    with subprocess.Popen(  # noqa: ASYNC220 - the loop has nothing else to do
        command, stdout=writer, stderr=subprocess.PIPE
    ) as process:
        os.close(writer)
        os.close(reader)
        client = await nats.connect(nats_server.url)
        deadline = monotonic() + PATIENCE
        while process.poll() is None:
            assert monotonic() < deadline
            await client.publish("ocpp.link.CP1", b"{}")
            await client.flush()
        await client.close()
        assert process.returncode == 0
        assert process.stderr is not None
        assert process.stderr.read() == b""


async def test_tail_survives_a_restart_of_nats(
    start: Start, start_nats: Callable[..., NatsServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    first = start_nats()
    monkeypatch.setenv("VOLTGATE_NATS__URL", first.url)
    running = start("tail", "link")
    await published(running, first.url, "ocpp.link.CP1", b"{}", {})
    first.kill()
    first.start()
    client = await nats.connect(first.url)
    deadline = monotonic() + PATIENCE
    while "CP2" not in running.out:
        assert monotonic() < deadline, running.err
        await client.publish("ocpp.link.CP2", b"{}")
        await client.flush()
    await client.close()
    assert "the connection to NATS is lost" in running.err
    # Its subscriptions are there before it is told that the connection is.
    running.until(lambda: "reconnected to NATS" in running.err, "it says so")


FILTERS = [
    ([], "", ["ocpp.>"], "everything"),
    (["tx"], "", ["ocpp.tx.>"], "a class"),
    (["link", "ocpp.tx.v16.>"], "", ["ocpp.link.>", "ocpp.tx.v16.>"], "a class and a subject"),
    (["tx.v16.>"], "", ["ocpp.tx.v16.>"], "without the prefix"),
    (["tx", "tx.v16.>", "tx"], "", ["ocpp.tx.>"], "no message comes twice"),
    (["tx", ">"], "", ["ocpp.>"], "likewise, and still under the prefix"),
    (["tx.*.*.A", "tx.v16.*.*"], "", ["ocpp.tx.*.*.A", "ocpp.tx.v16.*.*"], "neither covers the other"),
    (["tx", "link"], "R 1", ["ocpp.tx.*.*.R=201", "ocpp.link.R=201"], "of one charger"),
    (["reject"], "*", ["ocpp.reject.*.=2A"], "an identity is no pattern"),
]


@pytest.mark.parametrize(("filters", "charger", "expected", "why"), FILTERS)
def test_filters_become_subjects(filters: list[str], charger: str, expected: list[str], why: str) -> None:
    assert subjects(Nats(), filters, charger) == expected, why


def test_no_filter_reaches_the_prefix_of_questions() -> None:
    for filters in (["other.>"], ["other"]):
        with pytest.raises(Failure):
            subjects(Nats(rpc_prefix="other"), filters, "")
