"""A gateway of another release beside this one, played by a plain client out of golden messages.

Each test holds for what release 0.1.0 wrote, for a later release that says more, and for one that knew less
(docs/compatibility.md). What another release must not do, and survives: test_release_garbage.py.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from urllib.parse import quote

import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js.api import StreamConfig

from e2e.house import PATIENCE, Gateway, config, gateway, own_gateway
from e2e.releases import MESSAGES, OTHER, VOICES, Release
from e2e.strangers import (
    START,
    Backend,
    Fact,
    Facts,
    connected,
    dial,
    knock,
    request,
    settle,
    started,
    until,
)
from e2e.test_commands import commandable, heard_call, send
from e2e.test_credentials import KEY, asked, charger, login
from jetstream import NatsServer

NEW_KEY = b"0123456789abcdef0123456789abcdef"  # the second one of the golden record
SESSION = json.loads(MESSAGES["link_up"]["body"])["session"]


@dataclass
class Scene:
    """This release, and the voice of the other."""

    here: Gateway
    other: Release
    url: str


@pytest.fixture(scope="module", params=VOICES)
def scene(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """Each voice has a NATS of its own: golden messages are about the same chargers."""
    server = NatsServer(tmp_path_factory.mktemp("releases"))
    with gateway(config(server, {}, {"allow_unauthenticated": False})) as here:
        yield Scene(here, Release(request.param), server.url)
    server.kill()


@pytest.fixture
async def wire(scene: Scene) -> AsyncIterator[Client]:
    client = await connected(scene.url)
    yield client
    await client.close()


# -- links and signs of life ----------------------------------------------------------------------------


async def test_a_higher_epoch_elsewhere_closes_ours(scene: Scene, wire: Client) -> None:
    """The charger has dialled the other gateway: ours says good-bye, and nothing more about it."""
    facts = Facts(wire, "CP 2")
    await scene.other.store(wire, "sign_of_life")
    async with dial(scene.here.port, "CP 2") as old:
        ours = await facts.kept_link(state="up")
        stored = await scene.other.store(wire, "link_up_replacing", replaces=ours.json["session"])
        assert await old.closed() == 1008
    (link,) = await facts.stored("LINKS")
    assert link.seq == stored.seq


@pytest.mark.parametrize("ends", ["in silence", "with a good-bye"])
async def test_what_a_gateway_held_is_set_down_when_it_ends(
    scene: Scene, wire: Client, ends: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By us, under the epoch of its link, with what is known of it."""
    who = f"CP {ends}"
    facts, other = Facts(wire, who), scene.other
    await other.store(wire, "sign_of_life")
    up = await other.store(wire, "link_up", who)
    if ends == "in silence":
        monkeypatch.setattr("voltgate.gateway.cluster.liveness.DEAD_AFTER", 0.5)
    else:
        monkeypatch.setattr("voltgate.gateway.cluster.liveness._LEAVING", 0.2)
        await other.store(wire, "good_bye")
    down = await facts.kept_link(state="down")
    told = {"reason": "gateway_lost", "epoch": up.seq, "gateway": OTHER, "session": SESSION, "identity": who}
    assert told.items() <= down.json.items()


async def test_a_link_of_ours_that_was_set_down_stands_all_the_same(scene: Scene, wire: Client) -> None:
    """The other gateway believed us dead."""
    facts = Facts(wire, "CP 8")
    async with dial(scene.here.port, "CP 8"):
        ours = await facts.kept_link(state="up")
        down = {"session": ours.json["session"], "epoch": ours.seq, "reason": "gateway_lost"}
        stored = await scene.other.store(wire, "link_down", "CP 8", **down)
        again = await facts.kept_link(state="up")
        assert again.json["session"] == ours.json["session"]
        assert again.seq > stored.seq


@asynccontextmanager
async def answering(wire: Client, subject: str, reply: Fact) -> AsyncIterator[list[Msg]]:
    """The other gateway's subscription for a charger it holds."""
    heard: list[Msg] = []

    async def take(message: Msg) -> None:
        heard.append(message)
        await wire.publish(message.reply, reply.data, headers=reply.headers or None)

    subscription = await wire.subscribe(subject, queue="voltgate", cb=take)
    await settle(wire)
    yield heard
    await subscription.unsubscribe()
    await settle(wire)


