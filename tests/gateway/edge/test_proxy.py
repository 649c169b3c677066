"""The PROXY protocol: a table of headers, any bytes at all, and what a real haproxy sends."""

import asyncio
import os
import shutil
import ssl
import struct
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from certificates import Authority
from listening import listening
from voltgate.gateway.edge.proxy import (
    MAX_BYTES,
    SIGNATURE,
    NeedMore,
    Proxied,
    ProxyTls,
    Refused,
    TrustedProxies,
    parse,
)

V4, V6, UDP4, UNIX = 0x11, 0x21, 0x12, 0x31
PROXY, LOCAL = 0x21, 0x20
CHARGER = ("192.0.2.7", 40_000)


def tlv(kind: int, value: bytes) -> bytes:
    return struct.pack(">BH", kind, len(value)) + value


def addresses(source: str = CHARGER[0], port: int = CHARGER[1]) -> bytes:
    packed = ip_address(source).packed
    return packed + bytes(len(packed)) + struct.pack(">HH", port, 443)


def header(body: bytes, command: int = PROXY, family: int = V4, length: int | None = None) -> bytes:
    size = len(body) if length is None else length
    return SIGNATURE + struct.pack(">BBH", command, family, size) + body


def tls(client: int, verify: int, *parts: bytes) -> bytes:
    return tlv(0x20, struct.pack(">BI", client, verify) + b"".join(parts))


NAME, VERSION = tlv(0x22, b"CP1"), tlv(0x21, b"TLSv1.3")
HEADERS: list[tuple[str, bytes, object]] = [
    ("IPv4", header(addresses()), Proxied(28, CHARGER, None)),
    ("IPv6", header(addresses("2001:db8::1"), family=V6), Proxied(52, ("2001:db8::1", 40_000), None)),
    ("LOCAL", header(b"", LOCAL, 0), Proxied(16, None, None)),
    ("LOCAL with what is to be ignored", header(b"\xff" * 9, LOCAL, 0xFF), Proxied(25, None, None)),
    (
        "TLVs that are not read here, also repeated",
        header(addresses() + tlv(0x03, b"crc!") + tlv(0xE0, b"") + tlv(0xE0, b"x")),
        Proxied(42, CHARGER, None),
    ),
    (
        "a verified certificate in this connection",
        header(addresses() + tls(0x07, 0, VERSION, NAME)),
        Proxied(52, CHARGER, ProxyTls("TLSv1.3", True, "CP1")),
    ),
    (
        "a verified certificate in a resumed session",
        header(addresses() + tls(0x05, 0, NAME)),
        Proxied(42, CHARGER, ProxyTls("", True, "CP1")),
    ),
    (
        "a certificate that failed",
        header(addresses() + tls(0x07, 1, NAME)),
        Proxied(42, CHARGER, ProxyTls("", False, "")),
    ),
    (
        "a name without a certificate",
        header(addresses() + tls(0x01, 0, NAME)),
        Proxied(42, CHARGER, ProxyTls("", False, "")),
    ),
    ("a certificate without TLS", header(addresses() + tls(0x06, 0, NAME)), Proxied(42, CHARGER, None)),
    (
        "a name that is not UTF-8",
        header(addresses() + tls(0x07, 0, tlv(0x22, b"\xff"))),
        Proxied(40, CHARGER, ProxyTls("", True, "")),
    ),
    ("two names", header(addresses() + tls(0x07, 0, NAME, NAME)), Refused.BROKEN),
    ("TLS twice", header(addresses() + tls(0x07, 0) + tls(0x07, 0)), Refused.BROKEN),
    ("a TLS part that is cut", header(addresses() + tlv(0x20, b"\7\0\0")), Refused.BROKEN),
    ("a part inside that is cut", header(addresses() + tls(0x07, 0, b"\x22\0\7CP1")), Refused.BROKEN),
    ("a part that is cut", header(addresses() + b"\x20\0\7CP1"), Refused.BROKEN),
    ("a part without its length", header(addresses() + b"\x20\0"), Refused.BROKEN),
    ("half an address", header(addresses()[:9]), Refused.BROKEN),
    ("UDP", header(addresses(), family=UDP4), Refused.FAMILY),
    ("a unix socket", header(bytes(216), family=UNIX), Refused.FAMILY),
    ("no family", header(b"", family=0), Refused.FAMILY),
    ("an unknown command", header(addresses(), 0x22), Refused.COMMAND),
    ("version 3", header(addresses(), 0x31), Refused.VERSION),
    ("too long, before it is there", header(b"", length=MAX_BYTES + 1), Refused.TOO_LONG),
    ("version 1", b"PROXY TCP4 192.0.2.7 192.0.2.1 40000 443\r\n", Refused.VERSION_1),
    ("the beginning of version 1", b"PROXY", Refused.VERSION_1),
    ("an upgrade without a header", b"GET /CP1 HTTP/1.1\r\n", Refused.MISSING),
    ("a hello of TLS", b"\x16\x03\x01", Refused.MISSING),
    ("nothing yet", b"", NeedMore.NEED_MORE),
    ("a part of the signature", SIGNATURE[:7], NeedMore.NEED_MORE),
]


