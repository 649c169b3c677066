"""Commands through NATS to chargers of mobilityhouse's ``ocpp``: all outcomes of docs/contract.md 3.5."""

import asyncio
import json
import os
import sys
from asyncio.subprocess import PIPE
from typing import Any

import nats
import ocpp.v16.call as call16
import ocpp.v16.call_result as result16
import ocpp.v21.call_result as result21
import ocpp.v201.call_result as result201
import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import NoRespondersError
from ocpp.exceptions import NotSupportedError
from ocpp.routing import on
from ocpp.v16 import ChargePoint as ChargePoint16
from ocpp.v21 import ChargePoint as ChargePoint21
from ocpp.v201 import ChargePoint as ChargePoint201

from e2e.commanding import commandable, commanded, heard_call, send
from e2e.house import PATIENCE, Gateway, config, own_gateway
from e2e.strangers import Charger, Facts, dial, settle, token
from jetstream import NatsServer

MASTERS: dict[str, tuple[Any, Any, dict[str, str]]] = {
    "v16": (ChargePoint16, result16, {"type": "Soft"}),
    "v201": (ChargePoint201, result201, {"type": "Immediate"}),
    "v21": (ChargePoint21, result21, {"type": "Immediate"}),
}


class Wire:
    """A charger's socket as mobilityhouse's ``ocpp`` wants it."""

    def __init__(self, charger: Charger) -> None:
        self.send = charger.send
        self.socket = charger.socket
        self.heard: list[int] = []  # message types

    async def recv(self) -> str:
        text = str(await self.socket.recv())
        self.heard.append(json.loads(text)[0])
        return text


@pytest.mark.parametrize("version", MASTERS)
async def test_a_real_charge_point_is_commanded_and_answers(
    version: str, house: Gateway, client: Client, identity: str, facts: Facts
) -> None:
    charge_point: Any
    charge_point, results, payload = MASTERS[version]
    resets: list[Any] = []

    class Point(charge_point):
        @on("Reset")
        def reset(self, **request: Any) -> Any:
            resets.append(request)
            return results.Reset(status="Accepted")

        @on("ClearCache")
        def clear_cache(self) -> Any:
            raise NotSupportedError("no cache")

    async with commanded(house, client, identity, version) as charger:
        listening = asyncio.ensure_future(Point(identity, Wire(charger)).start())
        outcome, reply = await send(client, identity, "Reset", payload)
        assert (outcome, json.loads(reply.data)) == ("result", {"status": "Accepted"})
        assert resets == [payload]
        up = await facts.link("up")
        told = reply.headers or {}
        assert (told["ocpp-version"], told["ocpp-session"]) == (version, up["session"])
        outcome, reply = await send(client, identity, "ClearCache")
        assert outcome == "error"
        assert json.loads(reply.data)["code"] == "NotSupported"
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)
    stored = await facts.stored("COMMANDS")
    assert [fact.subject.split(".")[3] for fact in stored] == [
        "Reset", "ResetResponse", "ClearCache", "ClearCacheResponse",
    ]  # fmt: skip
    assert [fact.headers.get("ocpp-outcome") for fact in stored] == [None, "result", None, "error"]
    assert stored[0].headers["ocpp-message-id"] == told["ocpp-message-id"]
    assert stored[0].json == payload
    assert stored[0].headers["ce-source"] == f"/chargers/{token(identity)}"


async def test_nobody_connected_is_no_responders(house: Gateway, client: Client, identity: str) -> None:
    with pytest.raises(NoRespondersError):
        await send(client, identity, "Reset", {"type": "Soft"})
    async with commanded(house, client, identity):
        pass
    async with asyncio.timeout(PATIENCE):
        while True:  # its socket closes after we have
            try:
                assert (await send(client, identity, "Reset", {"type": "Soft"}))[0] == "gone"
            except NoRespondersError:
                break


