"""``voltgate actions``: the table of the core, with the configured policy."""

import json
from collections.abc import Callable
from pathlib import Path

from voltgate import _core

Run = Callable[..., tuple[int, str, str]]


def test_every_action_of_every_version_is_listed(voltgate: Run) -> None:
    code, out, _ = voltgate("actions")
    head, *rows = [line.split("\t") for line in out.splitlines()]
    assert (code, head) == (0, ["version", "action", "sender", "class", "answer"])
    assert [(row[0], row[1]) for row in rows] == [
        (one, action) for one in ("v16", "v201", "v21") for action, *_ in _core.actions(one)
    ]
    assert ["v16", "StartTransaction", "charger", "tx", "backend"] in rows
    assert ["v16", "Reset", "csms", "command", "charger"] in rows


def test_commands_are_what_a_backend_may_send(voltgate: Run) -> None:
    _, out, _ = voltgate("actions", "--commands", "--version", "1.6", "--json")
    rows = json.loads(out)
    assert {row["sender"] for row in rows} == {"csms", "both"}
    assert "DataTransfer" in {row["action"] for row in rows}, "either side sends it"
    assert "Heartbeat" not in {row["action"] for row in rows}


def test_class_and_answer_are_those_of_the_configured_policy(
    voltgate: Run, file: Callable[[str], Path]
) -> None:
    config = file("[policy.v16.Heartbeat]\nclass='event'\n")
    _, out, _ = voltgate("actions", "--json", "--config", config)
    table = {(row["version"], row["action"]): row["class"] for row in json.loads(out)}
    assert (table["v16", "Heartbeat"], table["v201", "Heartbeat"]) == ("event", "live")
