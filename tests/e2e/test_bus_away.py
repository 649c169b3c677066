"""NATS killed, frozen or full. Nothing unstored is answered, and no CALLERROR says so.

See docs/contract.md 2.3.
"""

import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from nats.aio.client import Client
from websockets import ConnectionClosed

from e2e.house import Gateway, config, gateway
from e2e.outages import BEAT, STATUS, check_outage, meter, readiness, ready
from e2e.strangers import Backend, Facts, connected, dial, until
from jetstream import NatsServer


@pytest.fixture(scope="module")
def brittle(server: NatsServer) -> Iterator[Gateway]:
    nats = {"publish_timeout": 1.0, "outage_close": 60.0}
    with gateway(config(server, nats=nats, streams={"tx_max_bytes": 1 << 20})) as running:
        yield running


@pytest.fixture
async def client(server: NatsServer) -> AsyncIterator[Client]:
    client = await connected(server.url)
    yield client
    await client.close()


async def test_nats_killed_and_back(
    server: NatsServer, brittle: Gateway, identity: str, client: Client
) -> None:
    """CALLs that need it get 1013, idle chargers stay and live CALLs are answered; then all is well again."""
    async with (
        dial(brittle.port, identity + "-tx") as tx,
        dial(brittle.port, identity + "-event") as event,
        dial(brittle.port, identity + "-ask") as ask,
        dial(brittle.port, identity + "-reject") as reject,
        dial(brittle.port, identity + "-idle") as idle,
    ):
        assert await tx.ask(meter("0")) == '[3,"0",{}]'
        server.kill()
        await tx.send(meter("1"))
        assert await tx.closed() == 1013
        await event.send(STATUS)
        assert await event.closed() == 1013
        await ask.send('[2,"1","Authorize",{"idTag":"a"}]')
        assert await ask.closed() == 1013
        await reject.send('[2,"1","Bogus",{}]')
        assert await reject.closed() == 1013
        await check_outage(brittle, "nats")
        assert (await idle.ask(BEAT)).startswith('[3,"h"')
        server.start()
        await ready(brittle)
        assert await idle.ask(meter("2")) == '[3,"2",{}]'
        async with dial(brittle.port, identity + "-tx") as back:
            assert await back.ask(meter("1")) == '[3,"1",{}]'
    await until(lambda: brittle.metric("voltgate_disconnects_total", reason="not_stored") >= 3)


async def test_what_was_open_when_nats_died_is_not_answered(
    server: NatsServer, brittle: Gateway, identity: str, client: Client
) -> None:
    """A question and a fact on their way: the socket is closed, the charger resends and gets one answer."""
    facts = Facts(client, identity)
    backend = Backend(client, identity, {"StartTransaction": None})
    await backend.listen()
    payload = '{"connectorId":1,"idTag":"A1","meterStart":0,"timestamp":"2026-03-01T10:00:00Z"}'
    answer = '{"transactionId":4,"idTagInfo":{"status":"Accepted"}}'
    async with dial(brittle.port, identity) as charger:
        await charger.send(f'[2,"1","StartTransaction",{payload}]')
        await until(lambda: backend.questions)
        server.kill()
        assert await charger.closed() == 1013
    server.start()
    await ready(brittle)
    backend.answers["StartTransaction"] = answer
    await until(lambda: client.is_connected)
    async with dial(brittle.port, identity) as charger:
        assert await charger.ask(f'[2,"2","StartTransaction",{payload}]') == f'[3,"2",{answer}]'
    assert [fact.data.decode() for fact in await facts.stored("TX")] == [payload, answer]


