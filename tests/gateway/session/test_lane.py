"""The lane is only a shorter way: the same conversations with its gate open and always closed end the same.

Compared are the bytes to the charger, what was published and asked, the state of the socket, all metrics.
"""

import random
import uuid
from collections.abc import Callable
from itertools import count
from typing import Any

import pytest

from voltgate.gateway.interfaces import Reply
from voltgate.gateway.reasons import Reason
from world import BOOT, METER, NOW, SOFT, START, STARTED, STATUS, Published, World, result

CONVERSATIONS, STEPS = 500, 16
# Everything live that may be, besides one action of each other kind.
POLICY = {"v16": {"MeterValues": {"class": "live"}, "FirmwareStatusNotification": {"class": "tx"}}}
SENT: list[tuple[str, Any]] = [
    ("Heartbeat", {}),
    ("Heartbeat", {}),
    ("Heartbeat", {"x": 1}),
    ("MeterValues", METER),
    ("MeterValues", METER),
    ("MeterValues", METER | {"connectorId": "1"}),
    ("StatusNotification", STATUS),
    ("BootNotification", BOOT),
    ("FirmwareStatusNotification", {"status": "Idle"}),
    ("Authorize", {"idTag": "a"}),
    ("StartTransaction", START),
    ("Nonsense", {}),
]
UNUSUAL = [b"pong", b'[3,"9",{}]', b'[2,"1","Heartbeat",']
Do = Callable[[World], None]


def sending(rng: random.Random) -> Do:
    """One CALL, in any state of the conversation; few ids, so that some are repeats."""
    message_id = str(rng.randrange(6))
    data = {"vendorId": "x", "data": "y" * rng.choice([1, 20_000])}
    action, payload = rng.choice([*SENT, ("DataTransfer", data)])
    return lambda world: world.send(message_id, action, payload)


def step(rng: random.Random) -> Do:
    """Something that happens to the session."""
    chance = rng.random()
    if chance < 0.70:
        return sending(rng)
    hold, seconds, some = rng.random() < 0.5, rng.choice([0.1, 0.7, 6.0]), rng.randrange(4)
    unusual = rng.choice(UNUSUAL)
    if chance < 0.78:
        return lambda world: held_back(world, hold)
    if chance < 0.86:
        return lambda world: world.bus.release(some)
    if chance < 0.91:
        return lambda world: world.pass_time(seconds)
    if chance < 0.94:
        return lambda world: world.command("Reset", SOFT)
    if chance < 0.96:
        return lambda world: world.raw(unusual)
    if chance < 0.98:
        return lambda world: world.reload(open_calls=1 + some, calls_per_second=5, calls_burst=3)
    return World.connect if chance < 0.99 else (lambda world: world.session.leave(Reason.DRAIN))


def held_back(world: World, hold: bool) -> None:
    world.bus.hold = hold
    world.bus.settle()


def backend(status: str) -> Callable[[Published], Reply | None]:
    """Answers every question but those of DataTransfer."""

    def answers(question: Published) -> Reply | None:
        if "Boot" in question.subject:
            return result(f'{{"status":"{status}","currentTime":"{NOW}","interval":9}}')
        if "StartTransaction" in question.subject:
            return result(STARTED)
        return result('{"idTagInfo":{"status":"Accepted"}}') if "Authorize" in question.subject else None

    return answers


def held(seed: int, gated: bool, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Everything a conversation left behind."""
    rng, ids = random.Random(seed), count()
    monkeypatch.setattr(uuid, "uuid4", lambda: uuid.UUID(int=next(ids)))
    limits = {"open_calls": rng.choice([1, 3, 16]), "rejects_per_minute": 3}
    world = World(gated=gated, half_duplex=rng.random() < 0.2, policy=POLICY, limits=limits)
    world.bus.answers = backend(rng.choice(["Accepted", "Accepted", "Pending", "Rejected"]))
    trace = []
    for _ in range(STEPS):
        do = step(rng)
        if world.closed is None or do is World.connect:
            do(world)
        trace.append((len(world.written), len(world.bus.published), world.reading, world.held, world.closed))
    families = (metric for metric in world.metrics.collect() if "_process_" not in metric.name)
    samples = (sample for metric in families for sample in metric.samples)
    return {
        "bytes": b"".join(world.written),
        "facts": world.bus.published,
        "live": world.bus.live,
        "asked": world.bus.asked,
        "trace": trace,
        "metrics": sorted(
            (one.name, *one.labels.items(), round(one.value, 9)) for one in samples if one.value
        ),
    }


def test_both_ways_give_the_same_bytes_facts_and_metrics(monkeypatch: pytest.MonkeyPatch) -> None:
    for seed in range(CONVERSATIONS):
        lane, session = held(seed, False, monkeypatch), held(seed, True, monkeypatch)
        assert lane == session, f"conversation {seed}"
