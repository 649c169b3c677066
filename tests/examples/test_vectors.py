"""The shared vectors say what the product does, and the helper in Python does the same."""

import json
from pathlib import Path
from typing import Any

import pytest

import network
from voltgate._core import header_value, token

VECTORS: dict[str, Any] = json.loads(
    (Path(__file__).parents[2] / "examples" / "vectors.json").read_text(encoding="utf-8")
)


@pytest.mark.parametrize("vector", VECTORS["tokens"], ids=lambda vector: vector["token"])
def test_a_token_is_the_gateways(vector: dict[str, str]) -> None:
    assert token(vector["identity"]) == network.token(vector["identity"]) == vector["token"]


@pytest.mark.parametrize("vector", VECTORS["texts"], ids=lambda vector: vector["header"])
def test_a_header_has_the_text_that_the_gateway_put_in(vector: dict[str, str]) -> None:
    assert network.text(header_value(vector["text"])) == network.text(vector["header"]) == vector["text"]


@pytest.mark.parametrize("vector", VECTORS["keys"], ids=lambda vector: vector["key"])
def test_a_key_is_tokens_joined_as_in_ocpp_key(vector: dict[str, Any]) -> None:
    assert "/".join(map(token, vector["parts"])) == network.key(*vector["parts"]) == vector["key"]
