"""The one way of text from outside to a terminal or a log: whatever it holds, it is shown and does nothing.

Escape sequences, control characters, line breaks, and marks that turn the direction of writing become visible
escapes. Chargers, backends and anybody with a NATS user choose identities, subjects, headers and bodies.
"""

import re


def visible(text: str, keep: str = "") -> str:
    """``text`` on one line, what is not printable as Python's escapes; ``keep``: characters that stay."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c in keep else c.encode("unicode_escape").decode() for c in text)


def without_logins(text: str) -> str:
    """``text`` with ``***`` in place of user name and password in every URL; in linear time."""
    if "@" not in text or "://" not in text:
        return text
    return re.sub(r"\S+", lambda word: _without_login(word[0]), text)


def _without_login(word: str) -> str:
    head, scheme, rest = word.partition("://")
    _, at, host = rest.rpartition("@")  # a password may hold an @
    return f"{head}://***@{host}" if at else head + scheme + rest


def visible_lines(text: str) -> str:
    """The same for text of our own making on several lines, such as a traceback."""
    return "\n".join(map(visible, text.split("\n")))


def visible_json(text: str) -> str:
    """JSON on one line with the same value, all of it printable: escapes are JSON's own."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else _escaped(c) for c in text)


def _escaped(char: str) -> str:
    if char in "\t\r\n":
        return " "  # JSON allows these between its tokens only
    units = char.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at]:02x}{units[at + 1]:02x}" for at in range(0, len(units), 2))
