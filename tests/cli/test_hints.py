"""Commands that a message suggests can be copied: they name the configuration file in use."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from voltgate.cli.hints import hinted, use


@pytest.fixture(autouse=True)
def forgotten() -> Iterator[None]:
    yield
    use(None)


@pytest.mark.parametrize(
    ("file", "text", "told", "why"),
    [
        (
            "a.toml",
            "run `voltgate streams apply`",
            "run `voltgate streams apply --config a.toml`",
            "a command",
        ),
        ("a b.toml", "`voltgate policy`", "`voltgate policy --config 'a b.toml'`", "quoted for a shell"),
        (None, "run `voltgate streams apply`", "run `voltgate streams apply`", "no file in use"),
        ("a.toml", "`voltgate config example`", "`voltgate config example`", "not about this configuration"),
        ("a.toml", "nats.url: voltgate check", "nats.url: voltgate check", "not a command to copy"),
    ],
)
def test_a_hint_repeats_the_file(file: str | None, text: str, told: str, why: str) -> None:
    use(Path(file) if file else None)
    assert hinted(text) == told, why
