"""The invariants of ARCHITECTURE.md that are kept by reading the source."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from conftest import LONG
from voltgate.gateway.pool.merged import Supervision
from voltgate.gateway.telemetry.metrics import Metrics

ROOT = Path(__file__).parent.parent
SOURCE = ROOT / "python" / "voltgate"
TESTS = ROOT / "tests"
MODULES = sorted(SOURCE.rglob("*.py"))


def test_the_long_tests_exist() -> None:
    for entry in LONG:
        file, name = re.sub(r"\[.*", "", entry).split("::")
        assert re.search(rf"(?m)^(async )?def {name}\(", (TESTS / file).read_text()), entry


@cache
def imports(path: Path) -> frozenset[str]:
    """Every module a file imports, wherever in it."""

    def found() -> Iterator[str]:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                yield from (alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module:
                yield node.module
                yield from (f"{node.module}.{alias.name}" for alias in node.names)

    return frozenset(found())


def inside(path: Path) -> str:
    """``gateway/bus`` for python/voltgate/gateway/bus.py."""
    return str(path.relative_to(SOURCE).with_suffix(""))


@pytest.mark.parametrize(
    ("library", "rooms"),
    [
        ("nats", r"gateway/bus/.*|backend/.*|cli/.*|csms/.*"),
        ("psycopg", r"csms/(ledger/postgres|console/reader)"),
        ("sqlite3", r"csms/.*"),
        ("websockets", r"gateway/edge/.*|charger/.*"),
        ("aiohttp", r"gateway/admin|backend/revocation|csms/(console|alerts)/.*|charger/transfers"),
        ("prometheus_client", r"gateway/(telemetry/.*|pool/merged|admin)"),
        ("opentelemetry", r"gateway/telemetry/tracing"),
        ("typer", r"cli/.*"),
        ("pydantic_settings", r"config"),
    ],
)
def test_a_library_is_imported_in_its_packages_only(library: str, rooms: str) -> None:
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
    "preflight": {"leaf", "bus", "edge"},
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
    [
        ("backend", "voltgate.gateway"),
        ("charger", "voltgate.gateway"),
        ("csms", "voltgate.gateway"),
        ("csms", "voltgate.cli"),
        ("gateway", "voltgate.cli"),
        ("gateway", "voltgate.csms"),
    ],
)
def test_packages_that_do_not_import_each_other(room: str, stranger: str) -> None:
    for path in (SOURCE / room).rglob("*.py"):
        assert not [name for name in imports(path) if name.startswith(stranger)], path


@pytest.mark.parametrize("leaf", ["config", "policy", "schemas"])
def test_leaves_import_leaves_only(leaf: str) -> None:
    leaves = tuple(f"voltgate.{name}" for name in ("config", "policy", "schemas", "visible", "_core"))
    ours = [name for name in imports(SOURCE / f"{leaf}.py") if name.startswith("voltgate.")]
    assert [name for name in ours if not name.startswith(leaves)] == []


# -- twins ----------------------------------------------------------------------------------------------

# Modules without tests/<package>/test_<module>.py, and the test that reaches them by its imports.
TESTED_IN = {
    "schemas": "core/test_codec.py",
    "backend/{answers,payloads,rules,service,tokens}": "backend/test_backend.py",
    "charger/{calls,commands,connectors,line,link,messages,settings,station}": "charger/test_charger.py",
    "charger/faults/{clocks,energy,meters,scene,transactions}": "charger/faults/test_catalogue.py",
    "charger/transfers": "csms/console/test_filing.py",
    "charger/{power,profiles}": "csms/console/test_limiting.py",
    "charger/{fleet,plan,processes,tally,worker}": "charger/test_swarm.py",
    "cli/{service,versions}": "cli/test_cli.py",
    "cli/chargers/{importing,kick,online,options,setting,showing}": "cli/chargers/test_commands.py",
    "cli/asyncapi/{bodies,headers}": "cli/asyncapi/test_document.py",
    "cli/check/{command,findings,subjects}": "cli/check/test_check.py",
    "cli/dev/{command,csms}": "cli/test_dev.py",
    "cli/dev/embedded": "cli/test_embedded.py",
    "cli/serve/{command,reloading,workers}": "cli/test_serve.py",
    "cli/swarm/{commander,consumer,course,options,prepare,progress,report,scenarios}": (
        "cli/swarm/test_command.py"
    ),
    "cli/tail/command": "cli/test_tail.py",
    "cli/tail/lines": "cli/test_lines.py",
    "cli/tail/replay": "cli/test_replay.py",
    "cli/csms/commands": "cli/csms/test_csms.py",
    "csms/uptime/{history,part,places}": "csms/uptime/test_report.py",
    "csms/uptime/watch": "csms/uptime/test_attempts.py",
    "csms/ledger/{postgres,tables}": "csms/ledger/test_store.py",
    "cli/csms/key": "cli/csms/test_console.py",
    "csms/console/{answers,bodies,console,endpoints,reading}": "csms/console/test_app.py",
    "csms/console/{attempts,follow,login,persons,writer}": "csms/console/test_auth.py",
    "csms/console/facts": "csms/console/test_progress.py",
    "csms/console/operations": "csms/console/test_configuring.py",
    "csms/console/commands": "csms/console/test_doing.py",
    "csms/console/{pages,streaming}": "csms/console/test_exports.py",
    "csms/console/decided": "csms/console/test_deciding.py",
    "csms/console/{keys,roles}": "csms/console/test_people.py",
    "csms/console/scopes": "csms/console/test_alerting.py",
    "csms/console/{chargers,tokens}": "csms/console/test_rows.py",
    "csms/ledger/{acting,chargers,clock,closing,decided,documents,energy,explaining,idle}": (
        "csms/ledger/test_traps.py"
    ),
    "csms/ledger/{names,parking,pricing,registers,rows,samples,session,sessions,sources,told}": (
        "csms/ledger/test_traps.py"
    ),
    "csms/ledger/{copies,rebuild,streams}": "csms/ledger/test_service.py",
    "csms/ledger/lasting": "csms/ledger/test_killed.py",
    "gateway/reasons": "test_lists.py",
    "gateway/gc_policy": "e2e/test_crowds.py",
    "gateway/interfaces": "gateway/bus/test_bus.py",
    "gateway/bus/{connect,connection}": "gateway/bus/test_bus.py",
    "gateway/bus/follow": "gateway/registry/test_registry.py",
    "gateway/edge/receiver": "gateway/edge/test_connection.py",
    "gateway/pool/control": "gateway/pool/test_member.py",
    "gateway/session/context": "gateway/session/test_session.py",
}
# Started as a process by their tests, which therefore do not import them.
AS_A_PROCESS = ("cli/", "charger/processes", "charger/worker", "gateway/gc_policy")


def excused() -> Iterator[tuple[str, Path]]:
    """(module, test) for each module of :data:`TESTED_IN`."""
    for pattern, test in TESTED_IN.items():
        head, names = re.fullmatch(r"([^{]*)(?:\{(.*)\})?", pattern).groups()  # type: ignore[union-attr]
        for name in (names or "").split(","):
            yield head + name, TESTS / test


def test_every_module_has_its_twin() -> None:
    """tests/ mirrors the packages: gateway/bus/bus.py is tested by gateway/bus/test_bus.py."""
    elsewhere = {module for module, _ in excused()}
    missing = [
        inside(path)
        for path in MODULES
        if not path.stem.startswith("__")
        and inside(path) not in elsewhere
        and not (TESTS / path.relative_to(SOURCE).parent / f"test_{path.name}").is_file()
    ]
    assert missing == []


@pytest.mark.parametrize(
    ("module", "test"), list(excused()), ids=lambda value: str(value).rpartition("tests/")[2]
)
def test_each_exception_from_the_twin_rule_is_still_needed(module: str, test: Path) -> None:
    """The module is there and has no twin; the test is there and reaches it within its own package."""
    assert (SOURCE / f"{module}.py").is_file()
    assert not (TESTS / Path(module).parent / f"test_{Path(module).name}.py").is_file()
    assert test.is_file()
    if not module.startswith(AS_A_PROCESS):
        assert f"voltgate.{module.replace('/', '.')}" in reached(test, str(Path(module).parent))


def reached(test: Path, package: str) -> set[str]:
    """Modules a test imports, by way of its helpers and of the package itself."""
    found, paths = set[str](), {test}
    while paths:
        new = imports(paths.pop()) - found
        found |= new
        for name in new:
            helper = TESTS / f"{name.replace('.', '/')}.py"
            inner = SOURCE / name.removeprefix("voltgate.").replace(".", "/")
            ours = name.startswith("voltgate.") and str(inner.relative_to(SOURCE)).startswith(package)
            candidates = [inner.with_suffix(".py"), inner / "__init__.py"] if ours else [helper]
            paths |= {path for path in candidates if path.is_file()}
    return found


# -- the rest -------------------------------------------------------------------------------------------


def test_the_core_is_pure() -> None:
    for path in (ROOT / "rust" / "core" / "src").glob("*.rs"):
        source = re.sub(r"//.*", "", path.read_text())
        impure = r"\b(pyo3|unsafe|std::(fs|net::(Tcp|Udp)|time|thread|env|process))\b"
        assert not re.search(impure, source), path
    assert "pyo3" not in (ROOT / "rust" / "core" / "Cargo.toml").read_text()


def test_an_identity_is_never_a_metric_label() -> None:
    closed = {
        "version", "direction", "type", "action", "code", "reason", "result", "by", "class", "outcome",
        "stream", "cause", "bound", "generation", "kind", "worker", "server", "consumer", "resumed",
        "certificate", "check",
    }  # fmt: skip
    for family in [*Metrics().families(), *Supervision().families()]:
        assert set(family.labels) <= closed, family.name


def test_files_stay_small() -> None:
    """At most 400 lines a file; a file of tests is a table and may have 600."""
    bounds = [
        (MODULES, 400),
        ((ROOT / "rust").glob("*/src/**/*.rs"), 400),
        ((ROOT / "benchmarks").rglob("*.py"), 400),
        (TESTS.rglob("*.py"), 600),
    ]
    lines = {path: (len(path.read_text().splitlines()), most) for paths, most in bounds for path in paths}
    assert {str(path): size for path, (size, most) in lines.items() if size > most} == {}


# Private attributes of libraries, and the package that may touch them.
INSIDES = [
    ("bus", r"\b_?client\.(?:(_\w+)|options\[\"(\w+)|stats\[\"(\w+))"),
    ("edge", r"\bprotocol\.(reader|parser)\b"),
]


@pytest.mark.parametrize(("package", "private"), INSIDES, ids=["nats-py", "websockets"])
def test_each_private_attribute_of_a_library_is_touched_in_one_package_and_named_by_its_guard(
    package: str, private: str
) -> None:
    """The guard is a test of that package that fails when the library's inside moves."""
    touched = {
        (path.parent.name, "".join(name))
        for path in (SOURCE / "gateway").rglob("*.py")
        for name in re.findall(private, path.read_text())
    }
    assert touched, "else this test guards nothing"
    assert [one for one in touched if one[0] != package] == []
    guards = "".join(path.read_text() for path in (TESTS / "gateway" / package).glob("test_*.py"))
    assert [name for _, name in touched if name not in guards] == []


def test_nats_py_is_pinned() -> None:
    assert '"nats-py>=2.16,<2.17"' in (ROOT / "pyproject.toml").read_text()


def test_the_make_targets_that_are_documented_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for page in ("README.md", "CONTRIBUTING.md"):
        named = re.findall(r"(?:^|`)make ([a-z-]+)", (ROOT / page).read_text(), re.MULTILINE)
        assert set(named) <= targets, page
