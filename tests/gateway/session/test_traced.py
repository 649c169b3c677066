"""The spans of conversations, in virtual time: which there are, within which, and what is passed on."""

from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from voltgate.config import Tracing as Settings
from voltgate.gateway.interfaces import Reply
from voltgate.gateway.telemetry.metrics import Metrics
from voltgate.gateway.telemetry.tracing import Queue, Tracing
from world import BOOT, World, answered, call, result

BACKEND = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
METER: dict[str, Any] = {
    "connectorId": 1,
    "meterValue": [{"timestamp": "2026-03-01T10:00:00Z", "sampledValue": [{"value": "1"}]}],
}


class TracedWorld(World):
    """A world whose spans can be read."""

    def __init__(self, version: str = "v16", ratio: float = 1.0, **options: Any) -> None:
        self._exporter = InMemorySpanExporter()
        own = Tracing(Settings(ratio=ratio), "gw", Queue(self._exporter, "http://collector", Metrics()))
        super().__init__(version, tracing=own, **options)

    def spans(self) -> list[ReadableSpan]:
        """All that have ended, in the order in which they began."""
        assert self.tracing is not None
        self.tracing.stop()
        return sorted(self._exporter.get_finished_spans(), key=lambda span: span.start_time or 0)

    def tree(self) -> list[str]:
        """``name`` of each root, ``root > name`` of what is within it, with what failed in brackets."""
        spans = self.spans()
        names = {span.context.span_id: span.name for span in spans}
        lines = []
        for span in spans:
            name = f"{span.name} [{span.status.description}]" if span.status.description else span.name
            within = names.get(span.parent.span_id) if span.parent else None
            lines.append(f"{within} > {name}" if within else name)
        return lines


def accepted(body: str) -> Any:
    return lambda question: result(body)


START = {"connectorId": 1, "idTag": "A1", "meterStart": 0, "timestamp": "2026-03-01T10:00:00Z"}
STARTED = '{"transactionId":7,"idTagInfo":{"status":"Accepted"}}'


def meter(world: TracedWorld) -> None:
    world.send("1", "MeterValues", METER)


def heartbeat(world: TracedWorld) -> None:
    world.send("1", "Heartbeat", {})


def authorized(world: TracedWorld) -> None:
    world.bus.answers = accepted('{"idTagInfo":{"status":"Accepted"}}')
    world.send("1", "Authorize", {"idTag": "A1"})


def resent(world: TracedWorld) -> None:
    world.bus.answers = accepted(STARTED)
    world.send("1", "StartTransaction", START)
    world.connect()
    world.send("2", "StartTransaction", START)


def without_backend(world: TracedWorld) -> None:
    world.send("1", "Authorize", {"idTag": "A1"})
    world.pass_time(6)


def refused(world: TracedWorld) -> None:
    world.send("1", "MeterValues", {"connectorId": "one"})


def unknown(world: TracedWorld) -> None:
    world.send("1", "Sing", {})


def gone(world: TracedWorld) -> None:
    world.bus.answers = lambda question: None
    world.send("1", "Authorize", {"idTag": "A1"})
    world.session.ended()


def not_stored(world: TracedWorld) -> None:
    world.bus.fails.add("tx")
    world.send("1", "MeterValues", METER)


CONVERSATIONS = [
    (meter, ["CALL MeterValues", "CALL MeterValues > store"]),
    (heartbeat, ["CALL Heartbeat", "CALL Heartbeat > store"]),
    (
        authorized,
        [
            "CALL Authorize",
            "CALL Authorize > store",
            "CALL Authorize > ask Authorize",
            "CALL Authorize > record",
        ],
    ),
    (
        resent,
        [
            "CALL StartTransaction",
            "CALL StartTransaction > store",
            "CALL StartTransaction > ask StartTransaction",
            "CALL StartTransaction > record",
            "CALL StartTransaction",
            "CALL StartTransaction > store",
            "CALL StartTransaction > read back",
        ],
    ),
    (
        without_backend,
        [
            "CALL Authorize [InternalError]",
            "CALL Authorize > store",
            "CALL Authorize > ask Authorize [no_responders]",
            "CALL Authorize > record",
        ],
    ),
    (refused, ["CALL MeterValues [TypeConstraintViolation]", "CALL MeterValues > refuse"]),
    (unknown, ["CALL unknown [NotImplemented]", "CALL unknown > refuse"]),
    (
        gone,
        [
            "CALL Authorize [not answered]",
            "CALL Authorize > store",
            "CALL Authorize > ask Authorize [abandoned]",
        ],
    ),
    (not_stored, ["CALL MeterValues [not answered]", "CALL MeterValues > store"]),
]


@pytest.mark.parametrize(("happens", "tree"), CONVERSATIONS, ids=[row[0].__name__ for row in CONVERSATIONS])
def test_the_spans_of_a_call(happens: Any, tree: list[str]) -> None:
    world = TracedWorld(validation="strict")
    happens(world)
    assert world.tree() == tree


def test_every_message_about_a_call_carries_its_trace_and_a_question_its_own_span() -> None:
    world = TracedWorld()
    authorized(world)
    fact, response = (message.headers["traceparent"] for message in world.bus.published)
    (question,) = (message.headers["traceparent"] for message in world.bus.asked)
    whole, _, asked, _ = world.spans()
    assert fact == response == f"00-{whole.context.trace_id:032x}-{whole.context.span_id:016x}-{fact[-2:]}"
    assert question == f"00-{whole.context.trace_id:032x}-{asked.context.span_id:016x}-{question[-2:]}"


