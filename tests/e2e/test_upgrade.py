"""docs/contract.md 2.1 at the door: identities, subprotocols, admission, and who is refused how."""

import asyncio
from collections.abc import Iterator
from urllib.parse import quote

import pytest
from nats.aio.client import Client

from e2e.house import PATIENCE, Gateway, config, gateway, own_gateway
from e2e.strangers import (
    PING,
    TEXT,
    Facts,
    answer_of,
    close_code,
    dial,
    frame,
    knock,
    read_frame,
    request,
    settle,
    until,
)  # fmt: skip
from jetstream import NatsServer

HEARTBEAT = b'[2,"1","Heartbeat",{}]'

LEGAL = {
    "RDAM 123": "a space (docs/ocpp.md A3)",
    "RDAM|123": "a pipe (docs/ocpp.md A3)",
    "a.b": "a dot separates NATS tokens",
    "a*": "a star is a NATS wildcard",
    ">": "a greater-than sign is a NATS wildcard",
    "100%": "a percent sign",
    "%20": "decoded once, not twice",
    "x" * 48: "48 characters",
    "ö" * 48: "48 characters, 96 bytes",
    "充電器": "any alphabet",
    "🔌" * 24: "96 bytes in 24 characters",
    "=41": "what looks like an escape in a token",
    "cp?x#y": "a question mark and a hash, percent-encoded",
    "a/b": "a slash, percent-encoded, is part of the identity",
    "Cp-1_~!$&'()+,;@": "what a URL allows",
}


@pytest.mark.parametrize("identity", LEGAL, ids=LEGAL.values())
async def test_a_legal_identity_comes_in_and_is_itself_on_nats(
    house: Gateway, facts: Facts, identity: str
) -> None:
    """Headers hold the identity, subjects its token, and no other charger's facts are heard there."""
    async with dial(house.port, identity) as charger:
        assert (await charger.ask('[2,"1","Heartbeat",{}]')).startswith('[3,"1",')
        up = await facts.link("up")
        assert up["identity"] == identity
        live = await facts.find("ocpp.live.v16.Heartbeat.")
        assert live.headers["ocpp-key"].startswith(f"{facts.token}/")
    down = await facts.link("down")
    assert (down["identity"], down["session"]) == (identity, up["session"])


PATHS = {
    "/path-1": ("path-1", "no prefix"),
    "/a/b/c/path-2": ("path-2", "any prefix"),
    "//ocpp//path-3": ("path-3", "doubled slashes (docs/ocpp.md B)"),
    "/ocpp/path-4/": ("path-4", "a slash behind it"),
    "/ocpp1.6/path-5": ("path-5", "a version in the URL decides nothing (docs/ocpp.md A1)"),
    "/ocpp/path-6?x=/1": ("path-6", "a query is no part of it"),
    "/ocpp/%70ath-7": ("path-7", "percent-encoded letters"),
    "/path-%c3%b6": ("path-ö", "percent-encoding in lower case"),
}


@pytest.mark.parametrize(("path", "name"), [(path, name) for path, (name, _) in PATHS.items()])
async def test_the_identity_is_the_last_segment(house: Gateway, client: Client, path: str, name: str) -> None:
    facts = Facts(client, name)
    await facts.listen()
    async with knock(house.port, request(path, "ocpp2.0.1")) as answer:
        assert answer.status == 101
        assert answer.headers["sec-websocket-protocol"] == "ocpp2.0.1"
        assert (await facts.link("up"))["identity"] == name


BAD_PATHS = {
    "/": "empty",
    "//": "empty segments only",
    "/ocpp/" + "x" * 49: "49 characters",
    "/ocpp/" + quote("ö" * 49): "49 characters in 98 bytes",
    "/ocpp/" + quote("🔌" * 25): "25 characters in 100 bytes",
    "/ocpp/a%0Ab": "a line feed",
    "/ocpp/%00": "NUL",
    "/ocpp/a%7F": "delete",
    "/ocpp/a%C2%85": "a control character beyond ASCII",
    "/ocpp/a:b": "a colon (docs/ocpp.md A3)",
    "/ocpp/a%3Ab": "a colon, percent-encoded",
    "/ocpp/%FF": "invalid UTF-8",
    "/ocpp/%C0%AF": "an overlong encoding",
    "/ocpp/%ED%A0%80": "a surrogate",
}


