"""The bus among strangers: forged PubAcks, foreign reply subjects, bytes that are no text.

See docs/contract.md 3.5.
"""

import asyncio
import json
import re
from pathlib import Path

import nats
import pytest
from structlog.testing import capture_logs

import voltgate
from desk import EVENT, TX, Desk, desk
from e2e.strangers import until
from jetstream import NatsServer
from voltgate import _core
from voltgate.config import ConfigError, load
from voltgate.gateway.bus import uplink
from voltgate.gateway.bus.garbage import EVERY, Garbage
from voltgate.gateway.clock import Wheel
from voltgate.gateway.interfaces import Ack, NotStored, Request, Stored
from voltgate.gateway.telemetry.metrics import Metrics


def counted(at: Desk, kind: str) -> int:
    return at.metrics.bus_garbage.cell(kind)[0]


async def raw(at: Desk, subject: bytes, reply: bytes, data: bytes) -> None:
    """Publish bytes that no client library would."""
    await uplink.hand_over(at.client, b"PUB %s %s %d\r\n%s\r\n" % (subject, reply, len(data), data))


async def test_a_forged_pub_ack_completes_nothing(server: NatsServer) -> None:
    """Whoever subscribes to a fact sees its reply subject; this one is stored nowhere."""
    nats_ = {"publish_timeout": 3.0}  # so that all forgeries of the repeat come before the end
    async with (
        desk(server, make_streams=False, nats=nats_) as at,
        await nats.connect(server.url) as stranger,
    ):

        async def forge(message: nats.aio.msg.Msg) -> None:
            for stream in ("OCPP_EVENTS", "OCPP_TX\r\nPUB injected 0\r\n\r\n", 7, None):
                await stranger.publish(message.reply, json.dumps({"stream": stream, "seq": 1}).encode())
            await stranger.publish(message.reply, b"\xff" * 10)
            await stranger.publish(message.reply, b"{" * 900_000)

        await stranger.subscribe("ocpp.tx.>", cb=forge)
        await stranger.flush()
        with capture_logs() as logs:
            assert await at.store(TX) is NotStored.UNKNOWN
        assert counted(at, "ack") in {6, 12}, "class tx is sent again once"
        assert at.causes == ["timeout"]
        assert [line["event"] for line in logs] == ["message.refused"], "one line, no traceback"
        assert at.bus.connected


async def test_a_reply_subject_cannot_be_guessed(server: NatsServer) -> None:
    """What another fact's subject shows does not help."""
    async with desk(server) as at, await nats.connect(server.url) as stranger:
        ticket = at.bus.ticket(lambda arg, result: None, None)
        inbox, counter, tag = ticket.reply.rsplit(".", 2)
        assert re.fullmatch(r"_VOLTGATE\.[\w-]{22}", inbox)
        assert re.fullmatch(r"[0-9a-f]{16}", tag)
        storing = asyncio.create_task(at.store(EVENT))
        body = b'{"stream":"OCPP_EVENTS","seq":9}'
        for token in (f"{int(counter) + 1}.{tag}", f"{int(counter) + 1}.{'0' * 16}", "x.y", "0.0", "-1.1"):
            await stranger.publish(f"{inbox}.{token}", body)
        assert await storing == Ack("OCPP_EVENTS", 1, False)
        await raw(at, inbox.encode() + b".\xff\xfe.\x80", b"", body)
        await until(lambda: counted(at, "token") == 6)
        assert await at.store(EVENT) == Ack("OCPP_EVENTS", 2, False)


FOREIGN = [
    "$KV.ocpp_chargers.X",
    "$JS.API.STREAM.PURGE.OCPP_TX",
    "ocpp.tx.v16.StartTransaction.CP",
    "ocpprpc.send.Reset.CP",
    "_VOLTGATE.someone.1.2",
    "_INBOX",
    "_INBOXX.a",
    "_INBOX..a",
    "_INBOX.*",
    "_INBOX.a.>",
    "_INBOX." + "x" * 600,
]


@pytest.mark.parametrize("reply", FOREIGN)
async def test_a_command_that_wants_its_answer_elsewhere_is_not_taken(server: NatsServer, reply: str) -> None:
    heard: list[Request] = []
    async with desk(server) as at:
        at.bus.subscribe("ocpprpc.send.*.CP", heard.append)
        await at.store(EVENT)  # the subscription leaves before it
        with capture_logs() as logs:
            for _ in range(20):
                await raw(at, b"ocpprpc.send.Reset.CP", reply.encode(), b"{}")
            await raw(at, b"ocpprpc.send.Reset.CP", b"_INBOX.mine", b"{}")
            await until(lambda: heard)
        assert [one.reply for one in heard] == ["_INBOX.mine"]
        assert counted(at, "reply_subject") == 20
        assert len(logs) == 1, "rate-limited"