async def test_a_frozen_nats_closes_within_publish_timeout(
    server: NatsServer, brittle: Gateway, identity: str, client: Client
) -> None:
    """No PubAck in time closes this charger's socket; three in a row are an outage."""
    async with (
        dial(brittle.port, identity + "1") as one,
        dial(brittle.port, identity + "2") as two,
        dial(brittle.port, identity + "3") as three,
    ):
        assert await one.ask(meter("0")) == '[3,"0",{}]'
        server.freeze()
        try:
            began = time.monotonic()
            await one.send(meter("1"))
            assert await one.closed() == 1013
            assert time.monotonic() - began > 0.9, "not before publish_timeout"
            assert (await readiness(brittle))[0] == 200
            await two.send(meter("1"))
            await three.send(meter("1"))
            assert await two.closed() == await three.closed() == 1013
            await check_outage(brittle, "streams")
        finally:
            server.thaw()
    await ready(brittle)
    async with dial(brittle.port, identity) as back:
        assert await back.ask(meter("1")) == '[3,"1",{}]'


async def test_a_full_tx_stream_presses_on_the_chargers(
    brittle: Gateway, identity: str, client: Client
) -> None:
    """1013 for what cannot be stored, 503 for upgrades, nothing deleted; over when there is room."""
    jetstream = client.jetstream()
    async with dial(brittle.port, identity) as charger, dial(brittle.port, identity + "-idle") as idle:
        stored = 0
        while True:
            await charger.send(meter(str(stored), 60_000))
            try:
                assert await charger.hear() == f'[3,"{stored}",{{}}]'
            except ConnectionClosed:
                break
            stored += 1
        assert charger.socket.close_code == 1013
        assert stored > 1
        await check_outage(brittle, "streams")
        assert (await idle.ask(BEAT)).startswith('[3,"h"')
        assert await idle.ask(STATUS) == '[3,"s",{}]'
        facts = Facts(client, identity)
        assert len(await facts.stored("TX")) == stored
        await until(lambda: brittle.metric("voltgate_stream_fill_ratio", stream="OCPP_TX") > 0.9)
        await jetstream.purge_stream("OCPP_TX")
        await ready(brittle)
        assert await idle.ask(meter("x")) == '[3,"x",{}]'


async def test_a_deleted_stream_is_an_outage(brittle: Gateway, identity: str, client: Client) -> None:
    """No stream takes the fact: no answer, 1013 within publish_timeout, until the stream is back."""
    jetstream = client.jetstream()
    settings = (await jetstream.stream_info("OCPP_TX")).config
    async with dial(brittle.port, identity) as charger, dial(brittle.port, identity + "b") as idle:
        await jetstream.delete_stream("OCPP_TX")
        await charger.send(meter("1"))
        assert await charger.closed() == 1013
        await check_outage(brittle, "streams")
        await jetstream.add_stream(settings)
        await ready(brittle)
        assert await idle.ask(meter("1")) == '[3,"1",{}]'


async def test_a_stream_that_is_back_in_time_was_never_away(
    brittle: Gateway, identity: str, client: Client
) -> None:
    """Short 503s are retried inside publish_timeout: the charger notices nothing."""
    jetstream = client.jetstream()
    settings = (await jetstream.stream_info("OCPP_TX")).config
    async with dial(brittle.port, identity) as charger:
        before = brittle.metric("voltgate_publish_retries_total")
        await jetstream.delete_stream("OCPP_TX")
        await charger.send(meter("1"))
        await until(lambda: brittle.metric("voltgate_publish_retries_total") > before)
        await jetstream.add_stream(settings)
        assert await charger.hear() == '[3,"1",{}]'
        assert (await readiness(brittle))[0] == 200


async def test_a_deleted_event_stream_is_no_outage_for_money(
    brittle: Gateway, identity: str, client: Client
) -> None:
    """The event is not answered; transactions go on."""
    jetstream = client.jetstream()
    settings = (await jetstream.stream_info("OCPP_EVENTS")).config
    await jetstream.delete_stream("OCPP_EVENTS")
    try:
        async with dial(brittle.port, identity) as charger, dial(brittle.port, identity + "b") as money:
            await charger.send(STATUS)
            assert await charger.closed() == 1013
            assert await money.ask(meter("1")) == '[3,"1",{}]'
            assert (await readiness(brittle))[0] == 200
    finally:
        await jetstream.add_stream(settings)


