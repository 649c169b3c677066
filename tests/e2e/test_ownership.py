"""Who owns a charger, and what becomes of what a dead gateway held (docs/contract.md 3.6)."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import orjson
import pytest
from nats.aio.client import Client
from nats.errors import NoRespondersError
from nats.js.errors import KeyNotFoundError
from nats.js.kv import KeyValue
from websockets import InvalidStatus

from e2e.commanding import commandable
from e2e.guarded import Guarded
from e2e.house import PATIENCE, Gateway, config, gateway, own_gateway
from e2e.logins import KEY, fast, login
from e2e.serving import serving
from e2e.strangers import Facts, connected, dial, followed, knock, request, token, until

BEAT = '[2,"1","Heartbeat",{}]'
KEYS = ("session", "gateway", "epoch", "replaces")


@pytest.fixture(scope="module")
def pair(nats_server: Guarded) -> Iterator[tuple[Gateway, Gateway]]:
    """Two gateways that authenticate at their first port, against one NATS."""
    settings = config(nats_server, {"allow_unauthenticated": False}, {})  # the second takes anybody
    with gateway(settings) as one, gateway(settings) as other:
        yield one, other


@pytest.fixture
async def known(client: Client, pair: Any, identity: str) -> dict[str, str]:
    """The charger has a record; these are its headers."""
    del pair  # it has made the bucket
    bucket = await client.jetstream().key_value("ocpp_chargers")
    await bucket.put(token(identity), orjson.dumps({"enabled": True, "password_hashes": [fast(KEY)]}))
    return {"Authorization": login(identity, KEY)}


async def held(facts: Facts) -> Any:
    """The last link."""
    return (await facts.stored("LINKS"))[-1].json


async def test_the_authenticated_newest_wins_wherever_the_old_one_is(
    pair: tuple[Gateway, Gateway], identity: str, known: dict[str, str], facts: Facts, client: Client
) -> None:
    """The old one is closed as superseded and says nothing more; commands find the new one."""
    one, other = pair
    async with dial(one.port, identity, additional_headers=known) as old:
        first = await facts.link("up")
        async with dial(other.port, identity, additional_headers=known) as new:
            second = await facts.link("up")
            assert await old.closed() == 1008
            assert (second["replaces"], second["gateway"]) == (first["session"], other.worker.name)
            asking = asyncio.create_task(
                client.request(f"ocpprpc.send.ClearCache.{token(identity)}", b"", timeout=PATIENCE)
            )
            _, message_id, *_ = orjson.loads(await new.hear())
            await new.send(f'[3,"{message_id}",{{"status":"Accepted"}}]')
            assert ((await asking).headers or {})["ocpp-session"] == second["session"]
            assert (await new.ask(BEAT)).startswith("[3")
        assert (await facts.link("down"))["session"] == second["session"]
    assert [fact.json["state"] for fact in facts.about(".link.")] == ["up", "up", "down"]
    await until(lambda: one.metric("voltgate_disconnects_total", reason="superseded") >= 1)


async def test_of_two_that_come_at_once_one_stays(
    pair: tuple[Gateway, Gateway], identity: str, known: dict[str, str], facts: Facts
) -> None:
    """Whatever the order: one socket is left, and it is the one whose link stands."""
    for _ in range(5):  # more are flapping
        doors = [dial(gateway.port, identity, additional_headers=known) for gateway in pair]
        async with doors[0] as one, doors[1] as other:
            ends = [asyncio.create_task(charger.closed()) for charger in (one, other)]
            async with asyncio.timeout(PATIENCE):
                (ended,), (left,) = await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            assert ended.result() == 1008
            await facts.kept_link(state="up", gateway=pair[ends.index(left)].worker.name)
            assert not left.done()
            left.cancel()
        await facts.kept_link(state="down")


async def test_takeovers_on_all_gateways_count_together(
    pair: tuple[Gateway, Gateway], identity: str, known: dict[str, str], client: Client
) -> None:
    """The sixth within a minute is flapping, whichever gateway it comes to."""
    sockets = []
    try:
        for n in range(6):
            charger = dial(pair[n % 2].port, identity, additional_headers=known)
            sockets.append(charger)
            await charger.__aenter__()
            for gateway in pair:  # each has seen it
                await followed(gateway.ports[1], client)
        with pytest.raises(InvalidStatus) as refused:
            await dial(pair[0].port, identity, additional_headers=known).__aenter__()
        assert refused.value.response.status_code == 503
        assert int(refused.value.response.headers["Retry-After"]) >= 55
    finally:
        for charger in sockets:
            await charger.__aexit__(None, None, None)


async def test_a_live_charger_elsewhere_is_not_thrown_out_by_its_name(
    house: Gateway, nats_server: Guarded, identity: str, facts: Facts
) -> None:
    """Without authentication the other gateway is asked to probe it; one that is silent loses."""
    async with own_gateway(config(nats_server)) as other:
        async with dial(house.port, identity) as old:
            first = await facts.link("up")
            async with knock(other.port, request(f"/{quote(identity)}")) as answer:
                assert answer.status == 503
            await other.counts(1, "voltgate_handshakes_total", result="identity_in_use")
            assert (await old.ask(BEAT)).startswith("[3")
        await facts.link("down")
        async with knock(house.port, request(f"/{quote(identity)}")):  # never answers a ping
            silent = await facts.link("up")
            async with dial(other.port, identity) as new:
                newest = await facts.link("up")
                assert (newest["replaces"], newest["gateway"]) == (silent["session"], other.worker.name)
                assert (await new.ask(BEAT)).startswith("[3")
        assert first["session"] != newest["session"]


async def test_an_operator_can_probe_and_kick(
    house: Gateway, identity: str, facts: Facts, client: Client
) -> None:
    """Only who is connected responds; the kicked charger is told to come back."""
    probe, kick = (f"ocpprpc.link.{verb}.{token(identity)}" for verb in ("probe", "kick"))
    with pytest.raises(NoRespondersError):
        await client.request(probe, b"", timeout=PATIENCE)
    async with dial(house.port, identity) as charger:
        up = await facts.link("up")
        about = {"session": up["session"], "gateway": house.worker.name}
        await commandable(client, identity)
        answering = asyncio.create_task(charger.closed())
        assert orjson.loads((await client.request(probe, b"", timeout=PATIENCE)).data) == {
            "alive": True,
            **about,
        }
        assert orjson.loads((await client.request(kick, b"", timeout=PATIENCE)).data) == about
        assert await answering == 1012
    assert (await facts.link("down"))["reason"] == "kicked"
    with pytest.raises(NoRespondersError):
        await client.request(kick, b"", timeout=PATIENCE)


# -- gateways that die ---------------------------------------------------------------------------------


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Guarded]:
    """A NATS of this test's own: its gateways know no others."""
    server = Guarded(tmp_path / "store")
    yield server
    server.kill()


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Gateways of this process believe others dead earlier than docs/contract.md 3.6 says."""
    monkeypatch.setattr("voltgate.gateway.cluster.liveness.DEAD_AFTER", 5.5)


@pytest.fixture
async def wire(server: Guarded) -> AsyncIterator[Client]:
    async with asyncio.timeout(PATIENCE):
        client = await connected(server.url)
    yield client
    await client.close()


async def holds(bucket: KeyValue, key: str) -> bool:
    """Not by ``keys()``, which can end before the first entry (https://github.com/nats-io/nats.py/issues/842)."""
    try:
        await bucket.get(key)
    except KeyNotFoundError:
        return False
    return True


async def test_the_links_of_a_killed_gateway_are_set_down(
    server: Guarded, wire: Client, tmp_path: Path, hasty: None
) -> None:
    """By one that is alive; each names the gateway that is dead."""
    del hasty
    settings = config(server)
    here = {who: Facts(wire, who) for who in "ABC"}
    async with (
        own_gateway(settings) as living,
        serving(server.url_of("gateway"), tmp_path) as (killed, port),
        dial(port, "A"),
        dial(port, "B"),
        dial(living.port, "C"),
    ):
        up = {who: (await facts.kept_link(state="up")) for who, facts in here.items()}
        killed.kill()
        async with dial(living.port, "B"):  # nobody responds for it: it comes in at once
            down = await here["A"].kept_link(state="down", reason="gateway_lost")
            assert down.json["epoch"] == up["A"].seq
            same = ("identity", "version", "session", "gateway", "remote")
            assert [down.json[name] for name in same] == [up["A"].json[name] for name in same]
            assert (await held(here["B"]))["gateway"] == living.worker.name
            assert await held(here["C"]) == up["C"].json, "who lives keeps what it has"
    async with serving(server.url_of("gateway"), tmp_path) as (killed, port), dial(port, "A"):
        gone = (await here["A"].kept_link(state="up")).json["gateway"]
        killed.kill()
        killed.wait()
    async with own_gateway(settings) as late:
        await here["A"].kept_link(state="down", reason="gateway_lost")
        assert late.worker.name != gone
        signs = await wire.jetstream().key_value("ocpp_gateways")
        async with asyncio.timeout(PATIENCE):
            while await holds(signs, gone):  # the dead gateway is forgotten
                await asyncio.sleep(0.05)
