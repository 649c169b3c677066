"""Reading the file, and the source of each value."""

import os
from pathlib import Path

import pytest

from voltgate.config import load
from voltgate.config_sources import ConfigError, content, shown

pytestmark = pytest.mark.usefixtures("clean_environment")


def test_each_value_knows_its_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "voltgate.toml"
    file.write_text("[nats]\nurl = 'nats://a:1'\nprefix = 'a'\n[[listeners]]\nport = 1\n")
    monkeypatch.setenv("VOLTGATE_NATS__PREFIX", "b")
    config = load(file, admin={"port": 2})
    assert config.where("nats", "url") == f"{file}:2: nats.url"
    assert config.where("nats", "prefix") == "VOLTGATE_NATS__PREFIX: nats.prefix", "it beats the file"
    assert config.where("listeners", 0, "port") == f"{file}:5: listeners.0.port"
    assert config.where("admin", "port") == "command line: admin.port"
    assert config.where("limits", "open_calls") == "limits.open_calls", "a default has no source"
    assert config.where("nats", "tls_ca") == f"{file}:1: nats.tls_ca", "but for the table that lacks it"
    assert config.where("validation") == "validation"
    for key in (("nats", "url"), ("nats", "prefix"), ("listeners", 0, "port"), ("admin", "port")):
        assert config.is_given(*key)
    assert not config.is_given("limits", "open_calls")
    assert not config.is_given("admin", "host"), "also where the command line has another of its section"
    assert load().where("nats", "url") == "nats.url", "nothing is kept from one to the next"


def test_a_pipe_is_read_once_and_remembered() -> None:
    """``--config <(...)``: a supervisor reads it for itself, for its workers, and again on SIGHUP."""
    reader, writer = os.pipe()
    with os.fdopen(writer, "wb") as end:
        end.write(b"[nats]\nprefix='piped'\n")
    file = Path(f"/dev/fd/{reader}")
    assert load(file).nats.prefix == "piped"
    assert load(file).nats.prefix == "piped"
    os.close(reader)


def test_a_worker_names_the_file_of_its_supervisor() -> None:
    copy = os.memfd_create("deploy/voltgate.toml")
    os.write(copy, b"[limits]\nopen_calls=0\n")
    file = Path(f"/proc/self/fd/{copy}")
    with pytest.raises(ConfigError, match=r"^deploy/voltgate\.toml:2: limits\.open_calls: "):
        load(file)
    os.close(copy)
    assert shown(file) == str(file), "it is closed"


UNREADABLE = [
    (None, "does not exist: `voltgate config example` prints one"),
    ("folder", "is not a file: name a TOML file"),
    (b"a = 1\nb = '\xff'", "2: is not UTF-8: save the file as UTF-8"),
    (b"\xef\xbb\xbfa = 1", "1: is not valid TOML: it begins with a byte order mark"),
    (b"a = " + b"[" * 5000 + b"]" * 5000, "values are nested too deeply"),
    (b"#" * (1 << 20) + b"\n", "is larger than 1 MiB"),
    (b"a = x", "1: is not valid TOML: the value is not TOML: put text in quotes"),
    (b"a = 1\na = 2\n", "2: is not valid TOML: this key appears twice: remove one"),
    (b"[a]\n[a]", "2: is not valid TOML: this table appears twice: join the two"),
    (b"\n[a", "2: is not valid TOML: the bracket of a table is not closed"),
    (b"a b", "1: is not valid TOML: a key needs a value"),
    (b"a = 1 b = 2", "1: is not valid TOML: one `key = value` per line"),
    (b"a = 'x", "1: is not valid TOML: the quotes are not closed"),
    (b"a = [1\n", "1: is not valid TOML: the list or table is not closed"),
    (b'a = "\\q"', "1: is not valid TOML: write \\\\ for a backslash"),
    (b"= 1", "1: is not valid TOML: neither `key = value` nor `[table]`"),
]


@pytest.mark.parametrize(("data", "told"), UNREADABLE, ids=[told for _, told in UNREADABLE])
def test_a_file_that_cannot_be_read(tmp_path: Path, data: bytes | str | None, told: str) -> None:
    file = tmp_path / "voltgate.toml"
    if isinstance(data, bytes):
        file.write_bytes(data)
    elif data:
        file.mkdir()
    with pytest.raises(ConfigError) as caught:
        load(file)
    assert str(caught.value).startswith((f"{file}:{told}", f"{file}: {told}"))
    assert "\n" not in str(caught.value)


def test_a_file_of_another_user_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also for root, who may read everything: what counts is the error of the system."""

    def denied(path: Path, mode: str) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    file = tmp_path / "voltgate.toml"
    file.write_text("")
    monkeypatch.setattr(Path, "open", denied)
    with pytest.raises(ConfigError, match=r"voltgate\.toml: cannot be read: Permission denied$"):
        content(file)
