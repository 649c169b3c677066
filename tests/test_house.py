"""The invariants of ARCHITECTURE.md, kept by reading the source."""

import ast
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest

from voltgate.config import Config
from voltgate.gateway.metrics import Metrics
from voltgate.gateway.pool.merged import Supervision
from voltgate.gateway.pool.supervisor import RestartReason
from voltgate.gateway.reasons import Outcome, Reason, Refusal

ROOT = Path(__file__).parent.parent
SOURCE = ROOT / "python" / "voltgate"
MODULES = sorted(path for path in SOURCE.rglob("*.py"))

# Shapes without behaviour, and rooms whose behaviour is tested where it meets the outside.
WITHOUT_TWIN = {
    "__init__": "no code",
    "__main__": "one call",
    "ports": "shapes only",
    "reasons": "closed lists, held to docs/reference.md below",
    "listener": "tests/e2e/test_upgrade.py",
    "connection": "tests/e2e/test_frames.py",
    "worker": "tests/e2e",
    "links": "tests/e2e/test_links.py",
    "owners": "tests/e2e/test_upgrade.py, tests/e2e/test_ownership.py",
    "elsewhere": "tests/e2e/test_ownership.py",
    "neighbours": "tests/e2e/test_ownership.py",
    "outage": "tests/e2e/test_bus_away.py",
    "reach": "tests/test_bus.py",
    "interests": "tests/test_bus.py",
    "preflight": "tests/e2e/test_bus_away.py, tests/test_serve.py",
    "garbage": "tests/e2e/test_crowds.py",
    "verdict": "tests/test_session.py",
    "call": "tests/test_session.py",
    "guard": "tests/test_session.py",
    "question": "tests/test_session.py",
    "replay": "tests/test_session.py",
    "command": "tests/test_commands.py",
    "recorded": "tests/test_commands.py",
    "report": "tests/test_commands.py",
    "rejects": "tests/test_session.py",
    "redact": "tests/test_commands.py",
    "triggers": "tests/test_commands.py",
    "terms": "tests/test_session.py",
    "schemas": "tests/test_codec.py",
    "record": "tests/test_registry.py",
    "credentials": "tests/test_registry.py",
    "follow": "tests/test_registry.py",
    "tcp": "tests/e2e/test_credentials.py",
    "doors": "tests/test_supervisor.py",
    "control": "tests/test_supervisor.py",
    "member": "tests/test_supervisor.py",
    "merged": "tests/test_supervisor.py",
    "security": "tests/e2e/test_credentials.py",
}


