"""A session in any interleaving of messages, PubAcks, replies, ticks, closes and commands; time is virtual.

A byte from :data:`FIRST` on is one of :data:`STEPS`; every other one is part of a raw text of the charger,
which ends with a line feed. In the end each command has one outcome, and the charger has an answer to each of
its CALLs unless its socket was closed; no CALL has more answers than it was sent times.
"""

import json
from collections import Counter
from collections.abc import Callable
from typing import Any

from voltgate.gateway.reasons import Reason
from world import (
    ACCEPTED,
    BOOT,
    BOOT_2,
    METER,
    NOW,
    SOFT,
    START,
    STARTED,
    STATUS,
    STATUS_2,
    STREAM,
    World,
    event,
)

BEAT: tuple[str, Any] = ("Heartbeat", {})
V16 = [
    ("StatusNotification", STATUS),
    ("MeterValues", METER),
    ("StartTransaction", START),
    ("BootNotification", BOOT),
    BEAT,
]
V2 = [
    ("StatusNotification", STATUS_2),
    ("TransactionEvent", event(1)),
    ("TransactionEvent", event(2, eventType="Ended")),
    ("BootNotification", BOOT_2),
    BEAT,
]
REPLIES = [
    "{}",
    STARTED,
    f'{{"status":"Accepted","currentTime":"{NOW}","interval":9}}',
    f'{{"status":"Pending","currentTime":"{NOW}","interval":9}}',
    "no JSON",
]


class Play:
    """One world, and what was asked of it."""

    def __init__(self, how: int) -> None:
        limits = {"open_calls": 1 + (how >> 4 & 3), "rejects_per_minute": 3}
        self.version = ["v16", "v201", "v21"][how % 3]
        self.world = World(self.version, half_duplex=bool(how & 4), gated=bool(how & 8), limits=limits)
        self.world.bus.answers = lambda question: None
        self.commands = 0
        self.outcomes: dict[str, tuple[str, bytes]] = {}  # by the reply subject
        self.sent: Counter[str] = Counter()
        self.open: list[str] = []  # message ids of CALLs to the charger
        self.answered: Counter[str] = Counter()

    @property
    def gone(self) -> bool:
        """Whether the socket is closed."""
        return self.world.closed is not None or self.world.session.closed

    def raw(self, message: bytes) -> None:
        """A text of the charger; what is not UTF-8 does not come so far (docs/contract.md 2.2)."""
        if not self.gone and message.isascii():
            self.world.raw(message)

    def call(self, number: int) -> None:
        """A CALL of the charger."""
        if not self.gone:
            action, payload = (V16 if self.version == "v16" else V2)[number]
            self.sent[f"c{number}"] += 1
            self.world.send(f"c{number}", action, payload)

    def command(self, action: str, payload: Any, **headers: str | float) -> None:
        """A command; each has a reply subject of its own."""
        if not self.gone:
            self.commands += 1
            self.world.command(action, payload, reply=f"_INBOX.{self.commands}", **headers)

    def answer(self, kind: bytes, rest: str) -> None:
        """The charger answers the oldest CALL to it."""
        if self.open and not self.gone:
            self.raw(b'[%s,"%s",%s]' % (kind, self.open.pop(0).encode(), rest.encode()))

    def reply(self, body: str) -> None:
        """The oldest question is answered."""
        if self.world.bus.questions:
            self.world.bus.reply(body.encode())

    def hold(self, hold: bool) -> None:
        """NATS answers nothing, or goes on."""
        self.world.bus.hold = hold
        self.world.bus.settle()

    def end(self) -> None:
        """The socket is gone."""
        if not self.world.session.closed:
            self.world.session.ended()

    def leave(self, reason: Reason) -> None:
        """The gateway wants to end it."""
        if not self.gone:
            self.world.session.leave(reason)

    def again(self) -> None:
        """The charger connects again, as it may once the connection before is over."""
        if self.gone:
            self.finish()
            self.sent.clear()
            self.answered.clear()
            self.world.connect()

    def look(self) -> None:
        """Read what came to the charger."""
        for kind, message_id, *_ in self.world.answers():
            if kind == 2:
                self.open.append(message_id)
            elif kind in (3, 4) and message_id in self.sent:
                self.answered[message_id] += 1
                assert self.answered[message_id] <= self.sent[message_id]

    def hear(self) -> None:
        """Read the outcomes. One that was not stored is replied once more when it is, perhaps much later."""
        for one in self.world.replies():
            outcome = one.headers["ocpp-outcome"], one.data
            assert self.outcomes.setdefault(one.subject, outcome) == outcome

    def finish(self) -> None:
        """NATS answers everything, and all deadlines pass."""
        world = self.world
        world.bus.fails.clear()
        world.bus.hold = False
        for _ in range(60):
            world.bus.release()
            self.look()
            self.hear()
            if len(self.outcomes) == self.commands and (
                self.gone or self.answered.keys() == self.sent.keys()
            ):
                break
            leap(world, 10)
        assert self.gone or self.answered.keys() == self.sent.keys(), "every CALL has its answer"
        self.end()
        leap(world, 1)
        self.look()
        self.open.clear()
        self.hear()
        assert self.outcomes.keys() == {f"_INBOX.{number + 1}" for number in range(self.commands)}


def leap(world: World, seconds: int) -> None:
    """Let time pass in few steps, as on a machine that is busy: ticks of 50 ms take most of a run."""
    for _ in range(seconds):
        world.time += 1.0
        world.clock.advance()
        world.bus.settle()


def _failing(*classes: str) -> Callable[[Play], object]:
    """The stores of these classes fail from now on."""
    return lambda play: setattr(play.world.bus, "fails", set(classes))


STEPS: list[Callable[[Play], object]] = [
    *(lambda play, number=number: play.call(number) for number in range(5)),
    lambda play: play.raw(json.dumps([6, "s", "NotifyPeriodicEventStream", STREAM]).encode()),
    lambda play: play.command("Reset", SOFT if play.version == "v16" else {"type": "Immediate"}),
    lambda play: play.command("Reset", {}, ocpp_timeout=1),
    lambda play: play.command("ClearCache", {}, ocpp_timeout=3, ocpp_command_id="one"),
    lambda play: play.answer(b"3", json.dumps(ACCEPTED)),
    lambda play: play.answer(b"3", "{}"),
    lambda play: play.answer(b"4", '"GenericError","",{}'),
    *(lambda play, body=body: play.reply(body) for body in REPLIES),
    lambda play: play.world.bus.release(1),
    lambda play: play.world.bus.release(3),
    lambda play: play.hold(True),
    lambda play: play.hold(False),
    lambda play: play.world.pass_time(0.3),
    lambda play: leap(play.world, 6),
    _failing("event"),
    _failing("tx", "command"),
    _failing(),
    lambda play: play.leave(Reason.DRAIN),
    lambda play: play.leave(Reason.OUTAGE),
    Play.end,
    Play.again,
]
FIRST = 0x80


def one(data: bytes) -> None:
    """Raises where a rule does not hold for ``data``; its first byte chooses version and limits."""
    if not data:
        return
    play, text = Play(data[0]), b""
    for byte in data[1:]:
        if FIRST <= byte < FIRST + len(STEPS):
            STEPS[byte - FIRST](play)
            play.look()
        elif byte == 0x0A:
            play.raw(text)
            play.look()
            text = b""
        else:
            text += bytes([byte])
    play.finish()
