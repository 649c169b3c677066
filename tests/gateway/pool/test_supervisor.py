"""What the supervisor decides without its workers; with them: tests/e2e/test_workers.py."""

import asyncio
import socket
import sys

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from voltgate.config import Listener
from voltgate.gateway.metrics import Metrics
from voltgate.gateway.pool.control import Hello
from voltgate.gateway.pool.member import SILENCE, START, Argv, Member
from voltgate.gateway.pool.merged import Merged, Supervision, portable
from voltgate.gateway.pool.sockets import AddressError, kept
from voltgate.gateway.pool.supervisor import Backoff

HELLO = Hello(0, [], {})


@pytest.mark.parametrize(
    ("lives", "pauses", "expectation"),
    [
        ([0] * 9, [0.5, 1, 2, 4, 8, 16, 30, 30, 30], "doubles from half a second to half a minute"),
        ([59, 59, 60, 59], [0.5, 1, 0.5, 1], "a minute of life is forgiven"),
    ],
)
def test_a_place_stays_empty_longer_each_time(
    lives: list[float], pauses: list[float], expectation: str
) -> None:
    backoff = Backoff()
    for lived, pause in zip(lives, pauses, strict=True):
        assert pause * 0.75 <= backoff.after(lived) <= pause * 1.25, expectation


@pytest.mark.parametrize(
    ("says", "patience", "expectation"),
    [
        ("", START, "a start may take its time"),
        ('["beat",{"checks":{},"open":false}]\n', SILENCE, "who has spoken once must go on speaking"),
    ],
)
async def test_a_process_that_says_nothing_is_killed(says: str, patience: int, expectation: str) -> None:
    """After so many of our own ticks, however much time is between them: who was frozen may have been us."""
    script = "import os, sys, time; os.write(int(sys.argv[1][10:]), sys.stdin.encode()); time.sleep(60)"
    argv = Argv([sys.executable, "-c", script.replace("sys.stdin", repr(says))])
    member = Member(0, lambda: None)
    life = asyncio.create_task(member.live(argv, lambda _: HELLO))
    async with asyncio.timeout(10):
        while member.checks()["process"] != ("" if says else "starting"):
            await asyncio.sleep(0)
    for _ in range(patience):
        member.tick()
    before = member.silenced
    member.tick()
    assert (before, member.silenced) == (False, True), expectation
    assert await life == -9
    assert member.checks() == {"process": "not running"}


async def test_a_process_that_dies_in_the_middle_of_a_word_is_just_gone() -> None:
    script = 'import os, sys; os.write(int(sys.argv[1][10:]), b\'["beat",{"che\'); os._exit(3)'
    member = Member(0, lambda: None)
    assert await member.live(Argv([sys.executable, "-c", script]), lambda _: HELLO) == 3
    assert await member.metrics() is None


async def test_a_process_that_cannot_be_started_is_an_error_and_leaves_an_empty_place() -> None:
    member = Member(0, lambda: None)
    with pytest.raises(OSError, match="no such program"):
        await member.live(Argv(["/no such program"]), lambda _: HELLO)
    assert not member.running
    assert await member.metrics() is None


def test_kept_addresses_are_shared_with_workers_and_take_no_charger() -> None:
    """Port 0 becomes one number; who listens there with SO_REUSEPORT is the only one to be connected."""
    with kept([Listener(host="127.0.0.1", port=0), Listener(host="127.0.0.1", port=0)]) as ports:
        assert len(set(ports)) == 2
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", ports[0]))
        with socket.create_server(("127.0.0.1", ports[0]), reuse_port=True) as worker:
            for _ in range(20):
                socket.create_connection(("127.0.0.1", ports[0]), 5).close()
                worker.accept()[0].close()


@pytest.mark.parametrize(
    ("hosts", "expectation"),
    [
        (["127.0.0.1", "127.0.0.1"], "listener 127.0.0.1:{port}: Address already in use"),
        (["0.0.0.0", "127.0.0.1"], "listener 127.0.0.1:{port}: Address already in use"),
        (["nowhere.invalid"], "listener nowhere.invalid:{port}: "),
    ],
)
def test_an_address_that_cannot_be_had_is_named(hosts: list[str], expectation: str) -> None:
    """Two listeners on one address: a charger would meet either, with other rules."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with (
        pytest.raises(AddressError, match=expectation.format(port=port)),
        kept([Listener(host=host, port=port) for host in hosts]),
    ):
        pytest.fail("not kept")


def test_each_family_stands_once_with_the_samples_of_all_workers() -> None:
    workers = [Metrics("0"), Metrics("1")]
    for number, metrics in enumerate(workers, 1):
        metrics.handshakes.add("accepted", count=number)
        metrics.answer_seconds.cell("tx").observe(0.3)
    own = Supervision()
    own.restarts.add("killed")
    registry = CollectorRegistry(auto_describe=False)
    registry.register(Merged(own, [portable(metrics) for metrics in workers]))
    families = list(text_string_to_metric_families(generate_latest(registry).decode()))
    names = [family.name for family in families]
    assert len(names) == len(set(names))
    samples = {
        (sample.name, *sorted(sample.labels.values())): sample.value
        for family in families
        for sample in family.samples
    }
    assert samples["voltgate_handshakes_total", "0", "accepted"] == 1
    assert samples["voltgate_handshakes_total", "1", "accepted"] == 2
    assert samples["voltgate_answer_seconds_bucket", "+Inf", "1", "tx"] == 1
    assert samples["voltgate_worker_restarts_total", "killed"] == 1