def imports(path: Path) -> Iterator[str]:
    """Every module a file imports, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def inside(path: Path) -> str:
    """``gateway/bus`` for python/voltgate/gateway/bus.py."""
    return str(path.relative_to(SOURCE).with_suffix(""))


@pytest.mark.parametrize(
    ("library", "rooms"),
    [
        ("nats", r"gateway/bus/.*|backend/.*|cli/.*"),
        ("websockets", r"gateway/edge/.*|charger/.*"),
        ("aiohttp", r"gateway/admin"),
        ("prometheus_client", r"gateway/(metrics|pool/merged|admin)"),
        ("typer", r"cli/.*"),
        ("pydantic_settings", r"config"),
    ],
)
def test_a_library_stands_in_its_rooms_only(library: str, rooms: str) -> None:
    strays = [
        inside(path)
        for path in MODULES
        if any(name.split(".")[0] == library for name in imports(path))
        and not re.fullmatch(rooms, inside(path))
    ]
    assert strays == []


# What each package of the gateway may import beside itself; a leaf is a module directly in gateway/.
MAY_IMPORT = {
    "leaf": {"leaf"},
    "bus": {"leaf"},
    "session": {"leaf"},
    "pool": {"leaf"},
    "registry": {"leaf", "bus"},
    "edge": {"leaf", "registry"},
    "cluster": {"leaf", "bus", "registry"},
    "preflight": {"leaf", "bus"},
    "roster": {"leaf", "bus", "session", "registry", "edge", "cluster"},
    "worker": {"leaf", "bus", "session", "registry", "edge", "cluster", "preflight", "roster"},
}


def package_of(module: str) -> str:
    """The package of a module of the gateway: ``bus`` for voltgate.gateway.bus.uplink."""
    first = module.removeprefix("voltgate.gateway.").split(".")[0]
    return first if first in MAY_IMPORT else "leaf"


def test_imports_point_down() -> None:
    faults = []
    for path in (SOURCE / "gateway").rglob("*.py"):
        package = package_of(inside(path).replace("/", ".").removeprefix("gateway."))
        for name in imports(path):
            if name.startswith("voltgate.gateway."):
                other = package_of(name)
                if other != package and other not in MAY_IMPORT[package]:
                    faults.append(f"{inside(path)} -> {name}")
    assert faults == []


@pytest.mark.parametrize(
    ("room", "stranger"),
    [("backend", "voltgate.gateway"), ("charger", "voltgate.gateway"), ("gateway", "voltgate.cli")],
)
def test_rooms_that_do_not_know_each_other(room: str, stranger: str) -> None:
    for path in (SOURCE / room).rglob("*.py"):
        assert not [name for name in imports(path) if name.startswith(stranger)], path


def test_leaves_know_no_room() -> None:
    for leaf in ("config", "policy", "schemas"):
        below = {"config", "policy", "schemas", "_core", "voltgate"}
        known = {
            name.split(".")[-1] for name in imports(SOURCE / f"{leaf}.py") if name.startswith("voltgate")
        }
        assert known <= below


def test_every_module_has_its_twin() -> None:
    tests = " ".join(path.name for path in (ROOT / "tests").rglob("test_*.py"))
    missing = [
        inside(path)
        for path in MODULES
        if path.stem not in WITHOUT_TWIN
        and f"test_{path.stem}.py" not in tests
        and f"test_{path.parent.name}" not in tests
    ]
    assert missing == []


@pytest.mark.parametrize("crate", ["core"])
def test_the_core_is_pure(crate: str) -> None:
    for path in (ROOT / "rust" / crate / "src").glob("*.rs"):
        source = re.sub(r"//.*", "", path.read_text())
        assert not re.search(r"\b(pyo3|unsafe|std::(fs|net::(Tcp|Udp)|time|thread|env|process))\b", source), (
            path
        )


def test_pyo3_stands_in_the_binding_alone() -> None:
    assert "pyo3" not in (ROOT / "rust" / "core" / "Cargo.toml").read_text()


def test_an_identity_is_never_a_metric_label() -> None:
    closed = {
        "version", "direction", "type", "action", "code", "reason", "result", "by", "class", "outcome",
        "stream", "cause", "bound", "generation", "worker",
    }  # fmt: skip
    for family in [*Metrics().families(), *Supervision().families()]:
        assert set(family.labels) <= closed, family.name


def test_the_metrics_in_code_are_those_in_the_docs() -> None:
    documented = set(
        re.findall(r"^\| `(voltgate_\w+)`", (ROOT / "docs/reference.md").read_text(), re.MULTILINE)
    )
    assert documented == {family.name for family in [*Metrics().families(), *Supervision().families()]}


def test_the_closed_lists_in_code_are_those_in_the_docs() -> None:
    text = (ROOT / "docs/reference.md").read_text()
    results = set(re.findall(r"`(\w+)`", text.split("- `result`:")[1].split("- `reason`")[0]))
    assert results == {refusal.label for refusal in Refusal} | {"accepted", "timeout", "sockets"}
    reasons = set(re.findall(r"`(\w+)`", text.split("`down` facts:")[1].split("- `type`")[0]))
    assert reasons == {reason.label for reason in Reason}
    restarts = set(re.findall(r"`(\w+)`", text.split("`reason` of restarts:")[1].split("- ")[0]))
    assert restarts == set(get_args(RestartReason))
    outcomes = re.findall(
        r"^\| `(\w+)` \| (\d*) ?\|", text.split("## Commands")[1].split("## ")[0], re.MULTILINE
    )
    assert outcomes == [(outcome.label, str(outcome.value.code or "")) for outcome in Outcome]


def test_every_config_key_stands_in_the_commented_file_with_its_default() -> None:
    """deploy/voltgate.toml, comments taken off its keys, is the default configuration."""
    text = (ROOT / "deploy/voltgate.toml").read_text()
    lines = [re.sub(r"^# ?(?=[a-z_]+ = |\[)", "", line) for line in text.splitlines()]
    given = tomllib.loads("\n".join(lines))
    for section, field in Config.model_fields.items():
        if section in ("policy", "validation"):
            continue
        model = field.default[0] if section == "listeners" else field.default
        shown = given[section][0] if section == "listeners" else given[section]
        assert set(shown) == set(type(model).model_fields), section


def test_files_stay_small() -> None:
    long = {inside(path): len(path.read_text().splitlines()) for path in MODULES}
    assert {name: lines for name, lines in long.items() if lines > 500} == {}


def test_nats_py_is_pinned_for_what_touches_its_inside() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert "nats-py>=2.16,<2.17" in project["project"]["dependencies"]


def test_the_make_targets_of_the_readme_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert (
        set(re.findall(r"(?:^|`)make ([a-z-]+)", (ROOT / "README.md").read_text(), re.MULTILINE)) <= targets
    )
