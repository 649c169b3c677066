"""Who comes to the house: chargers, readers of facts, backends, made of websockets, sockets and nats-py.

Nothing here uses the product: what a fact must look like is computed anew from docs/contract.md 3.
"""

import asyncio
import hashlib
import itertools
import json
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple
from urllib.parse import quote

import nats
import websockets
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import NoRespondersError
from nats.js.errors import NotFoundError
from websockets.asyncio.client import ClientConnection

from e2e.house import PATIENCE

SUBPROTOCOL = {"v16": "ocpp1.6", "v201": "ocpp2.0.1", "v21": "ocpp2.1"}

# A transaction in 1.6, and a sample of it.
START = '{"connectorId":1,"idTag":"A1","meterStart":0,"timestamp":"2026-03-01T10:00:00Z"}'
METER = '{"connectorId":1,"meterValue":[{"timestamp":"2026-03-01T10:00:00Z","sampledValue":[{"value":"1"}]}]}'


def started(number: int) -> str:
    """A backend's answer to it."""
    return f'{{"transactionId":{number},"idTagInfo":{{"status":"Accepted"}}}}'


async def until(holds: Callable[[], Any], why: str = "") -> None:
    """Wait until a condition holds that nobody announces."""
    async with asyncio.timeout(PATIENCE):
        while not holds():
            await asyncio.sleep(0.01)


# -- chargers -----------------------------------------------------------------------------------------


class Charger:
    """A websocket that says exactly what it is told to, and shows exactly what came back."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket

    async def send(self, *frames: str) -> None:
        for frame in frames:
            await self.socket.send(frame)

    async def hear(self) -> str:
        """The next text message."""
        async with asyncio.timeout(PATIENCE):
            message = await self.socket.recv()
        assert isinstance(message, str)
        return message

    async def ask(self, frame: str) -> str:
        await self.send(frame)
        return await self.hear()

    async def closed(self) -> int:
        """The code the gateway closes with; 1006 where the socket just ends. Another message is a failure."""
        async with asyncio.timeout(PATIENCE):
            try:
                message = await self.socket.recv()
            except websockets.ConnectionClosed as end:
                return end.rcvd.code if end.rcvd else 1006
        raise AssertionError(f"expected a close, heard {message!r}")


@asynccontextmanager
async def dial(port: int, identity: str, version: str = "v16", **options: Any) -> AsyncIterator[Charger]:
    options = {"subprotocols": [SUBPROTOCOL[version]], "compression": None, "ping_interval": None} | options
    url = f"ws://127.0.0.1:{port}/ocpp/{quote(identity, safe='')}"
    async with websockets.connect(url, max_size=None, **options) as socket:
        yield Charger(socket)


class Upgrade(NamedTuple):
    """The answer to an upgrade request, and the socket behind it."""

    status: int
    headers: dict[str, str]
    body: bytes
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter


def request(path: str, protocols: str | None = "ocpp1.6", **headers: str) -> bytes:
    """The head of an upgrade request; keyword arguments add headers (``_`` is ``-``), "" removes one."""
    fields = {
        "Host": "gateway",
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
        "Sec-WebSocket-Version": "13",
    }
    if protocols is not None:
        fields["Sec-WebSocket-Protocol"] = protocols
    fields |= {name.replace("_", "-"): value for name, value in headers.items()}
    kept = "".join(f"{name}: {value}\r\n" for name, value in fields.items() if value or "Protocol" in name)
    return f"GET {path} HTTP/1.1\r\n{kept}\r\n".encode()


async def answer_of(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Upgrade:
    async with asyncio.timeout(PATIENCE):
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        status, *lines = head.rstrip().split("\r\n")
        headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
        body = await reader.readexactly(int(headers.get("content-length", 0)))
    return Upgrade(int(status.split()[1]), headers, body, reader, writer)


@asynccontextmanager
async def knock(port: int, head: bytes) -> AsyncIterator[Upgrade]:
    """Send a request by a raw socket and read the answer."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(head)
        yield await answer_of(reader, writer)
    finally:
        writer.transport.abort()


def frame(opcode: int, payload: bytes, fin: bool = True, rsv: int = 0) -> bytes:
    """One masked websocket frame; the mask is zero, so the payload reads as it is."""
    size = len(payload)
    length = (
        bytes([0x80 | size]) if size < 126
        else b"\xfe" + size.to_bytes(2, "big") if size < 65_536
        else b"\xff" + size.to_bytes(8, "big")
    )  # fmt: skip
    return bytes([fin << 7 | rsv << 4 | opcode]) + length + bytes(4) + payload


TEXT, CONT, BINARY, CLOSE, PING, PONG = 1, 0, 2, 8, 9, 10