@pytest.mark.parametrize(
    ("version", "after"), [("v16", 0), ("v201", 0), ("v21", 1)], ids=["v16", "v201", "v21"]
)
async def test_a_result_that_violates_its_schema(
    version: str, after: int, house: Gateway, client: Client, identity: str
) -> None:
    async with commanded(house, client, identity, version) as charger:
        asked = asyncio.ensure_future(send(client, identity, "ClearCache"))
        message_id = await heard_call(charger)
        await charger.send(f'[3,"{message_id}",{{"status":"Nope"}}]')
        outcome, reply = await asked
        assert (outcome, reply.data) == ("bad_result", b'{"status":"Nope"}')
        if after:
            assert json.loads(await charger.hear())[:3] == [5, message_id, "PropertyConstraintViolation"]


async def test_what_cannot_be_sent_names_pointer_and_reason(
    house: Gateway, client: Client, identity: str
) -> None:
    async with commanded(house, client, identity):
        outcome, reply = await send(client, identity, "Reset", {"type": "Mild"})
        assert outcome == "invalid"
        body = json.loads(reply.data)
        assert (body["pointer"], bool(body["reason"])) == ("/type", True)
        assert (await send(client, identity, "SetVariables"))[0] == "invalid", "no action of 1.6"


async def test_busy_expired_timeout_and_the_late_answer(
    house: Gateway, client: Client, identity: str, facts: Facts
) -> None:
    async with commanded(house, client, identity) as charger:
        first = asyncio.ensure_future(send(client, identity, "Reset", {"type": "Soft"}, ocpp_timeout="1.0"))
        message_id = await heard_call(charger)
        queued = [
            asyncio.ensure_future(send(client, identity, "ClearCache", ocpp_timeout="0.3")) for _ in range(17)
        ]
        ends = [(await one)[0] for one in queued]
        assert sorted(ends) == ["busy", *["expired"] * 16]
        assert (await first)[0] == "timeout"
        await charger.send(f'[3,"{message_id}",{{"status":"Accepted"}}]')
        while "ocpp-late" not in (fact := await facts.find("ResetResponse")).headers:
            assert fact.headers["ocpp-outcome"] == "timeout"
        assert (fact.headers["ocpp-outcome"], fact.json) == ("result", {"status": "Accepted"})
        assert fact.headers["ocpp-message-id"] == message_id


async def test_when_the_charger_leaves_the_sent_one_is_lost_and_the_queued_one_gone(
    house: Gateway, client: Client, identity: str
) -> None:
    async with commanded(house, client, identity) as charger:
        sent = asyncio.ensure_future(send(client, identity, "Reset", {"type": "Soft"}))
        await heard_call(charger)
        queued = asyncio.ensure_future(send(client, identity, "ClearCache"))
        await settle(client)
    assert (await sent)[0] == "lost"
    assert (await queued)[0] == "gone"


async def test_a_command_whose_fact_cannot_be_stored_is_unavailable(
    nats_server: NatsServer, client: Client, identity: str
) -> None:
    """The stream of commands is gone: of this gateway's own prefix, the others need theirs."""
    own = {"prefix": "own", "rpc_prefix": "ownrpc", "stream_prefix": "OWN", "publish_timeout": 0.6}
    size = 64 << 20
    small = {"tx_max_bytes": size, "events_max_bytes": size, "commands_max_bytes": size}
    settings = config(nats_server, nats=own, streams=small)
    async with own_gateway(settings) as house, dial(house.port, identity):
        subject = f"ownrpc.send.Reset.{token(identity)}"
        await client.jetstream().delete_stream("OWN_COMMANDS")
        async with asyncio.timeout(PATIENCE):
            while True:
                try:
                    reply = await client.request(subject, b'{"type":"Soft"}', timeout=PATIENCE)
                    break
                except NoRespondersError:
                    await asyncio.sleep(0.01)
        assert reply.headers is not None
        assert reply.headers["ocpp-outcome"] == "unavailable"


