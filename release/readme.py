"""The README as PyPI shows it: links into the repository are made absolute, at the release's tag."""

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
_LINK = re.compile(r"(!?\[[^\]]*\])\((?!https?://|#)([^)\s]+)\)")


def repository() -> str:
    """Where the source is published: the only place is pyproject.toml."""
    urls = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["urls"]
    return str(urls["Repository"])


def absolute(text: str, tag: str) -> str:
    """``text`` with every relative link and picture pointing at ``tag`` of the repository."""

    def replaced(match: re.Match[str]) -> str:
        name, target = match.groups()
        kind = "raw" if name.startswith("!") else "blob"
        return f"{name}({repository()}/{kind}/{tag}/{target})"

    return _LINK.sub(replaced, text)
