"""docs/contract.md 3.4: money is not counted twice, however often and wherever a charger repeats itself."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator

import pytest

from e2e.house import PATIENCE, Gateway, config, gateway, own_gateway
from e2e.strangers import START, Backend, Expected, Facts, dial, sha, started, until
from jetstream import NatsServer

Backends = Callable[..., Awaitable[Backend]]


@pytest.fixture(scope="module")
def lonely(nats_server: NatsServer) -> Iterator[Gateway]:
    """A second worker, which waits for no backend."""
    with gateway(config(nats_server, nats={"ask_grace": 0.05})) as running:
        yield running


async def test_a_resend_on_a_new_connection_gets_the_same_answer(
    house: Gateway, identity: str, facts: Facts, backend: Backends
) -> None:
    """Other message ids, other sessions: each transaction is stored, asked and answered once."""
    asked = await backend(StartTransaction=started(1))
    other = START.replace("A1", "B2")
    async with dial(house.port, identity) as charger:
        assert await charger.ask(f'[2,"1","StartTransaction",{START}]') == f'[3,"1",{started(1)}]'
        asked.answers["StartTransaction"] = started(2)
        assert await charger.ask(f'[2,"2","StartTransaction",{other}]') == f'[3,"2",{started(2)}]'
        asked.answers["StartTransaction"] = started(3)
        assert await charger.ask(f'[2,"3","StartTransaction",{START}]') == f'[3,"3",{started(1)}]'
    async with dial(house.port, identity) as charger:
        assert await charger.ask(f'[2,"x","StartTransaction",{other}]') == f'[3,"x",{started(2)}]'
        assert await charger.ask(f'[2,"1","StartTransaction",{START}]') == f'[3,"1",{started(1)}]'
    kept = [fact.data.decode() for fact in await facts.stored("TX")]
    assert kept == [START, started(1), other, started(2)]
    assert len(asked.questions) == 2


async def test_a_start_nobody_answered_is_asked_again_with_the_same_key(
    lonely: Gateway, identity: str, facts: Facts, backend: Backends
) -> None:
    """The fact is there, the Response is not: the duplicate's question is the backend's idempotency key."""
    async with dial(lonely.port, identity) as charger:
        await charger.send(f'[2,"1","StartTransaction",{START}]')
        assert await charger.closed() == 1013
    asked = await backend(StartTransaction=started(5))
    await facts.link("down")
    async with dial(lonely.port, identity) as charger:
        assert await charger.ask(f'[2,"again","StartTransaction",{START}]') == f'[3,"again",{started(5)}]'
    stored = await facts.stored("TX")
    assert [fact.data.decode() for fact in stored] == [START, started(5)]
    assert {fact.headers["ocpp-key"] for fact in [*stored, *asked.questions]} == {
        f"{facts.token}/StartTransaction/{sha(START.encode())}"
    }


def event(number: int, kind: str = "Updated", more: str = "") -> str:
    return (
        f'{{"eventType":"{kind}","timestamp":"2026-03-01T10:00:00Z","triggerReason":"Authorized",'
        f'"seqNo":{number},"transactionInfo":{{"transactionId":"t/1"}}{more}}}'
    )


TOKEN = ',"idToken":{"idToken":"04A2","type":"ISO14443"}'


@pytest.mark.parametrize("version", ["v201", "v21"])
async def test_transaction_events_with_and_without_an_id_token(
    house: Gateway, identity: str, facts: Facts, backend: Backends, version: str
) -> None:
    """A token makes it a question, none is answered {} at once; a resend gets what the first got."""
    answer = '{"idTokenInfo":{"status":"Accepted"},"totalCost":1.50}'
    asked = await backend(TransactionEvent=answer)
    started_, updated = event(0, "Started", TOKEN), event(1)
    async with dial(house.port, identity, version) as charger:
        up = await facts.link("up")
        assert await charger.ask(f'[2,"1","TransactionEvent",{started_}]') == f'[3,"1",{answer}]'
        assert await charger.ask(f'[2,"2","TransactionEvent",{updated}]') == '[3,"2",{}]'
    asked.answers["TransactionEvent"] = '{"idTokenInfo":{"status":"Blocked"}}'
    async with dial(house.port, identity, version) as charger:
        assert await charger.ask(f'[2,"a","TransactionEvent",{started_}]') == f'[3,"a",{answer}]'
        assert await charger.ask(f'[2,"b","TransactionEvent",{updated}]') == '[3,"b",{}]'
    kept = await facts.stored("TX")
    assert [fact.data.decode() for fact in kept] == [started_, answer, updated]
    assert len(asked.questions) == 1
    first = Expected("tx", version, "TransactionEvent", identity, up["session"], "1", started_)
    first.check(await facts.find(".TransactionEvent."))


async def test_the_same_event_key_with_other_bytes_is_stored_and_counted(
    house: Gateway, identity: str, facts: Facts
) -> None:
    before = house.metric("voltgate_key_conflicts_total")
    one, two = event(1), event(1).replace("10:00", "10:01")
    async with dial(house.port, identity, "v201") as charger:
        for number, payload in enumerate([one, two, one]):
            assert await charger.ask(f'[2,"{number}","TransactionEvent",{payload}]') == f'[3,"{number}",{{}}]'
    kept = await facts.stored("TX")
    assert [fact.data.decode() for fact in kept] == [one, two]
    assert len({fact.headers["ocpp-key"] for fact in kept}) == 1
    await house.counts(before + 1, "voltgate_key_conflicts_total")


async def test_a_charger_without_a_clock_repeats_itself(house: Gateway, identity: str, facts: Facts) -> None:
    """In one session the same bytes are a resend; in the next they are another message."""
    payload = (
        '{"connectorId":1,"meterValue":[{"timestamp":"1970-01-01T00:00:00Z","sampledValue":[{"value":"1"}]}]}'
    )
    for _ in range(2):
        async with dial(house.port, identity) as charger:
            for number in range(2):
                assert await charger.ask(f'[2,"{number}","MeterValues",{payload}]') == f'[3,"{number}",{{}}]'
    assert [fact.data.decode() for fact in await facts.stored("TX")] == [payload] * 2


async def test_two_workers_agree_on_one_answer(
    house: Gateway,
    lonely: Gateway,
    identity: str,
    facts: Facts,
    backend: Backends,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The first worker's backend is slow, the charger resends elsewhere; both get the one stored answer."""
    for running in (house, lonely):  # links that come late: nothing public delays them
        follow = running.worker.roster.peers._feed  # noqa: SLF001
        monkeypatch.setattr(follow, "_took", lambda *message: None)
    asked = (await backend(StartTransaction=None)).withheld
    async with dial(house.port, identity) as one, dial(lonely.port, identity) as two:
        await one.send(f'[2,"1","StartTransaction",{START}]')
        await until(lambda: len(asked) == 1)
        await two.send(f'[2,"2","StartTransaction",{START}]')
        await until(lambda: len(asked) == 2)
        await asked[1].respond(started(22).encode())
        assert await two.hear() == f'[3,"2",{started(22)}]'
        await asked[0].respond(started(11).encode())
        assert await one.hear() == f'[3,"1",{started(22)}]'
    async with asyncio.timeout(PATIENCE):
        assert [fact.data.decode() for fact in await facts.stored("TX")] == [START, started(22)]


