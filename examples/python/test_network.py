"""The vectors that all languages share."""

import json
from pathlib import Path

import pytest

from network import key, text, token

VECTORS = json.loads((Path(__file__).parent.parent / "vectors.json").read_text())


@pytest.mark.parametrize("vector", VECTORS["tokens"], ids=lambda vector: vector["token"])
def test_a_token(vector: dict[str, str]) -> None:
    assert token(vector["identity"]) == vector["token"]


@pytest.mark.parametrize("vector", VECTORS["texts"], ids=lambda vector: vector["header"])
def test_the_text_of_a_header(vector: dict[str, str]) -> None:
    assert text(vector["header"]) == vector["text"]


@pytest.mark.parametrize("vector", VECTORS["keys"], ids=lambda vector: vector["key"])
def test_a_key(vector: dict[str, list[str] | str]) -> None:
    assert key(*vector["parts"]) == vector["key"]
