"""URLs without their secrets."""

import pytest

from voltgate.config_values import masked


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("nats://a:4222", "nats://a:4222"),
        ("nats://ann:pw@a:4222", "nats://***@a:4222"),
        ("ann:p/w@a", "***@a"),
        ("https://a/x?token=1&b=2", "https://a/x?token=***&b=***"),
    ],
)
def test_neither_password_nor_query_is_shown(url: str, shown: str) -> None:
    assert masked(url) == shown