@pytest.mark.parametrize(("why", "data", "expected"), HEADERS, ids=[row[0] for row in HEADERS])
def test_what_a_header_says(why: str, data: bytes, expected: object) -> None:
    assert parse(data) == expected, why


@pytest.mark.parametrize(
    "row", [row for row in HEADERS if isinstance(row[2], Proxied)], ids=lambda row: row[0]
)
def test_a_header_is_read_once_it_is_whole(row: tuple[str, bytes, Proxied]) -> None:
    """Bytes behind it are the charger's."""
    _, data, expected = row
    for end in range(len(data)):
        assert parse(data[:end]) is NeedMore.NEED_MORE, end
    assert parse(data + b"GET /CP1 HTTP/1.1\r\n") == expected


@given(st.binary(max_size=300), st.integers(0, 255), st.integers(0, 255), st.integers(0, 400))
def test_no_bytes_break_the_reader(body: bytes, command: int, family: int, length: int) -> None:
    for data in (body, header(body, command, family, length), header(addresses() + body)):
        found = parse(data)
        if isinstance(found, Proxied):
            assert found.size <= len(data)
        if found is NeedMore.NEED_MORE:
            assert len(data) < 16 + MAX_BYTES


@given(st.lists(st.tuples(st.integers(0, 255), st.binary(max_size=40)), max_size=6))
def test_a_name_is_never_taken_from_an_unverified_certificate(parts: list[tuple[int, bytes]]) -> None:
    inner = b"".join(tlv(kind, value) for kind, value in parts)
    found = parse(header(addresses() + tls(0x07, 1, inner)))
    assert isinstance(found, Refused) or (
        isinstance(found, Proxied)
        and found.tls is not None
        and not (found.tls.verified or found.tls.common_name)
    )


TRUSTED = [
    ("10.1.2.3", True),
    ("11.1.2.3", False),
    ("::ffff:10.1.2.3", True),
    ("192.0.2.1", True),
    ("192.0.2.2", False),
    ("2001:db8::5", True),
    ("fe80::1%eth0", False),
    ("", False),
    ("a unix socket", False),
]


@pytest.mark.parametrize(("address", "trusted"), TRUSTED)
def test_which_addresses_are_trusted(address: str, trusted: bool) -> None:
    proxies = TrustedProxies.of(["10.0.0.0/8", "192.0.2.1", "2001:db8::/32"])
    assert proxies.includes(address) is trusted
    assert not TrustedProxies.of([]).includes(address)


@pytest.mark.parametrize("text", ["10.0.0.1/8", "proxy.example.com", ""])
def test_a_text_that_is_no_network(text: str) -> None:
    with pytest.raises(ValueError, match=r"does not appear|host bits"):
        TrustedProxies.of([text])


# -- a real haproxy -------------------------------------------------------------------------------------

HAPROXY = shutil.which("haproxy") or shutil.which("haproxy", path="/usr/sbin")

