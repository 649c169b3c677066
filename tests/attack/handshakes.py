"""TLS handshakes that never end, that cost the gateway more than their sender, or that offer too little."""

import asyncio
from asyncio.subprocess import PIPE, STDOUT

from attack.certificates import client
from attack.driver import SOURCE, Attacker
from attack.hello import (
    DOWNGRADE,
    GOOD,
    GOOD_1_3,
    SSL_3_0,
    TLS_1_0,
    TLS_1_1,
    TLS_1_2,
    TLS_1_3,
    Answer,
    Kind,
    answer,
    hello,
    hello_2,
)
from attack.metrics import metric
from attack.sockets import ENDED, PATIENCE, Socket, request, tcp
from attack.trickles import CONNECTIONS, drip, ends_in_time

HALF_OPEN = 500
FLOODERS = 20
FALLBACK = 0x5600  # TLS_FALLBACK_SCSV (RFC 7507)
WEAK = {
    "NULL": 0x0001, "export RC4": 0x0003, "RC4 MD5": 0x0004, "RC4 SHA": 0x0005, "DES": 0x0009, "3DES": 0x000A,
    "anonymous DH": 0x0034, "RSA AES128 CBC": 0x002F, "anonymous ECDH": 0xC018, "ECDHE RC4": 0xC011,
    "ECDHE 3DES": 0xC012, "ECDHE AES128 CBC": 0xC027, "ECDHE NULL": 0xC010, "PSK": 0x008C,
}  # fmt: skip
SHA_1 = (0x0201, 0x0203)
SECP160 = (0x0010,)


async def slow_handshakes(attacker: Attacker) -> None:
    """A ClientHello, or the upgrade request behind a whole handshake, byte by byte: one deadline for all."""
    port, trusting = attacker.ports.tls, client(attacker.ports.certificates)
    head = request("sha256")[:-2] + b"X-Padding: " + b"x" * 1000

    async def one_hello(socket: Socket) -> None:
        await drip(socket, hello())

    async def one_request(socket: Socket) -> None:
        await drip(socket, head)

    await asyncio.gather(
        *(ends_in_time(attacker, port, "a slow handshake", one_hello) for _ in range(CONNECTIONS)),
        *(ends_in_time(attacker, port, "a slow request", one_request, trusting) for _ in range(CONNECTIONS)),
    )


async def half_open(attacker: Attacker) -> None:
    """A ClientHello, then silence; half of them of TLS 1.3, for which the gateway has signed by then."""

    async def silent(socket: Socket) -> None:
        await socket.send(_good(attacker.counts["closed"] % 2 == 0))
        await socket.discard()

    await asyncio.gather(
        *(
            ends_in_time(attacker, attacker.ports.tls, "a half-open handshake", silent)
            for _ in range(HALF_OPEN)
        )
    )


def _good(latest: bool) -> bytes:
    return hello(GOOD_1_3, versions=(TLS_1_3,)) if latest else hello()


async def hellos(attacker: Attacker) -> None:
    """ClientHellos in a flood from many addresses: the sender computes nothing, the gateway signs."""

    async def flood(number: int) -> None:
        while True:
            try:
                async with tcp(attacker.ports.tls, f"127.0.3.{number + 1}") as socket:
                    await socket.send(_good(number % 2 == 0))
                    async with asyncio.timeout(PATIENCE):
                        attacker.counts["signed" if await socket.reader.read(1) else "closed"] += 1
            except TimeoutError:
                attacker.expect(False, "a ClientHello is neither answered nor ended")
            except OSError:
                attacker.counts["closed"] += 1

    await attacker.until_stop(*(flood(number) for number in range(FLOODERS)))


def too_little() -> dict[str, bytes]:
    """Each must end the handshake."""
    everything = (*GOOD, *WEAK.values())
    found = {
        "SSL 2.0": hello_2(),
        "SSL 3.0": hello(everything, version=SSL_3_0),
        "TLS 1.0": hello(everything, version=TLS_1_0),
        "TLS 1.1": hello(everything, version=TLS_1_1),
        "TLS 1.1 as a fallback": hello((*everything, FALLBACK), version=TLS_1_1),
        "TLS 1.1 by the extension": hello(everything, versions=(TLS_1_1, TLS_1_0)),
        "signatures with SHA-1": hello(GOOD, signatures=SHA_1),
        "a curve of 160 bits": hello(GOOD, groups=SECP160),
        "TLS 1.3 with suites of 1.2": hello(GOOD, versions=(TLS_1_3,)),
    }
    return found | {name: hello((suite,)) for name, suite in WEAK.items()}