async def test_a_start_transaction_sent_under_several_ids_at_once_is_one_transaction(
    house: Gateway, identity: str, facts: Facts, backend: Backends
) -> None:
    """Weak firmware sends a StartTransaction under two ids at once (docs/ocpp.md C): one transaction."""
    asked = await backend(StartTransaction=started(1))
    async with dial(house.port, identity) as charger:
        await charger.send(*(f'[2,"{number}","StartTransaction",{START}]' for number in range(4)))
        asked.answers["StartTransaction"] = started(2)
        heard = [json.loads(await charger.hear()) for _ in range(4)]
    assert [answer[:2] for answer in heard] == [[3, str(number)] for number in range(4)]
    assert len({json.dumps(answer[2]) for answer in heard}) == len(asked.questions) == 1
    assert len(await facts.stored("TX")) == 2


async def test_a_violation_is_told_to_the_backend_too(
    nats_server: NatsServer, identity: str, facts: Facts, backend: Backends
) -> None:
    """A lenient question carries ``ocpp-violation`` like its fact; the reply is validated all the same."""
    asked = await backend(TransactionEvent='{"idTokenInfo":{"status":"Accepted"}}')
    payload = event(0, "Started", TOKEN).replace("10:00:00Z", "10:00:00")
    async with (
        own_gateway(config(nats_server, validation=None)) as lenient,
        dial(lenient.port, identity, "v201") as charger,
    ):
        heard = await charger.ask(f'[2,"1","TransactionEvent",{payload}]')
        assert heard == '[3,"1",{"idTokenInfo":{"status":"Accepted"}}]'
    fact = await facts.find(".TransactionEvent.")
    assert fact.headers["ocpp-violation"] == "PropertyConstraintViolation /timestamp"
    assert asked.questions[0].headers["ocpp-violation"] == fact.headers["ocpp-violation"]
