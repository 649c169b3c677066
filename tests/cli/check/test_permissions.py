"""What a NATS user may do, against what ``serve`` does."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cli.configuration import OPEN, SMALL
from jetstream import NatsServer
from processes import Start, status
from voltgate.cli import main
from voltgate.cli.check.permissions import needed
from voltgate.cli.check.subjects import covers, meets
from voltgate.config import load

pytestmark = pytest.mark.usefixtures("clean_environment", "own_logs")

Findings = Callable[..., dict[str, tuple[str, str]]]

ALLOWED = sorted(
    {one for subjects in needed(load()).values() for one in subjects if not one.startswith("_VOLTGATE")}
)


def users(folder: Path, *permissions: str) -> Path:
    """A configuration of nats-server with a user ``u0``, ``u1`` ... for each permissions, and ``admin``."""
    path = folder / "nats.conf"
    rows = [f"{{user: u{n}, password: p, permissions: {{{one}}}}}" for n, one in enumerate(permissions)]
    path.write_text(
        f'jetstream {{store_dir: "{folder}/js"}}\n'
        f"authorization {{users: [{', '.join(rows)}, {{user: admin, password: p}}]}}\n"
    )
    return path


def serving(url: str, user: str) -> str:
    return f"{OPEN}{SMALL}[limits]\nmax_connections=100\n[nats]\nurl='{url.replace('//', f'//{user}:p@')}'\n"


def publish(*subjects: str) -> str:
    return f"publish: {{allow: {json.dumps(list(subjects))}}}"


ASK = "$SYS.REQ.USER.INFO"
INBOX = 'subscribe: ["_VOLTGATE.>", "ocpprpc.send.>", "ocpprpc.link.>", "$SRV.>"], allow_responses: true'
PERMISSIONS = [
    (f"{publish(ASK, *ALLOWED)}, {INBOX}", "ok", "has all permissions", "just what is needed"),
    (
        f"{publish(ASK, *ALLOWED)}, {INBOX}".replace(', "$SRV.>"', ""),
        "hint",
        "subscribe to $SRV.*, $SRV.*.voltgate, $SRV.*.voltgate.*",
        "an earlier release needed no more",
    ),
    (publish(">"), "ok", "has all permissions", "everything"),
    (
        publish(ASK, *[a for a in ALLOWED if a != "ocpp.tx.>"]),
        "fail",
        "publish to ocpp.tx.>",
        "no transactions",
    ),
    (
        publish(ASK, *[a for a in ALLOWED if "STREAM.INFO.OCPP_TX" not in a]),
        "fail",
        "publish to $JS.API.STREAM.INFO.OCPP_TX",
        "one call of the API",
    ),
    (publish(ASK, "ocpp.>", "ocpprpc.>", "$KV.>"), "fail", "publish to $JS.API.>", "no JetStream"),
    ("publish: {deny: 'ocpp.tx.v16.>'}", "fail", "publish to ocpp.tx.>", "a part of it is denied"),
    ("subscribe: {deny: '_VOLTGATE.>'}", "fail", "subscribe to _VOLTGATE.>", "no answer arrives"),
    ("subscribe: 'mine.>'", "fail", "subscribe to _VOLTGATE.>", "an inbox of another prefix"),
    (
        f"{publish(ASK, *ALLOWED)}, subscribe: ['_VOLTGATE.>', 'ocpprpc.send.>', 'ocpprpc.link.>']",
        "fail",
        "to answer commands (allow_responses: true)",
        "no reply to a command",
    ),
    (f"{publish('>')}, subscribe: '_VOLTGATE.>'", "fail", "subscribe to ocpprpc.send.*.*", "no commands"),
    (f"{publish(*ALLOWED)}, {INBOX}", "hint", f"publish to {ASK}", "the server may not be asked"),
]


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A NATS with a user for each row, and the streams."""
    folder = tmp_path_factory.mktemp("permissions")
    server = NatsServer(folder, ["-c", str(users(folder, *(row[0] for row in PERMISSIONS)))])
    (folder / "voltgate.toml").write_text(serving(server.url, "admin"))
    assert main(["streams", "apply", "--config", str(folder / "voltgate.toml")]) == 0
    yield server.url
    server.kill()


@pytest.mark.parametrize("number", range(len(PERMISSIONS)), ids=[why for *_, why in PERMISSIONS])
def test_permissions_that_are_lacking_are_named(
    findings: Findings, file: Callable[[str], Path], url: str, number: int
) -> None:
    _, verdict, text, why = PERMISSIONS[number]
    seen = findings(file(serving(url, f"u{number}")))
    assert seen["permissions"][0] == verdict, (why, seen)
    assert text in seen["permissions"][1], why
    if verdict != "fail":
        assert seen["OCPP_TX"][0] == "ok", "what is enough for the line is enough"


def test_serve_runs_with_just_what_the_line_asks_for(
    file: Callable[[str], Path], start: Start, url: str, free_port: Callable[[], int]
) -> None:
    admin = free_port()
    allowed = [row[0] for row in PERMISSIONS].index(f"{publish(*ALLOWED)}, {INBOX}")
    running = start("serve", "--config", str(file(f"[admin]\nport={admin}\n{serving(url, f'u{allowed}')}")))
    running.until(lambda: status(admin, "/readyz")[0] == 200, "ready")
    assert "violation" not in running.err.lower()


RELATIONS = [
    ("a.>", "a.b.c", True, True, "everything below"),
    ("a.>", "a", False, False, "but not itself"),
    ("a.*", "a.>", False, True, "a part"),
    ("a.*.c", "a.b.*", False, True, "they cross"),
    ("a.b", "a.c", False, False, "apart"),
    ("a.*", "a.b.c", False, False, "too long"),
    (">", "a.>", True, True, "everything"),
]


@pytest.mark.parametrize(("one", "other", "covering", "meeting", "why"), RELATIONS)
def test_how_patterns_relate(one: str, other: str, covering: bool, meeting: bool, why: str) -> None:
    assert covers(one, other) is covering, why
    assert meets(one, other) is meets(other, one) is meeting, why
