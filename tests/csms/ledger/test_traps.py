"""What chargers do to sums, one vector each (tests/vectors/traps): facts in, sessions with flags out.

A vector has the facts of one charger with the times of their receipt. It is judged after its last tick, and
again with each fact in a batch of its own, and with the streams in another order: nothing may change.
"""

import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from csms.ledger.world import KEY, Said, World
from voltgate.csms.ledger import times

FOLDER = Path(__file__).parents[2] / "vectors" / "traps"


def cases() -> list[Any]:
    found = []
    for path in sorted(FOLDER.glob("*.json")):
        for case in json.loads(path.read_text()):
            for version in case["versions"]:
                name = f"{path.stem}-{case['name']}-{version}"
                found.append(pytest.param(case, version, id=name.replace(" ", "_")))
    return found


def said(case: dict[str, Any], version: str) -> list[Said]:
    return [
        Said(
            at=times.parsed(one["at"]),
            action=one["action"],
            body=one["body"],
            version=version,
            charger=one.get("charger", "CP1"),
            connection=one.get("connection", "c1"),
            key=one.get("key", ""),
            id=one.get("id", ""),
            headers=one.get("headers", {}),
        )
        for one in case["facts"]
    ]


def folded(case: dict[str, Any], facts: list[Said], batch: int = 500) -> World:
    world = World(batch=batch, **case.get("csms", {}))
    first = min(fact.at for fact in facts)
    decide(case, world, first - timedelta(days=1))
    last = max(fact.at for fact in facts)
    until = times.parsed(case["until"]) if "until" in case else last + timedelta(minutes=5)
    world.run(facts, until)
    return world


def decide(case: dict[str, Any], world: World, at: datetime) -> None:
    for one in case.get("decisions", []):
        since = times.parsed(one["valid_from"]) if "valid_from" in one else None
        world.decide(one["kind"], one["id"], one["body"], at, valid_from=since)


def check(case: dict[str, Any], world: World) -> None:
    sessions = world.sessions()
    assert len(sessions) == len(case["sessions"]), [
        (one["state"], one["tx"], one["wh"], one["flags"]) for one in sessions
    ]
    for want, have in zip(case["sessions"], sessions, strict=True):
        token = {"token": KEY.of(want["token"].removeprefix("TOKEN:"))} if "token" in want else {}
        assert {name: have[name] for name in want} == want | token
    if "cdrs" in case:
        assert [list(one) for one in world.cdrs()] == case["cdrs"]


@pytest.mark.parametrize(("case", "version"), cases())
def test_trap(case: dict[str, Any], version: str) -> None:
    facts = said(case, version)
    world = folded(case, facts)
    check(case, world)
    digest = world.books.digest()
    assert folded(case, facts, batch=1).books.digest() == digest
    other_order = sorted(facts, key=lambda fact: (fact.at, fact.stream))
    check(case, folded(case, other_order))


def test_every_trap_has_a_vector() -> None:
    assert {path.stem for path in FOLDER.glob("*.json")} >= {f"{number:02}" for number in range(1, 53)}


@pytest.mark.parametrize(
    ("case", "version"), [param for param in cases() if "ordered" not in param.values[0]]
)
def test_the_order_across_reconnects_changes_no_bill(case: dict[str, Any], version: str) -> None:
    """Within a minute facts come in any order; here they all come reversed.

    Not in vectors that are about an order.
    """
    facts = said(case, version)
    world = folded(case, facts)
    late = World(**case.get("csms", {}))
    first = min(fact.at for fact in facts)
    decide(case, late, first - timedelta(days=1))
    late.tick(first - timedelta(seconds=1))
    minutes: dict[datetime, list[Said]] = {}
    for fact in facts:
        minutes.setdefault(fact.at.replace(second=0, microsecond=0), []).append(fact)
    last = max(fact.at for fact in facts)
    until = times.parsed(case["until"]) if "until" in case else last + timedelta(minutes=5)
    at = min(minutes)
    while at <= until + timedelta(minutes=1):
        late.fold(reversed(minutes.get(at, [])))
        at += timedelta(minutes=1)
        late.tick(at)
    bills = [(one["state"], one["wh"], one["cost"], one["flags"]) for one in world.sessions()]
    assert [(one["state"], one["wh"], one["cost"], one["flags"]) for one in late.sessions()] == bills
