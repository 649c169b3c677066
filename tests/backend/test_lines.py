"""Files of rules: words, comments, changes, and what cannot be read."""

import os
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from voltgate.backend.lines import Lines, charger, number


def pairs(words: list[str]) -> list[tuple[str, str]]:
    if len(words) != 2:
        raise ValueError("two words")
    return [(words[0], words[1])]


def test_words_and_comments(tmp_path: Path) -> None:
    file = tmp_path / "rules.txt"
    file.write_text("# all of it\n\n a   1\t# why\nb 2\na 3\n#c 4\n")
    assert Lines(file, pairs).rules() == {"a": "3", "b": "2"}, "the last line about a key counts"


def test_a_change_is_read_and_a_broken_file_changes_nothing(tmp_path: Path) -> None:
    file = tmp_path / "rules.txt"
    file.write_text("a 1\n")
    lines = Lines(file, pairs)
    for second, (text, value) in enumerate([("a 2\n", "2"), ("a 3\nb\n", "2"), ("a 4\n", "4")]):
        file.write_text(text)
        os.utime(file, (second, second))
        assert lines.rules()["a"] == value, text
    file.unlink()
    with capture_logs() as logs:
        assert [lines.rules()["a"] for _ in range(3)] == ["4"] * 3
    assert [one["event"] for one in logs] == ["reload.failed"], "once"
    file.write_text("a 5\n")
    assert lines.rules()["a"] == "5"


def test_the_start_fails_with_the_line(tmp_path: Path) -> None:
    file = tmp_path / "rules.txt"
    with pytest.raises(FileNotFoundError):
        Lines(file, pairs)
    file.write_text("a 1\nb\n")
    with pytest.raises(ValueError, match=r"rules\.txt:2: two words"):
        Lines(file, pairs)


def test_a_charger_is_named_as_in_its_url() -> None:
    assert [charger(word) for word in ("CP-1", "RDAM%20123", "*")] == ["CP-1", "RDAM=20123", "*"]


@pytest.mark.parametrize("word", ["-1", "nan", "inf", "1e9", "x", "1,5"])
def test_what_is_not_a_number(word: str) -> None:
    assert number("1.5") == 1.5
    with pytest.raises(ValueError, match="is not a number from 0"):
        number(word)
