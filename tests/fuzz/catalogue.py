"""The targets, and how each is run: those of the core by cargo-fuzz, the others by atheris."""

import tomllib
from pathlib import Path

CRATE = Path(__file__).parents[2] / "rust" / "fuzz"
RUST: list[str] = [target["name"] for target in tomllib.loads((CRATE / "Cargo.toml").read_text())["bin"]]
PYTHON = ["bus", "listener", "proxy", "session", "tls"]
TARGETS = [*RUST, *PYTHON]