CONFIGURATION = """
defaults
  mode tcp
  timeout connect 5s
  timeout client 5s
  timeout server 5s
frontend plain
  bind 127.0.0.1:{plain}
  default_backend gateway
frontend secured
  bind 127.0.0.1:{secured} ssl crt {certificate} ca-file {ca} verify optional crt-ignore-err all
  default_backend gateway_tls
backend gateway
  server gateway 127.0.0.1:{gateway} send-proxy-v2
backend gateway_tls
  server gateway 127.0.0.1:{gateway} send-proxy-v2-ssl-cn
"""


class Ports:
    """The ports of an haproxy and of the server behind it."""

    def __init__(self, free: Callable[[], int]) -> None:
        self.plain, self.secured, self.gateway = free(), free(), free()


@pytest.fixture
def chargers(tmp_path: Path) -> Authority:
    return Authority(tmp_path, "chargers")


@pytest.fixture
def haproxy(tmp_path: Path, free_port: Callable[[], int], chargers: Authority) -> Iterator[Ports]:
    if HAPROXY is None:
        assert "CI" not in os.environ, "CI installs haproxy"
        pytest.skip("haproxy is not installed: apt install haproxy")
    ports = Ports(free_port)
    issued = Authority(tmp_path, "servers").issue("haproxy")
    both = tmp_path / "both.pem"
    both.write_text("".join(Path(file).read_text() for file in issued.pair))
    file = tmp_path / "haproxy.cfg"
    file.write_text(CONFIGURATION.format(**vars(ports), certificate=both, ca=chargers.file))
    with (tmp_path / "haproxy.log").open("wb") as log:
        process = subprocess.Popen([HAPROXY, "-db", "-f", str(file)], stdout=log, stderr=log)
    yield ports
    process.kill()
    process.wait()


@asynccontextmanager
async def behind(ports: Ports) -> AsyncIterator[asyncio.Queue[bytes]]:
    """A server behind haproxy: the bytes of each connection, up to and with what the charger said."""
    arrived: asyncio.Queue[bytes] = asyncio.Queue()

    async def accepted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError):
            arrived.put_nowait(await reader.readuntil(b"hello"))
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()

    async with listening(accepted, ports.gateway):
        yield arrived


@asynccontextmanager
async def hello(port: int, context: ssl.SSLContext | None = None) -> AsyncIterator[tuple[str, int]]:
    """A charger that says hello through haproxy, as soon as that listens; its address."""
    async with asyncio.timeout(20):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
                break
            except ConnectionRefusedError:
                await asyncio.sleep(0.02)
    writer.write(b"hello")
    await writer.drain()
    yield writer.get_extra_info("sockname")
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()


HELLOS: list[tuple[str, Callable[[Authority], tuple[str, str] | None], ProxyTls]] = [
    ("its own", lambda ca: ca.issue("CP1", "CP1", "Operator").pair, ProxyTls("TLSv1.3", True, "CP1")),
    ("none", lambda _: None, ProxyTls("TLSv1.3", False, "")),
    (
        "an expired one that haproxy lets through",
        lambda ca: ca.issue("old", "CP1", begins=timedelta(days=-9), ends=timedelta(days=-1)).pair,
        ProxyTls("TLSv1.3", False, ""),
    ),
]


@pytest.mark.parametrize(("why", "certificate", "expected"), HELLOS, ids=[row[0] for row in HELLOS])
async def test_haproxy_passes_on_address_and_certificate(
    haproxy: Ports,
    chargers: Authority,
    why: str,
    certificate: Callable[[Authority], tuple[str, str] | None],
    expected: ProxyTls,
) -> None:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if pair := certificate(chargers):
        context.load_cert_chain(*pair)
    async with behind(haproxy) as arrived, hello(haproxy.secured, context) as address:
        data = await asyncio.wait_for(arrived.get(), 20)
    assert parse(data) == Proxied(len(data) - len(b"hello"), address, expected), why


async def test_haproxy_passes_on_the_address_of_a_plain_connection(haproxy: Ports) -> None:
    async with behind(haproxy) as arrived, hello(haproxy.plain) as address:
        data = await asyncio.wait_for(arrived.get(), 20)
    assert parse(data) == Proxied(len(data) - len(b"hello"), address, None)
