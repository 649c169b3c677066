"""Upgrade requests: identities that are subjects, paths or escapes elsewhere, and broken HTTP."""

import asyncio

from attack.driver import Attacker
from attack.sockets import ENDED, RefusedError, dial, request, tcp
from attack.target import HANDSHAKE_TIMEOUT

LEGAL = (
    "*", ">", ".", "..", "a.b", "a.*", "ocpp.tx.>", "$SYS", "$KV.ocpp_chargers.x", "$JS.API.>", "_INBOX.x",
    "-", "=2A", "%", "%2F", "%25", "|", " ", " x ", "'; DROP TABLE chargers;--", "../../etc/passwd", "ü" * 48,
    "充電器", "\u202eevil",
    "a/b", "a\\b", "<script>", "{{7*7}}", "${jndi}", "x" * 48, "GOOD-000 ", "good-000",
)  # fmt: skip
ILLEGAL = (
    b"", b"%00", b"a%0Db", b"a%0Ab", b"a%0D%0APUB%20x%200", b"%1B%5B2J", b"%7F", b"a:b", b"%C3", b"%FF%FE",
    b"%ED%A0%80", b"x" * 49, b"x" * 5000, b"%E2%82%AC" * 33, b"%C2%85", b"%09",
)  # fmt: skip


async def hostile_identities(attacker: Attacker) -> None:
    """A legal one is served under its own name alone, an illegal one is refused with 400."""
    while not attacker.stop.is_set():
        for identity in LEGAL:
            # The last is of this round, so that limits of an identity do not strike its later rounds.
            try:
                async with dial(attacker.ports.open, identity) as socket:
                    answer = await socket.ask("1", "Heartbeat", "{}")
                    attacker.expect(answer[0] == 3, f"{identity!r}: {answer}")
                    attacker.counts["served"] += 1
            except RefusedError as refused:
                attacker.expect(refused.status == 503, f"{identity!r}: {refused.status}")
                attacker.counts[f"refused {refused.status}"] += 1
            except ENDED as error:
                attacker.expect(False, f"{identity!r}: {error!r}")
        for raw in ILLEGAL:
            head = request("x").replace(b"/ocpp/x", b"/" + raw, 1)
            try:
                async with tcp(attacker.ports.open) as socket:
                    await socket.send(head)
                    status = await socket.status()
            except OSError:
                status = 0
            attacker.expect(status in (400, 503), f"{raw[:20]!r}: {status}")
            attacker.counts[f"refused {status}"] += 1
        if not await attacker.pause(0.1):
            return


def malformations() -> dict[str, bytes]:
    """None is an upgrade; forms that are tolerated (docs/contract.md 3.8) are not among them."""
    sound = request("http")
    headers = sound.split(b"\r\n", 1)[1]
    found = {
        f"request line {line[:20]!r}": line + b"\r\n" + headers
        for line in (
            b"", b"GET", b"GET /x", b"GET /x HTTP/1.0", b"GET /x HTTP/2", b"GET /x HTTP/9.9",
            b"GET /x HTTP/1.1x", b"get /x HTTP/1.1", b"POST /x HTTP/1.1", b"PUT /x HTTP/1.1",
            b"CONNECT x:1 HTTP/1.1", b"OPTIONS * HTTP/1.1", b"PRI * HTTP/2.0", b"\x00GET /x HTTP/1.1",
            b"GET\t/x\tHTTP/1.1", b"GET /" + b"x" * 20_000 + b" HTTP/1.1", b"\xff\xfe",
            b'[2,"1","Heartbeat",{}]',
        )
    }  # fmt: skip
    lines = headers.rstrip(b"\r\n").split(b"\r\n")
    for name in (b"Upgrade", b"Sec-WebSocket-Key", b"Sec-WebSocket-Version"):
        found[f"no {name.decode()}"] = sound.replace(
            next(line for line in lines if line.startswith(name)) + b"\r\n", b""
        )
    for old, new in (
        (b"Upgrade: websocket", b"Upgrade: h2c"),
        (b"Key: dGhlIHNhbXBsZSBub25jZQ==", b"Key: short"),
        (b"Sec-WebSocket-Version", b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version"),
        (b"Version: 13", b"Version: 12"),
        (b"Version: 13", b"Version: x"),
        (b"Host: gateway", b"No colon at all"),
        (b"Host: gateway", b": empty name"),
        (b"Host: gateway", b"Na me: x"),
        (b"Host: gateway", b"Name : x"),
        (b"Host: gateway", b" folded: x"),
        (b"Host: gateway", b"X: \x00"),
        (b"Host: gateway", b"X: a\rb"),
        (b"Host: gateway", b"X: " + b"y" * 70_000),
        (b"Host: gateway", b"\r\n".join(b"X%d: y" % number for number in range(1000))),
        (b"Host: gateway", b"Transfer-Encoding: chunked"),
        (b"Host: gateway", b"Content-Length: -1"),
        (b"Host: gateway", b"Content-Length: 5"),
        (b"ocpp1.6", b"ocpp9.9"),
        (b"ocpp1.6", b",,,"),
        (b"ocpp1.6", b"ocpp1.6\x00"),
    ):  # fmt: skip
        found[f"{new[:30]!r} for {old.decode()}"] = sound.replace(old, new, 1)
    found["TLS"] = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500)
    found["HTTP/2 preface"] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(30)
    found["zeros"] = bytes(10_000)
    return found


async def malformed_requests(attacker: Attacker) -> None:
    """Each is refused, or ends at the deadline; none is upgraded, none is an error of the gateway's own."""
    cases = malformations()

    async def one(name: str, data: bytes) -> None:
        try:
            async with asyncio.timeout(HANDSHAKE_TIMEOUT * 2), tcp(attacker.ports.open) as socket:
                await socket.send(data)
                status = await socket.status()
        except TimeoutError:
            attacker.expect(False, f"{name}: no end")
        except OSError:
            attacker.counts["closed"] += 1
        else:
            attacker.expect(status in (0, 503, 505) or 400 <= status < 500, f"{name}: {status}")
            attacker.counts[str(status) if status else "closed"] += 1

    while not attacker.stop.is_set():
        await asyncio.gather(*(one(name, data) for name, data in cases.items()))
        if not await attacker.pause(0.5):
            return
