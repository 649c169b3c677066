"""Where a frame stands in a line of a log, and that no line costs more than its size."""

import io
import time

import pytest

from voltgate.cli.validate.lines import MAX_LINE, bounded, frame_in, is_cut

FRAME = '[2,"a]1","Authorize",{"idTag":"\\"[x]\\""}]'
LINES = [
    (FRAME, FRAME, "alone"),
    (f"2026-01-01T00:00:00Z [ws] DEBUG >> {FRAME}", FRAME, "behind a prefix with brackets"),
    (f"12:00:01.123 CP001 sent: {FRAME} (52 bytes)", FRAME, "with text behind it"),
    (f'{{"t":1,"dir":"out","msg":{FRAME},"n":[1]}}', FRAME, "an array in a JSON object"),
    ('{"msg":"[3,\\"1\\",{\\"a\\":\\"\\\\\\"\\"}]","x":1}', '[3,"1",{"a":"\\""}]', "a string in one"),
    ('INFO recv "[2,\\"1\\",\\"Heartbeat\\",{}]" ok', '[2,"1","Heartbeat",{}]', "an escaped string"),
    ('>> [2, "1", "Heartbeat", {}]', '[2, "1", "Heartbeat", {}]', "with spaces"),
    ('>> [2,"1","Heartbeat",{"a":', '[2,"1","Heartbeat",{"a":', "cut off: the codec says what is wrong"),
    ('>> [2,"1","Heart', '[2,"1","Heart', "cut off within a string"),
    ("2026-01-01 connected [3 of 4]", None, "no frame"),
    ("[1,2,3] [7,\"a\"]", None, "numbers that are not types"),
    ('x "[2,\\"1\\x', None, "an escape that is not one"),
    ("", None, "an empty line"),
]  # fmt: skip


@pytest.mark.parametrize(("line", "frame", "why"), LINES, ids=[why for *_, why in LINES])
def test_the_frame_in_a_line(line: str, frame: str | None, why: str) -> None:
    found = frame_in(line.encode())
    assert found == (frame.encode() if frame is not None else None), why


def test_a_long_line_is_cut_and_the_next_one_is_whole() -> None:
    long = b"x" * (3 * MAX_LINE + 17)
    lines = list(bounded(io.BytesIO(b"a\n" + long + b"\nb\n" + b"y" * MAX_LINE + b"\nc")))
    assert [len(line) for line in lines] == [2, MAX_LINE + 1, 2, MAX_LINE + 1, 1]
    assert [is_cut(line) for line in lines] == [False, True, False, False, False]
    assert lines[2::2] == [b"b\n", b"c"]


HOSTILE = [b'[2,"', b'\\"', b'[2,"a",', b'[2,\\"', b"{", b"\\", b'"', b"[", b'["\\']


@pytest.mark.parametrize("part", HOSTILE)
def test_no_line_takes_longer_than_its_size(part: bytes) -> None:
    """A quadratic search would take minutes."""
    began = time.process_time()
    for begin in (b"", b'[2,"', b'[2,\\"'):
        frame_in((begin + part * MAX_LINE)[:MAX_LINE])
    assert time.process_time() - began < 10