async def test_bytes_that_are_no_text_in_a_subject_end_nothing(server: NatsServer) -> None:
    """An action that is not text is unknown; a reply subject that is not text is answered nowhere."""
    heard: list[Request] = []
    async with desk(server) as at:
        at.bus.subscribe("ocpprpc.send.*.CP", heard.append)
        await at.store(EVENT)  # the subscription leaves before it
        plain = await at.client.subscribe("plain.*")
        with capture_logs() as logs:
            await raw(at, b"ocpprpc.send.\xff\xfe.CP", b"_INBOX.mine", b"{}")
            await raw(at, b"ocpprpc.send.Reset.CP", b"_INBOX.\xff", b"{}")
            await raw(at, b"plain.\xff", b"", b"nats-py would end the connection")
            await raw(at, b"plain.x", b"\xff", b"likewise")
            await raw(at, b"plain.x", b"", b"read")
            assert (await plain.next_msg()).data == b"read"
        assert [(one.subject, one.reply) for one in heard] == [
            ("ocpprpc.send.\ufffd\ufffd.CP", "_INBOX.mine")
        ]
        assert {line["event"] for line in logs} == {"message.refused"}
        assert at.bus.connections == 1


async def test_a_probe_of_another_gateway_is_answered_in_its_inbox_and_a_command_is_not(
    server: NatsServer,
) -> None:
    heard: list[Request] = []
    async with desk(server) as at:
        at.bus.subscribe("ocpprpc.link.*.CP", heard.append)
        at.bus.subscribe("ocpprpc.send.*.CP", heard.append)
        await at.store(EVENT)  # the subscription leaves before it
        own = at.bus.ticket(lambda arg, result: None, None).reply.encode()
        for subject in (b"ocpprpc.link.probe.CP", b"ocpprpc.send.Reset.CP"):
            for reply in (own, b"_VOLTGATE.other.1.2"):
                await raw(at, subject, reply, b"{}")
        await raw(at, b"ocpprpc.send.Reset.CP", b"_INBOX.mine", b"{}")
        await until(lambda: len(heard) == 2)
        assert [(one.subject, one.reply) for one in heard] == [
            ("ocpprpc.link.probe.CP", "_VOLTGATE.other.1.2"), ("ocpprpc.send.Reset.CP", "_INBOX.mine"),
        ]  # fmt: skip


async def test_a_read_is_answered_by_the_stream_that_was_asked_alone(server: NatsServer) -> None:
    """A forged record would let anybody log in."""
    async with desk(server) as at, await nats.connect(server.url) as stranger:

        async def forge(message: nats.aio.msg.Msg) -> None:
            for stream, seq, subject in (("OTHER", "1", TX), ("OCPP_TX", "x", TX), ("OCPP_TX", "1", EVENT)):
                headers = {"Nats-Stream": stream, "Nats-Sequence": seq, "Nats-Subject": subject}
                await stranger.publish(message.reply, b"forged", headers=headers)
            await stranger.publish(message.reply, b"forged")

        await at.store(TX, b"true")
        await stranger.subscribe("$JS.API.DIRECT.GET.>", cb=forge)
        await stranger.flush()
        read = await at.read("OCPP_TX", 0, TX)
        assert isinstance(read, Stored)
        assert (read.seq, read.data) == (1, b"true")


def test_a_kind_of_garbage_has_a_line_a_minute_and_every_message_is_counted() -> None:
    time = 100.0
    clock = Wheel(lambda: time, lambda: time)
    metrics = Metrics()
    garbage = Garbage(clock, metrics)
    with capture_logs() as logs:
        for _ in range(3):
            garbage("ack", "x" * 10_000)
            garbage("token", "y")
        assert [(line["kind"], len(line["error"])) for line in logs] == [("ack", 200), ("token", 1)]
        time += EVERY
        clock.refresh()
        garbage("ack", "z")
    assert len(logs) == 3
    assert [metrics.bus_garbage.cell(kind)[0] for kind in ("ack", "token", "link")] == [4, 3, 0]


