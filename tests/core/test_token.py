"""Identity tokens, header values, business keys: the vectors that the Rust tests read too, and any text."""

import hashlib
import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voltgate import _core

VECTORS = Path(__file__).parent.parent / "vectors"
TOKENS = json.loads((VECTORS / "tokens.json").read_text(encoding="utf-8"))
KEYS = json.loads((VECTORS / "keys.json").read_text(encoding="utf-8"))

# As nats-py judges a key of a KV bucket.
KV_KEY = re.compile(r"^[-/_=\.a-zA-Z0-9]+$")


def rows(table: list[dict[str, Any]]) -> pytest.MarkDecorator:
    """The rows of a vector table, each named by the expectation it states."""
    return pytest.mark.parametrize("row", table, ids=[row["why"] for row in table])


@rows(TOKENS["tokens"])
def test_an_identity_and_its_token_are_each_others_inverse(row: dict[str, str]) -> None:
    assert _core.token(row["identity"]) == row["token"]
    assert _core.identity(row["token"]) == row["identity"]


@rows(TOKENS["refused"])
def test_what_no_identity_maps_to_is_refused(row: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=r"escape|UTF-8|character"):
        _core.identity(row["token"])


@rows(TOKENS["header_values"])
def test_a_header_value_is_printable_ascii(row: dict[str, str]) -> None:
    assert _core.header_value(row["text"]) == row["value"]


@rows(KEYS["keys"])
def test_a_key_is_what_the_contract_says(row: dict[str, str]) -> None:
    made = _core.key(
        row["version"],
        row["action"],
        KEYS["identity"],
        KEYS["session"],
        row["message_id"],
        row["payload"].encode(),
    )
    assert made == row["key"]


def test_the_vectors_hold_the_real_hash() -> None:
    """A row in content form names the SHA-256 that Python's own hashlib gives."""
    rows_in_content_form = [row for row in KEYS["keys"] if f"/{row['action']}/" in row["key"]]
    assert len(rows_in_content_form) > 20
    for row in rows_in_content_form:
        assert row["key"].split("/")[2] == hashlib.sha256(row["payload"].encode()).hexdigest()[:32]


@given(st.text(min_size=1))
def test_any_text_has_one_token_that_is_a_legal_kv_key(text: str) -> None:
    token = _core.token(text)
    assert _core.identity(token) == text
    assert KV_KEY.fullmatch(token)
    assert "." not in token
    assert "/" not in token


@given(st.text())
def test_any_header_value_is_read_back_by_plain_percent_decoding(text: str) -> None:
    value = _core.header_value(text)
    assert value.isascii()
    assert value == value.strip()
    assert value.isprintable()
    assert unquote(value, errors="strict") == text


@given(st.sampled_from(["v16", "v201", "v21"]), st.text(), st.binary())
def test_any_bytes_have_a_key(version: str, message_id: str, payload: bytes) -> None:
    for action in ("TransactionEvent", "MeterValues", "StopTransaction", "Heartbeat"):
        assert _core.key(version, action, "CP1", "s", message_id, payload).startswith("CP1/")


def test_a_key_asks_for_a_version_token() -> None:
    with pytest.raises(ValueError, match="unknown version: expected v16, v201 or v21"):
        _core.key("ocpp1.6", "Heartbeat", "CP1", "s", "1", b"{}")
