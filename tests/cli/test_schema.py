"""``voltgate schema``: what it prints is what frames are validated with."""

import json
from collections.abc import Callable

import jsonschema
import pytest

from voltgate import _core

Run = Callable[..., tuple[int, str, str]]


@pytest.mark.parametrize("version", ["1.6", "ocpp2.0.1", "v21"])
def test_the_schema_of_a_request_and_of_its_response(voltgate: Run, version: str) -> None:
    code, out, _ = voltgate("schema", version, "Heartbeat")
    assert code == 0
    jsonschema.validate({}, json.loads(out))
    _, out, _ = voltgate("schema", version, "Heartbeat", "--kind", "response")
    with pytest.raises(jsonschema.ValidationError, match="currentTime"):
        jsonschema.validate({}, json.loads(out))


def test_every_action_has_a_schema(voltgate: Run) -> None:
    _, out, _ = voltgate("schema", "--json")
    listed = {(row["version"], row["action"]) for row in json.loads(out) if row["kind"] == "request"}
    assert listed == {(one, action) for one in ("v16", "v201", "v21") for action, *_ in _core.actions(one)}
    _, out, _ = voltgate("schema", "2.1")
    assert {line.split("\t")[0] for line in out.splitlines()[1:]} == {"v21"}


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["1.5", "Reset"], "VERSION 1.5: must be one of 1.6, 2.0.1, 2.1"),
        (["1.6", "Resett"], "ACTION Resett: not an action of v16; did you mean Reset?"),
        (["1.6", "Xyz"], "ACTION Xyz: not an action of v16; `voltgate schema VERSION` lists the actions"),
        (
            ["2.1", "NotifyPeriodicEventStream", "--kind", "response"],
            "ACTION NotifyPeriodicEventStream: has no response",
        ),
    ],
)
def test_what_has_no_schema_is_named(voltgate: Run, arguments: list[str], told: str) -> None:
    code, out, err = voltgate("schema", *arguments)
    assert (code, out) == (2, "")
    assert told in err
