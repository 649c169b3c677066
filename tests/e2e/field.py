"""How an entry of ``tests/vectors/field.json`` is played; what each of its fields means.

- upgrade: ``target``, ``headers`` (null removes one), ``before`` the request, or ``hex`` in place of a
  request; ``door`` is the listener, ``record`` the charger's, ``identity`` where the target names it.
  Expected: ``status`` (101; null: closed without an answer), ``selected`` subprotocol, ``result`` in metrics.
- ``frames``: each is sent and, where it has an ``answer``, answered with it ("*" is any value) before the
  next one. Then a Heartbeat is answered, which shows that nothing else was said; or the socket ends with
  ``close``, and the link's ``down`` has its reason.
- ``facts``: all facts of the charger in order. The body is the payload as it was sent, or the whole frame of
  a reject; "prefix" is what a socket that closes leaves of it. ``violation`` absent: not tagged.
- ``backend``: replies by action, one after the other, or "reference".
- ``command``: given as soon as the link's ``up`` is seen; ``reply`` is the charger's.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any
from urllib.parse import quote

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import NoRespondersError

from e2e.guarded import with_user
from e2e.house import PATIENCE, Gateway
from e2e.strangers import (
    CLOSE,
    PING,
    SUBPROTOCOL,
    TEXT,
    Backend,
    Facts,
    Responder,
    answer_of,
    connected,
    frame,
    read_frame,
    settle,
    started,
    until,
)
from voltgate.backend import run

DOORS: list[dict[str, Any]] = [{}, {"assume_version": "ocpp1.6"}, {"unmatched": "close"}]
DOOR = {"plain": 0, "assume": 1, "close": 2}
NOW = "2026-03-01T10:00:00Z"
REPLIES = {  # of a backend that has no faults
    "BootNotification": f'{{"status":"Accepted","interval":300,"currentTime":"{NOW}"}}',
    "Authorize": '{"idTagInfo":{"status":"Accepted"}}',
    "DataTransfer": '{"status":"Accepted"}',
    "StartTransaction": started(7),
}
AT_ONCE = 2.0  # seconds; far below limits.handshake_timeout


async def visited(case: dict[str, Any], field: Gateway, facts: Facts) -> None:
    labels = {"result": case.get("result", "accepted")}
    before = field.metric("voltgate_handshakes_total", **labels)
    async with dial(case, field, facts.identity) as (reader, writer):
        status = case.get("status", 101)
        if status is None:
            async with asyncio.timeout(AT_ONCE):
                assert await reader.read() == b""
        else:
            answer = await answer_of(reader, writer)
            assert answer.status == status, answer.body
        if status == 101:
            selected = case.get("selected", SUBPROTOCOL[case.get("version", "v16")])
            assert answer.headers.get("sec-websocket-protocol") == selected
            if case.get("up", True):
                await facts.link("up")
            await converse(case, reader, writer)
        if "result" in case:
            await until(lambda: field.metric("voltgate_handshakes_total", **labels) == before + 1)
    if status == 101 and case.get("up", True):
        reason = (await facts.link("down"))["reason"]
        assert reason == case.get("down", reason)
        assert reason != case.get("down_not")


@asynccontextmanager
async def dial(
    case: dict[str, Any], field: Gateway, identity: str
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    port = field.ports[DOOR[case.get("door", "plain")]]
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    fields: dict[str, str | None] = {
        "Host": "gateway",
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Protocol": SUBPROTOCOL[case.get("version", "v16")],
    }
    fields |= case.get("headers", {})
    target = case.get("target", "/ocpp/{id}").replace("{id}", quote(identity, safe=""))
    kept = [f"{name}: {value}" for name, value in fields.items() if value is not None]
    request = case.get("before", "") + "\r\n".join([f"GET {target} HTTP/1.1", *kept, "", ""])
    try:
        writer.write(bytes.fromhex(case["hex"]) if "hex" in case else request.encode())
        yield reader, writer
    finally:
        writer.transport.abort()


def sent(one: dict[str, Any], number: int = 0) -> bytes:
    """The bytes of a frame's text."""
    if "hex" in one:
        return bytes.fromhex(one["hex"])
    text: str = one["send"]
    return text.replace("~n~", str(number)).replace("~fill~", "x" * one.get("fill", 0)).encode()


