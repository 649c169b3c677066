"""Chargers behind a real HAProxy that terminates TLS, or passes it on, with PROXY headers of version 2."""

import asyncio
import json
import os
import shutil
import socket
import subprocess
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from nats.aio.client import Client

from e2e import secured
from e2e.house import PATIENCE, Gateway, config, gateway
from e2e.logins import KEY, fast
from e2e.secured import CUT_OFF, OPERATOR, Pki, beats, charger
from e2e.strangers import Facts, settle, until
from jetstream import NatsServer, free_port

HAPROXY = shutil.which("haproxy") or shutil.which("haproxy", path="/usr/sbin")
PROXY = "127.0.0.2"  # where HAProxy dials from; chargers come from other addresses

CONFIGURATION = """
global
  stats socket {folder}/stats
defaults
  mode tcp
  timeout connect 5s
  timeout client 30s
  timeout server 30s
  default-server source {proxy} check inter 100ms
frontend profile_2
  bind 127.0.0.1:{profile_2} ssl crt {certificate}
  default_backend profile_2
frontend profile_3
  bind 127.0.0.1:{profile_3} ssl crt {certificate} ca-file {ca} verify required
  tcp-request session reject unless {{ ssl_c_s_dn(O) -m str {operator} }}
  default_backend profile_3
frontend optional
  bind 127.0.0.1:{optional} ssl crt {certificate} ca-file {ca} verify optional
  default_backend profile_3
frontend plain
  bind 127.0.0.1:{plain}
  default_backend profile_2
frontend passed
  bind 127.0.0.1:{passed}
  default_backend own_tls
backend profile_2
  server gateway 127.0.0.1:{gateway[0]} send-proxy-v2-ssl
backend profile_3
  server gateway 127.0.0.1:{gateway[1]} send-proxy-v2-ssl-cn
backend own_tls
  server gateway 127.0.0.1:{gateway[2]} send-proxy-v2
"""

Register = Callable[..., Awaitable[None]]


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    return Pki.made_in(tmp_path_factory.mktemp("pki"))


@pytest.fixture(scope="module")
def house(nats_server: NatsServer, pki: Pki) -> Iterator[Gateway]:
    """Listeners of profile 2 and 3 whose TLS ends at HAProxy, and one of profile 3 with TLS of its own."""
    own = {"tls_certificates": [pki.servers.issue("gateway").pair], "client_ca": pki.chargers.file}
    doors: list[dict[str, Any]] = [
        {"security_profile": 2},
        {"security_profile": 3},
        {"security_profile": 3, "organization": OPERATOR} | own,
    ]
    shared = {"allow_unauthenticated": False, "proxy_protocol": True, "trusted_proxies": [PROXY]}
    settings = config(
        nats_server,
        *(shared | door for door in doors),
        registry={"required": True},
        nats={"stream_prefix": "BEHIND", "prefix": "behind", "rpc_prefix": "behindrpc"},
        limits={"logins_per_minute": 3},
    )
    with gateway(settings) as running:
        yield running


@pytest.fixture(scope="module")
def ports(house: Gateway, pki: Pki, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, int]]:
    """HAProxy's, by frontend, once each backend has passed a health check."""
    if HAPROXY is None:
        assert "CI" not in os.environ, "CI installs haproxy"
        pytest.skip("haproxy is not installed: apt install haproxy")
    folder = tmp_path_factory.mktemp("haproxy")
    both = folder / "both.pem"
    both.write_text("".join(Path(file).read_text() for file in pki.servers.issue("haproxy").pair))
    found = {name: free_port() for name in ("profile_2", "profile_3", "optional", "plain", "passed")}
    text = CONFIGURATION.format(
        **found,
        folder=folder,
        proxy=PROXY,
        gateway=house.ports,
        certificate=both,
        ca=pki.chargers.file,
        operator=OPERATOR,
    )
    file = folder / "haproxy.cfg"
    file.write_text(text)
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([HAPROXY, "-db", "-f", str(file)], stdout=log, stderr=log)
    try:
        asyncio.run(until(lambda: states(folder / "stats") == ["L4OK"] * 3))
        yield found
    finally:
        process.kill()
        process.wait()


def states(path: Path) -> list[str]:
    """How the last health check of each backend ended; [] until HAProxy has started."""
    with socket.socket(socket.AF_UNIX) as stats, suppress(OSError):
        stats.connect(str(path))
        stats.sendall(b"show stat\n")
        with stats.makefile() as answer:
            rows = [line.split(",") for line in answer]
        at = rows[0].index("check_status")
        return [row[at] for row in rows if len(row) > at and row[1] == "gateway"]
    return []


@pytest.fixture
async def facts(client: Client, house: Gateway, identity: str) -> Facts:
    heard = Facts(client, identity, "behind", "BEHIND")
    await heard.listen()
    return heard


