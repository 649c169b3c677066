"""The CloudEvents headers of facts written in Python, and the one clock format."""

import pytest

from voltgate.gateway import cloudevents


@pytest.mark.parametrize(
    ("time_ms", "text"),
    [
        (0, "1970-01-01T00:00:00.000Z"),
        (1_763_805_600_007, "2025-11-22T10:00:00.007Z"),
        (1_763_805_600_999, "2025-11-22T10:00:00.999Z"),
    ],
)
def test_times_are_rfc_3339_in_utc_with_milliseconds(time_ms: int, text: str) -> None:
    assert cloudevents.time_text(time_ms) == text


def test_a_fact_about_no_charger_has_no_subject() -> None:
    parts = ("id", "gateways/a", "ocpp.security.rate", "2025-11-22T10:00:00.007Z")
    about_nobody = dict(cloudevents.headers(*parts, identity=None))
    assert about_nobody == {
        "ce-specversion": "1.0",
        "ce-id": "id",
        "ce-source": "/gateways/a",
        "ce-type": "ocpp.security.rate",
        "ce-time": "2025-11-22T10:00:00.007Z",
        "ce-datacontenttype": "application/json",
    }
    extra = [("ocpp-session", "s")]
    assert dict(cloudevents.headers(*parts, identity="CP 1", extra=extra)) == about_nobody | {
        "ce-subject": "CP 1",
        "ocpp-session": "s",
    }
