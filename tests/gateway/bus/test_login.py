"""What a client shows NATS: each file that cannot be used is named, with its key (docs/contract.md 4.1)."""

from pathlib import Path

import pytest

from certificates import Authority
from nats_users import operated, user
from voltgate.config import Nats
from voltgate.gateway.bus.login import SettingError, login


@pytest.fixture
def here(tmp_path: Path) -> Path:
    """A folder with one good file of each kind, and some that are not."""
    authority = Authority(tmp_path)
    authority.issue("client")
    authority.issue("other")
    authority.issue("locked", passphrase=b"secret")
    _, creds = operated(tmp_path)
    (tmp_path / "damaged.creds").write_text(creds.read_text().replace("\nSU", "\nSUA"))
    (tmp_path / "garbage").write_bytes(b"\xff\x00garbage")
    return tmp_path


def test_good_files_become_arguments_of_nats_py(here: Path) -> None:
    seed = user().seed
    files = {"tls_ca": "authority.pem", "tls_cert": "client.pem", "tls_key": "client.key"}
    found = login(nats(here, files | {"credentials": "user.creds"}, nkey_seed=seed))
    assert (found["nkeys_seed_str"], found["user_credentials"]) == (seed, str(here / "user.creds"))
    assert [one["subject"] for one in found["tls"].get_ca_certs()] == [((("commonName", "authority"),),)]
    assert login(Nats()) == {}


def nats(here: Path, files: dict[str, str], **others: str) -> Nats:
    return Nats.model_validate({key: str(here / name) for key, name in files.items()} | others)


FAULTS: list[tuple[dict[str, str], str, str]] = [
    ({"credentials": "absent"}, "credentials", "{0}/absent: No such file or directory"),
    ({"credentials": ""}, "credentials", "{0}: Is a directory"),
    ({"credentials": "garbage"}, "credentials", "{0}/garbage: is not a .creds file"),
    ({"credentials": "client.key"}, "credentials", "{0}/client.key: is not a .creds file"),
    ({"credentials": "damaged.creds"}, "credentials", "{0}/damaged.creds: its seed is damaged"),
    ({"tls_ca": "absent"}, "tls_ca", "{0}/absent: No such file or directory"),
    ({"tls_ca": "garbage"}, "tls_ca", "{0}/garbage: holds no certificate in PEM form"),
    ({"tls_ca": "client.key"}, "tls_ca", "{0}/client.key: holds no certificate in PEM form"),
    ({"tls_cert": "absent", "tls_key": "client.key"}, "tls_cert", "{0}/absent: No such file"),
    ({"tls_cert": "client.pem", "tls_key": "absent"}, "tls_key", "{0}/absent: No such file"),
    ({"tls_cert": "garbage", "tls_key": "client.key"}, "tls_cert", "{0}/garbage, {0}/client.key: not a cert"),
    ({"tls_cert": "client.pem"}, "tls_cert", "{0}/client.pem, {0}/client.pem: not a certificate and its key"),
    ({"tls_cert": "client.pem", "tls_key": "other.key"}, "tls_key", "{0}/other.key is not the key of"),
    ({"tls_cert": "locked.pem", "tls_key": "locked.key"}, "tls_key", "{0}/locked.key has a passphrase"),
    ({"tls_key": "client.key"}, "tls_key", "needs nats.tls_cert"),
]


@pytest.mark.parametrize(("files", "key", "told"), FAULTS, ids=[f"{key} {told}" for _, key, told in FAULTS])
def test_a_file_that_cannot_be_used_is_named(here: Path, files: dict[str, str], key: str, told: str) -> None:
    with pytest.raises(SettingError) as caught:
        login(nats(here, files))
    assert caught.value.key == key
    assert str(caught.value).startswith(f"nats.{key}: {told.format(here)}")
    assert "\n" not in str(caught.value)
