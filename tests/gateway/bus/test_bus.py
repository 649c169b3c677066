"""The bus against a real nats-server: PubAcks, questions, reading back, and NATS going and coming back."""

import asyncio
import time
from pathlib import Path
from typing import Any

import nats
import pytest
from nats.aio.client import Client
from nats.errors import NoRespondersError
from nats.errors import TimeoutError as NatsTimeout

from desk import EVENT, TX, desk
from jetstream import NatsServer
from voltgate.config import load
from voltgate.gateway.bus import streams
from voltgate.gateway.bus.bus import Bus
from voltgate.gateway.bus.connect import BusError
from voltgate.gateway.clock import Wheel
from voltgate.gateway.interfaces import Ack, NotRead, NotStored, Reply, Request, Stored
from voltgate.gateway.telemetry.metrics import Metrics


async def test_a_store_ends_with_the_sequence_and_a_repeat_with_the_first_ones(server: NatsServer) -> None:
    async with desk(server) as at:
        first = await at.store(TX, headers={"Nats-Msg-Id": "a"})
        other = await at.store(TX, headers={"Nats-Msg-Id": "b"})
        again = await at.store(TX, headers={"Nats-Msg-Id": "a"})
    assert (first, other) == (Ack("OCPP_TX", 1, False), Ack("OCPP_TX", 2, False))
    assert again == Ack("OCPP_TX", 1, True)
    assert at.causes == []


async def test_thousands_of_stores_at_once_are_all_acknowledged_in_order(server: NatsServer) -> None:
    async with desk(server, nats={"publish_timeout": 30}) as at:
        acks = await asyncio.gather(*(at.store(EVENT, b"%d" % n) for n in range(5000)))
    assert [ack.seq for ack in acks if isinstance(ack, Ack)] == list(range(1, 5001))


async def test_a_full_stream_refuses_at_once(server: NatsServer) -> None:
    async with desk(server, streams={"tx_max_bytes": 1 << 20}) as at:
        acks = [await at.store(TX, bytes(400_000)) for _ in range(4)]
    assert acks[0] is not None
    assert acks[-1] is NotStored.UNKNOWN
    assert at.causes[-1] == "full"


async def test_without_a_stream_a_store_is_tried_until_publish_timeout(server: NatsServer) -> None:
    async with desk(server, make_streams=False, nats={"publish_timeout": 0.8}) as at:
        assert await at.store(TX) is NotStored.UNKNOWN
        assert at.causes == ["no_responders"]
        assert at.metrics.publish_retries.cell()[0] >= 2


async def test_a_store_survives_a_stream_that_comes_a_little_later(server: NatsServer) -> None:
    async with desk(server, make_streams=False, nats={"publish_timeout": 10}) as at:
        storing = asyncio.create_task(at.store(TX))
        while not at.metrics.publish_retries.cell()[0]:
            await asyncio.sleep(0.01)
        await streams.apply(at.client, at.config)
        assert await storing == Ack("OCPP_TX", 1, False)


async def test_a_command_over_max_payload_is_refused_here_and_the_connection_lives(
    server: NatsServer,
) -> None:
    async with desk(server) as at:
        assert await at.store(EVENT, bytes(at.bus.max_payload)) is NotStored.UNKNOWN
        assert await at.store(EVENT) is not None


async def test_a_question_is_answered_or_has_no_responders_or_times_out(server: NatsServer) -> None:
    async with desk(server) as at:

        async def reply(message: Any) -> None:
            if message.subject.endswith("yes"):
                await at.client.publish(message.reply, b"!", headers={"ocpp-error": "GenericError"})
                await message.respond(b"twice is once too often")

        await at.client.subscribe("ocpprpc.ask.*", cb=reply)
        assert await at.ask("ocpprpc.ask.yes") == Reply("reply", {"ocpp-error": "GenericError"}, b"!")
        assert await at.ask("ocpprpc.ask.hangs", timeout=0.2) == Reply("timeout", {}, b"")
        assert await at.ask("ocpprpc.nobody") == Reply("no_responders", {}, b"")


async def test_a_stored_message_is_read_back_by_sequence_or_as_the_next_of_a_subject(
    server: NatsServer,
) -> None:
    async with desk(server) as at:
        await at.store(TX, b"1", {"key": "a"})
        await at.store(TX + "2", b"2", {"key": "b"})
        await at.store(TX + "2", b"3", {"key": "c"})
        second = await at.read("OCPP_TX", 1, TX + "2")
        assert isinstance(second, Stored)
        assert (second.seq, second.data, second.headers["key"]) == (2, b"2", "b")
        third = await at.read("OCPP_TX", 3)
        assert isinstance(third, Stored)
        assert third.data == b"3"
        assert await at.read("OCPP_TX", 4) is NotRead.MISSING


