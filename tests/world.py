"""A virtual world around one session: a clock that only tests move, a socket that remembers, a bus in memory.

The bus keeps JetStream's promises as docs/contract.md 2.3 and 3.4 use them (PubAck with sequence, duplicates
by ``Nats-Msg-Id``, direct get of the next message of a subject); what NATS really does is tested end to end.
"""

import json
from collections import deque
from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

from nats.aio.client import Client

from frames import FIN, TEXT, frame
from voltgate import _core
from voltgate._core import Frame, Inbox, Lane, Outgoing, Plan, PubAcks, Publisher, TransactionKeys
from voltgate.config import Config, Level, load
from voltgate.gateway.clock import Wheel
from voltgate.gateway.interfaces import (
    A,
    Ack,
    Change,
    Garbage,
    NotRead,
    NotStored,
    Outside,
    R,
    Reply,
    Request,
    Stored,
    Ticket,
)
from voltgate.gateway.rates import Allowance
from voltgate.gateway.reasons import Outcome, Reason
from voltgate.gateway.registry.rotation import Rotation
from voltgate.gateway.session.context import Context
from voltgate.gateway.session.session import Session
from voltgate.gateway.telemetry.metrics import Metrics
from voltgate.gateway.telemetry.tracing import Tracing
from voltgate.policy import Rules, rules

LINKS = "link"  # the in-memory bus names its streams by the class of their subjects
EPOCH = 1_763_805_600.0  # 2025-11-22T10:00:00Z

# Payloads that several tests send.
STATUS = {"connectorId": 1, "errorCode": "NoError", "status": "Available"}
BOOT = {"chargePointModel": "m", "chargePointVendor": "v"}
BOOT_2 = {"chargingStation": {"model": "m", "vendorName": "v"}, "reason": "PowerUp"}
START = {"connectorId": 1, "idTag": "tag", "meterStart": 0, "timestamp": "2026-11-22T10:00:00Z"}
STARTED = '{"idTagInfo":{"status":"Accepted"},"transactionId":7}'
METER = {
    "connectorId": 1,
    "meterValue": [{"timestamp": "2026-11-22T10:00:00Z", "sampledValue": [{"value": "1"}]}],
}
NOW = "2025-11-22T10:00:00.000Z"
STATUS_2 = {"timestamp": NOW, "connectorStatus": "Available", "evseId": 1, "connectorId": 1}
STREAM = {"id": 1, "pending": 0, "basetime": NOW, "data": [{"t": 1, "v": "x"}]}

SOFT = {"type": "Soft"}
ACCEPTED = {"status": "Accepted"}


class Published(NamedTuple):
    """One command as NATS would read it."""

    subject: str
    headers: dict[str, str]
    data: bytes
    reply: str


def parse(hpub: bytes) -> Published:
    """An HPUB command, read by nats-py's own header parser."""
    line, rest = hpub.split(b"\r\n", 1)
    verb, subject, *reply, head, total = line.decode().split(" ")
    assert verb == "HPUB"
    assert len(rest) == int(total) + 2, "the sizes in the command are its sizes"
    headers = Client._parse_header_lines(rest[len("NATS/1.0\r\n") : int(head)])
    return Published(subject, headers, rest[int(head) : int(total)], "".join(reply))


