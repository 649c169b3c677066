"""What the supervisor decides without its workers; with them: tests/e2e/test_workers.py."""

import pytest

from voltgate.gateway.pool.supervisor import Backoff


@pytest.mark.parametrize(
    ("lives", "pauses", "expectation"),
    [
        ([0] * 9, [0.5, 1, 2, 4, 8, 16, 30, 30, 30], "doubles from half a second to half a minute"),
        ([59, 59, 60, 59], [0.5, 1, 0.5, 1], "a minute of life is forgiven"),
    ],
)
def test_the_pause_before_a_restart_grows(lives: list[float], pauses: list[float], expectation: str) -> None:
    backoff = Backoff()
    for lived, pause in zip(lives, pauses, strict=True):
        assert pause * 0.75 <= backoff.after(lived) <= pause * 1.25, expectation
