"""Transfers from commands and notifications, joined by their request, or by time where there is none."""

from typing import Any

import orjson
import pytest

from voltgate.csms.console import progress
from voltgate.csms.console.operations import Transfer
from voltgate.csms.ledger.facts import Message


def command(seq: int, action: str, body: dict[str, Any], id_: str, **headers: str) -> Message:
    said = {"ocpp-message-id": id_} | {name.replace("_", "-"): one for name, one in headers.items()}
    return Message("C", seq, f"ocpp.command.v16.{action}.CP1", said, orjson.dumps(body), float(seq))


def notified(seq: int, action: str, **body: Any) -> Message:
    return Message("E", seq, f"ocpp.event.v16.{action}.CP1", {}, orjson.dumps(body), float(seq))


def shown(commands: list[Message], notifications: list[Message], file: str | None = None) -> list[Any]:
    found = progress.transfers(commands, notifications, lambda _: file)
    for one in found:
        Transfer.model_validate(one, strict=True)
    return found


FIRMWARE, LOG, DIAGNOSTICS = (
    "FirmwareStatusNotification",
    "LogStatusNotification",
    "DiagnosticsStatusNotification",
)


@pytest.mark.parametrize(
    ("outcome", "status", "steps", "state"),
    [
        (None, None, [], "asked"),
        ("result", "Accepted", [], "asked"),
        ("result", None, [], "asked"),
        ("timeout", None, [], "asked"),
        ("result", "Rejected", [], "refused"),
        ("error", None, [], "refused"),
        ("gone", None, [], "refused"),
        ("result", "Accepted", ["Downloading"], "running"),
        ("lost", None, ["Downloading", "Installed"], "done"),
        ("result", "Accepted", ["Downloading", "InvalidSignature"], "failed"),
        ("result", "Accepted", ["Downloading", "DownloadFailed", "Downloading"], "running"),
        ("result", "Accepted", ["Idle"], "asked"),
    ],
)
def test_the_state_of_a_transfer(
    outcome: str | None, status: str | None, steps: list[str], state: str
) -> None:
    commands = [command(1, "UpdateFirmware", {"requestId": 7}, "m", ocpp_command_id="my%20id")]
    if outcome is not None:
        body = {} if status is None else {"status": status}
        commands.append(command(2, "UpdateFirmwareResponse", body, "m", ocpp_outcome=outcome))
    (found,) = shown(
        commands, [notified(3 + n, FIRMWARE, status=s, requestId=7) for n, s in enumerate(steps)]
    )
    assert (found["state"], found["kind"], found["command_id"]) == (state, "firmware", "my id")
    assert [one["status"] for one in found["steps"]] == [one for one in steps if one != "Idle"]


def test_notifications_find_their_request() -> None:
    commands = [
        command(1, "GetLog", {"requestId": 1, "logType": "SecurityLog", "log": {"remoteLocation": "l"}}, "a"),
        command(2, "GetDiagnostics", {"location": "l"}, "b"),
        command(3, "GetLog", {"requestId": 2, "logType": "DiagnosticsLog", "log": {}}, "c"),
        command(6, "GetDiagnostics", {"location": "l"}, "d"),
    ]
    notifications = [
        notified(4, DIAGNOSTICS, status="Uploading"),
        notified(5, LOG, status="Uploading", requestId=1),
        notified(7, DIAGNOSTICS, status="Uploaded"),
        notified(8, LOG, status="UploadFailure", requestId=2),
        notified(9, LOG, status="Uploaded", requestId=99),
        notified(10, LOG, status=7, requestId=1),
        notified(11, FIRMWARE, status="Installed"),
    ]
    found = shown(commands, notifications, "f")
    assert [(one["kind"], one["state"], one["file"]) for one in found] == [
        ("diagnostics", "done", "f"),
        ("diagnostics", "failed", None),
        ("diagnostics", "running", "f"),
        ("security", "running", "f"),
    ]
