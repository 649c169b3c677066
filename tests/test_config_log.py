"""The log's settings out of a configuration that cannot be used."""

from pathlib import Path

import pytest

from voltgate import config_log
from voltgate.config import Log

pytestmark = pytest.mark.usefixtures("clean_environment")

FILES = [
    (b'no_such_key = 1\n[log]\nformat = "json"\n', {}, Log(format="json")),
    (b'[log]\nformat = "json"\n', {"FORMAT": "text", "LEVEL": "error"}, Log(format="text", level="error")),
    (b"[log\n", {"FORMAT": "json"}, Log(format="json")),
    (b"\xff", {}, Log()),
    (b"log = 7", {}, Log()),
    (b'[log]\nformat = "xml"\n', {}, Log()),
    (b"x = " + b"[" * 100_000, {}, Log()),
]


@pytest.mark.parametrize(("text", "variables", "settings"), FILES, ids=[str(row[0][:20]) for row in FILES])
def test_what_can_be_read_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: bytes, variables: dict[str, str], settings: Log
) -> None:
    file = tmp_path / "voltgate.toml"
    file.write_bytes(text)
    for key, value in variables.items():
        monkeypatch.setenv(f"VOLTGATE_LOG__{key}", value)
    assert config_log.settings(file) == settings


def test_without_a_file_the_environment_counts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert config_log.settings(None) == Log()
    monkeypatch.setenv("VOLTGATE_LOG__FORMAT", "json")
    assert config_log.settings(None) == config_log.settings(tmp_path / "none") == Log(format="json")
