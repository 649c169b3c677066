"""The AsyncAPI document: complete by the tables that the code uses, and sound in itself."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from voltgate import _core
from voltgate.cli.asyncapi.bodies import BODIES
from voltgate.cli.asyncapi.document import described, document, file_name
from voltgate.cli.asyncapi.headers import HEADERS, KINDS, headers
from voltgate.cli.asyncapi.yaml import dumped
from voltgate.config import load
from voltgate.gateway.reasons import Outcome
from voltgate.policy import rules
from voltgate.schemas import SUBPROTOCOLS, schema_files

ROOT = Path(__file__).parents[3]
CONFIG = load()
DOCUMENT = document(CONFIG, described)
MESSAGES: dict[str, Any] = DOCUMENT["components"]["messages"]

pytestmark = pytest.mark.usefixtures("clean_environment")


def keys(channel: str) -> set[str]:
    return set(DOCUMENT["channels"][channel]["messages"])


def test_what_is_shipped_is_what_is_printed() -> None:
    """After a change: ``make asyncapi``."""
    assert (ROOT / "docs" / "asyncapi.yaml").read_text() == dumped(DOCUMENT)


def test_every_action_of_every_version_is_a_message() -> None:
    for version, table in rules(CONFIG).items():
        for action, sender, *_ in _core.actions(version):
            if sender != "csms":
                assert f"{version}.{action}" in keys(table[action].class_)
                assert (f"ask.{version}.{action}" in keys("ask")) == table[action].answer.startswith(
                    "backend"
                )
            if sender != "charger":
                assert f"command.{version}.{action}" in keys("command")
                assert f"send.{version}.{action}" in keys("send")
                assert f"send.{version}.{action}Response" in keys("sendReply")
    assert {f"send.{outcome.label}" for outcome in Outcome if outcome is not Outcome.RESULT} <= keys(
        "sendReply"
    )


def test_classes_and_prefixes_are_those_of_the_configuration() -> None:
    config = load(
        nats={"prefix": "facts", "rpc_prefix": "rpc"}, policy={"v16": {"Heartbeat": {"class": "event"}}}
    )
    made = document(config, described)
    assert made["channels"]["ask"]["address"] == "rpc.ask.{version}.{action}.{token}"
    assert "v16.Heartbeat" in made["channels"]["event"]["messages"]
    assert not [
        one["address"] for one in made["channels"].values() if (one["address"] or "").startswith("ocpp")
    ]


def test_every_reference_leads_somewhere() -> None:
    def references(value: object) -> Iterator[str]:
        if isinstance(value, dict):
            if "$ref" in value:
                yield value["$ref"]
            for inner in value.values():
                yield from references(inner)

    for reference in set(references(DOCUMENT)):
        found: Any = DOCUMENT
        for part in reference.removeprefix("#/").split("/"):
            found = found[part]
        assert found is not None


def test_every_payload_names_a_schema_that_there_is() -> None:
    files = set()
    for version in SUBPROTOCOLS:
        for name, _ in schema_files(version):
            action = name.removesuffix("Request").removesuffix("Response")
            files.add(file_name(version, action, "response" if name.endswith("Response") else "request"))
    named = {one["payload"].get("x-ocpp-schema") for one in MESSAGES.values() if "payload" in one} - {None}
    assert named <= files
    assert {one for one in files if one.endswith(".request.json")} <= named


@pytest.mark.parametrize("kind", KINDS)
def test_header_schemas_are_schemas(kind: str) -> None:
    jsonschema.Draft7Validator.check_schema(headers(kind))


@pytest.mark.parametrize("name", BODIES)
def test_body_schemas_are_schemas(name: str) -> None:
    jsonschema.Draft7Validator.check_schema(BODIES[name])


def test_headers_are_those_of_the_reference() -> None:
    reference = (ROOT / "docs" / "reference.md").read_text()
    assert [name for name in HEADERS if f"`{name}" not in reference] == []


def test_the_document_is_json_too() -> None:
    assert json.loads(json.dumps(DOCUMENT)) == DOCUMENT
