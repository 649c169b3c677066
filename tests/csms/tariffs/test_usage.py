"""Usages as JSON."""

import json

from csms.tariffs.sessions import CHARGING, IDLE, used
from voltgate.csms.tariffs.usage import Usage


def test_a_usage_survives_json() -> None:
    usage = used("2026-03-29T00:30:00.125", (61.5, 12.345678, CHARGING, 31.9), (7, 0, IDLE))
    rows = json.loads(json.dumps(usage.rows()))
    assert rows[0] == [
        "2026-03-29T00:30:00.125000Z",
        "2026-03-29T01:31:30.125000Z",
        12345678,
        True,
        False,
        31900,
    ]
    assert rows[1][2:] == [0, False, True, None]
    assert Usage.of(rows) == usage
    assert usage.mwh == 12345678