async def read_frame(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    """First byte and payload of one frame from the gateway."""
    async with asyncio.timeout(PATIENCE):
        first, size = await reader.readexactly(2)
        assert not size & 0x80, "a server does not mask"
        if size == 126:
            size = int.from_bytes(await reader.readexactly(2), "big")
        elif size == 127:
            size = int.from_bytes(await reader.readexactly(8), "big")
        return first, await reader.readexactly(size)


async def close_code(reader: asyncio.StreamReader) -> int:
    """Read to the Close frame and give its code; 1006 where the socket ends without one."""
    while True:
        try:
            first, payload = await read_frame(reader)
        except (asyncio.IncompleteReadError, ConnectionError):
            return 1006
        if first & 0x0F == CLOSE:
            return int.from_bytes(payload[:2], "big")


# -- readers of facts -----------------------------------------------------------------------------------


def token(identity: str) -> str:
    """docs/contract.md 3.1."""
    plain = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-"
    return "".join(chr(b) if b in plain else f"={b:02X}" for b in identity.encode())


def header(text: str) -> str:
    """Printable ASCII as it is, everything else (and the percent sign) percent-encoded.

    See docs/contract.md 3.3.
    """
    return "".join(c if " " <= c <= "~" and c != "%" else quote(c, safe="") for c in text)


def attribute(text: str) -> str:
    """A CloudEvents attribute: the binding wants space and quotes encoded too."""
    return "".join(c if "!" <= c <= "~" and c not in '"%' else quote(c, safe="") for c in text)


class Fact(NamedTuple):
    """A message on NATS."""

    subject: str
    headers: dict[str, str]
    data: bytes
    seq: int = 0

    @property
    def json(self) -> Any:
        return json.loads(self.data)


class Facts:
    """Everything the gateway says on NATS about one charger, in order."""

    def __init__(self, client: Client, identity: str, prefix: str = "ocpp", streams: str = "OCPP") -> None:
        self.client, self.identity, self.token = client, identity, token(identity)
        self.seen: list[Fact] = []
        self._prefix, self._streams = prefix, streams
        self._read = 0

    async def listen(self) -> None:
        for subject in (f"*.*.*.{self.token}", f"*.*.{self.token}", f"link.{self.token}"):
            await self.client.subscribe(f"{self._prefix}.{subject}", cb=self._hear)
        await settle(self.client)

    async def _hear(self, message: Msg) -> None:
        self.seen.append(Fact(message.subject, dict(message.headers or {}), message.data))

    async def next(self) -> Fact:
        await until(lambda: len(self.seen) > self._read)
        self._read += 1
        return self.seen[self._read - 1]

    async def find(self, part: str) -> Fact:
        """The next one whose subject holds ``part``; those before it are passed over."""
        while part not in (fact := await self.next()).subject:
            pass
        return fact

    async def link(self, state: str) -> Any:
        while (body := (await self.find(".link.")).json)["state"] != state:
            pass
        return body

    async def kept_link(self, **fields: Any) -> Fact:
        """The one link fact OCPP_LINKS keeps of this charger, once it says so."""
        async with asyncio.timeout(PATIENCE):
            while True:
                for link in await self.stored("LINKS"):
                    if fields.items() <= link.json.items():
                        return link

    def about(self, *parts: str) -> list[Fact]:
        """All so far whose subjects hold every one of ``parts``."""
        return [fact for fact in self.seen if all(part in fact.subject for part in parts)]

    async def stored(self, stream: str, subject: str = "") -> list[Fact]:
        """What ``stream`` keeps of this charger, in its order."""
        jetstream, seq = self.client.jetstream(), 1
        found: list[Fact] = []
        subject = subject or {
            "REJECTS": f"{self._prefix}.reject.*.{self.token}",
            "LINKS": f"{self._prefix}.link.{self.token}",
        }.get(stream, f"{self._prefix}.{stream.lower().removesuffix('s')}.*.*.{self.token}")
        while True:
            try:
                raw = await jetstream.get_msg(
                    f"{self._streams}_{stream}", seq=seq, subject=subject, next=True, direct=True
                )
            except NotFoundError:
                return found
            assert raw.seq is not None
            assert raw.subject is not None
            found.append(Fact(raw.subject, dict(raw.headers or {}), raw.data or b"", raw.seq))
            seq = raw.seq + 1


def sha(*parts: bytes) -> str:
    return hashlib.sha256(b"\n".join(parts)).hexdigest()[:32]


def key(version: str, action: str, identity: str, session: str, message_id: str, payload: str) -> str:
    """docs/contract.md 3.3, for payloads without traps."""
    body = json.loads(payload)
    if action == "TransactionEvent" and version != "v16":
        parts = [body["transactionInfo"]["transactionId"], str(body["seqNo"]), body["eventType"]]
        return "/".join(token(part) for part in [identity, *parts])
    if action in ("StartTransaction", "StopTransaction", "MeterValues"):
        years = [int(year) for year in re.findall(r'"timestamp": ?"(\d{4})-', payload)]
        end = "" if any(year > 2020 for year in years) else f"/{session}"
        return f"{token(identity)}/{action}/{sha(payload.encode())}{end}"
    return f"{token(identity)}/{session}/{token(message_id)}"


@dataclass
class Expected:
    """A fact as docs/contract.md 3.2 and 3.3 want it; ``payload`` is the charger's own text."""

    class_: str
    version: str
    action: str
    identity: str
    session: str
    message_id: str
    payload: str
    answer: str | None = None  # of a Response fact
    more: dict[str, str] = field(default_factory=dict)

    def check(self, fact: Fact) -> None:
        key_ = key(self.version, self.action, self.identity, self.session, self.message_id, self.payload)
        name = self.action if self.answer is None else f"{self.action}Response"
        where = token(self.identity)
        headers = {
            "ce-specversion": "1.0",
            "ce-source": f"/chargers/{where}",
            "ce-type": f"ocpp.{self.version}.{name}",
            "ce-subject": attribute(self.identity),
            "ce-datacontenttype": "application/json",
            "ocpp-message-id": header(self.message_id),
            "ocpp-session": self.session,
            "ocpp-key": key_,
            **self.more,
        }
        if self.class_ == "tx":
            end = "" if self.answer is None else "/response"
            headers["Nats-Msg-Id"] = sha(key_.encode(), self.payload.encode()) + end
        got = dict(fact.headers)
        assert re.fullmatch(rf"{self.session}/\d+", got.pop("ce-id"))
        at = got.pop("ce-time")
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", at)
        assert abs(datetime.fromisoformat(at).timestamp() - time.time()) < PATIENCE
        assert got == headers
        assert fact.subject == f"ocpp.{self.class_}.{self.version}.{name}.{where}"
        assert fact.data.decode() == (self.payload if self.answer is None else self.answer)


# -- backends -------------------------------------------------------------------------------------------

Responder = Callable[[Msg], Awaitable[None]]


class Backend:
    """Answers questions about one charger: ``answers[action]`` is a reply's body, or does the replying.

    Questions whose answer is None are withheld, for the test to respond to.
    """

    def __init__(
        self, client: Client, identity: str, answers: Mapping[str, bytes | str | Responder | None]
    ) -> None:
        self.answers = dict(answers)
        self.withheld: list[Msg] = []
        self.questions: list[Fact] = []
        self._client, self._token = client, token(identity)

    async def listen(self) -> None:
        for action in self.answers:
            subject = f"ocpprpc.ask.*.{action}.{self._token}"
            await self._client.subscribe(subject, queue="backend", cb=self._asked)
        await settle(self._client)

    async def _asked(self, message: Msg) -> None:
        self.questions.append(Fact(message.subject, dict(message.headers or {}), message.data))
        answer = self.answers[message.subject.split(".")[3]]
        if answer is None:
            self.withheld.append(message)
        elif isinstance(answer, bytes | str):
            await message.respond(answer.encode() if isinstance(answer, str) else answer)
        else:
            await answer(message)


async def settle(client: Client) -> None:
    """Wait until the server knows this client's subscriptions.

    Not ``client.flush()``: nats-py writes its PING past the buffer the SUBs still wait in.
    """
    with suppress(NoRespondersError):
        await client.request("$JS.API.INFO", timeout=PATIENCE)  # each role may


_fences = itertools.count(1)


async def followed(port: int, client: Client) -> None:
    """Wait until the gateway at ``port``, which takes anybody, has read all links stored so far.

    It reads them in order: it closes a charger of ours once it has read that the charger is elsewhere.
    """
    facts = Facts(client, f"fence {next(_fences)}")
    async with dial(port, facts.identity) as charger:
        ours = await facts.kept_link(state="up")
        moved = ours.json | {"session": f"moved {facts.identity}", "gateway": "fence-1-0badcafe"}
        await client.jetstream().publish(f"ocpp.link.{facts.token}", json.dumps(moved).encode())
        assert await charger.closed() == 1008


async def connected(url: str) -> Client:
    """A plain NATS client."""

    async def quiet(error: Exception) -> None:
        del error  # the server is killed in some tests

    return await nats.connect(url, error_cb=quiet, reconnect_time_wait=0.1, max_reconnect_attempts=-1)
