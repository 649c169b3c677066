"""The rules of ownership and commands, model-checked (README.md here): sound, and each of them needed."""

import shutil
import subprocess
from pathlib import Path

import pytest

SOURCE = Path(__file__).parent / "ownership.cpp"
RULES = ("subfirst", "fence", "fix", "hold")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The compiled model."""
    compiler = shutil.which("g++")
    if compiler is None:
        pytest.skip("the model needs g++")
    binary = tmp_path_factory.mktemp("model") / "ownership"
    subprocess.run([compiler, "-O2", "-std=c++17", "-o", binary, SOURCE], check=True)
    return binary


def run(model: Path, options: str, rules: tuple[str, ...] = RULES) -> str:
    """What it prints."""
    command = [str(model), *options.split(), *(f"{rule}=1" for rule in rules)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


SHORT = ["G=2 S=2 C=1 F=0", "G=2 S=2 C=0 F=1 self=1"]
# Those with max= do not end before; nothing was found in nine million states of each either.
LONG = [
    "G=2 S=2 C=1 F=1",
    "G=2 S=2 C=1 F=1 resub=1",
    "G=2 S=2 C=1 F=1 skip=0",
    "G=2 S=2 C=2 F=0 sameid=1",
    "G=2 S=2 C=2 F=1 sameid=1 max=4000000",
    "G=2 S=3 C=1 F=0 max=4000000",
    "G=3 S=3 C=1 F=0 max=4000000",
    "G=2 S=3 C=0 F=1 self=1 max=4000000",
    "G=2 S=2 C=1 F=2 self=1 max=4000000",
]


@pytest.mark.parametrize("options", SHORT)
def test_the_rules_together_break_no_promise(model: Path, options: str) -> None:
    found = run(model, options)
    assert "VIOLATION" not in found, found
    assert "BOUND" not in found, found


@pytest.mark.full
@pytest.mark.parametrize("options", LONG)
def test_the_rules_together_break_no_promise_under_faults(model: Path, options: str) -> None:
    found = run(model, options)
    assert "VIOLATION" not in found, found
    assert ("BOUND" in found) == ("max=" in options), found


@pytest.mark.parametrize(
    ("missing", "promise"), [("subfirst", "I1a"), ("fence", "I1b"), ("fix", "T2")], ids=lambda value: value
)
def test_without_one_of_the_rules_a_promise_is_broken(model: Path, missing: str, promise: str) -> None:
    rules = tuple(rule for rule in RULES if rule != missing)
    assert f"VIOLATION {promise}" in run(model, "G=2 S=2 C=1 F=0", rules)


def test_release_0_1_0_broke_promises(model: Path) -> None:
    assert "VIOLATION I1a no responders while up" in run(model, "G=2 S=2 C=1 F=0", ())
