"""The lane is only a shorter way: the same conversations with its gate open and always closed end the same.

A state machine drives two worlds through the same steps, in any interleaving of messages, PubAcks, failures,
time, commands and ends. Compared after each step are the bytes to the charger, what was published and asked,
the state of the socket; and at the end all metrics.
"""

import os
import uuid
from collections.abc import Callable
from itertools import count
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator

from voltgate.config import Tracing as Settings
from voltgate.gateway.interfaces import Reply
from voltgate.gateway.reasons import Reason
from voltgate.gateway.telemetry.metrics import Metrics
from voltgate.gateway.telemetry.tracing import Queue, Tracing
from world import (
    BOOT,
    BOOT_2,
    METER,
    NOW,
    SOFT,
    START,
    STARTED,
    STATUS,
    STATUS_2,
    Published,
    World,
    event,
    result,
)

FULL = os.environ.get("TEST_FULL") == "1"
CONVERSATIONS, STEPS = (2500, 40) if FULL else (40, 40)
# Everything live that may be, besides one action of each other kind.
LIVE = {"v16": {"MeterValues": {"class": "live"}, "FirmwareStatusNotification": {"class": "tx"}}}
METER_2 = {"evseId": 1, "meterValue": METER["meterValue"]}
Messages = list[tuple[str, Any]]
V16: Messages = [
    ("MeterValues", METER | {"connectorId": "1"}),
    ("MeterValues", METER),
    ("StatusNotification", STATUS),
    ("BootNotification", BOOT),
    ("FirmwareStatusNotification", {"status": "Idle"}),
    ("Authorize", {"idTag": "a"}),
    ("StartTransaction", START),
]
V2: Messages = [
    ("MeterValues", METER_2),
    ("StatusNotification", STATUS_2),
    ("BootNotification", BOOT_2),
    ("TransactionEvent", event(1)),
    ("TransactionEvent", event(1, offline=True)),
    ("TransactionEvent", event(2, eventType="Ended")),
    ("TransactionEvent", event(3, idToken={"idToken": "a", "type": "Central"})),
    ("Heartbeat-Signed", {}),
]
ANY: Messages = [
    ("Heartbeat", {}),
    ("Heartbeat", {"x": 1}),
    ("Nonsense", {}),
    ("DataTransfer", {"vendorId": "x", "data": "y" * 20_000}),
    ("DataTransfer", {"vendorId": "x"}),
]


def backend(status: str) -> Callable[[Published], Reply | None]:
    """Answers every question but those of DataTransfer."""

    def answers(question: Published) -> Reply | None:
        if "Boot" in question.subject:
            return result(f'{{"status":"{status}","currentTime":"{NOW}","interval":9}}')
        if "StartTransaction" in question.subject:
            return result(STARTED)
        if "Authorize" in question.subject:
            return result('{"idTagInfo":{"status":"Accepted"}}')
        return result("{}") if "TransactionEvent" in question.subject else None

    return answers


def failing(*classes: str) -> Callable[[World], object]:
    """The stores of these classes fail from now on."""
    return lambda world: setattr(world.bus, "fails", set(classes))


UNUSUAL: list[Callable[[World], object]] = [
    lambda world: world.raw(b"pong"),
    lambda world: world.raw(b'[3,"9",{}]'),
    lambda world: world.raw(b'[2,"1","Heartbeat",'),
    lambda world: world.raw(b'[2,"\\u0031","Heartbeat",{}]'),
    lambda world: world.command("Reset", SOFT, ocpp_timeout=1),
    lambda world: world.command("Reset", SOFT),
    lambda world: world.reload(open_calls=1),
    lambda world: world.reload(open_calls=3, calls_per_second=5, calls_burst=3),
    failing(),
    failing("event"),
    failing("tx"),
    lambda world: world.session.leave(Reason.DRAIN),
    lambda world: world.session.leave(Reason.OUTAGE),
    lambda world: world.session.ended(),
]


class Ended(Queue):
    """Keeps the spans that have ended, and exports none: no thread is started."""

    def __init__(self) -> None:
        super().__init__(InMemorySpanExporter(), "", Metrics())
        self.spans: list[ReadableSpan] = []

    def add(self, span: ReadableSpan) -> None:
        self.spans.append(span)


