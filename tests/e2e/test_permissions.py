"""The users of deploy/nats: with their permissions all of it works, and nothing beyond their role does."""

import asyncio
import json
import shutil
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

import nats
import pytest
from nats.aio.client import Client
from nats.errors import NoRespondersError
from nats.js.api import ConsumerConfig

from certificates import Authority
from e2e.commanding import commandable, send
from e2e.guarded import Guarded
from e2e.house import Gateway, config, gateway
from e2e.strangers import START, dial, until
from jetstream import NatsServer
from voltgate.backend import service
from voltgate.cli import main
from voltgate.config import Config, load
from voltgate.gateway.bus import streams
from voltgate.gateway.bus.connect import connect

SHIPPED = Path(__file__).parents[2] / "deploy" / "nats"
ROLES = ("gateway", "backend", "csms", "operator")


class Nats(NamedTuple):
    """A nats-server as shipped, with TLS."""

    server: NatsServer
    ca: str

    def section(self, user: str) -> dict[str, object]:
        """The section [nats] of a configuration for a user."""
        return {"url": self.url(user), "tls_ca": self.ca}

    def url(self, user: str) -> str:
        return f"tls://{user}:secret@127.0.0.1:{self.server.port}"

    def violations(self) -> list[str]:
        """What the server refused so far."""
        return [line for line in self.server.log.read_text().splitlines() if "Violation" in line]


@pytest.fixture(scope="module")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nats]:
    folder = tmp_path_factory.mktemp("shipped")
    authority = Authority(folder)
    certificate, key = authority.issue("server").pair
    shutil.copytree(SHIPPED, folder / "nats")
    file = folder / "nats" / "nats-server.conf"
    text = file.read_text()
    for here, there in (
        ("/etc/nats/server.pem", certificate),
        ("/etc/nats/server.key", key),
        ("/var/lib/nats", str(folder / "js")),
        *((f"${role.upper()}_PASSWORD", "secret") for role in ROLES),
    ):
        assert here in text
        text = text.replace(here, there)
    file.write_text(text)
    server = NatsServer(folder, ["-c", str(file)])
    yield Nats(server, authority.file)
    server.kill()


@asynccontextmanager
async def user(shipped: Nats, name: str) -> AsyncIterator[Client]:
    """A plain client of a service."""
    refused: list[str] = []

    async def complained(error: Exception) -> None:
        refused.append(str(error))

    context = ssl.create_default_context(cafile=shipped.ca)
    inbox = b"_VOLTGATE" if name == "gateway" else b"_INBOX"
    client = await nats.connect(shipped.url(name), tls=context, error_cb=complained, inbox_prefix=inbox)
    client.refused = refused  # type: ignore[attr-defined]
    yield client
    await client.close()


async def apply(settings: Config) -> None:
    """The operator's ``voltgate streams apply``."""
    client = await connect(settings.nats)
    await streams.apply(client, settings)
    await client.close()


@pytest.fixture(scope="module")
def guarded(shipped: Nats) -> Iterator[Gateway]:
    """A gateway behind the shipped permissions; the operator has made its streams."""
    asyncio.run(apply(load(nats=shipped.section("operator"))))
    with gateway(config(shipped.server, nats=shipped.section("gateway")), make_streams=False) as running:
        yield running


async def test_a_transaction_and_a_command_with_each_user_in_its_role(
    shipped: Nats, guarded: Gateway, identity: str
) -> None:
    stop = asyncio.Event()
    async with user(shipped, "backend") as backend, user(shipped, "operator") as operator:
        answering = asyncio.create_task(service.run(backend, stop))
        subscribed = asyncio.Event()

        async def seen(_: object) -> None:
            subscribed.set()

        await operator.subscribe("ocpp.tx.>", cb=seen)
        async with dial(guarded.port, identity) as charger:
            boot = await charger.ask(
                '[2,"1","BootNotification",{"chargePointVendor":"V","chargePointModel":"M"}]'
            )
            assert json.loads(boot)[2]["status"] == "Accepted"
            started = json.loads(await charger.ask(f'[2,"2","StartTransaction",{START}]'))
            assert started[2]["transactionId"] > 0
            again = json.loads(await charger.ask(f'[2,"3","StartTransaction",{START}]'))
            assert again[2] == started[2], "read back from the stream"
            await asyncio.wait_for(subscribed.wait(), 10)
            await commandable(operator, identity)
            sent = asyncio.create_task(
                send(operator, identity, "Reset", {"type": "Soft"}, ocpp_command_id="1")
            )
            number = json.loads(await charger.hear())[1]
            await charger.send(f'[3,"{number}",{{"status":"Accepted"}}]')
            assert (await sent)[0] == "result"
            repeated = await send(operator, identity, "Reset", {"type": "Soft"}, ocpp_command_id="1")
            assert repeated[0] == "result", "read back from the stream"
        stop.set()
        await answering
    assert guarded.metric("voltgate_publish_failures_total") == 0
    assert shipped.violations() == []