@pytest.mark.parametrize("path", BAD_PATHS, ids=BAD_PATHS.values())
async def test_an_illegal_identity_is_refused_with_400(house: Gateway, path: str) -> None:
    before = house.metric("voltgate_handshakes_total", result="bad_identity")
    async with knock(house.port, request(path)) as answer:
        assert answer.status == 400
        assert await answer.reader.read() == b""
    assert house.metric("voltgate_handshakes_total", result="bad_identity") == before + 1


OFFERS = {
    "ocpp1.6": "ocpp1.6",
    "ocpp2.0.1": "ocpp2.0.1",
    "ocpp2.1": "ocpp2.1",
    "ocpp2.0.1, ocpp1.6": "ocpp2.0.1",  # the client's order
    "ocpp1.6,ocpp2.1": "ocpp1.6",
    "ocpp0.1, ocpp2.0.1": "ocpp2.0.1",  # docs/ocpp.md E
    "ocpp2.0 , ocpp2.1 ,ocpp1.6": "ocpp2.1",
    " , ocpp1.6": "ocpp1.6",
}


@pytest.mark.parametrize(("offer", "chosen"), OFFERS.items())
async def test_the_first_offered_subprotocol_that_is_served(
    house: Gateway, identity: str, offer: str, chosen: str
) -> None:
    async with knock(house.port, request(f"/{quote(identity)}", offer)) as answer:
        assert (answer.status, answer.headers["sec-websocket-protocol"]) == (101, chosen)


async def test_subprotocols_in_several_headers_are_one_list(house: Gateway, identity: str) -> None:
    head = request(f"/{quote(identity)}", "ocpp0.1").replace(
        b"Host:", b"Sec-WebSocket-Protocol: ocpp2.1\r\nHost:", 1
    )
    async with knock(house.port, head) as answer:
        assert (answer.status, answer.headers["sec-websocket-protocol"]) == (101, "ocpp2.1")


UNMATCHED = {
    None: "no_subprotocol",
    "": "no_subprotocol",
    " ": "no_subprotocol",
    "ocpp1.5": "unserved_subprotocol",
    "OCPP1.6": "unserved_subprotocol",
    "ocpp1.5, soap": "unserved_subprotocol",
}


@pytest.mark.parametrize(("offer", "reason"), UNMATCHED.items())
async def test_no_common_subprotocol_is_refused_with_400(
    house: Gateway, identity: str, offer: str | None, reason: str
) -> None:
    before = house.metric("voltgate_handshakes_total", result=reason)
    async with knock(house.port, request(f"/{quote(identity)}", offer)) as answer:
        assert answer.status == 400
        assert "sec-websocket-protocol" not in answer.headers
    assert house.metric("voltgate_handshakes_total", result=reason) == before + 1


@pytest.fixture(scope="module")
def odd_doors(nats_server: NatsServer) -> Iterator[Gateway]:
    """Listener 0 closes what it cannot match, 1 assumes 1.6; the handshake may take 0.5 s."""
    settings = config(
        nats_server,
        {"unmatched": "close"},
        {"assume_version": "ocpp1.6"},
        limits={"handshake_timeout": 0.5, "max_connections": 3},
    )
    with gateway(settings) as running:
        yield running


@pytest.mark.parametrize(("offer", "reason"), UNMATCHED.items())
async def test_unmatched_close_is_ocpp_to_the_letter(
    odd_doors: Gateway, identity: str, facts: Facts, offer: str | None, reason: str
) -> None:
    """101 without a subprotocol, Close 1002 at once (docs/ocpp.md A2), and no link: nobody was there."""
    before = odd_doors.metric("voltgate_handshakes_total", result=reason)
    async with knock(odd_doors.port, request(f"/{quote(identity)}", offer)) as answer:
        assert answer.status == 101
        assert "sec-websocket-protocol" not in answer.headers
        assert await close_code(answer.reader) == 1002
    assert odd_doors.metric("voltgate_handshakes_total", result=reason) == before + 1
    await settle(facts.client)
    assert facts.seen == []


