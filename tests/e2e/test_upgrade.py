"""docs/contract.md 2.1 at the door: identities, subprotocols, admission, and who is refused how."""

import asyncio
from collections.abc import Iterator
from urllib.parse import quote

import pytest

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


UNMATCHED = {
    None: "no_subprotocol",
    "": "no_subprotocol",
    " ": "no_subprotocol",
    "ocpp1.5": "unserved_subprotocol",
    "OCPP1.6": "unserved_subprotocol",
    "ocpp1.5, soap": "unserved_subprotocol",
}


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
    """They are read all the same: else the kernel would reset the socket, and the answer might be lost."""
    early = request("/a:b") + frame(PING, b"early") + b"GET / HTTP/1.1\r\n\r\n"
    async with knock(house.port, early) as answer:
        assert answer.status == 400
        assert await answer.reader.read() == b""


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


async def test_an_address_that_dials_too_often_is_reset(nats_server: NatsServer) -> None:
    """Before anything is read of it; other addresses are not concerned."""
    limits = {"source_accepts_burst": 2, "source_accepts_per_second": 0.001}
    async with own_gateway(config(nats_server, limits=limits)) as running:
        for number in range(2):
            async with knock(running.port, request(f"/{number}")) as answer:
                assert answer.status == 101
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            async with knock(running.port, request("/3")):
                pass
        await running.counts(1, "voltgate_handshakes_total", result="source_accepts")
        reader, writer = await asyncio.open_connection("127.0.0.1", running.port, local_addr=("127.0.0.3", 0))
        writer.write(request("/4"))
        assert (await answer_of(reader, writer)).status == 101
        writer.transport.abort()


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