@pytest.fixture
async def register(client: Client, facts: Facts) -> Register:
    """Write the charger's record, with a password."""
    bucket = await client.jetstream().key_value("behind_chargers")

    async def write(**fields: Any) -> None:
        record = {"enabled": True, "password_hashes": [fast(KEY)]} | fields
        await bucket.put(facts.token, json.dumps(record).encode())

    return write


@pytest.mark.parametrize(("frontend", "profile"), [("profile_2", 2), ("profile_3", 3), ("passed", 3)])
async def test_chargers_get_in_and_are_known_by_their_own_address(
    ports: dict[str, int],
    pki: Pki,
    register: Register,
    facts: Facts,
    identity: str,
    frontend: str,
    profile: int,
) -> None:
    await register(security_profile=profile)
    own = pki.chargers.issue("own", identity, OPERATOR) if profile == 3 else None
    password = KEY if profile == 2 else b""
    async with charger(ports[frontend], identity, pki.context(own), password) as dialled:
        assert await beats(dialled, identity)
        up = await facts.link("up")
        host, port = dialled.local_address[:2]
        assert (up["security_profile"], up["remote"]) == (profile, f"{host}:{port}")


WRONG = [
    ("no TLS before the load balancer", "plain", 2, None, "wrong_profile"),
    ("its profile is 3", "profile_2", 3, None, "wrong_profile"),
    ("no certificate", "optional", 3, None, "no_certificate"),
    ("another charger's", "profile_3", 3, "CP-2", "wrong_common_name"),
]


@pytest.mark.parametrize(
    ("frontend", "profile", "cn", "result"), [row[1:] for row in WRONG], ids=[row[0] for row in WRONG]
)
async def test_the_wrong_ones_are_refused_and_named_in_facts_by_their_own_address(
    ports: dict[str, int],
    pki: Pki,
    register: Register,
    facts: Facts,
    identity: str,
    frontend: str,
    profile: int,
    cn: str | None,
    result: str,
) -> None:
    """With the right password."""
    await register(security_profile=profile)
    own = pki.chargers.issue("wrong", cn, OPERATOR) if cn else None
    context = None if frontend == "plain" else pki.context(own)
    assert await secured.status(ports[frontend], identity, context, KEY) == 401
    fact = (await facts.find(f".security.{result}.")).json
    assert (fact["identity"], fact["remote"].rpartition(":")[0]) == (identity, "127.0.0.1")


async def test_another_operators_certificate_is_refused_by_haproxy(
    ports: dict[str, int], pki: Pki, register: Register, identity: str
) -> None:
    """It cannot pass on the organisation: docs/security.md has the line of its configuration."""
    await register(security_profile=3)
    context = pki.context(pki.chargers.issue("foreign", identity, "Other"))
    with pytest.raises(CUT_OFF):
        await secured.status(ports["profile_3"], identity, context)


async def test_limits_are_those_of_the_chargers_address(
    ports: dict[str, int], pki: Pki, register: Register, identity: str
) -> None:
    """Whoever guesses from one address does not lock out the charger at another one."""
    await register(security_profile=2)
    port, context = ports["profile_2"], pki.context()
    guesser, own = ("127.0.0.3", 0), ("127.0.0.4", 0)
    guesses = [await secured.status(port, identity, context, b"x" * 20, local_addr=guesser) for _ in range(4)]
    assert guesses == [401, 401, 401, 503]
    assert await secured.status(port, identity, context, KEY, local_addr=own) == 101


async def test_health_checks_are_not_counted(house: Gateway, ports: dict[str, int]) -> None:
    """They have passed (see ``ports``), with a header that names no charger."""
    assert ports
    counted = [
        house.metric("voltgate_handshakes_total", result=result)
        for result in ("timeout", "bad_request", "proxy_untrusted", "proxy_missing", "tls_missing")
    ]
    assert counted == [0] * 5


async def test_a_header_from_anybody_else_is_reset_and_a_security_fact(
    house: Gateway, client: Client
) -> None:
    """A charger that reached the port directly could name any address and any common name."""
    noted = await client.subscribe("behind.security.proxy_untrusted.-")
    await settle(client)
    reader, writer = await asyncio.open_connection("127.0.0.1", house.ports[1])
    host, port = writer.get_extra_info("sockname")
    writer.write(b"\r\n\r\n\0\r\nQUIT\n\x20\x00\x00\x00")
    with pytest.raises(CUT_OFF):
        await reader.readexactly(1)
    writer.close()
    assert json.loads((await noted.next_msg(PATIENCE)).data)["remote"] == f"{host}:{port}"
    assert house.metric("voltgate_handshakes_total", result="proxy_untrusted") == 1