async def converse(case: dict[str, Any], reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    for one in case.get("frames", ()):
        times = range(one.get("times", 1))
        for number in times:
            writer.write(frame(TEXT, sent(one, number), rsv=one.get("rsv", 0)))
        for number in times if "answer" in one else ():
            wanted = json.loads(json.dumps(one["answer"]).replace("~n~", str(number)))
            heard = json.loads(await text(reader, writer))
            assert like(wanted, heard), heard
    if "close" in case:
        code, words = await closed(reader, writer)
        assert code == case["close"]
        assert case.get("close_text", "") in words
    else:
        writer.write(frame(TEXT, b'[2,"probe","Heartbeat",{}]'))
        assert (await text(reader, writer)).startswith('[3,"probe",{"currentTime":')


async def text(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> str:
    """The next text message; pings are answered."""
    while True:
        first, payload = await read_frame(reader)
        if first & 0x0F == PING:
            writer.write(frame(PING + 1, payload))
            continue
        assert first == 0x80 | TEXT, (first, payload)
        return payload.decode()


async def closed(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> tuple[int, str]:
    """Code and text of the Close frame, which comes next."""
    while (answer := await read_frame(reader))[0] & 0x0F == PING:
        writer.write(frame(PING + 1, answer[1]))
    first, payload = answer
    assert first & 0x0F == CLOSE, payload
    return int.from_bytes(payload[:2], "big"), payload[2:].decode()


def like(wanted: Any, seen: Any) -> bool:
    """Equal but for "*"."""
    if wanted == "*":
        return True
    if isinstance(wanted, dict) and isinstance(seen, dict):
        return wanted.keys() == seen.keys() and all(like(wanted[name], seen[name]) for name in wanted)
    if isinstance(wanted, list) and isinstance(seen, list):
        return len(wanted) == len(seen) and all(map(like, wanted, seen))
    return bool(wanted == seen)


# -- backends and commands ----------------------------------------------------------------------------------


@asynccontextmanager
async def backend(case: dict[str, Any], client: Client, identity: str) -> AsyncIterator[None]:
    """The one that answers the questions about this charger."""
    if case.get("backend") == "reference":
        async with reference(client):
            yield
        return

    def in_turn(bodies: list[str]) -> Responder:
        async def respond(message: Msg) -> None:
            for body in bodies:
                await client.publish(message.reply, body.encode())

        return respond

    answers: dict[str, bytes | str | Responder] = dict(REPLIES)
    answers |= {action: in_turn(bodies) for action, bodies in case.get("backend", {}).items()}
    await Backend(client, identity, answers).listen()
    yield


@asynccontextmanager
async def reference(client: Client) -> AsyncIterator[None]:
    """``voltgate backend`` on a connection of its own."""
    assert client.connected_url is not None
    own = await connected(with_user(client.connected_url.geturl(), "backend"))
    stop = asyncio.Event()
    running = asyncio.create_task(run(own, stop))
    try:
        async with asyncio.timeout(PATIENCE):
            while not await hears(client):
                await asyncio.sleep(0.01)
        yield
    finally:
        stop.set()
        await running
        await own.close()


async def hears(client: Client) -> bool:
    with suppress(NoRespondersError):
        await client.request("ocpprpc.ask.v16.Heartbeat.nobody", b"{}", timeout=PATIENCE)
        return True
    return False


async def commanded(case: dict[str, Any], field: Gateway, client: Client, facts: Facts) -> None:
    """Dial, command on sight of ``up``, answer as the charger: as often as ``connects`` says."""
    ups = asyncio.Queue[None]()

    async def seen(message: Msg) -> None:
        if json.loads(message.data)["state"] == "up":
            ups.put_nowait(None)

    watching = await client.subscribe(f"ocpp.link.{facts.token}", cb=seen)
    await settle(client)
    outcomes = []
    for _ in range(case.get("connects", 1)):
        async with dial(case, field, facts.identity) as (reader, writer):
            assert (await answer_of(reader, writer)).status == 101
            async with asyncio.timeout(PATIENCE):
                await ups.get()
                outcomes.append(await outcome(case, client, facts.token, reader, writer))
        await facts.link("down")
    await watching.unsubscribe()
    assert outcomes == [case["outcome"]] * len(outcomes)


async def outcome(
    case: dict[str, Any],
    client: Client,
    charger: str,
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
) -> str:
    command = case["command"]
    subject, body = f"ocpprpc.send.{command['action']}.{charger}", json.dumps(command["payload"]).encode()

    async def respond() -> None:
        kind, message_id, action, payload = json.loads(await text(reader, writer))
        assert (kind, action, payload) == (2, command["action"], command["payload"])
        writer.write(frame(TEXT, json.dumps([3, message_id, case["reply"]]).encode()))

    responding = asyncio.create_task(respond()) if "reply" in case else None
    try:
        reply = await client.request(subject, body, timeout=PATIENCE)
        return (reply.headers or {})["ocpp-outcome"]
    except NoRespondersError:
        return "no responders"
    finally:
        if responding is not None:
            responding.cancel()
            await asyncio.gather(responding, return_exceptions=True)