class Bus:
    """interfaces.Bus in memory.

    ``hold`` keeps everything back until a test releases it, ``hold_acks`` the PubAcks of what is stored.
    """

    def __init__(self, clock: Wheel) -> None:
        self.clock = clock
        self.published: list[Published] = []
        self.streams: dict[str, list[Published]] = {}
        self.asked: list[Published] = []
        self.live: list[Published] = []
        self.waiting: deque[Callable[[], None]] = deque()
        self.questions: deque[Ticket[Any, Reply]] = deque()
        self.hold = self.hold_acks = False
        self.acks: deque[tuple[Ticket[Any, Ack | NotStored], Ack | NotStored]] = deque()
        self.led: list[tuple[str, int, str | None]] = []  # what was read from a leader
        self.leads = True  # leaders answer
        self.fails: set[str] = set()  # classes whose stores fail
        self.refused: list[str] = []  # kinds of garbage
        self.answers: Callable[[Published], Reply | None] = lambda question: Reply("no_responders", {}, b"")
        inbox = Inbox("_INBOX.t", bytes(16))
        self.outgoing = Outgoing(inbox, "tx", "event", "", [1.0])
        self.outgoing.opened(1 << 30, 1 << 30)
        self._inbox, self._pubacks = inbox, PubAcks(inbox, 1, self.outgoing)

    def ticket(self, done: Callable[[A, R], None], arg: A) -> Ticket[A, R]:
        return Ticket(*self.outgoing.ticket(), done, arg)

    def collect(self) -> None:
        """Take what the lane has published."""
        data = self.outgoing.take()
        while data:
            line, _, rest = data.partition(b"\r\n")
            size = int(line.rpartition(b" ")[2]) + 2
            message, data = parse(line + b"\r\n" + rest[:size]), rest[size:]
            if message.reply:
                counter = self._inbox.counter(message.reply.encode())
                assert counter is not None
                ticket: Ticket[str, Ack | NotStored] = Ticket(
                    counter, message.reply, self._lane_acked, message.reply
                )
                self._keep(ticket, message)
            else:
                self.live.append(message)

    def _lane_acked(self, reply: str, ack: Ack | NotStored) -> None:
        """What became of a fact of the lane, as the real bus says it."""
        if isinstance(ack, Ack):
            body = json.dumps({"stream": ack.stream, "seq": ack.seq, "duplicate": ack.duplicate})
            line = f"MSG {reply} 1 {len(body)}\r\n{body}\r\n".encode()
            assert self._pubacks.feed(line, self.clock.read()) == ([], b""), "a lane has taken it"
        else:
            counter = self._inbox.counter(reply.encode())
            assert counter is not None
            failed = self.outgoing.fail(counter)
            assert failed is not None
            failed[0].not_stored()

    def store(self, ticket: Ticket[Any, Ack | NotStored], hpub: bytes, tx: bool = False) -> None:
        message = parse(hpub)
        assert tx == (message.subject.split(".")[1] == "tx")
        self._keep(ticket, message)

    def _keep(self, ticket: Ticket[Any, Ack | NotStored], message: Published) -> None:
        bucket, class_, *_ = message.subject.split(".")
        class_ = f"KV_{class_}" if bucket == "$KV" else class_
        self.published.append(message)
        self._later(
            lambda: self._acked(
                ticket, NotStored.UNKNOWN if class_ in self.fails else self._ack(class_, message)
            )
        )

    def _acked(self, ticket: Ticket[Any, Ack | NotStored], ack: Ack | NotStored) -> None:
        if self.hold_acks:
            self.acks.append((ticket, ack))
        else:
            ticket.done(ticket.arg, ack)

    def acknowledge(self, lost: bool = False) -> None:
        """The oldest PubAck that is held back arrives, or does not."""
        ticket, ack = self.acks.popleft()
        ticket.done(ticket.arg, NotStored.UNKNOWN if lost else ack)

    def _ack(self, class_: str, message: Published) -> Ack | NotStored:
        expected = message.headers.get("Nats-Expected-Last-Subject-Sequence")
        if expected is not None and int(expected) != self._last(class_, message.subject):
            return NotStored.REFUSED
        stream = self.streams.setdefault(class_, [])
        unique = message.headers.get("Nats-Msg-Id")
        for seq, before in enumerate(stream, 1):
            if unique and before.headers.get("Nats-Msg-Id") == unique:
                return Ack(class_, seq, True)
        stream.append(message)
        return Ack(class_, len(stream), False)

    def ask(self, ticket: Ticket[Any, Reply], hpub: bytes, timeout: float) -> None:
        question = parse(hpub)
        self.asked.append(question)
        reply = self.answers(question)
        if reply is None:
            ticket.timer = self.clock.after(
                timeout, lambda: ticket.done(ticket.arg, Reply("timeout", {}, b""))
            )
            self.questions.append(ticket)
        else:
            self._later(lambda: ticket.done(ticket.arg, reply))

    def await_reply(self, ticket: Ticket[Any, Reply], timeout: float) -> None:
        ticket.timer = self.clock.after(timeout, lambda: ticket.done(ticket.arg, Reply("timeout", {}, b"")))
        self.questions.append(ticket)

    def reply(self, data: bytes, headers: dict[str, str] | None = None) -> None:
        """Answer the oldest open question."""
        ticket = self.questions.popleft()
        assert ticket.timer is not None
        ticket.timer.cancel()
        ticket.done(ticket.arg, Reply("reply", headers or {}, data))
        self.settle()

    def garbage(self, kind: Garbage, what: str) -> None:
        assert what
        self.refused.append(kind)

    def emit(self, hpub: bytes) -> None:
        self.live.append(parse(hpub))

    def read(
        self, stream: str, seq: int, subject: str | None, done: Callable[[Any, Any], None], arg: Any
    ) -> None:
        messages = self.streams.get(stream, [])
        if subject is not None:
            seq = seq or self._last(stream, subject)
        found = next(
            (
                Stored(n, message.headers, message.data)
                for n, message in enumerate(messages, 1)
                if n >= seq and (message.subject == subject if subject else n == seq)
            ),
            NotRead.MISSING,
        )
        self._later(lambda: done(arg, found))

    def read_leader(
        self, stream: str, seq: int, subject: str | None, done: Callable[[Any, Any], None], arg: Any
    ) -> None:
        self.led.append((stream, seq, subject))
        if not self.leads:
            self._later(lambda: done(arg, NotRead.UNREADABLE))
        else:
            self.read(LINKS if stream == "OCPP_LINKS" else stream, seq, subject, done, arg)

    def _last(self, stream: str, subject: str) -> int:
        numbers = (n for n, one in enumerate(self.streams.get(stream, []), 1) if one.subject == subject)
        return max(numbers, default=0)

    def _later(self, happen: Callable[[], None]) -> None:
        self.waiting.append(happen)

    def settle(self) -> None:
        """The end of a turn of the loop: what NATS would have answered by now, it answers."""
        if not self.hold:
            self.release()

    def release(self, count: int = 1_000_000) -> None:
        """Let ``count`` of the things held back happen, oldest first."""
        while self.waiting and count:
            count -= 1
            self.waiting.popleft()()


