"""The blocks of shell and Python in the documentation, and the lines of a shell block."""

import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
LANGUAGES = ("sh", "bash", "shell", "console", "python", "go", "ts", "java")

# A comment above a block, which readers of the rendered page do not see: <!-- not run: reason -->, or
# <!-- from: file --> for lines of a program that runs elsewhere.
_BLOCK = re.compile(
    r"(?:^<!-- (not run|from): (.+?) -->\n+)?^( *)```(\w*)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL
)


@dataclass(frozen=True)
class Block:
    """One block of a page, and its first line.

    ``reason``: why it is not run here; "" where it is. ``source``: the file that it is cut from, or "".
    """

    page: str
    line: int
    language: str
    text: str
    reason: str
    source: str = ""

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def blocks(page: Path) -> list[Block]:
    """Its blocks of shell and Python, in order."""
    text = page.read_text()
    found = []
    for match in _BLOCK.finditer(text):
        kind, comment, indent, language, content = match.groups()
        if language in LANGUAGES:
            lines = [line.removeprefix(indent) for line in content.splitlines()]
            number = text.count("\n", 0, match.start(5)) + 1
            name = str(page.relative_to(ROOT))
            found.append(
                Block(
                    name,
                    number,
                    language,
                    "\n".join(lines) + "\n",
                    reason=comment if kind == "not run" else "",
                    source=comment if kind == "from" else "",
                )
            )
    return found


def commands(block: Block) -> Iterator[tuple[int, str]]:
    """The commands of a shell block, each with its line in the page: as many lines as the shell needs."""
    command, first = "", 0
    for number, line in enumerate(block.text.splitlines(), block.line):
        if not command and (not line.strip() or line.lstrip().startswith("#")):
            continue
        first = first if command else number
        command += line + "\n"
        if not line.endswith("\\") and _is_complete(command):
            yield first, command
            command = ""
    assert not command, f"{block}: the command at line {first} does not end"


def _is_complete(command: str) -> bool:
    read = subprocess.run(["bash", "-n"], input=command, text=True, capture_output=True, check=False)
    return read.returncode == 0 and "here-document" not in read.stderr