async def test_a_repeat_under_a_command_id_is_not_sent_again(
    house: Gateway, client: Client, identity: str, facts: Facts
) -> None:
    named = {"ocpp_command_id": "c 1"}
    async with commanded(house, client, identity) as charger:
        asked = [
            asyncio.ensure_future(send(client, identity, "Reset", {"type": "Soft"}, **named))
            for _ in range(2)
        ]
        message_id = await heard_call(charger)
        await settle(client)
        await charger.send(f'[3,"{message_id}",{{"status":"Accepted"}}]')
        assert [(await one)[0] for one in asked] == ["result", "result"]
    async with commanded(house, client, identity) as charger:
        outcome, reply = await send(client, identity, "Reset", {"type": "Soft"}, **named)
        assert (outcome, json.loads(reply.data)) == ("result", {"status": "Accepted"})
        assert (reply.headers or {})["ocpp-message-id"] == message_id
        assert (await send(client, identity, "Reset", {"type": "Hard"}, **named))[0] == "invalid"
        lost = asyncio.ensure_future(send(client, identity, "ClearCache", ocpp_command_id="c2"))
        await heard_call(charger)
    assert (await lost)[0] == "lost"
    async with commanded(house, client, identity) as charger:
        assert (await send(client, identity, "ClearCache", ocpp_command_id="c2"))[0] == "lost"
    assert len(await facts.stored("COMMANDS")) == 4


async def test_commands_reach_a_charger_again_after_nats_was_away(tmp_path: Any, identity: str) -> None:
    """The client subscribes again; a charger that stayed is commanded without dialling anew."""
    server = NatsServer(tmp_path / "store")
    try:
        async with own_gateway(config(server)) as house, dial(house.port, identity) as charger:
            client = await nats.connect(server.url)
            await commandable(client, identity)
            await client.close()
            server.kill()
            server.start()
            async with asyncio.timeout(PATIENCE):
                while house.metric("voltgate_bus_connected") == 0 or house.worker.outage.reason:
                    await asyncio.sleep(0.01)
            client = await nats.connect(server.url)
            await commandable(client, identity)
            asked = asyncio.ensure_future(send(client, identity, "Reset", {"type": "Soft"}))
            message_id = await heard_call(charger)
            await charger.send(f'[3,"{message_id}",{{"status":"Accepted"}}]')
            assert (await asked)[0] == "result"
            await client.close()
    finally:
        server.kill()


async def in_flight(client: Client, rpc: str, charger: Charger, identity: str) -> asyncio.Future[Msg]:
    """A command the charger has, through a gateway with question subjects of its own; its reply."""
    subject, headers = f"{rpc}.send.Reset.{token(identity)}", {"ocpp-timeout": "9"}
    async with asyncio.timeout(PATIENCE):
        while True:
            try:
                await client.request(subject, b'{"type":"Mild"}', timeout=PATIENCE)
                break
            except NoRespondersError:
                await asyncio.sleep(0.01)
    sending = client.request(subject, b'{"type":"Soft"}', timeout=PATIENCE, headers=headers)
    return asyncio.ensure_future(sending)


async def test_a_drain_lets_the_command_in_flight_be_answered_and_takes_no_more(
    nats_server: NatsServer, client: Client, identity: str
) -> None:
    """docs/contract.md 4.5: CALLs in flight are finished, then the socket is closed with 1001."""
    settings = config(nats_server, nats={"rpc_prefix": "drainrpc"})
    async with own_gateway(settings) as house, dial(house.port, identity) as charger:
        asked = await in_flight(client, "drainrpc", charger, identity)
        message_id = await heard_call(charger)
        house.sigterm()
        async with asyncio.timeout(PATIENCE):
            while True:  # until it has heard of the drain
                try:
                    await client.request(f"drainrpc.send.Nonsense.{token(identity)}", b"{}", timeout=PATIENCE)
                except NoRespondersError:
                    break
        assert not asked.done()
        await charger.send(f'[3,"{message_id}",{{"status":"Accepted"}}]')
        assert ((await asked).headers or {})["ocpp-outcome"] == "result"
        assert await charger.closed() == 1001


