"""How much of the log one source may fill."""

from typing import Any

import pytest
import structlog
from structlog.testing import capture_logs

from voltgate.log_rates import LINES, SOURCES, WINDOW, LineRates

Said = dict[str, Any]


class Log:
    """The processor, and what passes it."""

    def __init__(self) -> None:
        self.time = 1000.0
        self.rates = LineRates(lambda: self.time)

    def says(self, times: int = 1, **line: Any) -> list[Said]:
        passed = []
        for _ in range(times):
            try:
                passed.append(dict(self.rates(None, "info", {"event": "a.b", **line})))
            except structlog.DropEvent:
                continue
        return passed


ABOUT = [
    ({"identity": "CP 1", "peer": "192.0.2.1:7"}, {"identity": "CP 1"}),
    ({"peer": "192.0.2.1:7", "exc_info": True}, {"peer": "192.0.2.1"}),
    ({"peer": "2001:db8::1:7"}, {"peer": "2001:db8::1"}),
    ({"logger": "asyncio", "exc_info": True}, {"logger": "asyncio"}),
    ({"exc_info": True, "subject": "_VOLTGATE.x.7"}, {"about": "a.b"}),
    ({"subject": "ocpprpc.ask.v16.Authorize.CP1"}, {"subject": "CP1"}),
]


@pytest.mark.parametrize(("line", "source"), ABOUT, ids=[str(source) for _, source in ABOUT])
def test_a_source_has_so_many_lines_in_a_window_and_one_that_says_so(line: Said, source: Said) -> None:
    log = Log()
    *passed, last = log.says(100, **line)
    assert passed == [{"event": "a.b", **line}] * LINES
    assert last == {"event": "suppression.began", "lines": LINES, **source}


def test_the_number_of_lines_that_were_dropped_precedes_the_first_line_after_the_window() -> None:
    log = Log()
    for name in ("one", "other"):
        log.says(LINES + 5, identity=name)
    log.says(identity="quiet")
    log.time += WINDOW
    with capture_logs() as lines:
        assert len(log.says(LINES, identity="one")) == LINES, "a window of its own"
        log.time += WINDOW
        log.says()
    assert lines == [{"event": "suppression.ended", "lines": 10, "sources": 2, "log_level": "warning"}], (
        "and nothing is said of a window in which nothing was dropped"
    )


def test_lines_about_the_gateway_itself_are_never_dropped() -> None:
    assert len(Log().says(1000, reason="away")) == 1000


def test_invented_names_share_the_lines_of_one_source() -> None:
    log = Log()
    passed = [line for number in range(SOURCES + 100) for line in log.says(identity=f"CP {number}")]
    assert len(passed) == SOURCES + LINES + 1
    assert passed[-1] == {"event": "suppression.began", "lines": LINES, "others": "identity"}
    assert len(log.says(identity="CP 0")) == 1, "who has lines of its own keeps them"
