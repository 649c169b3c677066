"""Firmware updates and fetches of logs, as their commands and notifications say how far they are.

Values in, values out: messages of the streams, oldest first. In 2.x, and with GetLog, notifications name the
request; in 1.6 the others belong to the last request of their kind before them.
"""

from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import unquote

from voltgate.csms.console.commands import WORDS
from voltgate.csms.console.facts import action_of, at_of, body_of, is_answer, mapping, text
from voltgate.csms.ledger import times
from voltgate.csms.ledger.facts import Message

Document = dict[str, Any]

REQUESTS = ("UpdateFirmware", "SignedUpdateFirmware", "GetDiagnostics", "GetLog")
NOTIFIED = {
    "UpdateFirmware": "FirmwareStatusNotification",
    "SignedUpdateFirmware": "SignedFirmwareStatusNotification",
    "GetDiagnostics": "DiagnosticsStatusNotification",
    "GetLog": "LogStatusNotification",
}
DONE = frozenset({"Installed", "Uploaded"})
FAILED = frozenset(
    {
        "AcceptedCanceled", "BadMessage", "DownloadFailed", "InstallationFailed", "InstallVerificationFailed",
        "InvalidSignature", "NotSupportedOperation", "PermissionDenied", "UploadFailed", "UploadFailure",
    }
)  # fmt: skip
IDLE = "Idle"  # the answer to a trigger: no step of a transfer


def transfers(
    commands: Iterable[Message], notifications: Iterable[Message], arrived: Callable[[str], str | None]
) -> list[Document]:
    """The newest first. ``arrived``: the file that is here of an upload's location, if there is one."""
    requests: list[tuple[Message, Document]] = []
    answers: dict[str, Message] = {}
    for one in commands:
        id_ = one.headers.get("ocpp-message-id", "")
        if is_answer(one):
            answers[id_] = one
        else:
            requests.append((one, body_of(one)))
    steps: dict[int, list[Document]] = {one.seq: [] for one, _ in requests}
    for notified in notifications:
        said = body_of(notified)
        status, asked = text(said.get("status")), said.get("requestId")
        fitting = [
            request.seq
            for request, wanted in requests
            if NOTIFIED[action_of(request)] == action_of(notified)
            and request.stored_at <= notified.stored_at
            and (asked is None or wanted.get("requestId") == asked)
        ]
        if fitting and status not in ("", IDLE):
            steps[fitting[-1]].append({"at": times.text(at_of(notified)), "status": status})
    found = [
        _document(one, wanted, answers.get(one.headers.get("ocpp-message-id", "")), steps[one.seq], arrived)
        for one, wanted in requests
    ]
    return found[::-1]


def _document(
    request: Message,
    wanted: Document,
    answer: Message | None,
    steps: list[Document],
    arrived: Callable[[str], str | None],
) -> Document:
    outcome = None if answer is None else answer.headers.get("ocpp-outcome")
    status = None if answer is None else body_of(answer).get("status")
    kind = "firmware"
    if action_of(request) == "GetDiagnostics":
        kind = "diagnostics"
    elif action_of(request) == "GetLog":
        kind = "security" if wanted.get("logType") == "SecurityLog" else "diagnostics"
    location = text(mapping(wanted.get("log")).get("remoteLocation") or wanted.get("location"))
    id_ = request.headers.get("ocpp-command-id") or request.headers.get("ocpp-message-id", "")
    return {
        "command_id": unquote(id_),
        "kind": kind,
        "at": times.text(at_of(request)),
        "state": _state(outcome, status, [one["status"] for one in steps]),
        "outcome": outcome,
        "status": text(status) or None,
        "meaning": WORDS.get(outcome or "", "Sent; no answer yet."),
        "file": arrived(location) if kind != "firmware" and location else None,
        "steps": steps,
    }


def _state(outcome: str | None, status: object, steps: list[str]) -> str:
    if steps:  # what the charger does counts more than what it answered
        return "done" if steps[-1] in DONE else "failed" if steps[-1] in FAILED else "running"
    if outcome in (None, "result", "timeout", "lost") and status in (None, "Accepted", "AcceptedCanceled"):
        return "asked"
    return "refused"
