"""Bulk operations without a charger: bounds, faults, repeats."""

import asyncio
from datetime import UTC, datetime

import pytest

from voltgate.csms.console.commands import Ended
from voltgate.csms.console.intents import ImpossibleError
from voltgate.csms.console.jobs import AT_ONCE, KEPT, Jobs, State, documented
from voltgate.csms.console.problems import Kind, Problem
from voltgate.csms.console.roles import By, Principal, Role
from voltgate.csms.ledger.store import StoreError

NORTH = Principal("n", Role.VIEWER, frozenset({"north"}), By.KEY)
EVERY = Principal("e", Role.VIEWER, None, By.KEY)


def jobs() -> Jobs:
    return Jobs(lambda: datetime(2026, 5, 1, tzinfo=UTC))


async def ended(made: Jobs, id_: str) -> dict[str, str | None]:
    job = made.get(id_)
    assert job is not None
    async with asyncio.timeout(5):
        while not job.done:
            await asyncio.sleep(0)
    return {one.charger: one.outcome for one in job.items}


async def test_only_so_many_are_sent_at_a_time_and_every_charger_once() -> None:
    made, go, running, most = jobs(), asyncio.Event(), 0, 0
    sent: list[str] = []

    async def perform(charger: str) -> Ended:
        nonlocal running, most
        sent.append(charger)
        running += 1
        most = max(most, running)
        await go.wait()
        running -= 1
        return Ended("result", "Accepted", "")

    chargers = {f"c{number}": "north" for number in range(5 * AT_ONCE)}
    job = made.start("j", "reset", "key:x", chargers, perform)
    assert made.start("j", "reset", "key:x", chargers, perform) is job
    while running < AT_ONCE:
        await asyncio.sleep(0)
    states = [one["state"] for one in documented(job, EVERY)["items"]]
    assert (states.count("running"), states.count("waiting")) == (AT_ONCE, 4 * AT_ONCE)
    go.set()
    assert set((await ended(made, "j")).values()) == {"result"}
    assert (most, sorted(sent)) == (AT_ONCE, sorted(chargers))


@pytest.mark.parametrize(
    ("fault", "outcome", "words"),
    [
        (Problem(Kind.CONFLICT, "no session is open there"), "impossible", "no session is open there"),
        (ImpossibleError("evse is needed"), "impossible", "evse is needed"),
        (StoreError("locked"), "impossible", "database"),
        (RuntimeError("secret"), "failed", "log"),
    ],
)
async def test_what_cannot_be_sent_is_an_outcome_and_does_not_stop_the_others(
    fault: Exception, outcome: str, words: str
) -> None:
    made = jobs()

    async def perform(charger: str) -> Ended:
        if charger == "bad":
            raise fault
        return Ended("result", "", "")

    made.start("j", "reset", "key:x", {"bad": "", "good": ""}, perform)
    assert await ended(made, "j") == {"bad": outcome, "good": "result"}
    job = made.get("j")
    assert job is not None
    assert words in (job.items[0].meaning or "")
    assert "secret" not in (job.items[0].meaning or "")


async def test_the_oldest_that_are_done_are_forgotten_and_never_one_that_runs() -> None:
    made, go = jobs(), asyncio.Event()

    async def perform(charger: str) -> Ended:
        if charger == "slow":
            await go.wait()
        return Ended("result", "", "")

    made.start("slow", "reset", "key:x", {"slow": ""}, perform)
    for number in range(KEPT + 3):
        made.start(f"j{number}", "reset", "key:x", {"quick": ""}, perform)
        await ended(made, f"j{number}")
    assert len(list(made)) == KEPT
    assert made.get("slow") is not None
    assert made.get("j3") is None
    for number in range(KEPT):
        if made.get(f"s{number}") is None and len([one for one in made if not one.done]) < KEPT:
            made.start(f"s{number}", "reset", "key:x", {"slow": ""}, perform)
    with pytest.raises(Problem):
        made.start("one more", "reset", "key:x", {"slow": ""}, perform)
    await made.close()


async def test_chargers_of_other_sites_are_not_shown() -> None:
    made = jobs()

    async def perform(_: str) -> Ended:
        return Ended("result", "", "")

    job = made.start("j", "reset", "key:x", {"a": "north", "b": "south", "c": ""}, perform)
    await ended(made, "j")
    shown = documented(job, NORTH)
    assert (shown["total"], shown["done"], [one["charger"] for one in shown["items"]]) == (1, 1, ["a"])
    assert documented(job, EVERY)["total"] == 3
    assert job.items[1].state is State.DONE