async def test_its_word_that_a_charger_lives_keeps_strangers_out(scene: Scene, wire: Client) -> None:
    """Without authentication it is asked to probe the charger; when nobody answers the newcomer wins."""
    other, facts = scene.other, Facts(wire, "CP 5")
    await other.store(wire, "sign_of_life")
    await other.store(wire, "link_up", "CP 5")
    await until(lambda: scene.here.worker._peers.find("CP=205"))
    async with answering(wire, "ocpprpc.link.*.CP=205", other("probe_reply")) as heard:
        async with knock(scene.here.port, request(f"/{quote('CP 5')}")) as answer:
            assert answer.status == 503
        assert [message.subject for message in heard] == ["ocpprpc.link.probe.CP=205"]
    async with dial(scene.here.port, "CP 5"):
        ours = await facts.kept_link(state="up", gateway=scene.here.worker.name)
        assert ours.json["replaces"] == SESSION


async def test_its_probes_and_kicks_are_answered(scene: Scene, wire: Client) -> None:
    """With what else it may say in them."""
    probe, facts = scene.other("probe"), Facts(wire, "CP 9")
    body = b'{"patience":1}' if scene.other.voice == "later" else b""
    async with dial(scene.here.port, "CP 9") as held:
        session = (await facts.kept_link(state="up")).json["session"]
        await commandable(wire, "CP 9")
        ending = asyncio.create_task(held.closed())
        for verb, says in (("probe", {"alive": True}), ("kick", {})):
            subject = f"ocpprpc.link.{verb}.CP=209"
            reply = await wire.request(subject, body, timeout=PATIENCE, headers=probe.headers or None)
            assert json.loads(reply.data) == says | {"session": session, "gateway": scene.here.worker.name}
        assert await ending == 1012


# -- commands -------------------------------------------------------------------------------------------

SOFT = {"type": "Soft"}


async def test_a_command_id_the_other_has_used_is_recognised(scene: Scene, wire: Client) -> None:
    """Ended there: its outcome. Late: the answer. Open there, or unclear: lost. Never sent: sent, by us."""
    other = scene.other
    facts = (
        "command",
        "command_response",
        "command_slow",
        "command_timeout",
        "command_late",
        "command_masked",
    )
    for name in (*facts, "command_unsent", "command_unsent_response"):
        await other.store(wire, name)
    async with dial(scene.here.port, "CP 2") as held:
        await commandable(wire, "CP 2")

        async def repeated(action: str, payload: object, job: str) -> tuple[str, Msg]:
            return await send(wire, "CP 2", action, payload, ocpp_command_id=job)

        outcome, reply = await repeated("Reset", SOFT, "job 7")
        # Written with a space by the backend: facts keep its bytes.
        assert (outcome, json.loads(reply.data)) == ("result", {"status": "Accepted"})
        first = MESSAGES["command"]["headers"]["ocpp-message-id"]
        assert (reply.headers or {})["ocpp-message-id"] == first
        assert (await repeated("Reset", {"type": "Hard"}, "job 7"))[0] == "invalid"
        assert (await repeated("ClearCache", {}, "job 8"))[0] == "result"
        new = {"key": "AuthorizationKey", "value": "whatever it was, it is masked"}
        assert (await repeated("ChangeConfiguration", new, "job 9"))[0] == "lost"
        again = asyncio.create_task(repeated("ChangeConfiguration", new, "job 10"))
        await held.send(f'[3,"{await heard_call(held)}",{{"status":"Accepted"}}]')
        assert (await again)[0] == "result"


# -- transactions ---------------------------------------------------------------------------------------


async def test_what_the_other_was_answered_is_answered_again(scene: Scene, wire: Client) -> None:
    """The money is stored once, under the key both make of it; nobody is asked but where it was refused."""
    other = scene.other
    for name in ("transaction", "transaction_response", "transaction_refused", "event", "event_response"):
        await other.store(wire, name)
    backend = Backend(wire, "CP 1", {"StartTransaction": started(8)})
    await backend.listen()
    here = scene.here.port
    async with dial(here, "CP 1") as one, dial(here, "CP 3", "v201") as three:
        first = MESSAGES["transaction_response"]["body"]
        assert await one.ask(f'[2,"x","StartTransaction",{START}]') == f'[3,"x",{first}]'
        assert backend.questions == []
        event = MESSAGES["event"]["body"]
        heard = await three.ask(f'[2,"y","TransactionEvent",{event}]')
        assert heard == f'[3,"y",{MESSAGES["event_response"]["body"]}]'
        refused = START.replace("A1", "B2")
        assert await one.ask(f'[2,"z","StartTransaction",{refused}]') == f'[3,"z",{started(8)}]'
    stored = await Facts(wire, "CP 1").stored("TX")
    assert [fact.data.decode() for fact in stored] == [START, first, "{}", refused, started(8)]


