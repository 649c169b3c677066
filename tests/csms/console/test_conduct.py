"""Who violates the schemas and who talks most, from what a real gateway has stored."""

import nats
import orjson
import pytest

from csms.console.desk import Books, desk
from csms.console.stations import backend, station
from e2e.house import Gateway
from jetstream import NatsServer
from voltgate.csms.console import conduct, noise
from voltgate.csms.console.operations import Talkers, Violations


async def test_violations_and_talkers_are_counted_from_the_streams(
    server: NatsServer, house: Gateway, books: Books
) -> None:
    del house  # has made the streams
    books.charger("odd 1", vendor="<script>", model="M", firmware="1")
    client = await nats.connect(server.url)
    counted = {"action": "Authorize", "code": "C", "pointer": "/idTag", "count": 7}
    fact = {"identity": "odd 1", "version": "ocpp1.6", "violations": [counted]}
    await client.jetstream().publish("ocpp.violation.odd=201", orjson.dumps(fact))
    for action, count in (("MeterValues", 5), ("StartTransaction", 1), ("StartTransactionResponse", 1)):
        for number in range(count):
            await client.jetstream().publish(f"ocpp.tx.v16.{action}.odd=201", str(number).encode())
    await client.close()
    async with desk(server, books) as console:
        shown = await console.get("/violations?hours=1", role="viewer")
        Violations.model_validate(shown, strict=True)
        (row,) = shown["items"]
        assert (row["vendor"], row["count"], row["example"], shown["complete"]) == (
            "<script>",
            7,
            "odd 1",
            True,
        )
        assert (await console.get("/violations", sites=["south"]))["items"] == []
        shown = await console.get("/talkers", role="viewer")
        Talkers.model_validate(shown, strict=True)
        (row,) = shown["items"]
        assert (row["charger"], row["messages"], row["often"]) == ("odd 1", 6, "MeterValues")
        assert (shown["messages"], shown["complete"]) == (7, True)
        assert (await console.get("/talkers", sites=["south"]))["items"] == []


@pytest.mark.parametrize(("most", "messages", "complete"), [(6, 8, True), (4, 6, False)])
async def test_talkers_are_complete_where_each_stream_was_read_to_its_end(
    most: int, messages: int, complete: bool, alone: NatsServer, books: Books, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (noise, conduct):
        monkeypatch.setattr(module, "MOST", most)
    async with desk(alone, books) as console:
        for number in range(5):
            await console.client.jetstream().publish("ocpp.tx.v16.MeterValues.a", str(number).encode())
            if number % 2 == 0:
                await console.client.jetstream().publish("ocpp.event.v16.Heartbeat.a", b"")
        shown = await console.get("/talkers")
    assert (shown["messages"], shown["complete"]) == (messages, complete)


async def test_a_charger_at_a_real_gateway_is_a_talker(
    server: NatsServer, house: Gateway, books: Books
) -> None:
    books.charger("talks")
    async with backend(server), station(house, "v16", "talks"), desk(server, books) as console:
        shown = await console.get("/talkers")
        (row,) = (one for one in shown["items"] if one["charger"] == "talks")
        assert (row["messages"], row["often"]) == (3, "StatusNotification"), "a boot and two statuses"