def sound() -> dict[str, tuple[bytes, int]]:
    """Each goes on, with this version: else the others would prove nothing."""
    return {
        "TLS 1.3": (hello(GOOD_1_3, versions=(TLS_1_3,)), TLS_1_3),
        "TLS 1.2": (hello(), TLS_1_2),
        "1.3 before 1.1": (hello(GOOD_1_3, versions=(TLS_1_1, TLS_1_3)), TLS_1_3),
        "weak suites first": (hello((*WEAK.values(), *GOOD)), TLS_1_2),
        "compression": (hello(compression=b"\x01\x00"), TLS_1_2),
    }


async def downgrade(attacker: Attacker) -> None:
    """Old versions, weak suites and curves: refused, and counted as what they are."""
    admin = attacker.ports.admin
    before = {label: await metric(admin, "voltgate_handshakes_total", result=label) for label in _LABELS}

    async def answered(name: str, data: bytes) -> Answer | None:
        try:
            async with asyncio.timeout(PATIENCE), tcp(attacker.ports.tls) as socket:
                await socket.send(data)
                head = await socket.reader.readexactly(5)
                return answer(head + await socket.reader.readexactly(int.from_bytes(head[3:])))
        except TimeoutError:
            attacker.expect(False, f"{name}: neither answered nor ended")
            return None
        except ENDED:
            return Answer(Kind.NOTHING)

    while True:
        for name, data in too_little().items():
            if found := await answered(name, data):
                attacker.expect(found.kind in (Kind.ALERT, Kind.NOTHING), f"{name}: goes on, {found}")
            attacker.counts["refused"] += 1
        for name, (data, version) in sound().items():
            if found := await answered(name, data):
                good = (found.kind, found.version, found.compression) == (Kind.HELLO, version, 0)
                attacker.expect(good, f"{name}: refused, {found}")
                marked = version == TLS_1_3 or found.random.endswith(DOWNGRADE)
                attacker.expect(marked, f"{name}: the random does not show the downgrade")
        if not await attacker.pause(0.2):
            break
    for label, count in before.items():
        counted = await metric(admin, "voltgate_handshakes_total", result=label) - count
        attacker.expect(counted > 0, f"none was counted as {label}")


_LABELS = ("tls_version", "tls_suites")


async def renegotiation(attacker: Attacker) -> None:
    """TLS 1.2 clients that ask for a second handshake: each loses its connection with the first one."""

    async def ask() -> None:
        where = ("-connect", f"127.0.0.1:{attacker.ports.tls}", "-bind", f"{SOURCE}:0")
        trust = ("-CAfile", f"{attacker.ports.certificates}/servers.pem")
        while not attacker.stop.is_set():
            process = await asyncio.create_subprocess_exec(
                *("openssl", "s_client", "-tls1_2", *where, *trust), stdin=PIPE, stdout=PIPE, stderr=STDOUT
            )
            assert process.stdin is not None
            assert process.stdout is not None
            shown = b""
            try:
                async with asyncio.timeout(PATIENCE):
                    await process.stdout.readuntil(b"Verify return code: 0 (ok)")
                    process.stdin.write(b"R\n" * 100)
                    shown = await process.stdout.read()
            except TimeoutError:
                attacker.expect(False, "a renegotiation neither fails nor ends")
            except asyncio.IncompleteReadError:
                attacker.counts["closed"] += 1
                continue
            finally:
                if process.returncode is None:
                    process.kill()
                await process.wait()
            attacker.counts["refused"] += shown.count(b"no renegotiation")
            attacker.expect(shown.count(b"RENEGOTIATING") == 1, "the connection outlives a renegotiation")

    await asyncio.gather(*(ask() for _ in range(4)))
    attacker.expect(attacker.counts["refused"] > 0, "no renegotiation was refused")
