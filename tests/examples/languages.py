"""How the programs of each language are built and started, where its tools are installed."""

import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from building import UnavailableError, needs, run
from processes import run_voltgate

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
SCHEMAS = EXAMPLES / "schemas"  # what the models are generated from
PYTHON = ROOT / ".cache" / "examples-python" / "bin"


@dataclass(frozen=True)
class Language:
    """``steps`` fetch, compile and test in its folder; ``command`` starts one of its programs."""

    name: str
    tools: Sequence[str]
    steps: Sequence[Sequence[str]]
    command: Callable[[str], list[str]]

    @property
    def folder(self) -> Path:
        return EXAMPLES / self.name

    def build(self) -> None:
        """UnavailableError with the last words of the step that failed."""
        needs(self.tools)
        for step in self.steps:
            run(step, self.folder)

    def start(self, program: str, *arguments: str, nats: str) -> list[str]:
        """The command of a process."""
        return ["env", f"NATS_URL={nats}", *self.command(program), *arguments]


def _models(version: str) -> list[str]:
    return ["--input", str(SCHEMAS / version), "--output", f"models/{version}"]


def _python(program: str) -> list[str]:
    return [str(PYTHON / "python"), "-u", str(EXAMPLES / "python" / f"{program}.py")]


def _go(program: str) -> list[str]:
    return [str(ROOT / ".cache" / "examples-go"), program]


def _typescript(program: str) -> list[str]:
    return ["node", str(EXAMPLES / "typescript" / "dist" / f"{program}.js")]


def _java(program: str) -> list[str]:
    target = EXAMPLES / "java" / "target"
    # A small heap and one compiler leave the cores to the others.
    return [
        "java",
        "-Xmx96m",
        "-XX:TieredStopAtLevel=1",
        "-cp",
        f"{target}/classes:{target}/lib/*",
        f"example.{program.title()}",
    ]


LANGUAGES = [
    Language(
        "python",
        (),
        [
            [sys.executable, "-m", "venv", str(PYTHON.parent)],
            [str(PYTHON / "pip"), "install", "--quiet", "--requirement", "requirements.txt"],
            *([str(PYTHON / "datamodel-codegen"), *_models(version)] for version in ("v16", "v201")),
            [sys.executable, "-m", "pytest", "-q", "test_network.py"],
            [sys.executable, "-m", "mypy", "--strict", "billing.py"],
        ],
        _python,
    ),
    Language(
        "go",
        ("go",),
        [
            ["go", "generate", "./..."],
            ["go", "vet", "./..."],
            ["go", "test", "./..."],
            ["go", "build", "-buildvcs=false", "-o", str(ROOT / ".cache" / "examples-go"), "."],
        ],
        _go,
    ),
    Language(
        "typescript",
        ("node", "npm"),
        [["npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts"], ["npm", "test"]],
        _typescript,
    ),
    Language("java", ("java", "mvn"), [["mvn", "-q", "-B", "package"]], _java),
]


def built(wanted: list[Language]) -> tuple[list[Language], dict[str, str]]:
    """Those that are ready, and why the others are not."""
    (ROOT / ".cache").mkdir(exist_ok=True)
    run_voltgate("schema", "--all", str(SCHEMAS))
    ready, missing = [], {}
    for language in wanted:
        print(f"building {language.name}", file=sys.stderr, flush=True)
        try:
            language.build()
            ready.append(language)
        except UnavailableError as error:
            missing[language.name] = str(error)
    return ready, missing


def is_ci() -> bool:
    """CI has every tool: what is missing there is a fault."""
    return bool(os.environ.get("CI"))