class BothWays(RuleBasedStateMachine):
    """The two worlds, and what may happen to them."""

    def __init__(self) -> None:
        super().__init__()
        self.worlds: list[World] = []
        self.spans: list[Ended] = []
        self._patch = pytest.MonkeyPatch()

    @initialize(
        version=st.sampled_from(["v16", "v16", "v201", "v21"]),
        open_calls=st.sampled_from([1, 3, 16, 16]),
        half_duplex=st.sampled_from([False, False, False, True]),
        ratio=st.sampled_from([None, None, None, 0.0, 0.5]),
        policy=st.sampled_from([{}, LIVE]),
        status=st.sampled_from(["Accepted", "Accepted", "Pending", "Rejected"]),
        hold=st.booleans(),
    )
    def begin(
        self,
        version: str,
        open_calls: int,
        half_duplex: bool,
        ratio: float | None,
        policy: dict[str, Any],
        status: str,
        hold: bool,
    ) -> None:
        limits = {"open_calls": open_calls, "rejects_per_minute": 3}
        self._messages = ANY + (V16 if version == "v16" else V2)
        for gated in (False, True):
            self.spans.append(ended := Ended())
            own = Tracing(Settings(ratio=ratio), "gw", ended) if ratio is not None else None
            world = World(
                version, gated=gated, half_duplex=half_duplex, tracing=own, policy=policy, limits=limits
            )
            world.bus.answers = backend(status)
            world.bus.hold = hold
            self.worlds.append(world)

    def both(self, do: Callable[[World], object]) -> None:
        """Do it in both worlds, with the same ids; then compare them. Who was disconnected connects again."""
        for world in self.worlds:
            ids = count(len(world.bus.live))
            self._patch.setattr(uuid, "uuid4", lambda ids=ids: uuid.UUID(int=next(ids)))
            for one in ("generate_trace_id", "generate_span_id"):
                spans = count(1)
                self._patch.setattr(RandomIdGenerator, one, lambda _, spans=spans: next(spans))
            if world.session.closed:
                world.connect()
            do(world)
        lane, session = map(traces, self.worlds)
        assert lane == session
        lane, session = map(spans_of, self.spans)
        assert lane == session

    @rule(sent=st.lists(st.tuples(st.integers(0, 5), st.integers(0, 30)), min_size=1, max_size=4))
    def messages(self, sent: list[tuple[int, int]]) -> None:
        def send(world: World) -> None:
            for message_id, number in sent:
                action, payload = self._messages[number % len(self._messages)]
                if world.closed is None:
                    world.send(str(message_id), action, payload)

        self.both(send)

    @rule(some=st.integers(1, 4))
    def nats_answers(self, some: int) -> None:
        self.both(lambda world: world.bus.release(some))

    @rule(hold=st.booleans())
    def nats_holds_back(self, hold: bool) -> None:
        def held_back(world: World) -> None:
            world.bus.hold = hold
            world.bus.settle()

        self.both(held_back)

    @rule(seconds=st.sampled_from([0.1, 0.7, 6.0]))
    def time_passes(self, seconds: float) -> None:
        self.both(lambda world: world.pass_time(seconds))

    @rule(happens=st.sampled_from(UNUSUAL))
    def unusual(self, happens: Callable[[World], object]) -> None:
        self.both(happens)

    def teardown(self) -> None:
        self._patch.undo()
        if self.worlds:
            lane, session = map(metrics, self.worlds)
            assert lane == session


def traces(world: World) -> list[Any]:
    """What a charger, NATS and the process can see of a world so far."""
    bus, written = world.bus, b"".join(world.written)
    return [written, bus.published, bus.live, bus.asked, world.reading, world.held, world.closed]


def spans_of(ended: Ended) -> list[Any]:
    """What a collector can see so far."""
    return [
        (one.name, one.context, one.parent, one.attributes, one.status.description) for one in ended.spans
    ]


def metrics(world: World) -> list[Any]:
    """All that is not 0; a sum of seconds may be added up in another order."""
    families = (metric for metric in world.metrics.collect() if "_process_" not in metric.name)
    samples = (sample for metric in families for sample in metric.samples)
    return sorted((one.name, *one.labels.items(), round(one.value, 9)) for one in samples if one.value)


def test_both_ways_give_the_same_bytes_facts_and_metrics() -> None:
    run_state_machine_as_test(
        BothWays,
        settings=settings(
            max_examples=CONVERSATIONS,
            stateful_step_count=STEPS,
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_a_call_behind_that_of_the_lane_waits_in_the_session() -> None:
    world = World()
    world.bus.hold = True
    for message_id in ("1", "1", "2"):
        world.send(message_id, "StatusNotification", STATUS)
    assert len(world.session.turn.calls) == 1, "the second is the first one again"
    assert world.counted("voltgate_duplicates_total", **{"class": "event"}) == 1
    world.bus.release(1)
    assert world.answers() == [[3, "1", {}]]
    assert not world.lane.open, "the session goes on with its queue"
    world.bus.release()
    assert world.answers() == [[3, "2", {}]]
    world.send("3", "StatusNotification", STATUS)
    assert world.lane.open


def test_a_command_waits_for_the_call_of_the_lane_where_the_charger_cannot_take_both() -> None:
    world = World(half_duplex=True)
    world.bus.hold_acks = True
    world.command("Reset", SOFT)
    world.send("1", "StatusNotification", STATUS)
    assert world.lane.open
    world.bus.acknowledge()  # of the command's fact: it waits from now on
    assert world.answers() == []
    world.send("2", "StatusNotification", STATUS)
    assert len(world.session.turn.calls) == 1, "the session has the CALLs until the command has left"
    while world.bus.acks:
        world.bus.acknowledge()
        world.bus.settle()
    first, second, command = world.answers()
    assert [first, second, command[2]] == [[3, "1", {}], [3, "2", {}], "Reset"]