async def test_of_two_answers_the_one_the_other_stored_wins(scene: Scene, wire: Client) -> None:
    """Both have asked their backends; ours is a duplicate."""
    answer = scene.other("transaction_response")
    identity = "CP 1"
    withheld: list[Msg] = []

    async def withhold(message: Msg) -> None:
        withheld.append(message)

    payload = START.replace("A1", "C3")
    await Backend(wire, identity, {"StartTransaction": withhold}).listen()
    async with dial(scene.here.port, identity) as one:
        await one.send(f'[2,"x","StartTransaction",{payload}]')
        await until(lambda: withheld)
        key = (withheld[0].headers or {})["ocpp-key"]
        fact = (await Facts(wire, identity).stored("TX"))[-1]
        assert fact.headers["ocpp-key"] == key
        ids = {"ocpp-key": key, "Nats-Msg-Id": fact.headers["Nats-Msg-Id"] + "/response"}
        await wire.jetstream().publish(answer.subject, answer.data, headers=answer.headers | ids)
        await withheld[0].respond(started(99).encode())
        assert await one.hear() == f'[3,"x",{answer.data.decode()}]'


# -- records --------------------------------------------------------------------------------------------


async def test_its_records_are_used(scene: Scene, wire: Client) -> None:
    """Whatever else stands in them, or does not: this one says 1.6 alone, unless it says nothing of it."""
    await scene.other.store(wire, "record")
    door = scene.here.ports[1]
    async with charger(door, "CP 4") as held:
        assert (await held.ask('[2,"1","Heartbeat",{}]')).startswith("[3")
    answer = await asked(door, "CP 4", login("CP 4", KEY), "ocpp2.0.1")
    assert answer.status == (400 if "versions" in scene.other("record").json else 101)


@pytest.mark.parametrize(
    ("change", "stays"),
    [("sent", ["new"]), ("in a way of a later release", ["old", "new"])],
)
async def test_a_password_change_the_other_has_begun_is_ended_here(
    scene: Scene, wire: Client, change: str, stays: list[str]
) -> None:
    """The new one logs in: the old one goes, unless nobody here knows what was begun; the rest stays."""
    await scene.other.store(wire, "record_changing", password_change=change)
    old, new = scene.other("record_changing").json["password_hashes"]
    async with charger(scene.here.ports[1], "CP 2", NEW_KEY):
        pass

    async def record() -> dict[str, object]:
        kept = await wire.jetstream().get_msg("KV_ocpp_chargers", subject="$KV.ocpp_chargers.CP=202")
        body: dict[str, object] = json.loads(kept.data or b"")
        return body

    hashes = [{"old": old, "new": new}[name] for name in stays]
    async with asyncio.timeout(PATIENCE):
        while (kept := await record())["password_hashes"] != hashes:
            await asyncio.sleep(0.01)
    assert ("later" in kept) == (scene.other.voice == "later")


# -- streams --------------------------------------------------------------------------------------------


async def test_a_gateway_starts_on_streams_that_a_later_release_has_made(nats_server: NatsServer) -> None:
    """In a rolling upgrade the streams change first: a gateway that falls then must come back."""
    settings = config(
        nats_server, nats={"stream_prefix": "LATER", "prefix": "later", "rpc_prefix": "laterrpc"}
    )
    async with own_gateway(settings):
        pass
    client = await connected(nats_server.url)
    have: StreamConfig = (await client.jsm().stream_info("LATER_REJECTS")).config
    subjects = [*(have.subjects or ()), "later.shade.>"]
    await client.jsm().update_stream(have.evolve(subjects=subjects, metadata={"voltgate_release": "0.999.0"}))
    await client.close()
    async with own_gateway(settings, make_streams=False) as here, dial(here.port, "CP") as held:
        assert (await held.ask('[2,"1","Heartbeat",{}]')).startswith("[3")
