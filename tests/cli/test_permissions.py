"""``voltgate permissions``, and that ``deploy/nats`` ships what it prints."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import nats
import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js.api import ConsumerConfig

from jetstream import NatsServer
from voltgate.cli import permissions as module
from voltgate.cli.check.subjects import covers, meets
from voltgate.cli.faults import USAGE, Failure
from voltgate.cli.permissions import ROLES, WITH_NAME, Role, role_of
from voltgate.config import load

SHIPPED = Path(__file__).parents[2] / "deploy" / "nats"
CONFIG = load()
ROLE_NAMES = [
    (role, {"ACTION": "DataTransfer", "NAME": "books"}[WITH_NAME[role]] if role in WITH_NAME else "")
    for role in ROLES
]

pytestmark = pytest.mark.usefixtures("clean_environment")


@pytest.mark.parametrize("role", sorted(set(ROLES) - set(WITH_NAME)))
def test_what_is_shipped_is_what_is_printed(role: str) -> None:
    """After a change of the table: ``voltgate permissions ROLE > deploy/nats/permissions/ROLE.conf``."""
    shipped = (SHIPPED / "permissions" / f"{role}.conf").read_text()
    assert shipped == f"{role_of(CONFIG, role)}\n"
    assert f'include "permissions/{role}.conf"' in (SHIPPED / "nats-server.conf").read_text()


@pytest.mark.parametrize(("role", "name"), ROLE_NAMES)
def test_only_gateways_read_the_inbox_of_gateways(role: str, name: str) -> None:
    found = role_of(CONFIG, role, name)
    reads = [one for one in found.subscribe if meets(one, "_VOLTGATE.>")]
    assert reads == (["_VOLTGATE.>"] if role == "gateway" else [])


@pytest.mark.parametrize(("role", "name"), ROLE_NAMES)
def test_who_answers_what(role: str, name: str) -> None:
    """Only backends answer questions, only gateways answer commands (docs/contract.md 3.2)."""
    found = role_of(CONFIG, role, name)
    asks = any(meets(one, "ocpprpc.ask.>") for one in found.subscribe)
    commands = any(meets(one, "ocpprpc.send.>") for one in found.subscribe)
    assert (asks, commands) == (role in ("backend", "answer"), role == "gateway")
    assert found.responds is (role in ("backend", "answer", "gateway", "csms"))


@pytest.mark.parametrize(("role", "name"), ROLE_NAMES)
def test_only_gateways_publish_facts_and_questions(role: str, name: str) -> None:
    found = role_of(CONFIG, role, name)
    for subject in ("ocpp.>", "ocpprpc.ask.>", "$KV.ocpp_gateways.>"):
        assert any(meets(one, subject) for one in found.publish) is (role == "gateway"), subject


def test_no_stream_of_facts_can_be_deleted_or_purged() -> None:
    for role, name in ROLE_NAMES:
        for verb in ("DELETE", "PURGE", "MSG.DELETE"):
            subject = f"$JS.API.STREAM.{verb}.OCPP_TX"
            assert not any(covers(one, subject) for one in role_of(CONFIG, role, name).publish), (role, verb)


def test_an_empty_list_denies_everything() -> None:
    """Without an allow list nats-server allows everything."""
    assert str(Role([], ["a.b"])) == 'publish: { deny: ">" }\nsubscribe: {\n  allow: [\n    "a.b"\n  ]\n}'


def test_prefixes_are_those_of_the_configuration() -> None:
    config = load(
        nats={"prefix": "facts", "rpc_prefix": "rpc", "stream_prefix": "ACME", "inbox_prefix": "_OWN"}
    )
    for role, name in ROLE_NAMES:
        text = str(role_of(config, role, name))
        assert not re.search(r"\bocpp\.|ocpprpc|OCPP_|KV_ocpp_(?!backend)", text), role
        assert all(json.loads(one) for one in re.findall(r'^    (".*")$', text, re.MULTILINE))


@pytest.mark.parametrize(
    ("role", "name", "text"),
    [
        ("admin", "", "one of gateway, backend"),
        ("gateway", "x", "needs nothing behind it"),
        ("answer", "", "needs ACTION"),
        ("answer", "Reset", "no such action; `voltgate policy`"),
        ("command", "Heartbeat", "no such action; `voltgate actions --commands`"),
        ("consumer", "a.b", "needs NAME"),
        ("consumer", "*", "needs NAME"),
    ],
)
def test_what_cannot_be_printed(role: str, name: str, text: str) -> None:
    with pytest.raises(Failure, match=text) as caught:
        role_of(CONFIG, role, name)
    assert caught.value.code == USAGE


def test_the_command_prints_a_role(capsys: pytest.CaptureFixture[str]) -> None:
    import typer

    command = typer.main.get_command(module.app)
    command.main(["answer", "Authorize"], standalone_mode=False)
    printed = capsys.readouterr().out
    assert '"ocpprpc.ask.*.Authorize.*"' in printed
    assert "allow_responses" in printed


async def test_narrow_roles_on_a_server(tmp_path: Path, start_nats: Callable[..., NatsServer]) -> None:
    """One question answered, one command sent, one consumer read: each by a user that may do nothing else."""
    rows = [
        f"{{ user: {role}, password: p, permissions: {{\n{role_of(CONFIG, role, name)}\n}} }}"
        for role, name in (("answer", "Authorize"), ("command", "Reset"), ("consumer", "books"))
    ]
    file = tmp_path / "nats.conf"
    users = "\n".join([*rows, "{ user: admin, password: p }"])
    file.write_text(f'jetstream {{ store_dir: "{tmp_path}/js" }}\nauthorization {{ users: [\n{users}\n] }}\n')
    server = start_nats("-c", str(file))

    async def user(name: str) -> Client:
        return await nats.connect(server.url.replace("//", f"//{name}:p@"))

    admin, answer, command, consumer = [await user(one) for one in ("admin", "answer", "command", "consumer")]

    async def reply(message: Msg) -> None:
        await message.respond(b"yes")

    await answer.subscribe("ocpprpc.ask.*.Authorize.*", queue="backend", cb=reply)
    await admin.subscribe("ocpprpc.send.*.*", queue="voltgate", cb=reply)
    await answer.flush()
    await admin.flush()
    assert (await admin.request("ocpprpc.ask.v16.Authorize.CP1", b"{}", timeout=5)).data == b"yes"
    assert (await command.request("ocpprpc.send.Reset.CP1", b"{}", timeout=5)).data == b"yes"
    await admin.jsm().add_stream(name="OCPP_TX", subjects=["ocpp.tx.>"])
    await admin.jsm().add_consumer("OCPP_TX", ConsumerConfig(durable_name="books"))
    await admin.jetstream().publish("ocpp.tx.v16.StartTransaction.CP1", b"{}")
    reader = await consumer.jetstream().pull_subscribe_bind("books", "OCPP_TX")
    await (await reader.fetch(1, timeout=5))[0].ack_sync(timeout=5)
    assert "Violation" not in server.log.read_text()
    with pytest.raises(nats.errors.TimeoutError):
        await command.request("ocpprpc.send.UnlockConnector.CP1", b"{}", timeout=0.3)
    assert 'Publish Violation - Subject "ocpprpc.send.UnlockConnector.CP1"' in server.log.read_text()
    for client in (admin, answer, command, consumer):
        await client.close()
