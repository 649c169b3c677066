"""A rolling upgrade of two gateways behind the shipped HAProxy, with chargers that go on charging.

200 chargers; 4,000 with TEST_FULL=1 (`make deploy-test`).
"""

import asyncio
import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from time import monotonic
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from deploy.crowd import BEHAVIOUR, Crowd, names
from deploy.stack import GATEWAYS, Stack, settings
from e2e.logins import KEY, fast
from e2e.strangers import connected
from faults.verdict import read
from processes import PATIENCE, Voltgate, status

FULL = os.environ.get("TEST_FULL") == "1"
CHARGERS = 4000 if FULL else 200
SLACK = 5.0  # seconds for a machine with two cores and ten processes
pytestmark = pytest.mark.timeout(900)


def samples(port: int, name: str) -> list[tuple[dict[str, str], float]]:
    """Labels and value of each sample of a metric."""
    families = text_string_to_metric_families(status(port, "/metrics")[1])
    return [(one.labels, one.value) for family in families for one in family.samples if one.name == name]


def connections(running: Stack, gateway: str) -> int:
    return int(sum(value for _, value in samples(running.port(gateway, 9464), "voltgate_connections")))


def in_rotation(running: Stack, gateway: str) -> bool:
    """Whether HAProxy sends chargers of profile 1 to it."""
    expected = {"proxy": "profile_1", "server": gateway, "state": "UP"}
    return any(
        value == 1 and expected.items() <= labels.items()
        for labels, value in samples(running.port("haproxy", 8405), "haproxy_server_status")
    )


async def until(holds: Callable[[], bool], what: str) -> None:
    deadline = monotonic() + PATIENCE * 2
    while not await asyncio.to_thread(holds):
        assert monotonic() < deadline, f"not in time: {what}"
        await asyncio.sleep(0.1)


async def register(running: Stack, count: int) -> None:
    """A record and the same password for each charger."""
    client = await connected(running.nats("operator"))
    record = json.dumps({"enabled": True, "password_hashes": [fast(KEY)]}).encode()
    jetstream = client.jetstream()
    for first in range(0, count, 200):
        some = names(count)[first : first + 200]
        await asyncio.gather(*(jetstream.publish(f"$KV.ocpp_chargers.{name}", record) for name in some))
    await client.close()


def drained(running: Stack, gateway: str) -> list[dict[str, Any]]:
    """The line at the end of the drain of each worker."""
    lines = re.findall(r'(?m)^\{.*"drain\.ended".*\}$', running.log(gateway))
    return [json.loads(line) for line in lines]


async def replace(running: Stack, gateway: str, crowd: Crowd) -> None:
    """Stop it, start its successor, and hold what chargers saw against the schedule of the drain."""
    drain, loop = settings()["drain"], asyncio.get_running_loop()
    held = await asyncio.to_thread(connections, running, gateway)
    schedule = drain["grace"] + held / drain["rate"] * 1.2 + SLACK
    crowd.watch.ends.clear()
    crowd.watch.away.clear()
    began = loop.time()
    assert await asyncio.to_thread(running.stop, gateway) == 0, running.log(gateway)
    assert loop.time() - began < schedule
    await until(lambda: crowd.ready == CHARGERS, f"the chargers of {gateway} are elsewhere")
    ended = drained(running, gateway)
    assert len(ended) == 2
    assert [line["cut"] for line in ended] == [0, 0]
    assert sum(line["closed"] for line in ended) == held == len(crowd.watch.ends)
    if held:
        assert drain["grace"] <= min(crowd.watch.ends) - began
        assert max(crowd.watch.ends) - began < schedule
        # With its first dial (see ``refused`` below), and therefore before that would have been given up.
        assert max(crowd.watch.away) < BEHAVIOUR.open_timeout
        print(
            f"\n{gateway}: {held} chargers, the last left after {max(crowd.watch.ends) - began:.1f} s, "
            f"the longest was away for {max(crowd.watch.away):.1f} s"
        )
    running.start(gateway)
    await asyncio.to_thread(running.until_ready, gateway)
    await until(lambda: in_rotation(running, gateway), f"{gateway} is in HAProxy's rotation")


async def test_gateways_are_replaced_one_after_the_other_while_chargers_charge(
    running: Stack, tmp_path: Path, clean_environment: None
) -> None:
    """Nothing answered is lost, no transaction message is refused, and the load is spread again."""
    await register(running, CHARGERS)
    for gateway in GATEWAYS:
        await until(lambda gateway=gateway: in_rotation(running, gateway), gateway)  # type: ignore[misc]
    crowd = Crowd(f"ws://127.0.0.1:{running.port('haproxy', 9000)}/ocpp", CHARGERS)
    crowd.start()
    try:
        await until(lambda: crowd.ready == CHARGERS, "all chargers are accepted")
        before = [connections(running, gateway) for gateway in GATEWAYS]
        assert max(before) - min(before) <= 0.2 * CHARGERS / 2, before
        for gateway in GATEWAYS:
            await replace(running, gateway, crowd)
        assert not crowd.tally.refused
        answered = crowd.book.answered
        await until(lambda: crowd.book.answered > answered, "chargers go on charging")

        rebalance = Voltgate(
            tmp_path, "rebalance", "--rate", "200", VOLTGATE_NATS__URL=running.nats("operator")
        )
        assert await asyncio.to_thread(rebalance.process.wait, PATIENCE * 2) == 0, rebalance.err
        await until(lambda: crowd.ready == CHARGERS, "all chargers are accepted again")
        after = [connections(running, gateway) for gateway in GATEWAYS]
        assert sum(after) == CHARGERS
        assert max(after) - min(after) <= 0.2 * CHARGERS / 2, f"{after}\n{rebalance.out}\n{rebalance.err}"
    finally:
        await crowd.stop()

    entries = list(crowd.book.entries.values())
    stored = await read([running.nats("operator")], bills=False)
    assert not crowd.book.errors
    assert [entry for entry in entries if entry.answer is not None and entry.key not in stored.facts] == []
    assert [content for content, times in stored.contents.items() if times > 1] == []
    print(f"{len(entries)} transaction messages, {crowd.book.answered} answered, {before} -> {after}")
