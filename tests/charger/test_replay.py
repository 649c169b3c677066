"""Recorded frames: both forms of a line, and what is not a CALL of a charger."""

import json
from pathlib import Path
from typing import Any

import pytest

from voltgate.charger.replay import Recorded, read, refreshed

OURS = {"at": 3.5, "identity": "CP 1", "version": "v16", "action": "Heartbeat", "payload": {}}
HEADERS = {"ce-time": "2026-11-28T10:00:01.500Z", "ce-subject": "CP%201"}
TAIL = {"subject": "ocpp.tx.v201.TransactionEvent.CP=201", "headers": HEADERS, "payload": {"seqNo": 1}}


@pytest.fixture
def file(tmp_path: Path) -> Any:
    def write(*records: Any) -> Path:
        path = tmp_path / "frames.jsonl"
        path.write_text("\n".join(one if isinstance(one, str) else json.dumps(one) for one in records))
        return path

    return write


def test_both_forms_of_a_line(file: Any) -> None:
    assert read(file(OURS)) == [Recorded(3.5, "CP 1", "v16", "Heartbeat", {})]
    (frame,) = read(file(TAIL, ""))
    assert (frame.identity, frame.version, frame.action) == ("CP 1", "v201", "TransactionEvent")
    assert frame.at % 60 == 1.5


@pytest.mark.parametrize(
    "subject",
    [
        "ocpp.tx.v16.StartTransactionResponse.CP1",
        "ocpp.command.v16.Reset.CP1",
        "ocpp.link.CP1",
        "ocpp.reject.v16.CP1",
    ],
)
def test_what_is_not_a_call_of_a_charger_is_passed_over(file: Any, subject: str) -> None:
    assert read(file(TAIL | {"subject": subject, "headers": {}})) == []


def test_frames_are_sorted_by_time(file: Any) -> None:
    assert [frame.at for frame in read(file(OURS | {"at": 2}, OURS | {"at": 1}))] == [1, 2]


@pytest.mark.parametrize(
    "line",
    ["{", "[]", "1", {"at": 1}, OURS | {"version": "v15"}, OURS | {"payload": []}, TAIL | {"headers": {}}],
)
def test_another_line_is_an_error_with_its_number(file: Any, line: Any) -> None:
    with pytest.raises(ValueError, match="line 2 "):
        read(file(OURS, line))


def test_every_timestamp_becomes_the_current_time() -> None:
    old = "2020-01-01T00:00:00Z"
    payload = {"timestamp": old, "meterValue": [{"timestamp": old, "value": 1}], "expiry": old}
    fresh = refreshed(payload)
    assert fresh["timestamp"] > "2026"
    assert fresh["meterValue"][0]["timestamp"] > "2026"
    assert fresh["meterValue"][0]["value"] == 1
    assert fresh["expiry"] == payload["timestamp"] == old, "the recording itself is unchanged"
