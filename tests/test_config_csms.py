"""The section [csms]: what is refused, and that a password of the database is not shown."""

from typing import Any

import pytest
from pydantic import ValidationError

from voltgate.config_csms import Csms


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("database", "mysql://x"),
        ("database", "sqlite:///"),
        ("timezone", "Berlin"),
        ("currency", "euro"),
        ("tick_seconds", 0),
        ("smtp", "mail.example.com"),
        ("unknown_tokens", "Maybe"),
    ],
)
def test_what_no_csms_could_work_with_is_refused(key: str, value: Any) -> None:
    with pytest.raises(ValidationError):
        Csms(**{key: value})


def test_a_password_is_not_shown() -> None:
    shown = Csms(
        database="postgresql://ann:secret@db/voltgate",
        smtp="smtps://ann:secret@mail",
        public_url="https://csms/?token=secret",
    ).model_dump(mode="json")
    assert shown["public_url"] == "https://csms/?token=***"
    assert shown["database"] == "postgresql://***@db/voltgate"
    assert shown["smtp"] == "smtps://***@mail"
