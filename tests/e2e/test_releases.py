"""A gateway of another release beside this one, played by a plain client out of golden messages.

Readers ignore what they do not know (docs/compatibility.md). `make test-upgrade` has two real releases.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from urllib.parse import quote

import pytest
import structlog
from nats.aio.client import Client
from nats.aio.msg import Msg

from e2e.commanding import commandable, heard_call, send
from e2e.guarded import PASSWORD, Guarded
from e2e.house import PATIENCE, Gateway, config, gateway, own_gateway
from e2e.logins import KEY, asked, charger, login
from e2e.releases import MESSAGES, OTHER, departures, golden, store
from e2e.strangers import (
    START,
    Backend,
    Fact,
    Facts,
    connected,
    dial,
    followed,
    knock,
    request,
    settle,
    started,
    token,
    until,
)  # fmt: skip
from jetstream import NatsServer

StartNats = Callable[..., NatsServer]
NEW_KEY = b"0123456789abcdef0123456789abcdef"  # the second one of the golden record
SOFT = {"type": "Soft"}
STATUS = '[2,"s","StatusNotification",{"connectorId":1,"errorCode":"NoError","status":"Available"}]'


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """This release, alone on its NATS; its second port wants credentials."""
    server = Guarded(tmp_path_factory.mktemp("releases"))
    with gateway(config(server, {}, {"allow_unauthenticated": False})) as running:
        yield running
    server.kill()


@pytest.fixture
async def wire(here: Gateway) -> AsyncIterator[Client]:
    client = await connected(here.config.nats.urls[0].replace(f"gateway:{PASSWORD}@", ""))
    yield client
    await client.close()


# Each holds for what 0.1.0 wrote and for a later release that writes more.
later = pytest.mark.parametrize("later", [False, True], ids=["as written", "later"])


@later
async def test_a_higher_epoch_elsewhere_closes_ours(here: Gateway, wire: Client, later: bool) -> None:
    facts = Facts(wire, f"moves {later}")
    async with dial(here.port, facts.identity) as old:
        ours = await facts.kept_link(state="up")
        up = golden("link_up_replacing", facts.identity, later, replaces=ours.json["session"])
        stored = await store(wire, up)
        assert await old.closed() == 1008
    (link,) = await facts.stored("LINKS")
    assert link.seq == stored.seq, "no down is written behind it"


@later
@pytest.mark.parametrize("ends", ["silent", "purged"])
async def test_the_links_of_a_gateway_that_ended_are_set_down(
    here: Gateway, wire: Client, ends: str, later: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    facts = Facts(wire, f"{ends} {later}")
    await store(wire, golden("sign_of_life", later=later))
    up = await store(wire, golden("link_up", facts.identity, later))
    if ends == "silent":
        monkeypatch.setattr("voltgate.gateway.cluster.liveness.DEAD_AFTER", 0.5)
    else:
        monkeypatch.setattr("voltgate.gateway.cluster.liveness._LEAVING", 0.2)
        await store(wire, golden("good_bye"))
    down = await facts.kept_link(state="down")
    expected = {"reason": "gateway_lost", "epoch": up.seq, "gateway": OTHER, "identity": facts.identity}
    assert expected.items() <= down.json.items()


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


GARBAGE = [b"", b"null", b"7", b"[]", b"{", b"\xff\xfe", b"{}", b"[" * 5000, b'{"alive":"x"}']


@pytest.mark.parametrize("reply", [golden("probe_reply"), golden("probe_reply", later=True), *GARBAGE])
async def test_a_newcomer_is_refused_only_when_the_other_gateway_says_that_the_charger_lives(
    here: Gateway, wire: Client, reply: Fact | bytes, identity: str
) -> None:
    alive = isinstance(reply, Fact)
    said = reply if isinstance(reply, Fact) else golden("probe_reply")._replace(data=reply)
    identity = f"{identity} CP 2"  # any text
    await store(wire, golden("sign_of_life"))
    await store(wire, golden("link_up", identity))
    await followed(here.port, wire)
    async with answering(wire, f"ocpprpc.link.*.{token(identity)}", said) as heard:
        async with knock(here.port, request(f"/{quote(identity)}")) as answer:
            assert answer.status == (503 if alive else 101)
        assert [message.subject for message in heard] == [f"ocpprpc.link.probe.{token(identity)}"]


@later
async def test_a_command_id_the_other_has_used_is_recognised(
    here: Gateway, wire: Client, later: bool, identity: str
) -> None:
    """Ended there: its outcome. Open there, or in words nobody can read: lost. Never seen: sent."""
    used = golden("command", identity, later)
    await store(wire, used)
    await store(wire, golden("command_response", identity, later))
    job = used.headers | {"ocpp-key": "k"}
    await store(wire, used._replace(headers=job | {"Nats-Msg-Id": f"{token(identity)}/open"}))
    unread = {"ce-type": "Reset", "Nats-Msg-Id": f"{token(identity)}/unread"}
    await store(wire, used._replace(headers=unread, data=b"\xff"))
    async with dial(here.port, identity) as held:
        await commandable(wire, identity)
        outcome, reply = await send(wire, identity, "Reset", SOFT, ocpp_command_id="job 7")
        assert (outcome, json.loads(reply.data)) == ("result", {"status": "Accepted"})
        for lost in ("open", "unread"):
            assert (await send(wire, identity, "Reset", SOFT, ocpp_command_id=lost))[0] == "lost"
        fresh = asyncio.create_task(send(wire, identity, "Reset", SOFT, ocpp_command_id="fresh"))
        await held.send(f'[3,"{await heard_call(held)}",{{"status":"Accepted"}}]')
        assert (await fresh)[0] == "result"


@later
async def test_what_the_other_was_answered_is_answered_again(
    here: Gateway, wire: Client, later: bool
) -> None:
    """The same charger, so that both make the same key: stored once, and no backend is asked."""
    await store(wire, golden("transaction", later=later))
    await store(wire, golden("transaction_response", later=later))
    first = MESSAGES["transaction_response"]["body"]
    async with dial(here.port, "CP 1") as one:
        assert await one.ask(f'[2,"x","StartTransaction",{START}]') == f'[3,"x",{first}]'
    kept = [fact.data.decode() for fact in await Facts(wire, "CP 1").stored("TX")]
    assert kept == [START, first]


@pytest.mark.parametrize("body", [golden("transaction_response").data, b"", b"\xff", b"[]", b'{"a":'])
async def test_a_valid_answer_that_the_other_release_stored_first_wins(
    here: Gateway, wire: Client, body: bytes, identity: str
) -> None:
    backend = Backend(wire, identity, {"StartTransaction": None})
    await backend.listen()
    withheld = backend.withheld
    async with dial(here.port, identity) as one:
        await one.send(f'[2,"x","StartTransaction",{START}]')
        await until(lambda: withheld)
        (fact,) = await Facts(wire, identity).stored("TX")
        ids = {"ocpp-key": fact.headers["ocpp-key"], "Nats-Msg-Id": fact.headers["Nats-Msg-Id"] + "/response"}
        answer = golden("transaction_response", identity)
        await store(wire, answer._replace(headers=answer.headers | ids, data=body))
        await withheld[0].respond(started(99).encode())
        wins = body.decode() if len(body) > 5 else started(99)
        assert await one.hear() == f'[3,"x",{wins}]'


@later
async def test_records_of_the_other_release_are_used_and_keep_unknown_keys(
    here: Gateway, wire: Client, later: bool
) -> None:
    """A password change that it began ends here, when the new password logs in."""
    await store(wire, golden("record", later=later))
    async with charger(here.ports[1], "CP 4") as held:
        assert (await held.ask(STATUS)) == '[3,"s",{}]'
    assert (await asked(here.ports[1], "CP 4", login("CP 4", KEY), "ocpp2.0.1")).status == 400
    bucket = await wire.jetstream().key_value("ocpp_chargers")
    for change, stays in (("sent", 1), ("in a way of a later release", 2)):
        begun = golden("record_changing", later=later, password_change=change)
        await store(wire, begun)
        async with charger(here.ports[1], "CP 2", NEW_KEY), asyncio.timeout(PATIENCE):
            kept = begun.json
            while kept["password_hashes"] != begun.json["password_hashes"][-stays:]:
                kept = json.loads((await bucket.get("CP=202")).value or b"")
        assert ("later" in kept) == later


async def test_garbage_on_every_subject_is_ignored(here: Gateway, wire: Client, identity: str) -> None:
    """No charger is closed, nothing is logged as an error, and a clear message afterwards takes effect."""
    facts, mine = Facts(wire, identity), token(identity)
    named = [b'{"state":"up","session":1,"gateway":"x"}', b'{"state":"asleep","session":"s","gateway":"x"}']
    named += [b'{"state":"up","session":"s","gateway":%s}' % name for name in (b"5", b"null", b'["*"]')]
    places = [f"ocpp.link.{mine}", "ocpp.link.=ZZ", f"$KV.ocpp_chargers.{mine}", "$KV.ocpp_chargers.a.b"]
    places += ["$KV.ocpp_gateways.a.b", "$KV.ocpp_gateways.=", f"ocpprpc.link.dance.{mine}"]
    headers = [None, {"Status": "404"}, {"Nats-Sequence": "x"}, {"KV-Operation": "?"}]
    with structlog.testing.capture_logs() as lines:
        async with dial(here.port, identity) as held:
            await commandable(wire, identity)
            for place in places:
                for number, body in enumerate([*GARBAGE, *named]):
                    await wire.publish(place, body, headers=headers[number % len(headers)])
            for gateway_name in ("*", ">", "a b", "", "..", "x" * 300):
                await store(wire, golden("link_up", f"of {len(gateway_name)}", gateway=gateway_name))
            await settle(wire)
            await followed(here.port, wire)
            assert await held.ask(STATUS) == '[3,"s",{}]'
            await store(wire, golden("link_up_replacing", identity))
            assert await held.closed() == 1008
    assert [line for line in lines if line["log_level"] in ("error", "critical")] == []
    assert here.faults == []
    assert (await facts.stored("LINKS"))[-1].json["gateway"] == OTHER


async def test_this_release_writes_all_that_release_0_1_0_wrote(start_nats: StartNats) -> None:
    """A field or header that is dropped, renamed or of another form is named here."""
    server = start_nats("-js")
    client = await connected(server.url)
    one, two = Facts(client, "CP 1"), Facts(client, "CP 2")
    for facts in (one, two):
        await facts.listen()
    await Backend(client, "CP 1", {"StartTransaction": started(7)}).listen()
    async with own_gateway(config(server)) as running:
        async with dial(running.port, "CP 1") as first:
            await first.ask(f'[2,"1","StartTransaction",{START}]')
        async with dial(running.port, "CP 2") as second:
            await commandable(client, "CP 2")
            sending = asyncio.create_task(send(client, "CP 2", "Reset", SOFT, ocpp_command_id="job 7"))
            await second.send(f'[3,"{await heard_call(second)}",{{"status":"Accepted"}}]')
            await sending
        await one.kept_link(state="down")
        own = running.worker.name
        sign = await client.jetstream().get_msg("KV_ocpp_gateways", subject=f"$KV.ocpp_gateways.{own}")
    written = {
        "sign_of_life": Fact(str(sign.subject), dict(sign.headers or {}), sign.data or b""),
        "link_up": one.about(".link.")[0],
        "link_down": one.about(".link.")[-1],
        "transaction": one.about(".StartTransaction.")[0],
        "transaction_response": one.about(".StartTransactionResponse.")[0],
        "command": two.about(".Reset.")[0],
        "command_response": two.about(".ResetResponse.")[0],
    }
    await client.close()
    assert [line for name, fact in written.items() for line in departures(name, fact, own)] == []
    for name, fact in written.items():
        for header in MESSAGES[name]["headers"]:
            less = {key: value for key, value in fact.headers.items() if key != header}
            assert departures(name, fact._replace(headers=less), own), f"{name} without {header} is noticed"


async def test_a_gateway_starts_on_streams_that_a_later_release_has_made(nats_server: NatsServer) -> None:
    """In a rolling upgrade the streams change first: a gateway that restarts then must come back."""
    nats = {"stream_prefix": "LATER", "prefix": "later", "rpc_prefix": "laterrpc"}
    settings = config(nats_server, nats=nats)
    async with own_gateway(settings):
        pass
    client = await connected(nats_server.url)
    have = (await client.jsm().stream_info("LATER_REJECTS")).config
    subjects = [*(have.subjects or ()), "later.shade.>"]
    await client.jsm().update_stream(have.evolve(subjects=subjects, metadata={"voltgate_release": "0.999.0"}))
    await client.close()
    async with own_gateway(settings, make_streams=False) as running, dial(running.port, "CP") as held:
        assert (await held.ask('[2,"1","Heartbeat",{}]')).startswith("[3")