@pytest.mark.parametrize("offer", [None, ""])
async def test_assume_version_serves_chargers_that_offer_nothing(
    odd_doors: Gateway, identity: str, facts: Facts, offer: str | None
) -> None:
    async with knock(odd_doors.ports[1], request(f"/{quote(identity)}", offer)) as answer:
        assert answer.status == 101
        assert "sec-websocket-protocol" not in answer.headers
        answer.writer.write(frame(TEXT, HEARTBEAT))
        first, payload = await read_frame(answer.reader)
        assert (first, payload[:7]) == (0x81, b'[3,"1",')
        assert (await facts.link("up"))["version"] == "v16"


async def test_assume_version_is_not_for_chargers_that_offer_something_else(
    odd_doors: Gateway, identity: str
) -> None:
    async with knock(odd_doors.ports[1], request(f"/{quote(identity)}", "ocpp1.5")) as answer:
        assert answer.status == 400


NOT_UPGRADES = {
    "no Connection header": request("/CP", Connection=""),
    "no Upgrade header": request("/CP", Upgrade=""),
    "no key": request("/CP", Sec_WebSocket_Key=""),
    "a key of the wrong size": request("/CP", Sec_WebSocket_Key="c2hvcnQ="),
    "another websocket version": request("/CP", Sec_WebSocket_Version="8"),
    "a plain GET": b"GET /CP HTTP/1.1\r\nHost: x\r\n\r\n",
}


@pytest.mark.parametrize("head", NOT_UPGRADES.values(), ids=NOT_UPGRADES)
async def test_what_is_no_websocket_upgrade_gets_a_client_error(house: Gateway, head: bytes) -> None:
    before = house.metric("voltgate_handshakes_total")
    async with knock(house.port, head) as answer:
        assert 400 <= answer.status < 500
        assert await answer.reader.read() == b""
    assert house.metric("voltgate_handshakes_total") == before + 1


NOT_HTTP = {
    "not HTTP at all": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    "another method": request("/CP").replace(b"GET", b"POST", 1),
    "HTTP/1.0": request("/CP").replace(b"HTTP/1.1", b"HTTP/1.0", 1),
    "a header without a colon": b"GET /CP HTTP/1.1\r\nHost\r\n\r\n",
    "more than 32 KiB of head": b"GET /CP HTTP/1.1\r\n" + b"X: " + b"y" * 40_000,
    "an endless request line": b"GET /" + b"x" * 40_000,
    "128 KiB without a line end": b"\0" * 131_072,
}


@pytest.mark.parametrize("head", NOT_HTTP.values(), ids=NOT_HTTP)
async def test_malformed_http_ends_the_socket_and_is_counted(house: Gateway, head: bytes) -> None:
    """What cannot be read is not waited for."""
    before = house.metric("voltgate_handshakes_total", result="bad_request")
    reader, writer = await asyncio.open_connection("127.0.0.1", house.port)
    try:
        writer.write(head)
        async with asyncio.timeout(PATIENCE):
            answer = await _rest(reader)
        assert not answer or answer.startswith((b"HTTP/1.1 4", b"HTTP/1.1 505"))
    finally:
        writer.transport.abort()
    assert house.metric("voltgate_handshakes_total", result="bad_request") == before + 1