@lru_cache
def _configured(settings: str) -> tuple[Config, dict[str, Rules]]:
    config = load(None, **json.loads(settings))
    return config, rules(config)


class World:
    """One charger's session and everything around it."""

    level: Level | None = None
    """What the charger's record says about validation, from the next connection on."""

    def __init__(
        self,
        version: str = "v16",
        identity: str = "CP 1",
        half_duplex: bool = False,
        gated: bool = False,
        tracing: Tracing | None = None,
        **config: Any,
    ) -> None:
        """``gated``: no CALL may take the lane."""
        self.tracing = tracing
        self.time = 1000.0
        self.clock = Wheel(lambda: self.time, lambda: EPOCH + self.time - 1000.0)
        self.bus = Bus(self.clock)
        self.written: list[bytes] = []
        self.closed: Reason | None = None
        self.held = 0
        self.reading = True
        self.config, self._rules = _configured(json.dumps(config))
        self.metrics = Metrics()
        self.keys = TransactionKeys()
        self.allowance = Allowance()
        self.version, self.identity, self.half_duplex, self.gated = version, identity, half_duplex, gated
        self._sessions = 0
        self.connect()

    def connect(self) -> None:
        """A (new) connection of the same charger: same streams, new session."""
        self._sessions += 1
        self.name = f"s{self._sessions}"
        self.closed = None
        nats = self.config.nats
        self.context = Context.of(
            self.version, self.config, self._rules[self.version], self.metrics, self.keys, self.tracing
        )
        if self.half_duplex or self.level is not None:
            self.context = self.context.at(self.level, self.half_duplex)
        if self.gated:
            bounds = self.metrics.answer_seconds.cell("tx").bounds
            self.context.lanes.plan = Plan(self.context.codec, bounds)  # with no route
            self.context.take(self.context.limits)
        self._decode = self.context.codec.decode
        self.lane = Lane(self.context.codec, self.config.limits.max_message_bytes)
        self.lane.listen(self.clock, self)
        self.lane.direct = True
        publisher = Publisher(self.version, self.identity, self.name, nats.prefix, nats.rpc_prefix)
        rotation = Rotation(self.bus, self.clock, "OCPP", self.hash)
        outside = Outside(self.bus, self.clock, rotation, "gw")
        self.session = Session(publisher, self.context, self, outside, self.allowance)
        self.reading = not self.session.resting
        self.link(self.name, "gw")
        self.session.linked(True)

    def link(self, session: str, gateway: str, state: str = "up") -> None:
        """The charger's last link is of ``session`` at ``gateway``."""
        body = json.dumps({"state": state, "session": session, "gateway": gateway}).encode()
        message = Published(f"ocpp.link.{_core.token(self.identity)}", {}, body, "")
        self.bus.streams.setdefault(LINKS, []).append(message)

    def reload(self, **limits: Any) -> None:
        """Change limits of a running session, as SIGHUP does."""
        self.context.take(self.config.limits.model_copy(update=limits))

    def hash(self, change: Change, hashes: tuple[str, ...], hashed: Callable[[str | None], None]) -> None:
        """rotation.Hash without threads: a password is its own hash."""
        hashed(change.password.decode())

    def record(self, **fields: Any) -> None:
        """Write the charger's record, as an operator does."""
        data = json.dumps({"enabled": True} | fields).encode()
        message = Published(f"$KV.ocpp_chargers.{_core.token(self.identity)}", {}, data, "")
        self.bus.streams.setdefault("KV_ocpp_chargers", []).append(message)

    @property
    def passwords(self) -> list[str]:
        """What lets the charger in."""
        return list(json.loads(self.bus.streams["KV_ocpp_chargers"][-1].data).get("password_hashes", []))

    # interfaces.Link
    @property
    def writer(self) -> Callable[[bytes], None]:
        return self.write

    def write(self, frame: bytes) -> None:
        assert self.closed is None, "nothing is written after a close"
        self.written.append(frame)

    def close(self, reason: Reason) -> None:
        assert self.closed is None, "closed once"
        self.closed = reason

    def hold(self, size: int) -> None:
        self.held = size

    def pause(self) -> None:
        self.reading = False

    def resume(self) -> None:
        self.reading = True

    # what _core.Lane.receive calls
    def take(self, data: bytes) -> None:
        raise AssertionError("it goes straight through")

    def took(self, piece: Frame | bytes | None) -> None:
        self.bus.collect()
        assert not isinstance(piece, bytes), "a whole text frame is not for the judge"
        if piece is not None:
            self.session.received(piece)

    def failed(self, fault: BaseException) -> None:
        raise fault

    # what tests do
    def send(self, message_id: str, action: str, payload: Any, kind: int = 2) -> None:
        """The charger sends a CALL (or SEND); ``payload`` may be ready-made bytes."""
        body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
        self.raw(b"[%d,%s,%s,%s]" % (kind, _json(message_id), _json(action), body))

    def raw(self, message: bytes) -> None:
        """The charger sends any text."""
        self.lane.receive(frame(FIN | TEXT, message))
        self.bus.collect()
        self.bus.settle()

    def command(
        self, action: str, payload: Any = None, reply: str = "_INBOX.b", **headers: str | float
    ) -> None:
        """A backend sends a command; ``ocpp_timeout=5`` is a header."""
        subject = f"ocpprpc.send.{action}.{_core.token(self.identity)}"
        body = payload if isinstance(payload, bytes) else json.dumps(payload or {}).encode()
        given = {name.replace("_", "-"): str(value) for name, value in headers.items()}
        self.session.command(Request(subject, reply, given, body))
        self.bus.settle()

    def replies(self) -> list[Published]:
        """Replies to backends so far; empties the list."""
        told = [message for message in self.bus.live if message.subject.startswith("_INBOX")]
        self.bus.live = [message for message in self.bus.live if message not in told]
        return told

    def answers(self) -> list[Any]:
        """What was written so far, decoded; the list is emptied."""
        frames, self.written = self.written, []
        return [json.loads(frame[2 if frame[1] < 126 else 4 :]) for frame in frames]

    def pass_time(self, seconds: float) -> None:
        """Let time go by, firing what is due on the way."""
        end = self.time + seconds
        while self.time < end:
            self.time = min(self.time + 0.05, end)
            self.clock.advance()
            self.bus.settle()

    def facts(self) -> list[str]:
        """Subjects of what was published for storing, in order, without the prefix and the token."""
        return [message.subject.removeprefix("ocpp.").rpartition(".")[0] for message in self.bus.published]

    def counted(self, family: str, **labels: str) -> float:
        """The value of a counter with exactly these labels."""
        for metric in self.metrics.collect():
            for sample in metric.samples:
                if sample.name == family and sample.labels == labels | {"worker": "0"}:
                    return float(sample.value)
        return 0.0


