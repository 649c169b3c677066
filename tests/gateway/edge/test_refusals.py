"""Log lines about refused handshakes: bounded by source, and for all sources together."""

from structlog.testing import capture_logs

from voltgate.gateway.edge.refusals import LINES, SOURCES, WINDOW, RefusalLog


def test_a_source_has_its_lines_and_the_others_keep_theirs() -> None:
    refusals = RefusalLog()
    with capture_logs() as lines:
        for port in range(100):
            refusals.note(1000.0, f"192.0.2.1:{port}", "CP1", "wrong_password")
        refusals.note(1000.0, "192.0.2.2:1", None, "bad_identity")
    assert len(lines) == LINES + 1
    assert lines[0] == {
        "event": "upgrade.refused",
        "log_level": "info",
        "reason": "wrong_password",
        "identity": "CP1",
        "peer": "192.0.2.1:0",
    }
    with capture_logs() as lines:
        refusals.note(1000.0 + WINDOW, "192.0.2.1:5", "CP1", "wrong_password")
    assert [line["event"] for line in lines] == ["upgrade.refusals_suppressed", "upgrade.refused"]
    assert lines[0]["count"] == 100 - LINES


def test_many_sources_are_bounded_too() -> None:
    refusals = RefusalLog()
    with capture_logs() as lines:
        for number in range(10 * SOURCES):
            refusals.note(1000.0, f"2001:db8::{number:x}:443", None, "timeout")
    assert len(lines) == SOURCES + LINES
