"""Commands that a message suggests can be copied: they name the configuration file in use."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from voltgate.cli.hints import hinted, use
from voltgate.config import load


@pytest.fixture(autouse=True)
def forgotten(clean_environment: None) -> Iterator[None]:
    yield
    use(None)


def test_a_key_of_nats_gets_its_source(tmp_path: Path) -> None:
    file = tmp_path / "a.toml"
    file.write_text("[nats]\nurl='nats://a:1'\ncredentials='x'\n")
    use(file, load(file))
    assert hinted("nats.credentials: x: gone") == f"{file}:3: nats.credentials: x: gone"
    assert hinted("NATS at nats://a:1 is away") == f"{file}:2: nats.url: NATS at nats://a:1 is away"
    assert hinted("a line\nnats.url: b") == f"a line\n{file}:2: nats.url: b"
    assert hinted(f"{file}:2: nats.url: b") == f"{file}:2: nats.url: b", "it has its source"
    use(None, load())
    assert hinted("NATS at nats://127.0.0.1:4222 is away") == "NATS at nats://127.0.0.1:4222 is away"


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