def test_a_question_asked_again_is_one_span() -> None:
    world = TracedWorld()
    without_backend(world)
    assert len(world.bus.asked) > 1
    assert len({message.headers["traceparent"] for message in world.bus.asked}) == 1


def test_a_reject_and_a_live_fact_carry_their_trace_too() -> None:
    world = TracedWorld(validation="strict")
    refused(world)
    heartbeat(world)
    carried = [
        message.headers["traceparent"].split("-")[1] for message in world.bus.published + world.bus.live
    ]
    roots = [span for span in world.spans() if span.parent is None]
    assert carried == [f"{span.context.trace_id:032x}" for span in roots]


def test_what_is_not_sampled_is_passed_on_as_such() -> None:
    world = TracedWorld(ratio=0.0)
    meter(world)
    (fact,) = world.bus.published
    assert int(fact.headers["traceparent"][-2:], 16) & 1 == 0
    assert world.spans() == []


def test_without_tracing_nothing_carries_a_trace() -> None:
    world = World()
    world.bus.answers = accepted('{"idTagInfo":{"status":"Accepted"}}')
    world.send("1", "Authorize", {"idTag": "A1"})
    world.command("Reset", {"type": "Soft"}, traceparent=BACKEND)
    answered(world, call_of(world), {"status": "Accepted"})
    messages = world.bus.published + world.bus.asked
    assert messages
    assert not [message for message in messages if "traceparent" in message.headers]


def call_of(world: World) -> str:
    """The message id of the last CALL that was written."""
    return str(world.answers()[-1][1])


def test_a_command_continues_the_trace_of_its_backend() -> None:
    world = TracedWorld(ratio=0.0)
    world.command("Reset", {"type": "Soft"}, traceparent=BACKEND, ocpp_command_id="order 7")
    answered(world, call(world), {"status": "Accepted"})
    command, prepare, sent = world.spans()
    assert command.parent is not None
    assert f"{command.parent.span_id:016x}" == BACKEND.split("-")[2]
    assert [f"{span.context.trace_id:032x}" for span in (command, prepare, sent)] == [
        BACKEND.split("-")[1]
    ] * 3
    assert [span.name for span in (command, prepare, sent)] == ["command Reset", "prepare", "CALL Reset"]
    assert command.attributes is not None
    assert command.attributes["ocpp.outcome"] == "result"
    assert command.attributes["ocpp.command_id"] == "order 7"
    facts = {message.headers["traceparent"] for message in world.bus.published}
    assert {fact.split("-")[2] for fact in facts} == {f"{command.context.span_id:016x}"}
    assert len(world.bus.published) == 2, "the command, and how it ended"


@pytest.mark.parametrize(
    ("action", "payload", "seconds", "tree"),
    [
        ("Reset", {"type": "Soft"}, 31, ["command Reset [timeout]", "prepare", "CALL Reset"]),
        ("Reset", {"type": "Loud"}, 0, ["command Reset [invalid]"]),
        ("Sing", {}, 0, ["command unknown [invalid]"]),
    ],
    ids=["no answer", "an invalid payload", "an unknown action is no name"],
)
def test_the_spans_of_a_command_that_fails(
    action: str, payload: dict[str, str], seconds: float, tree: list[str]
) -> None:
    world = TracedWorld()
    world.command(action, payload)
    world.pass_time(seconds)
    assert [line.rpartition(" > ")[2] for line in world.tree()] == tree


def test_a_repeat_of_an_open_command_has_a_span_that_ends() -> None:
    world = TracedWorld()
    for _ in range(2):
        world.command("Reset", {"type": "Soft"}, ocpp_command_id="order 7")
    answered(world, call(world), {"status": "Accepted"})
    assert len(world.replies()) == 2
    assert [line.rpartition(" > ")[2] for line in world.tree()] == [
        "command Reset",
        "prepare",
        "CALL Reset",
        "command Reset",
    ]


def test_a_command_that_waits_for_the_charger_shows_it() -> None:
    world = TracedWorld(half_duplex=True)
    world.bus.hold_acks = True
    world.command("Reset", {"type": "Soft"})
    world.bus.answers = lambda question: None
    world.send("1", "Authorize", {"idTag": "A1"})
    world.bus.hold_acks = False
    while world.bus.acks:
        world.bus.acknowledge()
    world.bus.reply(b'{"idTagInfo":{"status":"Accepted"}}')
    answered(world, call_of(world), {"status": "Accepted"})
    names = [span.name for span in world.spans()]
    assert [name for name in names if name in ("prepare", "wait", "CALL Reset")] == [
        "prepare",
        "wait",
        "CALL Reset",
    ]


def test_spans_hold_no_payload() -> None:
    secret = "cleartext-secret-7"
    world = TracedWorld()
    world.bus.answers = lambda question: Reply("reply", {"ocpp-error": "SecurityError"}, secret.encode())
    world.send("1", "BootNotification", {**BOOT, "iccid": secret[:20]})
    world.command("ChangeConfiguration", {"key": "AuthorizationKey", "value": secret})
    world.pass_time(31)
    assert len(world.spans()) > 3
    assert not [span for span in world.spans() if secret in span.to_json()]
