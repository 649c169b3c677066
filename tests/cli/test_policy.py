"""``voltgate policy``: the table, for programs and as JSON."""

import json
from collections.abc import Callable
from pathlib import Path

Run = Callable[..., tuple[int, str, str]]


def test_policy_is_a_table_for_programs_where_no_terminal_is(voltgate: Run) -> None:
    code, out, _ = voltgate("policy", "--version", "1.6")
    assert code == 0
    head, *rows = [line.split("\t") for line in out.splitlines()]
    assert head == ["version", "action", "class", "answer", "validation", "fallback"]
    assert ["v16", "StartTransaction", "tx", "backend", "lenient", "close"] in rows
    assert {row[0] for row in rows} == {"v16"}
    assert {len(row) for row in rows} == {6}


def test_policy_as_json_keeps_payloads_as_payloads(voltgate: Run, file: Callable[[str], Path]) -> None:
    config = file("[policy.v16.Authorize]\nfallback={idTagInfo={status='Blocked'}}\n")
    _, out, _ = voltgate("policy", "--json", "--config", config)
    table = {(row["version"], row["action"]): row for row in json.loads(out)}
    assert {version for version, _ in table} == {"v16", "v201", "v21"}
    assert table["v16", "Authorize"]["fallback"] == {"idTagInfo": {"status": "Blocked"}}
    assert table["v16", "Heartbeat"]["fallback"] is None, "the gateway always answers"
