"""The summary of a log: what is judged how, and that its memory is bounded."""

from collections.abc import Iterable

import pytest

from voltgate import Codec
from voltgate.cli.validate.summary import MAX_KINDS, MAX_OPEN, OTHERS, Sender, Summary

TIME = '"timestamp":"2026-01-01T00:00:00Z"'
START = f'[2,"7","StartTransaction",{{"connectorId":1,"idTag":"A","meterStart":0,{TIME}}}]'
TWO = '[{"value":"1"},{"value":5}]'


def summary(frames: Iterable[str], sender: Sender = "both") -> Summary:
    made = Summary(Codec("ocpp1.6"), sender)
    for number, frame in enumerate(frames, 1):
        made.add(number, frame.encode())
    return made


Rows = list[tuple[str, str, str, int, int]]
CASES: list[tuple[list[str], Rows, str]] = [
    (['[2,"1","Heartbeat",{}]'] * 3, [("Heartbeat", "", "", 3, 1)], "equal frames are one row"),
    (
        [START, '[3,"7",{"transactionId":"x","idTagInfo":{"status":"Accepted"}}]'],
        [
            ("StartTransaction", "", "", 1, 1),
            ("StartTransaction result", "TypeConstraintViolation", "/transactionId", 1, 2),
        ],
        "an answer is judged as that of its CALL",
    ),
    (['[3,"7",{}]'], [("- result", "", "", 1, 1)], "whose CALL is not there: its form"),
    (
        [START, '[4,"7","InternalError","",{}]'],
        [("StartTransaction", "", "", 1, 1), ("StartTransaction", "CALLERROR InternalError", "", 1, 2)],
        "an error is counted with its CALL",
    ),
    (
        [
            f'[2,"1","MeterValues",{{"connectorId":1,"meterValue":[{{{TIME},"sampledValue":{TWO}}}]}}]',
            f'[2,"2","MeterValues",{{"connectorId":1,"meterValue":[{{{TIME},"sampledValue":[{{"value":5}}]}}]}}]',
        ],
        [("MeterValues", "TypeConstraintViolation", "/meterValue/*/sampledValue/*/value", 2, 1)],
        "places in lists are one kind",
    ),
    (['[2,"1","Reset",{"type":"Soft"}]'], [("Reset", "", "", 1, 1)], "either side may send"),
    (
        ['[2,"1","Nonsense",{}]', "[2,"],
        [("-", "FormationViolation", "", 1, 2), ("-", "NotImplemented", "", 1, 1)],
        "what is unknown has no name",
    ),
]


@pytest.mark.parametrize(("frames", "rows", "why"), CASES, ids=[why for *_, why in CASES])
def test_frames_are_counted_by_action_and_fault(frames: list[str], rows: Rows, why: str) -> None:
    made = summary(frames)
    assert sorted(made.rows) == sorted(rows), why
    assert made.frames == len(frames)


def test_a_named_sender_may_not_send_the_other_sides_calls() -> None:
    made = summary(['[2,"1","Reset",{"type":"Soft"}]'], "charger")
    assert (made.failed, made.strange) == (1, 1)
    assert [row[:2] for row in made.rows] == [("Reset", "NotSupported")]


def test_kinds_are_bounded() -> None:
    made = summary(f'[2,"{n}","Heartbeat",{{"{n}x":1}}]' for n in range(MAX_KINDS + 50))
    rows = list(made.rows)
    assert len(rows) == MAX_KINDS + 1
    assert rows[0] == (OTHERS, "", "", 50, MAX_KINDS + 1)


def test_open_calls_are_bounded() -> None:
    made = summary(f'[2,"{n}","Heartbeat",{{}}]' for n in range(MAX_OPEN + 1))
    for answered in (0, MAX_OPEN):
        made.add(0, f'[3,"{answered}",{{"currentTime":"2026-01-01T00:00:00Z"}}]'.encode())
    assert [row[0] for row in made.rows] == ["Heartbeat", "- result", "Heartbeat result"]