async def test_without_a_stream_a_read_is_tried_until_its_deadline(
    server: NatsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("voltgate.gateway.bus.bus._READ_TIMEOUT", 0.4)
    async with desk(server) as at:
        assert await at.read("NO_SUCH", 1) is NotRead.UNREADABLE


async def test_a_read_survives_a_stream_that_comes_a_little_later(server: NatsServer) -> None:
    """As a charger's record while its bucket elects a leader."""
    async with desk(server, make_streams=False) as at:
        reading = asyncio.create_task(at.read("OCPP_TX", 1))
        await at.ask("ocpprpc.nobody.listens")  # answered after the read was refused
        assert not reading.done()
        await streams.apply(at.client, at.config)
        assert await reading is NotRead.MISSING


async def test_a_read_that_is_lost_on_its_way_is_asked_once_more(
    server: NatsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("voltgate.gateway.bus.bus._READ_TIMEOUT", 1.0)
    asked = 0

    async def answer(message: Any) -> None:
        nonlocal asked
        asked += 1
        if asked == 2:
            headers = {"Nats-Stream": "OCPP_TX", "Nats-Sequence": "1", "Nats-Subject": TX}
            await stranger.publish(message.reply, b"it", headers=headers)

    async with desk(server, make_streams=False) as at, await nats.connect(server.url) as stranger:
        await stranger.subscribe("$JS.API.DIRECT.GET.OCPP_TX", cb=answer)
        await stranger.flush()
        read = await at.read("OCPP_TX", 1)
        assert isinstance(read, Stored)
        assert (read.data, asked) == (b"it", 2)


async def test_when_nats_dies_what_waits_fails_at_once_and_so_does_what_comes(server: NatsServer) -> None:
    async with desk(server, make_streams=False, nats={"publish_timeout": 60}) as at:
        asking = asyncio.create_task(at.ask("ocpprpc.nobody.listens", timeout=60))
        await asking
        storing = asyncio.create_task(at.store(TX))
        while not at.metrics.publish_retries.cell()[0]:
            await asyncio.sleep(0.01)
        server.kill()
        assert await asyncio.wait_for(storing, 10) is NotStored.UNKNOWN
        assert not at.bus.connected
        assert (await at.ask("ocpprpc.x")).outcome == "away"
        assert await at.read("OCPP_TX", 1) is NotRead.UNREADABLE
        server.start()
        while not at.bus.connected:
            await asyncio.sleep(0.01)
        await streams.apply(at.client, at.config)
        assert await at.store(EVENT) == Ack("OCPP_EVENTS", 1, False)
    assert [connected for connected, _ in at.changes] == [False, True]


async def test_a_frozen_nats_means_no_pubAck_in_time_and_the_deadline_is_kept(server: NatsServer) -> None:
    async with desk(server) as at:
        assert await at.store(TX) is not None
        server.freeze()
        began = time.monotonic()
        assert await at.store(TX) is NotStored.UNKNOWN
        assert 1.4 < time.monotonic() - began < 5
        assert at.causes[-1] == "timeout"
        server.thaw()


async def test_a_server_that_cannot_be_reached_is_one_readable_line(tmp_path: Path) -> None:
    config = load(nats={"url": "nats://user:secret@127.0.0.1:9"})
    with pytest.raises(BusError, match=r"NATS at .* cannot be") as error:
        await Bus(config.nats, Wheel(time.monotonic, time.time), Metrics()).start()
    assert "secret" not in str(error.value)


async def asked(client: Client, subject: str) -> str:
    """What a request on ``subject`` ends with."""
    try:
        await client.request(subject, b"?", timeout=0.2)
    except NoRespondersError:
        return "no responders"
    except NatsTimeout:
        return "timeout"
    return "reply"


async def test_an_interest_gets_requests_until_it_is_ended_and_then_nobody_responds(
    server: NatsServer,
) -> None:
    """Also after the client was replaced: it is the bus that remembers."""
    heard: list[Request] = []
    async with desk(server) as at, await nats.connect(server.url) as caller:
        interest = at.bus.subscribe("ocpprpc.send.*.CP", heard.append)
        at.bus.subscribe("ocpprpc.send.*.OTHER", heard.append)
        await at.client.close()
        async with asyncio.timeout(10):
            while await asked(caller, "ocpprpc.send.Reset.CP") != "timeout":
                await asyncio.sleep(0.01)
        assert {(one.subject, one.data) for one in heard} == {("ocpprpc.send.Reset.CP", b"?")}
        assert heard[0].reply
        interest.end()
        await until_ended(caller, "ocpprpc.send.Reset.CP")
        assert await asked(caller, "ocpprpc.send.Reset.OTHER") == "timeout", "and no other one with it"


async def until_ended(caller: Client, subject: str) -> None:
    async with asyncio.timeout(10):
        while await asked(caller, subject) != "no responders":
            await asyncio.sleep(0.01)
