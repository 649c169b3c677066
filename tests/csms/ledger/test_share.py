"""A share of a thread's time."""

import pytest

from voltgate.csms.ledger.share import Share


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_work_that_takes_more_than_its_share_waits_and_a_rest_is_not_saved_up_for_ever() -> None:
    clock = Clock()
    share = Share(0.5, 1.0, clock)

    def work(seconds: float) -> None:
        clock.now += seconds

    assert share.has()
    share.spend(lambda: work(3.0))
    assert not share.has(), "three seconds of work, of which the share gives back half"
    clock.now += 0.9
    assert not share.has()
    clock.now += 0.3
    assert share.has()
    clock.now += 1000
    assert share.has()
    share.spend(lambda: work(2.1))
    assert not share.has(), "one second at most was saved"


def test_work_that_fails_is_counted_too() -> None:
    clock = Clock()
    share = Share(0.5, 1.0, clock)

    def fails() -> None:
        clock.now += 10
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        share.spend(fails)
    assert not share.has()