@pytest.mark.parametrize("ends", ["a second SIGTERM", "drain.deadline"])
async def test_a_drain_that_is_cut_short_says_that_the_command_in_flight_is_lost(
    ends: str, nats_server: NatsServer, client: Client, identity: str, facts: Facts
) -> None:
    """The outcome leaves the process, as a reply and as a fact, before its connection to NATS ends."""
    drain = {"deadline": 0.5 if ends == "drain.deadline" else 60.0}
    settings = config(nats_server, nats={"rpc_prefix": "cutrpc"}, drain=drain)
    async with own_gateway(settings) as house, dial(house.port, identity) as charger:
        asked = await in_flight(client, "cutrpc", charger, identity)
        await heard_call(charger)
        house.sigterm()
        if ends == "a second SIGTERM":
            house.sigterm()
        assert ((await asked).headers or {})["ocpp-outcome"] == "lost"
        assert await charger.closed() == 1001
        await asyncio.to_thread(house.join)
    assert (await facts.stored("COMMANDS"))[-1].headers["ocpp-outcome"] == "lost"


@pytest.mark.parametrize("half", [True, False], ids=["half_duplex", "no quirk"])
async def test_a_command_and_the_chargers_own_open_call(
    half: bool, house: Gateway, client: Client, identity: str, backend: Any
) -> None:
    """With the quirk a real charge point gets the command after the answer to its own CALL, else before."""
    record = {"enabled": True, "quirks": ["half_duplex"] if half else []}
    bucket = await client.jetstream().key_value("ocpp_chargers")
    await bucket.put(token(identity), json.dumps(record).encode())
    asked, decided = asyncio.Event(), asyncio.Event()

    async def authorize(question: Msg) -> None:
        asked.set()
        await decided.wait()
        await question.respond(b'{"idTagInfo":{"status":"Accepted"}}')

    class Point(ChargePoint16):
        @on("Reset")
        def reset(self, **_: Any) -> Any:
            decided.set()
            return result16.Reset(status="Accepted")

    async with commanded(house, client, identity) as charger:
        await backend(Authorize=authorize)
        point = Point(identity, wire := Wire(charger))
        listening = asyncio.ensure_future(point.start())
        own = asyncio.ensure_future(point.call(call16.Authorize(id_tag="TAG")))
        await asked.wait()
        command = asyncio.ensure_future(send(client, identity, "Reset", {"type": "Soft"}))
        await settle(client)
        if half:
            assert wire.heard == []
            decided.set()
        assert (await command)[0] == "result"
        assert (await own).id_tag_info["status"] == "Accepted"
        assert wire.heard == ([3, 2] if half else [2, 3])
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)


async def test_the_command_line_sends_and_tells(
    nats_server: NatsServer, house: Gateway, client: Client, identity: str
) -> None:
    async def voltgate(*arguments: str) -> tuple[int | None, str, str]:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "voltgate", "send", *arguments, stdout=PIPE, stderr=PIPE,
            env=os.environ | {"VOLTGATE_NATS__URL": nats_server.url},
        )  # fmt: skip
        out, err = await process.communicate()
        return process.returncode, out.decode(), err.decode()

    code, out, err = await voltgate(identity, "Reset", '{"type":"Soft"}')
    assert (code, out, err) == (1, "", "voltgate: not_connected: the charger is not connected\n")
    async with commanded(house, client, identity) as charger:
        telling = asyncio.ensure_future(voltgate(identity, "Reset", '{"type":"Soft"}', "--command-id", "a b"))
        await charger.send(f'[3,"{await heard_call(charger)}",{{ "status":"Accepted"}}]')
        told = "voltgate: result: the charger answered\n"
        assert await telling == (0, '{ "status":"Accepted"}\n', told)
        repeat = await voltgate(identity, "Reset", '{"type":"Soft"}', "--command-id", "a b", "--json")
        assert repeat[0] == 0
        record = json.loads(repeat[1])
        assert (record["outcome"], record["code"], record["version"]) == ("result", None, "v16")
        assert (record["identity"], record["body"]) == (identity, {"status": "Accepted"})
        code, out, err = await voltgate(identity, "Reset", "nonsense", "--json")
        assert (code, out) == (2, "")
        assert err.startswith("voltgate: JSON: ")
        code, out, err = await voltgate(identity, "Reset", '{"type":"Maybe"}', "--json")
        assert (code, json.loads(out)["outcome"], json.loads(out)["code"]) == (1, "invalid", 400)
        code, out, err = await voltgate(identity, "ClearCache", "--timeout", "0.3")
        assert (code, out) == (1, "")
        assert err == "voltgate: timeout: sent, no answer in time: effect unknown\n"
