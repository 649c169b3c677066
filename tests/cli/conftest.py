"""Commands run in the process of the test, with a configuration file of its own."""

from collections.abc import Callable
from pathlib import Path

import pytest

from voltgate.cli import main


@pytest.fixture
def voltgate(
    clean_environment: None, own_logs: None, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str, str]]:
    """Run a command: exit code, stdout, stderr."""

    def run(*arguments: str | Path) -> tuple[int, str, str]:
        code = main([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        assert "Traceback" not in err
        assert "\x1b" not in out + err, "no colour outside a terminal"
        return code, out, err

    return run


@pytest.fixture
def file(tmp_path: Path) -> Callable[[str], Path]:
    """Write a configuration file."""

    def write(text: str) -> Path:
        path = tmp_path / "voltgate.toml"
        path.write_text(text)
        return path

    return write
