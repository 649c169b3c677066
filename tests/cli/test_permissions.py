"""``voltgate permissions``, and that ``deploy/nats`` ships what it prints."""

import json
import re
from pathlib import Path

import pytest

from voltgate.cli import permissions as module
from voltgate.cli.check.subjects import covers, meets
from voltgate.cli.faults import USAGE, Failure
from voltgate.cli.permissions import ROLES, WITH_NAME, Role, role_of
from voltgate.config import load

SHIPPED = Path(__file__).parents[2] / "deploy" / "nats"
CONFIG = load(nats={"inbox_prefix": "_VOLTGATE"})
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
    assert found.responds is (role in ("backend", "answer", "gateway"))


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
        ("answer", "Reset", "no such action"),
        ("command", "Heartbeat", "no such action"),
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