@pytest.mark.parametrize(
    ("keys", "fault"),
    [
        ({"inbox_prefix": "_INBOX"}, "inbox_prefix: must not begin with one of reply_prefixes"),
        ({"inbox_prefix": "_R_.gateway"}, "inbox_prefix: must not begin with one of reply_prefixes"),
        ({"inbox_prefix": "ocpp"}, "inbox_prefix: ocpp must differ from prefix and rpc_prefix"),
        ({"inbox_prefix": "ocpprpc.x"}, "inbox_prefix: ocpprpc must differ"),
        ({"inbox_prefix": "$KV"}, "nats.inbox_prefix"),
        ({"inbox_prefix": "a.*"}, "nats.inbox_prefix"),
        ({"inbox_prefix": "a\r\nb"}, "nats.inbox_prefix"),
        ({"reply_prefixes": ["_INBOX", "ocpp"]}, "reply_prefixes: ocpp must differ"),
        ({"reply_prefixes": ["$JS"]}, "nats.reply_prefixes.0"),
        ({"reply_prefixes": []}, "nats.reply_prefixes"),
        ({"reply_prefixes": ["_VOLTGATE"]}, "reply_prefixes: must not begin with one of reply_prefixes"),
    ],
)
def test_prefixes_that_overlap_are_refused(keys: dict[str, object], fault: str) -> None:
    with pytest.raises(ConfigError) as error:
        load(nats=keys)
    assert fault in str(error.value)


def test_every_line_to_nats_is_built_by_the_checked_writer() -> None:
    """A subject in a format string is a way into the protocol."""
    written = re.compile(r"""[bfr]?["'](H?PUB|SUB|UNSUB|MSG)[ "']""")
    for path in sorted(Path(voltgate.__file__).parent.rglob("*.py")):
        for line in path.read_text().splitlines():
            found = written.search(line)
            # acks reads how a command begins; it writes none.
            assert found is None or path.name == "acks.py", f"{path}: {line}"


@pytest.mark.parametrize("bad", ["", "a b", "a\r\nPUB x 0\r\n", "a\tb", "a\x00", "x" * 2000])
def test_the_writer_refuses_what_is_no_subject(bad: str) -> None:
    with pytest.raises(ValueError, match="a subject"):
        _core.publish(bad, "", [], b"")
    with pytest.raises(ValueError, match="a subject"):
        _core.subscribe(bad, "", 1)
    with pytest.raises(ValueError, match="a subject"):
        _core.Publisher("v16", "CP", "s", bad)
    if bad:
        with pytest.raises(ValueError, match="a subject"):
            _core.publish("a", bad, [], b"")
        with pytest.raises(ValueError, match="a subject"):
            _core.subscribe("a", bad, 1)


ACCOUNTS = """
jetstream {{ store_dir: "{store}" }}
accounts {{
  GATEWAY {{
    jetstream: enabled
    users: [{{ user: gateway, password: x }}]
    exports: [{{ service: "ocpprpc.send.>", accounts: [BACKEND] }}]
  }}
  BACKEND {{
    users: [{{ user: backend, password: x }}]
    imports: [{{ service: {{ account: GATEWAY, subject: "ocpprpc.send.>" }} }}]
  }}
}}
"""


async def test_a_command_through_an_import_of_another_account_is_answered(tmp_path: Path) -> None:
    """The server gives such a caller a reply subject below ``_R_``, wherever its own inbox is."""
    (tmp_path / "nats.conf").write_text(ACCOUNTS.format(store=tmp_path / "store"))
    server = NatsServer(tmp_path / "server", ["-c", str(tmp_path / "nats.conf")])
    address = server.url.removeprefix("nats://")
    heard: list[Request] = []
    try:
        async with (
            desk(server, nats={"url": f"nats://gateway:x@{address}"}) as at,
            await nats.connect(f"nats://backend:x@{address}", inbox_prefix="_MINE") as backend,
        ):

            def answer(request: Request) -> None:
                heard.append(request)
                at.bus.emit(_core.publish(request.reply, "", [], b"done"))

            at.bus.subscribe("ocpprpc.send.*.CP", answer)
            await at.store(EVENT)
            reply = await backend.request("ocpprpc.send.Reset.CP", b"{}", timeout=10)
            assert reply.data == b"done"
            assert heard[0].reply.startswith("_R_.")
            assert counted(at, "reply_subject") == 0
    finally:
        server.kill()
