"""Charger records: what they hold, and which identities are legal."""

import json

import pytest

from voltgate.gateway.registry.record import QUIRKS, Record, is_identity, parse


def test_a_record_says_only_what_differs_and_comes_back_as_it_was() -> None:
    record = Record(enabled=True, security_profile=1, versions=("v16",), quirks=frozenset({"no_ping"}))
    assert json.loads(record.body) == {
        "enabled": True,
        "security_profile": 1,
        "versions": ["v16"],
        "quirks": ["no_ping"],
    }
    assert parse(record.body) == record
    assert json.loads(Record(enabled=False).body) == {"enabled": False}


def test_keys_of_newer_releases_are_passed_over() -> None:
    assert parse(b'{"enabled":true,"colour":"red"}') == Record(enabled=True)
    assert parse(json.dumps({"enabled": True, "quirks": QUIRKS}).encode()).quirks == set(QUIRKS)


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b"{}", "enabled: "),
        (b"nonsense", "record: "),
        (b"[]", "record: "),
        (b'{"enabled":true,"quirks":["secret"]}', "quirks."),
        (b'{"enabled":true,"versions":["secret"]}', "versions.0: "),
        (b'{"enabled":true,"security_profile":4}', "security_profile: "),
        (b'{"enabled":true,"password_hashes":["secret","b","c"]}', "password_hashes: "),
    ],
)
def test_what_is_no_record_is_told_without_its_values(body: bytes, told: str) -> None:
    with pytest.raises(ValueError, match=told) as caught:
        parse(body)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("identity", "legal"),
    [
        ("CP1", True),
        ("R D.A*M>|%", True),
        ("é" * 48, True),
        ("日" * 32, True),
        ("日" * 33, False),
        ("x" * 49, False),
        ("", False),
        ("a:b", False),
        ("a\tb", False),
        ("a\x85b", False),
        ("a\udcffb", False),
    ],
)
def test_identities(identity: str, legal: bool) -> None:
    assert is_identity(identity) is legal
