"""Channels as people write them."""

from typing import Any

import pytest

from voltgate.csms.alerts.channels import Channel, Mail, Webhook, parsed


@pytest.mark.parametrize(
    ("body", "channel"),
    [
        (
            {"kind": "webhook", "url": "https://h.example/x", "secret": "s"},
            Webhook("https://h.example/x", "s"),
        ),
        (
            {"kind": "webhook", "url": "http://ntfy.sh/t", "format": "text"},
            Webhook("http://ntfy.sh/t", "", "text"),
        ),
        ({"kind": "mail", "to": ["a@b.example", "c@d.example"]}, Mail(("a@b.example", "c@d.example"))),
    ],
)
def test_channels(body: dict[str, Any], channel: Channel) -> None:
    assert parsed(body) == channel


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        ({}, "kind: must be"),
        ({"kind": "pigeon"}, "kind: must be"),
        ({"kind": "webhook"}, "url: must be"),
        ({"kind": "webhook", "url": "file:///etc/passwd"}, "url: must be"),
        ({"kind": "webhook", "url": "https://"}, "url: must be"),
        ({"kind": "webhook", "url": "https://h", "secret": 1}, "secret: must be"),
        ({"kind": "webhook", "url": "https://h", "format": "xml"}, "format: must be"),
        ({"kind": "mail"}, "to: must be"),
        ({"kind": "mail", "to": []}, "to: must be"),
        ({"kind": "mail", "to": ["nobody"]}, "to: must be"),
        ({"kind": "mail", "to": ["a@b\nBcc: c@d"]}, "to: must be"),
        ({"kind": "mail", "to": ["a@b, c@d"]}, "to: must be"),
    ],
)
def test_what_is_refused(body: dict[str, Any], fault: str) -> None:
    with pytest.raises(ValueError, match=fault):
        parsed(body)


def test_a_secret_is_not_shown() -> None:
    assert "hidden" not in repr(Webhook("https://h", "hidden"))
