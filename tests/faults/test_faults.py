"""The short form; `make faults` is the long one. That losses are found is proved by a gateway that lies."""

import asyncio
import random
from dataclasses import replace
from pathlib import Path

import pytest

import postgres
from faults.catalogue import OF_BOOKS
from faults.run import Plan, Run, run
from faults.setups import MUTANT, SETUPS
from faults.short import short

# Longer than the timeouts of a run, which report what is stuck.
pytestmark = [pytest.mark.usefixtures("clean_environment"), pytest.mark.timeout(400)]

HONEST = SETUPS["gateways"]


async def test_nothing_that_was_answered_is_lost_and_nothing_is_stored_twice(tmp_path: Path) -> None:
    """Two aimed faults and one of any kind; every message is stored in the end, every command ends once."""
    seed = random.randrange(10_000)
    plan, chosen = short(seed)
    verdict = await run(HONEST, plan, tmp_path, chosen)
    assert not verdict.faults, f"seed {seed}, {list(chosen)}: {verdict}"
    assert verdict.counts["answered"] == verdict.counts["stored"] > 160
    assert verdict.counts["commands"] > 10


async def test_whatever_is_killed_each_end_is_billed_once(tmp_path: Path) -> None:
    """SIGKILL and SIGSTOP to the ledger, SIGKILL to its database."""
    postgres.installed()
    seed = random.randrange(10_000)
    plan = Plan(seed, len(OF_BOOKS), chargers=6, between=40)
    verdict = await run(SETUPS["books"], plan, tmp_path, OF_BOOKS)
    assert not verdict.faults, f"seed {seed}: {verdict}"
    assert verdict.counts["answered"] == verdict.counts["stored"] > 160


async def test_a_gateway_that_answers_before_the_pub_ack_is_found_out(tmp_path: Path) -> None:
    """The same fault in both houses, at once: what the liar had answered went with its nats-server."""

    async def frozen_then_killed(run: Run) -> None:
        node = run.house.nodes[0]
        await asyncio.to_thread(node.freeze)
        await run.generated(60)
        await asyncio.to_thread(node.kill)
        await asyncio.to_thread(node.start)

    fault = {"nats-server frozen, then killed": frozen_then_killed}
    plan = Plan(seed=1, faults=1, chargers=6, between=20)
    liar = replace(HONEST, command=MUTANT)
    honest, lying = await asyncio.gather(
        *(run(setup, plan, tmp_path / name, fault) for name, setup in (("honest", HONEST), ("liar", liar)))
    )
    assert not honest.faults, honest
    assert honest.counts["lost"] == 0
    assert lying.counts["lost"] > 0, lying