def _json(text: str) -> bytes:
    return json.dumps(text).encode()


def result(payload: str) -> Reply:
    """A backend's reply."""
    return Reply("reply", {}, payload.encode())


def event(seq: int = 0, **more: Any) -> dict[str, Any]:
    """A TransactionEvent of OCPP 2.x."""
    return {
        "eventType": "Updated",
        "timestamp": "2026-11-22T10:00:00Z",
        "triggerReason": "MeterValuePeriodic",
        "seqNo": seq,
        "transactionInfo": {"transactionId": "t1"},
        **more,
    }


def booted(world: World, status: str) -> None:
    """A backend answers this session's BootNotification with ``status``."""
    world.bus.answers = lambda question: result(f'{{"status":"{status}","currentTime":"{NOW}","interval":9}}')
    world.send("boot", "BootNotification", BOOT if world.version == "v16" else BOOT_2)
    world.answers()


def call(world: World) -> str:
    """The message id of the one CALL that went out."""
    ((kind, message_id, *_),) = world.answers()
    assert kind == 2
    return str(message_id)


def outcome(world: World) -> Published:
    """The one reply a backend got; its headers agree with each other."""
    (reply,) = world.replies()
    told = Outcome[reply.headers["ocpp-outcome"].upper()].value
    assert reply.headers.get("Nats-Service-Error-Code") == (str(told.code) if told.code else None)
    assert reply.headers.get("Nats-Service-Error") == (told.text if told.code else None)
    assert reply.headers["ocpp-version"] == world.version
    assert reply.headers["ocpp-message-id"]
    return reply


def outcomes(world: World) -> list[str]:
    """Outcomes of the commands, in the order of their replies."""
    return [reply.headers["ocpp-outcome"] for reply in world.replies()]


def answered(world: World, message_id: str, payload: Any, kind: bytes = b"3") -> None:
    """The charger answers with a CALLRESULT."""
    body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    world.raw(b'[%s,"%s",%s]' % (kind, message_id.encode(), body))
