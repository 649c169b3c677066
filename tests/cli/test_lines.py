"""A message as a line of ``voltgate tail``."""

import json

import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg

from voltgate.cli.tail.lines import Columns, as_json

HEADERS = {"ce-time": "2026-01-01T00:00:00.123Z", "ocpp-error-code": "FormationViolation"}
MESSAGES = [
    ("ocpp.tx.v16.MeterValues.CP=201", b'{"n": 1.10}', "tx v16 MeterValues CP 1", "the payload as it came"),
    (
        "ocpp.reject.v16.CP=201",
        b'{"a":\x1b[31m\n',
        "reject v16 CP 1",
        "nothing steers the terminal, one line",
    ),
    ("ocpp.event.v21.StatusNotification.CP=201", b"{\n}", "event v21 StatusNotification CP 1", "one line"),
    ("ocpp.link.CP=201", b'{"state":"up","version":"v16"}', "link v16 up CP 1", "its state as its action"),
    ("ocpp.link.CP=201", b"no JSON", "link CP 1", "a link that cannot be read"),
    ("ocpp.security.wrong_password.CP=201", b"{}", "security wrong_password CP 1", "a reason as its action"),
    ("ocpp.live.v16.Heartbeat.CP=2", b"{}", "live v16 Heartbeat CP=2", "a token that is not an identity"),
]


def message(subject: str, data: bytes) -> Msg:
    return Msg(Client(), subject, "", data, HEADERS)


@pytest.mark.parametrize(("subject", "data", "columns", "why"), MESSAGES, ids=[why for *_, why in MESSAGES])
def test_a_message_is_one_line(subject: str, data: bytes, columns: str, why: str) -> None:
    line = Columns(dated=False)(message(subject, data))
    assert line.endswith("\n")
    assert " ".join(line.split()).split(" ", 1)[1].startswith(columns + " "), why
    assert line[5:12] == ":00.123", "the time the gateway received it"
    assert line[:-1].isprintable(), why
    assert "error-code=FormationViolation" in line
    if b"1.10" in data:
        assert '{"n": 1.10}' in line, why
    assert Columns(dated=True)(message(subject, data)).endswith(line), "the date before it"
    text = as_json(message(subject, data))
    record = json.loads(text)
    assert (record["subject"], record["headers"]) == (subject, HEADERS), why
    assert text.count("\n") == 1, why
    if b"1.10" in data:
        assert '{"n": 1.10}' in text, why
