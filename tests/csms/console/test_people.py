"""Entries of OPS_PEOPLE in memory: one that cannot be read counts as removed."""

from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest

from voltgate.csms.console import keys
from voltgate.csms.console.people import Kind, People, subject
from voltgate.csms.console.roles import Role
from voltgate.csms.ledger.pseudonyms import Pseudonyms

NOW = datetime(2026, 5, 1, tzinfo=UTC)


@pytest.fixture
def people() -> People:
    return People(Pseudonyms(b"k"))


def take(people: People, kind: Kind, id_: str, body: Any, revision: int = 1) -> None:
    data = body if isinstance(body, bytes) else orjson.dumps(body)
    people.take(subject("ops", kind, id_), revision, data)


def test_a_key_is_found_by_its_text_alone(people: People) -> None:
    key, other = keys.new_key(), keys.new_key()
    take(people, Kind.KEY, "a b", {"id": key.id, "hash": key.hash, "role": "manager", "sites": ["n"]})
    found = people.by_key(key.text)
    assert found is not None
    assert (found.name, found.role, found.sites) == ("a b", Role.MANAGER, frozenset({"n"}))
    wrong = (other.text, "", key.id, f"vg_{key.id}_{'0' * 40}", key.text + "0", key.text.upper())
    assert [people.by_key(text) for text in wrong] == [None] * len(wrong)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        {"role": "viewer"},
        {"id": "x", "hash": "y", "role": "king"},
        {"id": "x", "hash": "y", "role": "viewer", "sites": "north"},
        {"id": "x", "hash": "y", "role": "viewer", "sites": [1]},
    ],
)
def test_what_cannot_be_read_is_removed(body: Any, people: People) -> None:
    key = keys.new_key()
    take(people, Kind.KEY, "a", {"id": key.id, "hash": key.hash, "role": "viewer"})
    take(people, Kind.KEY, "a", body, 2)
    assert people.by_key(key.text) is None


def test_a_session_is_of_an_operator_that_is_there(people: People) -> None:
    until = (NOW + timedelta(hours=1)).isoformat()
    take(people, Kind.SESSION, keys.id_of("secret"), {"operator": "ann", "until": until})
    assert people.by_session("secret", NOW) is None
    take(people, Kind.OPERATOR, "ann", {"role": "viewer", "sites": []})
    found = people.by_session("secret", NOW)
    assert found is not None
    assert found.sites == frozenset(), "no site, which is not every site"
    assert people.by_session("secret", NOW + timedelta(hours=1)) is None
    assert people.by_session("other", NOW) is None
    take(people, Kind.LINK, keys.id_of("l"), {"operator": "ann", "until": until}, 9)
    link = people.by_link("l", NOW)
    assert link is not None
    assert (link[0], link[1].name) == (9, "ann")


def test_tokens_are_found_by_their_pseudonyms_until_they_are_erased(people: People) -> None:
    take(people, Kind.TOKEN, "04ab", {"token": "04AB", "status": "Accepted"})
    pseudonym = people.pseudonym("04aB")
    found = people.token(pseudonym)
    assert found is not None
    assert (found.text, found.group) == ("04AB", None)
    take(people, Kind.TOKEN, "04ab", b"", 2)
    assert people.token(pseudonym) is None


def test_other_kinds_are_not_looked_at(people: People) -> None:
    people.take("ops.person.key.tokens", 1, b"00" * 32)
    assert all(people.rows(kind) == {} for kind in Kind)


def test_the_whole_is_followed_once_it_was_read(people: People) -> None:
    fresh = people.fresh()
    take(fresh, Kind.OPERATOR, "ann", {"role": "viewer"})
    assert (people.known, people.operator("ann")) == (False, None)
    people.follow(fresh)
    assert people.known
    assert people.operator("ann") is not None
