"""``voltgate validate``: one verdict per line, from a file or stdin."""

import io
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from processes import PATIENCE

pytestmark = pytest.mark.usefixtures("clean_environment")

Run = Callable[..., tuple[int, str, str]]

HEARTBEAT = '[2,"1","Heartbeat",{}]'
VERDICTS: list[tuple[list[str], str, list[dict[str, Any]], int, str]] = [
    (
        [],
        HEARTBEAT,
        [{"line": 1, "ok": True, "type": 2, "id": "1", "action": "Heartbeat"}],
        0,
        "a frame without fault",
    ),
    (
        [],
        f"\n{HEARTBEAT}\r\n\n{HEARTBEAT}",
        [{"line": 2}, {"line": 4}],
        0,
        "blank lines count, and are skipped",
    ),
    ([], '[3,"1",{}]', [{"type": 3, "ok": True, "checked": "form"}], 0, "what it answers is unknown"),
    (
        [],
        f'{HEARTBEAT}\n[2,"1","Heartbeat",{{"a":1}}]',
        [{"ok": True}, {"ok": False, "code": "FormationViolation", "pointer": "/a"}],
        1,
        "one bad frame fails the run",
    ),
    (["--version", "v201"], "nonsense", [{"ok": False, "code": "RpcFrameworkError"}], 1, "no id to answer"),
    (["--sender", "csms"], '[2,"1","Reset",{"type":"Soft"}]', [{"ok": True}], 0, "a CSMS may send it"),
    (
        ["--version", "ocpp1.6"],
        '[2,"1","Reset",{"type":"Soft"}]',
        [{"code": "NotSupported"}],
        1,
        "a charger may not",
    ),
    ([], "", [], 0, "nothing in, nothing out"),
]


@pytest.mark.parametrize(("options", "text", "verdicts", "expected", "why"), VERDICTS)
@pytest.mark.parametrize("by", ["file", "stdin"])
def test_validate_prints_a_verdict_per_line(
    voltgate: Run,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    by: str,
    options: list[str],
    text: str,
    verdicts: list[dict[str, Any]],
    expected: int,
    why: str,
) -> None:
    frames = tmp_path / "frames.txt"
    frames.write_text(text)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
    code, out, err = voltgate("validate", *options, *([frames] if by == "file" else []))
    assert (code, err) == (expected, ""), why
    told = [json.loads(line) for line in out.splitlines()]
    assert len(told) == len(verdicts), why
    for verdict, row in zip(told, verdicts, strict=True):
        assert verdict | row == verdict, why


def test_head_may_leave_while_validate_still_reads(tmp_path: Path) -> None:
    (tmp_path / "many.txt").write_text(f"{HEARTBEAT}\n" * 20_000)
    command = [sys.executable, "-m", "voltgate", "validate", str(tmp_path / "many.txt")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline().startswith(b'{"line":1,')
        process.stdout.close()
        assert process.wait(PATIENCE) == 141, "as a process ends that SIGPIPE ends"
        assert process.stderr.read() == b"", "and without a word"


LOG = """2026-01-01T00:00:00Z CP001 connected
2026-01-01T00:00:01Z CP001 >> [2,"1","Heartbeat",{"a":1}]
{"at":"2026-01-01T00:00:02Z","out":[2,"2","Reset",{"type":"Soft"}]}
{"at":"2026-01-01T00:00:03Z","in":"[3,\\"2\\",{\\"status\\":\\"Maybe\\"}]"}
"""
ROWS = [
    ("Heartbeat", "FormationViolation", "/a", 1, 2),
    ("Reset", "", "", 1, 3),
    ("Reset result", "PropertyConstraintViolation", "/status", 1, 4),
]


def test_a_log_is_summed_up_by_action_and_fault(voltgate: Run, tmp_path: Path) -> None:
    log = tmp_path / "charger.log"
    log.write_text(LOG)
    code, out, err = voltgate("validate", "--log", log)
    head, *lines = [line.split("\t") for line in out.splitlines()]
    assert (code, head) == (1, ["action", "fault", "pointer", "frames", "first_line"])
    assert lines == [list(map(str, row)) for row in ROWS]
    assert "3 frames in 4 lines, 2 with a fault; 1 lines without a frame, 0 longer" in err
    code, out, _ = voltgate("validate", "--log", log, "--json")
    assert [tuple(row.values()) for row in json.loads(out)] == ROWS
    code, out, err = voltgate("validate", "--log", log, "--sender", "charger")
    assert "Reset\tNotSupported" in out
    assert "1 are CALLs of the other side: --sender both" in err


def test_a_line_without_end_costs_bounded_memory(voltgate: Run, tmp_path: Path) -> None:
    long = HEARTBEAT.replace("{}", '{"a":"%s"}' % ("x" * (3 << 20)))
    (tmp_path / "long").write_text(f"{long}\n{HEARTBEAT}")
    code, out, _ = voltgate("validate", tmp_path / "long")
    first, second = map(json.loads, out.splitlines())
    assert (code, first["reason"], second["ok"]) == (1, "longer than 1048576 bytes", True)
    code, _, err = voltgate("validate", "--log", tmp_path / "long")
    assert code == 0
    assert "1 frames in 2 lines, 0 with a fault; 0 lines without a frame, 1 longer" in err


def test_both_senders_are_for_logs(voltgate: Run) -> None:
    code, _, err = voltgate("validate", "--sender", "both")
    assert (code, err) == (2, "voltgate: --sender both: needs --log\n")