async def test_a_question_about_money_waits_for_its_fact(
    brittle: Gateway, identity: str, client: Client
) -> None:
    """Class tx is asked after the PubAck, class event meanwhile; neither is answered without it."""
    jetstream = client.jetstream()
    answers: dict[str, Any] = {
        "StartTransaction": '{"transactionId":1,"idTagInfo":{"status":"Accepted"}}',
        "Authorize": '{"idTagInfo":{"status":"Accepted"}}',
    }
    backend = Backend(client, identity, answers)
    await backend.listen()
    kept = [(await jetstream.stream_info(name)).config for name in ("OCPP_TX", "OCPP_EVENTS")]
    async with dial(brittle.port, identity) as charger, dial(brittle.port, identity + "b") as idle:
        for settings in kept:
            await jetstream.delete_stream(str(settings.name))
        await charger.send('[2,"1","Authorize",{"idTag":"a"}]')
        assert await charger.closed() == 1013
        for settings in kept:
            await jetstream.add_stream(settings)
        assert [question.subject.split(".")[3] for question in backend.questions] == ["Authorize"]
        assert await idle.ask(meter("1")) == '[3,"1",{}]'
    async with dial(brittle.port, identity) as charger:
        await jetstream.delete_stream("OCPP_TX")
        start = '{"connectorId":1,"idTag":"A1","meterStart":0,"timestamp":"2026-03-01T10:00:00Z"}'
        await charger.send(f'[2,"1","StartTransaction",{start}]')
        assert await charger.closed() == 1013
        assert len(backend.questions) == 1
        await jetstream.add_stream(kept[0])
    await ready(brittle)


async def test_idle_chargers_are_closed_in_a_long_outage(
    server: NatsServer, identity: str, client: Client
) -> None:
    """After nats.outage_close they are closed with 1013, so that they queue."""
    settings = config(
        server, nats={"publish_timeout": 1.0, "outage_close": 0.5}, streams={"tx_max_bytes": 1 << 20}
    )
    with gateway(settings, make_streams=False) as running:
        async with dial(running.port, identity) as one, dial(running.port, identity + "b") as two:
            assert (await one.ask(BEAT)).startswith('[3,"h"')
            server.kill()
            try:
                assert await one.closed() == await two.closed() == 1013
                await running.counts(2, "voltgate_disconnects_total", reason="outage")
            finally:
                server.start()
        await ready(running)


async def test_the_link_of_a_charger_that_left_meanwhile(
    server: NatsServer, brittle: Gateway, identity: str, client: Client
) -> None:
    """It could not be said during the outage; afterwards the stream says down, and up when it is back."""
    await ready(brittle)
    facts = Facts(client, identity)
    async with dial(brittle.port, identity) as charger:
        assert await charger.ask(STATUS) == '[3,"s",{}]'
        server.kill()
        await until(lambda: not brittle.worker.bus.connected)
    server.start()
    await ready(brittle)
    await until(lambda: client.is_connected)
    await facts.kept_link(state="down", reason="client")
    async with dial(brittle.port, identity) as charger:
        assert await charger.ask(STATUS) == '[3,"s",{}]'
        await facts.kept_link(state="up")


async def test_a_link_that_is_back_before_its_down_was_written_stays_up(
    server: NatsServer, brittle: Gateway, identity: str, client: Client
) -> None:
    """What is written late cannot touch the newer connection."""
    facts = Facts(client, identity)
    async with dial(brittle.port, identity) as charger:
        assert await charger.ask(STATUS) == '[3,"s",{}]'
        server.kill()
        await until(lambda: not brittle.worker.bus.connected)
    server.start()
    await ready(brittle)
    await until(lambda: client.is_connected)
    async with dial(brittle.port, identity) as charger:
        assert await charger.ask(STATUS) == '[3,"s",{}]'
        up = await facts.kept_link(state="up")
        assert await charger.ask(STATUS.replace('"s"', '"t"')) == '[3,"t",{}]'
        assert (await facts.kept_link()).json == up.json
