"""``voltgate send`` against a responder that answers as a gateway does (docs/contract.md, commands)."""

import asyncio
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import nats
import pytest
from nats.aio.msg import Msg

from jetstream import NatsServer

Run = Callable[..., tuple[int, str, str]]
Answer = tuple[bytes, dict[str, str]] | None

RESULT = {"ocpp-outcome": "result", "ocpp-message-id": "m1", "ocpp-version": "v16", "ocpp-session": "s1"}
BUSY = {
    "ocpp-outcome": "busy",
    "Nats-Service-Error-Code": "429",
    "Nats-Service-Error": "16 commands are waiting",
}


@pytest.fixture(scope="module")
def nats_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsServer]:
    server = NatsServer(tmp_path_factory.mktemp("send"))
    yield server
    server.kill()


class Sent:
    """The exit code, the output, and the request as the gateway received it."""

    def __init__(self, code: int, out: str, err: str, requests: list[Msg]) -> None:
        self.code, self.out, self.err, self.requests = code, out, err, requests


@pytest.fixture
def send(voltgate: Run, file: Callable[[str], Path], nats_server: NatsServer) -> Callable[..., Sent]:
    """Run the command; a gateway that holds charger ``CP 1`` gives ``answer``, or none."""
    config = file(f"[nats]\nurl='{nats_server.url}'\n")

    async def run(answer: Answer, *arguments: str) -> Sent:
        client = await nats.connect(nats_server.url)
        requests: list[Msg] = []

        async def respond(message: Msg) -> None:
            requests.append(message)
            if answer is not None:
                await client.publish(message.reply, answer[0], headers=answer[1])

        await client.subscribe("ocpprpc.send.*.CP=201", cb=respond)
        await client.flush()
        code, out, err = await asyncio.to_thread(voltgate, "send", *arguments, "--config", config)
        await client.close()
        return Sent(code, out, err, requests)

    return lambda answer, *arguments: asyncio.run(run(answer, *arguments))


def test_a_result_is_data_and_the_outcome_a_message(send: Callable[..., Sent]) -> None:
    sent = send((b'{"status":"Accepted"}', RESULT), "CP 1", "Reset", '{"type":"Soft"}', "--command-id", "c 1")
    assert (sent.code, sent.out, sent.err) == (
        0, '{"status":"Accepted"}\n', "voltgate: result: the charger answered\n",
    )  # fmt: skip
    (request,) = sent.requests
    assert (request.subject, request.data) == ("ocpprpc.send.Reset.CP=201", b'{"type":"Soft"}')
    assert request.headers == {"ocpp-timeout": "30.0", "ocpp-command-id": "c 1"}


BODIES: list[tuple[bytes, Any, str]] = [
    (b'{"n":1.10}', '"body":{"n":1.10}', "numbers keep their digits"),
    (b'{\n"n":1}', '"body":{"n":1}', "on one line"),
    (b"", '"body":null', "none"),
    (b"\xff", '"body":"\\\\xff"', "not JSON at all"),
]


@pytest.mark.parametrize(("body", "part", "why"), BODIES, ids=[why for *_, why in BODIES])
def test_as_json_it_is_one_line(send: Callable[..., Sent], body: bytes, part: str, why: str) -> None:
    sent = send((body, RESULT), "CP 1", "Reset", "--json")
    assert (sent.code, sent.err, sent.out.count("\n")) == (0, "", 1)
    assert part in sent.out, why
    record = json.loads(sent.out)
    del record["body"]
    assert record == {
        "outcome": "result",
        "code": None,
        "meaning": "the charger answered",
        "message_id": "m1",
        "version": "v16",
        "session": "s1",
        "identity": "CP 1",
        "action": "Reset",
    }


def test_any_other_outcome_fails_with_its_reason(send: Callable[..., Sent]) -> None:
    sent = send((b"", BUSY), "CP 1", "Reset")
    assert (sent.code, sent.out, sent.err) == (1, "", "voltgate: busy: 16 commands are waiting\n")
    assert json.loads(send((b"", BUSY), "CP 1", "Reset", "--json").out)["code"] == 429


def test_a_charger_that_is_not_connected_and_a_gateway_that_is_frozen(
    send: Callable[..., Sent], monkeypatch: pytest.MonkeyPatch
) -> None:
    sent = send((b"", RESULT), "CP 2", "Reset")
    assert (sent.code, sent.err) == (1, "voltgate: not_connected: the charger is not connected\n")
    monkeypatch.setattr("voltgate.cli.send.PATIENCE", 0.1)
    sent = send(None, "CP 1", "Reset", "--timeout", "0.1")
    assert (sent.code, sent.err) == (1, "voltgate: unknown: no gateway answered: effect unknown\n")


FAULTS = [
    (
        ["NOBODY", "Reste", "{type:Soft}"],
        "ACTION Reste: not a command of any OCPP version; did you mean Reset?",
    ),
    (["CP 1", "reset"], "did you mean Reset?"),
    (["CP 1", "Frobnicate"], "`voltgate actions --commands` lists them"),
    (["CP 1", "BootNotification"], "ACTION BootNotification: only chargers send it"),
    (["Reset", "CP001"], "the charger's identity comes first"),
    (["CP 1", "Reset", "{type:Soft}"], "names and texts need double quotes"),
    (["CP 1", "Reset", "[]"], "JSON: must be an object"),
    (["CP 1", "a.b"], "ACTION a.b"),
    (["CP 1", "v16.Reset"], "ACTION v16.Reset: without a version, which is the charger's: Reset"),
    (["v16", "CP 1", "Reset"], "ACTION CP 1: not a command of any OCPP version"),
]


@pytest.mark.parametrize(("arguments", "told"), FAULTS, ids=[" ".join(f[0]) for f in FAULTS])
def test_action_and_json_are_looked_at_before_anything_is_sent(
    send: Callable[..., Sent], arguments: list[str], told: str
) -> None:
    sent = send((b"", RESULT), *arguments)
    assert (sent.code, sent.out, sent.requests) == (2, "", [])
    assert told in sent.err


def test_what_a_version_has_may_be_sent(send: Callable[..., Sent]) -> None:
    for arguments in (["Reset-Signed"], ["ExtendedTriggerMessage", "null"], ["GetBaseReport", " {} "]):
        assert send((b"", RESULT), "CP 1", *arguments).code == 0


def test_no_body_steers_the_terminal(send: Callable[..., Sent]) -> None:
    assert send((b"\x1b[31m", RESULT), "CP 1", "Reset").out == "\\x1b[31m\n"
