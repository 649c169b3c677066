"""The one function between text from outside and a terminal (also a log)."""

import json
import unicodedata

import pytest
import structlog

from voltgate import logs
from voltgate.config import Log
from voltgate.visible import visible, visible_json, visible_lines, without_logins

CASES = [
    ("plain ä 漢 🔌", "plain ä 漢 🔌"),
    ("\x1b[31mred", "\\x1b[31mred"),
    ("\x9b31m", "\\x9b31m"),
    ("a\r\nb\tc\x00", "a\\r\\nb\\tc\\x00"),
    ("a\u2028b\u2029c\x85d\x0be", "a\\u2028b\\u2029c\\x85d\\x0be"),
    ("CP\u202e1\u2066\u200f\ufeff", "CP\\u202e1\\u2066\\u200f\\ufeff"),
    ("\x7f\xad\xa0", "\\x7f\\xad\\xa0"),
    ("\udcff\U000e0001", "\\udcff\\U000e0001"),
]


@pytest.mark.parametrize(("text", "shown"), CASES, ids=[repr(text) for text, _ in CASES])
def test_what_could_steer_a_terminal_is_shown(text: str, shown: str) -> None:
    assert visible(text) == shown
    assert visible_lines(f"{text}\nx") == "\n".join(map(visible, text.split("\n"))) + "\nx"


def test_every_control_and_format_character_is_escaped() -> None:
    for number in range(0x110000):
        char = chr(number)
        if unicodedata.category(char) in {"Cc", "Cf", "Cs", "Zl", "Zp"}:
            assert visible(char).isascii(), hex(number)
            assert visible(char).isprintable(), hex(number)


def test_logins_are_taken_out_of_urls_in_linear_time() -> None:
    assert without_logins("a@b\nx://u:p/:@h/?q y://h z://") == "a@b\nx://***@h/?q y://h z://"
    text = "://" * 200_000 + "@"
    assert without_logins(text) == "://***@"


def test_json_keeps_its_value() -> None:
    value = {"a\u202e": ["\x1b\x9b\x7f", "\U000e0001", "ä"], "b": 1.5}
    for text in (json.dumps(value, ensure_ascii=False), json.dumps(value, ensure_ascii=False, indent="\t")):
        shown = visible_json(text)
        assert shown.isprintable()
        assert json.loads(shown) == value


@pytest.mark.usefixtures("own_logs")
@pytest.mark.parametrize("form", ["text", "json"])
def test_nothing_in_a_log_line_steers_the_terminal(form: str, capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(Log.model_validate({"format": form}))
    secret = "sesame"
    try:
        raise ValueError(f"\x1b]0;{len(secret)}\x07\u202e")
    except ValueError:
        structlog.get_logger().exception(
            "x.failed\x1b[2J",
            identity="\x1b[31m\nforged line",
            many=["\x9b", {"\u202e": b"\x1b"}],
            error=OSError("\r"),
        )
    err = capsys.readouterr().err
    assert "Traceback" in err
    assert secret not in err, "a traceback shows no variables"
    for line in err.split("\n"):
        assert line.isprintable(), line
    assert not any(line.startswith("forged") for line in err.split("\n"))