async def test_a_service_reads_facts_by_a_durable_consumer(
    shipped: Nats, guarded: Gateway, identity: str
) -> None:
    async with user(shipped, "csms") as csms, dial(guarded.port, identity) as charger:
        await charger.ask(
            '[2,"1","StatusNotification",{"connectorId":1,"errorCode":"NoError","status":"Available"}]'
        )
        await csms.jsm().add_consumer("OCPP_EVENTS", ConsumerConfig(durable_name="books"))
        reader = await csms.jetstream().pull_subscribe_bind("books", "OCPP_EVENTS")
        message = (await reader.fetch(1, timeout=10))[0]
        await message.ack_sync(timeout=10)
    assert shipped.violations() == []


FORBIDDEN: list[tuple[str, str, str]] = [
    *((role, "subscribe", "_VOLTGATE.>") for role in ("backend", "csms", "operator")),
    *((role, "subscribe", "ocpprpc.send.>") for role in ("backend", "csms", "operator")),
    *((role, "subscribe", "ocpprpc.ask.>") for role in ("gateway", "csms", "operator")),
    *((role, "subscribe", "_INBOX.>") for role in ("gateway",)),
    *((role, "publish", "ocpp.tx.v16.StartTransaction.CP1") for role in ("backend", "csms", "operator")),
    *((role, "publish", "ocpp.link.CP1") for role in ("backend", "csms", "operator")),
    *((role, "publish", "_VOLTGATE.x.1") for role in ("backend", "csms", "operator")),
    *((role, "publish", "$KV.ocpp_chargers.CP1") for role in ("backend", "csms")),
    *((role, "publish", "$JS.API.STREAM.DELETE.OCPP_TX") for role in ROLES),
    *((role, "publish", "$JS.API.STREAM.PURGE.OCPP_TX") for role in ROLES),
    ("gateway", "publish", "ocpprpc.send.Reset.CP1"),
    ("backend", "publish", "ocpprpc.send.Reset.CP1"),
    ("backend", "subscribe", "ocpp.>"),
]


@pytest.mark.parametrize(("role", "verb", "subject"), FORBIDDEN)
async def test_what_a_role_may_not_do(
    shipped: Nats, guarded: Gateway, role: str, verb: str, subject: str
) -> None:
    async with user(shipped, role) as client:
        if verb == "subscribe":
            await client.subscribe(subject, cb=_unreachable)
        else:
            await client.publish(subject, b"{}")
        await client.flush()
        refused: list[str] = client.refused  # type: ignore[attr-defined]
        await until(lambda: refused, "the server refuses it")
        assert "permissions violation" in refused[0].lower()
        assert subject.lower() in refused[0].lower()


async def _unreachable(_: object) -> None:
    raise AssertionError("a message came")


async def test_a_command_for_a_charger_that_is_not_connected(shipped: Nats, guarded: Gateway) -> None:
    async with user(shipped, "operator") as operator:
        with pytest.raises(NoRespondersError):
            await operator.request("ocpprpc.send.Reset.nobody", b"{}", timeout=5)


def file_for(shipped: Nats, user: str, folder: Path) -> str:
    """A configuration file for a user."""
    rows = "".join(f"{key} = {json.dumps(value)}\n" for key, value in shipped.section(user).items())
    path = folder / f"{user}.toml"
    path.write_text(
        f"[[listeners]]\nallow_unauthenticated = true\n[limits]\nmax_connections = 100\n[nats]\n{rows}"
    )
    return str(path)


COMMANDS = (
    "streams plan", "streams apply", "chargers add CP9", "chargers list", "chargers show CP9",
    "chargers disable CP9", "chargers online", "chargers remove CP9",
)  # fmt: skip


@pytest.mark.usefixtures("guarded", "own_logs", "clean_environment")
def test_the_operator_runs_the_command_line(
    shipped: Nats, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = shipped.violations()
    for command in COMMANDS:
        code = main([*command.split(), "--config", file_for(shipped, "operator", tmp_path)])
        assert code == 0, (command, capsys.readouterr().err)
    assert shipped.violations() == before


@pytest.mark.usefixtures("guarded", "own_logs", "clean_environment")
def test_check_finds_nothing_missing(
    shipped: Nats, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["check", "--json", "--config", file_for(shipped, "gateway", tmp_path)])
    found = {row["name"]: row["verdict"] for row in json.loads(capsys.readouterr().out)}
    assert (found["permissions"], found["OCPP_TX"]) == ("ok", "ok")


@pytest.mark.usefixtures("own_logs", "clean_environment")
@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("prefix", ["", "rot"])
def test_what_the_command_prints_is_what_these_tests_run_with(
    nats_server: Guarded, tmp_path: Path, capsys: pytest.CaptureFixture[str], role: str, prefix: str
) -> None:
    """With the default prefixes, and with others: `config` of a gateway makes the users of its prefixes."""
    keys = {"prefix": prefix, "rpc_prefix": f"{prefix}rpc", "stream_prefix": prefix.upper()} if prefix else {}
    (user,) = config(nats_server, nats=keys).nats.urls
    file = tmp_path / "voltgate.toml"
    file.write_text("[nats]\n" + "".join(f"{key} = {value!r}\n" for key, value in keys.items()))
    assert main(["permissions", role, "--config", str(file)]) == 0
    name = user.partition("//")[2].partition(":")[0].replace("gateway", role)
    assert nats_server.permissions(name) == capsys.readouterr().out