async def _rest(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.read()
    except ConnectionError:
        return b""


HALVES = {"nothing at all": b"", "half a head": request("/CP")[:-20], "one byte": b"G"}


@pytest.mark.parametrize("head", HALVES.values(), ids=HALVES)
async def test_an_upgrade_not_finished_in_time_is_closed(odd_doors: Gateway, head: bytes) -> None:
    before = odd_doors.metric("voltgate_handshakes_total", result="timeout")
    reader, writer = await asyncio.open_connection("127.0.0.1", odd_doors.port)
    try:
        writer.write(head)
        async with asyncio.timeout(PATIENCE):
            assert await _rest(reader) == b""
    finally:
        writer.transport.abort()
    assert odd_doors.metric("voltgate_handshakes_total", result="timeout") == before + 1


async def test_a_head_in_single_bytes_is_a_head(house: Gateway, identity: str) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", house.port)
    try:
        for byte in request(f"/{quote(identity)}"):
            writer.write(bytes([byte]))
            await writer.drain()
        assert (await answer_of(reader, writer)).status == 101
    finally:
        writer.transport.abort()


async def test_bytes_behind_the_head_wait_for_the_101(house: Gateway, identity: str) -> None:
    """A frame, half of another and a ping in the same packet as the head: served, in order, after the 101."""
    second = frame(TEXT, b'[2,"2","Heartbeat",{}]')
    early = request(f"/{quote(identity)}") + frame(TEXT, HEARTBEAT) + frame(PING, b"early") + second[:9]
    async with knock(house.port, early) as answer:
        assert answer.status == 101
        seen = {(await read_frame(answer.reader))[1][:7] for _ in range(2)}
        assert seen == {b'[3,"1",', b"early"}
        answer.writer.write(second[9:])
        assert (await read_frame(answer.reader))[1][:7] == b'[3,"2",'


async def test_bytes_behind_a_refused_head_are_not_looked_at(house: Gateway) -> None:
    early = request("/a:b") + frame(PING, b"early") + b"GET / HTTP/1.1\r\n\r\n"
    async with knock(house.port, early) as answer:
        assert answer.status == 400
        assert await answer.reader.read() == b""


IGNORED = {
    "credentials nobody asked for": {"Authorization": "Basic Q1A6c2VjcmV0"},
    "an origin": {"Origin": "https://evil.example"},
    "cookies and a long agent": {"Cookie": "a=b", "User_Agent": "x" * 2000},
    "Connection in a list": {"Connection": "keep-alive, Upgrade"},
    "words in capitals": {"Upgrade": "WebSocket", "Connection": "UPGRADE"},
}


@pytest.mark.parametrize("headers", IGNORED.values(), ids=IGNORED)
async def test_headers_that_change_nothing(house: Gateway, identity: str, headers: dict[str, str]) -> None:
    async with knock(house.port, request(f"/{quote(identity)}", **headers)) as answer:
        assert answer.status == 101


# -- who has to wait ------------------------------------------------------------------------------------


async def test_at_the_connection_cap_the_next_one_is_told_to_wait(odd_doors: Gateway, identity: str) -> None:
    async with (
        dial(odd_doors.port, identity + "a"),
        dial(odd_doors.port, identity + "b"),
        dial(odd_doors.port, identity + "c") as last,
    ):
        async with knock(odd_doors.port, request("/another")) as answer:
            assert answer.status == 503
            assert int(answer.headers["retry-after"]) > 0
        assert odd_doors.worker.checks()["connections"]
        await last.socket.close()
        await until(lambda: not odd_doors.worker.checks()["connections"])
        async with knock(odd_doors.port, request("/another")) as answer:
            assert answer.status == 101


async def test_more_handshakes_than_the_rate_are_told_to_wait(nats_server: NatsServer) -> None:
    """A burst of one second's worth comes in, the rest gets 503 with Retry-After values that differ."""
    async with own_gateway(config(nats_server, limits={"handshakes_per_second": 5})) as running:
        statuses, waits = [], set()
        for number in range(30):
            async with knock(running.port, request(f"/storm{number}")) as answer:
                statuses.append(answer.status)
                waits.add(answer.headers.get("retry-after"))
        assert statuses[:5] == [101] * 5
        assert statuses.count(503) >= 20
        assert running.metric("voltgate_handshakes_total", result="rate") == statuses.count(503)
        assert len(waits) > 2
        async with asyncio.timeout(PATIENCE):
            while True:
                async with knock(running.port, request("/later")) as answer:
                    if answer.status == 101:
                        break


# -- identity in use (docs/contract.md 3.6) -------------------------------------------------------------


async def test_a_live_charger_is_not_thrown_out_by_its_name(
    house: Gateway, identity: str, facts: Facts
) -> None:
    """Without authentication the old one is probed; it answers, the newcomer gets 503 and nothing changes."""
    async with dial(house.port, identity) as old:
        await facts.link("up")
        async with knock(house.port, request(f"/{quote(identity)}")) as answer:
            assert answer.status == 503
            assert int(answer.headers["retry-after"]) > 0
        assert house.metric("voltgate_handshakes_total", result="identity_in_use") >= 1
        assert (await old.ask('[2,"1","Heartbeat",{}]')).startswith("[3")
    assert (await facts.link("down"))["reason"] == "client"
    assert len(facts.about(".link.")) == 2


async def test_a_dead_connection_makes_room(house: Gateway, identity: str, facts: Facts) -> None:
    """A socket that answers no ping in 2 s is superseded, and its end cannot touch the newcomer's link."""
    async with knock(house.port, request(f"/{quote(identity)}")) as dead:
        old = await facts.link("up")
        async with dial(house.port, identity) as new:
            up = await facts.link("up")
            assert up["replaces"] == old["session"] != up["session"]
            assert (await new.ask('[2,"1","Heartbeat",{}]')).startswith("[3")
            assert await close_code(dead.reader) in (1006, 1008)
            await facts.kept_link(state="up", session=up["session"])
    assert (await facts.link("down"))["session"] == up["session"]
    states = [fact.json["state"] for fact in facts.about(".link.")]
    assert states == ["up", "up", "down"], "a superseded link writes none (docs/contract.md 3.6)"


async def test_only_an_upgrade_can_supersede(house: Gateway, identity: str, facts: Facts) -> None:
    """A plain GET of its URL does not even ask whether the silent charger is alive."""
    async with knock(house.port, request(f"/{quote(identity)}")) as silent:
        await facts.link("up")
        async with knock(house.port, request(f"/{quote(identity)}", Upgrade="")) as answer:
            assert answer.status in (400, 426)
        silent.writer.write(frame(TEXT, b'[2,"1","Heartbeat",{}]'))
        assert (await read_frame(silent.reader))[0] == 0x81, "an answer; no ping, and no close"


async def test_of_two_newcomers_one_wins(house: Gateway, identity: str, facts: Facts) -> None:
    """Both wait for the same dead socket; there is one session in the end."""
    head = request(f"/{quote(identity)}")
    async with knock(house.port, head):
        sockets = [await asyncio.open_connection("127.0.0.1", house.port) for _ in range(2)]
        try:
            for _, writer in sockets:
                writer.write(head)
            answers = await asyncio.gather(*(answer_of(*pair) for pair in sockets))
            assert 101 in [answer.status for answer in answers]
            for _ in range(1 + [answer.status for answer in answers].count(101)):
                up = await facts.link("up")
            await facts.kept_link(state="up", session=up["session"])
        finally:
            for _, writer in sockets:
                writer.transport.abort()


async def test_an_identity_that_changes_hands_too_often_is_flapping(
    house: Gateway, identity: str, facts: Facts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More than 5 takeovers a minute: 503 for a minute."""
    monkeypatch.setattr("voltgate.gateway.cluster.ownership.PROBE", 0.1)
    head = request(f"/{quote(identity)}")
    sockets = []
    try:
        for _ in range(7):
            reader, writer = await asyncio.open_connection("127.0.0.1", house.port)
            sockets.append(writer)
            writer.write(head)
            answer = await answer_of(reader, writer)
        assert answer.status == 503
        assert int(answer.headers["retry-after"]) >= 55
        assert house.metric("voltgate_handshakes_total", result="flapping") == 1
        assert len(facts.about(".link.")) <= 12
    finally:
        for writer in sockets:
            writer.transport.abort()
