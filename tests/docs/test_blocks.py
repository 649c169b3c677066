"""Every block of shell and Python of README.md and docs/*.md runs, in its order, against a real ``voltgate dev``.

A block that cannot run here has ``<!-- not run: reason -->`` above it, one that is cut from a program of
``examples/``, which ``make examples`` runs, ``<!-- from: file -->``.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from docs.pages import PAGES, ROOT, Block, blocks, commands
from docs.stage import Stage

BLOCKS = [block for page in PAGES for block in blocks(page)]
RUN = [block for block in BLOCKS if not (block.reason or block.source)]
CUT = [block for block in BLOCKS if block.source]


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    stage = Stage(tmp_path_factory.mktemp("docs"))
    yield stage
    stage.close()


@pytest.mark.parametrize("block", RUN, ids=str)
def test_a_block_runs_as_it_is_printed(stage: Stage, block: Block) -> None:
    stage.run(block)


@pytest.mark.parametrize("block", CUT, ids=str)
def test_a_block_that_is_cut_from_a_program_is_lines_of_it(block: Block) -> None:
    assert block.source.startswith("examples/"), block.source
    assert block.text.strip("\n") in (ROOT / block.source).read_text()


def test_blocks_of_other_languages_are_cut_from_programs() -> None:
    assert CUT
    assert [str(block) for block in RUN if block.language in ("go", "ts", "java")] == []


def test_few_blocks_are_not_run_and_each_says_why() -> None:
    reasons = [block.reason for block in BLOCKS if block.reason]
    assert len(reasons) <= 4, reasons
    assert all(len(reason.split()) > 3 for reason in reasons), reasons


def test_blocks_are_found_with_their_lines_and_reasons(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "# A\n\n```sh\na\n```\n<!-- not run: it needs apt -->\n```sh\nb\n```\n- x\n  ```python\n  c\n  ```\n```toml\nd\n```\n"
    )
    monkeypatch.setattr("docs.pages.ROOT", tmp_path)
    assert [(one.line, one.language, one.text, one.reason) for one in blocks(page)] == [
        (4, "sh", "a\n", ""),
        (8, "sh", "b\n", "it needs apt"),
        (12, "python", "c\n", ""),
    ]


def test_a_command_is_as_many_lines_as_the_shell_needs() -> None:
    text = "a 'x\ny'  # why\n# nothing\n\nb \\\n  c\ncat <<E\nd\nE\n"
    block = Block("page", 10, "sh", text, "")
    assert list(commands(block)) == [
        (10, "a 'x\ny'  # why\n"),
        (14, "b \\\n  c\n"),
        (16, "cat <<E\nd\nE\n"),
    ]
